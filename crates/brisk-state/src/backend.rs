//! The backend `hashmap`.

use brisk_base::Result;
use brisk_base::options::Configuration;
use brisk_core::state::{StateBackend, StateBackendContext, StateBackendFactory, Store};
use std::sync::Arc;

/// Keeps state as typed objects in memory (Flink's `HashMapStateBackend`).
#[derive(Clone, Copy, Debug, Default)]
pub struct HashMapStateBackend;

impl StateBackend for HashMapStateBackend {
    fn name(&self) -> &str {
        "hashmap"
    }

    fn open(&self, _cx: &StateBackendContext) -> Result<Store> {
        Ok(Store::Heap)
    }
}

impl StateBackendFactory for HashMapStateBackend {
    fn create(&self, _config: &Configuration) -> Result<Arc<dyn StateBackend>> {
        Ok(Arc::new(*self))
    }
}
