//! Tables of one list per key and namespace.

use super::cells::Cells;
use super::frozen::FrozenHeapTable;
use super::list_cell::ListCell;
use crate::entry;
use brisk_base::{Result, Timestamp};
use brisk_core::state::{AnyTable, FrozenTable, KeyGroups, KeyedListTable, ListView, ListVisitor, Namespace, Slot, StateDescriptor};
use brisk_core::types::{Decoder, Key, Record, Schema};
use std::task::{Context, Poll};

/// A table of one list per key and namespace, as typed objects in memory.
pub struct HeapListTable<K, N, V> {
    /// Name and types.
    descriptor: StateDescriptor,
    /// Key groups of the operator.
    key_groups: KeyGroups,
    /// The lists; none is empty.
    cells: Cells<K, N, ListCell<V>>,
    /// Where the search for what has expired goes on.
    swept: usize,
}

impl<K: Key, N: Namespace, V: Record> HeapListTable<K, N, V> {
    /// An empty table.
    pub fn new(descriptor: StateDescriptor, key_groups: KeyGroups) -> Self {
        let cells = Cells::new(descriptor.layout, key_groups);
        Self { descriptor, key_groups, cells, swept: 0 }
    }
}

impl<K: Key, N: Namespace, V: Record> AnyTable for HeapListTable<K, N, V> {
    fn descriptor(&self) -> &StateDescriptor {
        &self.descriptor
    }

    fn slot_schemas(&self) -> (Schema, Schema) {
        (K::schema(), N::schema())
    }

    fn len(&mut self) -> Result<usize> {
        Ok(self.cells.len())
    }

    fn heap_bytes(&self) -> usize {
        self.cells.heap_bytes()
    }

    fn clear(&mut self) -> Result<()> {
        self.cells.clear(self.key_groups);
        Ok(())
    }

    fn touch(&self, key_hashes: &[u64]) {
        self.cells.touch(key_hashes);
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenTable>> {
        Ok(Box::new(FrozenHeapTable::new(self.key_groups, self.cells.freeze())))
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (key, namespace) = entry::decode_slot(&mut Decoder::new(key))?;
        self.replace(Slot::new(&key, &namespace), entry::decode_elements(value)?)
    }

    fn sweep(&mut self, slots: usize, is_expired: &dyn Fn(Timestamp) -> bool) -> Result<()> {
        self.cells.sweep(&mut self.swept, slots, is_expired);
        Ok(())
    }
}

impl<K: Key, N: Namespace, V: Record> KeyedListTable<K, N, V> for HeapListTable<K, N, V> {
    fn prefetch(&mut self, _cx: &mut Context<'_>, _slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn get(&mut self, slot: Slot<'_, K, N>) -> Result<ListView<'_, V>> {
        Ok(self.cells.get(slot).map_or_else(ListView::default, ListCell::view))
    }

    fn append(&mut self, slot: Slot<'_, K, N>, value: V) -> Result<()> {
        self.cells.get_or_create(slot, || Ok(ListCell::default()))?.push(value);
        Ok(())
    }

    fn append_many(&mut self, slots: &[Slot<'_, K, N>], value: &mut dyn FnMut(usize) -> V) -> Result<()> {
        self.cells.add_many(
            slots,
            |_| Ok(ListCell::default()),
            |index, list| {
                list.push(value(index));
                Ok(())
            },
        )
    }

    fn append_all(&mut self, slot: Slot<'_, K, N>, values: Vec<V>) -> Result<()> {
        if !values.is_empty() {
            self.cells.get_or_create(slot, || Ok(ListCell::default()))?.extend(values);
        }
        Ok(())
    }

    fn replace(&mut self, slot: Slot<'_, K, N>, values: Vec<V>) -> Result<()> {
        let mut list = ListCell::default();
        list.extend(values);
        if list.view().is_empty() {
            self.cells.remove(slot);
        } else {
            self.cells.insert(slot, list);
        }
        Ok(())
    }

    fn take(&mut self, slot: Slot<'_, K, N>) -> Result<Vec<V>> {
        Ok(self.cells.remove(slot).map(ListCell::into_vec).unwrap_or_default())
    }

    fn remove(&mut self, slot: Slot<'_, K, N>) -> Result<()> {
        self.cells.remove(slot);
        Ok(())
    }

    fn scan_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(&K, ListView<'_, V>) -> Result<()>) -> Result<()> {
        self.cells.scan_namespace(namespace, |key, list| visit(key, list.view()))
    }

    fn remove_namespace(&mut self, namespace: &N) -> Result<()> {
        self.cells.drain_namespace(namespace, |_, _| Ok(()))
    }

    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>> {
        self.cells.next_namespace(after)
    }

    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N]) -> Result<()> {
        for namespace in from.iter().filter(|namespace| *namespace != into.namespace) {
            if let Some(list) = self.cells.remove(into.at(namespace)) {
                match self.cells.get_mut(into) {
                    Some(target) => target.extend(list.into_vec()),
                    None => drop(self.cells.insert(into, list)),
                }
            }
        }
        Ok(())
    }

    fn scan(&mut self, visit: &mut ListVisitor<'_, K, N, V>) -> Result<()> {
        self.cells.scan(|key, namespace, list| visit(key, namespace, list.view()))
    }
}
