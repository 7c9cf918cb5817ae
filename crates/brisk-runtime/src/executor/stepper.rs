//! The simulator's executor: no thread of its own, no order but the driver's.
//!
//! Wake-ups only mark tasks as runnable. The driver picks one at random, lets it do as much as it chooses, and moves the clock by itself;
//! with one seed, one clock and one thread, a run is repeated exactly. The same promises hold as for the other executors, so a task
//! cannot tell the difference, except that nothing here notices a poll that never returns.

use super::cell::{Polled, Schedule, TaskCell};
use super::registry::{Registry, locked};
use super::timers::Timers;
use super::{Executor, POLL_BUDGET, PollContext, PollTask, SpawnOptions, TaskHandle, TaskPoll};
use brisk_base::world::{MonoTime, Rng, World};
use std::sync::{Arc, Mutex};
use std::task::Waker;

/// Holds tasks; polls one at each [`run_one`](Self::run_one).
pub struct StepExecutor {
    shared: Arc<Shared>,
}

/// What the wakers reach.
struct Shared {
    /// Clocks and randomness of the tasks.
    world: World,
    /// Scheduled tasks, in the order of their wake-ups.
    runnable: Mutex<Vec<Arc<TaskCell>>>,
    /// Deadlines.
    timers: Timers,
    /// Live tasks.
    tasks: Registry,
}

/// One poll that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stepped {
    /// The task's name.
    pub task: String,
    /// What the poll said; a panic is `Done`.
    pub poll: TaskPoll,
}

impl StepExecutor {
    /// An executor without tasks. Time is what `world` says; the driver advances it.
    pub fn new(world: World) -> Self {
        let (runnable, timers, tasks) = (Mutex::new(Vec::new()), Timers::new(), Registry::new());
        Self { shared: Arc::new(Shared { world, runnable, timers, tasks }) }
    }

    /// Polls a runnable task picked by `rng`; the poll is out of time after `checks` looks at the clock. `None` if no task is runnable.
    pub fn run_one(&self, rng: &mut Rng, checks: u32) -> Option<Stepped> {
        loop {
            let cell = {
                let mut runnable = locked(&self.shared.runnable);
                if runnable.is_empty() {
                    return None;
                }
                let pick = rng.below(runnable.len() as u64) as usize;
                runnable.swap_remove(pick)
            };
            if cell.start() {
                return Some(self.poll(&cell, checks));
            }
        }
    }

    fn poll(&self, cell: &Arc<TaskCell>, checks: u32) -> Stepped {
        let waker = Waker::from(Arc::clone(cell));
        let mut cx = PollContext::new(&waker, &self.shared.world, POLL_BUDGET).with_checks(checks);
        let polled = cell.poll(&mut cx);
        self.shared.timers.set(cell, cx.wanted());
        let poll = if let Polled::Said(said) = polled { said } else { TaskPoll::Done };
        if cell.finish(polled) {
            self.shared.schedule(Arc::clone(cell));
        }
        Stepped { task: cell.name.clone(), poll }
    }

    /// When a deadline may come up next; [`MonoTime::NEVER`] if there is none.
    pub fn next_deadline(&self) -> MonoTime {
        self.shared.timers.next()
    }

    /// Wakes the tasks whose deadline has come by the world's clock. True if there was one.
    pub fn fire_due(&self) -> bool {
        self.shared.timers.fire(self.shared.world.mono())
    }

    /// How many tasks could be polled now.
    pub fn runnable(&self) -> usize {
        locked(&self.shared.runnable).len()
    }

    /// Tasks that have been spawned and not yet dropped.
    pub fn live_tasks(&self) -> usize {
        self.shared.tasks.len()
    }

    /// Drops all tasks.
    pub fn shutdown(&self) {
        self.shared.tasks.close();
        for cell in self.shared.tasks.live() {
            cell.abandon();
        }
        let left = std::mem::take(&mut *locked(&self.shared.runnable));
        drop(left);
    }
}

impl Executor for StepExecutor {
    fn spawn(&self, task: Box<dyn PollTask>, options: SpawnOptions) -> TaskHandle {
        let scheduler: Arc<dyn Schedule> = Arc::clone(&self.shared) as _;
        let (cell, open) = self.shared.tasks.add(|id| TaskCell::scheduled(id, task, scheduler, options.observer));
        if open {
            self.shared.schedule(Arc::clone(&cell));
        } else {
            cell.abandon();
        }
        TaskHandle { cell }
    }

    fn world(&self) -> &World {
        &self.shared.world
    }
}

impl Schedule for Shared {
    fn schedule(&self, cell: Arc<TaskCell>) {
        locked(&self.runnable).push(cell);
    }

    fn forget(&self, cell: &TaskCell) {
        self.timers.cancel(cell);
        self.tasks.remove(cell.id);
    }
}

impl Drop for StepExecutor {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[cfg(test)]
mod tests;
