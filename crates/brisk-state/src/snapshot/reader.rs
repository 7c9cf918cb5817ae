//! Reads state files.

use super::block::{HEADER_BYTES, Header};
use super::handle::{CanonicalHandle, GroupPart, StateData};
use super::writer::FILE_HEADER;
use crate::checkpoint_storage::{CheckpointStorage, StorageReader};
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::{EntryVisitor, KeyedStateMeta, RestoredKeyedState};
use brisk_core::types::{Decoder, KeyGroupRange};
use std::sync::Arc;

/// Bytes that are read at once, if there are as many.
const READ_BYTES: u64 = 512 * 1024;

/// Keyed states of several old subtasks, in the form that all backends share. Reads the files again at each scan, in order, a window of
/// some hundred kilobytes at a time.
pub struct CanonicalReader {
    storage: Arc<dyn CheckpointStorage>,
    /// The parts, by key groups in order.
    parts: Vec<CanonicalHandle>,
    /// The states of all parts, each once.
    states: Vec<KeyedStateMeta>,
}

impl CanonicalReader {
    /// The states of these parts, whose key groups do not overlap.
    ///
    /// # Errors
    /// `Corrupt` when parts have a state of one name with different types.
    pub fn new(storage: Arc<dyn CheckpointStorage>, mut parts: Vec<CanonicalHandle>) -> Result<Self> {
        parts.sort_by_key(|part| part.range.start());
        let mut states: Vec<KeyedStateMeta> = Vec::new();
        for meta in parts.iter().flat_map(|part| &part.states).map(|state| &state.meta) {
            match states.iter().find(|state| state.name == meta.name) {
                None => states.push(meta.clone()),
                Some(state) if state == meta => {}
                Some(_) => {
                    return Err(Error::corrupt(format!(
                        "the subtasks of the checkpoint disagree about the types of state '{}'",
                        meta.name
                    )));
                }
            }
        }
        Ok(Self { storage, parts, states })
    }
}

impl RestoredKeyedState for CanonicalReader {
    fn states(&self) -> &[KeyedStateMeta] {
        &self.states
    }

    fn scan(&self, state: &str, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        for part in &self.parts {
            let wanted = part.range.intersection(groups);
            let state = part.states.iter().filter(|part| &*part.meta.name == state).flat_map(|part| &part.groups);
            let mut blocks: Option<BlockReader> = None;
            for group in state.filter(|part| wanted.contains(part.group)) {
                if blocks.is_none() {
                    blocks = Some(BlockReader::open(&*self.storage, &part.data)?);
                }
                if let Some(blocks) = &mut blocks {
                    scan_group(blocks, group, visit)?;
                }
            }
        }
        Ok(())
    }
}

fn scan_group(blocks: &mut BlockReader, part: &GroupPart, visit: &mut EntryVisitor<'_>) -> Result<()> {
    let mut entries = 0;
    blocks.payloads(part.offset, part.length, &mut |mut payload| {
        while payload.remaining() > 0 {
            entries += 1;
            visit(part.group, payload.bytes()?, payload.bytes()?)?;
        }
        Ok(())
    })?;
    blocks.check_count(entries, part.entries)
}

/// Reads blocks, mostly in order.
pub(super) struct BlockReader {
    /// How errors name the file.
    name: String,
    source: Source,
    /// Bytes that were read ahead.
    window: Vec<u8>,
    /// Where the window begins.
    start: u64,
    /// Space for decompressed payloads.
    place: Vec<u8>,
}

/// Where blocks are.
enum Source {
    Bytes,
    File(Box<dyn StorageReader>),
}

impl BlockReader {
    pub(super) fn open(storage: &dyn CheckpointStorage, data: &StateData) -> Result<Self> {
        match data {
            StateData::Inline(bytes) => Ok(Self {
                name: "state within the metadata".to_owned(),
                source: Source::Bytes,
                window: bytes.to_vec(),
                start: 0,
                place: Vec::new(),
            }),
            StateData::File(file) => {
                let name = storage.name(&file.path);
                let reader = storage.open(&file.path)?;
                if reader.size() != file.size {
                    let message = format!("the file has {} bytes, and had {} when it was written", reader.size(), file.size);
                    return Err(Error::corrupt(message).context(name));
                }
                let mut blocks = Self { name, source: Source::File(reader), window: Vec::new(), start: 0, place: Vec::new() };
                blocks.check_header().context(|| &*blocks.name).map(|()| blocks)
            }
        }
    }

    fn check_header(&mut self) -> Result<()> {
        let header = self.bytes(0, FILE_HEADER.len())?;
        if header == FILE_HEADER {
            Ok(())
        } else if header[..6] == FILE_HEADER[..6] {
            Err(Error::user(format!("the file has version {} of the format, and this program reads version 1: use a newer one", header[6])))
        } else {
            Err(Error::corrupt("this is no file of state"))
        }
    }

    /// Shows the payloads of consecutive blocks. Errors of the bytes, but not those of `visit`, name the file.
    pub(super) fn payloads(&mut self, offset: u64, length: u64, visit: &mut dyn FnMut(Decoder<'_>) -> Result<()>) -> Result<()> {
        let end = offset.checked_add(length).ok_or_else(|| damaged(&self.name, "a block ends beyond the end of the file"))?;
        let mut at = offset;
        while at < end {
            let header: [u8; HEADER_BYTES] = self.bytes(at, HEADER_BYTES)?.try_into().expect("as many bytes as were asked for");
            let header = Header::new(header);
            let stored = header.stored_bytes();
            if (end - at).saturating_sub(HEADER_BYTES as u64) < stored as u64 {
                return Err(damaged(&self.name, "a block is longer than the key group it belongs to"));
            }
            let mut place = std::mem::take(&mut self.place);
            let payload = header.payload(self.bytes(at + HEADER_BYTES as u64, stored)?, &mut place);
            let shown = match payload {
                Ok(payload) => visit(Decoder::new(payload)),
                Err(error) => Err(error.context(format!("{}, block at {at}", self.name))),
            };
            self.place = place;
            shown?;
            at += (HEADER_BYTES + stored) as u64;
        }
        Ok(())
    }

    pub(super) fn check_count(&self, found: u64, expected: u64) -> Result<()> {
        if found == expected {
            Ok(())
        } else {
            Err(damaged(&self.name, &format!("there are {found} entries where {expected} were written")))
        }
    }

    /// These bytes, through the window.
    fn bytes(&mut self, at: u64, len: usize) -> Result<&[u8]> {
        let within = |reader: &Self| {
            let from = usize::try_from(at.checked_sub(reader.start)?).ok()?;
            let to = from.checked_add(len)?;
            (to <= reader.window.len()).then_some(from..to)
        };
        if within(self).is_none() {
            self.read_ahead(at, len)?;
        }
        match within(self) {
            Some(range) => Ok(&self.window[range]),
            None => Err(damaged(&self.name, "it ends too early")),
        }
    }

    fn read_ahead(&mut self, at: u64, len: usize) -> Result<()> {
        let Source::File(file) = &mut self.source else { return Ok(()) };
        let left = file.size().saturating_sub(at);
        if left < len as u64 {
            return Err(damaged(&self.name, "it ends too early"));
        }
        let count = left.min(READ_BYTES.max(len as u64));
        self.window.resize(usize::try_from(count).unwrap_or(usize::MAX), 0);
        self.start = at;
        file.read_at(at, &mut self.window)
    }
}

#[cold]
fn damaged(name: &str, what: &str) -> Error {
    Error::corrupt(format!("the state is damaged: {what}")).context(name)
}
