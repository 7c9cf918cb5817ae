//! How tasks are started and told things: the seam between the control plane and the runtime.

use super::TaskHostMessage;
use crate::job::{JobSpec, TaskDeployment, TaskSnapshot};
use crate::services::StorageProvider;
use crate::transport::Address;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId};
use brisk_base::metrics::MetricGroup;
use brisk_base::{Error, Result};
use brisk_core::checkpoint::Barrier;
use brisk_core::job::ExecutionState;
use brisk_core::source::SourceEvent;
use brisk_runtime::exchange::Locations;
use brisk_runtime::task::TaskCheckpoint;
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

    /// Where the job's checkpoints lie.
    fn storages(&self) -> Arc<dyn StorageProvider>;

    /// Says in which processes the job's tasks run from now on.
    fn locate(&mut self, _locations: &Arc<Locations>) {}

    /// Metrics that the job's functions have registered in this process.
    fn metrics(&self) -> Option<&MetricGroup> {
        None
    }

    /// Whether the process runs nothing but this job, so that it can be killed for a task that does not end.
    fn owns_process(&self) -> bool {
        false
    }
}

/// A task that has been started. Dropping this changes nothing for the task.
pub trait RunningTask: Send {
    /// Asks it to end; it then reports a final state.
    fn cancel(&self);

    /// Gives a message to one of its operators.
    fn send_event(&self, operator: OperatorId, event: SourceEvent);

    /// Begins a checkpoint there.
    fn trigger_checkpoint(&self, barrier: Barrier);

    /// Tells it that a checkpoint is complete.
    fn checkpoint_complete(&self, checkpoint: CheckpointId);

    /// Tells it that a checkpoint has been given up.
    fn checkpoint_aborted(&self, checkpoint: CheckpointId);

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

    /// The task hands over its part of a checkpoint.
    pub fn snapshot(&self, attempt: AttemptId, checkpoint: TaskCheckpoint) {
        self.host.send(TaskHostMessage::Snapshot { attempt, checkpoint: Box::new(checkpoint) });
    }

    /// The task takes no part in a checkpoint.
    pub fn declined(&self, attempt: AttemptId, checkpoint: CheckpointId, error: Error) {
        self.host.send(TaskHostMessage::Declined { attempt, checkpoint, error });
    }

    /// The task has processed all its input.
    pub fn end_of_data(&self, attempt: AttemptId) {
        self.host.send(TaskHostMessage::EndOfData(attempt));
    }

    /// An operator of the task has a message for its coordinator.
    pub fn event(&self, attempt: AttemptId, operator: OperatorId, event: SourceEvent) {
        self.host.send(TaskHostMessage::FromReader { attempt, operator, event });
    }
}
