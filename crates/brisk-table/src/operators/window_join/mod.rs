//! Joins the rows of each window: those of both sides that have the same window and equal keys.
//!
//! Rows are never taken back. They are kept until the watermark says that their window is over; then it is joined, once, and forgotten. Rows
//! that come later are dropped and counted, as Flink does. So the output has inserts alone, whatever the kind of the join. A batch is
//! split at its marks.
//!
//! `pairs` joins the rows of a window.

mod pairs;

use super::join::Join;
use super::keyed::{KeyedFunction, KeyedOperator, open_store};
use super::row::{Field, KeyedRows, RowKey, fields};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, PrimitiveArray};
use brisk_base::metrics::Counter;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::Columns;
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedListTable, Layout, Slot, StateDeclarations};
use pairs::WindowPairs;
use std::ops::Range;
use std::task::{Context, Poll, ready};

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct WindowJoin {
    /// Sides, kind and condition. The columns of the window are among the keys.
    pub(crate) join: Join,
    /// The columns with start and end of the window, of both sides.
    pub(crate) windows: [(usize, usize); 2],
}

/// A window by its end and its start: those that are over first come first.
type Window = (i64, i64);

/// Rows of a side by key and window.
type RowTable = Box<dyn KeyedListTable<RowKey, Window, Vec<u8>>>;

impl OperatorFactory for WindowJoin {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let mut declared = StateDeclarations::new(cx.place());
        let rows = ["left", "right"].map(|name| declared.engine_list::<Vec<u8>>(name, Layout::NamespaceMajor));
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = WindowJoinFunction {
            config: self.clone(),
            rows: [store.take_list(rows[0])?, store.take_list(rows[1])?],
            watermark: Timestamp::MIN,
            late: ["leftNumLateRecordsDropped", "rightNumLateRecordsDropped"].map(|name| cx.metrics.counter(name)),
            keys: KeyedRows::default(),
            bytes: Vec::new(),
        };
        Ok(KeyedOperator::boxed(store, function))
    }
}

struct WindowJoinFunction {
    config: WindowJoin,
    rows: [RowTable; 2],
    watermark: Timestamp,
    /// Rows of each side that came too late.
    late: [Counter; 2],
    /// Keys of the batch at hand, and its rows.
    keys: KeyedRows,
    bytes: Vec<RowKey>,
}

impl WindowJoinFunction {
    /// The windows of the rows of a batch.
    fn windows(&self, side: usize, batch: &Columns) -> Result<Vec<Window>> {
        let (start, end) = self.config.windows[side];
        let millis = |column: usize| -> Option<PrimitiveArray<TimestampMillisecondType>> {
            batch.columns.get(column)?.as_primitive_opt().filter(|times| times.null_count() == 0).cloned()
        };
        let (Some(starts), Some(ends)) = (millis(start), millis(end)) else {
            return Err(Error::bug("start and end of a window are no timestamps in milliseconds"));
        };
        Ok(ends.values().iter().copied().zip(starts.values().iter().copied()).collect())
    }

    /// Keeps the rows between two watermarks.
    fn keep(&mut self, side: usize, rows: Range<usize>, windows: &[Window]) -> Result<()> {
        let kept: Vec<usize> = rows.clone().filter(|row| windows[*row].0 - 1 > self.watermark.0).collect();
        self.late[side].inc_by((rows.len() - kept.len()) as u64);
        let slots: Vec<_> = kept.iter().map(|row| self.keys.slot(*row).at(&windows[*row])).collect();
        self.rows[side].append_many(&slots, &mut |index| self.bytes[kept[index]].as_bytes().to_vec())
    }

    /// Joins all windows that are over at this watermark.
    fn fire(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.watermark = self.watermark.max(watermark);
        let Self { config, rows: [left, right], .. } = self;
        let mut pairs = WindowPairs::new(&config.join);
        loop {
            let next = left.next_namespace(None)?.into_iter().chain(right.next_namespace(None)?).min();
            let Some(window) = next.filter(|window| window.0 - 1 <= watermark.0) else { break };
            left.scan_namespace(&window, &mut |key, rows| {
                let others = right.get(Slot::new(key, &window))?;
                pairs.add(rows, others, config.join.nulls_are_equal || !has_null(key)?, cx)
            })?;
            // What has no row on the left.
            right.scan_namespace(&window, &mut |key, rows| {
                let others = left.get(Slot::new(key, &window))?;
                if others.is_empty() { pairs.add(others, rows, false, cx) } else { Ok(()) }
            })?;
            left.remove_namespace(&window)?;
            right.remove_namespace(&window)?;
        }
        pairs.flush(cx)
    }
}

/// Whether a key is equal to none.
fn has_null(key: &RowKey) -> Result<bool> {
    for field in fields(key.as_bytes()) {
        if matches!(field?, Field::Null) {
            return Ok(true);
        }
    }
    Ok(false)
}

impl KeyedFunction for WindowJoinFunction {
    fn process(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        let side = &self.config.join.sides[input];
        if batch.columns.len() != side.types.len() || !batch.kinds.is_empty() {
            return Poll::Ready(Err(Error::bug("a side of a window join has other rows than the plan says")));
        }
        self.keys.read(batch, side.key.iter().copied())?;
        RowKey::read_plain(&batch.columns, batch.rows, &mut self.bytes)?;
        let windows = self.windows(input, batch)?;
        let slots: Vec<_> = windows.iter().enumerate().map(|(row, window)| self.keys.slot(row).at(window)).collect();
        ready!(self.rows[input].prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        let mut from = 0;
        for mark in &batch.marks {
            let to = mark.row as usize;
            self.keep(input, from..to, &windows)?;
            from = to;
            self.process_watermark(mark.watermark, cx)?;
        }
        Poll::Ready(self.keep(input, from..batch.rows, &windows))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.fire(watermark, cx)?;
        cx.emit_watermark(watermark);
        Ok(())
    }

    fn time(&mut self) -> Option<&mut Timestamp> {
        Some(&mut self.watermark)
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        self.rows.iter_mut().map(|table| &mut **table as &mut dyn AnyTable).collect()
    }
}
