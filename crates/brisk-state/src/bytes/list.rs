//! Tables of one list per key and namespace: its elements one after the other in one value, appended to without being read.

use super::space::{SharedByteStore, Space};
use crate::entry;
use brisk_base::{Result, ResultExt};
use brisk_core::state::{AnyTable, FrozenTable, KeyGroups, KeyedListTable, ListView, ListVisitor, Namespace, Slot, StateDescriptor, Write};
use brisk_core::types::{Decoder, Key, Record, Schema};
use std::ops::ControlFlow;
use std::task::{Context, Poll};

/// A table of one list per key and namespace in a byte store.
pub struct ByteListTable<K, N, V> {
    /// The entries.
    space: Space<K, N>,
    /// The list that was got last, so that it can be lent out.
    current: Vec<V>,
}

impl<K: Key, N: Namespace, V: Record> ByteListTable<K, N, V> {
    /// The table of this descriptor in `store`.
    pub fn new(descriptor: StateDescriptor, key_groups: KeyGroups, store: SharedByteStore) -> Self {
        Self { space: Space::new(descriptor, key_groups, store), current: Vec::new() }
    }

    fn decode(&self, value: &[u8]) -> Result<Vec<V>> {
        entry::decode_elements(value).context(|| self.space.place())
    }
}

fn encode<V: Record>(values: &[V]) -> Vec<u8> {
    let (mut scratch, mut out) = (Vec::new(), Vec::new());
    values.iter().for_each(|value| entry::put_element(value, &mut scratch, &mut out));
    out
}

impl<K: Key, N: Namespace, V: Record> AnyTable for ByteListTable<K, N, V> {
    fn descriptor(&self) -> &StateDescriptor {
        &self.space.descriptor
    }

    fn slot_schemas(&self) -> (Schema, Schema) {
        (K::schema(), N::schema())
    }

    fn in_byte_store(&self) -> bool {
        true
    }

    fn len(&mut self) -> Result<usize> {
        self.space.len()
    }

    fn heap_bytes(&self) -> usize {
        // The byte store is shared with other tables, and accounted for once by whoever owns it.
        0
    }

    fn clear(&mut self) -> Result<()> {
        self.space.clear()
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenTable>> {
        self.space.freeze()
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, namespace) = entry::decode_slot(&mut Decoder::new(key)).context(|| self.space.place())?;
        let values = self.decode(value)?;
        self.replace(Slot::new(&key, &namespace), values)
    }
}

impl<K: Key, N: Namespace, V: Record> KeyedListTable<K, N, V> for ByteListTable<K, N, V> {
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        self.space.prefetch(cx, slots)
    }

    fn get(&mut self, slot: Slot<'_, K, N>) -> Result<ListView<'_, V>> {
        self.current = self.space.read_one(self.space.format.slot(slot), entry::decode_elements)?.unwrap_or_default();
        Ok(ListView::new(&[], &self.current))
    }

    fn append(&mut self, slot: Slot<'_, K, N>, value: V) -> Result<()> {
        self.append_all(slot, vec![value])
    }

    fn append_many(&mut self, slots: &[Slot<'_, K, N>], value: &mut dyn FnMut(usize) -> V) -> Result<()> {
        let rows: Vec<(Vec<u8>, Vec<u8>)> =
            slots.iter().enumerate().map(|(index, slot)| (self.space.format.slot(*slot), encode(&[value(index)]))).collect();
        self.space.write(&rows.iter().map(|(key, bytes)| Write::Append { key, bytes }).collect::<Vec<_>>())
    }

    fn append_all(&mut self, slot: Slot<'_, K, N>, values: Vec<V>) -> Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        self.space.write(&[Write::Append { key: &self.space.format.slot(slot), bytes: &encode(&values) }])
    }

    fn replace(&mut self, slot: Slot<'_, K, N>, values: Vec<V>) -> Result<()> {
        if values.is_empty() {
            return self.remove(slot);
        }
        self.space.write(&[Write::Put { key: &self.space.format.slot(slot), value: &encode(&values) }])
    }

    fn take(&mut self, slot: Slot<'_, K, N>) -> Result<Vec<V>> {
        let list = self.space.read_one(self.space.format.slot(slot), entry::decode_elements)?;
        match list {
            Some(list) => self.remove(slot).map(|()| list),
            None => Ok(Vec::new()),
        }
    }

    fn remove(&mut self, slot: Slot<'_, K, N>) -> Result<()> {
        self.space.delete(&[self.space.format.slot(slot)])
    }

    fn scan_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(&K, ListView<'_, V>) -> Result<()>) -> Result<()> {
        self.space.scan_namespace(namespace, &mut |_, key, value| visit(&key, ListView::new(&[], &self.decode(value)?)))
    }

    fn remove_namespace(&mut self, namespace: &N) -> Result<()> {
        self.space.remove_namespace(namespace)
    }

    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>> {
        self.space.next_namespace(after)
    }

    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N]) -> Result<()> {
        for namespace in from.iter().filter(|namespace| *namespace != into.namespace) {
            let values = self.take(into.at(namespace))?;
            self.append_all(into, values)?;
        }
        Ok(())
    }

    fn scan(&mut self, visit: &mut ListVisitor<'_, K, N, V>) -> Result<()> {
        self.space.scan(&mut |bytes, value| {
            let (key, namespace, _) = self.space.format.decode(bytes).context(|| self.space.place())?;
            visit(&key, &namespace, ListView::new(&[], &self.decode(value)?))?;
            Ok(ControlFlow::Continue(()))
        })
    }
}
