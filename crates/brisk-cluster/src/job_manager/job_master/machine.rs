//! What a JobMaster decides: events in, actions out, no I/O.
//!
//! Invariants: the job's status moves as Flink's does and never leaves a final one; messages about anything but a subtask's current, live
//! attempt change nothing; a final status comes when the last subtask has reached a final state, and exactly once.

use super::alignment::AlignmentGroups;
use super::checkpoint::completed::{CompletedCheckpoint, CompletedCheckpoints};
use super::checkpoint::coordinator::{Assembled, CheckpointCoordinator, SavepointRequest};
use super::checkpoint::plan::RestorePlans;
use super::checkpoint::settings::CheckpointSettings;
use super::checkpoint::statistics::CheckpointTracker;
use super::coordinator::CoordinatorCall;
use super::execution_graph::{Change, ExecutionGraph, Subtask};
use super::failures::FailureHistory;
use super::restart::RestartStrategy;
use super::slot_sharing::SlotPlan;
use crate::details::FailedTask;
use crate::job::{JobOutcome, JobReport, JobSpec, SlotId, TaskAck, TaskDeployment, TaskReport, TaskSnapshot};
use crate::options::FAILURE_HISTORY;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId, TaskManagerId};
use brisk_base::{Error, ErrorKind, Result, Timestamp};
use brisk_core::checkpoint::Barrier;
use brisk_core::job::{ExecutionState, JobStatus};
use brisk_core::job_graph::JobVertex;
use brisk_core::operator::Unread;
use brisk_core::source::SourceEvent;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

mod details;
mod recovery;

/// Later failures that are kept as texts.
const SUPPRESSED_KEPT: usize = 16;

/// What happens to a job.
#[derive(Debug)]
pub enum JobEvent {
    /// It begins.
    Start,
    /// Its slots are there, in the order of the [`SlotPlan`].
    Slots(Vec<SlotId>),
    /// It gets no slots.
    NoSlots(Error),
    /// A TaskManager is ready to run its tasks.
    HostReady(TaskManagerId),
    /// A TaskManager could not make ready, or what ran the job's tasks there has died; its slots are still there.
    HostFailed(TaskManagerId, Error),
    /// A TaskManager runs nothing of the job any more, and its slots are gone: why.
    HostLost(TaskManagerId, Error),
    /// A task has reached a state.
    Task(TaskReport),
    /// A reader has a message for its coordinator.
    FromReader {
        /// Its task.
        attempt: AttemptId,
        /// The operator.
        operator: OperatorId,
        /// The message.
        event: SourceEvent,
    },
    /// A coordinator has messages for its readers, or news for its alignment group.
    FromCoordinator {
        /// Index of the source.
        source: usize,
        /// Messages by subtask.
        to_subtasks: Vec<(u32, SourceEvent)>,
        /// Alignment group, and the source's lowest watermark.
        group_watermark: Option<(String, Timestamp)>,
    },
    /// A coordinator has failed.
    CoordinatorFailed(Error),
    /// The checkpoint that the job begins from has been read, or could not be.
    CheckpointRead(Result<Box<CompletedCheckpoint>>),
    /// A coordinator has handed over its state.
    CoordinatorState {
        /// Index of the source.
        source: usize,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The state.
        state: Vec<u8>,
    },
    /// A task has stored its part of a checkpoint.
    Acknowledged(AttemptId, CheckpointId, Box<TaskAck>),
    /// A task takes no part in a checkpoint.
    Declined(CheckpointId, Error),
    /// A task's part of a checkpoint could not be stored.
    StoreFailed(CheckpointId, Error),
    /// The metadata of a checkpoint has been written, or could not be.
    MetadataWritten(CheckpointId, Result<Box<CompletedCheckpoint>>),
    /// A task has processed all its input, and waits for a checkpoint.
    EndOfData(AttemptId),
    /// Somebody asks for a savepoint.
    Savepoint(SavepointRequest),
    /// Time has passed.
    Time,
    /// Somebody wants the job to end.
    Cancel,
    /// Something about the job broke.
    Broken(Error),
    /// The program has read so many bytes of results of an operator's subtask.
    ResultRead(OperatorId, u32, u64),
}

