//! Columnar batches: Arrow arrays with an optional row kind per row.
//!
//! * [`Columns`] is the batch; cutting and copying it moves no data.
//! * `gather` picks rows of columns into new ones; `scatter` does that for the targets of an exchange.
//! * `codec` is the byte layout (docs/adr/0003-columnar-batch-layout.md).
//! * [`ColumnType`] is the type of a column as a part of records.
//! * [`ColumnKeyHasher`] gives the key hashes of an exchange.
//!
//! Invariants: every column has `rows` rows; `kinds`, `timestamps` and `hashes` are empty or have one entry per row; marks ascend in row
//! and strictly in watermark. Nothing here looks at a row through a virtual call or a boxed value.

mod codec;
mod column_type;
mod gather;
mod key_hasher;
mod row_kind;
mod scatter;
mod segments;
#[cfg(test)]
mod tests;

pub use column_type::ColumnType;
pub use gather::take_rows;
pub use key_hasher::ColumnKeyHasher;
pub use row_kind::RowKind;
pub use scatter::ColumnScatter;
pub use segments::{Segment, Segments};

use super::{AnyBatch, BatchType, Mark, Scatter, scattered_rows};
use arrow_array::{Array, ArrayRef};
use brisk_base::{Error, Result, Timestamp};
use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

/// A columnar batch: at most [`Columns::MAX_ROWS`] rows and about [`Columns::MAX_BYTES`]. The fields are public because operators loop
/// over them; keep the module's invariants.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// The columns, all as long as the batch.
    pub columns: Vec<ArrayRef>,
    /// Number of rows, also where there is no column.
    pub rows: usize,
    /// What each row does; empty when all rows are inserts (the fast path).
    pub kinds: Vec<RowKind>,
    /// Empty when no row has a timestamp; [`Timestamp::MIN`] for a row without one.
    pub timestamps: Vec<Timestamp>,
    /// Frozen key hash of each row, or empty.
    pub hashes: Vec<u64>,
    /// Watermarks between the rows.
    pub marks: Vec<Mark>,
}

impl Columns {
    /// Most rows of a batch.
    pub const MAX_ROWS: usize = 4096;
    /// Bytes at which a batch is full, whatever its number of rows.
    pub const MAX_BYTES: usize = 1 << 20;

    /// A batch of inserts, without timestamps.
    ///
    /// # Errors
    /// When there is no column, when they differ in length, or when one has a type that cannot be exchanged.
    pub fn new(columns: Vec<ArrayRef>) -> Result<Self> {
        let Some(first) = columns.first() else { return Err(Error::bug("a batch without columns does not tell its number of rows")) };
        let rows = first.len();
        for (index, column) in columns.iter().enumerate() {
            if column.len() != rows {
                return Err(Error::bug(format!("column {index} has {} rows, column 0 has {rows}", column.len())));
            }
            gather::check_type(column.data_type()).map_err(|error| error.context(format!("column {index}")))?;
        }
        Ok(Self { columns, rows, ..Self::default() })
    }

    /// The same batch with these row kinds.
    ///
    /// # Errors
    /// When there is not one kind per row.
    pub fn with_kinds(mut self, kinds: Vec<RowKind>) -> Result<Self> {
        if kinds.len() != self.rows {
            return Err(Error::bug(format!("{} row kinds for {} rows", kinds.len(), self.rows)));
        }
        self.kinds = if kinds.iter().all(|kind| *kind == RowKind::Insert) { Vec::new() } else { kinds };
        Ok(self)
    }

    /// What a row does.
    #[inline]
    pub fn kind(&self, row: usize) -> RowKind {
        self.kinds.get(row).copied().unwrap_or(RowKind::Insert)
    }

    /// Timestamp of a row; [`Timestamp::MIN`] if it has none.
    #[inline]
    pub fn timestamp(&self, row: usize) -> Timestamp {
        self.timestamps.get(row).copied().unwrap_or(Timestamp::MIN)
    }

    /// Notes that the watermark advances after the last row.
    pub fn mark(&mut self, watermark: Timestamp) {
        mark_at(&mut self.marks, self.rows, watermark);
    }

