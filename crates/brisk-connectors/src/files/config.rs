//! What a user says about files to read.

use super::enumerator::{FileEnumerator, PendingFiles};
use super::source::FileReader;
use super::split::FileSplit;
use brisk_base::{Millis, Result};
use brisk_core::operator::RuntimeContext;
use brisk_core::source::{Boundedness, Source, SourceReader, SplitEnumerator};
use brisk_core::types::Record;
use brisk_formats::{Csv, ReadFormat, TextLines};
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads files (Flink's `FileSource`): a file, a folder with everything below it, or a pattern such as `logs/2013-*/*.csv.gz`.
///
/// Files whose name begins with `.` or `_` are left out when a folder is read or a pattern is matched. With parallelism 1 the files are
/// read in the order of their names, each from its beginning to its end.
#[derive(Clone)]
pub struct FileSource<T> {
    /// Files, folders, patterns.
    pub(super) paths: Vec<PathBuf>,
    /// How bytes become records.
    format: Arc<dyn ReadFormat<T>>,
    /// How often to look for new files; `None`: once.
    pub(super) discovery: Option<Millis>,
    /// Size of ranges, if the user chose it.
    pub(super) split_bytes: Option<u64>,
}

impl FileSource<String> {
    /// The lines of text files.
    pub fn text(path: impl AsRef<Path>) -> Self {
        Self::with_format(path, TextLines)
    }
}

impl<T: Record + DeserializeOwned> FileSource<T> {
    /// The rows of csv files with a header.
    pub fn csv(path: impl AsRef<Path>) -> Self {
        Self::with_format(path, Csv::new())
    }
}

impl<T: Record> FileSource<T> {
    /// Files in any format.
    pub fn with_format(path: impl AsRef<Path>, format: impl ReadFormat<T> + 'static) -> Self {
        Self { paths: vec![path.as_ref().to_owned()], format: Arc::new(format), discovery: None, split_bytes: None }
    }

    /// Also reads these files.
    #[must_use]
    pub fn and(mut self, path: impl AsRef<Path>) -> Self {
        self.paths.push(path.as_ref().to_owned());
        self
    }

    /// Looks for new files at this interval and never ends. A file is read once, as it is when it is found: move files into the folder
    /// when they are complete.
    #[must_use]
    pub fn monitor_continuously(mut self, interval: Millis) -> Self {
        self.discovery = Some(interval);
        self
    }

    /// Cuts files into ranges of this size where the format allows it, instead of one chosen by the parallelism.
    #[must_use]
    pub fn split_bytes(mut self, bytes: u64) -> Self {
        self.split_bytes = Some(bytes.max(1));
        self
    }

    pub(super) fn is_splittable(&self) -> bool {
        self.format.is_splittable()
    }
}

impl<T: Record> Source for FileSource<T> {
    type Out = T;
    type Split = FileSplit;
    type EnumeratorState = PendingFiles;

    fn boundedness(&self) -> Boundedness {
        if self.discovery.is_some() { Boundedness::ContinuousUnbounded } else { Boundedness::Bounded }
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<FileSplit, PendingFiles>>> {
        Ok(Box::new(FileEnumerator::new(self)))
    }

    fn restore_enumerator(&self, state: PendingFiles) -> Result<Box<dyn SplitEnumerator<FileSplit, PendingFiles>>> {
        Ok(Box::new(FileEnumerator::restored(self, state)))
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<T, FileSplit>>> {
        Ok(Box::new(FileReader::new(Arc::clone(&self.format))))
    }
}
