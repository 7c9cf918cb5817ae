//! Puts rows into windows of event time: a row for each window, with start, end and time of the window behind its columns.

use super::calc::emit;
use crate::planner::WindowKind;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, TimestampMillisecondArray};
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, Mark, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext};
use std::sync::Arc;

/// Makes the operator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowTableOperator {
    /// The column that says when a row was.
    pub(crate) time: usize,
    /// The windows.
    pub(crate) kind: WindowKind,
}

impl OperatorFactory for WindowTableOperator {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(*self))
    }
}

/// Start of the last window of a step that begins at or before a time.
const fn start_of(time: i64, step: i64, offset: i64) -> i64 {
    time - (time - offset).rem_euclid(step)
}

/// Calls `window` with start and end of each window that a time lies in.
fn windows(kind: WindowKind, time: i64, mut window: impl FnMut(i64, i64)) {
    match kind {
        WindowKind::Tumble { size, offset } => {
            let start = start_of(time, size, offset);
            window(start, start + size);
        }
        WindowKind::Hop { slide, size, offset } => {
            let last = start_of(time, slide, offset);
            (0..size / slide).rev().for_each(|step| window(last - step * slide, last - step * slide + size));
        }
        WindowKind::Cumulate { step, size, offset } => {
            let start = start_of(time, size, offset);
            let first = (time - start) / step + 1;
            (first..=size / step).for_each(|steps| window(start, start + steps * step));
        }
        // A session of this row alone; the aggregation merges them.
        WindowKind::Session { gap } => window(time, time + gap),
    }
}

impl WindowTableOperator {
    fn assign(&self, batch: &Columns) -> Result<Columns> {
        let times = batch.columns[self.time].as_primitive_opt::<TimestampMillisecondType>();
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
            windows(self.kind, times.value(row), |start, end| {
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
        emit(self.assign(&Columns::from_any(batch)?)?, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: WindowKind, time: i64) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        windows(kind, time, |start, end| all.push((start, end)));
        all
    }

    #[test]
    fn a_time_lies_in_its_windows() {
        assert_eq!(of(WindowKind::Tumble { size: 10, offset: 0 }, -1), [(-10, 0)]);
        assert_eq!(of(WindowKind::Tumble { size: 10, offset: 3 }, 12), [(3, 13)]);
        assert_eq!(of(WindowKind::Hop { slide: 5, size: 10, offset: 0 }, 12), [(5, 15), (10, 20)]);
        assert_eq!(of(WindowKind::Cumulate { step: 5, size: 15, offset: 0 }, 7), [(0, 10), (0, 15)]);
        assert_eq!(of(WindowKind::Session { gap: 10 }, 7), [(7, 17)]);
    }
}