/// What is to be done.
#[derive(Debug)]
pub enum JobAction {
    /// Publish the status.
    Status(JobStatus),
    /// Ask for slots.
    RequestSlots(u32),
    /// Give back what was asked for: no TaskManager has been told of the job.
    ReleaseSlots,
    /// Have a TaskManager make ready for the job.
    OpenHost(TaskManagerId),
    /// Have it run tasks.
    Deploy(TaskManagerId, Vec<TaskDeployment>),
    /// Have it cancel tasks.
    CancelTasks(TaskManagerId, Vec<AttemptId>),
    /// Give a message to a reader.
    ToReader(TaskManagerId, AttemptId, OperatorId, SourceEvent),
    /// Have it forget the job; all of its tasks are over.
    CloseHost(TaskManagerId),
    /// Start the coordinator of a source, with the state that it goes on from.
    StartCoordinator(usize, Option<Vec<u8>>),
    /// Call it.
    CallCoordinator(usize, CoordinatorCall),
    /// End it.
    StopCoordinator(usize),
    /// Read the checkpoint that the job begins from; whether the job becomes its owner.
    ReadCheckpoint(String, bool),
    /// Begin a checkpoint at these tasks.
    Trigger(TaskManagerId, Vec<AttemptId>, Barrier),
    /// Tell a TaskManager where the parts of a savepoint go.
    SnapshotTo(TaskManagerId, CheckpointId, String),
    /// Tell its tasks that a checkpoint is complete.
    TellComplete(TaskManagerId, CheckpointId),
    /// Tell its tasks that a checkpoint has been given up.
    TellAborted(TaskManagerId, CheckpointId),
    /// Write the metadata of a checkpoint.
    WriteMetadata(Box<Assembled<TaskAck>>),
    /// Delete what was stored for a checkpoint that will not be complete.
    Discard(Vec<TaskAck>),
    /// Delete a checkpoint, and these files that it shared.
    DeleteCheckpoint(Box<CompletedCheckpoint>, Vec<String>),
    /// Answer whoever asked for a savepoint.
    AnswerSavepoint(u64, Result<String>),
    /// Give the program what an operator has for it.
    ToProgram(OperatorId, u32, Vec<u8>),
    /// A failure has happened from which the job recovers.
    Recovers(String),
    /// The job is over.
    Done(JobOutcome),
}

/// A source operator of the job.
#[derive(Debug)]
pub struct SourceState {
    /// Index of its vertex.
    pub vertex: usize,
    /// Its operator.
    pub operator: OperatorId,
    /// Readers that the coordinator knows, by subtask.
    registered: Vec<bool>,
    /// Subtasks that are not over.
    open: u32,
    /// Whether its coordinator runs.
    running: bool,
}

/// See the module.
pub struct JobMaster {
    job: JobSpec,
    status: JobStatus,
    executions: ExecutionGraph,
    slots: SlotPlan,
    /// The source operators, by index.
    sources: Vec<SourceState>,
    /// The source of each vertex, if it has one.
    source_of: Vec<Option<usize>>,
    alignment: AlignmentGroups,
    /// TaskManagers that give slots, and how they stand.
    hosts: BTreeMap<TaskManagerId, HostState>,
    /// The slots by their number in the plan; `None` for those that are not there, or not any more.
    placed: Vec<Option<SlotId>>,
    /// Whether slots have been asked for and not come.
    asked: bool,
    /// Whether there have been slots: before, nothing could have been wrong that may be better the next time.
    has_been_placed: bool,
    /// The first failure.
    failure: Option<Error>,
    /// Later failures, as texts.
    suppressed: Vec<String>,
    /// Tasks that did not end.
    given_up: BTreeSet<String>,
    actions: Vec<JobAction>,
    /// Processing time of the event at hand.
    now: Timestamp,
    /// Pipelined regions: what is restarted together.
    regions: Vec<Region>,
    restart: RestartStrategy,
    checkpoints: CheckpointCoordinator<TaskAck>,
    completed: CompletedCheckpoints,
    /// What the tasks that run now began with; its files stay as long as they do.
    restored: Option<CompletedCheckpoint>,
    /// Dropped checkpoints whose shared files stay until the next one is complete.
    dropped: Vec<CompletedCheckpoint>,
    /// When the checkpoint that the job begins from is read again.
    read_at: Option<Timestamp>,
    /// What source coordinators have for their readers while a checkpoint begins.
    held: Vec<(usize, Vec<(u32, SourceEvent)>)>,
    /// What its checkpoints took.
    tracker: CheckpointTracker,
    /// When the job came into each status that it has had, last.
    times: BTreeMap<JobStatus, Timestamp>,
    /// What has failed.
    failures: FailureHistory,
    /// How often it has been restarted.
    restarts: u64,
}

