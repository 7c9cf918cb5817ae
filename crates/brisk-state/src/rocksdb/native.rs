//! Checkpoints in the database's own form: its files, each stored once.

use super::instance::Instance;
use super::sealed::Sealed;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::state::{FileRef, NativeFile, NativeFiles, NativeSnapshot, NativeState};
use brisk_core::types::KeyGroupRange;
use rocksdb::checkpoint::Checkpoint;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Version of what [`NativeState::meta`] holds.
pub(super) const META_VERSION: u8 = 1;

/// Files of the database by name, and where they are stored.
type Stored = BTreeMap<String, FileRef>;

/// What is stored of one database.
#[derive(Default)]
pub(super) struct StoredFiles {
    /// Those that the last completed checkpoint refers to, which later ones may refer to as well.
    completed: Stored,
    /// Those that checkpoints refer to of which it is not known yet whether they complete.
    pending: BTreeMap<CheckpointId, Stored>,
}

impl StoredFiles {
    pub(super) const fn new(completed: Stored) -> Self {
        Self { completed, pending: BTreeMap::new() }
    }

    /// The files that a new checkpoint may refer to, whichever of the earlier ones complete: a file that the last completed checkpoint has
    /// is deleted once a later one completes that does not have it, because it stored the same file anew.
    fn usable(&self) -> Stored {
        let stays = |name: &str, file: &FileRef| self.pending.values().all(|stored| stored.get(name).is_none_or(|other| other == file));
        self.completed.iter().filter(|(name, file)| stays(name, file)).map(|(name, file)| (name.clone(), file.clone())).collect()
    }

    pub(super) fn complete(&mut self, checkpoint: CheckpointId) {
        if let Some(stored) = self.pending.remove(&checkpoint) {
            self.completed = stored;
        }
        self.pending.retain(|other, _| *other > checkpoint);
    }

    pub(super) fn abort(&mut self, checkpoint: CheckpointId) {
        self.pending.remove(&checkpoint);
    }
}

/// The files of a checkpoint on their way: linked into a folder of their own, so that the database can go on.
pub(super) struct Pending {
    instance: Arc<Instance>,
    /// The folder for the links; inside that of the instance.
    folder: PathBuf,
    /// The last table of recent values before the barrier, and what keeps it needed, until it is written.
    recent: Mutex<Option<(Arc<Sealed>, Arc<()>)>>,
    state: Mutex<PendingState>,
}

/// How far the files are.
enum PendingState {
    /// The database must not change yet.
    Waiting,
    /// The files are linked: the database may change.
    Linked,
    /// The files will not be linked, for this reason: the database may change.
    GivenUp(String),
}

impl Pending {
    pub(super) fn new(instance: Arc<Instance>, folder: PathBuf, recent: Option<(Arc<Sealed>, Arc<()>)>) -> Self {
        Self { instance, folder, recent: Mutex::new(recent), state: Mutex::new(PendingState::Waiting) }
    }

    fn lock(&self) -> MutexGuard<'_, PendingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database may change again. Never waits.
    pub(super) fn is_settled(&self) -> bool {
        self.state.try_lock().is_ok_and(|state| !matches!(*state, PendingState::Waiting))
    }

    /// Writes the recent values of before the barrier, flushes the database and links its files, if nobody has done so.
    pub(super) fn settle(&self) -> Result<()> {
        let mut state = self.lock();
        if matches!(*state, PendingState::Waiting) {
            let recent = self.take_recent();
            let recent = recent.as_ref().map_or(Ok(()), |(recent, _)| recent.write());
            let link = || {
                self.instance.flush()?;
                Checkpoint::new(&self.instance.db)?.create_checkpoint(&self.folder)
            };
            let linked = recent.and_then(|()| link().map_err(|error| self.instance.failed(&error)));
            *state = linked.map_or_else(|error| PendingState::GivenUp(error.to_string()), |()| PendingState::Linked);
        }
        match &*state {
            PendingState::GivenUp(reason) => {
                let message = format!("RocksDB cannot link its files for the checkpoint: {reason}");
                Err(Error::transient(message).context(&*self.instance.place))
            }
            PendingState::Waiting | PendingState::Linked => Ok(()),
        }
    }

    fn take_recent(&self) -> Option<(Arc<Sealed>, Arc<()>)> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Lets the database go on, and deletes the links.
    fn close(&self) {
        *self.lock() = PendingState::GivenUp("the checkpoint has been given up".to_owned());
        drop(self.take_recent());
        // The folder of the instance takes along what cannot be deleted now.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One checkpoint of a database, to be stored in the background.
pub(super) struct DbSnapshot {
    pub(super) pending: Arc<Pending>,
    pub(super) checkpoint: CheckpointId,
    pub(super) range: KeyGroupRange,
    pub(super) stored: Arc<Mutex<StoredFiles>>,
    pub(super) backend: String,
}

impl DbSnapshot {
    fn stored(&self) -> MutexGuard<'_, StoredFiles> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NativeSnapshot for DbSnapshot {
    fn prepare(&mut self) -> Result<()> {
        self.pending.settle()
    }

    fn write(self: Box<Self>, files: &mut dyn NativeFiles) -> Result<NativeState> {
        self.pending.settle()?;
        let known = self.stored().usable();
        let mut stored = Stored::new();
        let mut all = Vec::new();
        for (name, path) in local_files(&self.pending.folder)? {
            let shared = is_table(&name);
            let file = match known.get(&name) {
                Some(file) if shared => file.clone(),
                _ => files.store(&path, shared).context(|| &*self.pending.instance.place)?,
            };
            if shared {
                stored.insert(name.clone(), file.clone());
            }
            all.push(NativeFile { name, file, shared });
        }
        self.stored().pending.insert(self.checkpoint, stored);
        Ok(NativeState { backend: self.backend.clone(), range: self.range, files: all, meta: vec![META_VERSION] })
    }
}

impl Drop for DbSnapshot {
    fn drop(&mut self) {
        // Also a checkpoint that is given up must not hold the database back.
        self.pending.close();
    }
}

/// Whether a file holds entries: such files never change, and keep their name as long as the database lives.
pub(super) fn is_table(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == "sst")
}

/// The files in a folder, by name in order.
pub(super) fn local_files(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let failed = |error: std::io::Error| Error::transient(format!("the local folder '{}' cannot be read: {error}", folder.display()));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        files.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    files.sort();
    Ok(files)
}
