//! Tables of one value per key and namespace.

use super::cells::{Cell, Cells};
use super::frozen::{CellRows, FrozenHeapTable, RowVisitor};
use crate::entry;
use brisk_base::{Result, Timestamp};
use brisk_core::state::{AnyTable, FrozenTable, KeyGroups, KeyedTable, Namespace, Slot, StateDescriptor};
use brisk_core::types::{Decoder, Key, Record, Schema};
use std::task::{Context, Poll};

/// A table of one value per key and namespace, as typed objects in memory.
pub struct HeapTable<K, N, V> {
    /// Name and types.
    descriptor: StateDescriptor,
    /// Key groups of the operator.
    key_groups: KeyGroups,
    /// The values.
    pub(super) cells: Cells<K, N, ValueCell<V>>,
    /// Where the search for what has expired goes on.
    swept: usize,
}

/// One value.
#[derive(Clone)]
pub(super) struct ValueCell<V>(pub(super) V);

impl<V: Record> Cell for ValueCell<V> {
    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }

    fn expire(&mut self, is_expired: &dyn Fn(Timestamp) -> bool) -> bool {
        self.0.last_use().is_some_and(is_expired)
    }
}

impl<V: Record> CellRows for ValueCell<V> {
    fn rows(&self, key: &mut Vec<u8>, value: &mut Vec<u8>, visit: &mut RowVisitor<'_>) -> Result<()> {
        self.0.encode(value);
        visit(key, value)
    }
}

impl<K: Key, N: Namespace, V: Record> HeapTable<K, N, V> {
    /// An empty table.
    pub fn new(descriptor: StateDescriptor, key_groups: KeyGroups) -> Self {
        let cells = Cells::new(descriptor.layout, key_groups);
        Self { descriptor, key_groups, cells, swept: 0 }
    }

    /// [`KeyedTable::add_many`], compiled for the functions it is given: no virtual call per row.
    ///
    /// Cost per slot: a comparison of the namespace and one probe.
    ///
    /// # Errors
    /// Those of `create` and `add`.
    #[inline]
    pub fn add_many_inline(
        &mut self,
        slots: &[Slot<'_, K, N>],
        mut create: impl FnMut(usize) -> Result<V>,
        mut add: impl FnMut(usize, &mut V) -> Result<()>,
    ) -> Result<()> {
        self.cells.add_many(slots, |index| create(index).map(ValueCell), |index, cell| add(index, &mut cell.0))
    }

    /// The value of a slot, to be changed in place. Cost: one probe.
    #[inline]
    pub fn get_mut(&mut self, slot: Slot<'_, K, N>) -> Option<&mut V> {
        self.cells.get_mut(slot).map(|cell| &mut cell.0)
    }

    /// Inserts the value of a slot that has none.
    pub fn insert_new(&mut self, slot: Slot<'_, K, N>, value: V) {
        self.cells.insert_new(slot, ValueCell(value));
    }

    /// [`KeyedTable::update`], compiled for the function it is given.
    ///
    /// # Errors
    /// Those of `update`.
    #[inline]
    pub fn update_inline(&mut self, slot: Slot<'_, K, N>, update: impl FnOnce(&mut Option<V>) -> Result<()>) -> Result<()> {
        update_cell(&mut self.cells, slot, update)
    }
}

#[inline]
fn update_cell<K: Key, N: Namespace, V: Record>(
    cells: &mut Cells<K, N, ValueCell<V>>,
    slot: Slot<'_, K, N>,
    update: impl FnOnce(&mut Option<V>) -> Result<()>,
) -> Result<()> {
    cells.update(slot, |cell| {
        let mut value = cell.take().map(|cell| cell.0);
        let result = update(&mut value);
        *cell = value.map(ValueCell);
        result
    })
}

impl<K: Key, N: Namespace, V: Record> AnyTable for HeapTable<K, N, V> {
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
        let value = entry::decode(value)?;
        self.put(Slot::new(&key, &namespace), value)
    }

    fn sweep(&mut self, slots: usize, is_expired: &dyn Fn(Timestamp) -> bool) -> Result<()> {
        self.cells.sweep(&mut self.swept, slots, is_expired);
        Ok(())
    }
}

impl<K: Key, N: Namespace, V: Record> KeyedTable<K, N, V> for HeapTable<K, N, V> {
    fn prefetch(&mut self, _cx: &mut Context<'_>, _slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn get(&mut self, slot: Slot<'_, K, N>) -> Result<Option<&V>> {
        Ok(self.cells.get(slot).map(|cell| &cell.0))
    }

    fn get_many(&mut self, slots: &[Slot<'_, K, N>], visit: &mut dyn FnMut(usize, Option<&V>) -> Result<()>) -> Result<()> {
        self.cells.in_runs(slots, |cells, index, slot| visit(index, cells.get(slot).map(|cell| &cell.0)))
    }

    fn put(&mut self, slot: Slot<'_, K, N>, value: V) -> Result<()> {
        self.cells.insert(slot, ValueCell(value));
        Ok(())
    }

    fn remove(&mut self, slot: Slot<'_, K, N>) -> Result<Option<V>> {
        Ok(self.cells.remove(slot).map(|cell| cell.0))
    }

    fn update_many(&mut self, slots: &[Slot<'_, K, N>], update: &mut dyn FnMut(usize, &mut Option<V>) -> Result<()>) -> Result<()> {
        self.cells.in_runs(slots, |cells, index, slot| update_cell(cells, slot, |value| update(index, value)))
    }

    fn add_many(
        &mut self,
        slots: &[Slot<'_, K, N>],
        create: &mut dyn FnMut(usize) -> Result<V>,
        add: &mut dyn FnMut(usize, &mut V) -> Result<()>,
    ) -> Result<()> {
        self.add_many_inline(slots, create, add)
    }

    fn scan_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(&K, &V) -> Result<()>) -> Result<()> {
        self.cells.scan_namespace(namespace, |key, cell| visit(key, &cell.0))
    }

    fn drain_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(K, V) -> Result<()>) -> Result<()> {
        self.cells.drain_namespace(namespace, |key, cell| visit(key, cell.0))
    }

    fn remove_namespace(&mut self, namespace: &N) -> Result<()> {
        self.cells.drain_namespace(namespace, |_, _| Ok(()))
    }

    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>> {
        self.cells.next_namespace(after)
    }

    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N], merge: &mut dyn FnMut(&mut V, V) -> Result<()>) -> Result<()> {
        for namespace in from.iter().filter(|namespace| *namespace != into.namespace) {
            if let Some(cell) = self.cells.remove(into.at(namespace)) {
                match self.cells.get_mut(into) {
                    Some(target) => merge(&mut target.0, cell.0)?,
                    None => drop(self.cells.insert(into, cell)),
                }
            }
        }
        Ok(())
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&K, &N, &V) -> Result<()>) -> Result<()> {
        self.cells.scan(|key, namespace, cell| visit(key, namespace, &cell.0))
    }
}
