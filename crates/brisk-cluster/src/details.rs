//! What can be seen of a cluster from outside: plain data, made by the components that own it, shown by REST and the command line.
//!
//! None of it holds user code, so that it may be kept after a job is over.

use crate::job::{SlotId, TaskFigures};
use crate::job_manager::job_master::checkpoint::settings::CheckpointSettings;
use crate::user_metrics::UserMetric;
use brisk_base::ids::{JobId, OperatorId, TaskManagerId, VertexId};
use brisk_base::options::Configuration;
use brisk_base::{ErrorKind, Timestamp};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::checkpoint_statistics::CheckpointStatistics;
use brisk_core::job::{ExecutionState, JobOverview, JobStatus};
use brisk_core::job_graph::JobGraph;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job as it stands.
#[derive(Clone, Debug)]
pub struct JobDetails {
    /// The job.
    pub id: JobId,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: JobStatus,
    /// When it came into each status that it has had, last.
    pub times: BTreeMap<JobStatus, Timestamp>,
    /// When this was put together.
    pub now: Timestamp,
    /// What it runs.
    pub plan: Arc<JobPlan>,
    /// Its effective configuration.
    pub config: Arc<Configuration>,
    /// Its subtasks, by index of the vertex in the plan.
    pub subtasks: Vec<Vec<SubtaskDetails>>,
    /// What has failed, the newest first.
    pub failures: Vec<JobFailure>,
    /// Whether there were failures before those.
    pub failures_truncated: bool,
    /// How often it has been restarted.
    pub restarts: u64,
    /// What its configuration says of checkpoints.
    pub checkpoint_settings: CheckpointSettings,
    /// What its checkpoints took.
    pub checkpoints: CheckpointStatistics,
    /// Accumulators by name, merged over the subtasks.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
    /// Metrics that its functions have registered; none once it is over.
    pub metrics: Vec<UserMetric>,
}

impl JobDetails {
    /// When it was submitted.
    pub fn started(&self) -> Timestamp {
        self.times.get(&JobStatus::Initializing).copied().unwrap_or(self.now)
    }

    /// When it ended, if it is over.
    pub fn ended(&self) -> Option<Timestamp> {
        self.status.is_globally_terminal().then(|| self.times.get(&self.status).copied().unwrap_or(self.now))
    }

    /// In a line.
    pub fn overview(&self) -> JobOverview {
        JobOverview { id: self.id, name: self.name.clone(), status: self.status, started: self.started() }
    }

    /// How many of its subtasks are in each state.
    pub fn count_states(&self) -> BTreeMap<ExecutionState, usize> {
        count_states(self.subtasks.iter().flatten())
    }
}

/// How many subtasks are in each state.
pub fn count_states<'a>(subtasks: impl IntoIterator<Item = &'a SubtaskDetails>) -> BTreeMap<ExecutionState, usize> {
    subtasks.into_iter().fold(BTreeMap::new(), |mut counts, subtask| {
        *counts.entry(subtask.state).or_default() += 1;
        counts
    })
}

/// What a job runs: vertices in topological order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobPlan {
    /// The vertices.
    pub vertices: Vec<PlanVertex>,
    /// What the program set with `set_global_job_parameters`.
    pub job_parameters: BTreeMap<String, String>,
}

/// A vertex of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanVertex {
    /// The vertex.
    pub id: VertexId,
    /// Names of its operators, `a -> b`.
    pub name: String,
    /// Its operators, the head first.
    pub operators: Vec<(OperatorId, String)>,
    /// How many subtasks it has.
    pub parallelism: u32,
    /// How many key groups it has.
    pub max_parallelism: u32,
    /// Its slot sharing group.
    pub slot_sharing_group: String,
    /// What it reads from: index of the vertex, and Flink's name of the ship strategy.
    pub inputs: Vec<(usize, &'static str)>,
}

impl JobPlan {
    /// The plan of a graph.
    pub fn of(graph: &JobGraph) -> Self {
        let vertices = graph.vertices.iter().map(|vertex| PlanVertex {
            id: vertex.id,
            name: vertex.name.clone(),
            operators: vertex.operators.iter().map(|operator| (operator.id, operator.name.clone())).collect(),
            parallelism: vertex.parallelism,
            max_parallelism: vertex.max_parallelism,
            slot_sharing_group: vertex.slot_sharing_group.clone(),
            inputs: vertex.incoming.iter().map(|edge| (graph.edges[*edge].from, graph.edges[*edge].partitioner.name())).collect(),
        });
        Self { vertices: vertices.collect(), job_parameters: graph.job_parameters.clone() }
    }
}

/// The current attempt of a subtask.
#[derive(Clone, PartialEq, Debug)]
pub struct SubtaskDetails {
    /// Number of the attempt.
    pub attempt: u32,
    /// Its state.
    pub state: ExecutionState,
    /// The slot that it runs in, or ran.
    pub slot: Option<SlotId>,
    /// When it came into each state that it has had.
    pub times: BTreeMap<ExecutionState, Timestamp>,
    /// Its figures, if it has begun.
    pub figures: Option<TaskFigures>,
    /// Its accumulators.
    pub accumulators: BTreeMap<String, AccumulatorValue>,
}

impl SubtaskDetails {
    /// Where it runs, or ran.
    pub fn task_manager(&self) -> Option<TaskManagerId> {
        self.slot.map(|slot| slot.task_manager)
    }

    /// When it was deployed, if it has been.
    pub fn started(&self) -> Option<Timestamp> {
        self.times.get(&ExecutionState::Deploying).copied()
    }

    /// When it ended, if it is over.
    pub fn ended(&self) -> Option<Timestamp> {
        if self.state.is_terminal() { self.times.get(&self.state).copied() } else { None }
    }
}

/// Something that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// When.
    pub at: Timestamp,
    /// What it means for failover.
    pub kind: ErrorKind,
    /// What happened, and where.
    pub message: String,
}

/// The task that failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailedTask {
    /// `task 'source -> map' (2/4)`.
    pub name: String,
    /// Where it ran.
    pub task_manager: Option<TaskManagerId>,
}

/// A failure that made a job restart or end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobFailure {
    /// What failed first.
    pub root: Failure,
    /// The task that it was, if it was one.
    pub task: Option<FailedTask>,
    /// What followed from it.
    pub concurrent: Vec<Failure>,
}

/// A TaskManager as the resource manager knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskManagerDetails {
    /// Which.
    pub id: TaskManagerId,
    /// When it was heard of last.
    pub last_heard: Timestamp,
    /// Its slots. One that makes slots as they are asked for has those that it has made.
    pub slots: u32,
    /// Slots that nobody holds.
    pub free: u32,
    /// Which job holds which slot.
    pub held: BTreeMap<u32, JobId>,
    /// The machine it runs on.
    pub hardware: Hardware,
}

/// What a machine has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hardware {
    /// Cores that the process may use.
    pub cpu_cores: u32,
    /// Bytes of memory; 0 when the system does not tell.
    pub physical_memory: u64,
}

/// What became of something that was asked for and takes a while, such as a savepoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OperationStatus {
    /// It is under way.
    InProgress,
    /// It is done; for a savepoint, its folder.
    Completed(String),
    /// It failed.
    Failed(String),
}
