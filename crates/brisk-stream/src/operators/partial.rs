//! Loops over a batch that stop when the budget is used up or the output is full, and give back the rest.

use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, Cursor, Rows};
use brisk_core::function::Emitter;
use brisk_core::operator::{Budget, MAIN_PORT, OperatorContext, Rest};
use brisk_core::types::Record;

/// What a cursor has not read, as an operator gives it back.
pub(crate) fn rest_of<T: Record>(cursor: Cursor<T>) -> Rest {
    match cursor.into_rest() {
        Some(rest) => Rest::More(Box::new(rest)),
        None => Rest::Consumed,
    }
}

/// Emits rows with their marks; where there is no row, the watermark alone.
pub(crate) fn emit_rows<T: Record>(rows: Rows<T>, cx: &mut OperatorContext<'_>) {
    if !rows.values.is_empty() {
        cx.emit(MAIN_PORT, Box::new(rows));
    } else if let Some(last) = rows.marks.last() {
        cx.emit_watermark(last.watermark);
    }
}

/// Calls `f` for each row with its timestamp, marks being passed on in their places; what `f` emits is flushed at the end.
#[inline]
pub(crate) fn each_row<T: Record, U: Record>(
    batch: Box<dyn AnyBatch>,
    emitter: &mut Emitter<U>,
    cx: &mut OperatorContext<'_>,
    mut f: impl FnMut(T, Timestamp, &mut Emitter<U>) -> Result<()>,
) -> Result<Rest> {
    let mut cursor = Rows::<T>::from_any(batch)?.into_cursor();
    emitter.reserve();
    loop {
        while let Some(watermark) = cursor.next_mark() {
            emitter.mark(watermark);
        }
        let Some((value, timestamp, _)) = cursor.next_row() else { break };
        emitter.collector.set_timestamp(timestamp);
        f(value, timestamp, emitter)?;
        if cx.budget.row() || emitter.is_full() {
            break;
        }
    }
    emitter.flush(cx);
    Ok(rest_of(cursor))
}

/// Rows that are handed over at once to code that does not look at the budget itself. It follows the speed of that code, so that fast code
/// gets whole batches and slow code is stopped in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stride(usize);

impl Default for Stride {
    fn default() -> Self {
        Self(64)
    }
}

impl Stride {
    /// Most rows of a stride: more than any batch has.
    const MAX: usize = 1 << 16;

    /// Rows of the next stride.
    pub(crate) const fn rows(self) -> usize {
        self.0
    }

    /// To be called after a full stride: whether the time is used up.
    pub(crate) fn is_over(&mut self, budget: &mut Budget) -> bool {
        let over = budget.check();
        self.0 = if over { (self.0 / 2).max(1) } else { (self.0 * 2).min(Self::MAX) };
        over
    }
}
