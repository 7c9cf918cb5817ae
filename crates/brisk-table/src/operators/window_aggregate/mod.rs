//! Sums and counts per key and window. A window is given, once, when the watermark has reached its end; rows that come later are dropped
//! and counted, as Flink does.
//!
//! Rows bring the start and the end of their window along; those of windows of processing time are found here, and given when the clock has
//! reached their end. As in Flink, windows of processing time that are open at the end of the input are dropped. Windows of one key that touch are merged if the plan says so (sessions).
//! Windows that lie over each other can be made of slices: a row counts once, in its slice, and a window is put together when it ends. A row
//! that is late for some of its windows still counts in the others.
//! A batch is split at its marks, so results depend on the order of rows and watermarks alone.

mod operator;
mod sessions;

use super::group_aggregate::AggregateCall;
use super::row::ValueType;
use super::window_table::WindowKind;
use brisk_base::Result;
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use operator::WindowAggregateFunction;

/// What an aggregation of windows computes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowAggregateConfig {
    /// Indexes of the key columns. The exchange in front has to hash the same columns.
    pub key_columns: Vec<u32>,
    /// Their types.
    pub key_types: Vec<ValueType>,
    /// Column with the start of the window.
    pub start: u32,
    /// Column with its end.
    pub end: u32,
    /// The windows, where the clock says which ones a row lies in when it comes: `start` and `end` are not read then.
    pub clock: Option<WindowKind>,
    /// The windows that lie over each other, where `start` and `end` are those of the slices they are made of.
    pub slices: Option<WindowKind>,
    /// Whether windows of one key that touch are merged.
    pub merge: bool,
    /// The aggregates, over rows that are never taken back.
    pub aggregates: Vec<AggregateCall>,
}

/// Makes the operator.
pub struct WindowAggregate(WindowAggregateConfig);

impl WindowAggregate {
    /// An aggregation with this configuration, state in the worker's backend.
    pub const fn new(config: WindowAggregateConfig) -> Self {
        Self(config)
    }
}

impl OperatorFactory for WindowAggregate {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        WindowAggregateFunction::create(&self.0, cx)
    }
}
