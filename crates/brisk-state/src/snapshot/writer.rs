//! Writes what the operators of a task handed over at a barrier.

use super::block::{BLOCK_BYTES, put_block};
use super::handle::{
    CanonicalHandle, GroupPart, ItemBlock, KeyedHandle, NativeHandle, OperatorStateHandle, OperatorSubtaskState, StateData, StatePart,
    TaskStateHandle,
};
use super::native::Upload;
use crate::checkpoint_storage::{CheckpointStorage, StorageWriter, layout};
use brisk_base::ids::{CheckpointId, OperatorId};
use brisk_base::{Result, ResultExt};
use brisk_core::state::{FileRef, FrozenState, FrozenTable, OperatorSnapshot, OperatorStateSnapshot};
use brisk_core::types::{KeyGroupRange, put_bytes};
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3Default;

/// What a state file begins with: magic and version.
pub(super) const FILE_HEADER: [u8; 8] = *b"BRSKST\x01\0";

/// Where the files of one checkpoint or savepoint go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointLocation {
    /// Folder of files that belong to it alone; empty for the storage's own folder.
    pub folder: String,
    /// Folder of files that other checkpoints may refer to; none when it has to be self-contained.
    pub shared: Option<String>,
    /// A task whose state has fewer bytes than this puts them into its handle (`execution.checkpointing.data-inline-threshold`).
    pub inline_below: usize,
}

impl CheckpointLocation {
    /// Flink's default of `execution.checkpointing.data-inline-threshold`: 20 kb.
    pub const INLINE_BELOW: usize = 20 * 1024;

    /// That of a checkpoint, in the folder of its job.
    pub fn checkpoint(checkpoint: CheckpointId) -> Self {
        Self { folder: layout::checkpoint_folder(checkpoint), shared: Some(layout::SHARED.to_owned()), inline_below: Self::INLINE_BELOW }
    }

    /// That of a savepoint, in the folder of the savepoint.
    pub const fn savepoint() -> Self {
        Self { folder: String::new(), shared: None, inline_below: Self::INLINE_BELOW }
    }

    /// Path of a file that belongs to the checkpoint alone.
    pub fn path(&self, name: &str) -> String {
        if self.folder.is_empty() { name.to_owned() } else { format!("{}/{name}", self.folder) }
    }
}

/// How much state there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SnapshotSizes {
    /// Bytes that the checkpoint refers to.
    pub full_bytes: u64,
    /// Bytes that were stored for it.
    pub stored_bytes: u64,
}

/// Stores everything that the operators of one subtask handed over: what is in the form that all backends share in one file at most, and
/// the files of backends. Blocks; holds some blocks of state in memory.
///
/// `name` becomes part of file names and has to be unique among all attempts of all subtasks in this checkpoint. After an error, what was
/// stored is deleted, but for files in `shared`.
///
/// # Errors
/// Those of the storage and of frozen tables.
pub fn write_task(
    storage: &dyn CheckpointStorage,
    at: &CheckpointLocation,
    name: &str,
    mut operators: Vec<(OperatorId, OperatorSnapshot)>,
) -> Result<(TaskStateHandle, SnapshotSizes)> {
    operators.iter_mut().filter_map(|(_, snapshot)| snapshot.native.as_mut()).try_for_each(|native| native.prepare())?;
    let mut writer = TaskSnapshotWriter::new(storage, at, name);
    for (operator, snapshot) in operators {
        writer.operator(operator, snapshot)?;
    }
    writer.finish()
}

/// Stores what the operators of one subtask handed over, one after the other. See [`write_task`].
pub struct TaskSnapshotWriter<'a> {
    /// The file.
    out: Output<'a>,
    /// What has been written, its offsets counted from the begin of the file.
    operators: Vec<(OperatorId, OperatorSubtaskState)>,
    /// Files of backends.
    upload: Upload<'a>,
    /// Bytes of the backends' files, those stored earlier included.
    native_bytes: u64,
    /// Payload of the block that is being filled.
    payload: Vec<u8>,
}

