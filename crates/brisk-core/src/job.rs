//! A running job as its user sees it: states, client, and the executor seam that the facade fills in.

use crate::accumulator::AccumulatorValue;
use crate::checkpoint::SnapshotKind;
use crate::checkpoint_statistics::CheckpointStatistics;
use crate::job_graph::StreamGraph;
use brisk_base::ids::JobId;
use brisk_base::options::Configuration;
use brisk_base::{Error, Result, Timestamp};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// State of a job (Flink's `JobStatus`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum JobStatus {
    /// Received by the dispatcher; no JobMaster yet.
    Initializing,
    /// Known; nothing runs yet.
    Created,
    /// Some tasks are scheduled or running.
    Running,
    /// A task has failed; the others are being cancelled.
    Failing,
    /// Over: failed for good.
    Failed,
    /// Being cancelled.
    Cancelling,
    /// Over: cancelled.
    Canceled,
    /// Over: all tasks finished.
    Finished,
    /// Waiting to be started again after a failure.
    Restarting,
    /// Stopped here, to be recovered elsewhere.
    Suspended,
    /// Asking which tasks still run after a JobMaster came back.
    Reconciling,
}

impl JobStatus {
    /// Whether nothing comes after it anywhere.
    pub const fn is_globally_terminal(self) -> bool {
        matches!(self, Self::Failed | Self::Canceled | Self::Finished)
    }
}

impl fmt::Display for JobStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
        })
    }
}

/// State of one attempt of a subtask (Flink's `ExecutionState`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub enum ExecutionState {
    /// Known.
    Created,
    /// Waiting for a slot.
    Scheduled,
    /// Sent to a TaskManager.
    Deploying,
    /// Opening its operators.
    Initializing,
    /// Processing.
    Running,
    /// Over: everything processed.
    Finished,
    /// Being cancelled.
    Canceling,
    /// Over: cancelled.
    Canceled,
    /// Over: failed.
    Failed,
    /// Asked whether it still runs.
    Reconciling,
}

impl ExecutionState {
    /// Whether nothing comes after it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Finished | Self::Canceled | Self::Failed)
    }
}

impl fmt::Display for ExecutionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "CREATED",
            Self::Scheduled => "SCHEDULED",
            Self::Deploying => "DEPLOYING",
            Self::Initializing => "INITIALIZING",
            Self::Running => "RUNNING",
            Self::Finished => "FINISHED",
            Self::Canceling => "CANCELING",
            Self::Canceled => "CANCELED",
            Self::Failed => "FAILED",
            Self::Reconciling => "RECONCILING",
        })
    }
}

/// What a job leaves behind.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub name: String,
    /// How long it ran.
    pub net_runtime: Duration,
    /// Accumulators, merged over all subtasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
}

/// A job of a cluster, in a line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobOverview {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// What it is doing.
    pub status: JobStatus,
    /// When it was submitted.
    pub started: Timestamp,
}

/// How a job is to be stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopMode {
    /// It is cancelled.
    Cancel,
    /// With a savepoint in the configured folder; with `drain`, event time ends first.
    Savepoint {
        /// Whether all windows and event-time timers fire.
        drain: bool,
    },
}

/// A sum over the subtasks of a running job, for progress displays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JobProgress {
    /// Records that the sources have given.
    pub records_in: u64,
    /// Records that the sinks have taken.
    pub records_out: u64,
    /// The lowest watermark of the sinks, in milliseconds; `i64::MIN` before the first.
    pub watermark: i64,
    /// Entries of keyed state and timers that the tasks hold.
    pub state_entries: u64,
    /// Tasks that run, and tasks in all.
    pub tasks_running: u32,
    /// See above.
    pub tasks: u32,
}

/// A handle to a submitted job (Flink's `JobClient`). Dropping it leaves the job running.
pub trait JobClient: Send + Sync {
    /// The job's id.
    fn job_id(&self) -> JobId;

    /// What it is doing now.
    fn status(&self) -> JobStatus;

    /// Asks for cancellation; [`wait`](Self::wait) tells when it is over.
    fn cancel(&self);

