//! Options of the backend, with Flink's keys.

use brisk_base::options::{Configuration, MemorySize};
use brisk_base::{Error, Result};
use std::path::PathBuf;

brisk_base::options! {
    /// Memory of one worker that state backends share: block caches and write buffers of RocksDB.
    pub MANAGED_MEMORY_SIZE: MemorySize = "taskmanager.memory.managed.size", MemorySize::mb(256);

    /// Part of the managed memory that write buffers may take; the block cache has the rest.
    pub WRITE_BUFFER_RATIO: f64 = "state.backend.rocksdb.memory.write-buffer-ratio", 0.5;

    /// Local folders for the files of databases, separated by commas; the folder for temporary files when not set.
    pub LOCAL_DIRECTORIES: Option<String> = "state.backend.rocksdb.localdir", None;

    /// Whether checkpoints store only the files that are new since the last one. Otherwise each stores all state, in the form that every
    /// backend reads.
    pub INCREMENTAL: bool = "execution.checkpointing.incremental", false, aliases ["state.backend.incremental"];
}

/// Where databases lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RocksDbPlace {
    /// In these local folders, in turn.
    Folders(Vec<PathBuf>),
    /// In memory: for the simulator. Checkpoints are then in the form that every backend reads.
    Memory,
}

/// How the backend of one worker works.
#[derive(Clone, PartialEq, Debug)]
pub struct RocksDbConfig {
    /// Where databases lie.
    pub place: RocksDbPlace,
    /// Bytes that block cache and write buffers of all databases share.
    pub memory_bytes: usize,
    /// Part of them for write buffers, between 0 and 1.
    pub write_buffer_ratio: f64,
    /// Whether checkpoints are incremental.
    pub incremental: bool,
    /// Bytes of changes that wait in memory while the files of a checkpoint are made. Beyond that, the task makes the files itself.
    pub overlay_bytes: usize,
}

impl RocksDbConfig {
    /// Bytes of changes that wait in memory for one database at most, unless told otherwise.
    const OVERLAY_BYTES: usize = 64 * 1024 * 1024;

    /// Databases below this folder, with the defaults of the options and incremental checkpoints.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            place: RocksDbPlace::Folders(vec![folder.into()]),
            memory_bytes: usize::try_from(MANAGED_MEMORY_SIZE.default_value().0).unwrap_or(usize::MAX),
            write_buffer_ratio: WRITE_BUFFER_RATIO.default_value(),
            incremental: true,
            overlay_bytes: Self::OVERLAY_BYTES,
        }
    }

    /// That of a worker's configuration.
    ///
    /// # Errors
    /// When the ratio is not between 0 and 1.
    pub fn of(config: &Configuration) -> Result<Self> {
        let folders = config.get(&LOCAL_DIRECTORIES)?;
        let folders: Vec<PathBuf> = folders
            .iter()
            .flat_map(|folders: &String| folders.split([',', ':']))
            .map(str::trim)
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
            .collect();
        let folders = if folders.is_empty() { vec![std::env::temp_dir()] } else { folders };
        let write_buffer_ratio = config.get(&WRITE_BUFFER_RATIO)?;
        if !(0.0..=1.0).contains(&write_buffer_ratio) {
            return Err(Error::user(format!("{} is {write_buffer_ratio}: set it between 0 and 1", WRITE_BUFFER_RATIO.key())));
        }
        Ok(Self {
            place: RocksDbPlace::Folders(folders),
            memory_bytes: usize::try_from(config.get(&MANAGED_MEMORY_SIZE)?.0).unwrap_or(usize::MAX),
            write_buffer_ratio,
            incremental: config.get(&INCREMENTAL)?,
            overlay_bytes: Self::OVERLAY_BYTES,
        })
    }
}
