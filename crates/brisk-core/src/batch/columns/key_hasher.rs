//! Key hashes of columnar batches.

use super::Columns;
use crate::batch::AnyBatch;
use crate::job_graph::KeyHasher;
use crate::types::hash_columns;
use brisk_base::{Error, Result};

/// Hashes the rows of columnar batches by some of their columns: the same hash as that of a typed key with the same values.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ColumnKeyHasher {
    /// Indexes of the key columns, in the order of the key.
    pub columns: Vec<usize>,
}

impl KeyHasher for ColumnKeyHasher {
    fn hash(&self, batch: &dyn AnyBatch, hashes: &mut Vec<u64>) -> Result<()> {
        let batch = Columns::from_any_ref(batch)?;
        let column = |index: &usize| {
            let missing = || Error::bug(format!("key column {index} is missing: the batch has {} columns", batch.columns.len()));
            batch.columns.get(*index).cloned().ok_or_else(missing)
        };
        let key = self.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        hashes.clear();
        hash_columns(&key, hashes)
    }

    fn describe(&self) -> String {
        let columns: Vec<_> = self.columns.iter().map(|column| format!("${column}")).collect();
        columns.join(", ")
    }
}
