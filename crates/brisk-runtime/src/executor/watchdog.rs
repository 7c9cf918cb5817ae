//! Watches the core workers: a task that blocks one must not hold up the others.
//!
//! One thread looks at the workers' polls every few milliseconds, and sleeps while no worker polls. A poll that lasts longer than
//! [`BLOCKED_AFTER`] costs its thread the slot: a spare thread works there from then on, and the blocked one keeps the task as its
//! dedicated thread. The watchdog is also what notices work that waits behind a poll that never looks at the clock, and deadlines that pass while
//! all awake workers are busy.

use super::pool::Pool;
use super::sharing::PATIENCE;
use super::slot::Seat;
use super::threads::park_until;
use brisk_base::world::MonoTime;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

/// A poll longer than this blocks its worker.
pub(super) const BLOCKED_AFTER: Duration = Duration::from_millis(20);
/// Between two looks.
const TICK: Duration = Duration::from_millis(5);
/// Between two looks while a worker is held up by a poll and another one sleeps.
const SHORT_TICK: Duration = Duration::from_millis(1);
/// Looks without a poll in between after which the watchdog sleeps.
const QUIET_TICKS: u32 = 2;

/// The watchdog's bed.
pub(super) struct Watch {
    /// Whether it sleeps until the next poll.
    asleep: AtomicBool,
    /// Its thread, once it runs.
    thread: OnceLock<Thread>,
}

impl Watch {
    /// Awake.
    pub(super) const fn new() -> Self {
        Self { asleep: AtomicBool::new(false), thread: OnceLock::new() }
    }

    /// Called at the start of each poll, after the poll can be seen: whoever comes second, this or [`Watchdog::sleep`], sees the other.
    #[inline]
    pub(super) fn wake_if_asleep(&self) {
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Whether it sleeps.
    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        self.asleep.load(Ordering::SeqCst)
    }

    /// Ends its sleep.
    pub(super) fn wake(&self) {
        if self.asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }
}

/// The watchdog's memory of the last look.
struct Watchdog {
    pool: Arc<Pool>,
    /// Per slot: the seat's count of polls.
    polls: Vec<u64>,
    /// Per slot: start of the poll for which a spare thread has been started.
    relieved: Vec<MonoTime>,
}

/// Watches until the executor shuts down.
pub(super) fn run(pool: Arc<Pool>) {
    pool.watch.thread.get_or_init(std::thread::current);
    let slots = pool.slots.len();
    let mut dog = Watchdog { pool, polls: vec![0; slots], relieved: vec![MonoTime::NEVER; slots] };
    let mut quiet = 0;
    while !dog.pool.is_closed() {
        let (active, held_up) = dog.look();
        quiet = if active { 0 } else { quiet + 1 };
        if quiet > QUIET_TICKS {
            dog.sleep();
            quiet = 0;
        }
        let world = &dog.pool.world;
        park_until(world, world.mono().after(if held_up { SHORT_TICK } else { TICK }));
    }
}

impl Watchdog {
    /// Looks at each worker once. Returns whether any polled since the last look, and whether one is held up while another sleeps.
    fn look(&mut self) -> (bool, bool) {
        let pool = Arc::clone(&self.pool);
        let now = pool.world.mono();
        let (mut active, mut held_up, mut waiting) = (false, false, false);
        for (i, slot) in pool.slots.iter().enumerate() {
            let seat = slot.seat();
            let polls = seat.polls.load(Ordering::Relaxed);
            active |= std::mem::replace(&mut self.polls[i], polls) != polls;
            let Some(since) = seat.polling_since() else { continue };
            active = true;
            let age = now.since(since);
            held_up |= age > PATIENCE;
            waiting |= age > PATIENCE && slot.len() > 0;
            if age > BLOCKED_AFTER && self.relieved[i] != since {
                self.relieved[i] = since;
                self.relieve(i, seat, since);
            }
        }
        pool.timers.fire(now);
        if waiting {
            pool.call_idle();
        }
        (active, held_up && pool.has_idle())
    }

    /// Starts a thread to take over the slot of a worker whose poll began at `since`. The poll may return before that thread runs.
    fn relieve(&self, slot: usize, blocked: Arc<Seat>, since: MonoTime) {
        let pool = Arc::clone(&self.pool);
        let body = move || {
            if blocked.unseat(since) {
                let spare = pool.spare_seat(slot);
                pool.slots[slot].set_seat(Arc::clone(&spare));
                report(&pool, &blocked, since);
                pool.work(&spare);
            }
        };
        let name = format!("{}-{slot}", self.pool.name);
        if let Err(error) = self.pool.threads.start(&self.pool.world, &name, Box::new(body))
            && !self.pool.is_closed()
        {
            tracing::error!(%error, slot, "no thread to relieve a blocked worker; its other tasks wait for it");
        }
    }

    /// Sleeps until a poll begins or the executor shuts down.
    fn sleep(&self) {
        let watch = &self.pool.watch;
        watch.asleep.store(true, Ordering::SeqCst);
        if self.pool.slots.iter().any(|slot| slot.seat().polling_since().is_some()) {
            watch.asleep.store(false, Ordering::SeqCst);
        }
        while watch.asleep.load(Ordering::SeqCst) && !self.pool.is_closed() {
            std::thread::park();
        }
    }
}

/// Tells the world about the task that blocked the worker in this seat.
fn report(pool: &Pool, blocked: &Seat, since: MonoTime) {
    let Some(cell) = pool.tasks.get(blocked.task.load(Ordering::Relaxed)) else { return };
    let so_far = pool.world.mono().since(since);
    cell.blocked.store(true, Ordering::Release);
    tracing::warn!(task = %cell.name, so_far_ms = so_far.as_millis() as u64, "task blocks its worker and is moved to a thread of its own");
    cell.tell(|observer| observer.blocked(&cell.name, so_far));
}
