//! Decides when checkpoints begin and what becomes of them (Flink's `CheckpointCoordinator`): events in, decisions out, no I/O.
//!
//! A checkpoint goes through these phases: the source coordinators hand over their state; barriers begin at the tasks that have no running
//! producers; every task acknowledges; the metadata is written; then the checkpoint is complete, and all tasks are told.
//!
//! Invariants: numbers only grow; a checkpoint is complete only when its metadata has been written; what a checkpoint that fails has stored
//! is discarded; messages about a checkpoint that is not under way change nothing.

use super::settings::CheckpointSettings;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId};
use brisk_base::{Error, Timestamp};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use std::collections::{BTreeMap, BTreeSet};

/// A savepoint that somebody asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SavepointRequest {
    /// Names the request in the answer.
    pub request: u64,
    /// The folder to make it in; `None`: the configured one.
    pub target: Option<String>,
    /// What happens behind the barrier.
    pub kind: SnapshotKind,
}

/// A checkpoint whose parts are all there.
#[derive(Clone, Debug)]
pub struct Assembled<S> {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// What it is for.
    pub kind: SnapshotKind,
    /// When it began.
    pub began: Timestamp,
    /// The savepoint's folder, if one was named.
    pub target: Option<String>,
    /// The tasks' parts.
    pub tasks: BTreeMap<AttemptId, S>,
    /// Tasks that had finished before it began.
    pub finished: BTreeSet<AttemptId>,
    /// The source coordinators' state.
    pub coordinators: BTreeMap<OperatorId, Vec<u8>>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Decision<S> {
    /// A checkpoint begins; these tasks have finished before it.
    Begin(Barrier, BTreeSet<AttemptId>),
    /// Have the coordinator of this source hand over its state, and hold back what it has for its readers until the barriers are on their way.
    SnapshotCoordinator(usize, CheckpointId),
    /// Begin at these tasks; then let go of what the source coordinators have for their readers.
    /// The folder, if it is a savepoint that is to go into a folder of its own.
    Trigger(Vec<AttemptId>, Barrier, Option<String>),
    /// Write the metadata.
    Write(Box<Assembled<S>>),
    /// Tell all tasks that it is complete.
    TellComplete(CheckpointId),
    /// Tell all tasks that it has been given up, and let go of what the source coordinators have for their readers. Why, for people.
    TellAborted(CheckpointId, String),
    /// Delete what these tasks have stored for a checkpoint that will not be complete.
    Discard(CheckpointId, Vec<S>),
    /// Answer whoever asked for a savepoint.
    AnswerSavepoint(u64, Result<String, Error>),
    /// Too many checkpoints have failed.
    FailJob(Error),
}

/// How the tasks stand when a checkpoint is to begin.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Whether every task runs or has finished.
    pub all_running: bool,
    /// Tasks that run.
    pub running: BTreeSet<AttemptId>,
    /// Tasks that run and have no running producers.
    pub roots: Vec<AttemptId>,
    /// Tasks that have finished.
    pub finished: BTreeSet<AttemptId>,
    /// Sources whose coordinators run, with the operator.
    pub sources: Vec<(usize, OperatorId)>,
}

/// A checkpoint under way.
struct Pending<S> {
    barrier: Barrier,
    savepoint: Option<SavepointRequest>,
    standing: Standing,
    /// Source coordinators that have not handed over their state.
    coordinators_open: BTreeMap<usize, OperatorId>,
    coordinators: BTreeMap<OperatorId, Vec<u8>>,
    /// Tasks that have not acknowledged.
    open: BTreeSet<AttemptId>,
    tasks: BTreeMap<AttemptId, S>,
    /// Its metadata is being written.
    writing: bool,
}

/// See the module.
pub struct CheckpointCoordinator<S> {
    settings: CheckpointSettings,
    /// The number of the next one.
    next: CheckpointId,
    pending: BTreeMap<CheckpointId, Pending<S>>,
    /// When the next periodic one is due.
    due: Option<Timestamp>,
    /// Savepoints to be begun.
    requests: Vec<SavepointRequest>,
    /// Failures in a row.
    failures: u32,
    /// The job is being stopped with a savepoint: no further checkpoint begins.
    stopping: bool,
    /// Tasks that are through and wait for a checkpoint.
    at_end: BTreeSet<AttemptId>,
    decisions: Vec<Decision<S>>,
}

