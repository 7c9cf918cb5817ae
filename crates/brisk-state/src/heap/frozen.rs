//! Frozen generations of the heap's tables, encoded when they are read.

use super::cells::{Cell, FrozenCells};
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
    /// The entries.
    cells: FrozenCells<K, N, C>,
}

impl<K, N, C> FrozenHeapTable<K, N, C> {
    pub(crate) const fn new(key_groups: KeyGroups, cells: FrozenCells<K, N, C>) -> Self {
        Self { key_groups, cells }
    }
}

impl<K: Key, N: Namespace, C: CellRows> FrozenTable for FrozenHeapTable<K, N, C> {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let mut cells: Vec<(KeyGroup, &K, &N, &C)> = Vec::new();
        self.cells.for_each(|key, namespace, cell| {
            let group = self.key_groups.of(key.key_hash());
            if groups.contains(group) {
                cells.push((group, key, namespace, cell));
            }
        });
        cells.sort_by_key(|(group, ..)| *group);
        let (mut key_bytes, mut value_bytes) = (Vec::new(), Vec::new());
        for (group, key, namespace, cell) in cells {
            key_bytes.clear();
            value_bytes.clear();
            key.encode_ordered(&mut key_bytes);
            namespace.encode_ordered(&mut key_bytes);
            cell.rows(&mut key_bytes, &mut value_bytes, &mut |key, value| visit(group, key, value))?;
        }
        Ok(())
    }
}
