//! Aggregates over the rows in front of each row: `OVER (PARTITION BY ... ORDER BY time ROWS | RANGE BETWEEN ... PRECEDING AND CURRENT ROW)`.
//!
//! Rows are never taken back. By event time a row waits for the watermark to reach it, and those that come later are dropped and counted, as
//! Flink does; rows of one time are in the order in which they came. By processing time a row is given at once. What leaves a frame is taken
//! back from its aggregates, so a row costs the same however long the frame is.
//!
//! `operator` drives, `frame` finds which rows come and go.

mod frame;
mod operator;

use super::group_aggregate::AggregateCall;
use super::row::ValueType;
use brisk_base::Result;
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use operator::OverFunction;
use std::time::Duration;

/// The rows that an aggregate is over, the current one always among them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Frame {
    /// `ROWS`: so many in front of the row, or all.
    Rows(Option<u64>),
    /// `RANGE`: all of the row's time, and those so many milliseconds before it, or all.
    Range(Option<i64>),
}

impl Frame {
    /// Whether no row ever leaves it.
    pub(crate) const fn is_unbounded(self) -> bool {
        matches!(self, Self::Rows(None) | Self::Range(None))
    }
}

/// Makes the operator. Its output has the columns of the input and the results.
#[derive(Clone, Debug)]
pub(crate) struct Over {
    /// Indexes of the key columns. The exchange in front has to hash the same columns.
    pub(crate) key: Vec<usize>,
    /// The event-time column; none, if the clock says when a row was.
    pub(crate) time: Option<usize>,
    pub(crate) frame: Frame,
    /// Types of all columns.
    pub(crate) types: Vec<ValueType>,
    pub(crate) aggregates: Vec<AggregateCall>,
    /// How long the aggregates of a key are kept that nobody uses, where no row leaves the frame; for ever, if it is 0.
    pub(crate) state_ttl: Duration,
}

impl OperatorFactory for Over {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        OverFunction::create(self.clone(), cx)
    }
}
