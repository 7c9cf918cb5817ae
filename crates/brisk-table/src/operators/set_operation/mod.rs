//! INTERSECT [ALL] and EXCEPT [ALL] of two changelogs.
//!
//! Of each row it is kept how often it is in either input; the result has it as often as the operation says. All nulls are equal. The
//! output is a retract stream with the net change per row and batch.

use super::calc::emit;
use super::row::{ColumnKey, Grouping, RowKey};
use crate::planner::SetOperationKind;
use brisk_base::Result;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{AnyBatch, BatchType, Columns, RowKind, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedTable, Layout, OperatorSnapshot, Slot, StateBackendContext, StateDeclarations};
use brisk_core::types::hash_columns;
use brisk_state::{HashMapStateBackend, KeyedStateStore};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Makes the operator. Both inputs are partitioned by all columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetOperator {
    pub(crate) kind: SetOperationKind,
    /// Whether duplicates count.
    pub(crate) all: bool,
}

impl OperatorFactory for SetOperator {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let backend = cx.state.backend.as_deref().unwrap_or(&HashMapStateBackend);
        let mut declared = StateDeclarations::new(cx.place());
        let times = declared.engine_value::<[i64; 2]>("times", Layout::KeyMajor);
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        let times = store.take_value(times)?;
        let (rows, hashes) = (Vec::new(), Vec::new());
        Ok(Box::new(SetOperationOperator { config: *self, store, times, rows, hashes, grouping: Grouping::default() }))
    }
}

struct SetOperationOperator {
    config: SetOperator,
    store: KeyedStateStore<RowKey>,
    /// How often each row is in the left input, and in the right.
    times: Box<dyn KeyedTable<RowKey, (), [i64; 2]>>,
    /// Rows of the batch at hand, and their hashes.
    rows: Vec<RowKey>,
    hashes: Vec<u64>,
    grouping: Grouping,
}

impl SetOperationOperator {
    /// Adds a batch and gives its changes; `None` when the state is not near yet.
    fn add(&mut self, input: usize, batch: &Columns, waker: &Waker) -> Result<Option<Columns>> {
        RowKey::read(&batch.columns, batch.rows, &mut self.rows)?;
        self.hashes.clear();
        if batch.hashes.len() == batch.rows {
            self.hashes.extend_from_slice(&batch.hashes);
        } else {
            hash_columns(&batch.columns, &mut self.hashes)?;
        }
        self.grouping.by_key(&self.rows[..batch.rows], &self.hashes);
        let slot = |row: &u32| Slot { hash: self.hashes[*row as usize], key: &self.rows[*row as usize], namespace: &() };
        let slots: Vec<_> = self.grouping.first_rows().iter().map(slot).collect();
        match self.times.prefetch(&mut Context::from_waker(waker), &slots) {
            Poll::Pending => return Ok(None),
            Poll::Ready(ready) => ready?,
        }
        let (grouping, SetOperator { kind, all }) = (&self.grouping, self.config);
        let (mut given, mut kinds) = (Vec::new(), Vec::new());
        self.times.update_many(&slots, &mut |group, state| {
            let mut times = state.unwrap_or_default();
            let before = kind.times(all, times[0], times[1]);
            times[input] += grouping.rows_of(group).iter().map(|row| batch.kind(*row as usize).sign()).sum::<i64>();
            let change = kind.times(all, times[0], times[1]) - before;
            let row_kind = if change > 0 { RowKind::Insert } else { RowKind::Delete };
            for _ in 0..change.unsigned_abs() {
                given.push(grouping.first_rows()[group]);
                kinds.push(row_kind);
            }
            *state = Some(times).filter(|times| *times != [0, 0]);
            Ok(())
        })?;
        if kinds.iter().all(|kind| *kind == RowKind::Insert) {
            kinds.clear();
        }
        let columns = batch.columns.iter().map(|column| take_rows(column, &given)).collect::<Result<_>>()?;
        let mut changes = Columns { columns, rows: given.len(), kinds, ..Columns::default() };
        // The net change of a batch is known only at its end, and so are its watermarks.
        batch.marks.iter().for_each(|mark| changes.mark(mark.watermark));
        Ok(Some(changes))
    }
}

impl Operator for SetOperationOperator {
    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let Some(changes) = self.add(input, &batch, cx.waker)? else { return Ok(Rest::Blocked(Box::new(batch))) };
        emit(changes, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.times)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