    /// Makes a savepoint, in `folder` or in the configured one (`execution.checkpointing.savepoint-dir`), and waits for it: its folder.
    ///
    /// # Errors
    /// When it could not be made; the job goes on.
    fn trigger_savepoint(&self, folder: Option<&str>) -> Result<String> {
        self.savepoint(folder, SnapshotKind::Savepoint)
    }

    /// Stops the job with a savepoint (Flink's `stopWithSavepoint`), and waits for it: its folder. With `drain`, event time ends first, so
    /// that all windows and event-time timers fire.
    ///
    /// # Errors
    /// When it could not be made; the job goes on.
    fn stop_with_savepoint(&self, drain: bool, folder: Option<&str>) -> Result<String> {
        self.savepoint(folder, SnapshotKind::StopWithSavepoint { drain })
    }

    /// Makes a checkpoint now, besides the periodic ones, and waits for it: its folder. Like those, a later one replaces it.
    ///
    /// # Errors
    /// When it could not be made; the job goes on.
    fn trigger_checkpoint(&self) -> Result<String> {
        self.savepoint(None, SnapshotKind::Checkpoint)
    }

    /// Makes a savepoint of a kind. See [`trigger_savepoint`](Self::trigger_savepoint).
    ///
    /// # Errors
    /// When it could not be made.
    fn savepoint(&self, _folder: Option<&str>, _kind: SnapshotKind) -> Result<String> {
        Err(Error::user("this client cannot ask for savepoints"))
    }

    /// Accumulators as they stand.
    fn accumulators(&self) -> BTreeMap<String, AccumulatorValue>;

    /// How far the job is.
    fn progress(&self) -> JobProgress;

    /// What is known of its checkpoints; of a job that is over, what was known at its end. Nothing, if the client cannot tell.
    fn checkpoints(&self) -> CheckpointStatistics {
        CheckpointStatistics::default()
    }

    /// Blocks until the job is over, at most for `timeout`; `None` when it still runs then.
    fn wait_for(&self, timeout: Duration) -> Option<Result<JobResult>>;

    /// Blocks until the job is over.
    ///
    /// # Errors
    /// The job's failure; a cancelled job is an error, too.
    fn wait(&self) -> Result<JobResult> {
        loop {
            if let Some(result) = self.wait_for(Duration::from_secs(3600)) {
                return result;
            }
        }
    }
}

/// Runs graphs: embedded, on a cluster, or in the simulator. `brisk-stream` and `brisk-table` build graphs and know only this.
pub trait JobExecutor: Send + Sync {
    /// Checks, translates and starts a job.
    ///
    /// # Errors
    /// When the graph or the configuration is wrong, or there are no resources.
    fn submit(&self, graph: StreamGraph, config: &Configuration) -> Result<Arc<dyn JobClient>>;

    /// Whether what is executed here has been executed before, in another process, and is only repeated up to a job: what is told to people
    /// has been told, and nothing is to be done to other jobs.
    fn is_repeating(&self) -> bool {
        false
    }

    /// The jobs of the cluster: those that run, and those that are over and still known, the newest first.
    ///
    /// # Errors
    /// When the executor has no cluster that could be asked, or it does not answer.
    fn jobs(&self) -> Result<Vec<JobOverview>> {
        Err(Error::user("the jobs of this executor cannot be listed"))
    }

    /// Stops a job of the cluster, and waits for its savepoint, whose folder is returned; one that is cancelled is not waited for.
    ///
    /// # Errors
    /// When it does not run, or the savepoint could not be made.
    fn stop_job(&self, _job: JobId, _mode: StopMode) -> Result<Option<String>> {
        Err(Error::user("the jobs of this executor cannot be stopped by their ids"))
    }
}

/// The executor of an environment that has none: for graphs that are only looked at.
#[derive(Debug, Default)]
pub struct NoExecutor;

impl JobExecutor for NoExecutor {
    fn submit(&self, _graph: StreamGraph, _config: &Configuration) -> Result<Arc<dyn JobClient>> {
        Err(Error::user("this environment has no executor; get one that runs jobs with StreamEnvironment::get()"))
    }
}
