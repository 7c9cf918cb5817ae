//! The memory that all databases of a worker share.

use super::options::RocksDbConfig;
use rocksdb::{Cache, WriteBufferManager};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Part of the memory for write buffers that tables of recent values may take.
const RECENT_SHARE: f64 = 0.75;
/// Part of it that RocksDB's own write buffers may take; these are charged to the block cache.
const BUFFER_SHARE: f64 = 0.5;

/// Full write buffers that the budget has room for.
const BUFFERS: usize = 16;
const SMALLEST_BUFFER: usize = 64 * 1024;
const LARGEST_BUFFER: usize = 64 * 1024 * 1024;

/// One block cache, one budget of write buffers that is charged to it, and one of recent values.
#[derive(Clone)]
pub(super) struct SharedMemory {
    pub(super) cache: Cache,
    pub(super) write_buffers: WriteBufferManager,
    /// Bytes of the largest write buffer of one column family; the shared budget flushes them earlier.
    pub(super) write_buffer_bytes: usize,
    pub(super) recent: Arc<RecentBudget>,
}

impl SharedMemory {
    pub(super) fn new(config: &RocksDbConfig) -> Self {
        let part = |share: f64| (config.memory_bytes as f64 * config.write_buffer_ratio * share) as usize;
        let recent = part(RECENT_SHARE);
        let cache = Cache::new_lru_cache(config.memory_bytes.saturating_sub(recent));
        // Writers are never stalled by the budget: that would stop a task for others' writes.
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(part(BUFFER_SHARE), false, cache.clone());
        // An empty buffer takes a tenth of its size for its filter already: many of them must not exhaust the budget.
        let write_buffer_bytes = (part(BUFFER_SHARE) / BUFFERS).clamp(SMALLEST_BUFFER, LARGEST_BUFFER);
        let recent = RecentBudget { limit: recent, used: AtomicUsize::new(0), stores: AtomicUsize::new(0) };
        Self { cache, write_buffers, write_buffer_bytes, recent: Arc::new(recent) }
    }
}

/// Memory for tables of recent values of all stores of a worker.
pub(super) struct RecentBudget {
    limit: usize,
    used: AtomicUsize,
    /// Stores that have such tables.
    stores: AtomicUsize,
}

/// What one store may take of a [`RecentBudget`].
pub(super) struct RecentShare(Arc<RecentBudget>);

impl RecentShare {
    pub(super) fn of(budget: &Arc<RecentBudget>) -> Self {
        budget.stores.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(budget))
    }

    /// Bytes that a store which has `own` may have: its part, or what others leave.
    pub(super) fn allowance(&self, own: usize) -> usize {
        let others = self.0.used.load(Ordering::Relaxed).saturating_sub(own);
        let part = self.0.limit / self.0.stores.load(Ordering::Relaxed).max(1);
        part.max(self.0.limit.saturating_sub(others))
    }

    /// An account of a table with nothing in it.
    pub(super) fn account(&self) -> RecentBytes {
        RecentBytes { budget: Arc::clone(&self.0), bytes: 0 }
    }
}

impl Drop for RecentShare {
    fn drop(&mut self) {
        self.0.stores.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of one table, which are given back when this is dropped.
pub(super) struct RecentBytes {
    budget: Arc<RecentBudget>,
    bytes: usize,
}

impl RecentBytes {
    pub(super) const fn get(&self) -> usize {
        self.bytes
    }

    pub(super) fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.budget.used.fetch_add(bytes.wrapping_sub(self.bytes), Ordering::Relaxed);
            self.bytes = bytes;
        }
    }
}

impl Drop for RecentBytes {
    fn drop(&mut self) {
        self.set(0);
    }
}
