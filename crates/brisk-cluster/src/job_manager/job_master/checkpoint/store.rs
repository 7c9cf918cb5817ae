//! Writes, reads and deletes checkpoints on a thread of its own, because storage blocks.

use super::completed::{CompletedCheckpoint, metadata};
use super::coordinator::Assembled;
use super::noted::NotedCheckpoints;
use crate::job::{JobSpec, SnapshotTarget, TaskAck};
use crate::job_manager::JobMasterMessage;
use crate::services::Services;
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::options::checkpoint_options::{CHECKPOINT_DIR, SAVEPOINT_DIR};
use brisk_base::{Error, Result, ResultExt};
use brisk_state::checkpoint_storage::layout;
use brisk_state::savepoint_format;
use brisk_state::snapshot::StateData;
use std::sync::Arc;

/// What the actor understands.
pub enum StoreMessage {
    /// Write the metadata of a checkpoint into its folder.
    Write(Box<Assembled<TaskAck>>),
    /// Read the checkpoint or savepoint that the job begins from.
    Read {
        /// Its folder, or its metadata file.
        path: String,
        /// Whether the job becomes its owner.
        claim: bool,
    },
    /// Delete what tasks have stored for a checkpoint that will not be complete.
    Discard(Vec<TaskAck>),
    /// Delete a checkpoint's own folder, and these files that it shared with others.
    Delete(Box<CompletedCheckpoint>, Vec<String>),
    /// Delete the job's own folder if nothing is left in it, and end.
    Stop {
        /// Whether no checkpoint was kept.
        delete: bool,
    },
}

/// Where a job's checkpoints go: below the configured folder, or in memory.
///
/// # Errors
/// When the configuration is wrong.
pub fn checkpoint_base(job: &JobSpec) -> Result<String> {
    let root = job.config.get(&CHECKPOINT_DIR)?.unwrap_or_else(|| format!("{}/checkpoints", crate::services::IN_MEMORY));
    Ok(format!("{}/{}", root.trim_end_matches('/'), layout::job_folder(job.id)))
}

/// A folder for a new savepoint: in the one that was asked for, or in the configured one.
///
/// # Errors
/// When there is neither.
pub fn savepoint_folder(job: &JobSpec, asked: Option<&str>, random: u64) -> Result<String> {
    let root = match asked {
        Some(asked) => asked.to_owned(),
        None => job
            .config
            .get(&SAVEPOINT_DIR)?
            .ok_or_else(|| Error::user(format!("there is no folder for the savepoint: name one, or set '{}'", SAVEPOINT_DIR.key())))?,
    };
    Ok(format!("{}/{}", root.trim_end_matches('/'), layout::savepoint_folder(job.id, random)))
}

/// See the module.
pub struct CheckpointStore {
    job: JobSpec,
    services: Services,
    job_master: Address<JobMasterMessage>,
    /// Tells a JobManager that is started again where the job is.
    noted: Option<NotedCheckpoints>,
}

impl CheckpointStore {
    /// The store of a job's checkpoints.
    pub fn new(job: JobSpec, services: Services, job_master: Address<JobMasterMessage>) -> Self {
        let noted = services.recovery.clone().map(|store| NotedCheckpoints::new(store, job.id));
        Self { job, services, job_master, noted }
    }

    fn write(&mut self, assembled: Assembled<TaskAck>) -> Result<CompletedCheckpoint> {
        let target = match &assembled.target {
            Some(folder) => SnapshotTarget { base: folder.clone(), savepoint: true },
            None => SnapshotTarget { base: checkpoint_base(&self.job)?, savepoint: false },
        };
        let checkpoint = assembled.checkpoint;
        let metadata = metadata(&self.job, assembled);
        let folder =
            if target.savepoint { target.base.clone() } else { format!("{}/{}", target.base, layout::checkpoint_folder(checkpoint)) };
        savepoint_format::write_to(self.services.storages.open(&folder)?.as_ref(), "", &metadata)?;
        if let Some(noted) = self.noted.as_mut().filter(|_| !target.savepoint) {
            noted.add(&folder)?;
        }
        Ok(CompletedCheckpoint {
            metadata: Arc::new(metadata),
            base: target.base,
            folder,
            owned: !target.savepoint,
            own_files: !target.savepoint,
        })
    }

    fn discard(&self, parts: &[TaskAck]) {
        let result = parts.iter().try_for_each(|part| {
            let storage = self.services.storages.open(&part.target.base)?;
            if part.target.savepoint {
                return storage.delete_folder("");
            }
            let in_flight = part.in_flight.iter().filter_map(StateData::file);
            let mut own = part.state.files().chain(in_flight).filter(|file| !file.path.starts_with(layout::SHARED));
            own.try_for_each(|file| storage.delete(&file.path))
        });
        self.warn(result);
    }

    fn delete(&mut self, completed: &CompletedCheckpoint, shared: &[String]) {
        if let Some(Err(error)) = self.noted.as_mut().map(|noted| noted.remove(&completed.folder)) {
            return self.warn(Err(error));
        }
        let result = self.services.storages.open(&completed.folder).and_then(|folder| folder.delete_folder("")).and_then(|()| {
            let base = self.services.storages.open(&completed.base)?;
            shared.iter().try_for_each(|path| base.delete(path))
        });
        self.warn(result);
    }

    /// What is not deleted takes room, and nothing else.
    fn warn(&self, result: Result<()>) {
        if let Err(error) = result {
            tracing::warn!(job = %self.job.id, %error, "files of a checkpoint could not be deleted");
        }
    }
}

/// Reads a checkpoint or savepoint: `path` is its folder, or its metadata file.
///
/// # Errors
/// `Corrupt` when it is not there or damaged.
pub fn read_checkpoint(services: &Services, path: &str, claim: bool) -> Result<CompletedCheckpoint> {
    let folder = path.trim_end_matches('/').trim_end_matches(layout::METADATA).trim_end_matches('/');
    let storage = services.storages.open(folder)?;
    let metadata = savepoint_format::read_from(storage.as_ref(), "").context(|| format!("checkpoint '{folder}'"))?;
    let name = folder.rsplit('/').next().unwrap_or_default();
    let is_checkpoint = layout::checkpoint_of_folder(name).is_some();
    let base = if is_checkpoint { folder[..folder.len() - name.len()].trim_end_matches('/').to_owned() } else { folder.to_owned() };
    Ok(CompletedCheckpoint { metadata: Arc::new(metadata), base, folder: folder.to_owned(), owned: claim, own_files: false })
}

impl Actor for CheckpointStore {
    type Message = StoreMessage;

    fn handle(&mut self, message: StoreMessage, cx: &mut ActorContext<'_>) {
        match message {
            StoreMessage::Write(assembled) => {
                let checkpoint = assembled.checkpoint;
                let result = self.write(*assembled).map(Box::new);
                cx.send(&self.job_master, JobMasterMessage::MetadataWritten(checkpoint, result));
            }
            StoreMessage::Read { path, claim } => {
                let result = read_checkpoint(&self.services, &path, claim).map(Box::new);
                cx.send(&self.job_master, JobMasterMessage::CheckpointRead(result));
            }
            StoreMessage::Discard(parts) => self.discard(&parts),
            StoreMessage::Delete(completed, shared) => self.delete(&completed, &shared),
            StoreMessage::Stop { delete } => {
                if delete {
                    let base = checkpoint_base(&self.job);
                    let deleted = base.and_then(|base| self.services.storages.open(&base)?.delete_folder(""));
                    self.warn(deleted);
                }
                cx.stop();
            }
        }
    }
}
