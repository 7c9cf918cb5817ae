//! One record to any number; marks keep their places between what the records became.

use super::each_row;
use crate::function::FlatMapFunction;
use crate::function::hooks::function_checkpoints;
use brisk_base::Result;
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::{Emitter, FunctionInitializationContext};
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext};
use std::sync::Arc;

/// See the module. It returns between output batches.
pub(crate) struct FlatMapOperator<F: FlatMapFunction> {
    function: F,
    emitter: Emitter<F::Out>,
}

impl<F: FlatMapFunction> FlatMapOperator<F> {
    pub(crate) fn new(function: F, cx: &RuntimeContext) -> Self {
        Self { function, emitter: Emitter::new(cx) }
    }
}

impl<F: FlatMapFunction> Operator for FlatMapOperator<F> {
    function_checkpoints!(function);

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<F::In>::batch_type())
    }

    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let Self { function, emitter } = self;
        each_row(batch, emitter, cx, |value, _, emitter| function.flat_map(value, &mut emitter.collector))
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
