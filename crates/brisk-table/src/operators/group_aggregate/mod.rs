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
//! * State that expires (`state_ttl`) is not seen any more; a row that is taken back from it is ignored, as in Flink.
//! * DISTINCT keeps in mind which values it has seen. If rows may be taken back, it counts how often each value is there; so do MIN and MAX.
//!
//! `accumulator` adds, `seen` and `distinct` keep values, `output` builds the result, `operator` drives.

mod accumulator;
mod distinct;
mod operator;
mod output;
mod seen;

pub use super::row::RowKey;
pub(crate) use accumulator::Inputs;
pub use accumulator::{Accumulator, GroupState};
pub(crate) use distinct::{DistinctValues, NoValues, TableValues, ValueTable};

use super::row::ValueType;
use brisk_base::{Error, Result};
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use brisk_core::types::Record;
use operator::GroupFunction;
use std::time::Duration;

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

/// One aggregate function with its argument.
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
    /// `SUM(column)` of a column of decimals; of the same scale.
    SumDecimal {
        /// Index of the column.
        column: u32,
    },
    /// `AVG(column)` of a column of `Int64`: a whole number, cut off.
    AvgBigint {
        /// Index of the column.
        column: u32,
    },
    /// `AVG(column)` of a column of `Float64`.
    AvgDouble {
        /// Index of the column.
        column: u32,
    },
    /// `AVG(column)` of a column of decimals.
    AvgDecimal {
        /// Index of the column.
        column: u32,
        /// How many digits more than the column the result has behind the point.
        shift: u8,
    },
    /// Variance or standard deviation of a column of `Int64`, in whole numbers.
    MomentBigint {
        /// Index of the column.
        column: u32,
        /// Which of them.
        moment: Moment,
    },
    /// Variance or standard deviation of a column of `Float64`.
    MomentDouble {
        /// Index of the column.
        column: u32,
        /// Which of them.
        moment: Moment,
    },
    /// `FIRST_VALUE(column)`: of the values that are not null, the one that came first. Rows are never taken back; else it is
    /// [`FirstRemaining`](Self::FirstRemaining).
    FirstValue {
        /// Index of the column.
        column: u32,
    },
    /// `LAST_VALUE(column)`.
    LastValue {
        /// Index of the column.
        column: u32,
    },
    /// `FIRST_VALUE(column)` where rows may be taken back: all values are kept in the order in which they came, and of equal ones the
    /// first is taken back.
    FirstRemaining {
        /// Index of the column.
        column: u32,
    },
    /// `LAST_VALUE(column)` where rows may be taken back.
    LastRemaining {
        /// Index of the column.
        column: u32,
    },
    /// `ARRAY_AGG(column)`: the values in the order in which they came.
    ArrayAgg {
        /// Index of the column.
        column: u32,
        /// Whether nulls are among them.
        nulls: bool,
    },
    /// `LISTAGG(column, separator)` of a column of text, in the order in which values came.
    ListAgg {
        /// Index of the column.
        column: u32,
        /// What stands between two values.
        separator: String,
    },
    /// `MIN(column)`.
    Min {
        /// Index of the column.
        column: u32,
    },
    /// `MAX(column)`.
    Max {
        /// Index of the column.
        column: u32,
    },
}

/// A measure of how far values are apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Record)]
pub struct Moment {
    /// Whether the values are a sample of all (`_SAMP`), or all of them (`_POP`). One value alone has no sample variance.
    pub sample: bool,
    /// Whether it is the standard deviation: the root of the variance.
    pub root: bool,
}

impl Aggregate {
    /// Whether the result is one of the values.
    pub(crate) const fn chooses(&self) -> bool {
        let by_order =
            matches!(self, Self::FirstValue { .. } | Self::LastValue { .. } | Self::FirstRemaining { .. } | Self::LastRemaining { .. });
        self.compares() || by_order
    }

    /// Whether the result is the least or the greatest value.
    pub(crate) const fn compares(&self) -> bool {
        matches!(self, Self::Min { .. } | Self::Max { .. })
    }

