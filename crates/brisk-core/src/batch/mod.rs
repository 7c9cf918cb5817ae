//! What flows between operators: batches of rows, typed or columnar, erased per batch and never per record.
//!
//! * [`Rows`] holds a typed `Vec<T>`; [`Columns`] holds Arrow arrays with row kinds.
//! * [`AnyBatch`] is what the runtime sees of either.
//! * [`Scatter`] splits batches over the channels of an exchange and collects full ones per channel.
//!
//! Invariant: results never depend on where batches are cut. A batch carries [`Mark`]s, so that watermarks need not cut it.

mod columns;
mod rows;
mod scatter;

pub use columns::{ColumnKeyHasher, ColumnScatter, ColumnType, Columns, RowKind, Segment, Segments, take_rows};
pub use rows::{Cursor, Rows, Step};
pub use scatter::RowScatter;

use brisk_base::{Result, Timestamp};
use std::any::Any;
use std::fmt::Debug;

/// The watermark advances to `watermark` before row `row` of the batch; `row` may equal the batch's length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Index of the first row that comes after the watermark.
    pub row: u32,
    /// The new watermark.
    pub watermark: Timestamp,
}

/// A batch whose row type is known only to the operators at both of its ends.
pub trait AnyBatch: Any + Send + Debug {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Whether there is no row (there may be marks).
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes held, about; for flow control and accounting.
    fn bytes_held(&self) -> usize;

    /// Watermarks inside this batch, rows ascending, watermarks strictly ascending.
    fn marks(&self) -> &[Mark];

    /// The marks, to be changed.
    fn marks_mut(&mut self) -> &mut Vec<Mark>;

    /// One frozen key hash per row, or empty when none were computed for the current key.
    fn hashes(&self) -> &[u64];

    /// Sets the key hashes; as long as the batch, or empty.
    fn set_hashes(&mut self, hashes: Vec<u64>);

    /// Removes the first `rows` rows and the marks at or before their end, and returns them. A mark at the cut stays with the front.
    fn split_front(&mut self, rows: usize) -> Box<dyn AnyBatch>;

    /// A deep copy, for broadcast and for outputs with several readers.
    fn clone_batch(&self) -> Box<dyn AnyBatch>;

    /// An empty scatter for batches of this type.
    fn new_scatter(&self, targets: usize) -> Box<dyn Scatter>;

    /// The bytes of this batch for the wire and for channel state.
    fn encode(&self, out: &mut Vec<u8>);

    /// Name of the row type, for messages.
    fn type_name(&self) -> &'static str;

    /// For downcasts by reference.
    fn as_any(&self) -> &dyn Any;

    /// For downcasts by value.
    fn into_any(self: Box<Self>) -> Box<dyn Any>;
}

/// Splits batches of one type over the targets of an exchange, and keeps what is not full yet.
///
/// Watermarks are attached lazily: a target's next row is preceded by the newest watermark that it has not seen.
pub trait Scatter: Send {
    /// Adds each row of `batch` to the target given for it. `targets.len()` equals the batch's length.
    ///
    /// # Errors
    /// When the batch is not of this scatter's type (a defect of the graph).
    fn scatter(&mut self, batch: Box<dyn AnyBatch>, targets: &[u32]) -> Result<()>;

    /// Names the target that is probably read by the core that writes here.
    fn set_home(&mut self, _target: usize) {}

    /// Notes that the watermark has advanced.
    fn advance(&mut self, watermark: Timestamp);

    /// Targets with a full batch, once for each batch that can be taken.
    fn drain_full(&mut self, full: &mut Vec<u32>);

    /// Takes what is there for a target: its rows with marks, or a watermark alone, or nothing.
    fn take(&mut self, target: usize) -> Scattered;

    /// Whether nothing waits for any target.
    fn is_empty(&self) -> bool;

    /// Rows that wait for a target.
    fn rows(&self, target: usize) -> usize;

    /// Whether a target has not seen the newest watermark.
    fn is_behind(&self, target: usize) -> bool;

    /// Whether a batch is so large that it should not wait for more.
    fn is_worth_sending(&self, batch: &dyn AnyBatch) -> bool;
}

/// What waits for one target.
#[derive(Debug)]
pub enum Scattered {
    /// Rows, with the watermarks between and after them.
    Batch(Box<dyn AnyBatch>),
    /// No row, but a watermark that the target has not seen.
    Watermark(Timestamp),
    /// Nothing.
    Nothing,
}

/// Makes batches of one type from bytes: what the reader of a network channel needs.
pub trait BatchType: Send + Sync + Debug {
    /// Reads what [`AnyBatch::encode`] wrote.
    ///
    /// # Errors
    /// `Corrupt` on anything else.
    fn decode(&self, bytes: &[u8]) -> Result<Box<dyn AnyBatch>>;

    /// Name of the row type, for messages.
    fn name(&self) -> &'static str;
}

/// Rows of a full batch for rows of this size: 48 KB, between 64 and 4096 rows.
pub const fn rows_per_batch(row_bytes: usize) -> usize {
    let rows = 48 * 1024 / if row_bytes == 0 { 1 } else { row_bytes };
    if rows < 64 {
        64
    } else if rows > 4096 {
        4096
    } else {
        rows
    }
}

/// Rows of a full batch for one of `targets` targets: fewer when there are many, so that all buffers of a writer stay about 1 MB. From
/// 128 on there are probably as many writers, and those of the whole process count.
pub const fn scattered_rows(full: usize, targets: usize) -> usize {
    let rows = if targets > 20 { full * 20 / targets } else { full };
    let rows = if targets > 128 { rows * 128 / targets } else { rows };
    if rows < 16 { 16 } else { rows }
}
