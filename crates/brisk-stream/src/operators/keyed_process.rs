//! The operators of [`KeyedProcessFunction`] and [`KeyedCoProcessFunction`].

use super::keyed::{KeyedCore, KeyedLogic};
use crate::function::hooks::delegate_hooks;
use crate::function::{KeyedCoProcessFunction, KeyedContext, KeyedProcessFunction};
use crate::key_selector::KeySelector;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::Collector;
use brisk_core::operator::{OperatorContext, Rest, RuntimeContext};
use std::marker::PhantomData;
use std::sync::Arc;

/// A [`KeyedProcessFunction`] and its key selector.
pub(crate) struct KeyedProcess<F, S> {
    function: F,
    selector: PhantomData<fn() -> S>,
}

impl<F, S> KeyedProcess<F, S> {
    pub(crate) const fn new(function: F) -> Self {
        Self { function, selector: PhantomData }
    }
}

impl<F: KeyedProcessFunction, S: KeySelector<F::In, Key = F::Key>> KeyedLogic for KeyedProcess<F, S> {
    type Key = F::Key;
    type Out = F::Out;
    type Selectors = S;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.function.open(cx)
    }

    delegate_hooks!(function);

    fn input_type(&self, _input: usize) -> Arc<dyn BatchType> {
        Rows::<F::In>::batch_type()
    }

    fn process(
        &mut self,
        selector: &S,
        core: &mut KeyedCore<F::Key, F::Out>,
        _input: usize,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
    ) -> Result<Rest> {
        core.each_row(self, selector, batch, cx, |logic, value, ctx, out| logic.function.process_element(value, ctx, out))
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut KeyedContext<'_, F::Key>, out: &mut Collector<F::Out>) -> Result<()> {
        self.function.on_timer(at, ctx, out)
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}

/// A [`KeyedCoProcessFunction`] and its key selectors.
pub(crate) struct KeyedCoProcess<F, S1, S2> {
    function: F,
    selectors: PhantomData<fn() -> (S1, S2)>,
}

impl<F, S1, S2> KeyedCoProcess<F, S1, S2> {
    pub(crate) const fn new(function: F) -> Self {
        Self { function, selectors: PhantomData }
    }
}

impl<F, S1, S2> KeyedLogic for KeyedCoProcess<F, S1, S2>
where
    F: KeyedCoProcessFunction,
    S1: KeySelector<F::In1, Key = F::Key>,
    S2: KeySelector<F::In2, Key = F::Key>,
{
    type Key = F::Key;
    type Out = F::Out;
    type Selectors = (S1, S2);

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.function.open(cx)
    }

    delegate_hooks!(function);

    fn input_type(&self, input: usize) -> Arc<dyn BatchType> {
        if input == 0 { Rows::<F::In1>::batch_type() } else { Rows::<F::In2>::batch_type() }
    }

    fn process(
        &mut self,
        (first, second): &(S1, S2),
        core: &mut KeyedCore<F::Key, F::Out>,
        input: usize,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
    ) -> Result<Rest> {
        match input {
            0 => core.each_row(self, first, batch, cx, |logic, value, ctx, out| logic.function.process_element1(value, ctx, out)),
            1 => core.each_row(self, second, batch, cx, |logic, value, ctx, out| logic.function.process_element2(value, ctx, out)),
            other => Err(Error::bug(format!("two inputs, but a batch came for input {other}"))),
        }
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut KeyedContext<'_, F::Key>, out: &mut Collector<F::Out>) -> Result<()> {
        self.function.on_timer(at, ctx, out)
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
