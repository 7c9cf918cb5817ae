//! The first rows of each key in an order: Top-N, and deduplication, which is Top-1.
//!
//! The output is a retract stream, with the net change per key and batch. Where rows are never taken back only the first N are kept
//! (`append`), else all of them (`retract`).

mod append;
mod changes;
mod input;
mod retract;

pub(crate) use input::read_orders;

use super::row::ValueType;
use append::RankOperator;
use brisk_base::Result;
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use brisk_state::HashMapStateBackend;
use retract::RetractRankOperator;

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
}

impl OperatorFactory for Rank {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let backend = cx.state.backend.as_deref().unwrap_or(&HashMapStateBackend);
        Ok(if self.retract {
            Box::new(RetractRankOperator::new(self.clone(), backend, cx)?)
        } else {
            Box::new(RankOperator::new(self.clone(), backend, cx)?)
        })
    }
}
