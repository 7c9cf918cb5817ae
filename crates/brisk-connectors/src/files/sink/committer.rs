//! Gives pending files their names.

use brisk_base::{Error, Result, ResultExt};
use brisk_core::sink::Committer;
use brisk_core::types::Record;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file that is to get its name: its first `bytes` bytes are durable.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct PendingPart {
    /// Its hidden name.
    pub unfinished: String,
    /// The name that it gets.
    pub finished: String,
    /// Its length.
    pub bytes: u64,
}

impl PendingPart {
    /// Gives the file its name, if it does not have it already.
    fn finish(&self) -> Result<()> {
        let length = match fs::metadata(&self.unfinished) {
            Ok(metadata) => metadata.len(),
            // It has been committed before the failure.
            Err(error) if error.kind() == io::ErrorKind::NotFound && Path::new(&self.finished).exists() => return Ok(()),
            Err(error) => return Err(Error::user(format!("cannot be finished, since '{}' cannot be read: {error}", self.unfinished))),
        };
        if length < self.bytes {
            return Err(Error::corrupt(format!("'{}' has {length} bytes, and had {} at the checkpoint", self.unfinished, self.bytes)));
        }
        if length > self.bytes {
            let file = OpenOptions::new().write(true).open(&self.unfinished)?;
            file.set_len(self.bytes)?;
            file.sync_data()?;
        }
        fs::rename(&self.unfinished, &self.finished)?;
        sync_folder(Path::new(&self.finished))
    }
}

/// Makes a new name durable.
fn sync_folder(file: &Path) -> Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if cfg!(unix) { Ok(File::open(folder)?.sync_all()?) } else { Ok(()) }
}

/// See the module.
pub(super) struct FileCommitter {
    /// The file that says that all parts are there, if it is wanted.
    pub(super) success: Option<PathBuf>,
}

impl Committer<PendingPart> for FileCommitter {
    fn commit(&mut self, parts: Vec<PendingPart>) -> Result<Vec<PendingPart>> {
        parts.iter().try_for_each(|part| part.finish().context(|| format!("file '{}'", part.finished)))?;
        Ok(Vec::new())
    }

    fn end_of_input(&mut self) -> Result<()> {
        let Some(path) = &self.success else { return Ok(()) };
        let create = || -> Result<()> {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            File::create(path)?.sync_all()?;
            sync_folder(path)
        };
        create().context(|| format!("file '{}'", path.display()))
    }
}
