//! A part of a file.

use brisk_core::source::SourceSplit;
use brisk_core::types::Record;
use brisk_formats::{FileRange, Position};

/// A range of a file, with how far it has been read.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct FileSplit {
    /// The file.
    pub path: String,
    /// First byte of the range.
    pub start: u64,
    /// One past its last byte; `u64::MAX` for the end of the file.
    pub end: u64,
    /// Offset and line number of the next record, once some have been read.
    pub read_to: Option<(u64, u64)>,
}

impl FileSplit {
    /// What a format is asked to read.
    pub(super) fn range(&self) -> FileRange {
        let resume = self.read_to.map(|(offset, lines)| Position { offset, lines });
        FileRange { start: self.start, end: self.end, resume }
    }
}

impl SourceSplit for FileSplit {
    fn split_id(&self) -> String {
        format!("{}@{}", self.path, self.start)
    }
}
