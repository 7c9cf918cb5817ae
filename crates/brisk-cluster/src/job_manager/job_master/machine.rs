//! What a JobMaster decides: events in, actions out, no I/O.
//!
//! Invariants: the job's status moves as Flink's does and never leaves a final one; messages about anything but a subtask's current, live
//! attempt change nothing; a final status comes when the last subtask has reached a final state, and exactly once.

use super::alignment::AlignmentGroups;
use super::coordinator::CoordinatorCall;
use super::execution_graph::{Change, ExecutionGraph, Subtask};
use super::slot_sharing::SlotPlan;
use crate::job::{JobOutcome, JobReport, JobSpec, SlotId, TaskDeployment, TaskReport, TaskSnapshot};
use brisk_base::ids::{AttemptId, OperatorId, TaskManagerId};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::job::{ExecutionState, JobStatus};
use brisk_core::source::SourceEvent;
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
    /// A TaskManager runs nothing of the job any more.
    HostLost(TaskManagerId),
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
    /// Somebody wants the job to end.
    Cancel,
    /// Something about the job broke.
    Broken(Error),
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
    /// Start the coordinator of a source.
    StartCoordinator(usize),
    /// Call it.
    CallCoordinator(usize, CoordinatorCall),
    /// End it.
    StopCoordinator(usize),
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
    /// TaskManagers that have been told of the job; true once they are ready.
    hosts: BTreeMap<TaskManagerId, bool>,
    /// The first failure.
    failure: Option<Error>,
    /// Later failures, as texts.
    suppressed: Vec<String>,
    /// Tasks that did not end.
    given_up: BTreeSet<String>,
    actions: Vec<JobAction>,
}

impl JobMaster {
    /// A job that has not begun.
    pub fn new(job: JobSpec) -> Self {
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
        Self {
            status: JobStatus::Created,
            executions: ExecutionGraph::new(&job.graph),
            slots: SlotPlan::new(&job.graph),
            sources,
            source_of,
            alignment: AlignmentGroups::default(),
            hosts: BTreeMap::new(),
            failure: None,
            suppressed: Vec::new(),
            given_up: BTreeSet::new(),
            actions: Vec::new(),
            job,
        }
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
        self.executions.sum(running)
    }

    /// Reacts to an event.
    pub fn step(&mut self, event: JobEvent) -> Vec<JobAction> {
        if !self.status.is_globally_terminal() {
            self.react(event);
            self.end_if_over();
        }
        std::mem::take(&mut self.actions)
    }

    fn react(&mut self, event: JobEvent) {
        match event {
            JobEvent::Start => self.start(),
            JobEvent::Slots(slots) => self.take_slots(&slots),
            JobEvent::NoSlots(error) | JobEvent::CoordinatorFailed(error) | JobEvent::Broken(error) => self.fail(error),
            JobEvent::HostReady(task_manager) => self.host_ready(task_manager),
            JobEvent::HostLost(task_manager) => self.host_lost(task_manager),
            JobEvent::Task(report) => self.task(report),
            JobEvent::FromReader { attempt, operator, event } => self.message_from_reader(attempt, operator, event),
            JobEvent::FromCoordinator { source, to_subtasks, group_watermark } => {
                self.messages_from_coordinator(source, to_subtasks, group_watermark);
            }
            JobEvent::Cancel => self.cancel(),
        }
    }

    fn set_status(&mut self, status: JobStatus) {
        self.status = status;
        self.actions.push(JobAction::Status(status));
    }

    fn start(&mut self) {
        if self.status != JobStatus::Created {
            return;
        }
        self.set_status(JobStatus::Running);
        self.executions.schedule();
        for (index, source) in self.sources.iter_mut().enumerate() {
            source.running = true;
            self.actions.push(JobAction::StartCoordinator(index));
        }
        self.actions.push(JobAction::RequestSlots(self.slots.count()));
    }

    fn take_slots(&mut self, slots: &[SlotId]) {
        if self.status != JobStatus::Running || !self.hosts.is_empty() {
            return;
        }
        if slots.len() != self.slots.count() as usize {
            return self.fail(Error::bug(format!("asked for {} slots and got {}", self.slots.count(), slots.len())));
        }
        let plan = &self.slots;
        self.executions.assign_slots(|vertex, subtask| slots[plan.slot(vertex, subtask) as usize]);
        let task_managers: BTreeSet<_> = slots.iter().map(|slot| slot.task_manager).collect();
        for task_manager in task_managers {
            self.hosts.insert(task_manager, false);
            self.actions.push(JobAction::OpenHost(task_manager));
        }
    }

