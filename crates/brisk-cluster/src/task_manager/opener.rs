//! How a process comes to run a job's tasks: the seam between a TaskManager and its TaskHosts.

use super::{TaskHost, TaskLauncher, TaskManagerMessage};
use crate::blob::BlobMessage;
use crate::job::JobSpec;
use crate::job_manager::JobMasterMessage;
use crate::transport::plane::guarded;
use crate::transport::{ActorContext, Address};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::{Error, Result};
use std::sync::Arc;

/// The order to open a TaskHost.
pub struct HostOrder {
    /// The job.
    pub job: JobSpec,
    /// Which of the hosts that are opened for the job.
    pub run: u64,
    /// Whom the tasks report to.
    pub job_master: Address<JobMasterMessage>,
    /// Whom the host reports to.
    pub task_manager: Address<TaskManagerMessage>,
    /// Which TaskManager that is.
    pub id: TaskManagerId,
}

/// Opens TaskHosts. What comes of it is told to the TaskManager: `HostOpened` or `HostFailed`, and later `HostFailed` if it dies.
pub trait HostOpener: Send {
    /// The JobManager knows the TaskManager: from there programs are fetched.
    fn registered(&mut self, _blobs: Option<Address<BlobMessage>>) {}

    /// Begins to open a host.
    ///
    /// # Errors
    /// When that is not possible here.
    fn open(&mut self, order: HostOrder, cx: &mut ActorContext<'_>) -> Result<()>;

    /// Ends a host at once, if that is possible; the TaskManager hears of it as of any failure.
    fn kill(&mut self, job: JobId, run: u64, why: &str);

    /// A host has ended as it was told to.
    fn closed(&mut self, job: JobId, run: u64);
}

/// Hosts that run in the TaskManager's own process.
pub struct InThisProcess(pub Arc<dyn TaskLauncher>);

impl HostOpener for InThisProcess {
    fn open(&mut self, order: HostOrder, cx: &mut ActorContext<'_>) -> Result<()> {
        let HostOrder { job, run, job_master, task_manager, .. } = order;
        let opened = guarded(|| self.0.open(&job)).unwrap_or_else(|panic| Err(Error::bug(format!("panicked: {panic}"))));
        let launcher = opened.map_err(|error| error.context("preparing to run tasks"))?;
        let id = job.id;
        let host = cx.spawn(TaskHost::new((job, run), job_master, task_manager, launcher)?);
        cx.send_self(TaskManagerMessage::HostOpened { job: id, run, host, endpoint: None });
        Ok(())
    }

    /// Threads cannot be killed.
    fn kill(&mut self, _job: JobId, _run: u64, _why: &str) {}

    fn closed(&mut self, _job: JobId, _run: u64) {}
}
