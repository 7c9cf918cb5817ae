//! Joins rows with those of a table that is looked up: the whole table is read when the operator is opened, and kept in memory.
//!
//! Nothing of it is part of a checkpoint: after a restart the table is read again, as it is then.

use super::calc::{emit, evaluate, record_batch};
use super::join::JoinCondition;
use super::row::{ColumnKey, RowBuilder, RowKey, ValueType};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, Mark, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext};
use brisk_core::table::LookupTable;
use datafusion_physical_expr::PhysicalExpr;
use std::collections::HashMap;
use std::sync::Arc;

/// Makes the operator. Its output has the columns of the input, then those of the table.
#[derive(Clone)]
pub(crate) struct LookupJoin {
    /// Names and types of the input's columns.
    pub(crate) input: SchemaRef,
    /// What is looked up.
    pub(crate) key: Vec<Arc<dyn PhysicalExpr>>,
    /// The table.
    pub(crate) table: Arc<dyn LookupTable>,
    /// Which of its columns are given, and their types.
    pub(crate) columns: Vec<(usize, ValueType)>,
    /// Which of its columns are compared with the key.
    pub(crate) table_key: Vec<usize>,
    /// What else a row of the table has to meet.
    pub(crate) condition: Option<JoinCondition>,
    /// Whether rows that find nothing are given, with nulls (LEFT JOIN).
    pub(crate) keep: bool,
}

impl OperatorFactory for LookupJoin {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(LookupJoinOperator { config: self.clone(), rows: HashMap::new() }))
    }
}

struct LookupJoinOperator {
    config: LookupJoin,
    /// The rows of the table by key, those of one key in their order.
    rows: HashMap<RowKey, Vec<RowKey>>,
}

/// Which rows have a key without nulls.
fn complete(columns: &[ArrayRef], row: usize) -> bool {
    columns.iter().all(|column| column.is_valid(row))
}

impl LookupJoinOperator {
    fn load(&mut self) -> Result<()> {
        let (mut keys, mut rows) = (Vec::new(), Vec::new());
        for batch in self.config.table.load()? {
            let missing = |index: usize| Error::bug(format!("a table that is looked up has no column {index}"));
            let column = |index: usize| batch.columns.get(index).cloned().ok_or_else(|| missing(index));
            let key = self.config.table_key.iter().map(|index| column(*index)).collect::<Result<Vec<_>>>()?;
            let columns = self.config.columns.iter().map(|(index, _)| column(*index)).collect::<Result<Vec<_>>>()?;
            RowKey::read(&key, batch.rows, &mut keys)?;
            RowKey::read(&columns, batch.rows, &mut rows)?;
            for row in (0..batch.rows).filter(|row| complete(&key, *row)) {
                self.rows.entry(keys[row].clone()).or_default().push(rows[row].clone());
            }
        }
        Ok(())
    }

    fn join(&self, batch: &Columns) -> Result<Columns> {
        let input = record_batch(&self.config.input, batch.columns.clone(), batch.rows)?;
        let key = self.config.key.iter().map(|part| evaluate(part, &input)).collect::<Result<Vec<_>>>()?;
        let mut keys = Vec::new();
        RowKey::read(&key, batch.rows, &mut keys)?;
        let types: Vec<_> = self.config.columns.iter().map(|(_, value_type)| value_type.clone()).collect();
        let (mut own, mut found) = (Vec::new(), RowBuilder::new(&types));
        for (row, looked_up) in keys.iter().enumerate().take(batch.rows) {
            for other in self.rows.get(looked_up).into_iter().flatten() {
                own.push(row as u32);
                found.push(other.as_bytes())?;
            }
        }
        let found = found.finish();
        let met = self.condition_met(batch, &own, &found)?;
        // Of each row that is given: its own row and what it has found, if anything.
        let (mut given, mut partners, mut marks) = (Vec::new(), Vec::new(), Vec::<Mark>::new());
        let mut pairs = (0..).zip(own).filter(|(pair, _)| met.as_ref().is_none_or(|met| met.value(*pair as usize))).peekable();
        let mut coming = batch.marks.iter().peekable();
        let mut mark_up_to = |row: u32, given: usize| {
            while let Some(mark) = coming.next_if(|mark| mark.row <= row) {
                // Rows that find nothing leave several marks at one place: the last of them counts.
                marks.pop_if(|last| last.row == given as u32);
                marks.push(Mark { row: given as u32, ..*mark });
            }
        };
        for row in 0..batch.rows as u32 {
            mark_up_to(row, given.len());
            let before = given.len();
            while let Some((pair, _)) = pairs.next_if(|(_, own)| *own == row) {
                given.push(row);
                partners.push(Some(pair));
            }
            if self.config.keep && given.len() == before {
                given.push(row);
                partners.push(None);
            }
        }
        mark_up_to(u32::MAX, given.len());
        let partners = UInt32Array::from(partners);
        let mut columns = batch.columns.iter().map(|column| take_rows(column, &given)).collect::<Result<Vec<_>>>()?;
        for column in &found {
            let taken = arrow_select::take::take(column, &partners, None);
            columns.push(taken.map_err(|error| Error::bug(format!("rows of a join cannot be taken: {error}")))?);
        }
        let kinds = if batch.kinds.is_empty() { Vec::new() } else { given.iter().map(|row| batch.kinds[*row as usize]).collect() };
        Ok(Columns { columns, rows: given.len(), kinds, marks, ..Columns::default() })
    }

    /// Which pairs of own rows and rows of the table meet the condition, if there is one.
    fn condition_met(&self, batch: &Columns, own: &[u32], found: &[ArrayRef]) -> Result<Option<BooleanArray>> {
        let Some(condition) = &self.config.condition else { return Ok(None) };
        let mut columns = batch.columns.iter().map(|column| take_rows(column, own)).collect::<Result<Vec<_>>>()?;
        columns.extend(found.iter().cloned());
        let met = evaluate(&condition.condition, &record_batch(&condition.schema, columns, own.len())?)?;
        let met = met.as_boolean_opt().ok_or_else(|| Error::bug("the condition of a join is no truth value"))?;
        Ok(Some(if met.null_count() == 0 { met.clone() } else { arrow_select::filter::prep_null_mask_filter(met) }))
    }
}

impl Operator for LookupJoinOperator {
    fn open(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.load()
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        emit(self.join(&Columns::from_any(batch)?)?, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }
}
