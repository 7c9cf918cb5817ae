//! The core workers' shared parts: run queues, parked workers, and the rules that bring the two together.
//!
//! Each worker has a slot with a first-in-first-out queue. A task goes to the slot it was polled in last (its home). Rules of sharing:
//!
//! * A task woken by a worker while its home is asleep stays with the waker, which will be free sooner than a sleeping thread is awake.
//!   One woken from outside while its home is busy goes to a worker that sleeps, if there is one.
//! * A slot's next task is left to its worker for [`PATIENCE`]; work that waits longer behind one poll, or behind another task, has an
//!   idle worker called. At most one called worker is on its way at a time.
//! * Who runs out of work takes from a slot with several waiting tasks, or from one whose worker is held up, before it sleeps.
//!
//! What keeps a task from being forgotten is only this: a worker says that it sleeps before it looks into its queue for the last time, and
//! who pushes looks for a sleeper after the push, both under the queue's lock. All calls of idle workers are for speed; the watchdog
//! repeats them for polls that never look at the clock.

use super::cell::{Polled, Schedule, TaskCell};
use super::registry::{Registry, locked};
use super::threads::{Threads, park_until};
use super::timers::Timers;
use super::watchdog::Watch;
use super::{POLL_BUDGET, PollContext, dedicated};
use brisk_base::world::{MonoTime, World};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::thread::Thread;
use std::time::Duration;

/// How long a runnable task is left to a busy worker before an idle one is called: about what it costs to wake a thread.
pub(super) const PATIENCE: Duration = Duration::from_micros(50);

/// [`Seat::phase`] between polls.
const FREE: u64 = 0;
/// [`Seat::phase`] once the watchdog has given the slot to another thread.
const LOST: u64 = u64::MAX;

/// [`Slot::rest`]: the worker runs.
const AWAKE: u8 = 0;
/// [`Slot::rest`]: the worker sleeps or is about to.
const PARKED: u8 = 1;
/// [`Slot::rest`]: the worker has been woken to help another one.
const CALLED: u8 = 2;

/// A thread in its role as worker of one slot. On cache lines of its own, since it is written in each poll.
#[repr(align(128))]
pub(super) struct Seat {
    /// Tells the pools of a process apart.
    pool: usize,
    /// Index of the slot.
    slot: usize,
    /// The thread, once it runs.
    thread: OnceLock<Thread>,
    /// `FREE`, the time the current poll began, or `LOST`.
    phase: AtomicU64,
    /// Polls begun so far; lets the watchdog see activity.
    pub(super) polls: AtomicU64,
    /// Number of the task polled last.
    pub(super) task: AtomicU64,
}

impl Seat {
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
    queue: Mutex<VecDeque<Arc<TaskCell>>>,
    /// Length of `queue`, for a look without the lock.
    length: AtomicUsize,
    /// `AWAKE`, `PARKED` or `CALLED`.
    rest: AtomicU8,
    /// The thread that works here.
    seat: Mutex<Arc<Seat>>,
}

