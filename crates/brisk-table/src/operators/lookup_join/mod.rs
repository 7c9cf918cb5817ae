//! Joins rows with those of a table that is looked up: the whole table is read when the operator is opened, and kept in memory.
//!
//! Nothing of it is part of a checkpoint: after a restart the table is read again, as it is then.

use super::calc::{emit, evaluate, record_batch};
use super::join::JoinCondition;
use super::row::{ColumnKey, RowKey, ValueType};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, new_empty_array};
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, Mark, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext};
use brisk_core::table::LookupTable;
use brisk_core::types::{Key, table_hash};
use datafusion_physical_expr::PhysicalExpr;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
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
        Ok(Box::new(LookupJoinOperator { config: self.clone(), table: Table::default() }))
    }
}

struct LookupJoinOperator {
    config: LookupJoin,
    table: Table,
}

/// The table in memory.
#[derive(Default)]
struct Table {
    /// Its columns, as many as are asked for.
    columns: Vec<ArrayRef>,
    /// Each key with its rows in their order.
    keys: Vec<(RowKey, Vec<u32>)>,
    /// Finds keys.
    index: HashTable<usize>,
}

impl Table {
    fn load(config: &LookupJoin) -> Result<Self> {
        let batches = config.table.load()?;
        let whole = |index: usize| {
            let missing = || Error::bug(format!("a table that is looked up has no column {index}"));
            let parts =
                batches.iter().map(|batch| batch.columns.get(index).map(AsRef::as_ref).ok_or_else(missing)).collect::<Result<Vec<_>>>()?;
            let whole = arrow_select::concat::concat(&parts);
            whole.map_err(|error| Error::user(format!("a table that is looked up does not fit into memory: {error}")))
        };
        let rows: usize = batches.iter().map(|batch| batch.rows).sum();
        let mut table = Self::default();
        if rows == 0 {
            table.columns = config.columns.iter().map(|(_, value_type)| new_empty_array(&value_type.data_type())).collect();
            return Ok(table);
        }
        table.columns = config.columns.iter().map(|(index, _)| whole(*index)).collect::<Result<_>>()?;
        let key = config.table_key.iter().map(|index| whole(*index)).collect::<Result<Vec<_>>>()?;
        let mut keys = Vec::new();
        RowKey::read(&key, rows, &mut keys)?;
        for (row, of_row) in (0..).zip(keys).take(rows).filter(|(row, _)| complete(&key, *row as usize)) {
            let Self { keys, index, .. } = &mut table;
            match index.entry(hash_of(&of_row), |at| keys[*at].0 == of_row, |at| hash_of(&keys[*at].0)) {
                Entry::Occupied(at) => keys[*at.get()].1.push(row),
                Entry::Vacant(place) => {
                    place.insert(keys.len());
                    keys.push((of_row, vec![row]));
                }
            }
        }
        Ok(table)
    }

    /// The rows of a key.
    fn rows(&self, key: &RowKey) -> &[u32] {
        self.index.find(hash_of(key), |at| self.keys[*at].0 == *key).map_or(&[][..], |at| self.keys[*at].1.as_slice())
    }
}

fn hash_of(key: &RowKey) -> u64 {
    table_hash(key.key_hash())
}

/// Which rows have a key without nulls.
fn complete(columns: &[ArrayRef], row: usize) -> bool {
    columns.iter().all(|column| column.is_valid(row))
}

impl LookupJoinOperator {
    fn join(&self, batch: &Columns) -> Result<Columns> {
        let input = record_batch(&self.config.input, batch.columns.clone(), batch.rows)?;
        let key = self.config.key.iter().map(|part| evaluate(part, &input)).collect::<Result<Vec<_>>>()?;
        let mut keys = Vec::new();
        RowKey::read(&key, batch.rows, &mut keys)?;
        let (mut own, mut found) = (Vec::new(), Vec::new());
        for (row, looked_up) in (0..).zip(&keys).take(batch.rows) {
            let rows = self.table.rows(looked_up);
            own.extend(rows.iter().map(|_| row));
            found.extend_from_slice(rows);
        }
        let met = self.condition_met(batch, &own, &found)?;
        // Of each row that is given: its own row and what it has found, if anything.
        let (mut given, mut partners, mut marks) = (Vec::new(), Vec::new(), Vec::<Mark>::new());
        let pairs = own.into_iter().zip(found).enumerate();
        let mut pairs = pairs.filter(|(pair, _)| met.as_ref().is_none_or(|met| met.value(*pair))).map(|(_, pair)| pair).peekable();
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
            while let Some((_, partner)) = pairs.next_if(|(own, _)| *own == row) {
                given.push(row);
                partners.push(Some(partner));
            }
            if self.config.keep && given.len() == before {
                given.push(row);
                partners.push(None);
            }
        }
        mark_up_to(u32::MAX, given.len());
        let mut columns = if given.iter().copied().eq(0..batch.rows as u32) {
            batch.columns.clone()
        } else {
            batch.columns.iter().map(|column| take_rows(column, &given)).collect::<Result<Vec<_>>>()?
        };
        let partners = UInt32Array::from(partners);
        for column in &self.table.columns {
            let taken = arrow_select::take::take(column, &partners, None);
            columns.push(taken.map_err(|error| Error::bug(format!("rows of a join cannot be taken: {error}")))?);
        }
        let kinds = if batch.kinds.is_empty() { Vec::new() } else { given.iter().map(|row| batch.kinds[*row as usize]).collect() };
        Ok(Columns { columns, rows: given.len(), kinds, marks, ..Columns::default() })
    }

    /// Which pairs of own rows and rows of the table meet the condition, if there is one.
    fn condition_met(&self, batch: &Columns, own: &[u32], found: &[u32]) -> Result<Option<BooleanArray>> {
        let Some(condition) = &self.config.condition else { return Ok(None) };
        let mut columns = batch.columns.iter().map(|column| take_rows(column, own)).collect::<Result<Vec<_>>>()?;
        for column in &self.table.columns {
            columns.push(take_rows(column, found)?);
        }
        let met = evaluate(&condition.condition, &record_batch(&condition.schema, columns, own.len())?)?;
        let met = met.as_boolean_opt().ok_or_else(|| Error::bug("the condition of a join is no truth value"))?;
        Ok(Some(if met.null_count() == 0 { met.clone() } else { arrow_select::filter::prep_null_mask_filter(met) }))
    }
}

impl Operator for LookupJoinOperator {
    fn open(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.table = Table::load(&self.config)?;
        Ok(())
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
