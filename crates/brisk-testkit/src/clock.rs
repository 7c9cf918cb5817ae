//! A clock that moves only when it is told to.

use brisk_base::Timestamp;
use brisk_base::world::{Clock, MonoTime, Spawner, World};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Time as the test says it. Wall time and monotonic time are the same and begin at 0.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// Moves to this processing time; never back.
    pub fn advance_to(&self, time: Timestamp) {
        let ns = u64::try_from(time.millis()).unwrap_or(0).saturating_mul(1_000_000);
        self.0.fetch_max(ns, Ordering::SeqCst);
    }

    /// Moves to this monotonic time; never back.
    pub fn advance_to_mono(&self, time: MonoTime) {
        self.0.fetch_max(time.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp((self.0.load(Ordering::SeqCst) / 1_000_000) as i64)
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.0.load(Ordering::SeqCst))
    }
}

/// Refuses threads: everything runs on the thread of the test.
struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, name: &str, _body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        Err(std::io::Error::other(format!("'{name}' asked for a thread, but this world has only the test's")))
    }
}

/// A world with this clock, without threads, its random numbers from `seed`.
pub fn manual_world(clock: &Arc<ManualClock>, seed: u64) -> World {
    World::new(Arc::<ManualClock>::clone(clock), Arc::new(NoThreads), seed)
}
