//! Executors: who polls a task, on which thread, and for how long.
//!
//! | executor | file | for |
//! |---|---|---|
//! | [`CoreWorkers`] | [`core_workers`] | real runs: as many threads as cores, whatever the number of tasks |
//! | a dedicated thread | `dedicated` | a task whose user code blocks: asked for, or moved there by the `watchdog` |
//! | [`StepExecutor`] | [`stepper`] | the simulator and tests: one thread, one seed, virtual time |
//!
//! All three run the same [`PollTask`]: a synchronous state machine that does bounded work and says whether it waits. They promise:
//! a task is polled by one thread at a time; a wake-up that comes after a poll began leads to another poll; a panic ends its own task
//! and nothing else. An executor never looks into a task, and never blocks on one.

mod cell;
pub mod core_workers;
mod dedicated;
mod handle;
mod panic;
mod poll;
mod pool;
mod registry;
mod sharing;
mod slot;
pub mod stepper;
mod task_state;
mod threads;
mod timers;
mod watchdog;

pub use core_workers::{CoreWorkers, CoreWorkersOptions, ShutdownReport};
pub use handle::{TaskHandle, TaskOutcome};
pub use panic::PanicReport;
pub(crate) use panic::guarded;
pub use poll::{POLL_BUDGET, PollContext, poll_fn};
pub use stepper::{StepExecutor, Stepped};

use brisk_base::world::World;
use std::sync::Arc;
use std::time::Duration;

/// What a poll says about the task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TaskPoll {
    /// It waits: for its waker, or for the time it gave to [`PollContext::wake_at`].
    Pending,
    /// It has more work and gives others their turn.
    Yield,
    /// It is over; drop it.
    Done,
}

/// A task as an executor sees it.
pub trait PollTask: Send {
    /// Does bounded work, about [`POLL_BUDGET`] long, and says what comes next.
    ///
    /// Who returns [`TaskPoll::Pending`] has handed `cx.waker()` to whatever it waits for, or has called [`PollContext::wake_at`].
    fn poll(&mut self, cx: &mut PollContext<'_>) -> TaskPoll;

    /// The task's name in reports. Asked once, when the task is spawned.
    fn name(&self) -> &str;
}

/// Hears what becomes of a task. Called on whatever thread finds out, so it should only pass the news on.
pub trait TaskObserver: Send + Sync {
    /// The task is over and has been dropped.
    fn ended(&self, _task: &str, _outcome: &TaskOutcome) {}

    /// A poll of the task has lasted `so_far`; its worker has been given to another thread, and the task keeps the blocked one.
    fn blocked(&self, _task: &str, _so_far: Duration) {}
}

/// How to run a task.
#[derive(Clone, Default)]
pub struct SpawnOptions {
    /// Give the task a thread of its own, because its user code blocks.
    pub dedicated: bool,
    /// Hears what becomes of the task.
    pub observer: Option<Arc<dyn TaskObserver>>,
}

impl SpawnOptions {
    /// A thread of its own.
    pub fn dedicated() -> Self {
        Self { dedicated: true, observer: None }
    }

    /// With this observer.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn TaskObserver>) -> Self {
        self.observer = Some(observer);
        self
    }
}

/// Polls tasks until they are over.
pub trait Executor: Send + Sync {
    /// Takes the task over; its first poll comes without a wake-up. After a shutdown the task is dropped at once.
    fn spawn(&self, task: Box<dyn PollTask>, options: SpawnOptions) -> TaskHandle;

    /// The clocks, randomness and threads that the tasks are run with.
    fn world(&self) -> &World;
}
