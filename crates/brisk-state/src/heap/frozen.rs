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