/// The bytes of the file: in memory while they are few.
struct Output<'a> {
    storage: &'a dyn CheckpointStorage,
    path: String,
    inline_below: usize,
    /// Bytes that are not in the file yet; all of them while there is no file.
    buffer: Vec<u8>,
    file: Option<Box<dyn StorageWriter>>,
    /// Bytes that were written to the file.
    flushed: u64,
    checksum: Xxh3Default,
}

impl Output<'_> {
    fn position(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Writes a block of this payload.
    fn block(&mut self, payload: &mut Vec<u8>) -> Result<()> {
        put_block(payload, &mut self.buffer)?;
        payload.clear();
        let limit = if self.file.is_some() { BLOCK_BYTES } else { self.inline_below };
        if self.buffer.len() > limit { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        if self.file.is_none() {
            self.file = Some(self.storage.create(&self.path)?);
        }
        if let Some(file) = &mut self.file {
            file.write(&self.buffer)?;
        }
        self.checksum.update(&self.buffer);
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

impl<'a> TaskSnapshotWriter<'a> {
    /// Nothing is written before the first operator.
    pub fn new(storage: &'a dyn CheckpointStorage, at: &'a CheckpointLocation, name: &'a str) -> Self {
        let out = Output {
            storage,
            path: at.path(name),
            inline_below: at.inline_below,
            buffer: FILE_HEADER.to_vec(),
            file: None,
            flushed: 0,
            checksum: Xxh3Default::new(),
        };
        let upload = Upload::new(storage, at, name);
        Self { out, operators: Vec::new(), upload, native_bytes: 0, payload: Vec::new() }
    }

    /// Stores what one operator handed over.
    ///
    /// # Errors
    /// Those of the storage and of frozen tables.
    pub fn operator(&mut self, operator: OperatorId, snapshot: OperatorSnapshot) -> Result<()> {
        let mut state = OperatorSubtaskState { finished: snapshot.finished, watermark: snapshot.watermark, ..Default::default() };
        if let Some(native) = snapshot.native {
            let native = native.write(&mut self.upload)?;
            let range = native.range;
            self.native_bytes += native.files.iter().map(|file| file.file.size).sum::<u64>();
            state.keyed.push(KeyedHandle::Native(NativeHandle { state: native, states: snapshot.native_states, range }));
        }
        if !snapshot.keyed.is_empty() {
            state.keyed.push(KeyedHandle::Canonical(self.keyed(snapshot.keyed)?));
        }
        for items in &snapshot.operator {
            state.operator.push(self.items(items).context(|| format!("operator state '{}'", items.name))?);
        }
        self.operators.push((operator, state));
        Ok(())
    }

    fn keyed(&mut self, states: Vec<FrozenState>) -> Result<CanonicalHandle> {
        let mut range: Option<(u16, u16)> = None;
        let mut parts = Vec::with_capacity(states.len());
        for state in states {
            let groups = self.table(state.table).context(|| format!("state '{}'", state.meta.name))?;
            for part in &groups {
                let (start, end) = range.unwrap_or((part.group.0, part.group.0));
                range = Some((start.min(part.group.0), end.max(part.group.0)));
            }
            parts.push(StatePart { meta: state.meta, groups });
        }
        let range = range.map_or(KeyGroupRange::EMPTY, |(start, end)| KeyGroupRange::new(start, end.saturating_add(1)));
        Ok(CanonicalHandle { data: StateData::Inline(Arc::from([])), range, states: parts })
    }

    /// Writes the entries of a table; each key group begins a block.
    fn table(&mut self, table: Box<dyn FrozenTable>) -> Result<Vec<GroupPart>> {
        let mut parts: Vec<GroupPart> = Vec::new();
        let (out, payload) = (&mut self.out, &mut self.payload);
        payload.clear();
        table.scan_and_drop(&mut |group, key, value| {
            if parts.last().is_none_or(|part| part.group != group) {
                close(out, payload, parts.last_mut())?;
                parts.push(GroupPart { group, offset: out.position(), length: 0, entries: 0 });
            }
            put_bytes(payload, key);
            put_bytes(payload, value);
            if let Some(part) = parts.last_mut() {
                part.entries += 1;
            }
            if payload.len() >= BLOCK_BYTES { close(out, payload, parts.last_mut()) } else { Ok(()) }
        })?;
        close(out, payload, parts.last_mut())?;
        Ok(parts)
    }

    fn items(&mut self, state: &OperatorStateSnapshot) -> Result<OperatorStateHandle> {
        let mut blocks = Vec::new();
        let mut items = 0;
        self.payload.clear();
        for (index, item) in state.items.iter().enumerate() {
            put_bytes(&mut self.payload, item);
            items += 1;
            if self.payload.len() >= BLOCK_BYTES || index + 1 == state.items.len() {
                let offset = self.out.position();
                self.out.block(&mut self.payload)?;
                blocks.push(ItemBlock { offset, length: self.out.position() - offset, items });
                items = 0;
            }
        }
        Ok(OperatorStateHandle {
            name: Arc::clone(&state.name),
            redistribution: state.redistribution,
            schema: state.schema.clone(),
            data: StateData::Inline(Arc::from([])),
            blocks,
            first: 0,
            count: state.items.len() as u64,
        })
    }

    /// Makes the file durable, and the handle of the task.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn finish(mut self) -> Result<(TaskStateHandle, SnapshotSizes)> {
        let written = self.out.position() - FILE_HEADER.len() as u64;
        let sizes = SnapshotSizes { full_bytes: self.native_bytes + written, stored_bytes: self.upload.stored_bytes() + written };
        let mut operators = std::mem::take(&mut self.operators);
        if self.out.file.is_some() {
            self.out.flush()?;
            let (checksum, size) = (self.out.checksum.digest(), self.out.flushed);
            if let Some(file) = self.out.file.take() {
                file.finish()?;
            }
            let data = StateData::File(FileRef { path: self.out.path.clone(), size, checksum });
            operators.iter_mut().for_each(|(_, state)| state.put_data(&data));
        } else {
            operators.iter_mut().for_each(|(_, state)| state.put_inline(&self.out.buffer));
        }
        self.upload.keep();
        Ok((TaskStateHandle { operators }, sizes))
    }
}

/// Writes what is left of a key group's entries.
fn close(out: &mut Output<'_>, payload: &mut Vec<u8>, part: Option<&mut GroupPart>) -> Result<()> {
    if let Some(part) = part
        && !payload.is_empty()
    {
        out.block(payload)?;
        part.length = out.position() - part.offset;
    }
    Ok(())
}

impl OperatorSubtaskState {
    /// Sets where all of the blocks are.
    fn put_data(&mut self, data: &StateData) {
        for handle in &mut self.keyed {
            if let KeyedHandle::Canonical(handle) = handle {
                handle.data = data.clone();
            }
        }
        self.operator.iter_mut().for_each(|handle| handle.data = data.clone());
    }

    /// Puts the blocks of each handle into it.
    fn put_inline(&mut self, bytes: &[u8]) {
        for handle in &mut self.keyed {
            if let KeyedHandle::Canonical(handle) = handle {
                let mut parts: Vec<&mut GroupPart> = handle.states.iter_mut().flat_map(|state| &mut state.groups).collect();
                let start = parts.iter().map(|part| part.offset).min().unwrap_or(0);
                let end = parts.iter().map(|part| part.offset + part.length).max().unwrap_or(0);
                parts.iter_mut().for_each(|part| part.offset -= start);
                handle.data = inline(bytes, start, end);
            }
        }
        for handle in &mut self.operator {
            let start = handle.blocks.first().map_or(0, |block| block.offset);
            let end = handle.blocks.last().map_or(0, |block| block.offset + block.length);
            handle.blocks.iter_mut().for_each(|block| block.offset -= start);
            handle.data = inline(bytes, start, end);
        }
    }
}

fn inline(bytes: &[u8], start: u64, end: u64) -> StateData {
    StateData::Inline(bytes.get(start as usize..end as usize).unwrap_or_default().into())
}
