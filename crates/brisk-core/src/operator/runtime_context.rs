//! Who and where an operator is: fixed for the life of one attempt.

use crate::accumulator::Accumulators;
use crate::state::OperatorStateContext;
use brisk_base::ids::{AttemptId, JobId, OperatorId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The subtask that an operator belongs to (Flink's `TaskInfo`).
#[derive(Clone, Debug)]
pub struct TaskInfo {
    /// The job.
    pub job_id: JobId,
    /// Its name.
    pub job_name: Arc<str>,
    /// The attempt of the subtask.
    pub attempt: AttemptId,
    /// Index of the subtask, from 0.
    pub subtask: u32,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
}

/// A side output that somebody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideOutputPort {
    /// Id of the output tag.
    pub tag: String,
    /// The port that its records go to.
    pub port: usize,
}

/// Who and where an operator is, with what user functions may ask for.
#[derive(Clone)]
pub struct RuntimeContext {
    /// The subtask.
    pub task: TaskInfo,
    /// Name of the operator.
    pub operator_name: Arc<str>,
    /// Its stable id.
    pub operator_id: OperatorId,
    /// Side outputs that are read; records for others are dropped.
    pub side_outputs: Vec<SideOutputPort>,
    /// Clock, randomness, threads.
    pub world: World,
    /// The job's effective configuration.
    pub config: Arc<Configuration>,
    /// Parameters that the program set with `set_global_job_parameters`.
    pub job_parameters: Arc<BTreeMap<String, String>>,
    /// Metrics of this operator and subtask.
    pub metrics: MetricGroup,
    /// Accumulators of this subtask, merged into the job's when it ends.
    pub accumulators: Accumulators,
    /// The state backend, and what a checkpoint left for this operator.
    pub state: OperatorStateContext,
    /// Whether the program that reads results runs in another process: they are sent there, to
    /// [`OperatorFactory::take_result`](super::OperatorFactory::take_result).
    pub program_elsewhere: bool,
}

impl RuntimeContext {
    /// `operator 'name' (2/4)`: how this operator is named in errors.
    pub fn place(&self) -> String {
        format!("operator '{}' ({}/{})", self.operator_name, self.task.subtask + 1, self.task.parallelism)
    }

    /// The port of a side output, if somebody reads it.
    pub fn side_output(&self, tag: &str) -> Option<usize> {
        self.side_outputs.iter().find(|side| side.tag == tag).map(|side| side.port)
    }
}
