//! A worker's place: its run queue, whether its worker sleeps, and which thread that is.
//!
//! A thread holds its place through a [`Seat`]. The seat's phase is one word, so that the end of a poll and the watchdog's verdict on it
//! cannot both win: the poll's end swaps it to `FREE`, the watchdog swaps the start of that very poll to `LOST`.

use super::cell::TaskCell;
use super::registry::locked;
use brisk_base::world::MonoTime;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// [`Seat::phase`] between polls.
pub(super) const FREE: u64 = 0;
/// [`Seat::phase`] once the watchdog has given the slot to another thread.
pub(super) const LOST: u64 = u64::MAX;

/// [`Slot::rest`]: the worker runs.
pub(super) const AWAKE: u8 = 0;
/// [`Slot::rest`]: the worker sleeps or is about to.
pub(super) const PARKED: u8 = 1;
/// [`Slot::rest`]: the worker has been woken to help another one.
pub(super) const CALLED: u8 = 2;

/// A thread in its role as worker of one slot. On cache lines of its own, since it is written in each poll.
#[repr(align(128))]
pub(super) struct Seat {
    /// Tells the pools of a process apart.
    pub(super) pool: usize,
    /// Index of the slot.
    pub(super) slot: usize,
    /// The thread, once it runs.
    pub(super) thread: OnceLock<Thread>,
    /// `FREE`, the time the current poll began, or `LOST`.
    pub(super) phase: AtomicU64,
    /// Polls begun so far; lets the watchdog see activity.
    pub(super) polls: AtomicU64,
    /// Number of the task polled last.
    pub(super) task: AtomicU64,
}

impl Seat {
    /// A seat for a thread that is about to start.
    pub(super) fn new(pool: usize, slot: usize) -> Arc<Self> {
        let (phase, polls, task) = (AtomicU64::new(FREE), AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { pool, slot, thread: OnceLock::new(), phase, polls, task })
    }

    /// When the current poll began.
    pub(super) fn polling_since(&self) -> Option<MonoTime> {
        match self.phase.load(Ordering::SeqCst) {
            FREE | LOST => None,
            since => Some(MonoTime(since)),
        }
    }

    /// Takes the slot away from a thread whose poll began at `since` and has not returned. False if it has.
    pub(super) fn unseat(&self, since: MonoTime) -> bool {
        self.phase.compare_exchange(since.0, LOST, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// A place for one worker. On cache lines of its own, as workers write to theirs all the time.
#[repr(align(128))]
pub(super) struct Slot {
    /// Runnable tasks, oldest first.
    pub(super) queue: Mutex<VecDeque<Arc<TaskCell>>>,
    /// Length of `queue`, for a look without the lock.
    length: AtomicUsize,
    /// `AWAKE`, `PARKED` or `CALLED`.
    pub(super) rest: AtomicU8,
    /// The thread that works here.
    seat: Mutex<Arc<Seat>>,
}

impl Slot {
    /// A slot whose worker is about to start.
    pub(super) fn new(seat: Arc<Seat>) -> Self {
        let queue = Mutex::new(VecDeque::new());
        Self { queue, length: AtomicUsize::new(0), rest: AtomicU8::new(AWAKE), seat: Mutex::new(seat) }
    }

    /// The thread that works here.
    pub(super) fn seat(&self) -> Arc<Seat> {
        Arc::clone(&locked(&self.seat))
    }

    /// Seats another thread.
    pub(super) fn set_seat(&self, seat: Arc<Seat>) {
        *locked(&self.seat) = seat;
    }

    /// Runnable tasks here, as of a moment ago.
    pub(super) fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Whether the worker sleeps, as of a moment ago.
    pub(super) fn is_parked(&self) -> bool {
        self.rest.load(Ordering::SeqCst) == PARKED
    }

    /// Adds a runnable task. Who is not this slot's worker then looks whether that one sleeps.
    pub(super) fn push(&self, cell: Arc<TaskCell>) {
        let mut queue = locked(&self.queue);
        queue.push_back(cell);
        self.length.store(queue.len(), Ordering::Relaxed);
    }

    /// The task that has waited longest.
    pub(super) fn pop(&self) -> Option<Arc<TaskCell>> {
        if self.len() == 0 {
            return None;
        }
        let mut queue = locked(&self.queue);
        let cell = queue.pop_front();
        self.length.store(queue.len(), Ordering::Relaxed);
        cell
    }

    /// How long the current poll has lasted; `None` if there is none.
    pub(super) fn poll_age(&self, now: MonoTime) -> Option<Duration> {
        locked(&self.seat).polling_since().map(|since| now.since(since))
    }
}
