//! Which checkpoint a JobManager that is started again goes on from: a note of the newest one that is there.
//!
//! Invariant: what is noted is there. A checkpoint is noted when its metadata has been written, and not any more before it is deleted: one that
//! was given up meanwhile gives way to the one before it.

use crate::process::recovery::RecoveryStore;
use brisk_base::Result;
use brisk_base::ids::JobId;

/// The notes of one job.
pub struct NotedCheckpoints {
    store: RecoveryStore,
    job: JobId,
    /// Folders of checkpoints that are there, the newest last; `None` until it is known what an earlier JobManager has noted.
    folders: Option<Vec<String>>,
}

impl NotedCheckpoints {
    /// Those of a job.
    pub const fn new(store: RecoveryStore, job: JobId) -> Self {
        Self { store, job, folders: None }
    }

    fn folders(&mut self) -> Result<&mut Vec<String>> {
        if self.folders.is_none() {
            self.folders = Some(self.store.newest_checkpoint(self.job)?.into_iter().collect());
        }
        Ok(self.folders.get_or_insert_default())
    }

    /// A checkpoint has been written.
    ///
    /// # Errors
    /// The file system's.
    pub fn add(&mut self, folder: &str) -> Result<()> {
        self.folders()?;
        self.store.note_checkpoint(self.job, folder)?;
        self.folders()?.push(folder.to_owned());
        Ok(())
    }

    /// A checkpoint is about to be deleted.
    ///
    /// # Errors
    /// The file system's: the checkpoint must stay.
    pub fn remove(&mut self, folder: &str) -> Result<()> {
        let folders = self.folders()?;
        if folders.last().is_none_or(|last| last != folder) {
            folders.retain(|other| other != folder);
            return Ok(());
        }
        let before = folders.iter().rev().nth(1).cloned();
        match before {
            Some(before) => self.store.note_checkpoint(self.job, &before)?,
            None => self.store.forget_checkpoint(self.job)?,
        }
        self.folders()?.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::world::World;

    #[test]
    fn what_is_noted_is_there() {
        let folder = std::env::temp_dir().join(format!("brisk-noted-test-{}", World::real().random()));
        let store = RecoveryStore::open(&folder).expect("it can be made");
        let noted = || store.newest_checkpoint(JobId(1)).expect("it is sound");
        let mut checkpoints = NotedCheckpoints::new(store.clone(), JobId(1));
        ["chk-1", "chk-2"].iter().for_each(|folder| checkpoints.add(folder).expect("there is room"));
        checkpoints.remove("chk-1").expect("there is room");
        assert_eq!(noted().as_deref(), Some("chk-2"));
        checkpoints.add("chk-3").expect("there is room");
        checkpoints.remove("chk-3").expect("there is room");
        assert_eq!(noted().as_deref(), Some("chk-2"), "the third was given up");

        // A JobManager that is started again.
        let mut checkpoints = NotedCheckpoints::new(store.clone(), JobId(1));
        checkpoints.add("chk-4").expect("there is room");
        checkpoints.remove("chk-4").expect("there is room");
        assert_eq!(noted().as_deref(), Some("chk-2"));
        checkpoints.remove("chk-2").expect("there is room");
        assert_eq!(noted(), None);
        checkpoints.remove("chk-2").expect("there is nothing to do");
        std::fs::remove_dir_all(&folder).expect("it is there");
    }
}
