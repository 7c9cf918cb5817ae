//! Joins of two changelogs by equal keys, and by any further condition: inner, outer, semi, anti and mark joins.
//!
//! All rows of both sides are kept, each with how often it is there; a row is joined with those of the other side that are there when it
//! comes, and is taken back with those that are there when it is taken back. So the output is a retract stream. A key with a null is equal
//! to none, not to another null either; a join without keys has all rows under one. Neither result nor state depends on where batches are
//! cut.
//!
//! Where a row shows that it has no partner (outer, anti, mark), the number of its partners is kept with it. Rows whose key has a null
//! never have one: they are passed on at once, and not kept.
//!
//! State that expires (`state_ttl`) is not seen any more: as in Flink a row lives on when it comes again, and when the number of its partners
//! changes that is kept with it.
//!
//! `operator` drives, `side_rows` keeps rows, `candidates` finds partners, `output` builds the joined rows.

mod candidates;
mod operator;
mod output;
mod side_rows;

pub(crate) use candidates::Candidates;
pub(crate) use output::JoinOutput;

use super::row::ValueType;
use arrow_schema::SchemaRef;
use brisk_base::Result;
use brisk_core::operator::{Operator, OperatorFactory, RuntimeContext};
use datafusion_physical_expr::PhysicalExpr;
use operator::JoinFunction;
use std::sync::Arc;
use std::time::Duration;

/// One side of a join.
#[derive(Clone, Debug)]
pub struct JoinSide {
    /// Indexes of the key columns. The exchange in front has to hash the same columns.
    pub key: Vec<usize>,
    /// Types of all columns.
    pub types: Vec<ValueType>,
    /// Whether a key has one row at most, but for moments: then its state is cheaper. Others are taken, too.
    pub one_row: bool,
    /// Whether rows are never taken back: then their state is cheaper.
    pub appends: bool,
    /// How long a row is kept that nobody uses; for ever, if it is 0.
    pub state_ttl: Duration,
}

/// What a join gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    /// All pairs: the columns of the left side, then those of the right. Rows of a side that is kept and have no partner come with nulls
    /// in the place of the other side's columns.
    Pairs {
        /// Which sides are kept: the left one (LEFT OUTER), the right one (RIGHT OUTER), both (FULL OUTER), or none (INNER).
        keep: [bool; 2],
    },
    /// The rows of the left side that have a partner.
    Semi,
    /// The rows of the left side that have none.
    Anti,
    /// The rows of the left side, and whether they have a partner.
    Mark,
}

impl JoinKind {
    /// Of an inner join.
    pub const INNER: Self = Self::Pairs { keep: [false; 2] };

    /// Whether it is told of a row of this side how many partners it has.
    pub(crate) const fn counts_partners(self, side: usize) -> bool {
        match self {
            Self::Pairs { keep } => keep[side],
            Self::Semi | Self::Anti | Self::Mark => side == 0,
        }
    }
}

/// What else than equal keys makes two rows partners.
#[derive(Clone, Debug)]
pub struct JoinCondition {
    /// Names and types of the columns of the left side, then of the right.
    pub schema: SchemaRef,
    /// True for partners.
    pub condition: Arc<dyn PhysicalExpr>,
}

/// Makes the operator.
#[derive(Clone, Debug)]
pub struct Join {
    /// The left side and the right one.
    pub sides: [JoinSide; 2],
    /// What it gives.
    pub kind: JoinKind,
    /// What else than equal keys makes two rows partners.
    pub condition: Option<JoinCondition>,
    /// Whether a null in a key is equal to another (`IS NOT DISTINCT FROM`).
    pub nulls_are_equal: bool,
}

impl OperatorFactory for Join {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        JoinFunction::create(self.clone(), cx)
    }
}
