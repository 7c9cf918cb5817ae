//! States whose types are not known yet: read from and written to the store as they are.
//!
//! In the key-major layout the key of an entry is key group, number of the state, and what a snapshot shows. In the namespace-major layout
//! key and namespace change places, which their schemas suffice for.

use super::space::{SharedByteStore, successor};
use brisk_base::Result;
use brisk_core::state::{EntryVisitor, FrozenBytes, FrozenTable, KeyGroups, KeyedStateMeta, Layout, StateId, Write};
use brisk_core::types::{Decoder, KeyGroup, KeyGroupRange, Schema};
use std::ops::ControlFlow;

/// Bytes of entries that are written at once.
const BATCH_BYTES: usize = 256 * 1024;

/// Length of the key group and the number of the state.
const HEAD: usize = 4;

/// Writes the entries that `scan` shows into the store, for a state in the key-major layout.
pub(crate) fn load(store: &SharedByteStore, state: StateId, scan: &mut dyn FnMut(&mut EntryVisitor<'_>) -> Result<()>) -> Result<()> {
    let mut batch = Batch::default();
    scan(&mut |group, key, value| {
        batch.add(&[&group.0.to_be_bytes(), &state.0.to_be_bytes(), key], value);
        if batch.bytes.len() >= BATCH_BYTES { batch.write(store) } else { Ok(()) }
    })?;
    batch.write(store)
}

/// Turns the values of a state, a page after the other.
pub(crate) fn convert(
    store: &SharedByteStore,
    state: StateId,
    groups: KeyGroups,
    convert: &mut dyn FnMut(&[u8]) -> Result<Vec<u8>>,
) -> Result<()> {
    for group in groups.range.iter() {
        let head = head(group, state);
        let mut from = head.to_vec();
        loop {
            let mut page = Vec::new();
            let mut bytes = 0;
            store.lock().scan(&from, successor(&head).as_deref(), &mut |key, value| {
                page.push((key.to_vec(), value.to_vec()));
                bytes += key.len() + value.len();
                Ok(if bytes >= BATCH_BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            let mut batch = Batch::default();
            for (key, value) in &page {
                batch.add(&[key], &convert(value)?);
            }
            batch.write(store)?;
            let last = page.pop().map(|(key, _)| key);
            match last {
                Some(last) => from = [last.as_slice(), &[0]].concat(),
                None => break,
            }
        }
    }
    Ok(())
}

/// Entries that are written together.
#[derive(Default)]
struct Batch {
    /// Keys and values, one after the other.
    bytes: Vec<u8>,
    /// Where each key and each value ends.
    ends: Vec<(usize, usize)>,
}

impl Batch {
    fn add(&mut self, key: &[&[u8]], value: &[u8]) {
        key.iter().for_each(|piece| self.bytes.extend_from_slice(piece));
        let key_end = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.ends.push((key_end, self.bytes.len()));
    }

    fn write(&mut self, store: &SharedByteStore) -> Result<()> {
        let mut start = 0;
        let mut writes = Vec::with_capacity(self.ends.len());
        for (key_end, end) in &self.ends {
            writes.push(Write::Put { key: &self.bytes[start..*key_end], value: &self.bytes[*key_end..*end] });
            start = *end;
        }
        if !writes.is_empty() {
            store.lock().apply(&writes)?;
        }
        self.bytes.clear();
        self.ends.clear();
        Ok(())
    }
}

/// A generation of a state whose types are not known.
pub(crate) fn freeze_untyped(
    store: &SharedByteStore,
    state: StateId,
    meta: &KeyedStateMeta,
    groups: KeyGroups,
) -> Result<Box<dyn FrozenTable>> {
    let slot = (meta.layout == Layout::NamespaceMajor).then(|| (meta.key.clone(), meta.namespace.clone()));
    Ok(Box::new(Untyped { bytes: store.lock().freeze()?, state, slot, groups }))
}

/// See [`freeze_untyped`].
struct Untyped {
    /// The whole store.
    bytes: Box<dyn FrozenBytes>,
    /// Number of the state.
    state: StateId,
    /// Schemas of key and namespace, if they have to change places.
    slot: Option<(Schema, Schema)>,
    /// Key groups of the subtask.
    groups: KeyGroups,
}

impl FrozenTable for Untyped {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let mut reordered = Vec::new();
        for group in self.groups.range.intersection(groups).iter() {
            let head = head(group, self.state);
            self.bytes.scan(&head, successor(&head).as_deref(), &mut |key, value| {
                let key = &key[HEAD..];
                match &self.slot {
                    None => visit(group, key, value)?,
                    Some((key_schema, namespace_schema)) => {
                        let mut input = Decoder::new(key);
                        namespace_schema.skip_ordered(&mut input)?;
                        let namespace_end = input.offset();
                        key_schema.skip_ordered(&mut input)?;
                        let key_end = input.offset();
                        reordered.clear();
                        [&key[namespace_end..key_end], &key[..namespace_end], &key[key_end..]]
                            .into_iter()
                            .for_each(|part| reordered.extend_from_slice(part));
                        visit(group, &reordered, value)?;
                    }
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
    }
}

fn head(group: KeyGroup, state: StateId) -> [u8; HEAD] {
    let ([a, b], [c, d]) = (group.0.to_be_bytes(), state.0.to_be_bytes());
    [a, b, c, d]
}
