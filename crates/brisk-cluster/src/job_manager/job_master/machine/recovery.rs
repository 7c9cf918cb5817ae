//! Checkpoints and restarts, as the JobMaster decides them.

use super::{JobAction, JobEvent, JobMaster};
use crate::job_manager::job_master::checkpoint::completed::CompletedCheckpoint;
use crate::job_manager::job_master::checkpoint::coordinator::{Decision, Standing};
use crate::job_manager::job_master::checkpoint::plan::RestorePlans;
use crate::job_manager::job_master::checkpoint::settings::Retention;
use crate::job_manager::job_master::coordinator::CoordinatorCall;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId, TaskManagerId};
use brisk_base::options::checkpoint_options::{CHECKPOINT_INTERVAL, IGNORE_UNCLAIMED_STATE, STATE_CLAIM_MODE, STATE_RECOVERY_PATH};
use brisk_base::{Error, ErrorKind, Result};
use brisk_core::checkpoint::{Barrier, SnapshotKind};
use brisk_core::job::JobStatus;
use brisk_state::checkpoint_storage::layout;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

impl JobMaster {
    /// The checkpoint that the job is to begin from, and whether it becomes the job's own.
    pub(super) fn recovery_path(&self) -> Result<Option<(String, bool)>> {
        let Some(path) = self.job.config.get(&STATE_RECOVERY_PATH)? else { return Ok(None) };
        let claim = match &*self.job.config.get(&STATE_CLAIM_MODE)? {
            "NO_CLAIM" | "no_claim" | "no-claim" => false,
            "CLAIM" | "claim" => true,
            other => return Err(Error::user(format!("'{}' is '{other}': expected NO_CLAIM or CLAIM", STATE_CLAIM_MODE.key()))),
        };
        Ok(Some((path, claim)))
    }

    /// What the tasks begin with: the newest completed checkpoint, or the one that the job began from.
    pub(super) fn plans(&mut self) -> Result<Option<RestorePlans>> {
        if let Some(latest) = self.completed.latest() {
            self.restored = Some(latest.clone());
        }
        let Some(checkpoint) = self.restored.clone() else { return Ok(None) };
        let ignore = self.job.config.get(&IGNORE_UNCLAIMED_STATE)?;
        let place = format!("restoring from '{}'", checkpoint.folder);
        RestorePlans::new(&self.job.graph, checkpoint, ignore).map(Some).map_err(|error| error.context(place))
    }

    /// Starts the coordinators of the sources among these vertices.
    pub(super) fn start_coordinators(&mut self, vertices: &[usize], plans: Option<&RestorePlans>) {
        for (index, source) in self.sources.iter_mut().enumerate().filter(|(_, source)| vertices.contains(&source.vertex)) {
            source.running = true;
            source.registered.fill(false);
            source.open = source.registered.len() as u32;
            let state = plans.and_then(|plans| plans.coordinator(source.operator));
            self.actions.push(JobAction::StartCoordinator(index, state));
        }
    }

    /// A failure from which the job recovers: the tasks of the regions are cancelled, and begin again after the delay.
    pub(super) fn recover(&mut self, error: &Error, regions: &[usize], delay: Duration) {
        self.restarts += 1;
        self.actions.push(JobAction::Recovers(format!("{error}; restarting in {delay:?}")));
        if self.status != JobStatus::Restarting {
            self.set_status(JobStatus::Restarting);
        }
        self.checkpoints.suspend(error);
        self.held.clear();
        for at in regions {
            self.regions[*at].restart_at = Some(self.now + delay.into());
            let vertices = self.regions[*at].vertices.clone();
            let orders = self.executions.cancel(&vertices);
            self.actions.extend(orders.into_iter().map(|(task_manager, attempts)| JobAction::CancelTasks(task_manager, attempts)));
            let sources: Vec<usize> = (0..self.sources.len()).filter(|at| vertices.contains(&self.sources[*at].vertex)).collect();
            sources.into_iter().for_each(|source| self.stop_coordinator(source));
        }
    }

    /// Restarts the regions whose time has come and whose tasks are all over.
    pub(super) fn restart_what_is_due(&mut self) {
        if self.status != JobStatus::Restarting {
            return;
        }
        let due = |at: &usize| {
            let region = &self.regions[*at];
            region.restart_at.is_some_and(|at| at <= self.now) && self.executions.are_over(&region.vertices)
        };
        let due: Vec<usize> = (0..self.regions.len()).filter(due).collect();
        if due.is_empty() || !self.prepare() {
            return;
        }
        let plans = match self.plans() {
            Ok(plans) => plans,
            Err(error) => return self.fail_for_good(error),
        };
        for at in due {
            self.regions[at].restart_at = None;
            let vertices = self.regions[at].vertices.clone();
            self.executions.restart(&vertices);
            self.start_coordinators(&vertices, plans.as_ref());
        }
        if self.regions.iter().all(|region| region.restart_at.is_none()) {
            self.set_status(JobStatus::Running);
        }
        self.deploy(plans.as_ref());
    }

