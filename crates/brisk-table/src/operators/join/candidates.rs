//! Rows that may be partners: those that have the key of a row of the batch at hand.

use super::Join;
use crate::operators::calc::{evaluate, record_batch};
use crate::operators::row::{RowBuilder, RowKey};
use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray};
use brisk_base::{Error, Result};
use brisk_core::batch::{Columns, take_rows};

/// Rows of a batch with the rows of the other side that have the same key.
#[derive(Default)]
pub(crate) struct Candidates {
    /// How many there are of each row.
    pub(crate) counts: Vec<usize>,
    /// Each with how often it is there, those of one row after another.
    pub(crate) others: Vec<(RowKey, i64)>,
}

impl Candidates {
    /// Which of them meet the condition of the join, if there is one. They are those of the rows of a batch of side `input`, from row `from`.
    pub(crate) fn partners(&self, join: &Join, input: usize, batch: &Columns, from: usize) -> Result<Option<BooleanArray>> {
        let Some(condition) = &join.condition else { return Ok(None) };
        let own_rows = (from as u32..).zip(&self.counts).flat_map(|(row, count)| std::iter::repeat_n(row, *count));
        let own_rows: Vec<u32> = own_rows.collect();
        let own = batch.columns.iter().map(|column| take_rows(column, &own_rows)).collect::<Result<Vec<_>>>()?;
        let mut other = RowBuilder::new(&join.sides[1 - input].types);
        self.others.iter().try_for_each(|(row, _)| other.push(row.as_bytes()))?;
        let other = other.finish();
        let columns = if input == 0 { own.into_iter().chain(other).collect() } else { other.into_iter().chain(own).collect() };
        let met = evaluate(&condition.condition, &record_batch(&condition.schema, columns, own_rows.len())?)?;
        let met = met.as_boolean_opt().ok_or_else(|| Error::bug("the condition of a join is no truth value"))?;
        Ok(Some(if met.null_count() == 0 { met.clone() } else { arrow_select::filter::prep_null_mask_filter(met) }))
    }
}
