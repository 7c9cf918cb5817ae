//! Drives the aggregation: rows into windows, windows out at the watermark.

use super::WindowAggregateConfig;
use super::sessions::Sessions;
use crate::operators::calc::emit;
use crate::operators::group_aggregate::{AggregateCall, DistinctValues, GroupState, Inputs, NoValues, RowKey, TableValues, ValueTable};
use crate::operators::keyed::{KeyedFunction, KeyedOperator, open_store};
use crate::operators::row::{Grouping, KeyedRows, RowBuilder, ValueBuilder};
use crate::operators::window_table::WindowKind;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, TimestampMillisecondArray};
use brisk_base::metrics::Counter;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::Columns;
use brisk_core::operator::{Operator, OperatorContext, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedTable, Layout, Slot, StateDeclarations};
use brisk_core::types::{Key, table_hash};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

/// A window by its end and its start: those that are over first come first.
pub(super) type Window = (i64, i64);

/// See the module.
pub(super) struct WindowAggregateFunction {
    config: WindowAggregateConfig,
    /// State of each key and window.
    groups: Box<dyn KeyedTable<RowKey, Window, GroupState>>,
    /// Values of each key and window, where an aggregate keeps them.
    values: Option<ValueTable<RowKey, Window>>,
    /// The windows of each key, where they are merged.
    sessions: Option<Sessions>,
    /// Windows that end at or before this time are over: the watermark, or just before the latest reading of the clock.
    watermark: Timestamp,
    /// When the clock ends the next window.
    due: Option<Timestamp>,
    /// Rows that came too late (Flink's `numLateRecordsDropped`).
    late: Counter,
    /// Keys of the rows at hand.
    keys: KeyedRows,
    grouping: Grouping,
}

/// A key in a window, for finding the rows of each.
#[derive(PartialEq, Eq)]
struct Windowed<'a>(&'a RowKey, Window);

impl WindowAggregateFunction {
    pub(super) fn create(config: &WindowAggregateConfig, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let mut declared = StateDeclarations::new(cx.place());
        let groups = declared.engine_value::<GroupState>("windows", Layout::NamespaceMajor);
        let keeps_values = config.aggregates.iter().any(|call| call.keeps_values());
        let values = keeps_values.then(|| declared.engine_map::<RowKey, i64>("values", Layout::NamespaceMajor));
        let sessions = config.merge.then(|| Sessions::declare(&mut declared));
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = Self {
            config: config.clone(),
            groups: store.take_value(groups)?,
            values: values.map(|values| store.take_map(values)).transpose()?,
            sessions: sessions.map(|sessions| Sessions::take(sessions, &mut store)).transpose()?,
            watermark: Timestamp::MIN,
            due: None,
            late: cx.metrics.counter("numLateRecordsDropped"),
            keys: KeyedRows::default(),
            grouping: Grouping::default(),
        };
        Ok(KeyedOperator::boxed(store, function))
    }

    /// Adds a batch, giving the windows that end on the way.
    fn aggregate(&mut self, batch: &Columns, waker: &Waker) -> Poll<Result<Columns>> {
        let windows = self.windows(batch)?;
        ready!(self.fetch(&windows, waker))?;
        let mut output = WindowOutput::new(&self.config);
        let mut from = 0;
        for mark in &batch.marks {
            let to = mark.row as usize;
            self.add(batch, from..to, &windows)?;
            from = to;
            self.fire(mark.watermark, &mut output)?;
            output.mark(mark.watermark);
        }
        self.add(batch, from..batch.rows, &windows)?;
        Poll::Ready(Ok(output.finish()))
    }

    /// Adds a batch whose windows are those of the clock, giving the windows that are over.
    fn aggregate_by_clock(&mut self, batch: &Columns, kind: WindowKind, now: Timestamp, waker: &Waker) -> Poll<Result<Columns>> {
        // A clock that is set back does not open windows again.
        let now = now.0.max(self.watermark.0.saturating_add(1));
        let mut windows = Vec::new();
        kind.windows(now, |start, end| windows.push(vec![(end, start); batch.rows]));
        for windows in &windows {
            ready!(self.fetch(windows, waker))?;
        }
        let mut output = WindowOutput::new(&self.config);
        self.fire(Timestamp(now - 1), &mut output)?;
        windows.iter().try_for_each(|windows| self.add(batch, 0..batch.rows, windows))?;
        batch.marks.iter().for_each(|mark| output.mark(mark.watermark));
        self.set_due()?;
        Poll::Ready(Ok(output.finish()))
    }

    fn set_due(&mut self) -> Result<()> {
        self.due = self.groups.next_namespace(None)?.map(|window| Timestamp(window.0));
        Ok(())
    }

