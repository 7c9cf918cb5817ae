//! Options of the backend, with Flink's keys.

use brisk_base::options::core_options::TASK_MANAGER_PROCESS_MEMORY;
use brisk_base::options::{Configuration, MemorySize};
use brisk_base::{Error, Result};
use std::path::PathBuf;

brisk_base::options! {
    /// Memory of one worker that state backends share: block caches and write buffers of RocksDB. A part of the process's memory when not
    /// set, or 256 mb where that is not limited.
    pub MANAGED_MEMORY_SIZE: Option<MemorySize> = "taskmanager.memory.managed.size", None;

    /// The part of the process's memory (`taskmanager.memory.process.size`) that is managed, unless its size is set.
    pub MANAGED_MEMORY_FRACTION: f64 = "taskmanager.memory.managed.fraction", 0.6;

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
    /// Managed memory of a process whose memory is not limited.
    const MEMORY_BYTES: usize = 256 * 1024 * 1024;

    /// Databases below this folder, with the defaults of the options and incremental checkpoints.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            place: RocksDbPlace::Folders(vec![folder.into()]),
            memory_bytes: Self::MEMORY_BYTES,
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
            memory_bytes: Self::managed_memory(config)?,
            write_buffer_ratio,
            incremental: config.get(&INCREMENTAL)?,
            overlay_bytes: Self::OVERLAY_BYTES,
        })
    }

    fn managed_memory(config: &Configuration) -> Result<usize> {
        let fraction = config.get(&MANAGED_MEMORY_FRACTION)?;
        if !(0.0..=1.0).contains(&fraction) {
            return Err(Error::user(format!("{} is {fraction}: set it between 0 and 1", MANAGED_MEMORY_FRACTION.key())));
        }
        let bytes = |size: MemorySize| usize::try_from(size.0).unwrap_or(usize::MAX);
        let process = config.get(&TASK_MANAGER_PROCESS_MEMORY)?.map(bytes);
        match (config.get(&MANAGED_MEMORY_SIZE)?.map(bytes), process) {
            (Some(managed), Some(process)) if managed > process => {
                let (managed_key, process_key) = (MANAGED_MEMORY_SIZE.key(), TASK_MANAGER_PROCESS_MEMORY.key());
                Err(Error::user(format!("{managed_key} is more than {process_key}: leave it out, or make it smaller")))
            }
            (Some(managed), _) => Ok(managed),
            (None, Some(process)) => Ok((process as f64 * fraction) as usize),
            (None, None) => Ok(Self::MEMORY_BYTES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn managed(options: &[(&str, &str)]) -> Result<usize> {
        let config = options.iter().copied().collect();
        RocksDbConfig::of(&config).map(|config| config.memory_bytes)
    }

    #[test]
    fn managed_memory_is_a_part_of_the_processs() {
        assert_eq!(managed(&[]).unwrap(), 256 << 20);
        assert_eq!(managed(&[("taskmanager.memory.managed.size", "1g")]).unwrap(), 1 << 30);
        let process = ("taskmanager.memory.process.size", "1000m");
        assert_eq!(managed(&[process]).unwrap(), 600 << 20);
        assert_eq!(managed(&[process, ("taskmanager.memory.managed.fraction", "0.25")]).unwrap(), 250 << 20);
        let error = managed(&[process, ("taskmanager.memory.managed.size", "2g")]).unwrap_err();
        assert!(error.to_string().contains("managed.size is more than taskmanager.memory.process.size"), "{error}");
        assert!(managed(&[process, ("taskmanager.memory.managed.fraction", "2")]).is_err());
    }
}
