//! Calls a function that gives rows for the values of each row, and puts these beside it: UNNEST, LATERAL TABLE.
//!
//! The rows that are given are of the kind of the row that they are given for; watermarks stay between the same rows.

use super::calc::{emit, evaluate, record_batch};
use crate::functions::{Argument, TableFunction, TableRows};
use arrow_array::{Array, ArrayRef, UInt32Array, new_null_array};
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, Mark, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext};
use datafusion_physical_expr::PhysicalExpr;
use std::sync::Arc;

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct Correlate {
    /// Names and types of the input's columns.
    pub(crate) input: SchemaRef,
    /// Which of them are read behind the operator; the others become null.
    pub(crate) read: Vec<bool>,
    pub(crate) function: Arc<dyn TableFunction>,
    pub(crate) arguments: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether a row for which none are given stays, with nulls.
    pub(crate) outer: bool,
}

impl OperatorFactory for Correlate {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(CorrelateOperator(self.clone())))
    }
}

struct CorrelateOperator(Correlate);

impl Correlate {
    fn compute(&self, batch: Columns) -> Result<Columns> {
        let rows = batch.rows;
        let input = record_batch(&self.input, batch.columns.clone(), rows)?;
        let arguments = self.arguments.iter().map(|argument| Ok(Argument::new(evaluate(argument, &input)?, false)));
        let given = self.function.evaluate(&arguments.collect::<Result<Vec<_>>>()?, rows);
        let mut given = given.map_err(|error| error.context(self.function.name().to_uppercase()))?;
        if given.columns.iter().any(|column| column.len() != given.of.len()) || !given.of.is_sorted() {
            let name = self.function.name();
            return Err(Error::user(format!(
                "the table function {name} gives columns of different lengths, or rows that are not in order"
            )));
        }
        if self.outer {
            given = with_all_rows(given, rows)?;
        }
        let TableRows { of, columns } = given;
        let left = batch.columns.iter().zip(&self.read).map(|(column, read)| match read {
            true => take_rows(column, &of),
            false => Ok(new_null_array(column.data_type(), of.len())),
        });
        let columns = left.chain(columns.into_iter().map(Ok)).collect::<Result<Vec<_>>>()?;
        let kinds = if batch.kinds.is_empty() { Vec::new() } else { of.iter().map(|row| batch.kinds[*row as usize]).collect() };
        let mut marks: Vec<Mark> = Vec::new();
        for mark in &batch.marks {
            let row = of.partition_point(|row| *row < mark.row) as u32;
            match marks.last_mut() {
                Some(last) if last.row == row => last.watermark = mark.watermark,
                _ => marks.push(Mark { row, ..*mark }),
            }
        }
        Ok(Columns { columns, rows: of.len(), kinds, marks, ..Columns::default() })
    }
}

/// Adds a row of nulls for each row that has none.
fn with_all_rows(given: TableRows, rows: usize) -> Result<TableRows> {
    let (mut of, mut places, mut next) = (Vec::new(), Vec::new(), 0);
    for row in 0..rows as u32 {
        let first = next;
        while given.of.get(next) == Some(&row) {
            of.push(row);
            places.push(Some(next as u32));
            next += 1;
        }
        if next == first {
            of.push(row);
            places.push(None);
        }
    }
    let places = UInt32Array::from(places);
    let taken = |column: &ArrayRef| {
        let taken = arrow_select::take::take(column.as_ref(), &places, None);
        taken.map_err(|error| Error::bug(format!("a column of a table function cannot be taken: {error}")))
    };
    Ok(TableRows { of, columns: given.columns.iter().map(taken).collect::<Result<_>>()? })
}

impl Operator for CorrelateOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        emit(self.0.compute(Columns::from_any(batch)?)?, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }
}