    /// All exchanges are pipelined, so the tasks of a region can only run together: they are deployed when every host is ready.
    fn host_ready(&mut self, task_manager: TaskManagerId) {
        if let Some(ready) = self.hosts.get_mut(&task_manager) {
            *ready = true;
        }
        if self.status == JobStatus::Running && self.hosts.values().all(|ready| *ready) {
            let orders = self.executions.deploy();
            self.actions.extend(orders.into_iter().map(|(task_manager, orders)| JobAction::Deploy(task_manager, orders)));
        }
    }

    /// What ran there has failed, or ended as it was to be cancelled.
    fn host_lost(&mut self, task_manager: TaskManagerId) {
        let there =
            self.executions.subtasks().filter(|(_, execution)| execution.slot.is_some_and(|slot| slot.task_manager == task_manager));
        let lost: Vec<_> = there.filter(|(_, execution)| !execution.state.is_terminal()).map(|(subtask, _)| subtask).collect();
        for subtask in lost {
            let error = Error::transient(format!("the TaskManager {task_manager} does not run it any more"));
            let report = TaskReport::new(self.executions.attempt(subtask), ExecutionState::Failed);
            self.task(report.with_error(Some(error)));
        }
    }

    fn task(&mut self, report: TaskReport) {
        let TaskReport { attempt, state, error, last, given_up } = report;
        let Some(subtask) = self.executions.live(attempt) else { return };
        let was_canceling = self.executions.execution(subtask).state == ExecutionState::Canceling;
        let change = self.executions.report(subtask, state, last);
        if let Some(name) = given_up {
            self.given_up.insert(name);
        }
        match change {
            Change::None => return,
            Change::To(ExecutionState::Running) => self.register_reader(subtask),
            Change::To(ExecutionState::Failed) => {
                let error = error.unwrap_or_else(|| Error::bug("it failed without saying why"));
                self.fail(self.located(error, subtask));
            }
            Change::To(_) => {
                if let Some(error) = error.filter(|_| was_canceling) {
                    self.suppress(&self.located(error, subtask));
                }
            }
            Change::Vanished => self.fail(self.located(Error::bug("it stopped without having been cancelled"), subtask)),
        }
        if self.executions.execution(subtask).state.is_terminal() {
            self.remove_reader(subtask);
        }
    }

    /// Errors of operators name operator and subtask already.
    fn located(&self, error: Error, subtask: Subtask) -> Error {
        if error.places().is_empty() { error.context(self.job.task_place(subtask.vertex, subtask.index)) } else { error }
    }

    /// The first failure decides; what follows from it is only noted.
    fn fail(&mut self, error: Error) {
        match self.status {
            JobStatus::Created | JobStatus::Running => {
                self.failure = Some(error);
                self.wind_up(JobStatus::Failing);
            }
            _ => self.suppress(&error),
        }
    }

    fn suppress(&mut self, error: &Error) {
        if self.suppressed.len() < SUPPRESSED_KEPT {
            self.suppressed.push(error.to_string());
        }
    }

    fn cancel(&mut self) {
        match self.status {
            JobStatus::Created | JobStatus::Running => self.wind_up(JobStatus::Cancelling),
            // The tasks are being cancelled already; only the job's end will be another.
            JobStatus::Failing => self.set_status(JobStatus::Cancelling),
            _ => {}
        }
    }

    /// Cancels all tasks and ends the coordinators.
    fn wind_up(&mut self, status: JobStatus) {
        self.set_status(status);
        let orders = self.executions.cancel();
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
            return self.fail(self.located(Error::bug(format!("operator {operator} has no coordinator to send {event:?} to")), subtask));
        };
        self.register_reader(subtask);
        if self.sources[index].running {
            self.actions.push(JobAction::CallCoordinator(index, CoordinatorCall::Event(subtask.index, event)));
        }
    }

    fn messages_from_coordinator(&mut self, index: usize, messages: Vec<(u32, SourceEvent)>, group_watermark: Option<(String, Timestamp)>) {
        let source = &self.sources[index];
        if !source.running {
            return;
        }
        for (reader, event) in messages {
            if let Err(error) = self.send_to_reader(index, reader, event) {
                let operator = &self.job.graph.vertices[self.sources[index].vertex].operators[0].name;
                return self.fail(error.context(format!("split enumerator of operator '{operator}'")));
            }
        }
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
