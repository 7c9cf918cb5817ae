//! Drives the aggregation: a batch in, its changes out.

use super::accumulator::{Accumulator, GroupState, Inputs};
use super::output::Output;
use super::{AggregateCall, DistinctValues, GroupAggregateConfig, NoValues, RowKey, TableValues, ValueTable};
use crate::operators::calc::emit;
use crate::operators::row::{ColumnKey, Grouping};
use arrow_array::ArrayRef;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedTable, Layout, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations};
use brisk_core::types::{hash, hash_columns};
use brisk_state::KeyedStateStore;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The aggregation of one subtask, over keys of type `K`.
pub(super) struct GroupAggregateOperator<K> {
    /// Indexes of the key columns.
    key_columns: Vec<usize>,
    aggregates: Vec<AggregateCall>,
    row_exact: bool,
    /// What `groups` lies in.
    store: KeyedStateStore<K>,
    /// State of each key.
    groups: Box<dyn KeyedTable<K, (), GroupState>>,
    /// Values of each key, where an aggregate keeps them.
    values: Option<ValueTable<K, ()>>,
    /// Keys of the batch at hand.
    keys: Vec<K>,
    /// Their hashes, where the batch has none.
    hashes: Vec<u64>,
    /// Signs of its rows; empty when all are added.
    signs: Vec<i64>,
    grouping: Grouping,
    output: Output,
    /// Results of a key before its rows are added.
    before: Vec<Accumulator>,
}

impl<K: ColumnKey> GroupAggregateOperator<K> {
    pub(super) fn new(config: &GroupAggregateConfig, backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let groups = declared.engine_value::<GroupState>("groups", Layout::KeyMajor);
        let keeps_values = config.aggregates.iter().any(AggregateCall::keeps_values);
        let values = keeps_values.then(|| declared.engine_map::<RowKey, i64>("values", Layout::KeyMajor));
        let mut store = KeyedStateStore::<K>::open(backend, StateBackendContext::of(cx)?, declared)?;
        Ok(Self {
            key_columns: config.key.columns(),
            aggregates: config.aggregates.clone(),
            row_exact: config.row_exact,
            groups: store.take_value(groups)?,
            values: values.map(|values| store.take_map(values)).transpose()?,
            store,
            keys: Vec::new(),
            hashes: Vec::new(),
            signs: Vec::new(),
            grouping: Grouping::default(),
            output: Output::new(&config.aggregates),
            before: Vec::new(),
        })
    }

    /// Reads keys, hashes and signs of a batch, and finds its groups. Gives the key columns.
    fn prepare(&mut self, batch: &Columns) -> Result<Vec<ArrayRef>> {
        let column = |index: &usize| {
            let missing = || Error::bug(format!("key column {index} is missing: the batch has {} columns", batch.columns.len()));
            batch.columns.get(*index).cloned().ok_or_else(missing)
        };
        let key_columns = self.key_columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        self.hashes.clear();
        if batch.hashes.len() == batch.rows {
            self.hashes.extend_from_slice(&batch.hashes);
        } else if key_columns.is_empty() {
            self.hashes.resize(batch.rows, hash::hash_null());
        } else {
            hash_columns(&key_columns, &mut self.hashes)?;
        }
        K::read(&key_columns, batch.rows, &mut self.keys)?;
        self.signs.clear();
        self.signs.extend(batch.kinds.iter().map(|kind| kind.sign()));
        if self.row_exact {
            self.grouping.rows_alone(batch.rows);
        } else {
            self.grouping.by_key(&self.keys, &self.hashes);
        }
        Ok(key_columns)
    }

    /// Adds a batch and gives its changes; `None` when the state is not near yet.
    fn aggregate(&mut self, batch: &Columns, waker: &Waker) -> Result<Option<Columns>> {
        let key_columns = self.prepare(batch)?;
        let (keys, hashes, grouping) = (&self.keys, &self.hashes, &self.grouping);
        let slot = |row: &u32| Slot { hash: hashes[*row as usize], key: &keys[*row as usize], namespace: &() };
        let slots: Vec<_> = grouping.first_rows().iter().map(slot).collect();
        match self.groups.prefetch(&mut Context::from_waker(waker), &slots) {
            Poll::Pending => return Ok(None),
            Poll::Ready(ready) => ready?,
        }
        if let Some(values) = &mut self.values {
            match values.prefetch(&mut Context::from_waker(waker), &slots) {
                Poll::Pending => return Ok(None),
                Poll::Ready(ready) => ready?,
            }
        }
        let inputs = Inputs::new(&self.aggregates, batch, &self.signs)?;
        let (aggregates, output, before, values) = (&self.aggregates, &mut self.output, &mut self.before, &mut self.values);
        let mut marks = batch.marks.iter().peekable();
        let row_exact = self.row_exact;
        self.groups.update_many(&slots, &mut |group, state| {
            let first_row = grouping.first_rows()[group];
            if row_exact {
                while let Some(mark) = marks.next_if(|mark| mark.row <= first_row) {
                    output.batch.mark(mark.watermark);
                }
            }
            let mut table = values.as_mut().map(|table| TableValues { table, slot: slots[group] });
            let distinct: &mut dyn DistinctValues = match &mut table {
                Some(table) => table,
                None => &mut NoValues,
            };
            let rows = grouping.rows_of(group);
            let emit = &mut |kind, results: &[Accumulator]| output.push(kind, first_row, results);
            update(state, aggregates, (&inputs, rows), distinct, before, emit)
        })?;
        // The net change of a batch is known only at its end, and so are its watermarks.
        marks.for_each(|mark| self.output.batch.mark(mark.watermark));
        self.output.finish(&key_columns).map(Some)
    }
}

/// Adds rows to the state of one key and emits what that changes.
fn update(
    state: &mut Option<GroupState>,
    aggregates: &[AggregateCall],
    (inputs, rows): (&Inputs<'_>, &[u32]),
    distinct: &mut dyn DistinctValues,
    before: &mut Vec<Accumulator>,
    emit: &mut dyn FnMut(RowKind, &[Accumulator]) -> Result<()>,
) -> Result<()> {
    let group = state.get_or_insert_with(|| GroupState::empty(aggregates));
    let was_there = group.rows > 0;
    before.clear();
    before.extend_from_slice(&group.accumulators);
    inputs.add(rows, group, distinct)?;
    match (was_there, group.rows > 0) {
        (false, true) => emit(RowKind::Insert, &group.accumulators)?,
        (true, false) => emit(RowKind::Delete, before)?,
        (true, true) if !same_results(aggregates, before, &group.accumulators) => {
            emit(RowKind::UpdateBefore, before)?;
            emit(RowKind::UpdateAfter, &group.accumulators)?;
        }
        _ => {}
    }
    if group.rows == 0 {
        *state = None;
    }
    Ok(())
}

/// Whether all results are as they were, as they are shown.
fn same_results(calls: &[AggregateCall], before: &[Accumulator], after: &[Accumulator]) -> bool {
    before.iter().zip(after).zip(calls).all(|((before, after), call)| before.same_result(after, &call.aggregate))
}

impl<K: ColumnKey> Operator for GroupAggregateOperator<K> {
    /// Takes the whole batch at once: the net change is that of a batch, and a batch is small.
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let Some(changes) = self.aggregate(&batch, cx.waker)? else { return Ok(Rest::Blocked(Box::new(batch))) };
        emit(changes, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.groups)?;
        self.values.as_mut().map_or(Ok(()), |values| snapshot.freeze(&mut **values))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
