//! Top-N of rows that may be taken back: all rows of each key are kept, in their order. Those that are equal in it are ordered by their
//! columns.

use super::Rank;
use super::changes::{Changes, First};
use super::input::RankInput;
use crate::operators::calc::emit;
use crate::operators::row::RowKey;
use brisk_base::Result;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedMapTable, Layout, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations};
use brisk_state::KeyedStateStore;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Rows of keys.
type Rows = Box<dyn KeyedMapTable<RowKey, (), RowKey, i64>>;

/// See the module.
pub(super) struct RetractRankOperator {
    config: Rank,
    store: KeyedStateStore<RowKey>,
    /// The rows of each key by what orders them and their columns, and how often each is there.
    rows: Rows,
    input: RankInput,
}

impl RetractRankOperator {
    pub(super) fn new(config: Rank, backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let rows = declared.engine_map::<RowKey, i64>("rows", Layout::KeyMajor);
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        Ok(Self { config, rows: store.take_map(rows)?, store, input: RankInput::default() })
    }

    /// Adds a batch and gives its changes; `None` when the state is not near yet.
    fn rank(&mut self, batch: &Columns, waker: &Waker) -> Result<Option<Columns>> {
        self.input.read(&self.config, batch)?;
        let slots = self.input.slots();
        match self.rows.prefetch(&mut Context::from_waker(waker), &slots) {
            Poll::Pending => return Ok(None),
            Poll::Ready(ready) => ready?,
        }
        let (config, RankInput { grouping, orders, rows, .. }) = (&self.config, &self.input);
        let mut changes = Changes::new(&config.types);
        for (group, slot) in slots.iter().enumerate() {
            let before = first(&mut self.rows, *slot, config.limit)?;
            for row in grouping.rows_of(group).iter().map(|row| *row as usize) {
                let mut place = RowKey::new();
                place.push_bytes(&orders[row]);
                place.push_fields(rows[row].as_bytes());
                self.rows.update(*slot, &place, &mut |times| {
                    // A row that is taken back before it is added is kept in mind as a debt.
                    *times = Some(times.unwrap_or(0) + batch.kind(row).sign()).filter(|times| *times != 0);
                    Ok(())
                })?;
            }
            let after = first(&mut self.rows, *slot, config.limit)?;
            if config.with_place { changes.by_place(&before, &after)? } else { changes.by_row(&before, &after)? }
        }
        Ok(Some(changes.finish(batch)))
    }
}

/// The first rows of a key.
fn first(rows: &mut Rows, slot: Slot<'_, RowKey, ()>, limit: usize) -> Result<First> {
    let mut first = First::new();
    if limit == 0 {
        return Ok(first);
    }
    rows.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |place, times| {
        let row = place.behind_first()?;
        for _ in 0..(*times).max(0) {
            first.push((Vec::new(), row.to_vec()));
            if first.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(first)
}

impl Operator for RetractRankOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let Some(changes) = self.rank(&batch, cx.waker)? else { return Ok(Rest::Blocked(Box::new(batch))) };
        emit(changes, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.rows)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
