//! A folder of objects.

use crate::file::{Reader, Writer};
use brisk_base::{Error, ErrorKind, Result, ResultExt};
use brisk_state::checkpoint_storage::{CheckpointStorage, StorageReader, StorageWriter, StoredFile, check_path};
use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};

/// Checkpoints in an object store. Its calls block; they are meant for background threads, and not for those of a tokio runtime.
#[derive(Clone)]
pub struct ObjectStorage {
    shared: Arc<Shared>,
    uri: String,
    /// What the names of objects begin with, without a `/` at its end.
    folder: String,
}

/// What all folders of a store have in common.
pub(crate) struct Shared {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Runs the connections.
    pub(crate) runtime: Runtime,
}

impl ObjectStorage {
    /// The folder of a store that people call `uri`.
    ///
    /// # Errors
    /// When the thread for its connections cannot be started.
    pub fn new(store: Arc<dyn ObjectStore>, uri: &str, folder: &str) -> Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("brisk-s3").enable_all().build();
        let runtime = runtime.map_err(|error| Error::transient(error.to_string()).context(format!("connections to '{uri}'")))?;
        let uri = uri.trim_end_matches('/').to_owned();
        Ok(Self { shared: Arc::new(Shared { store, runtime }), uri, folder: folder.to_owned() })
    }

    /// The object of a file.
    fn object(&self, path: &str) -> Result<Path> {
        check_path(path)?;
        let name = [self.folder.as_str(), path].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        Path::parse(&name).map_err(|error| Error::user(format!("no object can have this name: {error}")).context(self.name(path)))
    }

    /// Objects in a folder and below.
    fn objects(&self, path: &str) -> Result<Vec<(Path, u64)>> {
        let prefix = self.object(path)?;
        let listing = self.shared.store.list(Some(&prefix)).map_ok(|object| (object.location, object.size)).try_collect();
        self.shared.runtime.block_on(listing).map_err(|error| failed(&error)).context(|| self.name(path))
    }
}

/// What went wrong, by kind: a missing object is a damaged checkpoint, everything else may pass.
pub(crate) fn failed(error: &object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::corrupt("the file is missing"),
        other => Error::transient(other.to_string()),
    }
}

impl CheckpointStorage for ObjectStorage {
    fn uri(&self) -> String {
        self.uri.clone()
    }

    fn folder(&self, path: &str) -> Arc<dyn CheckpointStorage> {
        let join = |begin: &str| if begin.is_empty() || path.is_empty() { format!("{begin}{path}") } else { format!("{begin}/{path}") };
        Arc::new(Self { shared: Arc::clone(&self.shared), uri: join(&self.uri), folder: join(&self.folder) })
    }

    fn create(&self, path: &str) -> Result<Box<dyn StorageWriter>> {
        Ok(Box::new(Writer::new(Arc::clone(&self.shared), self.object(path)?, self.name(path))))
    }

    fn open(&self, path: &str) -> Result<Box<dyn StorageReader>> {
        let object = self.object(path)?;
        let head = self.shared.runtime.block_on(self.shared.store.head(&object));
        let size = head.map_err(|error| failed(&error)).context(|| self.name(path))?.size;
        Ok(Box::new(Reader::new(Arc::clone(&self.shared), object, self.name(path), size)))
    }

    fn delete(&self, path: &str) -> Result<()> {
        let deleted = self.shared.runtime.block_on(self.shared.store.delete(&self.object(path)?));
        match deleted.map_err(|error| failed(&error)) {
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error.context(self.name(path))),
            _ => Ok(()),
        }
    }

    fn delete_folder(&self, path: &str) -> Result<()> {
        let objects = self.objects(path)?;
        for (object, _) in objects {
            let deleted = self.shared.runtime.block_on(self.shared.store.delete(&object));
            match deleted.map_err(|error| failed(&error)) {
                Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error.context(self.name(path))),
                _ => {}
            }
        }
        Ok(())
    }

    fn list(&self, path: &str) -> Result<Vec<StoredFile>> {
        let begin = if self.folder.is_empty() { 0 } else { self.folder.len() + 1 };
        let file = |(object, size): (Path, u64)| object.as_ref().get(begin..).map(|path| StoredFile { path: path.to_owned(), size });
        let mut files: Vec<_> = self.objects(path)?.into_iter().filter_map(file).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn storage() -> ObjectStorage {
        ObjectStorage::new(Arc::new(InMemory::new()), "s3://bucket/jobs/", "jobs").unwrap()
    }

    #[test]
    fn files_are_there_when_they_are_finished() {
        let storage = storage();
        let mut file = storage.create("chk-1/a").unwrap();
        file.write(b"hello ").unwrap();
        file.write(b"world").unwrap();
        assert_eq!(storage.list("").unwrap(), []);
        assert_eq!(file.finish().unwrap(), 11);
        let listed = storage.folder("chk-1").list("").unwrap();
        assert_eq!(listed, [StoredFile { path: "a".to_owned(), size: 11 }]);
        assert_eq!(storage.read("chk-1/a", 100).unwrap(), b"hello world");
        assert!(storage.read("chk-1/a", 5).unwrap_err().to_string().contains("s3://bucket/jobs/chk-1/a"));
    }

    #[test]
    fn large_files_come_back_whole_from_any_offset() {
        let storage = storage();
        let bytes: Vec<u8> = (0..20_000_003_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let mut file = storage.create("large").unwrap();
        bytes.chunks(777_777).for_each(|chunk| file.write(chunk).unwrap());
        assert_eq!(file.finish().unwrap(), bytes.len() as u64);
        let mut reader = storage.open("large").unwrap();
        for (offset, len) in [(0, 10), (5, 3_000_000), (19_999_000, 1003), (10, 100), (9_000_000, 7)] {
            let mut into = vec![0; len];
            reader.read_at(offset as u64, &mut into).unwrap();
            assert!(into == bytes[offset..offset + len], "{len} bytes at {offset}");
        }
        let error = reader.read_at(20_000_000, &mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let storage = storage();
        let mut file = storage.create("half").unwrap();
        file.write(&vec![1; 12_000_000]).unwrap();
        drop(file);
        assert_eq!(storage.list("").unwrap(), []);
        assert_eq!(storage.open("half").err().map(|error| error.kind()), Some(ErrorKind::Corrupt));
    }

    #[test]
    fn folders_are_deleted_with_what_is_in_them_and_nothing_else() {
        let storage = storage();
        for path in ["chk-1/a", "chk-1/b/c", "chk-10/a", "shared/a"] {
            storage.publish(path, b"x").unwrap();
        }
        storage.delete_folder("chk-1").unwrap();
        let left: Vec<_> = storage.list("").unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(left, ["chk-10/a", "shared/a"]);
        storage.delete("chk-10/a").unwrap();
        storage.delete("chk-10/a").unwrap();
        assert!(storage.create("../other").is_err());
    }
}
