//! Top-N of rows that are never taken back: only the first N rows of each key are kept. Rows that are equal in their order keep the one in
//! which they came.

use super::Rank;
use super::changes::{Changes, First};
use super::input::RankInput;
use crate::operators::calc::emit;
use crate::operators::row::RowKey;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedTable, Layout, OperatorSnapshot, StateBackend, StateBackendContext, StateDeclarations};
use brisk_state::KeyedStateStore;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// See the module.
pub(super) struct RankOperator {
    config: Rank,
    store: KeyedStateStore<RowKey>,
    /// The first rows of each key.
    first: Box<dyn KeyedTable<RowKey, (), First>>,
    input: RankInput,
}

impl RankOperator {
    pub(super) fn new(config: Rank, backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let first = declared.engine_value::<First>("first", Layout::KeyMajor);
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        Ok(Self { config, first: store.take_value(first)?, store, input: RankInput::default() })
    }

    /// Adds a batch and gives its changes; `None` when the state is not near yet.
    fn rank(&mut self, batch: &Columns, waker: &Waker) -> Result<Option<Columns>> {
        if !batch.kinds.is_empty() {
            return Err(Error::bug("rows are taken back in front of a Top-N that cannot do that"));
        }
        self.input.read(&self.config, batch)?;
        let slots = self.input.slots();
        match self.first.prefetch(&mut Context::from_waker(waker), &slots) {
            Poll::Pending => return Ok(None),
            Poll::Ready(ready) => ready?,
        }
        let (config, RankInput { grouping, orders, rows, .. }) = (&self.config, &self.input);
        let mut changes = Changes::new(&config.types);
        self.first.update_many(&slots, &mut |group, state| {
            let before = state.take().unwrap_or_default();
            let mut after = before.clone();
            for row in grouping.rows_of(group) {
                let (order, row) = (&orders[*row as usize], &rows[*row as usize]);
                let place = after.partition_point(|(other, _)| other <= order);
                if place < config.limit {
                    after.truncate(config.limit - 1);
                    after.insert(place, (order.clone(), row.as_bytes().to_vec()));
                }
            }
            if config.with_place {
                changes.by_place(&before, &after)?
            } else {
                changes.by_row(&before, &after)?
            }
            *state = Some(after);
            Ok(())
        })?;
        Ok(Some(changes.finish(batch)))
    }
}

impl Operator for RankOperator {
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
        snapshot.freeze(&mut *self.first)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
