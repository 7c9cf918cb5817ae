//! Figures of a run: records, time, memory.

use brisk::Timestamp;
use brisk::world::World;
use serde_json::json;

/// See the module.
pub(crate) struct Stats {
    world: World,
    started: Timestamp,
    /// Records that sources have given.
    records: u64,
}

impl Stats {
    /// Begins to measure.
    pub(crate) fn start() -> Self {
        let world = World::real();
        Self { started: world.now(), world, records: 0 }
    }

    /// Adds the records of a job.
    pub(crate) const fn add(&mut self, records: u64) {
        self.records += records;
    }

    /// The figures so far: processor time and memory are those of the whole process.
    pub(crate) fn json(&self) -> String {
        let wall_seconds = (self.world.now().0 - self.started.0) as f64 / 1000.0;
        let (cpu_seconds, peak_rss_bytes) = usage();
        json!({ "records": self.records, "wall_seconds": wall_seconds, "cpu_seconds": cpu_seconds, "peak_rss_bytes": peak_rss_bytes })
            .to_string()
    }
}

/// Processor seconds and the most memory that this process has used.
fn usage() -> (f64, u64) {
    // SAFETY: all bits zero are a valid `rusage`, which is plain numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole `rusage` that lives through the call.
    if unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) } != 0 {
        return (0.0, 0);
    }
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    (seconds(usage.ru_utime) + seconds(usage.ru_stime), usage.ru_maxrss as u64 * 1024)
}
