//! Sorts rows by event time: a row is given when the watermark has reached its time, in the order of time and then of other columns.
//!
//! Rows that come later than that are dropped and counted, as Flink does; so are those whose time is null. All rows have one key, so one
//! subtask sorts. A batch is split at its marks.

use super::calc::emit;
use super::keyed::{KeyedFunction, KeyedOperator, open_store};
use super::rank::{Order, read_orders};
use super::row::{ColumnKey, RowBuilder, RowKey, ValueType};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use brisk_base::metrics::Counter;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::Columns;
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedMapTable, Layout, Slot, StateDeclarations};
use brisk_core::types::Key;
use std::ops::{Bound, ControlFlow, Range};
use std::task::{Context, Poll, Waker, ready};

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct TemporalSort {
    /// The event-time column.
    pub(crate) time: usize,
    /// What rows of one time are ordered by; then by their columns.
    pub(crate) order: Vec<Order>,
    /// Types of all columns.
    pub(crate) types: Vec<ValueType>,
}

/// Rows by time, by what orders them within it, and how often each is there.
type Rows = Box<dyn KeyedMapTable<i64, i64, RowKey, i64>>;

/// The key of all rows, as the exchange in front has it.
const KEY: i64 = 0;

impl OperatorFactory for TemporalSort {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let mut declared = StateDeclarations::new(cx.place());
        let rows = declared.engine_map::<RowKey, i64>("rows", Layout::NamespaceMajor);
        let mut store = open_store::<i64>(cx, declared)?;
        let (rows, late) = (store.take_map(rows)?, cx.metrics.counter("numLateRecordsDropped"));
        Ok(KeyedOperator::boxed(store, TemporalSortFunction { config: self.clone(), rows, watermark: Timestamp::MIN, late }))
    }
}

struct TemporalSortFunction {
    config: TemporalSort,
    rows: Rows,
    watermark: Timestamp,
    /// Rows that came too late (Flink's `numLateRecordsDropped`).
    late: Counter,
}

impl TemporalSortFunction {
    /// Adds a batch, giving the rows whose time comes on the way.
    fn sort(&mut self, batch: &Columns, waker: &Waker) -> Poll<Result<Columns>> {
        let Some(times) = batch.columns[self.config.time].as_primitive_opt::<TimestampMillisecondType>() else {
            return Poll::Ready(Err(Error::bug("a sort by time has no time in milliseconds")));
        };
        let hash = KEY.key_hash();
        let slots: Vec<_> = times.values().iter().map(|time| Slot { hash, key: &KEY, namespace: time }).collect();
        ready!(self.rows.prefetch(&mut Context::from_waker(waker), &slots))?;
        let (mut rows, mut orders) = (Vec::new(), Vec::new());
        RowKey::read(&batch.columns, batch.rows, &mut rows)?;
        read_orders(&self.config.order, batch, &mut orders)?;
        let (mut sorted, mut from) = (Sorted::new(&self.config), 0);
        let add = |this: &mut Self, range: Range<usize>| -> Result<()> {
            for row in range {
                if times.is_null(row) || times.value(row) <= this.watermark.0 {
                    this.late.inc();
                    continue;
                }
                let mut place = RowKey::new();
                place.push_bytes(&orders[row]);
                place.push_fields(rows[row].as_bytes());
                this.rows.update(slots[row], &place, &mut |count| {
                    *count = Some(count.unwrap_or(0) + 1);
                    Ok(())
                })?;
            }
            Ok(())
        };
        for mark in &batch.marks {
            add(self, from..mark.row as usize)?;
            from = mark.row as usize;
            self.fire(mark.watermark, &mut sorted)?;
        }
        add(self, from..batch.rows)?;
        Poll::Ready(Ok(sorted.finish()))
    }

    /// Gives the rows up to a time.
    fn fire(&mut self, watermark: Timestamp, sorted: &mut Sorted) -> Result<()> {
        self.watermark = self.watermark.max(watermark);
        while let Some(time) = self.rows.next_namespace(None)?.filter(|time| *time <= watermark.0) {
            let slot = Slot { hash: KEY.key_hash(), key: &KEY, namespace: &time };
            self.rows.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |row, count| {
                (0..*count).try_for_each(|_| sorted.push(row))?;
                Ok(ControlFlow::Continue(()))
            })?;
            self.rows.remove_namespace(&time)?;
        }
        sorted.batch.mark(watermark);
        Ok(())
    }
}

/// Rows in their order.
struct Sorted {
    rows: RowBuilder,
    batch: Columns,
}

impl Sorted {
    fn new(config: &TemporalSort) -> Self {
        Self { rows: RowBuilder::new(&config.types), batch: Columns::default() }
    }

    fn push(&mut self, row: &RowKey) -> Result<()> {
        self.batch.rows += 1;
        self.rows.push(row.behind_first()?)
    }

    fn finish(mut self) -> Columns {
        Columns { columns: self.rows.finish(), ..self.batch }
    }
}

impl KeyedFunction for TemporalSortFunction {
    fn process(&mut self, _input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        let sorted = ready!(self.sort(batch, cx.waker))?;
        emit(sorted, cx);
        Poll::Ready(Ok(()))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut sorted = Sorted::new(&self.config);
        self.fire(watermark, &mut sorted)?;
        emit(sorted.finish(), cx);
        Ok(())
    }

    fn time(&mut self) -> Option<&mut Timestamp> {
        Some(&mut self.watermark)
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.rows]
    }
}
