//! Files in memory, shared by everyone who has the storage: for the simulator, for tests, and for jobs that need no durability.

use super::{CheckpointStorage, StorageReader, StorageWriter, StoredFile, check_path};
use brisk_base::{Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The files of a [`MemoryStorage`] by full path.
type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// Files in memory. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryStorage {
    /// All files.
    files: Arc<Mutex<Files>>,
    /// What the paths of this folder begin with: empty, or ending in `/`.
    prefix: String,
}

impl MemoryStorage {
    /// No files yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes the bytes of a file, to see what becomes of damaged checkpoints. Returns whether there is such a file.
    pub fn damage(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        self.lock().get_mut(&self.full(path)).map(|file| change(Arc::make_mut(file))).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn full(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// What the files of a folder begin with.
    fn folder_prefix(&self, path: &str) -> String {
        if path.is_empty() { self.prefix.clone() } else { format!("{}{path}/", self.prefix) }
    }
}

impl CheckpointStorage for MemoryStorage {
    fn uri(&self) -> String {
        format!("memory:/{}", self.prefix.trim_end_matches('/'))
    }

    fn folder(&self, path: &str) -> Arc<dyn CheckpointStorage> {
        Arc::new(Self { files: Arc::clone(&self.files), prefix: self.folder_prefix(path) })
    }

    fn create(&self, path: &str) -> Result<Box<dyn StorageWriter>> {
        check_path(path)?;
        Ok(Box::new(Writer { storage: self.clone(), path: self.full(path), bytes: Vec::new() }))
    }

    fn open(&self, path: &str) -> Result<Box<dyn StorageReader>> {
        check_path(path)?;
        match self.lock().get(&self.full(path)) {
            Some(bytes) => Ok(Box::new(Reader { name: self.name(path), bytes: Arc::clone(bytes) })),
            None => Err(Error::corrupt("the file is missing").context(self.name(path))),
        }
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.lock().remove(&self.full(path));
        Ok(())
    }

    fn delete_folder(&self, path: &str) -> Result<()> {
        let prefix = self.folder_prefix(path);
        self.lock().retain(|path, _| !path.starts_with(&prefix));
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<StoredFile>> {
        let prefix = self.folder_prefix(path);
        let files = self.lock();
        let below = files.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
        Ok(below.map(|(path, bytes)| StoredFile { path: path[self.prefix.len()..].to_owned(), size: bytes.len() as u64 }).collect())
    }
}

/// A file that nobody sees yet.
struct Writer {
    storage: MemoryStorage,
    path: String,
    bytes: Vec<u8>,
}

impl StorageWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        let size = self.bytes.len() as u64;
        self.storage.lock().insert(self.path, Arc::new(self.bytes));
        Ok(size)
    }
}

/// A file as it was when it was opened.
struct Reader {
    name: String,
    bytes: Arc<Vec<u8>>,
}

impl StorageReader for Reader {
    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match start.checked_add(into.len()).and_then(|end| self.bytes.get(start..end)) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return Err(super::too_short(self.size(), offset, into.len()).context(&*self.name)),
        }
        Ok(())
    }
}
