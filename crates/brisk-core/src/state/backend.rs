//! State backends: where keyed state lies.

use super::{ByteStore, KeyGroups, OperatorRestore, StateDescriptor};
use crate::operator::RuntimeContext;
use brisk_base::Result;
use brisk_base::ids::{AttemptId, OperatorId, VertexId};
use brisk_base::world::{Clock, World};
use std::sync::Arc;

/// What a backend has to know of an operator.
#[derive(Clone)]
pub struct StateBackendContext {
    /// How errors name the operator: `operator 'name' (2/4)`.
    pub place: Arc<str>,
    /// The key groups of the subtask.
    pub key_groups: KeyGroups,
    /// The operator.
    pub operator: OperatorId,
    /// The attempt of the subtask: with the operator, a name for files that no other store uses.
    pub attempt: AttemptId,
    /// Processing time, by which states with a time to live expire.
    pub clock: Arc<dyn Clock>,
    /// The declared states; the index is the [`StateId`](super::StateId).
    pub states: Arc<[StateDescriptor]>,
    /// What a checkpoint left for the operator. A backend restores what is in its own form; the engine restores the rest.
    pub restored: Option<Arc<OperatorRestore>>,
}

impl StateBackendContext {
    /// That of an operator of its own, without a job around it and with the machine's clock: for tests of backends.
    pub fn new(place: impl Into<Arc<str>>, key_groups: KeyGroups) -> Self {
        let attempt = AttemptId { vertex: VertexId(0), subtask: 0, attempt: 0 };
        Self {
            place: place.into(),
            key_groups,
            operator: OperatorId(0),
            attempt,
            clock: World::real().clock,
            states: Arc::new([]),
            restored: None,
        }
    }

    /// That of a keyed operator; its states are filled in when the store is opened.
    ///
    /// # Errors
    /// When parallelism and max parallelism do not fit together.
    pub fn of(runtime: &RuntimeContext) -> Result<Self> {
        let task = &runtime.task;
        let key_groups = KeyGroups::of_subtask(task.max_parallelism, task.parallelism, task.subtask)?;
        Ok(Self {
            operator: runtime.operator_id,
            attempt: task.attempt,
            clock: Arc::clone(&runtime.world.clock),
            restored: runtime.state.restored.clone(),
            ..Self::new(runtime.place(), key_groups)
        })
    }
}

/// Where the tables of one operator lie.
pub enum Store {
    /// As typed objects in memory: the engine's own tables.
    Heap,
    /// As bytes in this store: the engine encodes keys and values.
    Bytes(Box<dyn ByteStore>),
}

/// A state backend of one worker (Flink's `StateBackend`): `hashmap`, `rocksdb`, or one of your own.
pub trait StateBackend: Send + Sync {
    /// Its name, which `state.backend.type` selects it by, and which its own files carry in a checkpoint.
    fn name(&self) -> &str;

    /// A store for one keyed operator of one subtask.
    ///
    /// # Errors
    /// When the store cannot be opened.
    fn open(&self, cx: &StateBackendContext) -> Result<Store>;
}

/// Makes the state backend of a worker from its configuration (`state.backend.type` names it).
pub trait StateBackendFactory: Send + Sync {
    /// The backend.
    ///
    /// # Errors
    /// When the configuration is wrong.
    fn create(&self, config: &brisk_base::options::Configuration) -> Result<Arc<dyn StateBackend>>;
}
