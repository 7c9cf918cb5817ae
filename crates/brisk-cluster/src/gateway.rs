//! What can be asked of a cluster, and told to it, from outside: by REST, the command line, or a test.
//!
//! Nothing here blocks: answers come through [`Reply`]s.

use crate::cluster::Gateway;
use crate::details::{JobDetails, OperationStatus, TaskManagerDetails};
use crate::inspect::InspectorMessage;
use crate::job_manager::operations::OperationKey;
use crate::job_manager::{DispatcherMessage, ResourceManagerMessage};
use crate::transport::{Address, Reply};
use brisk_base::Result;
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_core::checkpoint::SnapshotKind;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

impl Gateway {
    /// The jobs that are known: those that run, and those that are over, the newest first.
    pub fn jobs(&self, reply: Reply<Vec<JobId>>) {
        self.dispatcher().send(DispatcherMessage::Jobs(reply));
    }

    /// A job as it stands or ended; `None` if it is not known.
    pub fn job(&self, job: JobId, reply: Reply<Option<Arc<JobDetails>>>) {
        self.dispatcher().send(DispatcherMessage::Details { job, reply, again: false });
    }

    /// The TaskManagers.
    pub fn task_managers(&self, reply: Reply<Vec<TaskManagerDetails>>) {
        self.resource_manager().send(ResourceManagerMessage::TaskManagers(reply));
    }

    /// Who looks at the process of a TaskManager: nobody, if it is not known; without an address, [`inspector`](Self::inspector).
    pub fn inspector_of(&self, task_manager: TaskManagerId, reply: Reply<Option<Option<Address<InspectorMessage>>>>) {
        self.resource_manager().send(ResourceManagerMessage::Inspector { task_manager, reply });
    }

    /// Ends the cluster: its jobs are cancelled, and the JobManager's process ends when they have.
    pub fn shut_down(&self) {
        match self.end() {
            // Who waits for it may be gone: then it ends already.
            Some(end) => drop(end.send(())),
            None => {
                let (reply, _) = sync_channel(1);
                self.dispatcher().send(DispatcherMessage::Shutdown(reply));
            }
        }
    }

    /// Asks for cancellation; nothing happens if the job is over.
    pub fn cancel(&self, job: JobId) {
        self.dispatcher().send(DispatcherMessage::Cancel(job));
    }

    /// Asks for a savepoint, or for a checkpoint now; [`operation`](Self::operation) tells what became of it. Asking again with the same
    /// number begins nothing.
    pub fn trigger_snapshot(&self, request: SnapshotRequest, reply: Reply<Result<()>>) {
        self.dispatcher().send(DispatcherMessage::Trigger { request, reply });
    }

    /// Asks to delete a savepoint.
    pub fn dispose_savepoint(&self, trigger: u128, path: String, reply: Reply<Result<()>>) {
        self.dispatcher().send(DispatcherMessage::Dispose { trigger, path, reply });
    }

    /// How something stands that was asked for; `None` if it is not known, or was long ago.
    pub fn operation(&self, key: OperationKey, reply: Reply<Option<OperationStatus>>) {
        self.dispatcher().send(DispatcherMessage::OperationStatus { key, reply });
    }
}

/// A savepoint or checkpoint that somebody asks for who comes back for the answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SnapshotRequest {
    /// The job.
    pub job: JobId,
    /// Names the request.
    pub trigger: u128,
    /// The folder to make a savepoint in; `None`: the configured one.
    pub folder: Option<String>,
    /// What happens behind the barrier.
    pub kind: SnapshotKind,
    /// Whether the job is cancelled when it has been made.
    pub then_cancel: bool,
}
