//! Reads the splits of one subtask, one after another, about a batch or a block at a time.

use super::split::FileSplit;
use brisk_base::Result;
use brisk_core::operator::SourcePoll;
use brisk_core::source::{ReaderContext, SourceOutput, SourceReader, SourceSplit};
use brisk_core::types::Record;
use brisk_formats::{FileInput, ReadFormat, RecordReader};
use std::collections::VecDeque;
use std::sync::Arc;

/// See the module.
pub(super) struct FileReader<T> {
    format: Arc<dyn ReadFormat<T>>,
    /// The split being read.
    current: Option<OpenSplit<T>>,
    /// Splits that come after it.
    waiting: VecDeque<FileSplit>,
    /// Whether the enumerator has no more.
    no_more: bool,
}

struct OpenSplit<T> {
    id: String,
    split: FileSplit,
    records: Box<dyn RecordReader<T>>,
}

impl<T: Record> FileReader<T> {
    pub(super) fn new(format: Arc<dyn ReadFormat<T>>) -> Self {
        Self { format, current: None, waiting: VecDeque::new(), no_more: false }
    }

    fn open(&self, split: FileSplit) -> Result<OpenSplit<T>> {
        let records = self.format.open(&FileInput::new(&split.path), split.range())?;
        Ok(OpenSplit { id: split.split_id(), split, records })
    }
}

impl<T: Record> SourceReader<T, FileSplit> for FileReader<T> {
    fn poll_next(&mut self, cx: &mut ReaderContext<'_>, out: &mut SourceOutput<T>) -> Result<SourcePoll> {
        if self.current.is_none() {
            let Some(split) = self.waiting.pop_front() else {
                return Ok(if self.no_more { SourcePoll::Finished } else { SourcePoll::Waiting });
            };
            self.current = Some(self.open(split)?);
        }
        let Some(open) = &mut self.current else { return Ok(SourcePoll::More) };
        out.select_split(&open.id);
        let rows = out.full_batch();
        let values = &mut out.rows_mut().values;
        values.reserve(rows);
        if open.records.read_batch(rows, values)? {
            return Ok(SourcePoll::More);
        }
        out.release_split(&open.id);
        self.current = None;
        if self.waiting.is_empty() && !self.no_more {
            cx.request_split();
        }
        Ok(SourcePoll::More)
    }

    fn add_splits(&mut self, splits: Vec<FileSplit>) -> Result<()> {
        self.waiting.extend(splits);
        Ok(())
    }

    fn no_more_splits(&mut self) {
        self.no_more = true;
    }

    fn snapshot(&self) -> Vec<FileSplit> {
        let current = self.current.as_ref().map(|open| {
            let position = open.records.position();
            FileSplit { read_to: Some((position.offset, position.lines)), ..open.split.clone() }
        });
        current.into_iter().chain(self.waiting.iter().cloned()).collect()
    }

    fn close(&mut self) -> Result<()> {
        self.current = None;
        Ok(())
    }
}
