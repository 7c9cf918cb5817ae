//! What a user says about files to write.

use super::bucket::{BasePathBuckets, BucketAssigner};
use super::committer::FileCommitter;
use super::names::PartNames;
use super::rolling::RollingPolicy;
use super::writer::{FileWriter, Settings};
use brisk_base::{Error, Result};
use brisk_core::operator::RuntimeContext;
use brisk_core::sink::{AnyCommitter, Sink, SinkWriter};
use brisk_core::types::Record;
use brisk_formats::{Csv, DisplayLines, WriteFormat};
use serde::Serialize;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Name of the file that says that all parts are there.
const SUCCESS: &str = "_SUCCESS";

/// Writes files (Flink's `FileSink`): a folder with parts `part-<sink>-<subtask>-<number>.csv`.
///
/// A part appears under its name when it is complete and cannot be taken back any more: after the checkpoint behind it, or, where there are
/// no checkpoints, at the end of the input. So each record is in the finished parts once, whatever fails. Until then parts have hidden names
/// (`.part-....inprogress`). Other files in the folder are left alone.
pub struct FileSink<T> {
    /// The folder, or the file of [`single_file`](Self::single_file).
    path: PathBuf,
    /// How records become bytes.
    format: Arc<dyn WriteFormat<T>>,
    /// Whether there is one file instead of a folder.
    single: bool,
    /// What names of parts begin with.
    prefix: String,
    /// What they end in; `None` for what the format says.
    suffix: Option<String>,
    buckets: Arc<dyn BucketAssigner<T>>,
    rolling: RollingPolicy,
    /// Whether a file says that all parts are there.
    success: bool,
}

impl<T: Serialize> FileSink<T> {
    /// Csv with a header made of the field names.
    pub fn csv(path: impl AsRef<Path>) -> Self {
        Self::with_format(path, Csv::new())
    }
}

impl<T: Display> FileSink<T> {
    /// A line for each record, as it displays itself.
    pub fn text(path: impl AsRef<Path>) -> Self {
        Self::with_format(path, DisplayLines)
    }
}

impl<T> FileSink<T> {
    /// Files in any format.
    pub fn with_format(path: impl AsRef<Path>, format: impl WriteFormat<T> + 'static) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            format: Arc::new(format),
            single: false,
            prefix: "part".to_owned(),
            suffix: None,
            buckets: Arc::new(BasePathBuckets),
            rolling: RollingPolicy::default(),
            success: false,
        }
    }

    /// Writes one file at the path instead of a folder. The sink's parallelism has to be 1; a file that is there is replaced.
    #[must_use]
    pub fn single_file(mut self) -> Self {
        self.single = true;
        self.rolling = RollingPolicy::never();
        self
    }

    /// What names of parts begin with, instead of `part`.
    #[must_use]
    pub fn part_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What names of parts end in, instead of the format's extension: `.log`, say.
    #[must_use]
    pub fn part_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.suffix = Some(suffix.into());
        self
    }

    /// Puts records into folders below the sink's.
    #[must_use]
    pub fn buckets(mut self, buckets: impl BucketAssigner<T> + 'static) -> Self {
        self.buckets = Arc::new(buckets);
        self
    }

    /// When parts are closed.
    #[must_use]
    pub const fn rolling(mut self, policy: RollingPolicy) -> Self {
        self.rolling = policy;
        self
    }

    /// Writes a file `_SUCCESS` when the input has ended and all parts of all subtasks are there.
    #[must_use]
    pub const fn success_file(mut self) -> Self {
        self.success = true;
        self
    }

    /// The folder of the parts, and the name of the only one.
    fn place(&self, cx: &RuntimeContext) -> Result<(PathBuf, Option<String>)> {
        if !self.single {
            if self.path.is_file() {
                let message = format!("'{}' is a file, but the sink writes a folder; use single_file()", self.path.display());
                return Err(Error::user(message));
            }
            return Ok((self.path.clone(), None));
        }
        let parallelism = cx.task.parallelism;
        if parallelism != 1 {
            let message =
                format!("{parallelism} subtasks cannot write the one file '{}'; set the sink's parallelism to 1", self.path.display());
            return Err(Error::user(message));
        }
        let name = self.path.file_name().and_then(|name| name.to_str()).filter(|_| !self.path.is_dir());
        match name {
            Some(name) => Ok((self.path.parent().unwrap_or(Path::new("")).to_owned(), Some(name.to_owned()))),
            None => Err(Error::user(format!("'{}' is no name for a file; single_file() needs one", self.path.display()))),
        }
    }
}

impl<T: Record> Sink for FileSink<T> {
    type In = T;

    fn create_writer(&self, cx: &RuntimeContext) -> Result<Box<dyn SinkWriter<T>>> {
        let (folder, single) = self.place(cx)?;
        let suffix = self.suffix.clone().unwrap_or_else(|| format!(".{}", self.format.extension()));
        let names = PartNames::new(&self.prefix, &suffix, single, cx.operator_id, &cx.task);
        let settings = Settings {
            folder,
            format: Arc::clone(&self.format),
            buckets: Arc::clone(&self.buckets),
            rolling: self.rolling,
            always: self.single,
        };
        Ok(Box::new(FileWriter::new(settings, names, cx.world.clone())))
    }

    fn create_committer(&self, _cx: &RuntimeContext) -> Result<Option<AnyCommitter>> {
        Ok((!self.success).then(|| AnyCommitter::new(FileCommitter { success: None })))
    }

    fn has_global_committer(&self) -> bool {
        self.success
    }

    fn create_global_committer(&self, _cx: &RuntimeContext) -> Result<Option<AnyCommitter>> {
        let folder = if self.single { self.path.parent().unwrap_or(Path::new("")) } else { &self.path };
        Ok(self.success.then(|| AnyCommitter::new(FileCommitter { success: Some(folder.join(SUCCESS)) })))
    }
}
