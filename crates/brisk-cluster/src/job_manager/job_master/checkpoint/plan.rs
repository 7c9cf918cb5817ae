//! What each task of a restored job begins with, given the checkpoint: handles only.

use super::completed::CompletedCheckpoint;
use crate::job::TaskRestorePlan;
use brisk_base::ids::{OperatorId, VertexId};
use brisk_base::{Error, Result, ResultExt};
use brisk_core::job_graph::JobGraph;
use brisk_core::types::Decoder;
use brisk_state::savepoint_format::VertexChannels;
use brisk_state::snapshot::{NewParallelism, OperatorSubtaskState, StateData, assign};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Records under way by old subtask: its number, how many there were, and where the records are.
type OldTasks = Vec<(u32, u32, StateData)>;

/// The plans of all tasks of a job.
pub struct RestorePlans {
    checkpoint: CompletedCheckpoint,
    /// By operator, the state of each new subtask.
    operators: BTreeMap<OperatorId, Vec<OperatorSubtaskState>>,
    /// By vertex, the records under way in its old subtasks.
    channels: BTreeMap<VertexId, OldTasks>,
}

impl RestorePlans {
    /// Checks that the job can go on from a checkpoint, and spreads its state.
    ///
    /// # Errors
    /// When the checkpoint has state that the job has no operator for (unless that may be left out), or an operator's number of key groups
    /// has changed.
    pub fn new(graph: &JobGraph, checkpoint: CompletedCheckpoint, ignore_unclaimed: bool) -> Result<Self> {
        let known: BTreeMap<_, _> =
            graph.vertices.iter().flat_map(|vertex| vertex.operators.iter().map(move |operator| (operator.id, vertex))).collect();
        let metadata = Arc::clone(&checkpoint.metadata);
        let mut operators = BTreeMap::new();
        for old in &metadata.operators {
            let Some(vertex) = known.get(&old.id) else {
                let stateless = old.coordinator.is_none() && old.subtasks.iter().all(OperatorSubtaskState::is_empty);
                if stateless || ignore_unclaimed {
                    continue;
                }
                let uid = old.uid.as_ref().map_or_else(|| "no uid".to_owned(), |uid| format!("uid '{uid}'"));
                return Err(Error::user(format!(
                    "the checkpoint has state of operator '{}' ({uid}), which the job does not have: give the operator that continues it the \
                     same uid, or leave the state out with 'execution.state-recovery.ignore-unclaimed-state' (--allowNonRestoredState)",
                    old.name
                )));
            };
            let new = NewParallelism { parallelism: vertex.parallelism, max_parallelism: vertex.max_parallelism };
            let states = assign(&old.subtasks, old.max_parallelism, new).context(|| format!("operator '{}'", old.name))?;
            operators.insert(old.id, states);
        }
        let channels = metadata.channels.iter().map(old_tasks).collect::<Result<_>>()?;
        Ok(Self { checkpoint, operators, channels })
    }

    /// The plan of one task.
    pub fn task(&self, graph: &JobGraph, vertex: usize, subtask: u32) -> Arc<TaskRestorePlan> {
        let of = &graph.vertices[vertex];
        let state = |id: OperatorId| Some((id, self.operators.get(&id)?.get(subtask as usize)?.clone()));
        let vertices = std::iter::once(of.id).chain(self.producers(graph, vertex));
        let in_flight = vertices.flat_map(|id| {
            let old = self.channels.get(&id).into_iter().flatten();
            old.map(move |(subtask, parallelism, data)| (id, *subtask, *parallelism, data.clone()))
        });
        Arc::new(TaskRestorePlan {
            checkpoint: self.checkpoint.id(),
            base: self.checkpoint.base.clone(),
            own_files: self.checkpoint.own_files,
            operators: of.operators.iter().filter_map(|operator| state(operator.id)).collect(),
            in_flight: in_flight.collect(),
        })
    }

    /// The old vertices that may have had records under way to a vertex: those it reads from, and, since other operators may have been chained then,
    /// those that are there no longer, and all before a vertex that was not there.
    fn producers(&self, graph: &JobGraph, vertex: usize) -> BTreeSet<VertexId> {
        let gone = |id: &&VertexId| graph.vertices.iter().all(|vertex| vertex.id != **id);
        let mut found: BTreeSet<VertexId> = self.channels.keys().filter(gone).copied().collect();
        let mut unseen = vec![vertex];
        while let Some(at) = unseen.pop() {
            for from in graph.vertices[at].incoming.iter().map(|edge| graph.edges[*edge].from) {
                let id = graph.vertices[from].id;
                if found.insert(id) && !self.channels.contains_key(&id) {
                    unseen.push(from);
                }
            }
        }
        found
    }

    /// The state of a source's coordinator.
    pub fn coordinator(&self, operator: OperatorId) -> Option<Vec<u8>> {
        self.checkpoint.metadata.operators.iter().find(|old| old.id == operator)?.coordinator.clone()
    }
}

fn old_tasks(vertex: &VertexChannels) -> Result<(VertexId, OldTasks)> {
    let old = |channel: &brisk_state::savepoint_format::ChannelState| {
        let mut key = Decoder::new(&channel.key);
        let number =
            |input: &mut Decoder<'_>| u32::try_from(input.varint()?).map_err(|_| Error::corrupt("the number of a subtask is too large"));
        let (subtask, parallelism) = (number(&mut key)?, number(&mut key)?);
        key.finish()?;
        Ok((subtask, parallelism, channel.data.clone()))
    };
    let tasks = vertex.channels.iter().map(old).collect::<Result<_>>().context(|| "records under way in the checkpoint's metadata")?;
    Ok((vertex.vertex, tasks))
}
