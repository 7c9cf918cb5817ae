//! Drives the aggregation: rows wait for their time, then go through their frames.

use super::Over;
use super::frame::{History, Steps, advance, next_number};
use crate::operators::calc::emit;
use crate::operators::group_aggregate::{AggregateCall, DistinctValues, GroupState, Inputs, NoValues, TableValues, ValueTable};
use crate::operators::row::{ColumnKey, RowBuilder, RowKey, ValueBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef};
use brisk_base::ids::CheckpointId;
use brisk_base::metrics::Counter;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{
    EventTimeStanding, KeyedListTable, KeyedTable, Layout, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations,
};
use brisk_core::types::{Key, hash_columns};
use brisk_state::KeyedStateStore;
use std::collections::BTreeMap;
use std::sync::Arc;

/// See the module.
pub(super) struct OverOperator {
    config: Over,
    store: KeyedStateStore<RowKey>,
    /// Rows that wait for the watermark, by time.
    waiting: Box<dyn KeyedListTable<RowKey, i64, Vec<u8>>>,
    /// The aggregates of each key.
    groups: Box<dyn KeyedTable<RowKey, (), GroupState>>,
    /// Values of each key, where an aggregate keeps them.
    values: Option<ValueTable<RowKey, ()>>,
    /// Rows in the frame of each key, where they can leave it.
    history: Option<History>,
    /// The watermark, or the latest reading of the clock.
    watermark: Timestamp,
    /// Rows that came too late (Flink's `numLateRecordsDropped`).
    late: Counter,
}

/// Rows of keys, by time. Keys are in their order, so that a restored job does the same.
type Ready = BTreeMap<RowKey, Vec<(i64, Vec<Vec<u8>>)>>;

impl OverOperator {
    pub(super) fn new(config: Over, backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let waiting = declared.engine_list::<Vec<u8>>("waiting", Layout::NamespaceMajor);
        let groups = declared.engine_value::<GroupState>("groups", Layout::KeyMajor);
        let keeps_values = config.aggregates.iter().any(AggregateCall::keeps_values);
        let values = keeps_values.then(|| declared.engine_map::<RowKey, i64>("values", Layout::KeyMajor));
        let history = (!config.frame.is_unbounded()).then(|| declared.engine_map::<RowKey, Vec<u8>>("history", Layout::KeyMajor));
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        Ok(Self {
            waiting: store.take_list(waiting)?,
            groups: store.take_value(groups)?,
            values: values.map(|values| store.take_map(values)).transpose()?,
            history: history.map(|history| store.take_map(history)).transpose()?,
            store,
            watermark: Timestamp::MIN,
            late: cx.metrics.counter("numLateRecordsDropped"),
            config,
        })
    }

