//! Tables of one ordered map per key and namespace.

use super::cells::Cells;
use super::chunk_map::ChunkMap;
use super::frozen::FrozenHeapTable;
use crate::entry;
use brisk_base::{Result, Timestamp};
use brisk_core::state::{AnyTable, FrozenTable, KeyGroups, KeyRange, KeyedMapTable, Namespace, Slot, StateDescriptor};
use brisk_core::types::{Decoder, Key, Record, Schema};
use std::cell::Cell;
use std::ops::ControlFlow;
use std::task::{Context, Poll};

/// A table of one ordered map per key and namespace, as typed objects in memory.
pub struct HeapMapTable<K, N, UK, UV> {
    /// Name and types.
    descriptor: StateDescriptor,
    /// Key groups of the operator.
    key_groups: KeyGroups,
    /// The maps; none is empty.
    cells: Cells<K, N, ChunkMap<UK, UV>>,
    /// Entries of all maps.
    entries: usize,
    /// Where the search for what has expired goes on.
    swept: usize,
}

impl<K: Key, N: Namespace, UK: Key, UV: Record> HeapMapTable<K, N, UK, UV> {
    /// An empty table.
    pub fn new(descriptor: StateDescriptor, key_groups: KeyGroups) -> Self {
        let cells = Cells::new(descriptor.layout, key_groups);
        Self { descriptor, key_groups, cells, entries: 0, swept: 0 }
    }
}

impl<K: Key, N: Namespace, UK: Key, UV: Record> AnyTable for HeapMapTable<K, N, UK, UV> {
    fn descriptor(&self) -> &StateDescriptor {
        &self.descriptor
    }

    fn slot_schemas(&self) -> (Schema, Schema) {
        (K::schema(), N::schema())
    }

    fn len(&mut self) -> Result<usize> {
        Ok(self.entries)
    }

    fn heap_bytes(&self) -> usize {
        self.cells.heap_bytes()
    }

    fn clear(&mut self) -> Result<()> {
        self.cells.clear(self.key_groups);
        self.entries = 0;
        Ok(())
    }

    fn touch(&self, key_hashes: &[u64]) {
        self.cells.touch(key_hashes);
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenTable>> {
        Ok(Box::new(FrozenHeapTable::new(self.key_groups, self.cells.freeze())))
    }

    fn restore(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let mut input = Decoder::new(key);
        let (key, namespace) = entry::decode_slot(&mut input)?;
        let entry_key = UK::decode_ordered(&mut input)?;
        self.put(Slot::new(&key, &namespace), entry_key, entry::decode(value)?)
    }

    fn sweep(&mut self, slots: usize, is_expired: &dyn Fn(Timestamp) -> bool) -> Result<()> {
        let dropped = Cell::new(0);
        self.cells.sweep(&mut self.swept, slots, &|at| {
            let expired = is_expired(at);
            dropped.set(dropped.get() + usize::from(expired));
            expired
        });
        self.entries -= dropped.get();
        Ok(())
    }
}

impl<K: Key, N: Namespace, UK: Key, UV: Record> KeyedMapTable<K, N, UK, UV> for HeapMapTable<K, N, UK, UV> {
    fn prefetch(&mut self, _cx: &mut Context<'_>, _slots: &[Slot<'_, K, N>]) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn get(&mut self, slot: Slot<'_, K, N>, key: &UK) -> Result<Option<&UV>> {
        Ok(self.cells.get(slot).and_then(|map| map.get(key)))
    }

    fn put(&mut self, slot: Slot<'_, K, N>, key: UK, value: UV) -> Result<()> {
        let map = self.cells.get_or_create(slot, || Ok(ChunkMap::default()))?;
        self.entries += usize::from(map.insert(key, value).is_none());
        Ok(())
    }

    fn remove(&mut self, slot: Slot<'_, K, N>, key: &UK) -> Result<Option<UV>> {
        let Some(map) = self.cells.get_mut(slot) else { return Ok(None) };
        let value = map.remove(key);
        self.entries -= usize::from(value.is_some());
        if map.is_empty() {
            self.cells.remove(slot);
        }
        Ok(value)
    }

    fn update(&mut self, slot: Slot<'_, K, N>, key: &UK, update: &mut dyn FnMut(&mut Option<UV>) -> Result<()>) -> Result<()> {
        let map = self.cells.get_or_create(slot, || Ok(ChunkMap::default()))?;
        let (grown, result) = map.update(key, update);
        self.entries = self.entries.saturating_add_signed(grown);
        if map.is_empty() {
            self.cells.remove(slot);
        }
        result
    }

    fn range(
        &mut self,
        slot: Slot<'_, K, N>,
        range: KeyRange<'_, UK>,
        visit: &mut dyn FnMut(&UK, &UV) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.cells.get(slot).map_or(Ok(()), |map| map.range(range, visit))
    }

    fn remove_range(&mut self, slot: Slot<'_, K, N>, range: KeyRange<'_, UK>) -> Result<()> {
        let Some(map) = self.cells.get_mut(slot) else { return Ok(()) };
        self.entries -= map.remove_range(range);
        if map.is_empty() {
            self.cells.remove(slot);
        }
        Ok(())
    }

    fn remove_all(&mut self, slot: Slot<'_, K, N>) -> Result<()> {
        self.entries -= self.cells.remove(slot).map_or(0, |map| map.len());
        Ok(())
    }

    fn remove_namespace(&mut self, namespace: &N) -> Result<()> {
        let Self { cells, entries, .. } = self;
        cells.drain_namespace(namespace, |_, map| {
            *entries -= map.len();
            Ok(())
        })
    }

    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>> {
        self.cells.next_namespace(after)
    }

    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N], merge: &mut dyn FnMut(&mut UV, UV) -> Result<()>) -> Result<()> {
        for namespace in from.iter().filter(|namespace| *namespace != into.namespace) {
            let Some(map) = self.cells.remove(into.at(namespace)) else { continue };
            self.entries -= map.len();
            for (key, value) in map.into_entries() {
                match self.cells.get_mut(into).and_then(|target| target.get_mut(&key)) {
                    Some(target) => merge(target, value)?,
                    None => self.put(into, key, value)?,
                }
            }
        }
        Ok(())
    }

    fn scan(&mut self, visit: &mut dyn FnMut(&K, &N, &UK, &UV) -> Result<()>) -> Result<()> {
        self.cells.scan(|key, namespace, map| map.iter().try_for_each(|entry| visit(key, namespace, &entry.0, &entry.1)))
    }
}
