//! What a Top-N reads of a batch.

use super::{Order, Rank};
use crate::operators::row::{ColumnKey, Grouping, KeyedRows, RowKey};
use arrow_array::Array;
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::state::Slot;

/// Keys of the batch at hand, its rows, and what orders them.
#[derive(Default)]
pub(super) struct RankInput {
    keys: KeyedRows,
    pub(super) rows: Vec<RowKey>,
    /// Bytes that sort as the rows are ordered.
    pub(super) orders: Vec<Vec<u8>>,
    /// Rows of equal keys; each row alone where changes are those of rows.
    pub(super) grouping: Grouping,
}

impl RankInput {
    pub(super) fn read(&mut self, config: &Rank, batch: &Columns) -> Result<()> {
        if batch.columns.len() != config.types.len() {
            return Err(Error::bug(format!("a batch has {} columns, but {} are expected", batch.columns.len(), config.types.len())));
        }
        self.keys.read(batch, config.key.iter().copied())?;
        // Where rows may be taken back, those that are equal in the order are sorted by their columns.
        let read = if config.retract { RowKey::read } else { RowKey::read_plain };
        read(&batch.columns, batch.rows, &mut self.rows)?;
        read_orders(&config.order, batch, &mut self.orders)?;
        if config.row_exact {
            self.grouping.rows_alone(batch.rows);
        } else {
            self.keys.group(&mut self.grouping);
        }
        Ok(())
    }

    /// The slots of the groups.
    pub(super) fn slots(&self) -> Vec<Slot<'_, RowKey, ()>> {
        self.keys.slots_of(&self.grouping)
    }
}

/// Bytes of each row that sort as the rows are ordered.
pub(crate) fn read_orders(order: &[Order], batch: &Columns, orders: &mut Vec<Vec<u8>>) -> Result<()> {
    orders.truncate(batch.rows);
    orders.iter_mut().for_each(Vec::clear);
    orders.resize_with(batch.rows, Vec::new);
    let mut fields = Vec::new();
    for order in order {
        let column = &batch.columns[order.column];
        RowKey::read(std::slice::from_ref(column), batch.rows, &mut fields)?;
        let flip = if order.descending { 0xff } else { 0 };
        for (row, (bytes, field)) in orders.iter_mut().zip(&fields).enumerate() {
            // Nulls are before or behind all values, whichever way these are ordered.
            bytes.push(match (column.is_null(row), order.nulls_first) {
                (true, true) => 0,
                (false, _) => 1,
                (true, false) => 2,
            });
            bytes.extend(field.as_bytes().iter().map(|byte| byte ^ flip));
        }
    }
    Ok(())
}
