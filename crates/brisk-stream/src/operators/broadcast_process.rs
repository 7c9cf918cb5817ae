//! The operators of [`BroadcastProcessFunction`] and [`KeyedBroadcastProcessFunction`]: input 0 is the stream, input 1 the broadcast one.

use super::keyed::{KeyedCore, KeyedLogic};
use crate::function::{
    BroadcastContext, BroadcastDeclarations, BroadcastProcessFunction, BroadcastStates, KeyedBroadcastProcessFunction, KeyedContext,
    KeyedReadOnlyContext, ReadOnlyContext,
};
use crate::key_selector::KeySelector;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::function::{Collector, Emitter};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext};
use brisk_core::types::Record;
use std::marker::PhantomData;

/// See the module.
pub(crate) struct BroadcastProcessOperator<F: BroadcastProcessFunction> {
    function: F,
    states: BroadcastStates,
    emitter: Emitter<F::Out>,
    /// The combined watermark, up to the row that is being processed.
    watermark: Timestamp,
}

impl<F: BroadcastProcessFunction> BroadcastProcessOperator<F> {
    pub(crate) fn new(function: F, declared: &BroadcastDeclarations, cx: &RuntimeContext) -> Self {
        Self { function, states: BroadcastStates::new(declared), emitter: Emitter::new(cx), watermark: Timestamp::MIN }
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
        self.function.open(cx.runtime)
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
    pub(crate) fn new(function: F, declared: &BroadcastDeclarations) -> Self {
        Self { function, states: BroadcastStates::new(declared), selector: PhantomData }
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
