//! Tables of one value per key and namespace.

use super::space::{SharedByteStore, Space};
use crate::entry;
use brisk_base::{Result, ResultExt};
use brisk_core::state::{AnyTable, FrozenTable, KeyGroups, KeyedTable, Namespace, Slot, StateDescriptor, Write};
use brisk_core::types::{Decoder, Key, Record, Schema};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::task::{Context, Poll};

/// A table of one value per key and namespace in a byte store.
pub struct ByteTable<K, N, V> {
    /// The entries.
    space: Space<K, N>,
    /// The value that was got last, so that it can be lent out.
    current: Option<V>,
}

impl<K: Key, N: Namespace, V: Record> ByteTable<K, N, V> {
    /// The table of this descriptor in `store`.
    pub fn new(descriptor: StateDescriptor, key_groups: KeyGroups, store: SharedByteStore) -> Self {
        Self { space: Space::new(descriptor, key_groups, store), current: None }
    }

    fn decode(&self, value: &[u8]) -> Result<V> {
        entry::decode(value).context(|| self.space.place())
    }

    /// Reads the slots, lets `change` change them one after the other, and writes what has changed, even after an error of `change`.
    fn change_many(&mut self, slots: &[Slot<'_, K, N>], mut change: impl FnMut(usize, &mut Option<V>) -> Result<()>) -> Result<()> {
        let keys: Vec<Vec<u8>> = slots.iter().map(|slot| self.space.format.slot(*slot)).collect();
        let values = self.space.read(&keys, entry::decode)?;
        let mut changed: BTreeMap<&[u8], Option<V>> = keys.iter().map(Vec::as_slice).zip(values).collect();
        let result = keys.iter().enumerate().try_for_each(|(index, key)| {
            let value = changed.get_mut(key.as_slice()).expect("every key was put into the map");
            change(index, value)
        });
        let encoded: Vec<(&[u8], Option<Vec<u8>>)> =
            changed.into_iter().map(|(key, value)| (key, value.map(|value| encode(&value)))).collect();
        let writes: Vec<Write<'_>> = encoded
            .iter()
            .map(|(key, value)| match value {
                Some(value) => Write::Put { key, value },
                None => Write::Delete { key },
            })
            .collect();
        self.space.write(&writes).and(result)
    }
}

fn encode<V: Record>(value: &V) -> Vec<u8> {
    let mut out = Vec::new();
    value.encode(&mut out);
    out
}

impl<K: Key, N: Namespace, V: Record> AnyTable for ByteTable<K, N, V> {
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
        let value = self.decode(value)?;
        self.put(Slot::new(&key, &namespace), value)
    }
}

impl<K: Key, N: Namespace, V: Record> KeyedTable<K, N, V> for ByteTable<K, N, V> {
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        self.space.prefetch(cx, slots)
    }

    fn get(&mut self, slot: Slot<'_, K, N>) -> Result<Option<&V>> {
        self.current = self.space.read_one(self.space.format.slot(slot), entry::decode)?;
        Ok(self.current.as_ref())
    }

    fn get_many(&mut self, slots: &[Slot<'_, K, N>], visit: &mut dyn FnMut(usize, Option<&V>) -> Result<()>) -> Result<()> {
        let keys: Vec<Vec<u8>> = slots.iter().map(|slot| self.space.format.slot(*slot)).collect();
        let values = self.space.read(&keys, entry::decode)?;
        values.iter().enumerate().try_for_each(|(index, value)| visit(index, value.as_ref()))
    }

    fn put(&mut self, slot: Slot<'_, K, N>, value: V) -> Result<()> {
        self.space.write(&[Write::Put { key: &self.space.format.slot(slot), value: &encode(&value) }])
    }

    fn remove(&mut self, slot: Slot<'_, K, N>) -> Result<Option<V>> {
        let key = self.space.format.slot(slot);
        let value = self.space.read_one(key.clone(), entry::decode)?;
        if value.is_some() {
            self.space.delete(&[key])?;
        }
        Ok(value)
    }

    fn update_many(&mut self, slots: &[Slot<'_, K, N>], update: &mut dyn FnMut(usize, &mut Option<V>) -> Result<()>) -> Result<()> {
        self.change_many(slots, update)
    }

    fn add_many(
        &mut self,
        slots: &[Slot<'_, K, N>],
        create: &mut dyn FnMut(usize) -> Result<V>,
        add: &mut dyn FnMut(usize, &mut V) -> Result<()>,
    ) -> Result<()> {
        self.change_many(slots, |index, value| match value {
            Some(value) => add(index, value),
            None => add(index, value.insert(create(index)?)),
        })
    }

    fn scan_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(&K, &V) -> Result<()>) -> Result<()> {
        self.space.scan_namespace(namespace, &mut |_, key, value| visit(&key, &self.decode(value)?))
    }

    fn drain_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(K, V) -> Result<()>) -> Result<()> {
        let shown = self.space.scan_namespace(namespace, &mut |_, key, value| visit(key, self.decode(value)?));
        self.space.remove_namespace(namespace).and(shown)
    }

    fn remove_namespace(&mut self, namespace: &N) -> Result<()> {
        self.space.remove_namespace(namespace)
    }

    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>> {
        self.space.next_namespace(after)
    }

    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N], merge: &mut dyn FnMut(&mut V, V) -> Result<()>) -> Result<()> {
        for namespace in from.iter().filter(|namespace| *namespace != into.namespace) {
            let mut moved = self.remove(into.at(namespace))?;
            if moved.is_some() {
                self.change_many(&[into], |_, value| match (value, moved.take()) {
                    (Some(value), Some(moved)) => merge(value, moved),
                    (value, moved) => {
                        *value = moved;
                        Ok(())
                    }
                })?;
            }
        }
        Ok(())
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&K, &N, &V) -> Result<()>) -> Result<()> {
        self.space.scan(&mut |bytes, value| {
            let (key, namespace, _) = self.space.format.decode(bytes).context(|| self.space.place())?;
            visit(&key, &namespace, &self.decode(value)?)?;
            Ok(ControlFlow::Continue(()))
        })
    }
}
