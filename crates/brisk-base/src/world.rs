//! The seam between the engine and the machine: clocks, randomness, threads.
//!
//! Product code takes time, random numbers and threads from a [`World`] only (clippy's disallowed methods refuse the rest), so that
//! the simulator can run a whole job on one thread, from one seed, in virtual time.

use crate::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock: nanoseconds since the world began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct MonoTime(pub u64);

impl MonoTime {
    /// A time that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// This much later.
    #[must_use]
    pub const fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_nanos() as u64))
    }

    /// How long after `earlier` this is; zero if it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Wall and monotonic time.
pub trait Clock: Send + Sync {
    /// Processing time.
    fn now(&self) -> Timestamp;
    /// Monotonic time, for deadlines and durations.
    fn mono(&self) -> MonoTime;
}

/// Starts threads.
pub trait Spawner: Send + Sync {
    /// Runs `body` on a new thread of this name.
    ///
    /// # Errors
    /// The operating system's, when it has no thread to give.
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>>;

    /// Lets other threads go first from now on, where the calling thread and they want the same processor: for long work in the background.
    fn give_way(&self) {}
}

/// Clock, randomness and threads of one engine. Cheap to clone.
#[derive(Clone)]
pub struct World {
    /// Wall and monotonic time.
    pub clock: Arc<dyn Clock>,
    /// Starts threads.
    pub spawner: Arc<dyn Spawner>,
    /// State of the random number sequence shared by this world's users.
    random: Arc<AtomicU64>,
}

impl World {
    /// The machine's own clocks and threads; random numbers seeded by the system, so that ids differ in all processes everywhere.
    pub fn real() -> Self {
        let clock = RealClock::new();
        // The system's randomness, as std's maps have it: processes of several machines may start at one time with one number.
        let system = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        let seed = mix64(clock.now().0 as u64 ^ system);
        Self { clock: Arc::new(clock), spawner: Arc::new(RealSpawner), random: Arc::new(AtomicU64::new(seed)) }
    }

    /// A world of the caller's making, such as the simulator's.
    pub fn new(clock: Arc<dyn Clock>, spawner: Arc<dyn Spawner>, seed: u64) -> Self {
        Self { clock, spawner, random: Arc::new(AtomicU64::new(seed)) }
    }

    /// Processing time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Monotonic time.
    pub fn mono(&self) -> MonoTime {
        self.clock.mono()
    }

    /// A uniform random 64-bit number (splitmix64).
    pub fn random(&self) -> u64 {
        mix64(self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed).wrapping_add(0x9E37_79B9_7F4A_7C15))
    }

    /// A uniform random 128-bit number, for ids.
    pub fn random_id(&self) -> u128 {
        u128::from(self.random()) << 64 | u128::from(self.random())
    }

    /// A generator of its own for one component, seeded from this world.
    pub fn rng(&self) -> Rng {
        Rng(self.random())
    }
}

/// A small random number generator (splitmix64) owned by one component.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence that belongs to `seed`.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// A uniform 64-bit number.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix64(self.0)
    }

    /// A uniform number below `bound`; 0 when the bound is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// True once in `n` times on average.
    pub const fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// splitmix64's finaliser (Steele, Lea, Flood 2014): a bijection that mixes all bits.
pub const fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The machine's clocks.
struct RealClock {
    start: Instant,
}

impl RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for RealClock {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since.as_millis() as i64)
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.start.elapsed().as_nanos() as u64)
    }
}

/// How much nicer than the rest of the process a thread in the background is: with 5 it gets a quarter of a processor that it shares.
#[cfg(target_os = "linux")]
const BACKGROUND: i32 = 5;

/// Threads of the operating system.
struct RealSpawner;

impl Spawner for RealSpawner {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(name.to_owned()).spawn(body)
    }

    #[cfg(target_os = "linux")]
    fn give_way(&self) {
        use rustix::process::{getpriority_process, setpriority_process};
        // Linux has a priority for each thread, and takes a thread's id for a process's.
        let me = Some(rustix::thread::gettid());
        let priority = getpriority_process(me).unwrap_or(0);
        if let Err(error) = setpriority_process(me, (priority + BACKGROUND).min(19)) {
            tracing::debug!(%error, "a thread in the background keeps its priority");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_of_one_moment_differ() {
        let ids: std::collections::BTreeSet<u128> = (0..1000).map(|_| World::real().random_id()).collect();
        assert_eq!(ids.len(), 1000);
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Rng::seeded(7);
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5) as usize] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
    }
}
