//! The core workers' shared parts: run queues, parked workers, and the rules that bring the two together.
//!
//! Each worker has a slot with a first-in-first-out queue. A task goes to the slot it was polled in last (its home), unless the rules in
//! `sharing` say otherwise. Workers look at the deadlines between polls; of those that sleep, one sleeps only until the first deadline.

use super::cell::{Polled, TaskCell};
use super::registry::{Registry, locked};
use super::sharing::PATIENCE;
use super::slot::{AWAKE, CALLED, FREE, LOST, PARKED, Seat, Slot};
use super::threads::{Threads, park_until};
use super::timers::Timers;
use super::watchdog::Watch;
use super::{POLL_BUDGET, PollContext, dedicated};
use brisk_base::world::{MonoTime, World};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;

/// What the workers of one executor share.
pub(super) struct Pool {
    /// Tells the pools of a process apart.
    pub(super) number: usize,
    /// Clocks, randomness and threads.
    pub(super) world: World,
    /// Prefix of thread names.
    pub(super) name: String,
    /// One per worker.
    pub(super) slots: Box<[Slot]>,
    /// Deadlines of the tasks, but for those on dedicated threads.
    pub(super) timers: Timers,
    /// Live tasks.
    pub(super) tasks: Registry,
    /// Workers, dedicated threads, the watchdog.
    pub(super) threads: Arc<Threads>,
    /// The watchdog's bed.
    pub(super) watch: Watch,
    /// Set when the executor shuts down.
    closed: AtomicBool,
    /// Parked workers.
    pub(super) idle: AtomicUsize,
    /// Called workers that have not looked for work yet; 0 or 1.
    pub(super) called: AtomicUsize,
    /// Until when a parked worker sleeps at the latest, so that the others need not wake up for the same deadline.
    kept_until: AtomicU64,
    /// Home of the next task to be spawned.
    next_home: AtomicUsize,
}

thread_local! {
    /// The seat of this thread, while it is a worker.
    pub(super) static SEAT: RefCell<Option<Arc<Seat>>> = const { RefCell::new(None) };
}

