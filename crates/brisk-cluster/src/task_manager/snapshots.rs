//! Stores what tasks hand over at barriers, on threads of its own, and tells the JobMaster; and reads what tasks begin with.

use super::TaskManagerMessage;
use crate::job::{SnapshotFigures, SnapshotTarget, TaskAck, TaskRestorePlan};
use crate::job_manager::JobMasterMessage;
use crate::services::StorageProvider;
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::ids::{AttemptId, CheckpointId, JobId};
use brisk_base::{Error, Result, ResultExt};
use brisk_runtime::barrier::InFlightElements;
use brisk_runtime::task::{OldTask, RestoreTask, TaskCheckpoint, TaskRestore};
use brisk_state::snapshot::{CheckpointLocation, load_blob, read_operator, store_blob, write_task};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// What the actor understands.
pub enum SnapshotMessage {
    /// Store a task's part of a checkpoint.
    Store {
        /// The task.
        attempt: AttemptId,
        /// What it handed over.
        checkpoint: Box<TaskCheckpoint>,
        /// Where to.
        target: SnapshotTarget,
    },
    /// End.
    Stop,
}

/// Stores the parts of one job's tasks in this process. Whoever spawns it gives it a thread.
pub struct SnapshotStore {
    storages: Arc<dyn StorageProvider>,
    job_master: Address<JobMasterMessage>,
    task_manager: Address<TaskManagerMessage>,
    /// The job, and which of its hosts this store belongs to.
    host: (JobId, u64),
    /// State up to this size has no file of its own.
    inline_below: usize,
    /// Whether its thread lets those of subtasks go first.
    gives_way: bool,
}

impl SnapshotStore {
    /// A store for one job.
    pub fn new(
        storages: Arc<dyn StorageProvider>,
        (job_master, task_manager): (Address<JobMasterMessage>, Address<TaskManagerMessage>),
        host: (JobId, u64),
        inline_below: usize,
    ) -> Self {
        Self { storages, job_master, task_manager, host, inline_below, gives_way: false }
    }

    fn store(&self, attempt: AttemptId, taken: TaskCheckpoint, target: &SnapshotTarget, cx: &ActorContext<'_>) -> Result<TaskAck> {
        let began = cx.world().mono();
        let storage = self.storages.open(&target.base)?;
        let mut at =
            if target.savepoint { CheckpointLocation::savepoint() } else { CheckpointLocation::checkpoint(taken.barrier.checkpoint) };
        at.inline_below = self.inline_below;
        let name = attempt.to_string();
        let figures = SnapshotFigures {
            start_delay: taken.start_delay,
            alignment: taken.alignment,
            sync: taken.sync,
            in_flight_records: taken.in_flight.rows(),
            ..SnapshotFigures::default()
        };
        let in_flight = taken.in_flight.encode();
        let (state, sizes) = write_task(storage.as_ref(), &at, &name, taken.operators)?;
        let in_flight_bytes = if taken.in_flight.is_empty() { 0 } else { in_flight.len() as u64 };
        let path = at.path(&format!("{name}-channels"));
        let stored = store_blob(storage.as_ref(), path, in_flight, self.inline_below)?;
        let asynchronous = cx.world().mono().since(began);
        let (full_bytes, stored_bytes) = (sizes.full_bytes + in_flight_bytes, sizes.stored_bytes + in_flight_bytes);
        let figures = SnapshotFigures { asynchronous, full_bytes, stored_bytes, in_flight_bytes, ..figures };
        Ok(TaskAck { target: target.clone(), state, in_flight: Some(stored), figures })
    }
}

impl Actor for SnapshotStore {
    type Message = SnapshotMessage;

    fn handle(&mut self, message: SnapshotMessage, cx: &mut ActorContext<'_>) {
        if !std::mem::replace(&mut self.gives_way, true) {
            cx.world().spawner.give_way();
        }
        match message {
            SnapshotMessage::Store { attempt, checkpoint, target } => {
                let id = checkpoint.barrier.checkpoint;
                let answer = match self.store(attempt, *checkpoint, &target, cx) {
                    Ok(ack) => JobMasterMessage::Acknowledged { attempt, checkpoint: id, ack: Box::new(ack) },
                    Err(error) => JobMasterMessage::StoreFailed { attempt, checkpoint: id, error },
                };
                cx.send(&self.job_master, answer);
            }
            SnapshotMessage::Stop => cx.stop(),
        }
    }

    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        let error = error.context("storing a snapshot");
        cx.send(&self.task_manager, TaskManagerMessage::HostFailed { job: self.host.0, run: self.host.1, error });
    }
}

