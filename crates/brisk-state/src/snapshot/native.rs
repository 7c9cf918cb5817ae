//! Stores files of backends.

use super::writer::CheckpointLocation;
use crate::checkpoint_storage::CheckpointStorage;
use brisk_base::{Error, Result};
use brisk_core::state::{FileRef, NativeFiles};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use xxhash_rust::xxh3::Xxh3Default;

/// Bytes that are copied at once.
const COPY_BYTES: usize = 256 * 1024;

/// Links or copies local files into the checkpoint storage. Files of the checkpoint alone are deleted again unless they are kept.
pub(super) struct Upload<'a> {
    storage: &'a dyn CheckpointStorage,
    at: &'a CheckpointLocation,
    /// Begin of the names of files.
    name: &'a str,
    /// Files stored so far, which makes their names unique.
    count: u32,
    /// Those of the checkpoint alone.
    own: Vec<String>,
    /// Bytes stored so far.
    stored_bytes: u64,
}

impl<'a> Upload<'a> {
    pub(super) const fn new(storage: &'a dyn CheckpointStorage, at: &'a CheckpointLocation, name: &'a str) -> Self {
        Self { storage, at, name, count: 0, own: Vec::new(), stored_bytes: 0 }
    }

    /// Bytes stored so far.
    pub(super) const fn stored_bytes(&self) -> u64 {
        self.stored_bytes
    }

    /// The files are part of a handle now.
    pub(super) fn keep(&mut self) {
        self.own.clear();
    }
}

impl NativeFiles for Upload<'_> {
    fn store(&mut self, local: &Path, shared: bool) -> Result<FileRef> {
        let failed = |error: std::io::Error| Error::transient(format!("the local file '{}' cannot be read: {error}", local.display()));
        let name = format!("{}-{}", self.name, self.count);
        self.count += 1;
        let path = match &self.at.shared {
            // Names of tasks are unique within a checkpoint only.
            Some(folder) if shared => format!("{folder}/{}-{name}", self.at.folder),
            _ => self.at.path(&name),
        };
        let mut source = File::open(local).map_err(failed)?;
        // Only files that later checkpoints may refer to are known not to change.
        let linked = shared && self.storage.link_in(&path, local)?;
        let mut target = if linked { None } else { Some(self.storage.create(&path)?) };
        if linked {
            self.own.push(path.clone());
        }
        let mut checksum = Xxh3Default::new();
        let mut buffer = vec![0; COPY_BYTES];
        let mut size = 0;
        loop {
            let count = source.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            checksum.update(&buffer[..count]);
            size += count as u64;
            if let Some(target) = &mut target {
                target.write(&buffer[..count])?;
            }
        }
        if let Some(target) = target {
            target.finish()?;
            self.own.push(path.clone());
        }
        self.stored_bytes += size;
        Ok(FileRef { path, size, checksum: checksum.digest() })
    }
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        for path in &self.own {
            // What cannot be deleted now is deleted with the folder of the checkpoint, or found by the clean-up of unknown files.
            let _ = self.storage.delete(path);
        }
    }
}
