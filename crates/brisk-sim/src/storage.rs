//! Checkpoint storage of the simulator: in memory, and as unreliable as a seed wants it.

use brisk_base::world::Rng;
use brisk_base::{Error, Result};
use brisk_cluster::services::{LocalStorages, StorageProvider};
use brisk_state::checkpoint_storage::{CheckpointStorage, StorageReader, StorageWriter, StoredFile, layout};
use std::sync::{Arc, Mutex, PoisonError};

/// When calls fail.
#[derive(Default)]
struct Faults {
    /// How many are still to come.
    left: u64,
    /// One call in so many fails.
    one_in: u64,
    rng: Option<Rng>,
}

/// See the module. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct SimStorages {
    inner: Arc<LocalStorages>,
    faults: Arc<Mutex<Faults>>,
}

impl SimStorages {
    /// Lets so many calls fail, one in `one_in` on average.
    pub(crate) fn let_fail(&self, times: u64, one_in: u64, seed: u64) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = Faults { left: times, one_in, rng: Some(Rng::seeded(seed)) };
    }

    /// The folder of the newest completed checkpoint of any job.
    pub(crate) fn newest_checkpoint(&self) -> Result<Option<String>> {
        let root = self.inner.open("memory:/checkpoints")?;
        let number = |path: &str| {
            let (folder, file) = path.rsplit_once('/')?;
            let id = layout::checkpoint_of_folder(folder.rsplit('/').next()?)?;
            (file == layout::METADATA).then(|| (id, format!("memory:/checkpoints/{folder}")))
        };
        Ok(root.list("")?.iter().filter_map(|file| number(&file.path)).max().map(|(_, folder)| folder))
    }
}

fn perhaps(faults: &Mutex<Faults>, what: &str) -> Result<()> {
    let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
    let Faults { left, one_in, rng: Some(rng) } = &mut *faults else { return Ok(()) };
    if *left == 0 || !rng.one_in((*one_in).max(1)) {
        return Ok(());
    }
    *left -= 1;
    Err(Error::transient(format!("the simulator lets a call fail: {what}")))
}

impl StorageProvider for SimStorages {
    fn open(&self, uri: &str) -> Result<Arc<dyn CheckpointStorage>> {
        Ok(Arc::new(SimStorage { inner: self.inner.open(uri)?, faults: Arc::clone(&self.faults) }))
    }
}

struct SimStorage {
    inner: Arc<dyn CheckpointStorage>,
    faults: Arc<Mutex<Faults>>,
}

impl CheckpointStorage for SimStorage {
    fn uri(&self) -> String {
        self.inner.uri()
    }

    fn folder(&self, path: &str) -> Arc<dyn CheckpointStorage> {
        Arc::new(Self { inner: self.inner.folder(path), faults: Arc::clone(&self.faults) })
    }

    fn create(&self, path: &str) -> Result<Box<dyn StorageWriter>> {
        perhaps(&self.faults, "create")?;
        Ok(Box::new(SimWriter { inner: self.inner.create(path)?, faults: Arc::clone(&self.faults) }))
    }

    fn open(&self, path: &str) -> Result<Box<dyn StorageReader>> {
        perhaps(&self.faults, "open")?;
        self.inner.open(path)
    }

    fn delete(&self, path: &str) -> Result<()> {
        perhaps(&self.faults, "delete")?;
        self.inner.delete(path)
    }

    fn delete_folder(&self, path: &str) -> Result<()> {
        perhaps(&self.faults, "delete folder")?;
        self.inner.delete_folder(path)
    }

    fn list(&self, path: &str) -> Result<Vec<StoredFile>> {
        self.inner.list(path)
    }
}

struct SimWriter {
    inner: Box<dyn StorageWriter>,
    faults: Arc<Mutex<Faults>>,
}

impl StorageWriter for SimWriter {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        perhaps(&self.faults, "write")?;
        self.inner.write(bytes)
    }

    fn finish(self: Box<Self>) -> Result<u64> {
        perhaps(&self.faults, "finish")?;
        self.inner.finish()
    }
}

/// The backend `rocksdb`, its databases in memory.
#[cfg(feature = "rocksdb")]
pub(crate) struct RocksDbInMemory;

#[cfg(feature = "rocksdb")]
impl brisk_core::state::StateBackendFactory for RocksDbInMemory {
    fn create(&self, _config: &brisk_base::options::Configuration) -> Result<Arc<dyn brisk_core::state::StateBackend>> {
        use brisk_state::rocksdb::{RocksDbConfig, RocksDbPlace, RocksDbStateBackend};
        let config = RocksDbConfig { place: RocksDbPlace::Memory, memory_bytes: 1 << 20, ..RocksDbConfig::in_folder("") };
        Ok(Arc::new(RocksDbStateBackend::new(config)))
    }
}
