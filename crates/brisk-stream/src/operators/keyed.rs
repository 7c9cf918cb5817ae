//! What all operators with per-record functions on keyed streams share: key, state, timers, marks and output.
//!
//! A batch is walked row by row. At a mark the timers up to it fire, in order of time, and then it is passed on. Firing stops when the
//! output is full or the budget is used up, and goes on in the next call.

use crate::function::hooks::checkpointed_hooks;
use crate::function::{KeyedContext, TimeDomain};
use crate::key_selector::KeySelector;
use crate::keyed_state::{Store, Timers, open_store};
use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Mark, Rows};
use brisk_core::function::{Collector, Emitter, FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{OperatorSnapshot, Slot, StateDeclarations};
use brisk_core::types::{Key, Record};
use brisk_state::timers::Timer;
use std::borrow::Cow;
use std::sync::Arc;

/// Rows whose state is brought into the processor's cache together.
const TOUCHED_AT_ONCE: usize = 32;

/// The part of a keyed operator that differs: its function, and what its inputs are.
pub(crate) trait KeyedLogic: Send + Sized {
    /// The key of all inputs.
    type Key: Key;
    /// What it makes.
    type Out: Record;
    /// The key selectors of the inputs.
    type Selectors: Send;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()>;

    checkpointed_hooks!();

    /// How the batches of one input are read.
    fn input_type(&self, input: usize) -> Arc<dyn BatchType>;

    /// Processes a batch of one input, by [`KeyedCore::each_row`].
    fn process(
        &mut self,
        selectors: &Self::Selectors,
        core: &mut KeyedCore<Self::Key, Self::Out>,
        input: usize,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
    ) -> Result<Rest>;

    fn on_timer(&mut self, at: Timestamp, ctx: &mut KeyedContext<'_, Self::Key>, out: &mut Collector<Self::Out>) -> Result<()>;

    fn close(&mut self) -> Result<()>;
}

/// State, timers and output of a keyed operator.
pub(crate) struct KeyedCore<K: Key, U> {
    pub(crate) store: Store<K>,
    timers: Timers<K>,
    pub(crate) emitter: Emitter<U>,
    /// The watermark, up to the row that is being processed.
    pub(crate) watermark: Timestamp,
    /// The key of the row before, whose memory is used again.
    key: Option<K>,
}

/// Puts a key where the last one was, using its memory again.
#[inline]
pub(crate) fn replace_key<K: Key>(place: &mut Option<K>, key: Cow<'_, K>) {
    match (place.as_mut(), key) {
        (Some(place), Cow::Borrowed(key)) => place.clone_from(key),
        (_, key) => *place = Some(key.into_owned()),
    }
}

impl<K: Key, U: Record> KeyedCore<K, U> {
    pub(crate) fn new(declared: StateDeclarations, cx: &RuntimeContext) -> Result<Self> {
        let store = open_store(cx, declared)?;
        let timers = Timers::restored(cx, store.key_groups())?;
        Ok(Self { store, timers, emitter: Emitter::new(cx), watermark: Timestamp::MIN, key: None })
    }

    /// Calls `call` for each row with its context; timers fire at the marks in between.
    pub(crate) fn each_row<T, S, L>(
        &mut self,
        logic: &mut L,
        selector: &S,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
        mut call: impl FnMut(&mut L, T, &mut KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<Rest>
    where
        T: Record,
        S: KeySelector<T, Key = K>,
        L: KeyedLogic<Key = K, Out = U>,
    {
        self.walk(logic, batch, cx, |core, logic, value: T, timestamp, hash, cx| {
            let key = selector.key(&value);
            let hash = hash.unwrap_or_else(|| key.key_hash());
            replace_key(&mut core.key, key);
            core.call(hash, timestamp, None, cx.runtime, |ctx, out| call(logic, value, ctx, out))
        })
    }

    /// Walks a batch row by row; timers fire at the marks in between. `row` gets the value, its timestamp, and the key hash if there is one.
    #[inline]
    pub(crate) fn walk<T, L>(
        &mut self,
        logic: &mut L,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
        mut row: impl FnMut(&mut Self, &mut L, T, Timestamp, Option<u64>, &mut OperatorContext<'_>) -> Result<()>,
    ) -> Result<Rest>
    where
        T: Record,
        L: KeyedLogic<Key = K, Out = U>,
    {
        let rows = Rows::<T>::from_any(batch)?;
        let hashed = !rows.hashes.is_empty();
        let mut cursor = rows.into_cursor();
        self.emitter.reserve();
        for ahead in 0_usize.. {
            if hashed && ahead.is_multiple_of(TOUCHED_AT_ONCE) {
                self.store.touch(cursor.hashes_ahead(TOUCHED_AT_ONCE));
            }
            while let Some(mark) = cursor.next_mark() {
                if !self.advance(logic, mark, cx)? {
                    self.emitter.flush(cx);
                    let mut rest = cursor.into_rest().unwrap_or_default();
                    rest.marks.insert(0, Mark { row: 0, watermark: mark });
                    return Ok(Rest::More(Box::new(rest)));
                }
            }
            let Some((value, timestamp, hash)) = cursor.next_row() else { break };
            row(self, logic, value, timestamp, hashed.then_some(hash), cx)?;
            if cx.budget.row() || self.emitter.is_full() {
                break;
            }
        }
        self.emitter.flush(cx);
        Ok(super::rest_of(cursor))
    }

    /// Calls `f` with the context of the current key.
    #[inline]
    fn call(
        &mut self,
        hash: u64,
        timestamp: Timestamp,
        domain: Option<TimeDomain>,
        runtime: &RuntimeContext,
        f: impl FnOnce(&mut KeyedContext<'_, K>, &mut Collector<U>) -> Result<()>,
    ) -> Result<()> {
        let Self { store, timers, emitter: Emitter { collector, sides }, watermark, key } = self;
        let key = key.as_ref().expect("set before each call");
        collector.set_timestamp(timestamp);
        let slot = Slot { hash, key, namespace: &() };
        f(&mut KeyedContext { slot, timestamp, domain, watermark: *watermark, store, timers, sides, runtime }, collector)?;
        timers.check()
    }

    /// Fires the timers of one clock up to `until`. False when it had to stop before the end.
    fn fire<L>(&mut self, logic: &mut L, domain: TimeDomain, until: Timestamp, cx: &mut OperatorContext<'_>) -> Result<bool>
    where
        L: KeyedLogic<Key = K, Out = U>,
    {
        loop {
            let due = match domain {
                TimeDomain::EventTime => self.timers.pop_event_time(until),
                TimeDomain::ProcessingTime => self.timers.pop_processing_time(until),
            };
            let Some(Timer { timestamp: time, key, .. }) = due else { return Ok(true) };
            let hash = key.key_hash();
            self.key = Some(key);
            // As in Flink, what a processing-time timer emits has no timestamp of its own.
            let timestamp = if domain == TimeDomain::EventTime { time } else { Timestamp::MIN };
            self.call(hash, timestamp, Some(domain), cx.runtime, |ctx, out| logic.on_timer(time, ctx, out))?;
            if cx.budget.row() || self.emitter.is_full() {
                return Ok(false);
            }
        }
    }

    /// The watermark advances: fires what is due, then passes it on. False when it had to stop before the end; call again.
    fn advance<L>(&mut self, logic: &mut L, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<bool>
    where
        L: KeyedLogic<Key = K, Out = U>,
    {
        self.watermark = self.watermark.max(watermark);
        let done = self.fire(logic, TimeDomain::EventTime, self.watermark, cx)?;
        if done {
            self.emitter.mark(watermark);
        }
        Ok(done)
    }
}

/// An operator on keyed streams that calls a function for each record and timer.
pub(crate) struct KeyedOperator<L: KeyedLogic> {
    logic: L,
    selectors: L::Selectors,
    core: KeyedCore<L::Key, L::Out>,
    /// Entries of state, where counting them is cheap.
    entries: usize,
}

impl<L: KeyedLogic> KeyedOperator<L> {
    /// The operator of one subtask; `declare` makes the function with its states.
    pub(crate) fn new(selectors: L::Selectors, cx: &RuntimeContext, declare: impl FnOnce(&mut StateDeclarations) -> L) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let logic = declare(&mut declared);
        Ok(Self { logic, selectors, core: KeyedCore::new(declared, cx)?, entries: 0 })
    }
}

impl<L: KeyedLogic> KeyedOperator<L> {
    fn count_entries(&mut self) -> Result<()> {
        if self.core.store.on_heap() {
            self.entries = self.core.store.entries()?;
        }
        Ok(())
    }
}

impl<L: KeyedLogic> Operator for KeyedOperator<L> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.count_entries()?;
        self.logic.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.logic.open(cx.runtime)
    }

    fn input_type(&self, input: usize) -> Option<Arc<dyn BatchType>> {
        Some(self.logic.input_type(input))
    }

    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let rest = self.logic.process(&self.selectors, &mut self.core, input, batch, cx)?;
        self.count_entries()?;
        Ok(rest)
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let done = self.core.advance(&mut self.logic, watermark, cx)?;
        self.core.emitter.flush(cx);
        self.count_entries()?;
        Ok(if done { Progress::Done } else { Progress::More })
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.core.timers.next_processing_time()
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let done = self.core.fire(&mut self.logic, TimeDomain::ProcessingTime, now, cx)?;
        self.core.emitter.flush(cx);
        self.count_entries()?;
        Ok(if done { Progress::Done } else { Progress::More })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.core.store.snapshot(snapshot, cx)?;
        self.core.timers.snapshot(self.core.store.key_groups(), snapshot);
        self.logic.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.core.store.checkpoint_complete(checkpoint)?;
        self.logic.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.core.store.checkpoint_aborted(checkpoint)
    }

    fn state_entries(&self) -> usize {
        self.core.timers.len() + self.entries
    }

    fn close(&mut self) -> Result<()> {
        self.logic.close()
    }
}
