//! Local folders of databases, deleted when nobody uses them any more.

use brisk_base::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Keeps the folders of one process apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A folder that is deleted with this value.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// A new folder below `parent`.
    pub(super) fn create(parent: &Path, name: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{name}-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| {
            Error::transient(format!(
                "the local folder '{}' cannot be made: {error}. Set `state.backend.rocksdb.localdir` to a folder that can be written to",
                path.display()
            ))
        })?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be deleted is left to the clean-up of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
