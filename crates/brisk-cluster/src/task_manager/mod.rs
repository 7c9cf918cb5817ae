//! The TaskManager: owns slots, and supervises the TaskHosts that run the tasks of its jobs.
//!
//! | what | file |
//! |---|---|
//! | [`TaskManager`]: slots and supervision, one per process | here |
//! | [`TaskHost`]: runs the tasks of one job | [`task_host`] |
//! | [`HostOpener`]: how a process comes to run a job's tasks | [`opener`] |
//! | [`TaskLauncher`]: how a task is started | [`launcher`] |
//! | what the machine has | `hardware` |
//! | the launcher that runs real tasks | [`runtime_launcher`] |
//!
//! TaskManager and TaskHost talk only by messages: on a cluster the TaskHost is a process of its own.

mod hardware;
pub mod launcher;
pub mod opener;
pub mod runtime_launcher;
pub mod snapshots;
pub mod task_host;

pub use launcher::{HostLauncher, RunningTask, TaskLauncher, TaskNotifier};
pub use opener::{HostOpener, HostOrder, InThisProcess};
pub use runtime_launcher::RuntimeLauncher;
pub use task_host::{TaskHost, TaskHostMessage};

use crate::blob::BlobMessage;
use crate::inspect::InspectorMessage;
use crate::job::JobSpec;
use crate::job_manager::{JobMasterMessage, ResourceManagerMessage};
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::Error;
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_runtime::exchange::Endpoint;
use std::collections::BTreeMap;

/// What a TaskManager understands.
pub enum TaskManagerMessage {
    /// Make itself known to the resource manager.
    Register,
    /// The resource manager knows it now.
    Registered {
        /// Where programs are fetched; `None` where there are none to be fetched.
        blobs: Option<Address<BlobMessage>>,
    },
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
    /// A TaskHost is ready.
    HostOpened {
        /// Its job.
        job: JobId,
        /// Which of the hosts that were opened for the job.
        run: u64,
        /// The host.
        host: Address<TaskHostMessage>,
        /// Where its process takes batches, if it is not this one.
        endpoint: Option<Endpoint>,
    },
    /// A TaskHost could not be opened, or has died; nothing of its job runs any more.
    HostFailed {
        /// Its job.
        job: JobId,
        /// Which of the hosts that were opened for the job.
        run: u64,
        /// Why.
        error: Error,
    },
    /// A TaskHost has ended as it was told to; nothing of its job runs any more.
    HostClosed {
        /// Its job.
        job: JobId,
        /// Which of the hosts that were opened for the job.
        run: u64,
    },
    /// A TaskHost has tasks that do not end: its process is to be killed.
    KillHost {
        /// Its job.
        job: JobId,
        /// Which of the hosts that were opened for the job.
        run: u64,
        /// Why.
        why: String,
    },
    /// End, with everything that runs here.
    Shutdown,
}

/// A job that has slots here.
struct Hosted {
    /// Tells its host from earlier ones.
    run: u64,
    /// Known once it is ready.
    host: Option<Address<TaskHostMessage>>,
    job_master: Address<JobMasterMessage>,
    /// Its slots, for the log.
    slots: Vec<u32>,
    /// Whether it is to end.
    closing: bool,
}

/// See the module.
pub struct TaskManager {
    id: TaskManagerId,
    /// How many slots there are; `None`: as many as are asked for.
    slots: Option<u32>,
    resource_manager: Address<ResourceManagerMessage>,
    opener: Box<dyn HostOpener>,
    /// Jobs that have slots here.
    hosts: BTreeMap<JobId, Hosted>,
    /// Number of hosts so far.
    runs: u64,
    /// Looks at this process, where it is not that of the resource manager.
    inspector: Option<Address<InspectorMessage>>,
}

impl TaskManager {
    /// A TaskManager without jobs.
    pub fn new(
        id: TaskManagerId,
        slots: Option<u32>,
        resource_manager: Address<ResourceManagerMessage>,
        opener: Box<dyn HostOpener>,
    ) -> Self {
        Self { id, slots, resource_manager, opener, hosts: BTreeMap::new(), runs: 0, inspector: None }
    }