    /// Brings the state of the rows near, each in its window.
    fn fetch(&mut self, windows: &[Window], waker: &Waker) -> Poll<Result<()>> {
        let slots: Vec<_> = windows.iter().enumerate().map(|(row, window)| self.keys.slot(row).at(window)).collect();
        let context = &mut Context::from_waker(waker);
        ready!(self.groups.prefetch(context, &slots))?;
        match &mut self.values {
            Some(values) => values.prefetch(context, &slots),
            None => Poll::Ready(Ok(())),
        }
    }

    /// The windows that the rows of a batch bring along.
    fn windows(&self, batch: &Columns) -> Result<Vec<Window>> {
        let (starts, ends) = (column(batch, self.config.start)?, column(batch, self.config.end)?);
        let millis = |array: &ArrayRef| array.as_primitive_opt::<TimestampMillisecondType>().cloned();
        let (Some(starts), Some(ends)) = (millis(&starts), millis(&ends)) else {
            return Err(Error::bug("start and end of a window are no timestamps in milliseconds"));
        };
        Ok(ends.values().iter().copied().zip(starts.values().iter().copied()).collect())
    }

    /// Adds the rows between two watermarks.
    fn add(&mut self, batch: &Columns, rows: Range<usize>, windows: &[Window]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let inputs = Inputs::new(&self.config.aggregates, batch, &[])?;
        if let Some(sessions) = &mut self.sessions {
            for row in rows {
                let slot = self.keys.slot(row);
                let window = sessions.window(slot, windows[row], self.watermark, &self.config, &mut *self.groups)?;
                match window {
                    Some(window) => add_rows(slot.at(&window), &[row as u32], &inputs, &self.config, &mut *self.groups, &mut self.values)?,
                    None => self.late.inc(),
                }
            }
            return Ok(());
        }
        // A row of a slice is late when the last window is over in which the slice lies.
        let last_end = |row: usize| self.config.slices.map_or(windows[row].0, |kind| kind.last_end(windows[row].0));
        let late = |row: usize| last_end(row) - 1 <= self.watermark.0;
        let kept: Vec<usize> = rows.clone().filter(|row| !late(*row)).collect();
        self.late.inc_by((rows.len() - kept.len()) as u64);
        let windowed: Vec<_> = kept.iter().map(|row| Windowed(self.keys.key(*row), windows[*row])).collect();
        let hash = |row: &usize| self.keys.hashes()[*row] ^ (windows[*row].0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hashes: Vec<_> = kept.iter().map(hash).collect();
        self.grouping.by_key(&windowed, &hashes);
        for (group, first) in self.grouping.first_rows().iter().enumerate() {
            let first = kept[*first as usize];
            let rows: Vec<u32> = self.grouping.rows_of(group).iter().map(|at| kept[*at as usize] as u32).collect();
            let slot = self.keys.slot(first).at(&windows[first]);
            add_rows(slot, &rows, &inputs, &self.config, &mut *self.groups, &mut self.values)?;
        }
        Ok(())
    }

    /// Gives all windows that are over at this watermark, or at this reading of the clock.
    fn fire(&mut self, watermark: Timestamp, output: &mut WindowOutput) -> Result<()> {
        let over = self.watermark;
        self.watermark = over.max(watermark);
        if let Some(kind) = self.config.slices {
            return self.fire_slices(kind, over, output);
        }
        while let Some(window) = self.groups.next_namespace(None)?.filter(|window| window.0 - 1 <= watermark.0) {
            let sessions = &mut self.sessions;
            self.groups.drain_namespace(&window, &mut |key, state| {
                if let Some(sessions) = sessions {
                    sessions.forget(&key, window)?;
                }
                output.push(&key, window, &state)
            })?;
            if let Some(values) = &mut self.values {
                values.remove_namespace(&window)?;
            }
        }
        Ok(())
    }

    /// Gives all windows that have ended since a time: each is made of the slices that lie in it. Slices that lie in no later window go.
    fn fire_slices(&mut self, kind: WindowKind, over: Timestamp, output: &mut WindowOutput) -> Result<()> {
        let Timestamp(mut over) = over;
        while let Some(first) = self.groups.next_namespace(None)? {
            let Some(end) = kind.end_after(first.0, over) else {
                self.groups.remove_namespace(&first)?;
                continue;
            };
            if end - 1 > self.watermark.0 {
                break;
            }
            let (mut merged, mut next) = (MergedStates::default(), Some(first));
            while let Some(slice) = next.filter(|slice| slice.0 <= end) {
                self.groups.scan_namespace(&slice, &mut |key, state| merged.add(key, state, &self.config.aggregates))?;
                next = self.groups.next_namespace(Some(&slice))?;
                if kind.last_end(slice.0) <= end {
                    self.groups.remove_namespace(&slice)?;
                }
            }
            let window = (end, kind.start_of_window(end));
            merged.states.iter().try_for_each(|(key, state)| output.push(key, window, state))?;
            over = end - 1;
        }
        Ok(())
    }
}

/// States by key, in the order in which keys have come.
#[derive(Default)]
struct MergedStates {
    states: Vec<(RowKey, GroupState)>,
    index: HashTable<usize>,
}

impl MergedStates {
    fn add(&mut self, key: &RowKey, state: &GroupState, calls: &[AggregateCall]) -> Result<()> {
        let Self { states, index } = self;
        let hash = |key: &RowKey| table_hash(key.key_hash());
        match index.entry(hash(key), |at| states[*at].0 == *key, |at| hash(&states[*at].0)) {
            Entry::Occupied(at) => states[*at.get()].1.merge(calls, state),
            Entry::Vacant(place) => {
                place.insert(states.len());
                states.push((key.clone(), state.clone()));
                Ok(())
            }
        }
    }
}

fn column(batch: &Columns, index: u32) -> Result<ArrayRef> {
    let missing = || Error::bug(format!("column {index} is missing: the batch has {} columns", batch.columns.len()));
    batch.columns.get(index as usize).cloned().ok_or_else(missing)
}

/// Adds rows to the state of one key and window.
fn add_rows(
    slot: Slot<'_, RowKey, Window>,
    rows: &[u32],
    inputs: &Inputs<'_>,
    config: &WindowAggregateConfig,
    groups: &mut dyn KeyedTable<RowKey, Window, GroupState>,
    values: &mut Option<ValueTable<RowKey, Window>>,
) -> Result<()> {
    let mut table = values.as_mut().map(|table| TableValues { table, slot });
    let distinct: &mut dyn DistinctValues = match &mut table {
        Some(table) => table,
        None => &mut NoValues,
    };
    groups.update(slot, &mut |state| {
        let state = state.get_or_insert_with(|| GroupState::empty(&config.aggregates));
        inputs.add(rows, state, distinct)
    })
}

/// Results in the making.
struct WindowOutput {
    config: WindowAggregateConfig,
    keys: RowBuilder,
    windows: Vec<Window>,
    results: Vec<ValueBuilder>,
    batch: Columns,
}

impl WindowOutput {
    fn new(config: &WindowAggregateConfig) -> Self {
        Self {
            config: config.clone(),
            keys: RowBuilder::new(&config.key_types),
            windows: Vec::new(),
            results: config.aggregates.iter().map(|call| ValueBuilder::new(&call.result)).collect(),
            batch: Columns::default(),
        }
    }

