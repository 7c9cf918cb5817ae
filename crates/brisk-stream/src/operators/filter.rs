//! Keeps some rows; marks move up to the rows that stay.

use super::each_row;
use crate::function::FilterFunction;
use brisk_base::Result;
use brisk_core::batch::AnyBatch;
use brisk_core::function::Emitter;
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext};

/// See the module.
pub(crate) struct FilterOperator<F: FilterFunction> {
    function: F,
    emitter: Emitter<F::In>,
}

impl<F: FilterFunction> FilterOperator<F> {
    pub(crate) fn new(function: F, cx: &RuntimeContext) -> Self {
        Self { function, emitter: Emitter::new(cx) }
    }
}

impl<F: FilterFunction> Operator for FilterOperator<F> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let Self { function, emitter } = self;
        each_row(batch, emitter, cx, |value, timestamp, emitter| {
            if function.filter(&value)? {
                emitter.collector.collect_with_timestamp(value, timestamp);
            }
            Ok(())
        })
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
