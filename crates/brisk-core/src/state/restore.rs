//! What an operator begins with: the state backend, and what a checkpoint left for it.

use super::{EntryVisitor, KeyedStateMeta, NativeState, OperatorStateSnapshot, Redistribution, StateBackend};
use crate::types::{Decoder, Evolution, KeyGroupRange, Record, Schema};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, ResultExt, Timestamp};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keyed states of a checkpoint, in the form that all backends share, for one operator of one subtask: the parts of all old subtasks that
/// the new one takes over.
pub trait RestoredKeyedState: Send + Sync {
    /// The states that are there; those that several parts have, once.
    fn states(&self) -> &[KeyedStateMeta];

    /// Shows the entries of one state in these key groups, as [`FrozenTable::scan`](super::FrozenTable::scan) did.
    ///
    /// # Errors
    /// `Corrupt` with the file's name when it is damaged; those of `visit`.
    fn scan(&self, state: &str, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()>;
}

/// One operator state, already spread over the subtasks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoredOperatorState {
    /// Its name within the operator.
    pub name: Arc<str>,
    /// How its items were spread.
    pub redistribution: Redistribution,
    /// Schema of an item.
    pub schema: Schema,
    /// The items for this subtask, each encoded.
    pub items: Vec<Vec<u8>>,
}

/// What a checkpoint left for one operator of one subtask.
#[derive(Default)]
pub struct OperatorRestore {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Keyed states in the common form.
    pub keyed: Option<Arc<dyn RestoredKeyedState>>,
    /// Keyed states in a backend's own form, one part for each old subtask whose key groups overlap; files are local already.
    pub native: Vec<LocalNativeState>,
    /// The checkpoint is the job's own and stays: later checkpoints may refer to its shared files.
    pub own_files: bool,
    /// Operator states.
    pub operator: Vec<RestoredOperatorState>,
    /// All old subtasks had passed on the end of their input.
    pub finished: bool,
    /// The lowest watermark that the old subtasks had seen.
    pub watermark: Timestamp,
    /// Which operator states the operator has asked for.
    pub asked: AskedStates,
}

/// Names of the operator states that an operator has asked for since it began.
#[derive(Default, Debug)]
pub struct AskedStates(Mutex<BTreeSet<Arc<str>>>);

impl AskedStates {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keyed state in a backend's own form, whose files lie in a local folder under the names that the backend gave them.
#[derive(Clone, Debug)]
pub struct LocalNativeState {
    /// What it is.
    pub state: NativeState,
    /// The states in it.
    pub states: Vec<KeyedStateMeta>,
    /// The folder; the files in it may be linked and moved, not changed.
    pub folder: PathBuf,
}

impl OperatorRestore {
    /// The items of an operator state; empty when there are none. Those of an older version of the type become the present one's
    /// ([`Evolution`]).
    ///
    /// # Errors
    /// `User` when the type has changed in a way that does not allow for that; `Corrupt` when the bytes are damaged.
    pub fn operator_state<T: Record>(&self, name: &str) -> Result<Vec<T>> {
        let Some(state) = self.operator.iter().find(|state| &*state.name == name) else { return Ok(Vec::new()) };
        self.asked.lock().insert(Arc::clone(&state.name));
        let place = || format!("operator state '{name}'");
        let refused = |why| Error::user(format!("the checkpoint's state does not fit the program: {why}"));
        let evolution = Evolution::plan(&state.schema, &T::schema()).map_err(refused).context(place)?;
        let decode = |bytes: &[u8]| {
            let mut input = Decoder::new(bytes);
            let value = T::decode(&mut input)?;
            input.finish().map(|()| value)
        };
        let item = |bytes: &Vec<u8>| match &evolution {
            None => decode(bytes),
            Some(evolution) => decode(&evolution.convert(bytes)?),
        };
        state.items.iter().map(item).collect::<Result<_>>().context(place)
    }

    /// What a snapshot of this subtask needs beside what the operator gave: operator states that the present program does not know, which a
    /// later one may ask for. Of a list that every subtask got as a whole, the first subtask keeps the items.
    pub fn unknown_states(&self, given: &[OperatorStateSnapshot], subtask: u32) -> Vec<OperatorStateSnapshot> {
        let asked = self.asked.lock();
        let is_unknown = |state: &&RestoredOperatorState| {
            let mine = state.redistribution != Redistribution::Union || subtask == 0;
            mine && !asked.contains(&state.name) && given.iter().all(|given| given.name != state.name)
        };
        let kept = |state: &RestoredOperatorState| {
            let RestoredOperatorState { name, redistribution, schema, items } = state.clone();
            OperatorStateSnapshot { name, redistribution, schema, items }
        };
        self.operator.iter().filter(is_unknown).map(kept).collect()
    }
}

/// State of one operator of one subtask at its begin. Part of the [`RuntimeContext`](crate::operator::RuntimeContext).
#[derive(Clone, Default)]
pub struct OperatorStateContext {
    /// Where keyed state lies; `None`: the engine's tables on the heap.
    pub backend: Option<Arc<dyn StateBackend>>,
    /// What a checkpoint left; `None` for a fresh start, and for an operator that the checkpoint does not know.
    pub restored: Option<Arc<OperatorRestore>>,
    /// Whether the job takes checkpoints: then what must be visible once only waits for one.
    pub checkpointing: bool,
}

impl OperatorStateContext {
    /// The items of a restored operator state.
    ///
    /// # Errors
    /// As [`OperatorRestore::operator_state`].
    pub fn operator_state<T: Record>(&self, name: &str) -> Result<Vec<T>> {
        self.restored.as_ref().map_or(Ok(Vec::new()), |restored| restored.operator_state(name))
    }

    /// Whether the operator goes on from a checkpoint.
    pub const fn is_restored(&self) -> bool {
        self.restored.is_some()
    }
}