impl Slot {
    fn new(seat: Arc<Seat>) -> Self {
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

    fn push(&self, cell: Arc<TaskCell>) {
        let mut queue = locked(&self.queue);
        queue.push_back(cell);
        self.length.store(queue.len(), Ordering::Relaxed);
    }

    fn pop(&self) -> Option<Arc<TaskCell>> {
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

/// What the workers of one executor share.
pub(super) struct Pool {
    /// Tells the pools of a process apart.
    number: usize,
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
    idle: AtomicUsize,
    /// Called workers that have not looked for work yet; 0 or 1.
    called: AtomicUsize,
    /// Until when a parked worker sleeps at the latest, so that the others need not wake up for the same deadline.
    kept_until: AtomicU64,
    /// Home of the next task to be spawned.
    next_home: AtomicUsize,
}

thread_local! {
    /// The seat of this thread, while it is a worker.
    static SEAT: RefCell<Option<Arc<Seat>>> = const { RefCell::new(None) };
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
            slots: (0..workers.max(1)).map(|slot| Slot::new(new_seat(number, slot))).collect(),
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
        new_seat(self.number, slot)
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

    /// Takes a task from a worker that has several, or that is held up; a called worker also takes the only one of a busy worker.
    fn steal(&self, thief: usize, shift: &Shift) -> Option<Arc<TaskCell>> {
        let workers = self.slots.len();
        (1..workers).map(|step| &self.slots[(thief + step) % workers]).find_map(|victim| {
            let worth = match victim.len() {
                0 => false,
                1 => victim.poll_age(shift.now).is_some_and(|age| shift.called || age > PATIENCE),
                _ => true,
            };
            if worth { victim.pop() } else { None }
        })
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

    /// Wakes the worker of this slot if it sleeps. False if it does not.
    fn rouse(&self, slot: &Slot, rest: u8) -> bool {
        if !slot.is_parked() || slot.rest.compare_exchange(PARKED, rest, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return false;
        }
        self.idle.fetch_sub(1, Ordering::SeqCst);
        if let Some(thread) = slot.seat().thread.get() {
            thread.unpark();
        }
        true
    }

    /// Wakes a sleeping worker to take work from a busy one, unless one is on its way already.
    pub(super) fn call_idle(&self) {
        if !self.has_idle() || self.called.load(Ordering::Relaxed) > 0 {
            return;
        }
        if self.called.compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_ok()
            && !self.slots.iter().any(|s| self.rouse(s, CALLED))
        {
            self.called.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Gives a task that a thread outside has woken to its home, or to a worker that sleeps while its home is busy.
    fn schedule_elsewhere(&self, cell: Arc<TaskCell>) {
        let home = &self.slots[cell.home()];
        let free = if home.is_parked() || !self.has_idle() { None } else { self.slots.iter().find(|s| s.is_parked()) };
        let slot = free.unwrap_or(home);
        slot.push(cell);
        self.nudge(slot);
    }

    /// Keeps a task that a worker's thread has woken with that worker, unless its home is awake; gives it back if this is no worker any more.
    fn schedule_here(&self, seat: &Seat, cell: Arc<TaskCell>) -> Result<(), Arc<TaskCell>> {
        let phase = seat.phase.load(Ordering::Relaxed);
        if phase == LOST {
            return Err(cell);
        }
        let home = &self.slots[cell.home()];
        if phase != FREE && cell.home() != seat.slot && !home.is_parked() {
            home.push(cell);
            self.nudge(home);
            return Ok(());
        }
        let slot = &self.slots[seat.slot];
        slot.push(cell);
        if seat.phase.load(Ordering::SeqCst) == LOST {
            // Lost during the push: the new worker may have looked into the queue before it, and sleep.
            self.nudge(slot);
        } else if phase != FREE && self.has_idle() && self.world.mono().since(MonoTime(phase)) > PATIENCE {
            self.call_idle();
        }
        Ok(())
    }

    /// After a push to another worker's slot: makes sure that somebody gets to it soon.
    fn nudge(&self, slot: &Slot) {
        if self.rouse(slot, AWAKE) || !self.has_idle() {
            return;
        }
        let held_up = || slot.poll_age(self.world.mono()).is_some_and(|age| age > PATIENCE);
        if slot.len() > 1 || held_up() {
            self.call_idle();
        }
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
struct Shift {
    /// The time, as of the last look between polls.
    now: MonoTime,
    /// When the worker woke up.
    since: MonoTime,
    /// Whether it was called to help and has not yet looked for work.
    called: bool,
}

impl Schedule for Pool {
    fn schedule(&self, cell: Arc<TaskCell>) {
        let mut cell = Some(cell);
        // An error means that the thread is about to exit, and is no worker.
        let _ = SEAT.try_with(|seat| {
            if let Some(seat) = seat.borrow().as_ref().filter(|s| s.pool == self.number) {
                cell = cell.take().and_then(|cell| self.schedule_here(seat, cell).err());
            }
        });
        if let Some(cell) = cell {
            self.schedule_elsewhere(cell);
        }
    }

    fn forget(&self, cell: &TaskCell) {
        self.timers.cancel(cell);
        self.tasks.remove(cell.id);
    }
}

/// A seat for a thread that is about to start.
fn new_seat(pool: usize, slot: usize) -> Arc<Seat> {
    let (phase, polls, task) = (AtomicU64::new(FREE), AtomicU64::new(0), AtomicU64::new(0));
    Arc::new(Seat { pool, slot, thread: OnceLock::new(), phase, polls, task })
}
