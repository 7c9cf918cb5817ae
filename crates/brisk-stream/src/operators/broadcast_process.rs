//! The operators of [`BroadcastProcessFunction`] and [`KeyedBroadcastProcessFunction`]: input 0 is the stream, input 1 the broadcast one.

use super::keyed::{KeyedCore, KeyedLogic};
use crate::function::{
    BroadcastContext, BroadcastDeclarations, BroadcastProcessFunction, BroadcastStates, KeyedBroadcastProcessFunction, KeyedContext,
    KeyedReadOnlyContext, ReadOnlyContext,
};
use crate::key_selector::KeySelector;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::{Collector, Emitter, FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::OperatorSnapshot;
use brisk_core::types::Record;
use std::marker::PhantomData;
use std::sync::Arc;

/// See the module.
pub(crate) struct BroadcastProcessOperator<F: BroadcastProcessFunction> {
    function: F,
    states: BroadcastStates,
    emitter: Emitter<F::Out>,
    /// The combined watermark, up to the row that is being processed.
    watermark: Timestamp,
}

impl<F: BroadcastProcessFunction> BroadcastProcessOperator<F> {
    pub(crate) fn new(function: F, declared: &BroadcastDeclarations, cx: &RuntimeContext) -> Result<Self> {
        Ok(Self { function, states: BroadcastStates::new(declared, cx)?, emitter: Emitter::new(cx), watermark: Timestamp::MIN })
    }

    fn each<T: Record>(
        &mut self,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
        mut call: impl FnMut(&mut Self, T, Timestamp, &RuntimeContext) -> Result<()>,
    ) -> Result<Rest> {
        let mut cursor = Rows::<T>::from_any(batch)?.into_cursor();
        self.emitter.reserve();
        loop {
            while let Some(mark) = cursor.next_mark() {
                self.watermark = mark;
                self.emitter.mark(mark);
            }
            let Some((value, timestamp, _)) = cursor.next_row() else { break };
            self.emitter.collector.set_timestamp(timestamp);
            call(self, value, timestamp, cx.runtime)?;
            if cx.budget.row() || self.emitter.is_full() {
                break;
            }
        }
        self.emitter.flush(cx);
        Ok(super::rest_of(cursor))
    }
}

impl<F: BroadcastProcessFunction> Operator for BroadcastProcessOperator<F> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)
    }

    fn input_type(&self, input: usize) -> Option<Arc<dyn BatchType>> {
        Some(if input == 0 { Rows::<F::In>::batch_type() } else { Rows::<F::BroadcastIn>::batch_type() })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        let mut state = FunctionSnapshotContext::new(snapshot, cx);
        self.states.snapshot(&mut state)?;
        self.function.snapshot_state(&mut state)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.checkpoint_complete(checkpoint)
    }

    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        match input {
            0 => self.each(batch, cx, |this, value, timestamp, runtime| {
                let Self { function, states, emitter: Emitter { collector, sides }, watermark } = this;
                let mut ctx = ReadOnlyContext { timestamp, watermark: *watermark, states, sides, runtime };
                function.process_element(value, &mut ctx, collector)
            }),
            1 => self.each(batch, cx, |this, value, timestamp, runtime| {
                let Self { function, states, emitter: Emitter { collector, sides }, watermark } = this;
                let mut ctx = BroadcastContext { timestamp, watermark: *watermark, states, sides, runtime };
                function.process_broadcast_element(value, &mut ctx, collector)
            }),
            other => Err(Error::bug(format!("two inputs, but a batch came for input {other}"))),
        }
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.watermark = watermark;
        cx.emit_watermark(watermark);
        Ok(Progress::Done)
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}

/// A [`KeyedBroadcastProcessFunction`], its broadcast states and its key selector.
pub(crate) struct KeyedBroadcastProcess<F, S> {
    function: F,
    states: BroadcastStates,
    selector: PhantomData<fn() -> S>,
}

impl<F, S> KeyedBroadcastProcess<F, S> {
    pub(crate) const fn new(function: F, states: BroadcastStates) -> Self {
        Self { function, states, selector: PhantomData }
    }
}

impl<F, S> KeyedLogic for KeyedBroadcastProcess<F, S>
where
    F: KeyedBroadcastProcessFunction,
    S: KeySelector<F::In, Key = F::Key>,
{
    type Key = F::Key;
    type Out = F::Out;
    type Selectors = S;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.function.open(cx)
    }

    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        self.function.initialize_state(state)
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        self.states.snapshot(state)?;
        self.function.snapshot_state(state)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.function.checkpoint_complete(checkpoint)
    }

    fn input_type(&self, input: usize) -> Arc<dyn BatchType> {
        if input == 0 { Rows::<F::In>::batch_type() } else { Rows::<F::BroadcastIn>::batch_type() }
    }

    fn process(
        &mut self,
        selector: &S,
        core: &mut KeyedCore<F::Key, F::Out>,
        input: usize,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
    ) -> Result<Rest> {
        match input {
            0 => core.each_row(self, selector, batch, cx, |logic, value, ctx, out| {
                logic.function.process_element(value, &mut KeyedReadOnlyContext::new(ctx, &logic.states), out)
            }),
            1 => core.walk(self, batch, cx, |core, logic, value, timestamp, _, cx| {
                let Emitter { collector, sides } = &mut core.emitter;
                collector.set_timestamp(timestamp);
                let mut ctx =
                    BroadcastContext { timestamp, watermark: core.watermark, states: &mut logic.states, sides, runtime: cx.runtime };
                logic.function.process_broadcast_element(value, &mut ctx, collector)
            }),
            other => Err(Error::bug(format!("two inputs, but a batch came for input {other}"))),
        }
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut KeyedContext<'_, F::Key>, out: &mut Collector<F::Out>) -> Result<()> {
        self.function.on_timer(at, &mut KeyedReadOnlyContext::new(ctx, &self.states), out)
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
