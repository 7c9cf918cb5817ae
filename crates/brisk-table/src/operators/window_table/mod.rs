//! Puts rows into windows: a row for each window, with start, end and time of the window behind its columns.

mod kind;

pub use kind::WindowKind;

use super::calc::emit;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef, TimestampMillisecondArray};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Columns, Mark, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext};
use std::sync::Arc;

/// What says when a row was.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Times {
    /// A column, by its index.
    Column(usize),
    /// The clock, when the row comes here.
    Clock,
    /// The clock, when the row comes to the aggregation behind: the new columns are null.
    Later,
}

/// Makes the operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowTableOperator {
    /// Where times come from.
    pub(crate) times: Times,
    /// The windows.
    pub(crate) kind: WindowKind,
}

impl OperatorFactory for WindowTableOperator {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(*self))
    }
}

impl WindowTableOperator {
    fn assign(&self, batch: Columns, now: Timestamp) -> Result<Columns> {
        match self.times {
            Times::Column(time) => self.assign_at(&batch, &batch.columns[time]),
            Times::Clock => {
                let times: ArrayRef = Arc::new(TimestampMillisecondArray::from_value(now.0, batch.rows));
                self.assign_at(&batch, &times)
            }
            Times::Later => {
                let null: ArrayRef = Arc::new(TimestampMillisecondArray::new_null(batch.rows));
                let mut columns = batch.columns;
                columns.extend([Arc::clone(&null), Arc::clone(&null), null]);
                Ok(Columns { columns, ..batch })
            }
        }
    }

    fn assign_at(&self, batch: &Columns, times: &ArrayRef) -> Result<Columns> {
        let times = times.as_primitive_opt::<TimestampMillisecondType>();
        let times = times.ok_or_else(|| Error::bug("the time attribute of a window is no timestamp in milliseconds"))?;
        let (mut rows, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        let mut marks = Vec::new();
        let mut coming = batch.marks.iter().peekable();
        for row in 0..batch.rows {
            while let Some(mark) = coming.next_if(|mark| mark.row as usize <= row) {
                marks.push(Mark { row: rows.len() as u32, ..*mark });
            }
            if times.is_null(row) {
                return Err(Error::user("the time attribute of a window is NULL: leave such rows out in front of the window"));
            }
            self.kind.windows(times.value(row), |start, end| {
                rows.push(row as u32);
                starts.push(start);
                ends.push(end);
            });
        }
        marks.extend(coming.map(|mark| Mark { row: rows.len() as u32, ..*mark }));
        let mut columns = batch.columns.iter().map(|column| take_rows(column, &rows)).collect::<Result<Vec<_>>>()?;
        let kinds = if batch.kinds.is_empty() { Vec::new() } else { rows.iter().map(|row| batch.kinds[*row as usize]).collect() };
        let last = TimestampMillisecondArray::from_iter_values(ends.iter().map(|end| end - 1));
        columns.push(Arc::new(TimestampMillisecondArray::from(starts)));
        columns.push(Arc::new(TimestampMillisecondArray::from(ends)));
        columns.push(Arc::new(last));
        Ok(Columns { columns, rows: rows.len(), kinds, marks, ..Columns::default() })
    }
}

impl Operator for WindowTableOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let assigned = self.assign(Columns::from_any(batch)?, cx.runtime.world.now())?;
        emit(assigned, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }
}