/// How a TaskManager stands that gives slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HostState {
    /// It makes ready.
    Opening,
    /// It runs tasks.
    Ready,
    /// It is to be asked to make ready again, when the job goes on.
    Down,
}

/// Vertices that are restarted together.
struct Region {
    vertices: Vec<usize>,
    /// When it is restarted; `None` while it runs.
    restart_at: Option<Timestamp>,
}

impl JobMaster {
    /// A job that was submitted at this time and has not begun.
    ///
    /// # Errors
    /// When its configuration is wrong.
    pub fn new(job: JobSpec, now: Timestamp) -> Result<Self> {
        let (mut sources, mut source_of) = (Vec::new(), Vec::new());
        for (index, vertex) in job.graph.vertices.iter().enumerate() {
            let operator = vertex.operators.iter().find(|operator| operator.source);
            source_of.push(operator.map(|_| sources.len()));
            sources.extend(operator.map(|operator| SourceState {
                vertex: index,
                operator: operator.id,
                registered: vec![false; vertex.parallelism as usize],
                open: vertex.parallelism,
                running: false,
            }));
        }
        let executions = ExecutionGraph::new(&job.graph, now);
        let settings = CheckpointSettings::of(&job.config)?;
        Ok(Self {
            status: JobStatus::Created,
            regions: executions.regions().into_iter().map(|vertices| Region { vertices, restart_at: None }).collect(),
            executions,
            restart: RestartStrategy::of(&job.config, job.id.0 as u64)?,
            tracker: CheckpointTracker::new(settings.history),
            times: [(JobStatus::Initializing, now), (JobStatus::Created, now)].into(),
            failures: FailureHistory::new(job.config.get(&FAILURE_HISTORY)? as usize),
            restarts: 0,
            checkpoints: CheckpointCoordinator::new(settings),
            completed: CompletedCheckpoints::default(),
            restored: None,
            dropped: Vec::new(),
            read_at: None,
            held: Vec::new(),
            now,
            slots: SlotPlan::new(&job.graph),
            sources,
            source_of,
            alignment: AlignmentGroups::default(),
            hosts: BTreeMap::new(),
            placed: Vec::new(),
            asked: false,
            has_been_placed: false,
            failure: None,
            suppressed: Vec::new(),
            given_up: BTreeSet::new(),
            actions: Vec::new(),
            job,
        })
    }

    /// The job's status.
    pub const fn status(&self) -> JobStatus {
        self.status
    }

    /// The subtasks.
    pub const fn executions(&self) -> &ExecutionGraph {
        &self.executions
    }

    /// The sources, by index.
    pub fn sources(&self) -> &[SourceState] {
        &self.sources
    }

    /// Sums over all subtasks, given the present figures of those that run.
    pub fn report(&self, running: &HashMap<AttemptId, TaskSnapshot>) -> JobReport {
        JobReport { checkpoints: self.tracker.statistics(), ..self.executions.sum(running) }
    }

