//! The backend of one worker.

use super::families::Families;
use super::folder::Folder;
use super::instance::Instance;
use super::memory::SharedMemory;
use super::native::StoredFiles;
use super::options::{RocksDbConfig, RocksDbPlace};
use super::restore;
use super::store::RocksDbStore;
use brisk_base::options::Configuration;
use brisk_base::{Error, Result};
use brisk_core::state::{StateBackend, StateBackendContext, StateBackendFactory, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Name of the backend in `state.backend.type`, and in checkpoints.
const NAME: &str = "rocksdb";

/// Keeps state in RocksDB databases on the local disk (Flink's `EmbeddedRocksDBStateBackend`). Its stores share one budget of memory.
pub struct RocksDbStateBackend {
    config: RocksDbConfig,
    memory: SharedMemory,
    /// Takes the local folders in turn.
    next_folder: AtomicUsize,
}

impl RocksDbStateBackend {
    /// The backend of one worker.
    pub fn new(config: RocksDbConfig) -> Self {
        let memory = SharedMemory::new(&config);
        Self { config, memory, next_folder: AtomicUsize::new(0) }
    }

    /// A folder for the database of one operator; none in memory.
    fn folder(&self, cx: &StateBackendContext) -> Result<Option<Folder>> {
        let RocksDbPlace::Folders(folders) = &self.config.place else { return Ok(None) };
        let index = self.next_folder.fetch_add(1, Ordering::Relaxed);
        let parent = folders.get(index % folders.len().max(1)).ok_or_else(|| Error::user("RocksDB has no local folder"))?;
        let name = format!("brisk-rocksdb-{:.8}-{}-{}", cx.operator.to_string(), cx.attempt.subtask, cx.attempt.attempt);
        Folder::create(parent, &name).map(Some)
    }
}

impl StateBackend for RocksDbStateBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn open(&self, cx: &StateBackendContext) -> Result<Store> {
        let range = cx.key_groups.range;
        let families = Families::new(&cx.states, range, &cx.clock);
        let parts = cx.restored.as_ref().map_or(&[][..], |restored| &restored.native);
        let own_files = cx.restored.as_ref().is_some_and(|restored| restored.own_files);
        let (instance, stored) = match self.folder(cx)? {
            Some(folder) => {
                let restored = restore::open(parts, range, families, &cx.place, folder, &self.memory, own_files)?;
                (restored.instance, StoredFiles::new(restored.stored))
            }
            None if parts.is_empty() => (Instance::open(families, Arc::clone(&cx.place), None, &self.memory)?, StoredFiles::default()),
            None => return Err(Error::user("a checkpoint in files of RocksDB cannot be restored into memory: set a local folder")),
        };
        let incremental = self.config.incremental && instance.folder.is_some();
        Ok(Store::Bytes(Box::new(RocksDbStore::new(instance, stored, range, incremental, self.config.overlay_bytes, NAME))))
    }
}

/// Makes the backend of a worker from its configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct RocksDbStateBackendFactory;

impl StateBackendFactory for RocksDbStateBackendFactory {
    fn create(&self, config: &Configuration) -> Result<Arc<dyn StateBackend>> {
        Ok(Arc::new(RocksDbStateBackend::new(RocksDbConfig::of(config)?)))
    }
}
