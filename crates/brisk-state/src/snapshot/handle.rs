//! Handles: plain data that says where state is stored.

use crate::wire::{self, Element, Wire, wire_struct};
use brisk_base::ids::OperatorId;
use brisk_base::{Result, ResultExt, Timestamp};
use brisk_core::state::{FileRef, KeyedStateMeta, NativeState, Redistribution};
use brisk_core::types::{Decoder, KeyGroup, KeyGroupRange, Schema};
use std::sync::Arc;

/// Stored state of one subtask of a job vertex.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TaskStateHandle {
    /// Its operators, head of the chain first.
    pub operators: Vec<(OperatorId, OperatorSubtaskState)>,
}

/// Stored state of one operator of one subtask.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OperatorSubtaskState {
    /// Keyed states; of a subtask that was restored with another parallelism, in several parts.
    pub keyed: Vec<KeyedHandle>,
    /// Operator states; several handles may have one name.
    pub operator: Vec<OperatorStateHandle>,
    /// The operator has passed on the end of its input.
    pub finished: bool,
    /// The last watermark that came to it.
    pub watermark: Timestamp,
}

/// Stored keyed state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeyedHandle {
    /// In the form that all backends read.
    Canonical(CanonicalHandle),
    /// In a backend's own form.
    Native(NativeHandle),
}

/// Bytes of state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StateData {
    /// In the handle itself, because they are few.
    Inline(Arc<[u8]>),
    /// In a file.
    File(FileRef),
}

/// Keyed state in the form that all backends read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CanonicalHandle {
    /// The blocks of all states.
    pub data: StateData,
    /// Key groups that this handle stands for; there may be more in `data`.
    pub range: KeyGroupRange,
    /// The states.
    pub states: Vec<StatePart>,
}

/// One keyed state within a [`CanonicalHandle`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatePart {
    /// Name, kind and types.
    pub meta: KeyedStateMeta,
    /// Its key groups in order; those without entries are left out.
    pub groups: Vec<GroupPart>,
}

/// Entries of one key group of one state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupPart {
    /// The key group.
    pub group: KeyGroup,
    /// Where its first block begins.
    pub offset: u64,
    /// Bytes of its blocks.
    pub length: u64,
    /// Entries in them.
    pub entries: u64,
}

/// Keyed state in a backend's own form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NativeHandle {
    /// The files.
    pub state: NativeState,
    /// The states in them.
    pub states: Vec<KeyedStateMeta>,
    /// Key groups that this handle stands for; there may be more in the files.
    pub range: KeyGroupRange,
}

/// One operator state, or some of its items.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OperatorStateHandle {
    /// Its name within the operator.
    pub name: Arc<str>,
    /// How items are spread.
    pub redistribution: Redistribution,
    /// Schema of an item.
    pub schema: Schema,
    /// The blocks of items.
    pub data: StateData,
    /// The blocks in order.
    pub blocks: Vec<ItemBlock>,
    /// The first of the items that this handle stands for.
    pub first: u64,
    /// How many it stands for.
    pub count: u64,
}

/// A block of items of an operator state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemBlock {
    /// Where it begins.
    pub offset: u64,
    /// Bytes of it.
    pub length: u64,
    /// Items in it.
    pub items: u64,
}

impl TaskStateHandle {
    /// The handle as bytes, for messages.
    pub fn encode(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        wire::from_bytes(bytes).context(|| "state handle of a task")
    }

    /// The files that it refers to.
    pub fn files(&self) -> impl Iterator<Item = &FileRef> {
        self.operators.iter().flat_map(|(_, state)| state.files())
    }
}

impl OperatorSubtaskState {
    /// The state as bytes, for messages.
    pub fn encode(&self) -> Vec<u8> {
        wire::to_bytes(self)
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        wire::from_bytes(bytes).context(|| "state handle of an operator")
    }

    /// Whether there is no state in it.
    pub fn is_empty(&self) -> bool {
        self.keyed.is_empty() && self.operator.is_empty()
    }

    /// The files that it refers to; one may come several times.
    pub fn files(&self) -> impl Iterator<Item = &FileRef> {
        let keyed = self.keyed.iter().flat_map(|handle| {
            match handle {
                KeyedHandle::Canonical(handle) => (handle.data.file(), [].as_slice()),
                KeyedHandle::Native(handle) => (None, handle.state.files.as_slice()),
            }
            .into_files()
        });
        keyed.chain(self.operator.iter().filter_map(|handle| handle.data.file()))
    }
}

/// One file or several.
trait IntoFiles<'a> {
    fn into_files(self) -> impl Iterator<Item = &'a FileRef>;
}

impl<'a> IntoFiles<'a> for (Option<&'a FileRef>, &'a [brisk_core::state::NativeFile]) {
    fn into_files(self) -> impl Iterator<Item = &'a FileRef> {
        self.0.into_iter().chain(self.1.iter().map(|file| &file.file))
    }
}

impl KeyedHandle {
    /// Key groups that it stands for.
    pub const fn range(&self) -> KeyGroupRange {
        match self {
            Self::Canonical(handle) => handle.range,
            Self::Native(handle) => handle.range,
        }
    }

    /// The same state, standing for those of these key groups only.
    #[must_use]
    pub fn restricted(&self, range: KeyGroupRange) -> Self {
        match self {
            Self::Canonical(handle) => {
                let range = handle.range.intersection(range);
                let restrict = |part: &StatePart| StatePart {
                    meta: part.meta.clone(),
                    groups: part.groups.iter().filter(|part| range.contains(part.group)).copied().collect(),
                };
                Self::Canonical(CanonicalHandle { data: handle.data.clone(), range, states: handle.states.iter().map(restrict).collect() })
            }
            Self::Native(handle) => Self::Native(NativeHandle { range: handle.range.intersection(range), ..handle.clone() }),
        }
    }
}

impl StateData {
    /// The file, if it is one.
    pub const fn file(&self) -> Option<&FileRef> {
        match self {
            Self::Inline(_) => None,
            Self::File(file) => Some(file),
        }
    }
}

wire_struct! {
    TaskStateHandle { operators }
    OperatorSubtaskState { keyed, operator, finished, watermark }
    CanonicalHandle { data, range, states }
    StatePart { meta, groups }
    GroupPart { group, offset, length, entries }
    NativeHandle { state, states, range }
    OperatorStateHandle { name, redistribution, schema, data, blocks, first, count }
    ItemBlock { offset, length, items }
}

impl Element for KeyedHandle {}
impl Element for OperatorStateHandle {}
impl Element for OperatorSubtaskState {}
impl Element for StatePart {}
impl Element for GroupPart {}
impl Element for ItemBlock {}

impl Wire for KeyedHandle {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Canonical(handle) => {
                out.push(0);
                handle.put(out);
            }
            Self::Native(handle) => {
                out.push(1);
                handle.put(out);
            }
        }
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        match input.byte()? {
            0 => CanonicalHandle::get(input).map(Self::Canonical),
            1 => NativeHandle::get(input).map(Self::Native),
            other => Err(input.unknown_variant("KeyedHandle", u64::from(other))),
        }
    }
}

impl Wire for StateData {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Inline(bytes) => {
                out.push(0);
                bytes.put(out);
            }
            Self::File(file) => {
                out.push(1);
                file.put(out);
            }
        }
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        match input.byte()? {
            0 => Wire::get(input).map(Self::Inline),
            1 => FileRef::get(input).map(Self::File),
            other => Err(input.unknown_variant("StateData", u64::from(other))),
        }
    }
}
