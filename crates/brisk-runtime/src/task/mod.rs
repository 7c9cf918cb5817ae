//! One subtask as a pollable task: its operators, its gate, its writers, its mailbox.
//!
//! All of a task's state changes on the thread that polls it. Whatever comes from outside (cancellation, messages of a coordinator) goes
//! through the mailbox; whatever goes out (states, messages to a coordinator) goes through the [`TaskReporter`].

mod barriers;
mod chain;
mod checkpoints;
mod control;
mod inputs;
mod operator_metrics;
mod pace;
mod restore;
mod start;
mod stream_task;
#[cfg(test)]
mod testing;
mod wiring;

pub use chain::{Chain, ChainSnapshot, ChainStep};
pub use control::{TaskControl, TaskIo, TaskIoSnapshot};
pub use pace::TaskPace;
pub use restore::{OldTask, RestoreTask, TaskRestore};
pub use start::{TaskDescriptor, TaskEnvironment, start_task};
pub use wiring::Wiring;

use crate::barrier::InFlight;
use crate::executor::TaskOutcome;
use brisk_base::Error;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId};
use brisk_core::checkpoint::Barrier;
use brisk_core::job::ExecutionState;
use brisk_core::source::SourceEvent;
use brisk_core::state::OperatorSnapshot;
use std::time::Duration;

/// A task's part of a checkpoint.
pub struct TaskCheckpoint {
    /// The barrier.
    pub barrier: Barrier,
    /// What its operators handed over, in the order of the chain.
    pub operators: Vec<(OperatorId, OperatorSnapshot)>,
    /// What was under way in the task, and where its channels stood.
    pub in_flight: InFlight,
    /// From the first barrier to the last.
    pub alignment: Duration,
    /// What handing over took the task.
    pub sync: Duration,
    /// From the checkpoint's begin to the first barrier.
    pub start_delay: Duration,
}

/// Hears what a task has to say. Called on the thread that polls the task, so it should only pass the news on.
pub trait TaskReporter: Send + Sync {
    /// The task has reached a state; a failed one says why.
    fn state(&self, attempt: AttemptId, state: ExecutionState, error: Option<Error>);

    /// A message from an operator to its coordinator.
    fn event(&self, attempt: AttemptId, operator: OperatorId, event: SourceEvent);

    /// The task has handed over its part of a checkpoint, to be stored.
    fn snapshot(&self, _attempt: AttemptId, _snapshot: TaskCheckpoint) {}

    /// The task cannot take part in a checkpoint.
    fn declined(&self, _attempt: AttemptId, _checkpoint: CheckpointId, _why: Error) {}

    /// The task has processed all its input, and waits for a checkpoint before it ends.
    fn end_of_data(&self, _attempt: AttemptId) {}

    /// The task is gone and holds nothing any more. A task that its executor dropped has reported no final state before.
    fn ended(&self, _attempt: AttemptId, _outcome: &TaskOutcome) {}
}