    /// Reacts to an event that happens at this processing time.
    pub fn step(&mut self, event: JobEvent, now: Timestamp) -> Vec<JobAction> {
        self.now = now;
        self.executions.set_time(now);
        if !self.status.is_globally_terminal() {
            self.react(event);
            self.restart_what_is_due();
            self.follow_checkpoints();
            self.end_if_over();
        }
        std::mem::take(&mut self.actions)
    }

    /// When [`JobEvent::Time`] is wanted.
    pub fn next_time(&self) -> Option<Timestamp> {
        if self.status.is_globally_terminal() {
            return None;
        }
        // What is due already waits for something else than time.
        let restarts = self.regions.iter().filter_map(|region| region.restart_at).filter(|at| *at > self.now);
        restarts.chain(self.checkpoints.next_time()).chain(self.read_at).min()
    }

    /// The checkpoints that are kept, the newest last.
    pub const fn completed(&self) -> &CompletedCheckpoints {
        &self.completed
    }

    fn react(&mut self, event: JobEvent) {
        match event {
            JobEvent::Start => self.start(),
            JobEvent::Slots(slots) => self.take_slots(&slots),
            JobEvent::NoSlots(error) => self.fail_for_good(error),
            JobEvent::CoordinatorFailed(error) | JobEvent::Broken(error) => self.fail(error, None),
            JobEvent::HostReady(task_manager) => self.host_ready(task_manager),
            JobEvent::HostFailed(task_manager, error) => self.host_failed(task_manager, error),
            JobEvent::HostLost(task_manager, error) => self.host_lost(task_manager, error),
            JobEvent::Task(report) => self.task(report),
            JobEvent::ResultRead(operator, subtask, bytes) => self.result_read(operator, subtask, bytes),
            JobEvent::FromReader { attempt, operator, event } => self.message_from_reader(attempt, operator, event),
            JobEvent::FromCoordinator { source, to_subtasks, group_watermark } => {
                self.messages_from_coordinator(source, to_subtasks, group_watermark);
            }
            JobEvent::Cancel => self.cancel(),
            other => self.checkpoint_event(other),
        }
    }

    fn set_status(&mut self, status: JobStatus) {
        self.status = status;
        self.times.insert(status, self.now);
        self.actions.push(JobAction::Status(status));
    }

    fn start(&mut self) {
        if self.status != JobStatus::Created {
            return;
        }
        self.set_status(JobStatus::Running);
        self.executions.schedule();
        match self.recovery_path() {
            Ok(Some((path, claim))) => self.actions.push(JobAction::ReadCheckpoint(path, claim)),
            Ok(None) => self.begin(),
            Err(error) => self.fail_for_good(error),
        }
    }

    /// Starts the coordinators and asks for slots.
    fn begin(&mut self) {
        let plans = match self.plans() {
            Ok(plans) => plans,
            Err(error) => return self.fail_for_good(error),
        };
        let vertices: Vec<usize> = (0..self.job.graph.vertices.len()).collect();
        self.start_coordinators(&vertices, plans.as_ref());
        self.placed = vec![None; self.slots.count() as usize];
        self.prepare();
    }

    /// Whether all slots are there and ready to run tasks; if not, has that done.
    fn prepare(&mut self) -> bool {
        let missing = self.placed.iter().filter(|slot| slot.is_none()).count() as u32;
        if missing > 0 && !std::mem::replace(&mut self.asked, true) {
            self.actions.push(JobAction::RequestSlots(missing));
        }
        let task_managers: BTreeSet<_> = self.placed.iter().flatten().map(|slot| slot.task_manager).collect();
        for task_manager in task_managers {
            let state = self.hosts.entry(task_manager).or_insert(HostState::Down);
            if *state == HostState::Down {
                *state = HostState::Opening;
                self.actions.push(JobAction::OpenHost(task_manager));
            }
        }
        missing == 0 && self.hosts.values().all(|state| *state == HostState::Ready)
    }

