//! Lists files, cuts them into splits and hands these out one by one, to whoever asks.

use super::config::FileSource;
use super::listing::list;
use super::split::FileSplit;
use brisk_base::{Error, Millis, Result};
use brisk_core::source::{EnumeratorContext, SplitEnumerator};
use brisk_core::types::Record;
use brisk_formats::Compression;
use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

/// Ranges are not smaller than this unless the user wants it: opening a file has its price.
const MIN_SPLIT_BYTES: u64 = 1 << 20;
/// Ranges are not larger than this when several readers share the work.
const MAX_SPLIT_BYTES: u64 = 64 << 20;
/// Ranges for each reader, so that a slow one can leave some to the others.
const SPLITS_PER_READER: u64 = 4;

/// What the enumerator of files keeps in checkpoints.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct PendingFiles {
    /// Files that have been found.
    pub seen: Vec<String>,
    /// Splits that no reader has been given.
    pub unassigned: Vec<FileSplit>,
}

/// See the module.
pub(super) struct FileEnumerator {
    paths: Vec<PathBuf>,
    splittable: bool,
    split_bytes: Option<u64>,
    /// How often to look for new files; `None`: once.
    discovery: Option<Millis>,
    /// Files that have been found: with each of them its splits were made.
    seen: BTreeSet<PathBuf>,
    /// Splits that nobody reads yet.
    open: VecDeque<FileSplit>,
    /// Readers that wait for a split.
    hungry: VecDeque<u32>,
    /// Whether it goes on from a checkpoint: files that are looked for once have been found then.
    restored: bool,
}

impl FileEnumerator {
    pub(super) fn new<T: Record>(source: &FileSource<T>) -> Self {
        Self {
            paths: source.paths.clone(),
            splittable: source.is_splittable(),
            split_bytes: source.split_bytes,
            discovery: source.discovery,
            seen: BTreeSet::new(),
            open: VecDeque::new(),
            hungry: VecDeque::new(),
            restored: false,
        }
    }

    pub(super) fn restored<T: Record>(source: &FileSource<T>, state: PendingFiles) -> Self {
        let seen = state.seen.into_iter().map(PathBuf::from).collect();
        Self { seen, open: state.unassigned.into(), restored: true, ..Self::new(source) }
    }

    /// Looks for files not seen before.
    fn discover(&mut self, cx: &mut EnumeratorContext<'_, FileSplit>) -> Result<()> {
        for (path, bytes) in list(&self.paths)? {
            if self.seen.insert(path.clone()) {
                self.cut(&path, bytes, u64::from(cx.parallelism))?;
            }
        }
        if let Some(interval) = self.discovery {
            cx.call_at(cx.now + interval);
        } else if self.seen.is_empty() {
            let paths: Vec<String> = self.paths.iter().map(|path| format!("'{}'", path.display())).collect();
            return Err(Error::user(format!("no file is found at {}", paths.join(", "))));
        }
        Ok(())
    }

    fn cut(&mut self, path: &Path, bytes: u64, readers: u64) -> Result<()> {
        let Some(name) = path.to_str() else {
            return Err(Error::user(format!("the file name '{}' is no UTF-8; rename it", path.display())));
        };
        let splittable = self.splittable && Compression::of(path) == Compression::None;
        let size = match self.split_bytes {
            _ if !splittable => u64::MAX,
            Some(size) => size,
            None if readers == 1 => u64::MAX,
            None => bytes.div_ceil(readers * SPLITS_PER_READER).clamp(MIN_SPLIT_BYTES, MAX_SPLIT_BYTES),
        };
        let mut start = 0;
        while bytes - start > size {
            self.open.push_back(FileSplit { path: name.to_owned(), start, end: start + size, read_to: None });
            start += size;
        }
        // The last range goes to wherever the file ends when it is read.
        self.open.push_back(FileSplit { path: name.to_owned(), start, end: u64::MAX, read_to: None });
        Ok(())
    }
}

impl SplitEnumerator<FileSplit, PendingFiles> for FileEnumerator {
    fn start(&mut self, cx: &mut EnumeratorContext<'_, FileSplit>) -> Result<()> {
        if self.restored && self.discovery.is_none() { Ok(()) } else { self.discover(cx) }
    }

    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, FileSplit>) -> Result<()> {
        match self.open.pop_front() {
            Some(split) => cx.assign_split(split, subtask),
            None if self.discovery.is_some() => self.hungry.push_back(subtask),
            None => cx.signal_no_more_splits(subtask),
        }
        Ok(())
    }

    fn add_splits_back(&mut self, splits: Vec<FileSplit>, subtask: u32) {
        self.hungry.retain(|reader| *reader != subtask);
        splits.into_iter().rev().for_each(|split| self.open.push_front(split));
    }

    fn snapshot(&mut self) -> Result<PendingFiles> {
        let seen = self.seen.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        Ok(PendingFiles { seen, unassigned: self.open.iter().cloned().collect() })
    }

    fn on_timer(&mut self, cx: &mut EnumeratorContext<'_, FileSplit>) -> Result<()> {
        self.discover(cx)?;
        while !self.open.is_empty() && !self.hungry.is_empty() {
            let (split, reader) = (self.open.pop_front(), self.hungry.pop_front());
            if let (Some(split), Some(reader)) = (split, reader) {
                cx.assign_split(split, reader);
            }
        }
        Ok(())
    }
}