    fn standing(&self) -> Standing {
        let running = self.sources.iter().enumerate().filter(|(_, source)| source.running);
        self.executions.standing(running.map(|(index, source)| (index, source.operator)).collect::<Vec<(usize, OperatorId)>>())
    }

    pub(super) fn checkpoint_event(&mut self, event: JobEvent) {
        let now = self.now;
        match event {
            JobEvent::CheckpointRead(Ok(checkpoint)) => self.begin_from(*checkpoint),
            JobEvent::CheckpointRead(Err(error)) => self.read_again(error),
            JobEvent::CoordinatorState { source, checkpoint, state } => self.checkpoints.coordinator_state(source, checkpoint, state),
            JobEvent::Acknowledged(attempt, checkpoint, ack) => {
                self.tracker.acknowledged(attempt, checkpoint, &ack.figures, now);
                self.checkpoints.acknowledge(attempt, checkpoint, *ack);
            }
            JobEvent::Declined(checkpoint, why) => self.checkpoints.decline(checkpoint, why),
            JobEvent::StoreFailed(checkpoint, why) => self.checkpoints.fail(checkpoint, why),
            JobEvent::MetadataWritten(checkpoint, result) => self.written(checkpoint, result),
            JobEvent::EndOfData(attempt) => {
                if self.executions.live(attempt).is_some() {
                    let standing = self.standing();
                    self.checkpoints.end_of_data(attempt, now, || standing);
                }
            }
            JobEvent::Savepoint(request) if self.cannot_drain(request.kind) => {
                let key = CHECKPOINT_INTERVAL.key();
                let why = Error::user(format!("a job can be drained for a savepoint only when it takes checkpoints: set '{key}'"));
                self.actions.push(JobAction::AnswerSavepoint(request.request, Err(why)));
            }
            JobEvent::Savepoint(request) => {
                let standing = self.standing();
                self.checkpoints.request_savepoint(request, now, || standing);
            }
            JobEvent::Time => {
                self.read_if_due();
                if self.checkpoints.next_time().is_some_and(|at| at <= now) {
                    let standing = self.standing();
                    self.checkpoints.on_time(now, || standing);
                }
            }
            other => self.fail(Error::bug(format!("a JobMaster does not know what to do about {other:?}")), None),
        }
    }

    /// The storage may be back later; what is damaged stays so.
    fn read_again(&mut self, error: Error) {
        let delay = if error.kind() == ErrorKind::Transient { self.restart.on_failure(self.now) } else { None };
        match delay {
            Some(delay) => {
                self.actions.push(JobAction::Recovers(format!("{error}; reading again in {delay:?}")));
                self.read_at = Some(self.now + delay.into());
            }
            None => self.fail_for_good(error),
        }
    }

    /// Reads the checkpoint that the job begins from again, when it is time.
    fn read_if_due(&mut self) {
        if self.read_at.take_if(|at| *at <= self.now).is_none() || self.status != JobStatus::Running {
            return;
        }
        if let Ok(Some((path, claim))) = self.recovery_path() {
            self.actions.push(JobAction::ReadCheckpoint(path, claim));
        }
    }

    /// Without checkpoints tasks end with their input, and nothing is left for a savepoint to hold.
    fn cannot_drain(&self, kind: SnapshotKind) -> bool {
        kind == (SnapshotKind::StopWithSavepoint { drain: true }) && self.checkpoints.settings().interval.is_none()
    }

    fn begin_from(&mut self, checkpoint: CompletedCheckpoint) {
        if self.status != JobStatus::Running || self.restored.is_some() {
            return;
        }
        self.checkpoints.continue_after(checkpoint.id());
        self.restored = Some(checkpoint);
        self.begin();
    }

    fn written(&mut self, checkpoint: CheckpointId, result: Result<Box<CompletedCheckpoint>>) {
        let (place, completed) = match result {
            Ok(completed) => (Ok(completed.folder.clone()), Some(*completed)),
            Err(error) => (Err(error), None),
        };
        let complete = self.checkpoints.written(checkpoint, place, self.now);
        let Some(completed) = completed else { return };
        if !complete {
            // It was given up while its metadata was being written.
            self.actions.push(JobAction::DeleteCheckpoint(Box::new(completed), Vec::new()));
            return;
        }
        self.tracker.completed(checkpoint, &completed.folder);
        let kind = completed.metadata.kind;
        if kind.is_savepoint() {
            return;
        }
        let mut gone = std::mem::take(&mut self.dropped);
        self.dropped = self.completed.add(completed, self.checkpoints.settings().retained);
        gone.retain(|old| self.restored.as_ref().is_none_or(|restored| restored.id() != old.id()));
        self.delete(gone);
    }