    fn take_slots(&mut self, slots: &[SlotId]) {
        if !matches!(self.status, JobStatus::Running | JobStatus::Restarting) || !std::mem::take(&mut self.asked) {
            return;
        }
        self.has_been_placed = true;
        let mut slots = slots.iter().copied();
        for (number, place) in self.placed.iter_mut().enumerate().filter(|(_, place)| place.is_none()) {
            *place = slots.next();
            let Some(slot) = *place else { break };
            self.executions.assign_slot(slot, |vertex, subtask| self.slots.slot(vertex, subtask) as usize == number);
        }
        self.prepare();
    }

    /// All exchanges are pipelined, so the tasks of a region can only run together: they are deployed when every host is ready.
    fn host_ready(&mut self, task_manager: TaskManagerId) {
        if let Some(state) = self.hosts.get_mut(&task_manager) {
            *state = HostState::Ready;
        }
        if self.status == JobStatus::Running && self.executions.has_scheduled() && self.prepare() {
            match self.plans() {
                Ok(plans) => self.deploy(plans.as_ref()),
                Err(error) => self.fail_for_good(error),
            }
        }
    }

    /// Deploys what is scheduled.
    fn deploy(&mut self, plans: Option<&RestorePlans>) {
        let graph = Arc::clone(&self.job.graph);
        let orders = self.executions.deploy(|vertex, subtask| plans.map(|plans| plans.task(&graph, vertex, subtask)));
        self.actions.extend(orders.into_iter().map(|(task_manager, orders)| JobAction::Deploy(task_manager, orders)));
        if let (Some(_), Some(restored)) = (plans, &self.restored) {
            self.tracker.restored(restored, self.now);
        }
        self.checkpoints.started(self.now);
    }

    /// What ran there has failed, or ended as it was to be cancelled. The slots stay: it is asked again when the job goes on.
    fn host_failed(&mut self, task_manager: TaskManagerId, error: Error) {
        let Some(state) = self.hosts.get_mut(&task_manager) else { return };
        let was_opening = std::mem::replace(state, HostState::Down) == HostState::Opening;
        if was_opening && error.kind() == ErrorKind::User {
            // The same will happen the next time.
            return self.fail_for_good(error);
        }
        self.tasks_lost(task_manager, &error);
        match self.status {
            JobStatus::Restarting if was_opening => self.delay_restart(error),
            // What can be done before the job goes on is done at once.
            JobStatus::Restarting => drop(self.prepare()),
            _ if was_opening => self.fail(error, None),
            _ => {}
        }
    }

    /// What the job needs to go on has failed: another failure, after which it waits again.
    fn delay_restart(&mut self, error: Error) {
        match self.restart.on_failure(self.now) {
            Some(delay) => {
                self.actions.push(JobAction::Recovers(format!("{error}; trying again in {delay:?}")));
                self.suppress(&error);
                let again = self.now + delay.into();
                self.regions.iter_mut().filter(|region| region.restart_at.is_some()).for_each(|region| region.restart_at = Some(again));
            }
            None => self.fail_for_good(error),
        }
    }

    /// What ran there has failed, or ended as it was to be cancelled. Other slots are asked for when the job goes on.
    fn host_lost(&mut self, task_manager: TaskManagerId, error: Error) {
        let Some(state) = self.hosts.remove(&task_manager) else { return };
        for place in &mut self.placed {
            place.take_if(|slot| slot.task_manager == task_manager);
        }
        self.tasks_lost(task_manager, &error);
        match self.status {
            JobStatus::Restarting => drop(self.prepare()),
            _ if state == HostState::Opening => self.fail(error, None),
            _ => {}
        }
    }

    fn tasks_lost(&mut self, task_manager: TaskManagerId, error: &Error) {
        let there =
            self.executions.subtasks().filter(|(_, execution)| execution.slot.is_some_and(|slot| slot.task_manager == task_manager));
        let on_its_way =
            |state: ExecutionState| !state.is_terminal() && !matches!(state, ExecutionState::Created | ExecutionState::Scheduled);
        let lost: Vec<_> = there.filter(|(_, execution)| on_its_way(execution.state)).map(|(subtask, _)| subtask).collect();
        for subtask in lost {
            let error = Error::new(error.kind(), error.to_string());
            let report = TaskReport::new(self.executions.attempt(subtask), ExecutionState::Failed);
            self.task(report.with_error(Some(error)));
        }
    }

