//! Filters rows and computes columns: expressions over Arrow columns, a batch at a time.
//!
//! Row kinds go with their rows; watermarks stay between the same rows. An update whose halves are filtered differently stays right,
//! since only signs count in a retract stream.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::SchemaRef;
use arrow_select::filter::FilterBuilder;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, Mark};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext};
use datafusion_physical_expr::PhysicalExpr;
use std::sync::Arc;

/// Makes the operator.
#[derive(Debug)]
pub(crate) struct Calc {
    /// Names and types of the input's columns.
    pub(crate) input: SchemaRef,
    /// Which rows stay; all, if there is none.
    pub(crate) filter: Option<Arc<dyn PhysicalExpr>>,
    /// The columns.
    pub(crate) columns: Vec<Arc<dyn PhysicalExpr>>,
}

impl OperatorFactory for Calc {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let Self { input, filter, columns } = self;
        Ok(Box::new(CalcOperator(Self { input: Arc::clone(input), filter: filter.clone(), columns: columns.clone() })))
    }
}

struct CalcOperator(Calc);

/// The columns of a batch as expressions take them.
pub(crate) fn record_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options);
    batch.map_err(|error| Error::bug(format!("a batch does not fit the schema of its plan: {error}")))
}

/// Values of an expression, one per row.
pub(crate) fn evaluate(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<ArrayRef> {
    let value = expression.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
    value.map_err(|error| Error::user(format!("cannot compute {expression}: {}", error.strip_backtrace())))
}

/// Drops the rows that are not selected.
fn filtered(batch: Columns, selected: &BooleanArray) -> Result<Columns> {
    let selected = match selected.nulls() {
        Some(_) => arrow_select::filter::prep_null_mask_filter(selected),
        None => selected.clone(),
    };
    let keep = selected.values();
    let rows = keep.count_set_bits();
    if rows == batch.rows {
        return Ok(batch);
    }
    let before = |mark: &Mark| Mark { row: keep.slice(0, mark.row as usize).count_set_bits() as u32, watermark: mark.watermark };
    let mut marks: Vec<Mark> = Vec::new();
    for mark in batch.marks.iter().map(before) {
        match marks.last_mut() {
            Some(last) if last.row == mark.row => *last = mark,
            _ => marks.push(mark),
        }
    }
    let builder = FilterBuilder::new(&selected);
    let predicate = if batch.columns.len() > 1 { builder.optimize().build() } else { builder.build() };
    let columns = batch.columns.iter().map(|column| predicate.filter(column)).collect::<std::result::Result<_, _>>();
    let columns = columns.map_err(|error| Error::bug(format!("a column cannot be filtered: {error}")))?;
    let kinds = batch.kinds.iter().zip(keep).filter(|(_, keep)| *keep).map(|(kind, _)| *kind).collect();
    Ok(Columns { columns, rows, kinds, marks, ..Columns::default() })
}

impl Calc {
    fn compute(&self, mut batch: Columns) -> Result<Columns> {
        if let Some(filter) = &self.filter {
            let selected = evaluate(filter, &record_batch(&self.input, batch.columns.clone(), batch.rows)?)?;
            batch = filtered(batch, selected.as_boolean())?;
        }
        let Columns { columns, rows, kinds, marks, .. } = batch;
        let input = record_batch(&self.input, columns, rows)?;
        let columns = self.columns.iter().map(|column| evaluate(column, &input)).collect::<Result<_>>()?;
        Ok(Columns { columns, rows, kinds, marks, ..Columns::default() })
    }
}

impl Operator for CalcOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        emit(self.0.compute(Columns::from_any(batch)?)?, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }
}

/// Emits rows in batches of the usual size; watermarks alone where there are no rows.
pub(crate) fn emit(mut changes: Columns, cx: &mut OperatorContext<'_>) {
    if changes.rows == 0 {
        changes.marks.iter().for_each(|mark| cx.emit_watermark(mark.watermark));
        return;
    }
    while changes.rows > Columns::MAX_ROWS {
        let front = changes.split_front(Columns::MAX_ROWS);
        cx.emit(MAIN_PORT, front);
    }
    cx.emit(MAIN_PORT, Box::new(changes));
}