impl<S> CheckpointCoordinator<S> {
    /// A coordinator that has not begun.
    pub const fn new(settings: CheckpointSettings) -> Self {
        Self {
            settings,
            next: CheckpointId(1),
            pending: BTreeMap::new(),
            due: None,
            requests: Vec::new(),
            failures: 0,
            stopping: false,
            at_end: BTreeSet::new(),
            decisions: Vec::new(),
        }
    }

    /// The settings.
    pub const fn settings(&self) -> &CheckpointSettings {
        &self.settings
    }

    /// What has been decided since the last call.
    pub fn take_decisions(&mut self) -> Vec<Decision<S>> {
        std::mem::take(&mut self.decisions)
    }

    /// Whether the coordinator of this source has handed over its state for a checkpoint whose barriers are not on their way: what it has
    /// for its readers from then on waits for them.
    pub fn holds_back(&self, source: usize) -> bool {
        let handed_over = |pending: &Pending<S>| {
            pending.standing.sources.iter().any(|(at, _)| *at == source) && !pending.coordinators_open.contains_key(&source)
        };
        self.pending.values().any(|pending| !pending.coordinators_open.is_empty() && handed_over(pending))
    }

    /// Numbers go on after a checkpoint that the job begins from.
    pub fn continue_after(&mut self, checkpoint: CheckpointId) {
        self.next = self.next.max(CheckpointId(checkpoint.0 + 1));
    }

    /// The tasks have begun to run, for the first time or again.
    pub fn started(&mut self, now: Timestamp) {
        self.at_end.clear();
        self.due = self.settings.interval.map(|interval| now + interval.into());
    }

    /// When something is due.
    pub fn next_time(&self) -> Option<Timestamp> {
        let timeouts = self
            .pending
            .values()
            .filter(|pending| !pending.writing)
            .map(|pending| pending.barrier.timestamp + self.settings.timeout.into());
        timeouts.chain(self.due).min()
    }

    /// Somebody asks for a savepoint.
    pub fn request_savepoint(&mut self, request: SavepointRequest, now: Timestamp, standing: impl FnOnce() -> Standing) {
        self.requests.push(request);
        self.begin_what_is_due(now, standing);
    }

    /// Time has passed.
    pub fn on_time(&mut self, now: Timestamp, standing: impl FnOnce() -> Standing) {
        let timeout = self.settings.timeout;
        let late = |pending: &Pending<S>| !pending.writing && pending.barrier.timestamp + timeout.into() <= now;
        let expired: Vec<_> = self.pending.iter().filter(|(_, pending)| late(pending)).map(|(id, _)| *id).collect();
        for id in expired {
            let open = self.pending.get(&id).map_or(0, |pending| pending.open.len());
            let key = brisk_base::options::checkpoint_options::CHECKPOINT_TIMEOUT.key();
            self.abort(
                id,
                Error::transient(format!("it was not complete after {timeout:?} ('{key}'): {open} tasks have not acknowledged")),
                true,
            );
        }
        self.begin_what_is_due(now, standing);
    }

    fn begin_what_is_due(&mut self, now: Timestamp, standing: impl FnOnce() -> Standing) {
        let periodic = self.due.is_some_and(|due| due <= now);
        if !periodic && self.requests.is_empty() {
            return;
        }
        let standing = standing();
        for request in std::mem::take(&mut self.requests) {
            if self.stopping {
                let why = Error::user("the job is being stopped with a savepoint already");
                self.decisions.push(Decision::AnswerSavepoint(request.request, Err(why)));
            } else if standing.all_running && !standing.running.is_empty() {
                self.stopping |= request.kind.stops();
                self.begin(Some(request), now, standing.clone());
            } else {
                let why = Error::transient("not all tasks of the job are running: try again when they do");
                self.decisions.push(Decision::AnswerSavepoint(request.request, Err(why)));
            }
        }
        if periodic {
            self.due = self.settings.interval.map(|interval| now + interval.into());
            let room = self.pending.len() < self.settings.max_concurrent;
            if room && !self.stopping && standing.all_running && !standing.running.is_empty() {
                self.begin(None, now, standing);
            }
        }
    }