    fn task(&mut self, report: TaskReport) {
        let TaskReport { attempt, state, error, last, given_up } = report;
        let Some(subtask) = self.executions.live(attempt) else { return };
        let was_canceling = self.executions.execution(subtask).state == ExecutionState::Canceling;
        let was_restoring = self.executions.execution(subtask).state == ExecutionState::Initializing && self.restored.is_some();
        let change = self.executions.report(subtask, state, last);
        if let Some(name) = given_up {
            self.given_up.insert(name);
        }
        match change {
            Change::None => return,
            Change::To(ExecutionState::Running) => self.register_reader(subtask),
            Change::To(ExecutionState::Failed) => {
                let error = error.unwrap_or_else(|| Error::bug("it failed without saying why"));
                let error = self.located(error, subtask);
                if was_restoring && error.kind() == ErrorKind::Corrupt {
                    // What is damaged will not be better the next time; going on without it would lose state.
                    self.fail_for_good(error);
                } else {
                    self.fail(error, Some(subtask));
                }
            }
            Change::To(_) => {
                if let Some(error) = error.filter(|_| was_canceling) {
                    self.suppress(&self.located(error, subtask));
                }
            }
            Change::Vanished => {
                let error = self.located(Error::bug("it stopped without having been cancelled"), subtask);
                self.fail(error, Some(subtask));
            }
        }
        if self.executions.execution(subtask).state.is_terminal() {
            self.checkpoints.task_ended(attempt);
            self.remove_reader(subtask);
        }
    }

    /// Errors of operators name operator and subtask already.
    fn located(&self, error: Error, subtask: Subtask) -> Error {
        if error.places().is_empty() { error.context(self.job.task_place(subtask.vertex, subtask.index)) } else { error }
    }

    /// A failure of a task, or of the whole job. The restart strategy decides; what follows from a failure is only noted.
    fn fail(&mut self, error: Error, subtask: Option<Subtask>) {
        let restartable = self.has_been_placed && matches!(self.status, JobStatus::Running | JobStatus::Restarting);
        let hit = |region: &Region| subtask.is_none_or(|subtask| region.vertices.contains(&subtask.vertex));
        let hit: Vec<usize> = (0..self.regions.len()).filter(|at| hit(&self.regions[*at])).collect();
        if restartable && hit.iter().all(|at| self.regions[*at].restart_at.is_some()) {
            return self.suppress(&error);
        }
        match if restartable { self.restart.on_failure(self.now) } else { None } {
            Some(delay) => {
                self.failures.add(self.now, &error, subtask.map(|subtask| self.failed_task(subtask)));
                self.recover(&error, &hit, delay);
            }
            None => self.fail_for_good_at(error, subtask),
        }
    }

    /// The job ends with this failure, unless it is ending already.
    fn fail_for_good(&mut self, error: Error) {
        self.fail_for_good_at(error, None);
    }

    fn fail_for_good_at(&mut self, error: Error, subtask: Option<Subtask>) {
        match self.status {
            JobStatus::Created | JobStatus::Running | JobStatus::Restarting => {
                self.failures.add(self.now, &error, subtask.map(|subtask| self.failed_task(subtask)));
                self.failure = Some(error);
                self.wind_up(JobStatus::Failing);
            }
            _ => self.suppress(&error),
        }
    }

    fn failed_task(&self, subtask: Subtask) -> FailedTask {
        let task_manager = self.executions.execution(subtask).slot.map(|slot| slot.task_manager);
        FailedTask { name: self.job.task_place(subtask.vertex, subtask.index), task_manager }
    }

    fn suppress(&mut self, error: &Error) {
        self.failures.add_concurrent(self.now, error);
        if self.suppressed.len() < SUPPRESSED_KEPT {
            self.suppressed.push(error.to_string());
        }
    }

    fn cancel(&mut self) {
        match self.status {
            JobStatus::Created | JobStatus::Running | JobStatus::Restarting => self.wind_up(JobStatus::Cancelling),
            // The tasks are being cancelled already; only the job's end will be another.
            JobStatus::Failing => self.set_status(JobStatus::Cancelling),
            _ => {}
        }
    }

