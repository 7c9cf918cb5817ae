//! One subtask as a pollable task: its operators, its gate, its writers, its mailbox.
//!
//! All of a task's state changes on the thread that polls it. Whatever comes from outside (cancellation, messages of a coordinator) goes
//! through the mailbox; whatever goes out (states, messages to a coordinator) goes through the [`TaskReporter`].

mod chain;
mod control;
mod inputs;
mod start;
mod stream_task;
#[cfg(test)]
mod testing;
mod wiring;

pub use chain::{Chain, ChainStep};
pub use control::{TaskControl, TaskIo, TaskIoSnapshot};
pub use start::{TaskDescriptor, TaskEnvironment, start_task};
pub use wiring::Wiring;

use crate::executor::TaskOutcome;
use brisk_base::Error;
use brisk_base::ids::{AttemptId, OperatorId};
use brisk_core::job::ExecutionState;
use brisk_core::source::SourceEvent;

/// Hears what a task has to say. Called on the thread that polls the task, so it should only pass the news on.
pub trait TaskReporter: Send + Sync {
    /// The task has reached a state; a failed one says why.
    fn state(&self, attempt: AttemptId, state: ExecutionState, error: Option<Error>);

    /// A message from an operator to its coordinator.
    fn event(&self, attempt: AttemptId, operator: OperatorId, event: SourceEvent);

    /// The task is gone and holds nothing any more. A task that its executor dropped has reported no final state before.
    fn ended(&self, _attempt: AttemptId, _outcome: &TaskOutcome) {}
}