impl Pool {
    /// A pool without threads yet.
    pub(super) fn new(world: World, name: String, workers: usize) -> Arc<Self> {
        static POOLS: AtomicUsize = AtomicUsize::new(0);
        let number = POOLS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self {
            number,
            world,
            name,
            slots: (0..workers.max(1)).map(|slot| Slot::new(Seat::new(number, slot))).collect(),
            timers: Timers::new(),
            tasks: Registry::new(),
            threads: Threads::new(),
            watch: Watch::new(),
            closed: AtomicBool::new(false),
            idle: AtomicUsize::new(0),
            called: AtomicUsize::new(0),
            kept_until: AtomicU64::new(MonoTime::NEVER.0),
            next_home: AtomicUsize::new(0),
        })
    }

    /// A seat at `slot` for another thread.
    pub(super) fn spare_seat(&self, slot: usize) -> Arc<Seat> {
        Seat::new(self.number, slot)
    }

    /// Whether the executor is shutting down.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether a worker sleeps.
    pub(super) fn has_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst) > 0
    }

    /// Picks the home of a new task.
    pub(super) fn assign_home(&self, cell: &TaskCell) {
        cell.settle(self.next_home.fetch_add(1, Ordering::Relaxed) % self.slots.len());
    }

    /// Sends all threads home.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for slot in &self.slots {
            if let Some(thread) = slot.seat().thread.get() {
                thread.unpark();
            }
        }
        self.watch.wake();
    }

    /// Empties the queues, after the threads have gone.
    pub(super) fn drain(&self) {
        for slot in &self.slots {
            let left = std::mem::take(&mut *locked(&slot.queue));
            drop(left);
        }
    }

    /// Works in this seat until the executor is shut down or the slot is lost; in the latter case stays with the task that lost it.
    pub(super) fn work(&self, seat: &Arc<Seat>) {
        seat.thread.get_or_init(std::thread::current);
        SEAT.set(Some(Arc::clone(seat)));
        let slot = &self.slots[seat.slot];
        let mut shift = Shift { now: self.world.mono(), since: MonoTime(0), called: false };
        shift.since = shift.now;
        while let Some(cell) = self.next_task(seat, slot, &mut shift) {
            if !cell.start() {
                continue;
            }
            cell.settle(seat.slot);
            match self.poll(seat, slot, &cell, shift.now) {
                Seated::Still => {}
                Seated::NoMore => break,
                Seated::NoMoreWith(polled, until) => {
                    SEAT.set(None);
                    self.timers.cancel(&cell);
                    return dedicated::carry_on(&self.world, &cell, polled, until);
                }
            }
        }
        SEAT.set(None);
    }

    /// Polls the task, on the watchdog's clock; dropping it, should this be its end, is part of that.
    fn poll(&self, seat: &Seat, slot: &Slot, cell: &Arc<TaskCell>, now: MonoTime) -> Seated {
        let waker = Waker::from(Arc::clone(cell));
        let since = now.0.max(1);
        seat.task.store(cell.id, Ordering::Relaxed);
        seat.polls.store(seat.polls.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        seat.phase.store(since, Ordering::SeqCst);
        self.watch.wake_if_asleep();
        let help = |now: MonoTime| {
            if now.since(MonoTime(since)) > PATIENCE && slot.len() > 0 {
                self.call_idle();
            }
        };
        let mut cx = PollContext::starting(&waker, &self.world, now, POLL_BUDGET).with_hook(&help);
        let polled = cell.poll(&mut cx);
        let until = cx.wanted();
        if cell.is_last(&polled) {
            cell.finish(polled);
            return if seat.phase.swap(FREE, Ordering::AcqRel) == LOST { Seated::NoMore } else { Seated::Still };
        }
        if seat.phase.swap(FREE, Ordering::AcqRel) == LOST {
            return Seated::NoMoreWith(polled, until);
        }
        self.timers.set(cell, until);
        if cell.finish(polled) {
            slot.push(Arc::clone(cell));
        }
        Seated::Still
    }

    /// The next task to poll here; sleeps until there is one. `None` when the executor shuts down.
    fn next_task(&self, seat: &Seat, slot: &Slot, shift: &mut Shift) -> Option<Arc<TaskCell>> {
        loop {
            if self.is_closed() {
                return None;
            }
            shift.now = self.world.mono();
            self.timers.fire(shift.now);
            if let Some(cell) = slot.pop() {
                self.arrive(shift);
                if slot.len() > 0 && shift.now.since(shift.since) > PATIENCE {
                    self.call_idle();
                }
                return Some(cell);
            }
            let stolen = self.steal(seat.slot, shift);
            self.arrive(shift);
            if stolen.is_some() {
                return stolen;
            }
            shift.called = self.sleep(slot);
            shift.since = self.world.mono();
        }
    }

    /// A called worker has found work or looked everywhere: another may be called.
    fn arrive(&self, shift: &mut Shift) {
        if std::mem::take(&mut shift.called) {
            self.called.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Sleeps until there is something to do here. True if the worker was called to help.
    fn sleep(&self, slot: &Slot) -> bool {
        self.idle.fetch_add(1, Ordering::SeqCst);
        slot.rest.store(PARKED, Ordering::SeqCst);
        if locked(&slot.queue).is_empty() {
            let until = self.keep_time();
            while slot.is_parked() && !self.is_closed() && self.world.mono() < until {
                park_until(&self.world, until);
            }
            if until != MonoTime::NEVER {
                // Fails if another worker has taken over since.
                let _ = self.kept_until.compare_exchange(until.0, MonoTime::NEVER.0, Ordering::SeqCst, Ordering::SeqCst);
            }
        }
        match slot.rest.swap(AWAKE, Ordering::SeqCst) {
            PARKED => {
                self.idle.fetch_sub(1, Ordering::SeqCst);
                false
            }
            rest => rest == CALLED,
        }
    }

    /// Until when the calling worker may sleep: the first deadline, or the time to help with work that waits, unless another sleeper is
    /// up by then.
    fn keep_time(&self) -> MonoTime {
        let mut next = self.timers.next();
        if self.slots.iter().any(|slot| slot.len() > 0) {
            next = next.min(self.world.mono().after(PATIENCE));
        }
        let mut kept = self.kept_until.load(Ordering::SeqCst);
        while next.0 < kept {
            match self.kept_until.compare_exchange(kept, next.0, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return next,
                Err(other) => kept = other,
            }
        }
        MonoTime::NEVER
    }
}

/// Whether a worker still has its slot after a poll.
enum Seated {
    /// It has.
    Still,
    /// The slot was lost to another thread, and the task is over.
    NoMore,
    /// The slot was lost; the poll's end, with the deadline it asked for, is still to be handled.
    NoMoreWith(Polled, MonoTime),
}

/// A worker's view of the time between two sleeps.
pub(super) struct Shift {
    /// The time, as of the last look between polls.
    pub(super) now: MonoTime,
    /// When the worker woke up.
    since: MonoTime,
    /// Whether it was called to help and has not yet looked for work.
    pub(super) called: bool,
}
