//! The contract between a format and the connectors that use it.

use crate::input::FileInput;
use brisk_base::Result;
use std::io::Write;

/// Where a record begins in the decompressed bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// Bytes before it.
    pub offset: u64,
    /// Lines before it, as far as the format counts them; for messages.
    pub lines: u64,
}

/// The part of a file that is to be read: records that begin in `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileRange {
    /// First byte.
    pub start: u64,
    /// One past the last byte; `u64::MAX` for the end of the file.
    pub end: u64,
    /// Where to go on, if a part has been read before: always the beginning of a record.
    pub resume: Option<Position>,
}

impl FileRange {
    /// The whole file.
    pub const ALL: Self = Self { start: 0, end: u64::MAX, resume: None };
}

/// Makes records of bytes.
pub trait ReadFormat<T>: Send + Sync {
    /// Whether a plain file may be cut into ranges that are read independently.
    fn is_splittable(&self) -> bool;

    /// A reader of one range of one file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    fn open(&self, input: &FileInput, range: FileRange) -> Result<Box<dyn RecordReader<T>>>;
}

/// Reads the records of one range, in order.
pub trait RecordReader<T>: Send {
    /// Appends records until `out` has `rows` of them or about a block has been read; says whether there may be more.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something that is no record; with file and place.
    fn read_batch(&mut self, rows: usize, out: &mut Vec<T>) -> Result<bool>;

    /// Where the next record begins.
    fn position(&self) -> Position;
}

/// Makes bytes of records.
pub trait WriteFormat<T>: Send + Sync {
    /// A writer into `out`.
    fn open(&self, out: Box<dyn Write + Send>) -> Box<dyn RecordWriter<T>>;

    /// A writer into `out` that goes on behind records: it writes nothing that belongs to the beginning of a file only, such as a header.
    fn reopen(&self, out: Box<dyn Write + Send>) -> Box<dyn RecordWriter<T>> {
        self.open(out)
    }

    /// What names of files in this format end in, without the dot.
    fn extension(&self) -> &str;
}

/// Writes records, one after another.
pub trait RecordWriter<T>: Send {
    /// Writes a record; it may stay in a buffer of bounded size until [`flush`](Self::flush).
    ///
    /// # Errors
    /// When the format cannot express the record, or the target cannot be written.
    fn write(&mut self, record: &T) -> Result<()>;

    /// Hands everything to the target.
    ///
    /// # Errors
    /// When the target cannot be written.
    fn flush(&mut self) -> Result<()>;
}
