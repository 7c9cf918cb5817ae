//! Virtual time: it passes a little with each look at the clock, and leaps when nothing can run.

use brisk_base::Timestamp;
use brisk_base::world::{Clock, MonoTime, Spawner, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Wall time at the begin of a simulation: 2024-01-01 00:00:00 UTC.
const EPOCH_MS: i64 = 1_704_067_200_000;

/// See the module.
pub(crate) struct VirtualClock {
    /// Nanoseconds since the begin.
    now: AtomicU64,
    /// Nanoseconds that pass with each reading of monotonic time.
    tick: u64,
}

impl VirtualClock {
    /// A clock at its begin.
    pub(crate) fn new(tick: u64) -> Arc<Self> {
        Arc::new(Self { now: AtomicU64::new(0), tick })
    }

    /// The time, without letting any pass.
    pub(crate) fn peek(&self) -> MonoTime {
        MonoTime(self.now.load(Ordering::Relaxed))
    }

    /// Leaps to this time; never back.
    pub(crate) fn advance_to(&self, time: MonoTime) {
        self.now.fetch_max(time.0, Ordering::Relaxed);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp(EPOCH_MS + (self.peek().0 / 1_000_000) as i64)
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.now.fetch_add(self.tick, Ordering::Relaxed))
    }
}

/// Refuses threads: everything runs on the caller's.
struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, name: &str, _body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        Err(std::io::Error::other(format!("'{name}' asked for a thread, but a simulation has only one")))
    }
}

/// A world with this clock, without threads.
pub(crate) fn world(clock: &Arc<VirtualClock>, seed: u64) -> World {
    World::new(Arc::<VirtualClock>::clone(clock), Arc::new(NoThreads), seed)
}
