//! Keeps some rows, in their place; marks move up to the rows that stay.

use super::emit_rows;
use crate::function::FilterFunction;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, Mark, Rows};
use brisk_core::operator::{Budget, Operator, OperatorContext, Rest};
use brisk_core::types::Record;

/// See the module. Cost per record: the function, one move, two comparisons, one decrement.
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

/// How far a batch has been filtered.
struct Filtering {
    /// Rows that were looked at.
    seen: usize,
    /// Rows of them that stay.
    kept: usize,
    /// Marks that lie before or at the next row.
    marks: usize,
    /// The function's error.
    failure: Option<Error>,
    /// Nothing more is looked at: the function failed, or the time is used up.
    stopped: bool,
}

impl Filtering {
    /// Moves the marks that lie before the next row to where it goes.
    #[inline]
    fn move_marks(&mut self, marks: &mut [Mark]) {
        while let Some(mark) = marks.get_mut(self.marks).filter(|mark| mark.row as usize <= self.seen) {
            mark.row = self.kept as u32;
            self.marks += 1;
        }
    }

    /// Filters `rows` until the time is used up. What was not looked at stays.
    fn run<F: FilterFunction>(function: &mut F, rows: &mut Rows<F::In>, budget: &mut Budget) -> Result<Self> {
        let Rows { values, timestamps, marks, .. } = rows;
        let mut at = Self { seen: 0, kept: 0, marks: 0, failure: None, stopped: false };
        values.retain(|value| {
            if at.stopped {
                return true;
            }
            at.move_marks(marks);
            let keeps = function.filter(value).unwrap_or_else(|error| {
                at.failure = Some(error);
                at.stopped = true;
                false
            });
            if let Some(timestamp) = timestamps.get(at.seen) {
                timestamps[at.kept] = *timestamp;
            }
            at.seen += 1;
            at.kept += usize::from(keeps);
            at.stopped |= budget.row();
            keeps
        });
        // A mark behind the last row that was looked at is passed on with it: no row lies in between.
        at.move_marks(marks);
        at.failure.take().map_or(Ok(at), Err)
    }
}

/// Takes what was not looked at out of `rows`, and leaves what was kept.
fn split_off_rest<T: Record>(rows: &mut Rows<T>, at: &Filtering) -> Rows<T> {
    let rest = Rows {
        values: rows.values.split_off(at.kept),
        timestamps: rows.timestamps.get(at.seen..).unwrap_or_default().to_vec(),
        hashes: Vec::new(),
        marks: rows.marks[at.marks..].iter().map(|mark| Mark { row: mark.row - at.seen as u32, ..*mark }).collect(),
    };
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
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
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
