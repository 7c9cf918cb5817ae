//! Columnar batches: Arrow arrays with an optional row kind per row.

use super::Mark;
use arrow_array::ArrayRef;
use brisk_base::Timestamp;

/// What a row of a changelog does (Flink's `RowKind`). The numbers are those of the byte format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum RowKind {
    /// `+I`: a new row.
    Insert = 0,
    /// `-U`: the row before an update.
    UpdateBefore = 1,
    /// `+U`: the row after an update.
    UpdateAfter = 2,
    /// `-D`: the row is gone.
    Delete = 3,
}

impl RowKind {
    /// `1` for a row that is added, `-1` for one that is taken back: all that counts in a retract stream.
    pub const fn sign(self) -> i64 {
        match self {
            Self::Insert | Self::UpdateAfter => 1,
            Self::UpdateBefore | Self::Delete => -1,
        }
    }

    /// Flink's short form: `+I`, `-U`, `+U`, `-D`.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Insert => "+I",
            Self::UpdateBefore => "-U",
            Self::UpdateAfter => "+U",
            Self::Delete => "-D",
        }
    }
}

/// A columnar batch: at most 4096 rows and about 1 MB.
#[derive(Clone, Debug)]
pub struct Columns {
    /// The columns, all as long as the batch.
    pub columns: Vec<ArrayRef>,
    /// Number of rows, also where there is no column.
    pub rows: usize,
    /// What each row does; empty when all rows are inserts (the fast path).
    pub kinds: Vec<RowKind>,
    /// Empty when no row has a timestamp.
    pub timestamps: Vec<Timestamp>,
    /// Frozen key hash of each row, or empty.
    pub hashes: Vec<u64>,
    /// Watermarks between the rows.
    pub marks: Vec<Mark>,
}