    fn push(&mut self, key: &RowKey, window: Window, state: &GroupState) -> Result<()> {
        self.batch.rows += 1;
        self.keys.push(key.as_bytes())?;
        self.windows.push(window);
        let calls = self.config.aggregates.iter().zip(&state.accumulators).zip(&mut self.results);
        calls.into_iter().try_for_each(|((call, accumulator), column)| accumulator.write(&call.aggregate, column))
    }

    fn mark(&mut self, watermark: Timestamp) {
        self.batch.mark(watermark);
    }

    fn finish(mut self) -> Columns {
        let mut columns = self.keys.finish();
        let times =
            |time: fn(&Window) -> i64| -> ArrayRef { Arc::new(TimestampMillisecondArray::from_iter_values(self.windows.iter().map(time))) };
        columns.push(times(|window| window.1));
        columns.push(times(|window| window.0));
        columns.extend(self.results.iter_mut().map(ValueBuilder::finish));
        Columns { columns, ..self.batch }
    }
}

impl KeyedFunction for WindowAggregateFunction {
    fn process(&mut self, _input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        self.keys.read(batch, self.config.key_columns.iter().map(|column| *column as usize))?;
        let results = ready!(match self.config.clock {
            Some(kind) => self.aggregate_by_clock(batch, kind, cx.runtime.world.now(), cx.waker),
            None => self.aggregate(batch, cx.waker),
        })?;
        emit(results, cx);
        Poll::Ready(Ok(()))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        if self.config.clock.is_some() {
            cx.emit_watermark(watermark);
            return Ok(());
        }
        let mut output = WindowOutput::new(&self.config);
        self.fire(watermark, &mut output)?;
        output.mark(watermark);
        emit(output.finish(), cx);
        Ok(())
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.due
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut output = WindowOutput::new(&self.config);
        self.fire(Timestamp(now.0 - 1), &mut output)?;
        self.set_due()?;
        emit(output.finish(), cx);
        Ok(())
    }

    /// By the clock no row is late.
    fn time(&mut self) -> Option<&mut Timestamp> {
        Some(&mut self.watermark).filter(|_| self.config.clock.is_none())
    }

    fn open(&mut self) -> Result<()> {
        if self.config.clock.is_some() { self.set_due() } else { Ok(()) }
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        let mut tables: Vec<&mut dyn AnyTable> = vec![&mut *self.groups];
        tables.extend(self.values.as_mut().map(|values| &mut **values as &mut dyn AnyTable));
        tables.extend(self.sessions.as_mut().map(Sessions::table));
        tables
    }
}
