//! The first rows of each key in an order: Top-N, and deduplication, which is Top-1.
//!
//! The output is a retract stream, with the net change per key and batch, or with what changes with each row (`row_exact`). Where rows are never taken back only the first N are kept
//! (`append`), else all of them (`retract`).

mod append;
mod changes;
mod input;
mod retract;

pub(crate) use input::read_orders;

use super::row::ValueType;
use append::AppendRank;
use brisk_base::Result;
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use retract::RetractRank;
use std::time::Duration;

/// A column that rows are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its index.
    pub column: usize,
    /// Whether great values come first.
    pub descending: bool,
    /// Whether nulls come first, or last.
    pub nulls_first: bool,
}

/// Makes the operator. Its output has the columns of the input and the place, from 1; without `with_place` the place is null.
#[derive(Clone, Debug)]
pub struct Rank {
    /// Indexes of the key columns. The exchange in front has to hash the same columns.
    pub key: Vec<usize>,
    /// What rows are ordered by.
    pub order: Vec<Order>,
    /// Types of all columns.
    pub types: Vec<ValueType>,
    /// How many rows of each key.
    pub limit: usize,
    /// Whether somebody reads the place.
    pub with_place: bool,
    /// Whether rows may be taken back.
    pub retract: bool,
    /// Whether to give what changes with each row, instead of the net change of a batch.
    pub row_exact: bool,
    /// How long state is kept that nobody uses; for ever, if it is 0.
    pub state_ttl: Duration,
}

impl OperatorFactory for Rank {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        if self.retract { RetractRank::create(self.clone(), cx) } else { AppendRank::create(self.clone(), cx) }
    }
}
