//! Calls a [`ProcessFunction`] for each row.

use crate::function::hooks::function_checkpoints;
use crate::function::{ProcessContext, ProcessFunction};
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::{Emitter, FunctionInitializationContext};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext};
use std::sync::Arc;

/// See the module.
pub(crate) struct ProcessOperator<F: ProcessFunction> {
    function: F,
    emitter: Emitter<F::Out>,
    /// The watermark, up to the row that is being processed.
    watermark: Timestamp,
}

impl<F: ProcessFunction> ProcessOperator<F> {
    pub(crate) fn new(function: F, cx: &RuntimeContext) -> Self {
        Self { function, emitter: Emitter::new(cx), watermark: Timestamp::MIN }
    }
}

impl<F: ProcessFunction> Operator for ProcessOperator<F> {
    function_checkpoints!(function);

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<F::In>::batch_type())
    }

    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let Self { function, emitter, watermark } = self;
        let mut cursor = Rows::<F::In>::from_any(batch)?.into_cursor();
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
            function.process_element(value, &mut ctx, collector)?;
            if cx.budget.row() || emitter.is_full() {
                break;
            }
        }
        emitter.flush(cx);
        Ok(super::rest_of(cursor))
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
