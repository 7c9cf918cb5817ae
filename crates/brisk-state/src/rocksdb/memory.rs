//! The memory that all databases of a worker share.

use super::options::RocksDbConfig;
use rocksdb::{Cache, WriteBufferManager};

/// One block cache, and one budget of write buffers that is charged to it.
#[derive(Clone)]
pub(super) struct SharedMemory {
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
}

impl SharedMemory {
    pub(super) fn new(config: &RocksDbConfig) -> Self {
        let cache = Cache::new_lru_cache(config.memory_bytes);
        let write_buffer_bytes = (config.memory_bytes as f64 * config.write_buffer_ratio) as usize;
        // Writers are never stalled by the budget: that would stop a task for others' writes.
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(write_buffer_bytes, false, cache.clone());
        Self { cache, write_buffers }
    }
}