    /// Index of the argument.
    pub(crate) const fn column(&self) -> Option<u32> {
        match self {
            Self::CountAll => None,
            Self::Count { column }
            | Self::SumBigint { column }
            | Self::SumDouble { column }
            | Self::SumDecimal { column }
            | Self::AvgBigint { column }
            | Self::AvgDouble { column }
            | Self::AvgDecimal { column, .. }
            | Self::MomentBigint { column, .. }
            | Self::MomentDouble { column, .. }
            | Self::FirstValue { column }
            | Self::LastValue { column }
            | Self::FirstRemaining { column }
            | Self::LastRemaining { column }
            | Self::ArrayAgg { column, .. }
            | Self::ListAgg { column, .. }
            | Self::Min { column }
            | Self::Max { column } => Some(*column),
        }
    }

    /// Index of the argument.
    const fn column_mut(&mut self) -> Option<&mut u32> {
        match self {
            Self::CountAll => None,
            Self::Count { column }
            | Self::SumBigint { column }
            | Self::SumDouble { column }
            | Self::SumDecimal { column }
            | Self::AvgBigint { column }
            | Self::AvgDouble { column }
            | Self::AvgDecimal { column, .. }
            | Self::MomentBigint { column, .. }
            | Self::MomentDouble { column, .. }
            | Self::FirstValue { column }
            | Self::LastValue { column }
            | Self::FirstRemaining { column }
            | Self::LastRemaining { column }
            | Self::ArrayAgg { column, .. }
            | Self::ListAgg { column, .. }
            | Self::Min { column }
            | Self::Max { column } => Some(column),
        }
    }
}

/// One aggregate as a query calls it.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct AggregateCall {
    /// The function.
    pub aggregate: Aggregate,
    /// Index of a truth value: only rows in which it is true are taken (`FILTER`).
    pub filter: Option<u32>,
    /// Whether equal values count once.
    pub distinct: bool,
    /// Whether rows may be taken back.
    pub retract: bool,
    /// The type of the result.
    pub result: ValueType,
}

impl AggregateCall {
    /// The same call over columns with other indexes.
    #[must_use]
    pub(crate) fn with_columns(mut self, index: impl Fn(u32) -> u32) -> Self {
        if let Some(column) = self.aggregate.column_mut() {
            *column = index(*column);
        }
        self.filter = self.filter.map(index);
        self
    }

    /// Whether the values have to be kept.
    pub(crate) const fn keeps_values(&self) -> bool {
        (self.distinct && !self.aggregate.chooses()) || (self.aggregate.compares() && self.retract)
    }
}

impl From<Aggregate> for AggregateCall {
    /// Over all rows, which may be taken back. The result is a BIGINT or a DOUBLE.
    fn from(aggregate: Aggregate) -> Self {
        let result = match aggregate {
            Aggregate::SumDouble { .. } | Aggregate::AvgDouble { .. } => ValueType::Double,
            _ => ValueType::Bigint,
        };
        Self { aggregate, filter: None, distinct: false, retract: true, result }
    }
}

/// Configuration of the operator.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct GroupAggregateConfig {
    /// What rows are grouped by. The exchange in front has to hash the same columns.
    pub key: GroupKey,
    /// The aggregates.
    pub aggregates: Vec<AggregateCall>,
    /// Whether to emit a change per input row instead of the net change per batch.
    pub row_exact: bool,
    /// How long state is kept that nobody uses; for ever, if it is 0.
    pub state_ttl: Duration,
}

/// Makes the operator.
pub struct GroupAggregate(GroupAggregateConfig);

impl GroupAggregate {
    /// An aggregation with this configuration.
    ///
    /// # Errors
    /// When there is nothing to compute.
    pub fn new(config: GroupAggregateConfig) -> Result<Self> {
        if config.aggregates.is_empty() && config.key.columns().is_empty() {
            return Err(Error::user(format!("{NAME}: neither key nor aggregates are given")));
        }
        Ok(Self(config))
    }
}

impl OperatorFactory for GroupAggregate {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        match self.0.key {
            GroupKey::Number { .. } => GroupFunction::<Option<i64>>::create(&self.0, cx),
            GroupKey::Row { .. } => GroupFunction::<RowKey>::create(&self.0, cx),
        }
    }
}
