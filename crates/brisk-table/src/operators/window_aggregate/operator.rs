//! Drives the aggregation: rows into windows, windows out at the watermark.

use super::WindowAggregateConfig;
use super::sessions::Sessions;
use crate::operators::calc::emit;
use crate::operators::group_aggregate::{DistinctValues, GroupState, Inputs, NoValues, RowKey, TableValues, ValueTable};
use crate::operators::row::{ColumnKey, Grouping, RowBuilder, ValueBuilder};
use crate::operators::window_table::WindowKind;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{ArrayRef, TimestampMillisecondArray};
use brisk_base::ids::CheckpointId;
use brisk_base::metrics::Counter;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{
    EventTimeStanding, KeyedTable, Layout, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations,
};
use brisk_core::types::hash_columns;
use brisk_state::KeyedStateStore;
use std::ops::Range;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A window by its end and its start: those that are over first come first.
pub(super) type Window = (i64, i64);

/// See the module.
pub(super) struct WindowAggregateOperator {
    config: WindowAggregateConfig,
    store: KeyedStateStore<RowKey>,
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
    /// Keys of the rows at hand, and their hashes.
    keys: Vec<RowKey>,
    hashes: Vec<u64>,
    grouping: Grouping,
}

/// A key in a window, for finding the rows of each.
#[derive(PartialEq, Eq)]
struct Windowed<'a>(&'a RowKey, Window);

impl WindowAggregateOperator {
    pub(super) fn new(config: &WindowAggregateConfig, backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let groups = declared.engine_value::<GroupState>("windows", Layout::NamespaceMajor);
        let keeps_values = config.aggregates.iter().any(|call| call.keeps_values());
        let values = keeps_values.then(|| declared.engine_map::<RowKey, i64>("values", Layout::NamespaceMajor));
        let sessions = config.merge.then(|| Sessions::declare(&mut declared));
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        Ok(Self {
            config: config.clone(),
            groups: store.take_value(groups)?,
            values: values.map(|values| store.take_map(values)).transpose()?,
            sessions: sessions.map(|sessions| Sessions::take(sessions, &mut store)).transpose()?,
            store,
            watermark: Timestamp::MIN,
            due: None,
            late: cx.metrics.counter("numLateRecordsDropped"),
            keys: Vec::new(),
            hashes: Vec::new(),
            grouping: Grouping::default(),
        })
    }

    /// Adds a batch, giving the windows that end on the way; `None` when the state is not near yet: nothing has been done then.
    fn aggregate(&mut self, batch: &Columns, waker: &Waker) -> Result<Option<Columns>> {
        self.read(batch)?;
        let windows = self.windows(batch)?;
        if !self.fetch(batch.rows, &windows, waker)? {
            return Ok(None);
        }
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
        Ok(Some(output.finish()))
    }

    /// Adds a batch whose windows are those of the clock, giving the windows that are over.
    fn aggregate_by_clock(&mut self, batch: &Columns, kind: WindowKind, now: Timestamp, waker: &Waker) -> Result<Option<Columns>> {
        self.read(batch)?;
        // A clock that is set back does not open windows again.
        let now = now.0.max(self.watermark.0.saturating_add(1));
        let mut windows = Vec::new();
        kind.windows(now, |start, end| windows.push(vec![(end, start); batch.rows]));
        for windows in &windows {
            if !self.fetch(batch.rows, windows, waker)? {
                return Ok(None);
            }
        }
        let mut output = WindowOutput::new(&self.config);
        self.fire(Timestamp(now - 1), &mut output)?;
        windows.iter().try_for_each(|windows| self.add(batch, 0..batch.rows, windows))?;
        batch.marks.iter().for_each(|mark| output.mark(mark.watermark));
        self.set_due()?;
        Ok(Some(output.finish()))
    }

    fn set_due(&mut self) -> Result<()> {
        self.due = self.groups.next_namespace(None)?.map(|window| Timestamp(window.0));
        Ok(())
    }

