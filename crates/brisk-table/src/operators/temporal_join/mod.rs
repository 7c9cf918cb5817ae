//! Joins of rows with the versions of another table: `FOR SYSTEM_TIME AS OF`.
//!
//! `by_time` takes the version that was there at the event time of a row, `by_clock` the one that is there when the row comes.

mod by_clock;
mod by_time;

pub(crate) use by_clock::ClockTemporalJoin;
pub(crate) use by_time::TemporalJoin;

use super::calc::{evaluate, record_batch};
use super::join::{JoinCondition, JoinSide};
use super::row::RowBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;

/// What both have in common. The output has the columns of the left side, then those of the right.
#[derive(Clone, Debug)]
pub(crate) struct VersionJoin {
    /// The left side and the right one, whose key is its primary key.
    pub(crate) sides: [JoinSide; 2],
    /// What else a version has to meet.
    pub(crate) condition: Option<JoinCondition>,
    /// Whether rows without a version are given, with nulls (LEFT JOIN).
    pub(crate) keep: bool,
}

/// A row of the left side, and its version.
type Joined = (Vec<u8>, Option<Vec<u8>>);

impl VersionJoin {
    /// Joined rows as columns.
    fn columns(&self, mut joined: Vec<Joined>) -> Result<Columns> {
        if let Some(condition) = self.condition.as_ref().filter(|_| !joined.is_empty()) {
            let met = evaluate(&condition.condition, &record_batch(&condition.schema, self.build(&joined)?, joined.len())?)?;
            let met = met.as_boolean_opt().ok_or_else(|| Error::bug("the condition of a join is no truth value"))?;
            for (row, (_, version)) in joined.iter_mut().enumerate() {
                if met.is_null(row) || !met.value(row) {
                    *version = None;
                }
            }
        }
        if !self.keep {
            joined.retain(|(_, version)| version.is_some());
        }
        Ok(Columns { columns: self.build(&joined)?, rows: joined.len(), ..Columns::default() })
    }

    fn build(&self, joined: &[Joined]) -> Result<Vec<ArrayRef>> {
        let [mut left, mut right] = [0, 1].map(|side| RowBuilder::new(&self.sides[side].types));
        for (row, version) in joined {
            left.push(row)?;
            match version {
                Some(version) => right.push(version)?,
                None => right.push_nulls(),
            }
        }
        let mut columns = left.finish();
        columns.extend(right.finish());
        Ok(columns)
    }
}
