//! Calls a [`CoProcessFunction`] for each row of two inputs.

use crate::function::hooks::function_checkpoints;
use crate::function::{CoProcessFunction, ProcessContext};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::{Collector, Emitter, FunctionInitializationContext};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext};
use brisk_core::types::Record;
use std::sync::Arc;

/// See the module.
pub(crate) struct CoProcessOperator<F: CoProcessFunction> {
    function: F,
    emitter: Emitter<F::Out>,
    /// The combined watermark, up to the row that is being processed.
    watermark: Timestamp,
}

impl<F: CoProcessFunction> CoProcessOperator<F> {
    pub(crate) fn new(function: F, cx: &RuntimeContext) -> Self {
        Self { function, emitter: Emitter::new(cx), watermark: Timestamp::MIN }
    }

    fn each<T: Record>(
        &mut self,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
        mut call: impl FnMut(&mut F, T, &mut ProcessContext<'_>, &mut Collector<F::Out>) -> Result<()>,
    ) -> Result<Rest> {
        let Self { function, emitter, watermark } = self;
        let mut cursor = Rows::<T>::from_any(batch)?.into_cursor();
        emitter.reserve();
        loop {
            while let Some(mark) = cursor.next_mark() {
                *watermark = mark;
                emitter.mark(mark);
            }
            let Some((value, timestamp, _)) = cursor.next_row() else { break };
            emitter.collector.set_timestamp(timestamp);
            let Emitter { collector, sides } = &mut *emitter;
            let mut ctx = ProcessContext { timestamp, watermark: *watermark, sides, runtime: cx.runtime };
            call(function, value, &mut ctx, collector)?;
            if cx.budget.row() || emitter.is_full() {
                break;
            }
        }
        emitter.flush(cx);
        Ok(super::rest_of(cursor))
    }
}

impl<F: CoProcessFunction> Operator for CoProcessOperator<F> {
    function_checkpoints!(function);

    fn input_type(&self, input: usize) -> Option<Arc<dyn BatchType>> {
        Some(if input == 0 { Rows::<F::In1>::batch_type() } else { Rows::<F::In2>::batch_type() })
    }

    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        match input {
            0 => self.each(batch, cx, F::process_element1),
            1 => self.each(batch, cx, F::process_element2),
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
