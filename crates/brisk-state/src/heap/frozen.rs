//! Frozen generations of the heap's tables, encoded when they are read.

use super::cells::{ByKey, ByKeyAndNamespace, Cell};
use super::cow::Frozen;
use brisk_base::Result;
use brisk_core::state::{EntryVisitor, FrozenTable, KeyGroups, Namespace};
use brisk_core::types::{Key, KeyGroup, KeyGroupRange};

/// Takes the key and value of one row.
pub(crate) type RowVisitor<'a> = dyn FnMut(&[u8], &[u8]) -> Result<()> + 'a;

/// A cell that can be written as rows of bytes.
pub(crate) trait CellRows: Cell {
    /// Shows the rows of the cell. `key` holds the slot's key and is left as it was; `value` is empty at first.
    fn rows(&self, key: &mut Vec<u8>, value: &mut Vec<u8>, visit: &mut RowVisitor<'_>) -> Result<()>;
}

/// One generation of a table.
pub(crate) struct FrozenHeapTable<K, N, C> {
    /// Key groups of the operator.
    key_groups: KeyGroups,
    /// The entries; the key groups of one part come before those of the next.
    parts: Vec<FrozenPart<K, N, C>>,
}

/// Part of a generation, of which a snapshot lets go when it has been written.
pub(crate) enum FrozenPart<K, N, C> {
    /// A region of a table of all namespaces.
    Region(Frozen<ByKeyAndNamespace<K, N>, C>),
    /// Tables by namespace.
    Namespaces(Vec<(N, Frozen<ByKey<K>, C>)>),
}

impl<K, N, C> FrozenHeapTable<K, N, C> {
    pub(crate) const fn new(key_groups: KeyGroups, parts: Vec<FrozenPart<K, N, C>>) -> Self {
        Self { key_groups, parts }
    }
}

/// An entry and its key group.
type Found<'a, K, N, C> = (KeyGroup, &'a K, &'a N, &'a C);

impl<K: Key, N: Namespace, C: CellRows> FrozenPart<K, N, C> {
    /// The entries of some key groups, in the order of key groups.
    fn entries(&self, key_groups: KeyGroups, groups: KeyGroupRange) -> Vec<Found<'_, K, N, C>> {
        let mut found = Vec::new();
        let mut add = |key, namespace, cell| {
            let group = key_groups.of(Key::key_hash(key));
            if groups.contains(group) {
                found.push((group, key, namespace, cell));
            }
        };
        match self {
            Self::Region(region) => region.iter().for_each(|(at, cell)| add(&at.0, &at.1, cell)),
            Self::Namespaces(tables) => {
                tables.iter().for_each(|(namespace, table)| table.iter().for_each(|(at, cell)| add(&at.0, namespace, cell)));
            }
        }
        if !found.is_sorted_by_key(|(group, ..)| *group) {
            found.sort_by_key(|(group, ..)| *group);
        }
        found
    }

    fn scan(&self, key_groups: KeyGroups, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        for (group, key, namespace, cell) in self.entries(key_groups, groups) {
            key_bytes.clear();
            value_bytes.clear();
            key.encode_ordered(&mut key_bytes);
            namespace.encode_ordered(&mut key_bytes);
            cell.rows(&mut key_bytes, &mut value_bytes, &mut |key, value| visit(group, key, value))?;
        }
        Ok(())
    }
}

impl<K: Key, N: Namespace, C: CellRows> FrozenTable for FrozenHeapTable<K, N, C> {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        self.parts.iter().try_for_each(|part| part.scan(self.key_groups, groups, visit))
    }

    fn scan_and_drop(self: Box<Self>, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let Self { key_groups, parts } = *self;
        parts.into_iter().try_for_each(|part| part.scan(key_groups, KeyGroupRange::ALL, visit))
    }
}

#[cfg(test)]
mod tests {
    use super::super::cow::Address;
    use super::super::regions::Regions;
    use super::*;
    use crate::checkpoint_storage::MemoryStorage;
    use crate::snapshot::{CheckpointLocation, write_task};
    use brisk_base::Timestamp;
    use brisk_base::ids::{CheckpointId, OperatorId};
    use brisk_core::state::{FrozenState, KeyedStateMeta, Layout, OperatorSnapshot, StateKind};
    use brisk_core::types::{Record, Schema};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A cell that knows how many there are.
    #[derive(Clone)]
    struct Counted {
        alive: Arc<()>,
        /// How many there were when the last one was written.
        at_last: Arc<AtomicUsize>,
    }

    impl Cell for Counted {
        fn heap_bytes(&self) -> usize {
            0
        }

        fn expire(&mut self, _is_expired: &dyn Fn(Timestamp) -> bool) -> bool {
            false
        }
    }

    impl CellRows for Counted {
        fn rows(&self, key: &mut Vec<u8>, _value: &mut Vec<u8>, visit: &mut RowVisitor<'_>) -> Result<()> {
            self.at_last.store(Arc::strong_count(&self.alive), Ordering::Relaxed);
            visit(key, &[])
        }
    }

    #[test]
    fn a_snapshot_lets_go_of_what_it_has_written() {
        const KEYS: u64 = 200_000;
        let key_groups = KeyGroups::of_subtask(128, 1, 0).expect("one subtask");
        let cell = Counted { alive: Arc::new(()), at_last: Arc::default() };
        let mut table = Regions::new(key_groups);
        for key in 0..KEYS {
            let at = ByKeyAndNamespace(key, ());
            table.at_with_room(key.key_hash()).insert_new(at.table_hash(), at, cell.clone());
        }
        let parts: Vec<_> = table.freeze().map(FrozenPart::Region).collect();
        assert!(parts.len() > 8, "{} regions", parts.len());
        // The task has changed everything since then.
        drop(table);
        let frozen = FrozenHeapTable::new(key_groups, parts);
        let (key, namespace) = (u64::schema(), Schema::Unit);
        let meta = KeyedStateMeta {
            name: "state".into(),
            kind: StateKind::Value,
            layout: Layout::KeyMajor,
            key,
            namespace,
            value: Schema::Unit,
            map_key: None,
        };
        let keyed = vec![FrozenState { meta, table: Box::new(frozen) }];
        let snapshot = OperatorSnapshot { keyed, ..OperatorSnapshot::default() };
        let at = CheckpointLocation::checkpoint(CheckpointId(1));
        write_task(&MemoryStorage::new(), &at, "task", vec![(OperatorId(1), snapshot)]).expect("there is room");
        let at_last = cell.at_last.load(Ordering::Relaxed);
        assert!(at_last < KEYS as usize / 4, "{at_last} of {KEYS} cells are there when the last one is written");
    }
}