    /// Rows and watermarks in their order.
    pub fn segments(&self) -> Segments<'_> {
        Segments::new(self.rows, &self.marks)
    }

    /// Some of the rows, without their marks. Copies no column.
    ///
    /// # Panics
    /// When the range is not within the batch.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            columns: self.columns.iter().map(|column| column.slice(rows.start, rows.len())).collect(),
            rows: rows.len(),
            kinds: part(&self.kinds, &rows),
            timestamps: part(&self.timestamps, &rows),
            hashes: part(&self.hashes, &rows),
            marks: Vec::new(),
        }
    }

    /// Takes a batch back as columns.
    ///
    /// # Errors
    /// A defect of the graph: it is a typed batch.
    pub fn from_any(batch: Box<dyn AnyBatch>) -> Result<Self> {
        let found = batch.type_name();
        match batch.into_any().downcast::<Self>() {
            Ok(columns) => Ok(*columns),
            Err(_) => Err(Error::bug(format!("expected a columnar batch, got one of {found}"))),
        }
    }

    /// Looks at a batch as columns.
    ///
    /// # Errors
    /// As [`from_any`](Self::from_any).
    pub fn from_any_ref(batch: &dyn AnyBatch) -> Result<&Self> {
        let columns = batch.as_any().downcast_ref::<Self>();
        columns.ok_or_else(|| Error::bug(format!("expected a columnar batch, got one of {}", batch.type_name())))
    }

    /// How columnar batches are read from bytes.
    pub fn batch_type() -> Arc<dyn BatchType> {
        Arc::new(codec::ColumnsType)
    }

    fn split(&mut self, rows: usize) -> Self {
        let rows = rows.min(self.rows);
        let mut front = self.slice(0..rows);
        let mut back = self.slice(rows..self.rows);
        for mark in &self.marks {
            if mark.row as usize <= rows {
                front.marks.push(*mark);
            } else {
                back.marks.push(Mark { row: mark.row - rows as u32, ..*mark });
            }
        }
        *self = back;
        front
    }
}

/// The watermark advances at `row`, which no mark so far comes after.
pub(super) fn mark_at(marks: &mut Vec<Mark>, row: usize, watermark: Timestamp) {
    let row = row as u32;
    match marks.last_mut() {
        Some(last) if last.row == row => last.watermark = last.watermark.max(watermark),
        Some(last) if last.watermark >= watermark => {}
        _ => marks.push(Mark { row, watermark }),
    }
}

/// A part of what is empty or has an entry per row.
fn part<T: Copy>(all: &[T], rows: &Range<usize>) -> Vec<T> {
    if all.is_empty() { Vec::new() } else { all[rows.clone()].to_vec() }
}

impl AnyBatch for Columns {
    fn len(&self) -> usize {
        self.rows
    }

    fn bytes_held(&self) -> usize {
        let columns: usize = self.columns.iter().map(|column| array_bytes(column.as_ref())).sum();
        columns + self.kinds.len() + self.timestamps.len() * 8 + self.hashes.len() * 8 + self.marks.len() * size_of::<Mark>()
    }

    fn marks(&self) -> &[Mark] {
        &self.marks
    }

    fn marks_mut(&mut self) -> &mut Vec<Mark> {
        &mut self.marks
    }

    fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    fn set_hashes(&mut self, hashes: Vec<u64>) {
        self.hashes = hashes;
    }

    fn split_front(&mut self, rows: usize) -> Box<dyn AnyBatch> {
        Box::new(self.split(rows))
    }

    /// Shares the columns, which never change.
    fn clone_batch(&self) -> Box<dyn AnyBatch> {
        Box::new(self.clone())
    }

    fn new_scatter(&self, targets: usize) -> Box<dyn Scatter> {
        Box::new(ColumnScatter::new(targets, scattered_rows(Self::MAX_ROWS, targets)))
    }

    /// Layout: docs/adr/0003-columnar-batch-layout.md. A column of a type that cannot be encoded is refused, by name, when it is read;
    /// [`Columns::new`] lets none through.
    fn encode(&self, out: &mut Vec<u8>) {
        codec::encode(self, out);
    }

    fn type_name(&self) -> &'static str {
        codec::NAME
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// Bytes of the rows of an array, not of all that its buffers hold.
fn array_bytes(array: &dyn Array) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_buffer_memory_size())
}
