//! What is measured inside of the process: when the job passed its marks, its longest pauses, and the checkpoints in a folder.

use anyhow::Result;
use brisk::world::{MonoTime, World};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Follows the one subtask that holds the state. Only that one writes, so that plain loads and stores do.
pub(super) struct Meter {
    world: World,
    begin: MonoTime,
    records: u64,
    keys: u64,
    seen: AtomicU64,
    /// Nanoseconds since the begin: when the last look was, and when marks were passed.
    last: AtomicU64,
    first: AtomicU64,
    updates_begin: AtomicU64,
    updates_end: AtomicU64,
    longest: AtomicU64,
    longest_at: AtomicU64,
    /// What the system did with the thread, looked at each millisecond; and during the longest pause.
    scheduled: Mutex<Scheduled>,
    during_longest: Mutex<Scheduled>,
}

/// What the system did with a thread so far, or during a time. All zero where the system does not tell.
#[derive(Clone, Copy, Default)]
struct Scheduled {
    /// Nanoseconds since the begin of the meter.
    at: u64,
    /// Nanoseconds on a processor, up to the last tick.
    ran: u64,
    /// Nanoseconds ready to run, but waiting for a processor.
    waited: u64,
}

impl Scheduled {
    /// Nanoseconds between two looks.
    const INTERVAL: u64 = 1_000_000;

    /// For the thread that calls.
    fn now(at: u64) -> Self {
        // See proc_pid_schedstat(5) of Linux: "ran waited slices".
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        let mut numbers = text.split_whitespace().map(|number| number.parse().unwrap_or(0));
        Self { at, ran: numbers.next().unwrap_or(0), waited: numbers.next().unwrap_or(0) }
    }

    const fn since(self, before: Self) -> Self {
        Self { at: self.at, ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

impl Meter {
    /// Records between two looks at the clock.
    const STRIDE: u64 = 16;

    pub(super) fn new(records: u64, keys: u64) -> Self {
        let world = World::real();
        let begin = world.mono();
        let zero = || AtomicU64::new(0);
        Self {
            world,
            begin,
            records,
            keys,
            seen: zero(),
            last: zero(),
            first: zero(),
            updates_begin: zero(),
            updates_end: zero(),
            longest: zero(),
            longest_at: zero(),
            scheduled: Mutex::default(),
            during_longest: Mutex::default(),
        }
    }

    /// A record is about to be processed.
    pub(super) fn record(&self) {
        let seen = self.seen.load(Ordering::Relaxed);
        self.seen.store(seen + 1, Ordering::Relaxed);
        if seen.is_multiple_of(Self::STRIDE) {
            self.look(seen);
        }
    }

    fn look(&self, seen: u64) {
        let now = self.now();
        let last = self.last.swap(now, Ordering::Relaxed);
        // Until the load is over, the table grows, which is no matter of checkpoints.
        let (begin, end) = (self.keys * 51 / 50, self.records * 49 / 50);
        if seen == 0 {
            self.first.store(now, Ordering::Relaxed);
        } else if (begin..end).contains(&seen) {
            if self.updates_begin.load(Ordering::Relaxed) == 0 {
                self.updates_begin.store(now, Ordering::Relaxed);
            } else if now - last > self.longest.load(Ordering::Relaxed) {
                self.longest.store(now - last, Ordering::Relaxed);
                self.longest_at.store(now, Ordering::Relaxed);
                let mut scheduled = self.scheduled.lock().unwrap_or_else(PoisonError::into_inner);
                let here = Scheduled::now(now);
                *self.during_longest.lock().unwrap_or_else(PoisonError::into_inner) = here.since(*scheduled);
                *scheduled = here;
            } else {
                let mut scheduled = self.scheduled.lock().unwrap_or_else(PoisonError::into_inner);
                if now - scheduled.at > Scheduled::INTERVAL {
                    *scheduled = Scheduled::now(now);
                }
            }
            self.updates_end.store(now, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.world.mono().since(self.begin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Records so far.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// The longest pause since this was last asked for.
    pub(super) fn take_longest_pause(&self) -> Duration {
        Duration::from_nanos(self.longest.swap(0, Ordering::Relaxed))
    }

    /// Seconds from the begin to the first record; `None` before it.
    pub(super) fn first_after_s(&self) -> Option<f64> {
        (self.seen() > 0).then(|| self.first.load(Ordering::Relaxed) as f64 / 1e9)
    }

    pub(super) fn report(&self, figures: &mut Map<String, Value>) {
        let (begin, end) = (self.updates_begin.load(Ordering::Relaxed), self.updates_end.load(Ordering::Relaxed));
        let updates = self.records * 49 / 50 - self.keys * 51 / 50;
        figures.insert("updates_per_s".to_string(), (updates as f64 / ((end - begin) as f64 / 1e9)).round().into());
        figures.insert("longest_pause_ms".to_string(), (self.longest.load(Ordering::Relaxed) as f64 / 1e6).into());
        let during = *self.during_longest.lock().unwrap_or_else(PoisonError::into_inner);
        figures.insert("longest_pause_ran_ms".to_string(), (during.ran as f64 / 1e6).into());
        figures.insert("longest_pause_waited_ms".to_string(), (during.waited as f64 / 1e6).into());
        figures.insert("longest_pause_at_s".to_string(), (self.longest_at.load(Ordering::Relaxed) as f64 / 1e9).into());
    }
}

/// A folder for one run, on the disk that holds temporary files; it vanishes with this.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(name: &str) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("brisk-bench-{name}-{}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// The path of something in it.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Complete checkpoints that are still there.
    pub(super) fn checkpoints(&self) -> u64 {
        complete_checkpoints(&self.0.join("checkpoints")).len() as u64
    }

    /// When each complete checkpoint was complete, and its path; in order of time.
    pub(super) fn completed(&self) -> Vec<(SystemTime, PathBuf)> {
        complete_checkpoints(&self.0.join("checkpoints"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn complete_checkpoints(folder: &Path) -> Vec<(SystemTime, PathBuf)> {
    let children = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let time = |path: PathBuf| Some((fs::metadata(path.join("_metadata")).ok()?.modified().ok()?, path));
    let mut found: Vec<_> = children(folder).flat_map(|job| children(&job).filter_map(time).collect::<Vec<_>>()).collect();
    found.sort();
    found
}
