//! Drives the aggregation: rows wait for their time, then go through their frames.

use super::Over;
use super::frame::{History, Steps, advance, next_number};
use crate::operators::calc::emit;
use crate::operators::group_aggregate::{AggregateCall, DistinctValues, GroupState, Inputs, NoValues, TableValues, ValueTable};
use crate::operators::keyed::{KeyedFunction, KeyedOperator, StateRetention, open_store};
use crate::operators::row::{ColumnKey, KeyedRows, RowBuilder, RowKey, ValueBuilder};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use brisk_base::metrics::Counter;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::Columns;
use brisk_core::operator::{Operator, OperatorContext, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedListTable, KeyedTable, Layout, Slot, StateDeclarations};
use brisk_core::types::Key;
use std::collections::BTreeMap;
use std::task::Poll;
use std::time::Duration;

/// See the module.
pub(super) struct OverFunction {
    config: Over,
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

impl OverFunction {
    pub(super) fn create(config: Over, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        // What is kept of a bounded frame belongs together, and goes when its rows leave.
        let retention = StateRetention::of(if config.frame.is_unbounded() { config.state_ttl } else { Duration::ZERO }, cx);
        let mut declared = StateDeclarations::new(cx.place());
        let waiting = declared.engine_list::<Vec<u8>>("waiting", Layout::NamespaceMajor);
        let groups = retention.declare_value::<GroupState>(&mut declared, "groups");
        let keeps_values = config.aggregates.iter().any(AggregateCall::keeps_values);
        let values = keeps_values.then(|| retention.declare_map::<RowKey, i64>(&mut declared, "values"));
        let history = (!config.frame.is_unbounded()).then(|| declared.engine_map::<RowKey, Vec<u8>>("history", Layout::KeyMajor));
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = Self {
            waiting: store.take_list(waiting)?,
            groups: retention.take_value(&mut store, groups)?,
            values: values.map(|values| retention.take_map(&mut store, values)).transpose()?,
            history: history.map(|history| store.take_map(history)).transpose()?,
            watermark: Timestamp::MIN,
            late: cx.metrics.counter("numLateRecordsDropped"),
            config,
        };
        Ok(KeyedOperator::boxed(store, function))
    }

    /// Adds a batch, giving the rows whose time comes on the way.
    fn rows(&mut self, batch: &Columns, now: Timestamp) -> Result<Columns> {
        let (mut keys, mut rows) = (KeyedRows::<RowKey>::default(), Vec::new());
        keys.read(batch, self.config.key.iter().copied())?;
        RowKey::read(&batch.columns, batch.rows, &mut rows)?;
        let mut output = OverOutput::new(&self.config);
        let Some(time) = self.config.time else {
            // A clock that is set back does not bring times back.
            let now = now.0.max(self.watermark.0);
            self.watermark = Timestamp(now);
            let mut ready = Ready::new();
            for (at, row) in rows.iter().take(batch.rows).enumerate() {
                ready.entry(keys.key(at).clone()).or_default().push((now, vec![row.as_bytes().to_vec()]));
            }
            self.give(ready, &mut output)?;
            batch.marks.iter().for_each(|mark| output.batch.mark(mark.watermark));
            return output.finish();
        };
        let Some(times) = batch.columns[time].as_primitive_opt::<TimestampMillisecondType>() else {
            return Err(Error::bug("an OVER aggregation has no time in milliseconds"));
        };
        let mut marks = batch.marks.iter().peekable();
        for (row, columns) in rows.iter().take(batch.rows).enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                self.fire(mark.watermark, &mut output)?;
            }
            if times.is_null(row) || times.value(row) <= self.watermark.0 {
                self.late.inc();
                continue;
            }
            self.waiting.append(keys.slot(row).at(&times.value(row)), columns.as_bytes().to_vec())?;
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
        let results = config.aggregates.iter().map(|call| (call.clone(), ValueBuilder::new(&call.result))).collect();
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

impl KeyedFunction for OverFunction {
    fn process(&mut self, _input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        let given = self.rows(batch, cx.runtime.world.now())?;
        emit(given, cx);
        Poll::Ready(Ok(()))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        if self.config.time.is_none() {
            cx.emit_watermark(watermark);
            return Ok(());
        }
        let mut output = OverOutput::new(&self.config);
        self.fire(watermark, &mut output)?;
        emit(output.finish()?, cx);
        Ok(())
    }

    fn time(&mut self) -> Option<&mut Timestamp> {
        Some(&mut self.watermark)
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        let mut tables: Vec<&mut dyn AnyTable> = vec![&mut *self.waiting, &mut *self.groups];
        tables.extend(self.values.as_mut().map(|values| &mut **values as &mut dyn AnyTable));
        tables.extend(self.history.as_mut().map(|history| &mut **history as &mut dyn AnyTable));
        tables
    }
}
