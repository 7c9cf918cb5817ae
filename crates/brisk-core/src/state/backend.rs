//! State backends: where keyed state lies.

use super::{ByteStore, KeyGroups};
use crate::operator::RuntimeContext;
use brisk_base::Result;
use std::sync::Arc;

/// What a backend has to know of an operator.
#[derive(Clone)]
pub struct StateBackendContext {
    /// How errors name the operator: `operator 'name' (2/4)`.
    pub place: Arc<str>,
    /// The key groups of the subtask.
    pub key_groups: KeyGroups,
}

impl StateBackendContext {
    /// That of a keyed operator.
    ///
    /// # Errors
    /// When parallelism and max parallelism do not fit together.
    pub fn of(runtime: &RuntimeContext) -> Result<Self> {
        let task = &runtime.task;
        Ok(Self { place: runtime.place().into(), key_groups: KeyGroups::of_subtask(task.max_parallelism, task.parallelism, task.subtask)? })
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
