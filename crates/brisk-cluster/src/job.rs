//! What a submitted job is, and what its tasks report: plain data that travels between the components.

use crate::blob::BlobId;
use crate::wire::Bytes;
use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId, TaskManagerId, VertexId};
use brisk_base::options::Configuration;
use brisk_base::{Error, Timestamp};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::checkpoint_statistics::CheckpointStatistics;
use brisk_core::job::{ExecutionState, JobProgress};
use brisk_core::job_graph::JobGraph;
pub use brisk_runtime::task::TaskPace;
use brisk_state::snapshot::{OperatorSubtaskState, StateData, TaskStateHandle};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A job as it was submitted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobSpec {
    /// The submission.
    pub id: JobId,
    /// What runs.
    pub graph: Arc<JobGraph>,
    /// Its effective configuration.
    pub config: Arc<Configuration>,
    /// The program that holds its code, where that is not this process's.
    pub program: Option<Arc<ProgramSpec>>,
}

/// A program that builds jobs, and which of them is meant: how a process comes to the code of a job.
#[derive(Clone, PartialEq, Debug)]
pub struct ProgramSpec {
    /// The executable.
    pub blob: BlobId,
    /// Bytes of it.
    pub size: u64,
    /// What it is called with.
    pub arguments: Vec<String>,
    /// Which of the jobs that it executes, from 0.
    pub number: u32,
    /// The options that its environment begins with.
    pub base: Configuration,
    /// What `StreamEnvironment::once` has recorded, encoded, by name.
    pub once: BTreeMap<String, Bytes>,
    /// How the jobs before this one ended, as far as they have.
    pub results: BTreeMap<u32, RecordedResult>,
}

/// How a job of a program has ended: what its `execute` gives when the program runs again.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordedResult {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// How long it ran.
    pub net_runtime: Duration,
    /// Its accumulators.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// What the program has collected from it, in order; `None` where that is not known, or is too much to be kept.
    pub collected: Option<Vec<CollectedResult>>,
}

/// Something that a program has collected from a job.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CollectedResult {
    /// The operator that has given it.
    pub operator: OperatorId,
    /// Its subtask.
    pub subtask: u32,
    /// As the operator encodes it.
    pub bytes: Bytes,
}

impl JobSpec {
    /// A job whose code is in this process.
    pub const fn local(id: JobId, graph: Arc<JobGraph>, config: Arc<Configuration>) -> Self {
        Self { id, graph, config, program: None }
    }

    /// `job 'name'`: how the job is named in errors.
    pub fn place(&self) -> String {
        format!("job '{}'", self.graph.name)
    }

    /// `task 'source -> map' (2/4)`: how a subtask is named in errors.
    pub fn task_place(&self, vertex: usize, subtask: u32) -> String {
        let vertex = &self.graph.vertices[vertex];
        format!("task '{}' ({}/{})", vertex.name, subtask + 1, vertex.parallelism)
    }
}

/// A slot of a TaskManager: room for one subtask of each vertex of a slot sharing group.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SlotId {
    /// Whose slot.
    pub task_manager: TaskManagerId,
    /// Which of its slots, from 0.
    pub index: u32,
}

/// The order to run one attempt of one subtask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskDeployment {
    /// The attempt.
    pub attempt: AttemptId,
    /// Index of its vertex in the job graph.
    pub vertex: usize,
    /// The slot it runs in.
    pub slot: SlotId,
    /// What it begins with; `None` for a fresh start.
    pub restore: Option<Arc<TaskRestorePlan>>,
}

/// What a checkpoint left for one task: where it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskRestorePlan {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// The folder that the files' paths count from.
    pub base: String,
    /// Whether the files are the job's own, so that later checkpoints may refer to them.
    pub own_files: bool,
    /// State of its operators.
    pub operators: Vec<(OperatorId, OperatorSubtaskState)>,
    /// Records under way in old subtasks of its vertex and of those it reads from: vertex, subtask, parallelism.
    pub in_flight: Vec<(VertexId, u32, u32, StateData)>,
}

