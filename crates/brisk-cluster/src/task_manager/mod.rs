//! The TaskManager: owns slots, and supervises the TaskHosts that run the tasks of its jobs.
//!
//! | what | file |
//! |---|---|
//! | [`TaskManager`]: slots and supervision, one per process | here |
//! | [`TaskHost`]: runs the tasks of one job | [`task_host`] |
//! | [`TaskLauncher`]: how a task is started | [`launcher`] |
//! | what the machine has | `hardware` |
//! | the launcher that runs real tasks | [`runtime_launcher`] |
//!
//! TaskManager and TaskHost talk only by messages: on a cluster the TaskHost is a process of its own.

mod hardware;
pub mod launcher;
pub mod runtime_launcher;
pub mod snapshots;
pub mod task_host;

pub use launcher::{HostLauncher, RunningTask, TaskLauncher, TaskNotifier};
pub use runtime_launcher::RuntimeLauncher;
pub use task_host::{TaskHost, TaskHostMessage};

use crate::job::JobSpec;
use crate::job_manager::{JobMasterMessage, ResourceManagerMessage};
use crate::transport::plane::guarded;
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a TaskManager understands.
pub enum TaskManagerMessage {
    /// Make itself known to the resource manager.
    Register,
    /// Make ready to run a job's tasks in these slots.
    OpenHost {
        /// The job.
        job: JobSpec,
        /// Whom the tasks report to.
        job_master: Address<JobMasterMessage>,
        /// The slots.
        slots: Vec<u32>,
    },
    /// Forget a job, cancelling whatever of it still runs.
    CloseHost {
        /// The job.
        job: JobId,
        /// Whom to tell when that is done.
        job_master: Address<JobMasterMessage>,
    },
    /// A TaskHost has ended; nothing of its job runs any more.
    HostClosed(JobId),
}

/// A job that has slots here.
struct Hosted {
    host: Address<TaskHostMessage>,
    job_master: Address<JobMasterMessage>,
    /// Its slots, for the log.
    slots: Vec<u32>,
}

/// See the module.
pub struct TaskManager {
    id: TaskManagerId,
    /// How many slots there are; `None`: as many as are asked for.
    slots: Option<u32>,
    resource_manager: Address<ResourceManagerMessage>,
    launcher: Arc<dyn TaskLauncher>,
    /// Jobs that have slots here.
    hosts: BTreeMap<JobId, Hosted>,
}

impl TaskManager {
    /// A TaskManager without jobs.
    pub fn new(
        id: TaskManagerId,
        slots: Option<u32>,
        resource_manager: Address<ResourceManagerMessage>,
        launcher: Arc<dyn TaskLauncher>,
    ) -> Self {
        Self { id, slots, resource_manager, launcher, hosts: BTreeMap::new() }
    }

    fn open(&mut self, job: JobSpec, job_master: &Address<JobMasterMessage>, slots: Vec<u32>, cx: &mut ActorContext<'_>) -> Result<()> {
        let opened = guarded(|| self.launcher.open(&job)).unwrap_or_else(|panic| Err(Error::bug(format!("panicked: {panic}"))));
        let launcher = opened.map_err(|error| error.context("preparing to run tasks"))?;
        let id = job.id;
        tracing::debug!(job = %id, slots = slots.len(), "job gets slots");
        let host = cx.spawn(TaskHost::new(job, job_master.clone(), cx.address(), launcher)?);
        self.hosts.insert(id, Hosted { host: host.clone(), job_master: job_master.clone(), slots });
        cx.send(job_master, JobMasterMessage::HostReady { task_manager: self.id, host });
        Ok(())
    }

    fn closed(&self, job: JobId, job_master: &Address<JobMasterMessage>, cx: &mut ActorContext<'_>) {
        cx.send(job_master, JobMasterMessage::HostClosed(self.id));
        cx.send(&self.resource_manager, ResourceManagerMessage::Cleared { job, task_manager: self.id });
    }
}

impl Actor for TaskManager {
    type Message = TaskManagerMessage;

    fn handle(&mut self, message: TaskManagerMessage, cx: &mut ActorContext<'_>) {
        match message {
            TaskManagerMessage::Register => {
                let message = ResourceManagerMessage::Register {
                    task_manager: self.id,
                    address: cx.address(),
                    slots: self.slots,
                    hardware: hardware::hardware(),
                };
                cx.send(&self.resource_manager, message);
            }
            TaskManagerMessage::OpenHost { job, job_master, slots } => {
                if let Err(error) = self.open(job, &job_master, slots, cx) {
                    cx.send(&job_master, JobMasterMessage::HostFailed(error));
                }
            }
            TaskManagerMessage::CloseHost { job, job_master } => match self.hosts.get(&job) {
                Some(hosted) => cx.send(&hosted.host, TaskHostMessage::Close),
                None => self.closed(job, &job_master, cx),
            },
            TaskManagerMessage::HostClosed(job) => {
                if let Some(hosted) = self.hosts.remove(&job) {
                    tracing::debug!(job = %job, slots = hosted.slots.len(), "slots are free");
                    self.closed(job, &hosted.job_master, cx);
                }
            }
        }
    }
}
