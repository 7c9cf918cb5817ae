//! Drives the aggregation: a batch in, its changes out.

use super::accumulator::{Accumulator, GroupState, Inputs};
use super::output::Output;
use super::seen::SeenValues;
use super::{AggregateCall, DistinctValues, GroupAggregateConfig, NoValues, RowKey, TableValues, ValueTable};
use crate::operators::calc::emit;
use crate::operators::keyed::{KeyedFunction, KeyedOperator, StateRetention, open_store};
use crate::operators::row::{ColumnKey, Grouping, KeyedRows};
use brisk_base::Result;
use brisk_core::batch::{Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedTable, StateDeclarations};
use std::task::{Context, Poll, ready};

/// The aggregation of one subtask, over keys of type `K`.
pub(super) struct GroupFunction<K> {
    /// Indexes of the key columns.
    key_columns: Vec<usize>,
    aggregates: Vec<AggregateCall>,
    row_exact: bool,
    /// Whether groups may have expired whose rows are taken back.
    may_expire: bool,
    /// State of each key.
    groups: Box<dyn KeyedTable<K, (), GroupState>>,
    /// Values of each key, where an aggregate keeps them.
    values: Option<ValueTable<K, ()>>,
    /// Values that have been seen of each key, where an aggregate counts those that have not.
    seen: Option<SeenValues<K>>,
    /// Keys of the batch at hand.
    keys: KeyedRows<K>,
    /// Signs of its rows; empty when all are added.
    signs: Vec<i64>,
    grouping: Grouping,
    output: Output,
    /// Results of a key before its rows are added.
    before: Vec<Accumulator>,
}

impl<K: ColumnKey> GroupFunction<K> {
    pub(super) fn create(config: &GroupAggregateConfig, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let retention = StateRetention::of(config.state_ttl, cx);
        let mut declared = StateDeclarations::new(cx.place());
        let groups = retention.declare_value::<GroupState>(&mut declared, "groups");
        let seen = if retention.is_limited() { None } else { SeenValues::<K>::declare(&config.aggregates, &mut declared) };
        let keeps_values = config.aggregates.iter().any(|call| call.keeps_values() && !(seen.is_some() && call.counts_unseen()));
        let values = keeps_values.then(|| retention.declare_map::<RowKey, i64>(&mut declared, "values"));
        let mut store = open_store::<K>(cx, declared)?;
        let function = Self {
            key_columns: config.key.columns(),
            aggregates: config.aggregates.clone(),
            row_exact: config.row_exact,
            may_expire: retention.is_limited(),
            groups: retention.take_value(&mut store, groups)?,
            values: values.map(|values| retention.take_map(&mut store, values)).transpose()?,
            seen: seen.map(|seen| SeenValues::take(&config.aggregates, &mut store, seen)).transpose()?,
            keys: KeyedRows::default(),
            signs: Vec::new(),
            grouping: Grouping::default(),
            output: Output::new(&config.aggregates),
            before: Vec::new(),
        };
        Ok(KeyedOperator::boxed(store, function))
    }
}

impl<K: ColumnKey> KeyedFunction for GroupFunction<K> {
    fn process(&mut self, _input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        let key_columns = self.keys.read(batch, self.key_columns.iter().copied())?;
        self.signs.clear();
        self.signs.extend(batch.kinds.iter().map(|kind| kind.sign()));
        if self.row_exact {
            self.grouping.rows_alone(batch.rows);
        } else {
            self.keys.group(&mut self.grouping);
        }
        let (grouping, slots) = (&self.grouping, self.keys.slots_of(&self.grouping));
        let context = &mut Context::from_waker(cx.waker);
        ready!(self.groups.prefetch(context, &slots))?;
        if let Some(values) = &mut self.values {
            ready!(values.prefetch(context, &slots))?;
        }
        if let Some(seen) = &mut self.seen {
            ready!(seen.read(batch, &self.keys, context))?;
        }
        let inputs = match &mut self.seen {
            None => Inputs::new(&self.aggregates, batch, &self.signs)?,
            Some(seen) => {
                let unseen = seen.unseen(self.aggregates.len(), batch.rows, &self.keys)?;
                Inputs::with_rows(&self.aggregates, batch, &self.signs, unseen)?
            }
        };
        let (output, before, values) = (&mut self.output, &mut self.before, &mut self.values);
        let mut marks = batch.marks.iter().peekable();
        let update = Update { aggregates: &self.aggregates, inputs: &inputs, signs: &self.signs, may_expire: self.may_expire };
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
            let emit = &mut |kind, results: &[Accumulator]| output.push(kind, first_row, results);
            update.apply(state, grouping.rows_of(group), distinct, before, emit)
        })?;
        // The net change of a batch is known only at its end, and so are its watermarks.
        marks.for_each(|mark| self.output.batch.mark(mark.watermark));
        emit(self.output.finish(&key_columns)?, cx);
        Poll::Ready(Ok(()))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        let groups: &mut dyn AnyTable = &mut *self.groups;
        let values = self.values.as_mut().map(|values| &mut **values as &mut dyn AnyTable);
        [groups].into_iter().chain(values).chain(self.seen.as_mut().map(SeenValues::table)).collect()
    }
}

/// How a batch changes the groups of its rows.
struct Update<'a> {
    aggregates: &'a [AggregateCall],
    inputs: &'a Inputs<'a>,
    /// Signs of the rows of the batch; empty when all are added.
    signs: &'a [i64],
    may_expire: bool,
}

impl Update<'_> {
    /// Adds rows to the state of one key and emits what that changes.
    fn apply(
        &self,
        state: &mut Option<GroupState>,
        rows: &[u32],
        distinct: &mut dyn DistinctValues,
        before: &mut Vec<Accumulator>,
        emit: &mut dyn FnMut(RowKind, &[Accumulator]) -> Result<()>,
    ) -> Result<()> {
        let group = state.get_or_insert_with(|| GroupState::empty(self.aggregates));
        let kept = self.may_expire.then(|| self.without_expired(rows, group.rows));
        let rows = kept.as_deref().unwrap_or(rows);
        let was_there = group.rows > 0;
        before.clear();
        before.extend_from_slice(&group.accumulators);
        self.inputs.add(rows, group, distinct)?;
        match (was_there, group.rows > 0) {
            (false, true) => emit(RowKind::Insert, &group.accumulators)?,
            (true, false) => emit(RowKind::Delete, before)?,
            // Where state expires, a result that stays as it was lets the state of those behind live on.
            (true, true) if self.may_expire || !same_results(self.aggregates, before, &group.accumulators) => {
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

    /// The rows without those that are taken back from a group in which there is none.
    fn without_expired(&self, rows: &[u32], mut there: i64) -> Vec<u32> {
        let mut kept = rows.to_vec();
        kept.retain(|row| {
            let sign = self.signs.get(*row as usize).copied().unwrap_or(1);
            let is_kept = there + sign >= 0;
            there += if is_kept { sign } else { 0 };
            is_kept
        });
        kept
    }
}

/// Whether all results are as they were, as they are shown.
fn same_results(calls: &[AggregateCall], before: &[Accumulator], after: &[Accumulator]) -> bool {
    before.iter().zip(after).zip(calls).all(|((before, after), call)| before.same_result(after, &call.aggregate))
}