/// Where a checkpoint is to be stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SnapshotTarget {
    /// The folder that its files' paths count from.
    pub base: String,
    /// Whether it is self-contained in that folder.
    pub savepoint: bool,
}

/// A task's stored part of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskAck {
    /// Where it is stored.
    pub target: SnapshotTarget,
    /// State of its operators.
    pub state: TaskStateHandle,
    /// Records that were under way.
    pub in_flight: Option<StateData>,
    /// What it took.
    pub figures: SnapshotFigures,
}

/// What a task's part of a checkpoint took (Flink's `CheckpointMetrics`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SnapshotFigures {
    /// From the checkpoint's begin to the first barrier.
    pub start_delay: Duration,
    /// From the first barrier to the last.
    pub alignment: Duration,
    /// What it took the task itself.
    pub sync: Duration,
    /// What it took in the background.
    pub asynchronous: Duration,
    /// Bytes that the checkpoint refers to.
    pub full_bytes: u64,
    /// Bytes that were stored for it.
    pub stored_bytes: u64,
    /// Bytes of records under way.
    pub in_flight_bytes: u64,
    /// Records under way.
    pub in_flight_records: u64,
}

/// Figures of a task.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct TaskFigures {
    /// Rows received from other tasks; of a source, rows that it gave.
    pub records_in: u64,
    /// Rows sent to other tasks.
    pub records_out: u64,
    /// Bytes received from other tasks.
    pub bytes_in: u64,
    /// Bytes sent to other tasks.
    pub bytes_out: u64,
    /// Its watermark.
    pub watermark: Timestamp,
    /// Entries of keyed state and timers that it holds; none once it is over.
    pub state_entries: u64,
    /// How long it has lived.
    pub lived: Duration,
    /// How long of that it has waited for input.
    pub idle: Duration,
    /// How long it has waited for room in its output. What is left it has been busy, or has waited for its turn.
    pub back_pressured: Duration,
    /// What it does per second.
    pub pace: TaskPace,
}

/// Figures and accumulators of a task, at its end or on request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct TaskSnapshot {
    /// Its figures.
    pub figures: TaskFigures,
    /// Its accumulators by name.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
}

/// What a TaskHost tells of one of its tasks.
#[derive(Debug)]
pub struct TaskReport {
    /// The attempt.
    pub attempt: AttemptId,
    /// The state it has reached.
    pub state: ExecutionState,
    /// Why, if it failed.
    pub error: Option<Error>,
    /// Given with a final state.
    pub last: Option<TaskSnapshot>,
    /// The task did not end when it was cancelled and is no longer waited for: how to name it.
    pub given_up: Option<String>,
}

impl TaskReport {
    /// A report of a state, without more.
    pub fn new(attempt: AttemptId, state: ExecutionState) -> Self {
        Self { attempt, state, error: None, last: None, given_up: None }
    }

    /// The same report with the reason of a failure.
    #[must_use]
    pub fn with_error(mut self, error: Option<Error>) -> Self {
        self.error = error;
        self
    }
}

/// How a job stands: sums over its tasks.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct JobReport {
    /// How far it is.
    pub progress: JobProgress,
    /// Accumulators by name, merged over the subtasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// Its checkpoints.
    pub checkpoints: CheckpointStatistics,
}

/// How a job ended.
#[derive(Debug)]
pub struct JobOutcome {
    /// A globally terminal status.
    pub status: brisk_core::job::JobStatus,
    /// Why it did not finish: the first failure, or the cancellation.
    pub error: Option<Error>,
    /// Failures after the first, as texts; at most a few.
    pub suppressed: Vec<String>,
    /// How it stood at its end.
    pub report: JobReport,
}

impl JobOutcome {
    /// The same, its error without the standard error it was made from.
    pub(crate) fn duplicate(&self) -> Self {
        let error = self.error.as_ref().map(crate::client::copy_of);
        Self { status: self.status, error, suppressed: self.suppressed.clone(), report: self.report.clone() }
    }
}
