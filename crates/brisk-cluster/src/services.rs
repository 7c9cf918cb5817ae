//! What a cluster is given by whoever assembles it: registered operators, state backends, and where checkpoints lie.

use crate::process::recovery::RecoveryStore;
use brisk_base::options::Configuration;
use brisk_base::options::checkpoint_options::STATE_BACKEND;
use brisk_base::{Error, Result};
use brisk_core::registry::OperatorRegistry;
use brisk_core::state::{StateBackend, StateBackendFactory};
use brisk_state::HashMapStateBackend;
use brisk_state::checkpoint_storage::{CheckpointStorage, MemoryStorage, open_storage};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the folders in the JobManager's memory begin with.
pub const IN_MEMORY: &str = "memory:";

/// Opens the folders in which checkpoints lie.
pub trait StorageProvider: Send + Sync {
    /// The folder of an URI or path; of [`IN_MEMORY`] when it is in the JobManager's memory.
    ///
    /// # Errors
    /// When nobody knows such URIs.
    fn open(&self, uri: &str) -> Result<Arc<dyn CheckpointStorage>>;
}

/// Opens folders of one scheme.
pub type OpenStorage = fn(&str) -> Result<Arc<dyn CheckpointStorage>>;

/// Folders of the file system, memory of this process, and schemes that were added.
#[derive(Default)]
pub struct LocalStorages {
    memory: MemoryStorage,
    schemes: BTreeMap<&'static str, OpenStorage>,
}

impl LocalStorages {
    /// With URIs of another scheme (`s3` for `s3://...`).
    #[must_use]
    pub fn with_scheme(mut self, scheme: &'static str, open: OpenStorage) -> Self {
        self.schemes.insert(scheme, open);
        self
    }
}

impl StorageProvider for LocalStorages {
    fn open(&self, uri: &str) -> Result<Arc<dyn CheckpointStorage>> {
        if let Some(path) = uri.strip_prefix(IN_MEMORY) {
            return Ok(self.memory.folder(path.trim_matches('/')));
        }
        let added = uri.split_once("://").and_then(|(scheme, _)| self.schemes.get(scheme));
        added.map_or_else(|| open_storage(uri), |open| open(uri))
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    /// Operators that are built by name.
    pub operators: OperatorRegistry,
    /// Where checkpoints lie.
    pub storages: Arc<dyn StorageProvider>,
    /// Where the newest checkpoint of each job is noted, for a JobManager that is started again.
    pub recovery: Option<RecoveryStore>,
    /// State backends by name.
    backends: BTreeMap<String, Arc<dyn StateBackendFactory>>,
}

impl Default for Services {
    fn default() -> Self {
        let hashmap: Arc<dyn StateBackendFactory> = Arc::new(HashMapStateBackend);
        Self {
            operators: OperatorRegistry::default(),
            storages: Arc::new(LocalStorages::default()),
            recovery: None,
            backends: [("hashmap".to_owned(), hashmap)].into(),
        }
    }
}

impl From<OperatorRegistry> for Services {
    fn from(operators: OperatorRegistry) -> Self {
        Self { operators, ..Self::default() }
    }
}

impl Services {
    /// With another place for checkpoints.
    #[must_use]
    pub fn with_storages(mut self, storages: Arc<dyn StorageProvider>) -> Self {
        self.storages = storages;
        self
    }

    /// With a place where the newest checkpoint of each job is noted.
    #[must_use]
    pub fn with_recovery(mut self, recovery: Option<RecoveryStore>) -> Self {
        self.recovery = recovery;
        self
    }

    /// With a state backend that `state.backend.type` may name. One of the same name is replaced.
    #[must_use]
    pub fn with_backend(mut self, name: &str, factory: Arc<dyn StateBackendFactory>) -> Self {
        self.backends.insert(name.to_owned(), factory);
        self
    }

    /// The state backend of a job.
    ///
    /// # Errors
    /// When there is no such backend, or its configuration is wrong.
    pub fn backend(&self, config: &Configuration) -> Result<Arc<dyn StateBackend>> {
        let name = config.get(&STATE_BACKEND)?;
        let factory = self.backends.get(&name).ok_or_else(|| {
            let known: Vec<_> = self.backends.keys().map(String::as_str).collect();
            let hint = if name == "rocksdb" { "; 'rocksdb' needs the cargo feature of that name" } else { "" };
            Error::user(format!("'{}' is '{name}', but the state backends are {}{hint}", STATE_BACKEND.key(), known.join(", ")))
        })?;
        factory.create(config)
    }
}