    fn begin(&mut self, savepoint: Option<SavepointRequest>, now: Timestamp, standing: Standing) {
        let checkpoint = self.next;
        self.next = CheckpointId(checkpoint.0 + 1);
        let kind = savepoint.as_ref().map_or(SnapshotKind::Checkpoint, |request| request.kind);
        // As in Flink, a savepoint has no records under way in it.
        let alignment = match self.settings.alignment {
            alignment if alignment.may_overtake() && kind.is_savepoint() => Alignment::Aligned,
            alignment => alignment,
        };
        let barrier = Barrier { checkpoint, timestamp: now, kind, alignment };
        self.decisions.push(Decision::Begin(barrier, standing.finished.clone()));
        let coordinators_open: BTreeMap<_, _> = standing.sources.iter().copied().collect();
        self.decisions.extend(coordinators_open.keys().map(|source| Decision::SnapshotCoordinator(*source, checkpoint)));
        let pending = Pending {
            barrier,
            savepoint,
            open: standing.running.clone(),
            standing,
            coordinators_open,
            coordinators: BTreeMap::new(),
            tasks: BTreeMap::new(),
            writing: false,
        };
        self.pending.insert(checkpoint, pending);
        self.send_barriers(checkpoint);
    }

    fn send_barriers(&mut self, checkpoint: CheckpointId) {
        if let Some(pending) = self.pending.get(&checkpoint).filter(|pending| pending.coordinators_open.is_empty()) {
            let target = pending.savepoint.as_ref().and_then(|request| request.target.clone());
            self.decisions.push(Decision::Trigger(pending.standing.roots.clone(), pending.barrier, target));
        }
    }

    /// A source coordinator has handed over its state.
    pub fn coordinator_state(&mut self, source: usize, checkpoint: CheckpointId, state: Vec<u8>) {
        let Some(pending) = self.pending.get_mut(&checkpoint) else { return };
        let Some(operator) = pending.coordinators_open.remove(&source) else { return };
        pending.coordinators.insert(operator, state);
        self.send_barriers(checkpoint);
    }

    /// A task has stored its part.
    pub fn acknowledge(&mut self, attempt: AttemptId, checkpoint: CheckpointId, state: S) {
        let pending = self.pending.get_mut(&checkpoint).and_then(|pending| pending.open.remove(&attempt).then_some(pending));
        let Some(pending) = pending else {
            self.decisions.push(Decision::Discard(checkpoint, vec![state]));
            return;
        };
        pending.tasks.insert(attempt, state);
        if !pending.open.is_empty() || !pending.coordinators_open.is_empty() {
            return;
        }
        pending.writing = true;
        let assembled = Assembled {
            checkpoint,
            kind: pending.barrier.kind,
            began: pending.barrier.timestamp,
            target: pending.savepoint.as_ref().and_then(|request| request.target.clone()),
            tasks: std::mem::take(&mut pending.tasks),
            finished: std::mem::take(&mut pending.standing.finished),
            coordinators: std::mem::take(&mut pending.coordinators),
        };
        self.decisions.push(Decision::Write(Box::new(assembled)));
    }

    /// A task takes no part, because it has ended or a later barrier has come: the next one may be better.
    pub fn decline(&mut self, checkpoint: CheckpointId, why: Error) {
        self.abort(checkpoint, why, false);
    }

    /// A task could not store its part.
    pub fn fail(&mut self, checkpoint: CheckpointId, why: Error) {
        self.abort(checkpoint, why, true);
    }

    /// The metadata is written, at this place. True when the checkpoint is complete now.
    pub fn written(&mut self, checkpoint: CheckpointId, place: Result<String, Error>, now: Timestamp) -> bool {
        let place = match place {
            Ok(place) => place,
            Err(error) => {
                self.abort(checkpoint, error, true);
                return false;
            }
        };
        let Some(pending) = self.pending.remove(&checkpoint) else { return false };
        self.failures = 0;
        // What began earlier and is not complete is of no use any more.
        let earlier: Vec<_> = self.pending.range(..checkpoint).filter(|(_, other)| other.savepoint.is_none()).map(|(id, _)| *id).collect();
        if !pending.barrier.kind.is_savepoint() {
            for id in earlier {
                self.give_up(id, Error::transient(format!("checkpoint {checkpoint} was complete before it")));
            }
        }
        self.decisions.push(Decision::TellComplete(checkpoint));
        if let Some(request) = pending.savepoint {
            self.decisions.push(Decision::AnswerSavepoint(request.request, Ok(place)));
        }
        let earliest = now + self.settings.min_pause.into();
        self.due = self.due.map(|due| due.max(earliest));
        true
    }

