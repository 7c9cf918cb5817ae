//! Builds the changes that an aggregation gives.

use super::{Accumulator, AggregateCall};
use crate::operators::row::ValueBuilder;
use arrow_array::ArrayRef;
use brisk_base::Result;
use brisk_core::batch::{Columns, RowKind, take_rows};

/// Changes in the making. Empty again after [`finish`](Self::finish).
pub(super) struct Output {
    /// The input row that each change takes its key from.
    key_rows: Vec<u32>,
    columns: Vec<(AggregateCall, ValueBuilder)>,
    /// Everything but the columns.
    pub(super) batch: Columns,
}

impl Output {
    pub(super) fn new(calls: &[AggregateCall]) -> Self {
        let columns = calls.iter().map(|call| (call.clone(), ValueBuilder::new(&call.result))).collect();
        Self { key_rows: Vec::new(), columns, batch: Columns::default() }
    }

    /// Adds a change of the key that input row `key_row` has.
    pub(super) fn push(&mut self, kind: RowKind, key_row: u32, results: &[Accumulator]) -> Result<()> {
        self.batch.rows += 1;
        self.batch.kinds.push(kind);
        self.key_rows.push(key_row);
        let mut columns = self.columns.iter_mut().zip(results);
        columns.try_for_each(|((call, column), result)| result.write(&call.aggregate, column))
    }

    /// The changes so far.
    pub(super) fn finish(&mut self, keys: &[ArrayRef]) -> Result<Columns> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.columns = keys.iter().map(|key| take_rows(key, &self.key_rows)).collect::<Result<_>>()?;
        batch.columns.extend(self.columns.iter_mut().map(|(_, column)| column.finish()));
        self.key_rows.clear();
        if batch.kinds.iter().all(|kind| *kind == RowKind::Insert) {
            batch.kinds.clear();
        }
        Ok(batch)
    }
}
