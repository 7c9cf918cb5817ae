//! An ordered map that is cheap to clone: its chunks are shared until they are written to.
//!
//! Invariants: no chunk is empty or longer than [`CHUNK`]; keys rise within chunks and from one chunk to the next.

use super::cells::Cell;
use super::frozen::{CellRows, RowVisitor};
use brisk_base::{Result, Timestamp};
use brisk_core::state::KeyRange;
use brisk_core::types::{Key, Record};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// Most entries of a chunk: those that the first write after a freeze copies.
const CHUNK: usize = 64;

/// Chunks that shrink below this are joined with a neighbour, if both fit into one.
const SPARSE: usize = CHUNK / 4;

/// Entries that are written together.
type Chunk<UK, UV> = Arc<Vec<(UK, UV)>>;

/// An ordered map in a table.
#[derive(Clone)]
pub(crate) struct ChunkMap<UK, UV>(Vec<Chunk<UK, UV>>);

/// Chunk and index of an entry, or of where it would be.
type Place = (usize, usize);

impl<UK, UV> Default for ChunkMap<UK, UV> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<UK: Key, UV: Record> ChunkMap<UK, UV> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|chunk| chunk.len()).sum()
    }

    fn find(&self, key: &UK) -> std::result::Result<Place, Place> {
        let chunk = self.0.partition_point(|chunk| chunk[0].0 <= *key).saturating_sub(1);
        match self.0.get(chunk).map_or(Err(0), |entries| entries.binary_search_by(|entry| entry.0.cmp(key))) {
            Ok(index) => Ok((chunk, index)),
            Err(index) => Err((chunk, index)),
        }
    }

    pub(crate) fn get(&self, key: &UK) -> Option<&UV> {
        self.find(key).ok().map(|(chunk, index)| &self.0[chunk][index].1)
    }

    pub(crate) fn get_mut(&mut self, key: &UK) -> Option<&mut UV> {
        let (chunk, index) = self.find(key).ok()?;
        Some(&mut Arc::make_mut(&mut self.0[chunk])[index].1)
    }

    pub(crate) fn insert(&mut self, key: UK, value: UV) -> Option<UV> {
        match self.find(&key) {
            Ok((chunk, index)) => Some(std::mem::replace(&mut Arc::make_mut(&mut self.0[chunk])[index].1, value)),
            Err(place) => {
                self.insert_at(place, (key, value));
                None
            }
        }
    }

    fn insert_at(&mut self, (chunk, index): Place, entry: (UK, UV)) {
        let Some(entries) = self.0.get_mut(chunk) else {
            self.0.push(Arc::new(vec![entry]));
            return;
        };
        if entries.len() < CHUNK {
            Arc::make_mut(entries).insert(index, entry);
        } else if index == CHUNK {
            // Rising keys fill their chunks.
            self.0.insert(chunk + 1, Arc::new(vec![entry]));
        } else {
            let entries = Arc::make_mut(entries);
            let mut upper = entries.split_off(CHUNK / 2);
            match index.checked_sub(CHUNK / 2) {
                Some(index) => upper.insert(index, entry),
                None => entries.insert(index, entry),
            }
            self.0.insert(chunk + 1, Arc::new(upper));
        }
    }

    pub(crate) fn remove(&mut self, key: &UK) -> Option<UV> {
        let (chunk, index) = self.find(key).ok()?;
        let (_, value) = Arc::make_mut(&mut self.0[chunk]).remove(index);
        self.shrink(chunk);
        Some(value)
    }

    /// Lets `update` change, add or remove one entry. Returns by how many entries the map has grown.
    pub(crate) fn update(&mut self, key: &UK, update: &mut dyn FnMut(&mut Option<UV>) -> Result<()>) -> (isize, Result<()>) {
        match self.find(key) {
            Ok((chunk, index)) => {
                let entries = Arc::make_mut(&mut self.0[chunk]);
                let (key, value) = entries.remove(index);
                let mut value = Some(value);
                let result = update(&mut value);
                match value {
                    Some(value) => {
                        entries.insert(index, (key, value));
                        (0, result)
                    }
                    None => {
                        self.shrink(chunk);
                        (-1, result)
                    }
                }
            }
            Err(place) => {
                let mut value = None;
                let result = update(&mut value);
                let grown = isize::from(value.is_some());
                if let Some(value) = value {
                    self.insert_at(place, (key.clone(), value));
                }
                (grown, result)
            }
        }
    }

    /// Restores the invariants of a chunk that has lost an entry.
    fn shrink(&mut self, chunk: usize) {
        let len = self.0[chunk].len();
        if len == 0 {
            self.0.remove(chunk);
        } else if len < SPARSE {
            self.join(chunk);
        }
    }

    /// Joins a sparse chunk with the one after it.
    fn join(&mut self, chunk: usize) {
        if self.0.get(chunk + 1).is_some_and(|next| next.len() + self.0[chunk].len() <= CHUNK - SPARSE) {
            let next = self.0.remove(chunk + 1);
            Arc::make_mut(&mut self.0[chunk]).extend(Arc::unwrap_or_clone(next));
        }
    }

    /// The place of the first entry that is not below the start of a range.
    fn first_place(&self, start: Bound<&UK>) -> Place {
        match start {
            Bound::Unbounded => (0, 0),
            Bound::Included(key) => self.find(key).unwrap_or_else(|place| place),
            Bound::Excluded(key) => self.find(key).map_or_else(|place| place, |(chunk, index)| (chunk, index + 1)),
        }
    }

    /// The place after the last entry that is not above the end of a range.
    fn last_place(&self, end: Bound<&UK>) -> Place {
        match end {
            Bound::Unbounded => (self.0.len(), 0),
            Bound::Included(key) => self.first_place(Bound::Excluded(key)),
            Bound::Excluded(key) => self.first_place(Bound::Included(key)),
        }
    }

    /// Shows the entries within a range, in order, until `visit` breaks off.
    pub(crate) fn range(&self, range: KeyRange<'_, UK>, visit: &mut dyn FnMut(&UK, &UV) -> Result<ControlFlow<()>>) -> Result<()> {
        let (first, last) = (self.first_place(range.0), self.last_place(range.1));
        let last_chunk = if last.1 == 0 { last.0 } else { last.0 + 1 };
        for chunk in first.0..last_chunk.min(self.0.len()) {
            let entries = &self.0[chunk];
            let from = if chunk == first.0 { first.1 } else { 0 };
            let to = if chunk == last.0 { last.1 } else { entries.len() };
            for (key, value) in entries.get(from..to).unwrap_or_default() {
                if visit(key, value)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Removes the entries within a range. Returns how many there were.
    pub(crate) fn remove_range(&mut self, range: KeyRange<'_, UK>) -> usize {
        let (first, last) = (self.first_place(range.0), self.last_place(range.1));
        if first >= last {
            return 0;
        }
        let before = self.len();
        if last.1 > 0 && last.0 > first.0 {
            Arc::make_mut(&mut self.0[last.0]).drain(..last.1);
        }
        if first.0 == last.0 {
            Arc::make_mut(&mut self.0[first.0]).drain(first.1..last.1);
        } else if first.1 > 0 {
            Arc::make_mut(&mut self.0[first.0]).truncate(first.1);
            self.0.drain(first.0 + 1..last.0);
        } else {
            self.0.drain(first.0..last.0);
        }
        self.0.retain(|chunk| !chunk.is_empty());
        before - self.len()
    }

    /// The entries in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(UK, UV)> {
        self.0.iter().flat_map(|chunk| chunk.iter())
    }

    /// The entries in order, by value.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (UK, UV)> {
        self.0.into_iter().flat_map(Arc::unwrap_or_clone)
    }
}

