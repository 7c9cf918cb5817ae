//! Closures on keyed streams that are given the state of the record's key.

use super::keyed::{KeyedCore, KeyedLogic};
use crate::function::KeyedContext;
use crate::key_selector::KeySelector;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::Collector;
use brisk_core::operator::{OperatorContext, Rest, RuntimeContext};
use brisk_core::state::{StateDeclarations, ValueState};
use brisk_core::types::Record;
use std::marker::PhantomData;
use std::sync::Arc;

/// A closure that makes any number of records of one and of the state of its key.
pub(crate) struct FlatMapWithState<F, T, St, U, S> {
    function: F,
    state: ValueState<St>,
    types: PhantomData<fn(T, S) -> U>,
}

impl<F, T, St: Record, U, S> FlatMapWithState<F, T, St, U, S> {
    pub(crate) fn new(function: F, state: &mut StateDeclarations) -> Self {
        Self { function, state: state.value("state"), types: PhantomData }
    }
}

impl<F, T, St, U, S> KeyedLogic for FlatMapWithState<F, T, St, U, S>
where
    F: FnMut(T, &mut Option<St>, &mut Collector<U>) -> Result<()> + Send,
    T: Record,
    St: Record,
    U: Record,
    S: KeySelector<T>,
{
    type Key = S::Key;
    type Out = U;
    type Selectors = S;

    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    fn input_type(&self, _input: usize) -> Arc<dyn BatchType> {
        Rows::<T>::batch_type()
    }

    fn process(
        &mut self,
        selector: &S,
        core: &mut KeyedCore<S::Key, U>,
        _input: usize,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
    ) -> Result<Rest> {
        core.each_row(self, selector, batch, cx, |logic, value, ctx, out| {
            let Self { function, state, .. } = logic;
            state.update(ctx, |state| function(value, state, out))?
        })
    }

    fn on_timer(&mut self, _at: Timestamp, _ctx: &mut KeyedContext<'_, S::Key>, _out: &mut Collector<U>) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
