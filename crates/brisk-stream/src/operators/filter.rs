//! Keeps some rows, in their place; marks move up to the rows that stay.

use super::emit_rows;
use crate::function::FilterFunction;
use crate::function::hooks::function_checkpoints;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Mark, Rows};
use brisk_core::function::FunctionInitializationContext;
use brisk_core::operator::{Budget, Operator, OperatorContext, Rest};
use brisk_core::types::Record;
use std::ops::Range;
use std::sync::Arc;

/// See the module. Cost per record: the function and one move.
pub(crate) struct FilterOperator<F> {
    function: F,
}

impl<F: FilterFunction> FilterOperator<F> {
    pub(crate) const fn new(function: F) -> Self {
        Self { function }
    }
}

/// A batch that holds fewer rows than this part of its memory gives the rest of the memory back.
const SPARSE: usize = 4;

/// Values of up to so many bytes are moved whether they stay or not, which is faster than to guess.
const SMALL: usize = 16;

/// How far a batch has been filtered.
#[derive(Default)]
struct Filtering {
    /// Rows that were looked at.
    seen: usize,
    /// Rows of them that stay; they lie in front.
    kept: usize,
    /// Marks that lie before or at the next row.
    marks: usize,
}

impl Filtering {
    /// Filters `rows` until the time is used up. What was not looked at stays.
    fn run<F: FilterFunction>(function: &mut F, rows: &mut Rows<F::In>, budget: &mut Budget) -> Result<Self> {
        let Rows { values, timestamps, marks, .. } = rows;
        let mut at = Self::default();
        loop {
            // Of marks at the place where it stops, all are passed on: no row lies in between.
            while let Some(mark) = marks.get_mut(at.marks).filter(|mark| mark.row as usize <= at.seen) {
                mark.row = at.kept as u32;
                at.marks += 1;
            }
            let until = marks.get(at.marks).map_or(values.len(), |mark| mark.row as usize);
            let rows = at.seen..until.min(at.seen + budget.allowance());
            if rows.is_empty() {
                return Ok(at);
            }
            let count = rows.len();
            at.kept = keep(function, values, timestamps, rows, at.kept)?;
            at.seen += count;
            if budget.rows(count) {
                return Ok(at);
            }
        }
    }
}

/// Moves those of `rows` that stay to row `kept` and the following ones. Gives the row behind them.
#[inline]
fn keep<F: FilterFunction>(
    function: &mut F,
    values: &mut [F::In],
    timestamps: &mut [Timestamp],
    rows: Range<usize>,
    mut kept: usize,
) -> Result<usize> {
    let timestamped = timestamps.len() == values.len();
    for row in rows {
        let keeps = function.filter(&values[row])?;
        if keeps || size_of::<F::In>() <= SMALL {
            values.swap(kept, row);
            if timestamped {
                timestamps[kept] = timestamps[row];
            }
        }
        kept += usize::from(keeps);
    }
    Ok(kept)
}

/// Takes what was not looked at out of `rows`, and leaves what was kept.
fn split_off_rest<T: Record>(rows: &mut Rows<T>, at: &Filtering) -> Rows<T> {
    let rest = Rows {
        values: rows.values.split_off(at.seen),
        timestamps: rows.timestamps.get(at.seen..).unwrap_or_default().to_vec(),
        hashes: Vec::new(),
        marks: rows.marks[at.marks..].iter().map(|mark| Mark { row: mark.row - at.seen as u32, ..*mark }).collect(),
    };
    rows.values.truncate(at.kept);
    rows.timestamps.truncate(at.kept);
    rows.marks.truncate(at.marks);
    // Of several marks in one place the last counts.
    rows.marks.dedup_by(|later, earlier| {
        let same = later.row == earlier.row;
        if same {
            *earlier = *later;
        }
        same
    });
    rest
}

impl<F: FilterFunction> Operator for FilterOperator<F> {
    function_checkpoints!(function);

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<F::In>::batch_type())
    }

    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut rows = Rows::<F::In>::from_any(batch)?;
        rows.hashes = Vec::new();
        let at = Filtering::run(&mut self.function, &mut rows, cx.budget)?;
        let rest = split_off_rest(&mut rows, &at);
        if rows.values.len() * SPARSE < rows.values.capacity() {
            rows.values.shrink_to_fit();
            rows.timestamps.shrink_to_fit();
        }
        emit_rows(rows, cx);
        Ok(if rest.is_blank() { Rest::Consumed } else { Rest::More(Box::new(rest)) })
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