    /// Cancels all tasks and ends the coordinators.
    fn wind_up(&mut self, status: JobStatus) {
        self.set_status(status);
        self.regions.iter_mut().for_each(|region| region.restart_at = None);
        self.checkpoints.suspend(self.failure.as_ref().unwrap_or(&Error::user("the job was cancelled")));
        let vertices: Vec<usize> = (0..self.job.graph.vertices.len()).collect();
        let orders = self.executions.cancel(&vertices);
        self.actions.extend(orders.into_iter().map(|(task_manager, attempts)| JobAction::CancelTasks(task_manager, attempts)));
        (0..self.sources.len()).for_each(|source| self.stop_coordinator(source));
    }

    fn end_if_over(&mut self) {
        if !self.executions.is_over() {
            return;
        }
        let status = match self.status {
            JobStatus::Running => JobStatus::Finished,
            JobStatus::Failing => JobStatus::Failed,
            JobStatus::Cancelling => JobStatus::Canceled,
            _ => return,
        };
        self.set_status(status);
        self.follow_checkpoints();
        self.drop_checkpoints(status);
        if self.hosts.is_empty() {
            self.actions.push(JobAction::ReleaseSlots);
        }
        self.actions.extend(self.hosts.keys().map(|task_manager| JobAction::CloseHost(*task_manager)));
        let outcome = JobOutcome {
            status,
            error: self.final_error(),
            suppressed: std::mem::take(&mut self.suppressed),
            report: self.report(&HashMap::new()),
        };
        self.actions.push(JobAction::Done(outcome));
    }

    fn final_error(&mut self) -> Option<Error> {
        let error = match (self.status, self.failure.take()) {
            (JobStatus::Finished, _) => return None,
            (JobStatus::Canceled, None) => Error::user("the job was cancelled"),
            (JobStatus::Canceled, Some(failure)) => Error::user(format!("the job was cancelled while it failed: {failure}")),
            (_, failure) => failure.unwrap_or_else(|| Error::bug("the job failed without a reason")),
        };
        let place = self.job.place();
        if self.given_up.is_empty() {
            return Some(error.context(place));
        }
        let names: Vec<_> = self.given_up.iter().map(String::as_str).collect();
        Some(error.context(format!("{place} (gave up waiting for {})", names.join(", "))))
    }

    fn register_reader(&mut self, subtask: Subtask) {
        let Some(index) = self.source_of[subtask.vertex] else { return };
        let source = &mut self.sources[index];
        if source.running && !std::mem::replace(&mut source.registered[subtask.index as usize], true) {
            self.actions.push(JobAction::CallCoordinator(index, CoordinatorCall::AddReader(subtask.index)));
        }
    }

    fn remove_reader(&mut self, subtask: Subtask) {
        let Some(index) = self.source_of[subtask.vertex] else { return };
        let source = &mut self.sources[index];
        source.open -= 1;
        if source.open == 0 {
            self.stop_coordinator(index);
        } else if source.running && source.registered[subtask.index as usize] {
            self.actions.push(JobAction::CallCoordinator(index, CoordinatorCall::RemoveReader(subtask.index)));
        }
    }

    fn stop_coordinator(&mut self, index: usize) {
        if std::mem::replace(&mut self.sources[index].running, false) {
            self.actions.push(JobAction::StopCoordinator(index));
            let left = self.alignment.remove(index);
            left.into_iter().for_each(|(lowest, sources)| self.announce(lowest, &sources));
        }
    }

