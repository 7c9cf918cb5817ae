//! What all keyed operators of tables have in common: rows are found by their key, state lies in tables of one store, and a checkpoint
//! freezes these.
//!
//! A [`KeyedFunction`] says what a batch does, a [`KeyedOperator`] makes an operator of it. Keys and hashes of a batch are read by
//! `KeyedRows`; tables whose values may expire come from [`StateRetention`].

mod expiring;
mod retention;

pub(crate) use retention::StateRetention;

use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Columns};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{AnyTable, EventTimeStanding, OperatorSnapshot, StateBackendContext, StateDeclarations};
use brisk_core::types::Key;
use brisk_state::{HashMapStateBackend, KeyedStateStore};
use std::sync::Arc;
use std::task::Poll;

/// What a keyed operator does. It gives rows through the context.
pub(crate) trait KeyedFunction: Send {
    /// Takes in a batch of one input. Pending when the state is not near yet: then nothing has been done, and the same batch comes again.
    fn process(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>>;

    /// The watermark has advanced between two batches. Passes it on by default.
    ///
    /// # Errors
    /// The backend's.
    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        cx.emit_watermark(watermark);
        Ok(())
    }

    /// When the clock is to wake it.
    fn next_processing_time(&self) -> Option<Timestamp> {
        None
    }

    /// The clock has reached that time.
    ///
    /// # Errors
    /// The backend's.
    fn on_processing_time(&mut self, _now: Timestamp, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Where its time stands, if it asks whether rows are late: a restored one goes on there.
    fn time(&mut self) -> Option<&mut Timestamp> {
        None
    }

    /// Called once, after the time has been restored.
    ///
    /// # Errors
    /// The backend's.
    fn open(&mut self) -> Result<()> {
        Ok(())
    }

    /// All of its tables.
    fn tables(&mut self) -> Vec<&mut dyn AnyTable>;
}

/// The store of a keyed operator in the worker's backend.
///
/// # Errors
/// As [`KeyedStateStore::open`].
pub(crate) fn open_store<K: Key>(cx: &RuntimeContext, declared: StateDeclarations) -> Result<KeyedStateStore<K>> {
    let backend = cx.state.backend.as_deref().unwrap_or(&HashMapStateBackend);
    KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)
}

/// How often a row is there once it has come again, or has been taken back; `None` for a row that is there no more.
///
/// A row that is taken back before it is added is kept in mind as a debt. Where state expires it counts as one that has: it is ignored, as
/// in Flink.
pub(crate) fn counted(times: Option<i64>, sign: i64, may_expire: bool) -> Option<i64> {
    let after = times.unwrap_or(0) + sign;
    Some(after).filter(|after| *after > 0 || (*after < 0 && !may_expire))
}

/// The operator of one function.
pub(crate) struct KeyedOperator<K, F> {
    function: F,
    /// What the tables lie in.
    store: KeyedStateStore<K>,
}

impl<K: Key, F: KeyedFunction + 'static> KeyedOperator<K, F> {
    /// Of a function whose tables lie in this store.
    pub(crate) fn boxed(store: KeyedStateStore<K>, function: F) -> Box<dyn Operator> {
        Box::new(Self { function, store })
    }
}

impl<K: Key, F: KeyedFunction> Operator for KeyedOperator<K, F> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(time) = self.function.time()
            && let Some(standing) = EventTimeStanding::restored(cx.runtime)?
        {
            *time = standing.watermark;
        }
        self.function.open()
    }

    /// Takes the whole batch at once: the net change of many operators is that of a batch, and a batch is small.
    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        match self.function.process(input, &batch, cx) {
            Poll::Pending => return Ok(Rest::Blocked(Box::new(batch))),
            Poll::Ready(done) => done?,
        }
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.function.process_watermark(watermark, cx)?;
        Ok(Progress::Done)
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.function.next_processing_time()
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.function.on_processing_time(now, cx)?;
        Ok(Progress::Done)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        self.function.tables().into_iter().try_for_each(|table| snapshot.freeze(table))?;
        if let Some(time) = self.function.time() {
            EventTimeStanding { watermark: *time, generator: None, idle: false }.snapshot(cx.runtime, snapshot);
        }
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