    /// The same, in a process of its own, at which somebody can look.
    #[must_use]
    pub fn inspected_by(mut self, inspector: Address<InspectorMessage>) -> Self {
        self.inspector = Some(inspector);
        self
    }

    fn open(&mut self, job: JobSpec, job_master: Address<JobMasterMessage>, slots: Vec<u32>, cx: &mut ActorContext<'_>) {
        let (id, run) = (job.id, self.runs);
        self.runs += 1;
        tracing::info!(job = %id, slots = slots.len(), "job gets slots");
        let before = self.hosts.insert(id, Hosted { run, host: None, job_master: job_master.clone(), slots, closing: false });
        if let Some(before) = before {
            self.opener.kill(id, before.run, "it is opened again");
        }
        let order = HostOrder { job, run, job_master, task_manager: cx.address(), id: self.id };
        if let Err(error) = self.opener.open(order, cx) {
            cx.send_self(TaskManagerMessage::HostFailed { job: id, run, error });
        }
    }

    fn opened(&mut self, job: JobId, run: u64, host: Address<TaskHostMessage>, endpoint: Option<Endpoint>, cx: &mut ActorContext<'_>) {
        let Some(hosted) = self.hosts.get_mut(&job).filter(|hosted| hosted.run == run) else { return };
        if hosted.closing {
            cx.send(&host, TaskHostMessage::Close);
        } else {
            cx.send(&hosted.job_master, JobMasterMessage::HostReady { task_manager: self.id, host: host.clone(), endpoint });
        }
        hosted.host = Some(host);
    }

    /// Removes a host, if it is the one that the job has now.
    fn remove(&mut self, job: JobId, run: u64) -> Option<Hosted> {
        self.hosts.get(&job).filter(|hosted| hosted.run == run)?;
        self.hosts.remove(&job)
    }

    fn close(&mut self, job: JobId, job_master: &Address<JobMasterMessage>, cx: &mut ActorContext<'_>) {
        match self.hosts.get_mut(&job) {
            Some(hosted) => {
                hosted.closing = true;
                match &hosted.host {
                    Some(host) => cx.send(host, TaskHostMessage::Close),
                    // It has not begun, and may never: a process can be ended at once.
                    None => self.opener.kill(job, hosted.run, "the job is over"),
                }
            }
            None => self.closed(job, job_master, cx),
        }
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
                    inspector: self.inspector.clone(),
                };
                cx.send(&self.resource_manager, message);
            }
            TaskManagerMessage::Registered { blobs } => {
                tracing::info!(task_manager = %self.id, "registered at the JobManager");
                self.opener.registered(blobs);
            }
            TaskManagerMessage::OpenHost { job, job_master, slots } => self.open(job, job_master, slots, cx),
            TaskManagerMessage::CloseHost { job, job_master } => self.close(job, &job_master, cx),
            TaskManagerMessage::HostOpened { job, run, host, endpoint } => self.opened(job, run, host, endpoint, cx),
            TaskManagerMessage::HostFailed { job, run, error } => {
                if let Some(hosted) = self.remove(job, run) {
                    tracing::warn!(%job, %error, "what ran the tasks of a job has failed");
                    self.opener.kill(job, run, "it has failed");
                    if hosted.closing {
                        self.closed(job, &hosted.job_master, cx);
                    } else {
                        cx.send(&hosted.job_master, JobMasterMessage::HostFailed(self.id, error));
                    }
                }
            }
            TaskManagerMessage::HostClosed { job, run } => {
                if let Some(hosted) = self.remove(job, run) {
                    tracing::info!(%job, slots = hosted.slots.len(), "slots are free");
                    self.opener.closed(job, run);
                    self.closed(job, &hosted.job_master, cx);
                }
            }
            TaskManagerMessage::KillHost { job, run, why } => {
                if self.hosts.get(&job).is_some_and(|hosted| hosted.run == run) {
                    self.opener.kill(job, run, &why);
                }
            }
            TaskManagerMessage::Shutdown => {
                self.hosts.iter().for_each(|(job, hosted)| self.opener.kill(*job, hosted.run, "its TaskManager ends"));
                cx.stop();
            }
        }
    }
}
