//! The keys of a batch's rows.

use super::{ColumnKey, Grouping, RowKey};
use arrow_array::ArrayRef;
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::state::Slot;
use brisk_core::types::{hash, hash_columns};

/// Key and hash of each row of the batch at hand. Keeps its memory from batch to batch.
pub(crate) struct KeyedRows<K = RowKey> {
    keys: Vec<K>,
    /// One per row; there may be more keys.
    hashes: Vec<u64>,
}

impl<K> Default for KeyedRows<K> {
    fn default() -> Self {
        Self { keys: Vec::new(), hashes: Vec::new() }
    }
}

impl<K: ColumnKey> KeyedRows<K> {
    /// Reads a batch whose key is in these columns of it, which the exchange in front has hashed, if there was one. Gives the columns.
    ///
    /// # Errors
    /// When one is missing, or cannot be a key.
    pub(crate) fn read(&mut self, batch: &Columns, key: impl IntoIterator<Item = usize>) -> Result<Vec<ArrayRef>> {
        let column = |index: usize| {
            let missing = || Error::bug(format!("key column {index} is missing: the batch has {} columns", batch.columns.len()));
            batch.columns.get(index).cloned().ok_or_else(missing)
        };
        let columns = key.into_iter().map(column).collect::<Result<Vec<_>>>()?;
        K::read(&columns, batch.rows, &mut self.keys)?;
        self.hashes.clear();
        if batch.hashes.len() == batch.rows {
            self.hashes.extend_from_slice(&batch.hashes);
        } else if columns.is_empty() {
            self.hashes.resize(batch.rows, hash::hash_null());
        } else {
            hash_columns(&columns, &mut self.hashes)?;
        }
        Ok(columns)
    }

    /// The key of a row.
    pub(crate) fn key(&self, row: usize) -> &K {
        &self.keys[row]
    }

    /// The hashes of all rows.
    pub(crate) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Where the values of a row's key lie.
    #[inline]
    pub(crate) fn slot(&self, row: usize) -> Slot<'_, K, ()> {
        Slot { hash: self.hashes[row], key: &self.keys[row], namespace: &() }
    }

    /// The slots of the groups of a grouping.
    pub(crate) fn slots_of(&self, grouping: &Grouping) -> Vec<Slot<'_, K, ()>> {
        grouping.first_rows().iter().map(|row| self.slot(*row as usize)).collect()
    }

    /// Finds the rows of each key.
    pub(crate) fn group(&self, grouping: &mut Grouping)
    where
        K: Eq,
    {
        grouping.by_key(&self.keys, &self.hashes);
    }
}
