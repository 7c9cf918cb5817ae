//! Writes one file of a sink: first under a hidden name, then, when it is complete, under its own.

use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::batch::Rows;
use brisk_core::operator::TaskInfo;
use brisk_core::sink::SinkWriter;
use brisk_formats::{RecordWriter, WriteFormat};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where one subtask writes.
pub(super) struct Target {
    /// The file's name when it is complete.
    path: PathBuf,
    /// The hidden name until then.
    unfinished: PathBuf,
    /// Parts that no subtask of this job has: files of an earlier job, removed when this one is complete.
    replaces: Option<Replaces>,
}

struct Replaces {
    folder: PathBuf,
    /// What the names of parts end in.
    suffix: String,
    /// Parts from this number on.
    from: u32,
}

impl Target {
    /// The subtask's part in a folder.
    pub(super) fn part(folder: &Path, extension: &str, task: &TaskInfo) -> Result<Self> {
        if folder.is_file() {
            return Err(Error::user(format!("'{}' is a file, but the sink writes a folder; use single_file()", folder.display())));
        }
        let suffix = format!(".{extension}");
        let replaces = (task.subtask == 0).then(|| Replaces { folder: folder.to_owned(), suffix: suffix.clone(), from: task.parallelism });
        Self::named(folder, &format!("part-{}{suffix}", task.subtask), replaces)
    }

    /// One file for all.
    pub(super) fn single(path: &Path, task: &TaskInfo) -> Result<Self> {
        if task.parallelism != 1 {
            let message =
                format!("{} subtasks cannot write the one file '{}'; set the sink's parallelism to 1", task.parallelism, path.display());
            return Err(Error::user(message));
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name.filter(|_| !path.is_dir()) else {
            return Err(Error::user(format!("'{}' is no name for a file; single_file() needs one", path.display())));
        };
        Self::named(path.parent().unwrap_or(Path::new("")), name, None)
    }

    fn named(folder: &Path, name: &str, replaces: Option<Replaces>) -> Result<Self> {
        if !folder.as_os_str().is_empty() {
            fs::create_dir_all(folder).context(|| format!("cannot create the folder '{}'", folder.display()))?;
        }
        Ok(Self { path: folder.join(name), unfinished: folder.join(format!(".{name}.inprogress")), replaces })
    }

    /// Gives the file its name.
    fn commit(&self, written: bool) -> Result<()> {
        if written {
            fs::rename(&self.unfinished, &self.path)?;
        } else {
            remove(&self.path)?;
        }
        let Some(Replaces { folder, suffix, from }) = &self.replaces else { return Ok(()) };
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix("part-")?.strip_suffix(suffix)?.parse::<u32>().ok());
            if number.is_some_and(|number| number >= *from) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Removes a file; that it is not there is no error.
fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// See the module.
pub(super) struct PartWriter<T> {
    target: Target,
    format: Arc<dyn WriteFormat<T>>,
    /// The file, once there is something to write.
    open: Option<OpenFile<T>>,
}

struct OpenFile<T> {
    /// To make the bytes durable.
    file: File,
    records: Box<dyn RecordWriter<T>>,
}

impl<T> PartWriter<T> {
    /// Writes to `target`. With `always`, there is a file even if there are no records.
    pub(super) fn new(target: Target, format: Arc<dyn WriteFormat<T>>, always: bool) -> Result<Self> {
        let mut writer = Self { target, format, open: None };
        if always {
            writer.records()?;
        }
        Ok(writer)
    }

    fn place(&self) -> String {
        format!("file '{}'", self.target.path.display())
    }

    fn records(&mut self) -> Result<&mut dyn RecordWriter<T>> {
        if self.open.is_none() {
            let create = || -> Result<OpenFile<T>> {
                let file = File::create(&self.target.unfinished)?;
                Ok(OpenFile { records: self.format.open(Box::new(file.try_clone()?)), file })
            };
            self.open = Some(create().context(|| self.place())?);
        }
        let open = self.open.as_mut().expect("opened just now");
        Ok(open.records.as_mut())
    }

    fn commit(&mut self) -> Result<()> {
        let open = self.open.take();
        let written = open.is_some();
        if let Some(OpenFile { file, mut records }) = open {
            records.flush()?;
            file.sync_data()?;
        }
        self.target.commit(written)
    }
}

impl<T: Send> SinkWriter<T> for PartWriter<T> {
    fn write(&mut self, value: T, _timestamp: Timestamp) -> Result<()> {
        self.records()?.write(&value).context(|| self.place())
    }

    fn write_batch(&mut self, rows: Rows<T>) -> Result<()> {
        let records = self.records()?;
        rows.values.iter().try_for_each(|value| records.write(value)).context(|| self.place())
    }

    fn flush(&mut self, end_of_input: bool) -> Result<()> {
        let done = match &mut self.open {
            _ if end_of_input => self.commit(),
            Some(open) => open.records.flush(),
            None => Ok(()),
        };
        done.context(|| self.place())
    }

    fn close(&mut self) -> Result<()> {
        if self.open.take().is_some() {
            remove(&self.target.unfinished).context(|| self.place())?;
        }
        Ok(())
    }
}
