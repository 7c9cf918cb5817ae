//! Completed checkpoints: the metadata that is made of the tasks' parts, and the checkpoints that are kept.

use super::coordinator::Assembled;
use crate::job::{JobSpec, TaskAck};
use brisk_base::Timestamp;
use brisk_base::ids::{AttemptId, CheckpointId};
use brisk_core::job_graph::JobVertex;
use brisk_core::types::{hash, put_varint};
use brisk_state::savepoint_format::{ChannelState, CheckpointMetadata, OperatorMetadata, VertexChannels};
use brisk_state::snapshot::OperatorSubtaskState;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A checkpoint that is complete.
#[derive(Clone, Debug)]
pub struct CompletedCheckpoint {
    /// What it is made of.
    pub metadata: Arc<CheckpointMetadata>,
    /// The folder that its files' paths count from.
    pub base: String,
    /// The folder that belongs to it alone.
    pub folder: String,
    /// Whether its files may be deleted by the job.
    pub owned: bool,
    /// Whether it is one of this job's own checkpoints, whose files later ones may refer to.
    pub own_files: bool,
}

impl CompletedCheckpoint {
    /// Its number.
    pub fn id(&self) -> CheckpointId {
        self.metadata.checkpoint
    }
}

/// The metadata of a checkpoint whose parts are all there.
pub fn metadata(job: &JobSpec, assembled: Assembled<TaskAck>) -> CheckpointMetadata {
    let Assembled { checkpoint, kind, began, tasks, finished, mut coordinators, .. } = assembled;
    let mut by_subtask: BTreeMap<_, TaskAck> = tasks.into_iter().map(|(attempt, ack)| ((attempt.vertex, attempt.subtask), ack)).collect();
    let is_finished =
        |vertex: &JobVertex, subtask: u32| finished.iter().any(|at: &AttemptId| at.vertex == vertex.id && at.subtask == subtask);
    let (mut operators, mut channels) = (Vec::new(), Vec::new());
    for vertex in &job.graph.vertices {
        let mut acks: Vec<Option<TaskAck>> = (0..vertex.parallelism).map(|subtask| by_subtask.remove(&(vertex.id, subtask))).collect();
        for operator in &vertex.operators {
            let state = |(subtask, ack): (u32, &mut Option<TaskAck>)| match ack {
                Some(ack) => {
                    let at = ack.state.operators.iter().position(|(id, _)| *id == operator.id);
                    at.map(|at| ack.state.operators.swap_remove(at).1).unwrap_or_default()
                }
                None => {
                    let finished = is_finished(vertex, subtask);
                    let watermark = if finished { Timestamp::MAX } else { Timestamp::MIN };
                    OperatorSubtaskState { finished, watermark, ..OperatorSubtaskState::default() }
                }
            };
            operators.push(OperatorMetadata {
                id: operator.id,
                uid: operator.uid.clone(),
                name: operator.name.clone(),
                parallelism: vertex.parallelism,
                max_parallelism: vertex.max_parallelism,
                subtasks: (0..).zip(&mut acks).map(state).collect(),
                coordinator: coordinators.remove(&operator.id),
            });
        }
        let in_flight = |(subtask, ack): (u32, Option<TaskAck>)| {
            ack.and_then(|ack| ack.in_flight).map(|data| ChannelState { key: old_task_key(subtask, vertex.parallelism), data })
        };
        let of_vertex: Vec<ChannelState> = (0..).zip(acks).filter_map(in_flight).collect();
        if !of_vertex.is_empty() {
            channels.push(VertexChannels { vertex: vertex.id, channels: of_vertex });
        }
    }
    CheckpointMetadata {
        checkpoint,
        kind,
        timestamp: began,
        job_id: job.id,
        job_name: job.graph.name.clone(),
        written_by: env!("CARGO_PKG_VERSION").to_owned(),
        hash_version: hash::VERSION,
        operators,
        channels,
        master: Vec::new(),
        properties: Vec::new(),
    }
}

/// Names the old subtask whose records under way are stored.
pub fn old_task_key(subtask: u32, parallelism: u32) -> Vec<u8> {
    let mut key = Vec::new();
    put_varint(&mut key, u64::from(subtask));
    put_varint(&mut key, u64::from(parallelism));
    key
}

/// The checkpoints that a job keeps, the newest last.
#[derive(Debug, Default)]
pub struct CompletedCheckpoints {
    kept: VecDeque<CompletedCheckpoint>,
}

impl CompletedCheckpoints {
    /// The newest one.
    pub fn latest(&self) -> Option<&CompletedCheckpoint> {
        self.kept.back()
    }

    /// Adds a checkpoint; gives those that are not kept any longer.
    pub fn add(&mut self, completed: CompletedCheckpoint, retained: usize) -> Vec<CompletedCheckpoint> {
        self.kept.push_back(completed);
        let mut dropped = Vec::new();
        while self.kept.len() > retained {
            dropped.extend(self.kept.pop_front());
        }
        dropped
    }

    /// Those that are kept.
    pub fn iter(&self) -> impl Iterator<Item = &CompletedCheckpoint> {
        self.kept.iter()
    }

    /// Forgets all of them.
    pub fn take_all(&mut self) -> Vec<CompletedCheckpoint> {
        std::mem::take(&mut self.kept).into()
    }
}