impl<UK: Key, UV: Record> Cell for ChunkMap<UK, UV> {
    fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Chunk<UK, UV>>()
            + self.0.iter().map(|chunk| chunk.heap_bytes() + 2 * size_of::<usize>()).sum::<usize>()
    }

    fn expire(&mut self, is_expired: &dyn Fn(Timestamp) -> bool) -> bool {
        let gone: Vec<UK> = self.iter().filter(|(_, value)| value.last_use().is_some_and(is_expired)).map(|(key, _)| key.clone()).collect();
        gone.iter().for_each(|key| drop(self.remove(key)));
        self.is_empty()
    }
}

impl<UK: Key, UV: Record> CellRows for ChunkMap<UK, UV> {
    fn rows(&self, key: &mut Vec<u8>, value: &mut Vec<u8>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let slot = key.len();
        for (entry_key, entry_value) in self.iter() {
            value.clear();
            entry_key.encode_ordered(key);
            entry_value.encode(value);
            visit(key, value)?;
            key.truncate(slot);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[derive(Clone, Debug)]
    enum Op {
        Insert(u16, u32),
        Remove(u16),
        Update(u16, Option<u32>),
        RemoveRange(Bound<u16>, Bound<u16>),
        Range(Bound<u16>, Bound<u16>),
        Fork,
    }

    fn bound() -> impl Strategy<Value = Bound<u16>> {
        prop_oneof![1 => Just(Bound::Unbounded), 4 => (0u16..400).prop_map(Bound::Included), 4 => (0u16..400).prop_map(Bound::Excluded)]
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            40 => (0u16..400, any::<u32>()).prop_map(|(key, value)| Op::Insert(key, value)),
            10 => (0u16..400).prop_map(Op::Remove),
            10 => (0u16..400, any::<Option<u32>>()).prop_map(|(key, value)| Op::Update(key, value)),
            1 => (bound(), bound()).prop_map(|(from, to)| Op::RemoveRange(from, to)),
            2 => (bound(), bound()).prop_map(|(from, to)| Op::Range(from, to)),
            1 => Just(Op::Fork),
        ]
    }

    /// What a B-tree has within a range that may be empty or turned around.
    fn within(model: &BTreeMap<u16, u32>, from: Bound<u16>, to: Bound<u16>) -> Vec<(u16, u32)> {
        use std::ops::RangeBounds;
        model.iter().filter(|(key, _)| (from, to).contains(*key)).map(|(key, value)| (*key, *value)).collect()
    }

    proptest! {
        #[test]
        fn behaves_like_a_tree(ops in prop::collection::vec(op(), 1..600)) {
            let (mut map, mut model) = (ChunkMap::default(), BTreeMap::new());
            let mut forks = Vec::new();
            for op in ops {
                match op {
                    Op::Insert(key, value) => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                    Op::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                    Op::Update(key, value) => {
                        let before = (model.len(), model.get(&key).copied());
                        match value {
                            Some(value) => model.insert(key, value),
                            None => model.remove(&key),
                        };
                        let mut seen = None;
                        let (grown, result) = map.update(&key, &mut |slot| { seen = std::mem::replace(slot, value); Ok(()) });
                        result.expect("the update never fails");
                        prop_assert_eq!((before.0 as isize + grown, before.1), (model.len() as isize, seen));
                    }
                    Op::RemoveRange(from, to) => {
                        let gone = within(&model, from, to);
                        prop_assert_eq!(map.remove_range((from.as_ref(), to.as_ref())), gone.len());
                        gone.iter().for_each(|(key, _)| assert!(model.remove(key).is_some()));
                    }
                    Op::Range(from, to) => {
                        let mut seen = Vec::new();
                        map.range((from.as_ref(), to.as_ref()), &mut |key, value| { seen.push((*key, *value)); Ok(ControlFlow::Continue(())) }).expect("visit never fails");
                        prop_assert_eq!(seen, within(&model, from, to));
                    }
                    Op::Fork => forks.push((map.clone(), model.clone())),
                }
                prop_assert!(map.0.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
            }
            forks.push((map, model));
            for (map, model) in forks {
                prop_assert_eq!(map.len(), model.len());
                prop_assert!(map.iter().copied().eq(model.clone()));
                prop_assert!((0..400).all(|key| map.get(&key) == model.get(&key)));
            }
        }
    }
}
