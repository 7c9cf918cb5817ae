//! What a harness leaves at a checkpoint, and what another one goes on with.
//!
//! State goes through the bytes and the restore of a running job: nothing is handed over as it is.

use brisk_base::ids::{CheckpointId, OperatorId, VertexId};
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::job_graph::{JobGraph, JobVertex};
use brisk_runtime::barrier::InFlightElements;
use brisk_runtime::task::{OldTask, RestoreTask, TaskCheckpoint, TaskRestore};
use brisk_state::checkpoint_storage::{CheckpointStorage, MemoryStorage};
use brisk_state::snapshot::{CheckpointLocation, NewParallelism, TaskStateHandle, assign, read_operator, write_task};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What a harness left at a checkpoint: state, timers, watermarks, and requests under way (Flink's `OperatorSubtaskState`). Cheap to clone.
#[derive(Clone)]
pub struct HarnessSnapshot {
    checkpoint: CheckpointId,
    storage: Arc<dyn CheckpointStorage>,
    tasks: Arc<Vec<StoredTask>>,
    /// Processing time at the checkpoint.
    now: Timestamp,
}

/// The part of one task.
struct StoredTask {
    vertex: VertexId,
    max_parallelism: u32,
    /// An encoded [`TaskStateHandle`].
    state: Vec<u8>,
    /// Encoded [`InFlightElements`].
    in_flight: Vec<u8>,
}

impl HarnessSnapshot {
    /// Stores what the tasks handed over, in memory.
    pub(crate) fn store(
        checkpoint: CheckpointId,
        now: Timestamp,
        graph: &JobGraph,
        mut taken: BTreeMap<VertexId, TaskCheckpoint>,
    ) -> Result<Self> {
        let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
        // State that is small lies in a file all the same, as that of a large job does.
        let at = CheckpointLocation { inline_below: 0, ..CheckpointLocation::savepoint() };
        let mut tasks = Vec::new();
        for vertex in &graph.vertices {
            let task = taken.remove(&vertex.id).ok_or_else(|| {
                Error::user(format!("'{}' took no part in the snapshot because its input has ended; take it before end_input", vertex.name))
            })?;
            let (state, _) = write_task(storage.as_ref(), &at, &vertex.id.to_string(), task.operators)?;
            let (vertex, max_parallelism) = (vertex.id, vertex.max_parallelism);
            tasks.push(StoredTask { vertex, max_parallelism, state: state.encode(), in_flight: task.in_flight.encode() });
        }
        Ok(Self { checkpoint, storage, tasks: Arc::new(tasks), now })
    }

    /// The checkpoint.
    pub const fn checkpoint(&self) -> CheckpointId {
        self.checkpoint
    }

    /// Processing time at which it was taken; the restored harness begins there.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Every operator with state has to be in the graph.
    pub(crate) fn check(&self, graph: &JobGraph) -> Result<()> {
        let known = |id: OperatorId| graph.vertices.iter().flat_map(|vertex| &vertex.operators).any(|operator| operator.id == id);
        for task in &*self.tasks {
            for (operator, state) in TaskStateHandle::decode(&task.state)?.operators {
                let has_state = !state.keyed.is_empty() || !state.operator.is_empty();
                if has_state && !known(operator) {
                    return Err(Error::user(format!(
                        "the snapshot has state of an operator {operator} that the pipeline does not have; build the same pipeline, or give \
                         its operators a uid"
                    )));
                }
            }
        }
        Ok(())
    }

    /// What the task of this vertex begins with.
    pub(crate) fn restore(&self, vertex: &JobVertex) -> RestoreTask {
        let snapshot = self.clone();
        let ids: Vec<OperatorId> = vertex.operators.iter().map(|operator| operator.id).collect();
        let new = NewParallelism { parallelism: vertex.parallelism, max_parallelism: vertex.max_parallelism };
        Box::new(move || snapshot.read(&ids, new).context(|| "restoring a harness"))
    }

    fn read(&self, ids: &[OperatorId], new: NewParallelism) -> Result<TaskRestore> {
        let mut restore = TaskRestore::default();
        for task in &*self.tasks {
            for (operator, state) in TaskStateHandle::decode(&task.state)?.operators {
                if !ids.contains(&operator) {
                    continue;
                }
                for state in assign(&[state], task.max_parallelism, new)? {
                    // A savepoint has no files of a backend, so no folder is needed.
                    let restored = read_operator(&self.storage, self.checkpoint, &state, Path::new(""))?;
                    restore.operators.insert(operator, Arc::new(restored));
                }
            }
            let elements = InFlightElements::decode(&task.in_flight)?;
            restore.in_flight.push(OldTask { vertex: task.vertex, subtask: 0, parallelism: 1, elements });
        }
        Ok(restore)
    }
}
