//! How tasks are started and told things: the seam between the control plane and the runtime.

use super::TaskHostMessage;
use crate::job::{JobSpec, TaskDeployment, TaskSnapshot};
use crate::transport::Address;
use brisk_base::ids::{AttemptId, OperatorId};
use brisk_base::{Error, Result};
use brisk_core::job::ExecutionState;
use brisk_core::source::SourceEvent;
use std::sync::Arc;

/// Starts the tasks of one process.
pub trait TaskLauncher: Send + Sync {
    /// Makes ready for a job.
    ///
    /// # Errors
    /// When its tasks cannot run here.
    fn open(&self, job: &JobSpec) -> Result<Box<dyn HostLauncher>>;
}

/// Starts the tasks of one job in one process.
pub trait HostLauncher: Send {
    /// Starts a task and returns at once; whatever the task has to say goes to `notifier`.
    ///
    /// # Errors
    /// When it cannot even begin.
    fn launch(&mut self, deployment: &TaskDeployment, notifier: Arc<TaskNotifier>) -> Result<Box<dyn RunningTask>>;
}

/// A task that has been started. Dropping this changes nothing for the task.
pub trait RunningTask: Send {
    /// Asks it to end; it then reports a final state.
    fn cancel(&self);

    /// Gives a message to one of its operators.
    fn send_event(&self, operator: OperatorId, event: SourceEvent);

    /// How it stands.
    fn snapshot(&self) -> TaskSnapshot;

    /// Name of the operator that was called last.
    fn current_operator(&self) -> String;

    /// Lets it go unfinished.
    fn abandon(&self);
}

/// Tells a task's TaskHost what the task has to say. Never blocks.
pub struct TaskNotifier {
    /// For this task alone, so that only its own messages keep their order.
    host: Address<TaskHostMessage>,
}

impl TaskNotifier {
    /// A notifier for one task of a host.
    pub(super) fn new(host: &Address<TaskHostMessage>) -> Self {
        Self { host: host.for_new_sender() }
    }

    /// The task has reached a state.
    pub fn state(&self, attempt: AttemptId, state: ExecutionState, error: Option<Error>) {
        self.host.send(TaskHostMessage::State { attempt, state, error });
    }

    /// The task is gone and holds nothing any more; `how` it went, if it was not by itself. A final state is passed on only now.
    pub fn ended(&self, attempt: AttemptId, how: Option<Error>) {
        self.host.send(TaskHostMessage::Ended { attempt, how });
    }

    /// An operator of the task has a message for its coordinator.
    pub fn event(&self, attempt: AttemptId, operator: OperatorId, event: SourceEvent) {
        self.host.send(TaskHostMessage::FromReader { attempt, operator, event });
    }
}
