//! Sums and counts per key over a changelog.
//!
//! The input is partitioned by the key and is a retract stream: only the signs of its rows count. The output is a retract stream of one row
//! per key: the key's columns, then one column per aggregate. A key is in it while more rows of it have been added than taken back; when
//! as many have been, it is forgotten, whatever its sums are. A row that is taken back before it is added is kept in mind as a debt.
//!
//! * By default the output of a batch is its net change per key. With `row_exact` there is a change per input row, as Flink gives with
//!   mini-batch off. Both fold to the same table, and neither depends on where batches are cut: rows of a key are added in their order,
//!   also where that matters (floating point).
//! * State is read and written once per key and batch.
//! * A sum over no value is null. Integers wrap around, so that taking back is exact.
//!
//! `grouping` finds the rows of each key, `key` turns columns into keys, `accumulator` adds, `output` builds the result, `operator` drives.

mod accumulator;
mod grouping;
mod key;
mod operator;
mod output;
mod row_key;

pub use accumulator::{Accumulator, GroupState};
pub use row_key::RowKey;

use brisk_base::{Error, Result};
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use brisk_core::state::StateBackend;
use brisk_core::types::Record;
use brisk_state::HashMapStateBackend;
use operator::GroupAggregateOperator;
use std::sync::Arc;

/// Its name in the registry.
pub const NAME: &str = "group-aggregate";

/// What rows are grouped by, and with it the type of the key that states are found by.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub enum GroupKey {
    /// One column of integers (but `UInt64`), booleans, dates or timestamps in milliseconds; it may have nulls.
    Number {
        /// Index of the column.
        column: u32,
    },
    /// Any columns, or none: then all rows are one group.
    Row {
        /// Indexes of the columns, in the order of the key.
        columns: Vec<u32>,
    },
}

impl GroupKey {
    fn columns(&self) -> Vec<usize> {
        match self {
            Self::Number { column } => vec![*column as usize],
            Self::Row { columns } => columns.iter().map(|column| *column as usize).collect(),
        }
    }
}

/// One aggregate.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub enum Aggregate {
    /// `COUNT(*)`: rows.
    CountAll,
    /// `COUNT(column)`: rows in which it is not null.
    Count {
        /// Index of the column.
        column: u32,
    },
    /// `SUM(column)` of a column of `Int64`.
    SumBigint {
        /// Index of the column.
        column: u32,
    },
    /// `SUM(column)` of a column of `Float64`.
    SumDouble {
        /// Index of the column.
        column: u32,
    },
}

/// Configuration of the operator.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct GroupAggregateConfig {
    /// What rows are grouped by. The exchange in front has to hash the same columns.
    pub key: GroupKey,
    /// The aggregates.
    pub aggregates: Vec<Aggregate>,
    /// Whether to emit a change per input row instead of the net change per batch.
    pub row_exact: bool,
}

/// Makes the operator.
pub struct GroupAggregate {
    config: GroupAggregateConfig,
    /// Takes the place of the worker's backend.
    backend: Option<Arc<dyn StateBackend>>,
}

impl GroupAggregate {
    /// An aggregation with this configuration, state in the worker's backend.
    ///
    /// # Errors
    /// When there is nothing to compute.
    pub fn new(config: GroupAggregateConfig) -> Result<Self> {
        if config.aggregates.is_empty() && config.key.columns().is_empty() {
            return Err(Error::user(format!("{NAME}: neither key nor aggregates are given")));
        }
        Ok(Self { config, backend: None })
    }

    /// The same aggregation with its state in another backend.
    #[must_use]
    pub fn with_backend(mut self, backend: Arc<dyn StateBackend>) -> Self {
        self.backend = Some(backend);
        self
    }
}

impl OperatorFactory for GroupAggregate {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let backend = self.backend.as_deref().or(cx.state.backend.as_deref()).unwrap_or(&HashMapStateBackend);
        Ok(match self.config.key {
            GroupKey::Number { .. } => Box::new(GroupAggregateOperator::<Option<i64>>::new(&self.config, backend, cx)?),
            GroupKey::Row { .. } => Box::new(GroupAggregateOperator::<RowKey>::new(&self.config, backend, cx)?),
        })
    }
}