/// A folder that is deleted with this value.
struct LocalFolder(PathBuf);

impl Drop for LocalFolder {
    fn drop(&mut self) {
        // It is there only if a backend has files of its own. What cannot be deleted is left to the clean-up of temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Reads what a task begins with, in its first poll. Files of backends are copied or linked below `folder`, which goes once the task has opened
/// its operators.
pub fn restore_task(storages: Arc<dyn StorageProvider>, plan: Arc<TaskRestorePlan>, folder: PathBuf) -> RestoreTask {
    Box::new(move || {
        let place = |id: CheckpointId| format!("restoring from checkpoint {id} in '{}'", plan.base);
        // Also when reading fails.
        let local = LocalFolder(folder);
        let restore = read(storages.as_ref(), &plan, &local.0).context(|| place(plan.checkpoint))?;
        Ok(TaskRestore { local: Some(Box::new(local)), ..restore })
    })
}

fn read(storages: &dyn StorageProvider, plan: &TaskRestorePlan, folder: &std::path::Path) -> Result<TaskRestore> {
    let storage = storages.open(&plan.base)?;
    let mut operators = BTreeMap::new();
    for (operator, state) in &plan.operators {
        let mut restored = read_operator(&storage, plan.checkpoint, state, &folder.join(operator.to_string()))?;
        restored.own_files = plan.own_files;
        operators.insert(*operator, Arc::new(restored));
    }
    let mut in_flight = Vec::new();
    for (vertex, subtask, parallelism, data) in &plan.in_flight {
        let bytes = load_blob(storage.as_ref(), data)?;
        let elements = InFlightElements::decode(&bytes).context(|| format!("records under way in task {vertex} ({subtask})"))?;
        in_flight.push(OldTask { vertex: *vertex, subtask: *subtask, parallelism: *parallelism, elements });
    }
    Ok(TaskRestore { operators, in_flight, local: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::ids::OperatorId;
    use brisk_core::state::{FileRef, NativeFile, NativeState};
    use brisk_core::types::KeyGroupRange;
    use brisk_state::checkpoint_storage::{CheckpointStorage, MemoryStorage};
    use brisk_state::snapshot::{KeyedHandle, NativeHandle, OperatorSubtaskState, StateData};

    struct One(Arc<dyn CheckpointStorage>);

    impl StorageProvider for One {
        fn open(&self, _base: &str) -> Result<Arc<dyn CheckpointStorage>> {
            Ok(Arc::clone(&self.0))
        }
    }

    #[test]
    fn local_copies_of_a_backends_files_go_with_what_was_restored() {
        let folder = tempfile::tempdir().expect("there is room");
        let local = folder.path().join("restored");
        let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
        let StateData::File(stored) = store_blob(&*storage, "file".to_owned(), b"of the backend".to_vec(), 0).expect("it is in memory")
        else {
            panic!("it is too long to be inline")
        };
        let plan = |file: FileRef| {
            let file = NativeFile { name: "000001.sst".to_owned(), file, shared: false };
            let state = NativeState { backend: "other".to_owned(), range: KeyGroupRange::new(0, 1), files: vec![file], meta: vec![] };
            let keyed = vec![KeyedHandle::Native(NativeHandle { state, states: vec![], range: KeyGroupRange::new(0, 1) })];
            let state = OperatorSubtaskState { keyed, ..OperatorSubtaskState::default() };
            let operators = vec![(OperatorId(7), state)];
            Arc::new(TaskRestorePlan {
                checkpoint: CheckpointId(1),
                base: "memory:".to_owned(),
                own_files: true,
                operators,
                in_flight: vec![],
            })
        };
        let restore = |file| restore_task(Arc::new(One(Arc::clone(&storage))), plan(file), local.clone())();
        let restored = restore(stored.clone()).expect("the file is whole");
        let part = restored.operators[&OperatorId(7)].native[0].folder.join("000001.sst");
        assert_eq!(std::fs::read(part).expect("it is there"), b"of the backend");
        drop(restored.local);
        assert!(!local.exists());
        assert!(restore(FileRef { checksum: 1, ..stored }).is_err());
        assert!(!local.exists(), "also when something is wrong with the files");
    }
}
