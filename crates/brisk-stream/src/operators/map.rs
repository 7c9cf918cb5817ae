//! One record to one record: timestamps and marks stay where they are.

use super::emit_rows;
use crate::function::MapFunction;
use crate::function::hooks::function_checkpoints;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Mark, Rows};
use brisk_core::function::FunctionInitializationContext;
use brisk_core::operator::{Budget, Operator, OperatorContext, Rest};
use brisk_core::types::Record;
use std::sync::Arc;

/// See the module. Cost per record: the function, one move, one decrement; the results take the place of the records where they fit.
pub(crate) struct MapOperator<F> {
    function: F,
}

impl<F: MapFunction> MapOperator<F> {
    pub(crate) const fn new(function: F) -> Self {
        Self { function }
    }

    /// Maps values until the time is used up, and puts the others into `rest`.
    fn map(&mut self, values: Vec<F::In>, rest: &mut Vec<F::In>, budget: &mut Budget) -> Result<Vec<F::Out>> {
        let (mut failure, mut stopped) = (None::<Error>, false);
        // The standard library collects this into the memory of `values`, if an output is as large as an input.
        let mapped = values.into_iter().filter_map(|value| {
            if stopped {
                rest.push(value);
                return None;
            }
            let mapped = self.function.map(value).map_err(|error| failure = Some(error)).ok();
            stopped = budget.row() || mapped.is_none();
            mapped
        });
        let mapped = mapped.collect();
        failure.map_or(Ok(mapped), Err)
    }
}

impl<F: MapFunction> Operator for MapOperator<F> {
    function_checkpoints!(function);

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<F::In>::batch_type())
    }

    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut rows = Rows::<F::In>::from_any(batch)?;
        let values = std::mem::take(&mut rows.values);
        let mapped = self.map(values, &mut rows.values, cx.budget)?;
        let rest = if rows.values.is_empty() { Rest::Consumed } else { Rest::More(Box::new(split_off_rest(&mut rows, mapped.len()))) };
        emit_rows(rows.with_values(mapped), cx);
        Ok(rest)
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}

/// Takes away from `rows`, whose values are those from row `done` on, everything that belongs to them.
fn split_off_rest<T: Record>(rows: &mut Rows<T>, done: usize) -> Rows<T> {
    let tail = |all: &mut Vec<_>| if all.is_empty() { Vec::new() } else { all.split_off(done) };
    let first_mark = rows.marks.partition_point(|mark| mark.row as usize <= done);
    let marks = rows.marks.split_off(first_mark);
    Rows {
        values: std::mem::take(&mut rows.values),
        timestamps: tail(&mut rows.timestamps),
        hashes: Vec::new(),
        marks: marks.into_iter().map(|mark| Mark { row: mark.row - done as u32, ..mark }).collect(),
    }
}
