//! Where checkpoints are stored: folders of files that are written once.
//!
//! * [`CheckpointStorage`]: the contract. [`MemoryStorage`]: for tests, simulations and jobs that need no durability.
//!   [`FileSystemStorage`]: a local or mounted folder.
//! * [`layout`]: which file lies where, as in Flink.
//!
//! All calls block and are meant for background threads. Invariants: a file is there whole or not at all; no file is ever changed; all paths
//! are relative to the folder that the storage stands for, with `/` between their parts.

mod file_system;
pub mod layout;
mod memory;

pub use file_system::FileSystemStorage;
pub use memory::MemoryStorage;

use brisk_base::{Error, Result};
use std::path::Path;
use std::sync::Arc;

/// A folder of files that are written once. Failures have the kind `Transient` (the storage may be back later) or `Corrupt` (a file that
/// should be there is missing or too short), and name the file.
pub trait CheckpointStorage: Send + Sync {
    /// How people name the folder: `file:///data/checkpoints/...`, `memory:/...`.
    fn uri(&self) -> String;

    /// A folder below this one; it is made when the first file is written into it.
    fn folder(&self, path: &str) -> Arc<dyn CheckpointStorage>;

    /// Begins a file. Nobody sees it until it is finished; one that is dropped before that leaves nothing. A file of the same name is
    /// replaced.
    ///
    /// # Errors
    /// The storage's.
    fn create(&self, path: &str) -> Result<Box<dyn StorageWriter>>;

    /// Opens a file.
    ///
    /// # Errors
    /// The storage's; `Corrupt` when there is no such file.
    fn open(&self, path: &str) -> Result<Box<dyn StorageReader>>;

    /// Deletes a file, if it is there.
    ///
    /// # Errors
    /// The storage's.
    fn delete(&self, path: &str) -> Result<()>;

    /// Deletes a folder with everything in it, if it is there. The empty path is this folder itself.
    ///
    /// # Errors
    /// The storage's.
    fn delete_folder(&self, path: &str) -> Result<()>;

    /// The files in a folder and below, by path in order; none when there is no such folder.
    ///
    /// # Errors
    /// The storage's.
    fn list(&self, path: &str) -> Result<Vec<StoredFile>>;

    /// Takes in a local file that nobody will change any more, without copying it: from then on both names stand for the same bytes. A file of
    /// the same name is replaced. False, and nothing done, where that cannot be: the storage is another file system or none.
    ///
    /// # Errors
    /// The storage's.
    fn link_in(&self, _path: &str, _local: &Path) -> Result<bool> {
        Ok(false)
    }

    /// Gives a file a local name without copying it; whoever uses that must not change what is in it. There must be no file of this name.
    /// False, and nothing done, where that cannot be.
    fn link_out(&self, _path: &str, _local: &Path) -> bool {
        false
    }

    /// Stores a file in one go.
    ///
    /// # Errors
    /// The storage's.
    fn publish(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.create(path)?;
        file.write(bytes)?;
        file.finish().map(drop)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// The storage's; `Corrupt` when there is no such file, or it has more than `limit` bytes.
    fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let mut file = self.open(path)?;
        let size = file.size();
        if size > limit {
            return Err(Error::corrupt(format!("the file has {size} bytes, more than the {limit} it can have")).context(self.name(path)));
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    }

    /// How errors name a file: `file 'file:///data/.../chk-7/_metadata'`.
    fn name(&self, path: &str) -> String {
        let uri = self.uri();
        if path.is_empty() { format!("folder '{uri}'") } else { format!("file '{}/{path}'", uri.trim_end_matches('/')) }
    }
}

/// A file that is being written.
pub trait StorageWriter: Send {
    /// Adds bytes.
    ///
    /// # Errors
    /// The storage's.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the file durable and visible; returns its size.
    ///
    /// # Errors
    /// The storage's; the file is then not there.
    fn finish(self: Box<Self>) -> Result<u64>;
}

/// A file that is being read.
pub trait StorageReader: Send {
    /// Bytes in the file.
    fn size(&self) -> u64;

    /// Reads the bytes from `offset` on until `into` is full.
    ///
    /// # Errors
    /// The storage's; `Corrupt` when the file is shorter.
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<()>;
}

/// A file that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredFile {
    /// Its path below the folder that was listed through.
    pub path: String,
    /// Bytes in it.
    pub size: u64,
}

/// Opens the storage at an URI of `execution.checkpointing.dir` or a savepoint: `file:///...` or the path of a folder.
///
/// # Errors
/// When the URI has a scheme that is not known.
pub fn open_storage(uri: &str) -> Result<Arc<dyn CheckpointStorage>> {
    match uri.split_once("://") {
        None => Ok(Arc::new(FileSystemStorage::new(uri))),
        Some(("file", path)) if path.starts_with('/') => Ok(Arc::new(FileSystemStorage::new(path))),
        Some(("file", _)) => Err(Error::user(format!("'{uri}' names another host: write file:///path/to/folder"))),
        Some((scheme, _)) => {
            let hint = if scheme.starts_with("s3") { ", or switch the cargo feature 's3' on" } else { "" };
            Err(Error::user(format!(
                "checkpoints cannot be stored at '{uri}': the scheme '{scheme}' is not known. Use file:///path/to/folder or the path of a \
                 folder that all TaskManagers reach{hint}"
            )))
        }
    }
}

/// Whether a path stays below its folder.
///
/// # Errors
/// `Corrupt` when it does not: a metadata file could have been made to read others.
pub fn check_path(path: &str) -> Result<()> {
    let stays = !path.starts_with('/') && !path.contains('\\') && path.split('/').all(|part| !["", ".", ".."].contains(&part));
    if stays || path.is_empty() { Ok(()) } else { Err(Error::corrupt(format!("the path '{path}' does not stay within its folder"))) }
}

fn too_short(size: u64, offset: u64, wanted: usize) -> Error {
    Error::corrupt(format!("the file ends after {size} bytes, but {wanted} bytes at {offset} belong to the checkpoint"))
}
