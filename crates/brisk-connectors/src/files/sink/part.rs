//! One part file in progress.

use super::committer::PendingPart;
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::types::Record;
use brisk_formats::{RecordWriter, WriteFormat};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A part in progress, as a checkpoint keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub(super) struct PartState {
    /// Its bucket.
    pub(super) bucket: String,
    /// Where it is, and where it comes when it is finished.
    pub(super) part: PendingPart,
    /// When it was begun.
    pub(super) began: Timestamp,
    /// When it was written to last.
    pub(super) written: Timestamp,
}

/// Counts what goes through it.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.file.write(buffer)?;
        self.bytes.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// See the module.
pub(super) struct Part<T> {
    /// Number within the subtask; that of a part of an earlier attempt is not known.
    pub(super) number: Option<u64>,
    unfinished: PathBuf,
    finished: PathBuf,
    /// To make the bytes durable.
    file: File,
    /// Bytes in the file.
    bytes: Arc<AtomicU64>,
    records: Box<dyn RecordWriter<T>>,
    pub(super) began: Timestamp,
    pub(super) written: Timestamp,
}

impl<T> Part<T> {
    /// A new part; what was there under the hidden name is overwritten.
    pub(super) fn create(unfinished: PathBuf, finished: PathBuf, number: u64, format: &dyn WriteFormat<T>, now: Timestamp) -> Result<Self> {
        let create = || -> Result<Self> {
            if let Some(folder) = unfinished.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                fs::create_dir_all(folder)?;
            }
            let file = File::create(&unfinished)?;
            let bytes = Arc::new(AtomicU64::new(0));
            let records = format.open(Box::new(Counted { file: file.try_clone()?, bytes: Arc::clone(&bytes) }));
            let (unfinished, finished) = (unfinished.clone(), finished.clone());
            Ok(Self { number: Some(number), unfinished, finished, file, bytes, records, began: now, written: now })
        };
        create().context(|| place(&finished))
    }

    /// Goes on with a part of a checkpoint, at the length that it had then.
    pub(super) fn restore(state: &PartState, format: &dyn WriteFormat<T>) -> Result<Self> {
        let PartState { part, began, written, .. } = state;
        let (unfinished, finished) = (PathBuf::from(&part.unfinished), PathBuf::from(&part.finished));
        let restore = || -> Result<Self> {
            let file = OpenOptions::new().append(true).open(&unfinished).map_err(|error| {
                Error::user(format!(
                    "the checkpoint goes on with '{}', which cannot be opened ({error}): has it been removed, or has the job gone on from a \
                     later checkpoint?",
                    part.unfinished
                ))
            })?;
            let length = file.metadata()?.len();
            if length < part.bytes {
                let message = format!("'{}' has {length} bytes, and had {} at the checkpoint", part.unfinished, part.bytes);
                return Err(Error::corrupt(message));
            }
            file.set_len(part.bytes)?;
            let bytes = Arc::new(AtomicU64::new(part.bytes));
            let out = Box::new(Counted { file: file.try_clone()?, bytes: Arc::clone(&bytes) });
            let records = if part.bytes > 0 { format.reopen(out) } else { format.open(out) };
            let (unfinished, finished) = (unfinished.clone(), finished.clone());
            Ok(Self { number: None, unfinished, finished, file, bytes, records, began: *began, written: *written })
        };
        restore().context(|| place(&finished))
    }

    /// Bytes that have come to the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn write(&mut self, value: &T, now: Timestamp) -> Result<()> {
        self.written = now;
        self.records.write(value).context(|| place(&self.finished))
    }

    /// Hands everything to the file.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.records.flush().context(|| place(&self.finished))
    }

    /// Makes everything durable, and says what is there.
    pub(super) fn persist(&mut self) -> Result<PendingPart> {
        self.flush()?;
        self.file.sync_data().context(|| place(&self.finished))?;
        let text = |path: &Path| path.to_str().map(str::to_owned).ok_or_else(|| Error::user(format!("{} is no UTF-8", place(path))));
        Ok(PendingPart { unfinished: text(&self.unfinished)?, finished: text(&self.finished)?, bytes: self.bytes() })
    }

    /// Removes the file.
    pub(super) fn discard(self) -> Result<()> {
        remove(&self.unfinished).context(|| place(&self.finished))
    }
}

fn place(path: &Path) -> String {
    format!("file '{}'", path.display())
}

/// Removes a file; that it is not there is no error.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
