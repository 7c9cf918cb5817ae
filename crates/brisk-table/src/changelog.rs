//! What a changelog says: the table that remains when all of its changes are applied.

use crate::cell::{Cell, cells};
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use std::collections::BTreeMap;

/// Rows, and how often each of them is there.
pub type Table = BTreeMap<Vec<Cell>, i64>;

/// Applies the changes of a retract stream. Only their signs count, so batches of several subtasks may come in any order.
///
/// # Errors
/// When a row has been taken back more often than it was added, and when a column cannot be shown.
pub fn fold_changelog<'a>(batches: impl IntoIterator<Item = &'a Columns>) -> Result<Table> {
    let mut table = Table::new();
    for batch in batches {
        let columns = batch.columns.iter().map(cells).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.rows {
            let cells = columns.iter().map(|column| column[row].clone()).collect();
            *table.entry(cells).or_default() += batch.kind(row).sign();
        }
    }
    table.retain(|_, count| *count != 0);
    match table.iter().find(|(_, count)| **count < 0) {
        Some((row, count)) => Err(Error::user(format!("row {row:?} has been taken back {} times more often than it was added", -count))),
        None => Ok(table),
    }
}
