//! What an operator hands over at a barrier: frozen views, cheap to make, to be encoded in the background.

use super::{AnyTable, FrozenTable, Layout, StateDescriptor, StateKind};
use crate::types::{KeyGroupRange, Record, Schema};
use brisk_base::{Result, Timestamp};
use std::path::Path;
use std::sync::Arc;

/// Name, kind and types of a keyed state, as a snapshot keeps them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyedStateMeta {
    /// Name of the state within its operator.
    pub name: Arc<str>,
    /// Value, list or map.
    pub kind: StateKind,
    /// The order in which a backend's own form has key and namespace; the form that all backends share does not depend on it.
    pub layout: Layout,
    /// Schema of the keys.
    pub key: Schema,
    /// Schema of the namespaces.
    pub namespace: Schema,
    /// Schema of a value, of an element of a list, or of a value of a map.
    pub value: Schema,
    /// Schema of a map's keys.
    pub map_key: Option<Schema>,
}

impl KeyedStateMeta {
    /// That of a declared state with these keys and namespaces.
    pub fn new(descriptor: &StateDescriptor, key: Schema, namespace: Schema) -> Self {
        Self {
            name: Arc::clone(&descriptor.name),
            kind: descriptor.kind,
            layout: descriptor.layout,
            key,
            namespace,
            value: descriptor.value.clone(),
            map_key: descriptor.map_key.clone(),
        }
    }
}

/// One keyed state as it was at the barrier.
pub struct FrozenState {
    /// Name, kind and types.
    pub meta: KeyedStateMeta,
    /// Its entries.
    pub table: Box<dyn FrozenTable>,
}

/// How the items of an operator state are spread over the subtasks of a restored job.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Redistribution {
    /// Each item goes to one subtask, evenly (Flink's `SPLIT_DISTRIBUTE`).
    Split,
    /// Each subtask gets the items of all (`UNION`).
    Union,
    /// All subtasks have the same items, and get them (`BROADCAST`).
    Broadcast,
}

/// One operator state as it was at the barrier, encoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorStateSnapshot {
    /// Its name within the operator.
    pub name: Arc<str>,
    /// How its items are spread.
    pub redistribution: Redistribution,
    /// Schema of an item.
    pub schema: Schema,
    /// The items, each encoded.
    pub items: Vec<Vec<u8>>,
}

/// A file in the checkpoint storage.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FileRef {
    /// Path below the job's checkpoint directory (`chk-7/...`, `shared/...`); in a savepoint, below the savepoint's directory.
    pub path: String,
    /// Bytes in it.
    pub size: u64,
    /// Checksum of its bytes (xxh3, 64 bits).
    pub checksum: u64,
}

/// One file of a backend's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NativeFile {
    /// How the backend calls it.
    pub name: String,
    /// Where it is.
    pub file: FileRef,
    /// Whether other checkpoints of the job may refer to it, too.
    pub shared: bool,
}

/// Keyed state in a backend's own form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NativeState {
    /// Name of the backend; only it can read the files.
    pub backend: String,
    /// The key groups in them.
    pub range: KeyGroupRange,
    /// The files.
    pub files: Vec<NativeFile>,
    /// What the backend needs besides.
    pub meta: Vec<u8>,
}

/// Stores files of a snapshot. Called in the background; blocks until each file is stored.
pub trait NativeFiles {
    /// Stores a local file. A shared one may be referred to by later checkpoints, and its bytes must never change again: where the storage is on the same
    /// file system it is linked, not copied.
    ///
    /// # Errors
    /// When the file cannot be read or stored.
    fn store(&mut self, local: &Path, shared: bool) -> Result<FileRef>;
}

/// Keyed state in a backend's own form, ready to be stored in the background.
pub trait NativeSnapshot: Send {
    /// Does at once what the backend waits for, such as bringing its files into a state that stays. Called in the background, for all
    /// operators of a task before any of them is written; [`write`](Self::write) does it otherwise.
    ///
    /// # Errors
    /// The backend's.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// Stores it.
    ///
    /// # Errors
    /// When something cannot be read or stored; what was stored is deleted by the caller.
    fn write(self: Box<Self>, files: &mut dyn NativeFiles) -> Result<NativeState>;
}

/// Everything that one operator of one subtask holds at a barrier.
#[derive(Default)]
pub struct OperatorSnapshot {
    /// Keyed states, and timers (`$event-timers`, `$processing-timers`), in the form that all backends share.
    pub keyed: Vec<FrozenState>,
    /// Keyed states in the backend's own form; then `keyed` holds only what lies outside of the backend. Their descriptions are in
    /// `native_states`.
    pub native: Option<Box<dyn NativeSnapshot>>,
    /// The states in `native`.
    pub native_states: Vec<KeyedStateMeta>,
    /// Operator states.
    pub operator: Vec<OperatorStateSnapshot>,
    /// The operator has passed on the end of its input and is called no more.
    pub finished: bool,
    /// The last watermark that came to the operator; filled in by the runtime.
    pub watermark: Timestamp,
}

impl OperatorSnapshot {
    /// Freezes a table of the operator's own; to be called after the operator's store has added its states. Of a table that is in
    /// `native` already, only the description is noted.
    ///
    /// # Errors
    /// The backend's.
    pub fn freeze(&mut self, table: &mut (impl AnyTable + ?Sized)) -> Result<()> {
        let (key, namespace) = table.slot_schemas();
        let meta = KeyedStateMeta::new(table.descriptor(), key, namespace);
        if self.native.is_some() && table.in_byte_store() {
            self.native_states.push(meta);
        } else {
            self.keyed.push(FrozenState { meta, table: table.freeze()? });
        }
        Ok(())
    }

    /// Adds an operator state.
    pub fn add_operator_state<'a, T: Record>(
        &mut self,
        name: &str,
        redistribution: Redistribution,
        items: impl IntoIterator<Item = &'a T>,
    ) {
        let encode = |item: &T| {
            let mut bytes = Vec::new();
            item.encode(&mut bytes);
            bytes
        };
        let items = items.into_iter().map(encode).collect();
        self.operator.push(OperatorStateSnapshot { name: name.into(), redistribution, schema: T::schema(), items });
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.keyed.is_empty() && self.native.is_none() && self.operator.is_empty()
    }
}