    /// A message may come before the task is known to run: then it is what registers the reader.
    fn message_from_reader(&mut self, attempt: AttemptId, operator: OperatorId, event: SourceEvent) {
        let Some(subtask) = self.executions.live(attempt) else { return };
        let source = self.source_of[subtask.vertex].filter(|&index| self.sources[index].operator == operator);
        let Some(index) = source else {
            if let SourceEvent::Custom(bytes) = event {
                return self.actions.push(JobAction::ToProgram(operator, subtask.index, bytes));
            }
            let error = self.located(Error::bug(format!("operator {operator} has no coordinator to send {event:?} to")), subtask);
            return self.fail(error, Some(subtask));
        };
        self.register_reader(subtask);
        if self.sources[index].running {
            self.actions.push(JobAction::CallCoordinator(index, CoordinatorCall::Event(subtask.index, event)));
        }
    }

    /// The task that gave a result may give more. One that has taken its place since hears it too, and makes allowance.
    fn result_read(&mut self, operator: OperatorId, index: u32, bytes: u64) {
        let of = |vertex: &JobVertex| index < vertex.parallelism && vertex.operators.iter().any(|chained| chained.id == operator);
        let Some(vertex) = self.job.graph.vertices.iter().position(of) else { return };
        let subtask = Subtask { vertex, index };
        let execution = self.executions.execution(subtask);
        let runs = matches!(execution.state, ExecutionState::Deploying | ExecutionState::Initializing | ExecutionState::Running);
        if let (true, Some(slot)) = (runs, execution.slot) {
            let attempt = self.executions.attempt(subtask);
            self.actions.push(JobAction::ToReader(slot.task_manager, attempt, operator, Unread::event(bytes)));
        }
    }

    fn messages_from_coordinator(&mut self, index: usize, messages: Vec<(u32, SourceEvent)>, group_watermark: Option<(String, Timestamp)>) {
        let source = &self.sources[index];
        if !source.running {
            return;
        }
        if self.checkpoints.holds_back(index) {
            // Splits that are given now are in the coordinator's state, or not; the readers must not have them before the barrier.
            self.held.push((index, messages));
            return self.take_group_watermark(index, group_watermark);
        }
        for (reader, event) in messages {
            if let Err(error) = self.send_to_reader(index, reader, event) {
                let operator = &self.job.graph.vertices[self.sources[index].vertex].operators[0].name;
                let error = error.context(format!("split enumerator of operator '{operator}'"));
                let vertex = self.sources[index].vertex;
                return self.fail(error, Some(Subtask { vertex, index: 0 }));
            }
        }
        self.take_group_watermark(index, group_watermark);
    }

    fn take_group_watermark(&mut self, index: usize, group_watermark: Option<(String, Timestamp)>) {
        if let Some((group, watermark)) = group_watermark {
            let (lowest, sources) = self.alignment.report(index, group, watermark);
            self.announce(lowest, &sources);
        }
    }

    fn send_to_reader(&mut self, source: usize, reader: u32, event: SourceEvent) -> Result<()> {
        use ExecutionState::{Created, Deploying, Finished, Initializing, Running, Scheduled};
        let SourceState { vertex, operator, registered, .. } = &self.sources[source];
        if reader as usize >= registered.len() {
            return Err(Error::user(format!(
                "it has a message for reader {reader}, but readers are numbered from 0 to {}",
                registered.len() - 1
            )));
        }
        let subtask = Subtask { vertex: *vertex, index: reader };
        let execution = self.executions.execution(subtask);
        match (execution.state, execution.slot) {
            (Deploying | Initializing | Running, Some(slot)) => {
                let attempt = self.executions.attempt(subtask);
                self.actions.push(JobAction::ToReader(slot.task_manager, attempt, *operator, event));
                Ok(())
            }
            (Created | Scheduled, _) => Err(Error::user(format!("it has a message for reader {reader}, which has not registered yet"))),
            (Finished, _) if matches!(event, SourceEvent::AddSplits(_)) => {
                Err(Error::user(format!("it gives splits to reader {reader}, which has finished: they would be lost")))
            }
            _ => Ok(()),
        }
    }

    fn announce(&mut self, lowest: Timestamp, sources: &[usize]) {
        let running = sources.iter().filter(|&&source| self.sources[source].running);
        self.actions.extend(running.map(|&source| JobAction::CallCoordinator(source, CoordinatorCall::GroupLimit(lowest))));
    }
}