    /// A task is through: when all that run are, a checkpoint lets them end.
    pub fn end_of_data(&mut self, attempt: AttemptId, now: Timestamp, standing: impl FnOnce() -> Standing) {
        self.at_end.insert(attempt);
        if self.due.is_none() {
            return;
        }
        let standing = standing();
        if !standing.running.is_empty() && standing.running.is_subset(&self.at_end) {
            self.due = Some(now);
            // What is under way may have begun before the last task came to its end; it must not keep the last one waiting.
            if self.pending.len() >= self.settings.max_concurrent && !self.stopping {
                let under_way: Vec<_> =
                    self.pending.iter().filter(|(_, pending)| !pending.writing && pending.savepoint.is_none()).map(|(id, _)| *id).collect();
                under_way.into_iter().for_each(|id| self.give_up(id, Error::transient("the job has come to its end")));
            }
            self.begin_what_is_due(now, || standing);
        }
    }

    /// The tasks are being restarted or cancelled: nothing that is under way will be complete.
    pub fn suspend(&mut self, why: &Error) {
        let ids: Vec<_> = self.pending.keys().copied().collect();
        for id in ids {
            self.give_up(id, Error::new(why.kind(), format!("the job failed or was cancelled: {}", why.message())));
        }
        for request in std::mem::take(&mut self.requests) {
            self.decisions.push(Decision::AnswerSavepoint(request.request, Err(Error::transient("the job failed or was cancelled"))));
        }
        self.due = None;
        self.stopping = false;
        self.at_end.clear();
    }

    /// A task of a checkpoint that is under way has ended without acknowledging.
    pub fn task_ended(&mut self, attempt: AttemptId) {
        let of_it = self.pending.iter().filter(|(_, pending)| pending.open.contains(&attempt)).map(|(id, _)| *id);
        for id in of_it.collect::<Vec<_>>() {
            self.abort(id, Error::transient(format!("task {attempt} ended before it acknowledged")), false);
        }
    }

    /// One checkpoint fails, which may count as one of those that are tolerated.
    fn abort(&mut self, checkpoint: CheckpointId, why: Error, counts: bool) {
        let Some(pending) = self.pending.get(&checkpoint) else { return };
        let counts = counts && pending.savepoint.is_none();
        let drains = pending.barrier.kind == SnapshotKind::StopWithSavepoint { drain: true };
        let message = format!("checkpoint {checkpoint} failed: {}", why.message());
        self.give_up(checkpoint, why);
        if drains {
            // The sources have ended; only a restart brings the job back.
            self.decisions.push(Decision::FailJob(Error::transient(format!("{message}; the job had been drained for it"))));
        } else if counts {
            self.failures += 1;
            if self.failures > self.settings.tolerable_failures {
                let key = brisk_base::options::checkpoint_options::TOLERABLE_FAILED_CHECKPOINTS.key();
                let times = self.failures;
                let text = format!("{message}; {times} in a row are more than '{key}' allows ({})", self.settings.tolerable_failures);
                self.failures = 0;
                self.decisions.push(Decision::FailJob(Error::transient(text)));
            }
        }
    }

    fn give_up(&mut self, checkpoint: CheckpointId, why: Error) {
        let Some(pending) = self.pending.remove(&checkpoint) else { return };
        if pending.barrier.kind.stops() {
            self.stopping = false;
        }
        self.decisions.push(Decision::TellAborted(checkpoint, why.to_string()));
        let stored: Vec<S> = pending.tasks.into_values().collect();
        if !stored.is_empty() {
            self.decisions.push(Decision::Discard(checkpoint, stored));
        }
        if let Some(request) = pending.savepoint {
            self.decisions.push(Decision::AnswerSavepoint(request.request, Err(why)));
        }
    }
}

#[cfg(test)]
mod tests;
