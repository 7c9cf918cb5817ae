//! Loops over a batch that stop when the budget is used up or the output is full, and give back the rest.

use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, Cursor, Rows};
use brisk_core::function::Emitter;
use brisk_core::operator::{OperatorContext, Rest};
use brisk_core::types::Record;

/// What a cursor has not read, as an operator gives it back.
pub(crate) fn rest_of<T: Record>(cursor: Cursor<T>) -> Rest {
    match cursor.into_rest() {
        Some(rest) => Rest::More(Box::new(rest)),
        None => Rest::Consumed,
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
