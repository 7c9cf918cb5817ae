//! Builds the changes that an aggregation gives.

use super::{Accumulator, Aggregate};
use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, Int64Builder};
use brisk_base::Result;
use brisk_core::batch::{Columns, RowKind, take_rows};
use std::sync::Arc;

/// One result column in the making.
enum Column {
    Bigint(Int64Builder),
    Double(Float64Builder),
}

impl Column {
    fn push(&mut self, value: &Accumulator) {
        match (self, value) {
            (Self::Bigint(column), Accumulator::Count { count }) => column.append_value(*count),
            (Self::Bigint(column), Accumulator::SumBigint { sum, values }) => column.append_option((*values > 0).then_some(*sum)),
            (Self::Double(column), Accumulator::SumDouble { sum, values }) => column.append_option((*values > 0).then_some(*sum)),
            (_, other) => debug_assert!(false, "{other:?} belongs to another column"),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bigint(column) => Arc::new(column.finish()),
            Self::Double(column) => Arc::new(column.finish()),
        }
    }
}

/// Changes in the making. Empty again after [`finish`](Self::finish).
pub(super) struct Output {
    /// The input row that each change takes its key from.
    key_rows: Vec<u32>,
    columns: Vec<Column>,
    /// Everything but the columns.
    pub(super) batch: Columns,
}

impl Output {
    pub(super) fn new(aggregates: &[Aggregate]) -> Self {
        let column = |aggregate: &Aggregate| match aggregate {
            Aggregate::CountAll | Aggregate::Count { .. } | Aggregate::SumBigint { .. } => Column::Bigint(Int64Builder::new()),
            Aggregate::SumDouble { .. } => Column::Double(Float64Builder::new()),
        };
        Self { key_rows: Vec::new(), columns: aggregates.iter().map(column).collect(), batch: Columns::default() }
    }

    /// Adds a change of the key that input row `key_row` has.
    pub(super) fn push(&mut self, kind: RowKind, key_row: u32, results: &[Accumulator]) {
        self.batch.rows += 1;
        self.batch.kinds.push(kind);
        self.key_rows.push(key_row);
        self.columns.iter_mut().zip(results).for_each(|(column, result)| column.push(result));
    }

    /// The changes so far.
    pub(super) fn finish(&mut self, keys: &[ArrayRef]) -> Result<Columns> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.columns = keys.iter().map(|key| take_rows(key, &self.key_rows)).collect::<Result<_>>()?;
        batch.columns.extend(self.columns.iter_mut().map(Column::finish));
        self.key_rows.clear();
        if batch.kinds.iter().all(|kind| *kind == RowKind::Insert) {
            batch.kinds.clear();
        }
        Ok(batch)
    }
}