    /// Adds a batch, giving the rows whose time comes on the way.
    fn process(&mut self, batch: &Columns, now: Timestamp) -> Result<Columns> {
        let (mut keys, mut rows, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        let key: Vec<ArrayRef> = self.config.key.iter().map(|column| Arc::clone(&batch.columns[*column])).collect();
        RowKey::read(&key, batch.rows, &mut keys)?;
        RowKey::read(&batch.columns, batch.rows, &mut rows)?;
        hash_columns(&key, &mut hashes)?;
        let mut output = OverOutput::new(&self.config);
        let Some(time) = self.config.time else {
            // A clock that is set back does not bring times back.
            let now = now.0.max(self.watermark.0);
            self.watermark = Timestamp(now);
            let mut ready = Ready::new();
            for (key, row) in keys.into_iter().zip(rows).take(batch.rows) {
                ready.entry(key).or_default().push((now, vec![row.as_bytes().to_vec()]));
            }
            self.give(ready, &mut output)?;
            batch.marks.iter().for_each(|mark| output.batch.mark(mark.watermark));
            return output.finish();
        };
        let Some(times) = batch.columns[time].as_primitive_opt::<TimestampMillisecondType>() else {
            return Err(Error::bug("an OVER aggregation has no time in milliseconds"));
        };
        let mut marks = batch.marks.iter().peekable();
        for (row, (key, columns)) in keys.iter().zip(rows).take(batch.rows).enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                self.fire(mark.watermark, &mut output)?;
            }
            if times.is_null(row) || times.value(row) <= self.watermark.0 {
                self.late.inc();
                continue;
            }
            self.waiting.append(Slot { hash: hashes[row], key, namespace: &times.value(row) }, columns.as_bytes().to_vec())?;
        }
        marks.try_for_each(|mark| self.fire(mark.watermark, &mut output))?;
        output.finish()
    }

    /// Gives the rows up to a time.
    fn fire(&mut self, watermark: Timestamp, output: &mut OverOutput) -> Result<()> {
        self.watermark = self.watermark.max(watermark);
        let mut ready = Ready::new();
        while let Some(time) = self.waiting.next_namespace(None)?.filter(|time| *time <= watermark.0) {
            self.waiting.scan_namespace(&time, &mut |key, rows| {
                ready.entry(key.clone()).or_default().push((time, rows.to_vec()));
                Ok(())
            })?;
            self.waiting.remove_namespace(&time)?;
        }
        self.give(ready, output)?;
        output.batch.mark(watermark);
        Ok(())
    }

    /// Takes rows through the frames of their keys.
    fn give(&mut self, ready: Ready, output: &mut OverOutput) -> Result<()> {
        let mut of_keys = Vec::new();
        for (key, times) in ready {
            let slot = Slot { hash: key.key_hash(), key: &key, namespace: &() };
            let mut count = self.groups.get(slot)?.map_or(0, |group| group.rows);
            let mut steps = Steps::default();
            for (time, rows) in times {
                let number = match &mut self.history {
                    Some(history) if self.config.time.is_none() => next_number(history, slot, time)?,
                    _ => 0,
                };
                advance(self.config.frame, (time, number), rows, &mut self.history, slot, &mut count, &mut steps)?;
            }
            of_keys.push((key, steps));
        }
        let mut rows = RowBuilder::new(&self.config.types);
        let mut signs = Vec::new();
        for (row, sign) in of_keys.iter().flat_map(|(_, steps)| &steps.rows) {
            rows.push(row)?;
            signs.push(*sign);
        }
        let batch = Columns { columns: rows.finish(), rows: signs.len(), ..Columns::default() };
        let inputs = Inputs::new(&self.config.aggregates, &batch, &signs)?;
        let mut from = 0_u32;
        for (key, steps) in of_keys {
            let slot = Slot { hash: key.key_hash(), key: &key, namespace: &() };
            let mut table = self.values.as_mut().map(|table| TableValues { table, slot });
            let distinct: &mut dyn DistinctValues = match &mut table {
                Some(table) => table,
                None => &mut NoValues,
            };
            let aggregates = &self.config.aggregates;
            self.groups.update(slot, &mut |state| {
                let group = state.get_or_insert_with(|| GroupState::empty(aggregates));
                let mut done = 0;
                for (behind, given) in &steps.results {
                    let added: Vec<u32> = (done..*behind).map(|row| from + row as u32).collect();
                    inputs.add(&added, group, distinct)?;
                    done = *behind;
                    given.iter().try_for_each(|row| output.push(&steps.rows[*row].0, group))?;
                }
                Ok(())
            })?;
            from += steps.rows.len() as u32;
        }
        Ok(())
    }
}

/// Results in the making.
struct OverOutput {
    rows: RowBuilder,
    results: Vec<(AggregateCall, ValueBuilder)>,
    batch: Columns,
}

impl OverOutput {
    fn new(config: &Over) -> Self {
        let results = config.aggregates.iter().map(|call| (call.clone(), ValueBuilder::new(call.result))).collect();
        Self { rows: RowBuilder::new(&config.types), results, batch: Columns::default() }
    }

    fn push(&mut self, row: &[u8], group: &GroupState) -> Result<()> {
        self.batch.rows += 1;
        self.rows.push(row)?;
        let mut results = self.results.iter_mut().zip(&group.accumulators);
        results.try_for_each(|((call, column), result)| result.write(&call.aggregate, column))
    }

    fn finish(mut self) -> Result<Columns> {
        let mut columns = self.rows.finish();
        columns.extend(self.results.iter_mut().map(|(_, column)| column.finish()));
        Ok(Columns { columns, ..self.batch })
    }
}

impl Operator for OverOperator {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(standing) = EventTimeStanding::restored(cx.runtime)? {
            self.watermark = standing.watermark;
        }
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let given = self.process(&Columns::from_any(batch)?, cx.runtime.world.now())?;
        emit(given, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.config.time.is_none() {
            cx.emit_watermark(watermark);
            return Ok(Progress::Done);
        }
        let mut output = OverOutput::new(&self.config);
        self.fire(watermark, &mut output)?;
        emit(output.finish()?, cx);
        Ok(Progress::Done)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.waiting)?;
        snapshot.freeze(&mut *self.groups)?;
        if let Some(values) = &mut self.values {
            snapshot.freeze(&mut **values)?;
        }
        if let Some(history) = &mut self.history {
            snapshot.freeze(&mut **history)?;
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
