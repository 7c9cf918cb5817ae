//! Which worker gets a task that has been woken, and when a sleeping worker is woken for it.
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

use super::cell::{Schedule, TaskCell};
use super::pool::{Pool, SEAT, Shift};
use super::slot::{AWAKE, CALLED, FREE, LOST, PARKED, Seat, Slot};
use brisk_base::world::MonoTime;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a runnable task is left to a busy worker before an idle one is called: about what it costs to wake a thread.
pub(super) const PATIENCE: Duration = Duration::from_micros(50);

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
        if self.is_closed() {
            // Too late for the draining by the shutdown. All tasks have been abandoned, so nothing but empty cells is dropped.
            self.drain();
        }
    }

    fn forget(&self, cell: &TaskCell) {
        self.timers.cancel(cell);
        self.tasks.remove(cell.id);
    }
}

impl Pool {
    /// Takes a task from a worker that has several, or that is held up; a called worker also takes the only one of a busy worker.
    pub(super) fn steal(&self, thief: usize, shift: &Shift) -> Option<Arc<TaskCell>> {
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