    /// Deletes checkpoints, and those of their shared files that no other one has.
    fn delete(&mut self, gone: Vec<CompletedCheckpoint>) {
        let kept = self.completed.iter().chain(&self.dropped).chain(self.restored.as_ref());
        let in_use: BTreeSet<String> = kept.flat_map(shared_files).collect();
        for completed in gone.into_iter().filter(|completed| completed.owned) {
            let files = shared_files(&completed).filter(|path| !in_use.contains(path)).collect();
            self.tracker.discarded(completed.id());
            self.actions.push(JobAction::DeleteCheckpoint(Box::new(completed), files));
        }
    }

    /// The job ends: what is not to be kept is deleted.
    pub(super) fn drop_checkpoints(&mut self, status: JobStatus) {
        let keep = match (self.checkpoints.settings().retention, status) {
            (_, JobStatus::Finished) | (Retention::Never, _) => false,
            (Retention::OnFailure, status) => status == JobStatus::Failed,
            (Retention::OnCancellation, _) => true,
        };
        let mut gone = std::mem::take(&mut self.dropped);
        if !keep {
            gone.extend(self.completed.take_all());
            gone.extend(self.restored.take());
        }
        gone.dedup_by_key(|completed| completed.id());
        self.delete(gone);
    }

    /// Whether a checkpoint is left that somebody may want.
    pub fn keeps_checkpoints(&self) -> bool {
        self.completed.latest().is_some()
    }

    /// Does what the checkpoint coordinator has decided.
    pub(super) fn follow_checkpoints(&mut self) {
        loop {
            let decisions = self.checkpoints.take_decisions();
            if decisions.is_empty() {
                return;
            }
            decisions.into_iter().for_each(|decision| self.follow(decision));
        }
    }

    fn follow(&mut self, decision: Decision<crate::job::TaskAck>) {
        match decision {
            Decision::Begin(barrier, finished) => self.tracker.began(barrier, &self.job.graph, &finished),
            Decision::SnapshotCoordinator(source, checkpoint) => {
                self.actions.push(JobAction::CallCoordinator(source, CoordinatorCall::Snapshot(checkpoint)));
            }
            Decision::Trigger(tasks, barrier, target) => self.trigger(tasks, barrier, target),
            Decision::Write(assembled) => self.actions.push(JobAction::WriteMetadata(assembled)),
            Decision::TellComplete(checkpoint) => {
                let hosts: Vec<TaskManagerId> = self.hosts.keys().copied().collect();
                self.actions.extend(hosts.into_iter().map(|host| JobAction::TellComplete(host, checkpoint)));
            }
            Decision::TellAborted(checkpoint, why) => {
                self.tracker.failed(checkpoint, &why, self.now);
                let hosts: Vec<TaskManagerId> = self.hosts.keys().copied().collect();
                self.actions.extend(hosts.into_iter().map(|host| JobAction::TellAborted(host, checkpoint)));
                self.let_go();
            }
            Decision::Discard(_, parts) => self.actions.push(JobAction::Discard(parts)),
            Decision::AnswerSavepoint(request, result) => self.actions.push(JobAction::AnswerSavepoint(request, result)),
            Decision::FailJob(error) => self.fail(error, None),
        }
    }

    fn trigger(&mut self, tasks: Vec<AttemptId>, barrier: Barrier, target: Option<String>) {
        if let Some(folder) = target {
            let to = |host: &TaskManagerId| JobAction::SnapshotTo(*host, barrier.checkpoint, folder.clone());
            self.actions.extend(self.hosts.keys().map(to));
        }
        let mut by_host: BTreeMap<TaskManagerId, Vec<AttemptId>> = BTreeMap::new();
        for attempt in tasks {
            let slot = self.executions.live(attempt).and_then(|subtask| self.executions.execution(subtask).slot);
            slot.into_iter().for_each(|slot| by_host.entry(slot.task_manager).or_default().push(attempt));
        }
        self.actions.extend(by_host.into_iter().map(|(host, tasks)| JobAction::Trigger(host, tasks, barrier)));
        self.let_go();
    }

    /// Passes on what source coordinators had for their readers.
    fn let_go(&mut self) {
        // Those that have to wait on are held again.
        for (source, messages) in std::mem::take(&mut self.held) {
            self.messages_from_coordinator(source, messages, None);
        }
    }
}

fn shared_files(completed: &CompletedCheckpoint) -> impl Iterator<Item = String> {
    completed.metadata.files().filter(|file| file.path.starts_with(layout::SHARED)).map(|file| file.path.clone())
}