    /// Whether the state of these rows is near.
    fn fetch(&mut self, rows: usize, windows: &[Window], waker: &Waker) -> Result<bool> {
        let slot = |row: usize| Slot { hash: self.hashes[row], key: &self.keys[row], namespace: &windows[row] };
        let slots: Vec<_> = (0..rows).map(slot).collect();
        let context = &mut Context::from_waker(waker);
        let mut near = self.groups.prefetch(context, &slots);
        if let (Poll::Ready(Ok(())), Some(values)) = (&near, &mut self.values) {
            near = values.prefetch(context, &slots);
        }
        match near {
            Poll::Pending => Ok(false),
            Poll::Ready(ready) => ready.map(|()| true),
        }
    }

    /// Keys and hashes of a batch.
    fn read(&mut self, batch: &Columns) -> Result<()> {
        let columns = self.config.key_columns.iter();
        let key_columns = columns.map(|index| column(batch, *index)).collect::<Result<Vec<_>>>()?;
        RowKey::read(&key_columns, batch.rows, &mut self.keys)?;
        self.hashes.clear();
        if batch.hashes.len() == batch.rows {
            self.hashes.extend_from_slice(&batch.hashes);
        } else {
            hash_columns(&key_columns, &mut self.hashes)?;
        }
        Ok(())
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
                let slot = Slot { hash: self.hashes[row], key: &self.keys[row], namespace: &() };
                let window = sessions.window(slot, windows[row], self.watermark, &self.config, &mut *self.groups)?;
                match window {
                    Some(window) => add_rows(slot.at(&window), &[row as u32], &inputs, &self.config, &mut *self.groups, &mut self.values)?,
                    None => self.late.inc(),
                }
            }
            return Ok(());
        }
        let late = |row: usize| windows[row].0 - 1 <= self.watermark.0;
        let kept: Vec<usize> = rows.clone().filter(|row| !late(*row)).collect();
        self.late.inc_by((rows.len() - kept.len()) as u64);
        let windowed: Vec<_> = kept.iter().map(|row| Windowed(&self.keys[*row], windows[*row])).collect();
        let hash = |row: &usize| self.hashes[*row] ^ (windows[*row].0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let hashes: Vec<_> = kept.iter().map(hash).collect();
        self.grouping.by_key(&windowed, &hashes);
        for (group, first) in self.grouping.first_rows().iter().enumerate() {
            let first = kept[*first as usize];
            let rows: Vec<u32> = self.grouping.rows_of(group).iter().map(|at| kept[*at as usize] as u32).collect();
            let slot = Slot { hash: self.hashes[first], key: &self.keys[first], namespace: &windows[first] };
            add_rows(slot, &rows, &inputs, &self.config, &mut *self.groups, &mut self.values)?;
        }
        Ok(())
    }

    /// Gives all windows that are over at this watermark, or at this reading of the clock.
    fn fire(&mut self, watermark: Timestamp, output: &mut WindowOutput) -> Result<()> {
        self.watermark = self.watermark.max(watermark);
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
            results: config.aggregates.iter().map(|call| ValueBuilder::new(call.result)).collect(),
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

impl Operator for WindowAggregateOperator {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if self.config.clock.is_some() {
            return self.set_due();
        }
        if let Some(standing) = EventTimeStanding::restored(cx.runtime)? {
            self.watermark = standing.watermark;
        }
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let results = match self.config.clock {
            Some(kind) => self.aggregate_by_clock(&batch, kind, cx.runtime.world.now(), cx.waker)?,
            None => self.aggregate(&batch, cx.waker)?,
        };
        let Some(results) = results else { return Ok(Rest::Blocked(Box::new(batch))) };
        emit(results, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.config.clock.is_some() {
            cx.emit_watermark(watermark);
            return Ok(Progress::Done);
        }
        let mut output = WindowOutput::new(&self.config);
        self.fire(watermark, &mut output)?;
        output.mark(watermark);
        emit(output.finish(), cx);
        Ok(Progress::Done)
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.due
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let mut output = WindowOutput::new(&self.config);
        self.fire(Timestamp(now.0 - 1), &mut output)?;
        self.set_due()?;
        emit(output.finish(), cx);
        Ok(Progress::Done)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.groups)?;
        if let Some(values) = &mut self.values {
            snapshot.freeze(&mut **values)?;
        }
        if let Some(sessions) = &mut self.sessions {
            sessions.freeze(snapshot)?;
        }
        EventTimeStanding { watermark: self.watermark, generator: None, idle: false }.snapshot(cx.runtime, snapshot);
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
