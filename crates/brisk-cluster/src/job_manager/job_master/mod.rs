//! Runs one job from its submission to its end.
//!
//! | what | file |
//! |---|---|
//! | what is decided: [`machine::JobMaster`], events in, actions out | [`machine`] |
//! | subtasks, attempts and their states | [`execution_graph`] |
//! | what has failed | [`failures`] |
//! | which subtask goes to which slot | [`slot_sharing`] |
//! | split enumerators | [`coordinator`], [`coordinators`] |
//! | watermark alignment over several sources | [`alignment`] |
//! | the actor that carries messages: [`JobMasterShell`] | here |

pub mod alignment;
pub mod checkpoint;
pub mod coordinator;
pub mod coordinators;
pub mod execution_graph;
pub mod failures;
pub mod machine;
mod reporting;
pub mod restart;
pub mod slot_sharing;
#[cfg(test)]
mod tests;

use self::checkpoint::completed::CompletedCheckpoint;
use self::checkpoint::coordinator::SavepointRequest;
use self::checkpoint::store::{self, CheckpointStore, StoreMessage};
use self::coordinator::{CoordinatorMessage, CoordinatorRun};
use self::coordinators::{Coordinators, CoordinatorsMessage};
use self::machine::{JobAction, JobEvent, JobMaster};
use self::reporting::{Question, Reporting};
use super::{DispatcherMessage, ResourceManagerMessage, SlotOffer};
use crate::client::{ClientMessage, Publisher};
use crate::details::{Failure, JobDetails, JobFailure, JobPlan};
use crate::job::{JobOutcome, JobReport, JobSpec, SnapshotTarget, TaskAck, TaskReport, TaskSnapshot};
use crate::services::Services;
use crate::task_manager::{TaskHostMessage, TaskManagerMessage};
use crate::transport::{Actor, ActorContext, Address, Reply};
use crate::user_metrics::UserMetric;
use crate::wire::Bytes;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId, TaskManagerId};
use brisk_base::world::MonoTime;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::job::JobStatus;
use brisk_core::source::SourceEvent;
use brisk_runtime::exchange::{Endpoint, Locations};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a JobMaster understands.
pub enum JobMasterMessage {
    /// Begin.
    Start,
    /// Here are the slots.
    Slots(Vec<SlotOffer>),
    /// There are no slots.
    NoSlots(Error),
    /// A TaskManager has made ready.
    HostReady {
        /// Which.
        task_manager: TaskManagerId,
        /// Runs the job's tasks there.
        host: Address<TaskHostMessage>,
        /// Where that process takes batches, if it is not this one.
        endpoint: Option<Endpoint>,
    },
    /// A TaskManager could not make ready, or what ran the job's tasks there has died. Its slots stay the job's.
    HostFailed(TaskManagerId, Error),
    /// A TaskManager has forgotten the job.
    HostClosed(TaskManagerId),
    /// A TaskManager is gone, and its slots with it.
    TaskManagerLost(TaskManagerId, Error),
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
    /// A coordinator has messages for its readers.
    FromCoordinator {
        /// Which.
        from: CoordinatorRun,
        /// Messages by subtask.
        to_subtasks: Vec<(u32, SourceEvent)>,
        /// Alignment group, and the source's lowest watermark.
        group_watermark: Option<(String, Timestamp)>,
    },
    /// A coordinator has failed.
    CoordinatorFailed {
        /// Which.
        from: CoordinatorRun,
        /// Why.
        error: Error,
    },
    /// The program does not take a result.
    ResultRefused(Error),
    /// The program has read a result.
    ResultRead {
        /// The operator that gave it.
        operator: OperatorId,
        /// Its subtask.
        subtask: u32,
        /// Bytes that it has.
        bytes: u64,
    },
    /// The code of the job cannot be reached any more.
    CoordinatorsLost(Error),
    /// The code of the job can be reached again, in another process.
    Reattached {
        /// Runs its coordinators.
        coordinators: Address<CoordinatorsMessage>,
        /// Hears how the job stands.
        listener: Address<ClientMessage>,
    },
    /// A coordinator has handed over its state.
    CoordinatorState {
        /// Which.
        from: CoordinatorRun,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The state.
        state: Vec<u8>,
    },
    /// A task has stored its part of a checkpoint.
    Acknowledged {
        /// The task.
        attempt: AttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What it stored.
        ack: Box<TaskAck>,
    },
    /// A task takes no part in a checkpoint.
    Declined {
        /// The task.
        attempt: AttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        error: Error,
    },
    /// A task's part of a checkpoint could not be stored.
    StoreFailed {
        /// The task.
        attempt: AttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        error: Error,
    },
    /// A task has processed all its input, and waits for a checkpoint.
    EndOfData(AttemptId),
    /// The metadata of a checkpoint has been written, or could not be.
    MetadataWritten(CheckpointId, Result<Box<CompletedCheckpoint>>),
    /// The checkpoint that the job begins from has been read, or could not be.
    CheckpointRead(Result<Box<CompletedCheckpoint>>),
    /// Somebody wants a savepoint, or a checkpoint now.
    Savepoint {
        /// The folder to make a savepoint in; `None`: the configured one.
        folder: Option<String>,
        /// What happens behind the barrier.
        kind: SnapshotKind,
        /// Takes its folder.
        reply: Reply<Result<String>>,
    },
    /// Time has passed.
    Tick,
    /// End the job.
    Cancel,
    /// How does the job stand?
    Report(Reply<JobReport>),
    /// What is there to be seen of the job?
    Details(Reply<Arc<JobDetails>>),
    /// How the tasks of a TaskManager stand.
    Snapshots {
        /// Which request this answers.
        request: u64,
        /// By attempt.
        tasks: Vec<(AttemptId, TaskSnapshot)>,
        /// What their functions have registered, if that was wanted.
        metrics: Vec<UserMetric>,
    },
}

/// A TaskManager that works for the job.
struct Host {
    task_manager: Address<TaskManagerMessage>,
    /// Known once it is ready.
    host: Option<Address<TaskHostMessage>>,
    /// Where its process takes batches, if it is not this one.
    endpoint: Option<Endpoint>,
    /// The slots it gives.
    slots: Vec<u32>,
}

/// What a JobMaster works with.
pub struct Surroundings {
    /// Gives slots.
    pub resource_manager: Address<ResourceManagerMessage>,
    /// Hears of the job's end.
    pub dispatcher: Address<DispatcherMessage>,
    /// Where checkpoints lie, and registered operators.
    pub services: Services,
    /// Runs the coordinators of its sources; `None`: this process.
    pub coordinators: Option<Address<CoordinatorsMessage>>,
}

/// The actor around the [`JobMaster`].
pub struct JobMasterShell {
    job: JobSpec,
    machine: JobMaster,
    /// Tells the clients.
    publisher: Publisher,
    surroundings: Surroundings,
    /// Writes and reads checkpoints; `None` until it is wanted.
    store: Option<Address<StoreMessage>>,
    /// Clients that wait for savepoints, by request.
    savepoints: BTreeMap<u64, Reply<Result<String>>>,
    /// The number of the next request.
    next_request: u64,
    /// The earliest time for which a tick is under way.
    armed: Option<Timestamp>,
    /// TaskManagers that have given slots and not forgotten the job yet.
    hosts: BTreeMap<TaskManagerId, Host>,
    /// What is to be told to the coordinators when they can be reached again; `None` while they can.
    detached: Option<Vec<CoordinatorsMessage>>,
    /// The lives of the coordinators that run, by source.
    coordinators: BTreeMap<usize, u64>,
    /// Number of the next life of a coordinator.
    next_run: u64,
    /// Clients that wait for figures.
    reporting: Reporting,
    /// When the job began.
    began: MonoTime,
    /// Whether the job's end has been published.
    over: bool,
}

impl JobMasterShell {
    /// The JobMaster of a job that has just been accepted.
    ///
    /// # Errors
    /// When the job's configuration is wrong; the publisher has been told.
    pub fn new(job: JobSpec, publisher: Publisher, surroundings: Surroundings, now: Timestamp) -> Option<Self> {
        publisher.set_status(JobStatus::Created);
        let machine = match JobMaster::new(job.clone(), now) {
            Ok(machine) => machine,
            Err(error) => {
                publisher.refuse(error.context(job.place()));
                return None;
            }
        };
        let reporting = Reporting::new(JobPlan::of(&job.graph));
        Some(Self {
            machine,
            job,
            publisher,
            surroundings,
            store: None,
            savepoints: BTreeMap::new(),
            next_request: 0,
            armed: None,
            hosts: BTreeMap::new(),
            detached: None,
            coordinators: BTreeMap::new(),
            next_run: 0,
            reporting,
            began: MonoTime::default(),
            over: false,
        })
    }

    fn step(&mut self, event: JobEvent, cx: &mut ActorContext<'_>) {
        for action in self.machine.step(event, cx.world().now()) {
            self.perform(action, cx);
        }
        self.arm(cx);
    }

    /// Has the machine called when it wants to be.
    fn arm(&mut self, cx: &mut ActorContext<'_>) {
        let Some(wanted) = self.machine.next_time().filter(|wanted| self.armed.is_none_or(|armed| *wanted < armed)) else { return };
        self.armed = Some(wanted);
        cx.send_self_after((wanted - cx.world().now()).to_duration(), JobMasterMessage::Tick);
    }

    fn store(&mut self, cx: &mut ActorContext<'_>) -> Address<StoreMessage> {
        let (job, services) = (&self.job, &self.surroundings.services);
        let make = || {
            cx.spawn_isolated(
                format!("checkpoints of {}", job.graph.name),
                CheckpointStore::new(job.clone(), services.clone(), cx.address()),
            )
        };
        self.store.get_or_insert_with(make).clone()
    }

    fn tell_store(&mut self, message: StoreMessage, cx: &mut ActorContext<'_>) {
        let store = self.store(cx);
        cx.send(&store, message);
    }

    fn savepoint(&mut self, folder: Option<&str>, kind: SnapshotKind, reply: Reply<Result<String>>, cx: &mut ActorContext<'_>) {
        let target = kind.is_savepoint().then(|| store::savepoint_folder(&self.job, folder, cx.world().random())).transpose();
        let target = match target {
            Ok(target) => target,
            Err(error) => return reply.send(Err(error.context(self.job.place()))),
        };
        let request = self.next_request;
        self.next_request += 1;
        self.savepoints.insert(request, reply);
        self.step(JobEvent::Savepoint(SavepointRequest { request, target, kind }), cx);
    }

    fn perform(&mut self, action: JobAction, cx: &mut ActorContext<'_>) {
        match action {
            JobAction::Status(status) => {
                tracing::info!(job = %self.job.id, %status, "job status");
                if !status.is_globally_terminal() {
                    self.publisher.set_status(status);
                }
            }
            JobAction::RequestSlots(count) => {
                let message = ResourceManagerMessage::Request { job: self.job.clone(), count, job_master: cx.address() };
                cx.send(&self.surroundings.resource_manager, message);
            }
            JobAction::ReleaseSlots => cx.send(&self.surroundings.resource_manager, ResourceManagerMessage::Release(self.job.id)),
            JobAction::OpenHost(id) => self.open_host(id, cx),
            JobAction::Deploy(id, tasks) => self.to_host(id, TaskHostMessage::Deploy(tasks, self.locations()), cx),
            JobAction::CancelTasks(id, attempts) => self.to_host(id, TaskHostMessage::Cancel(attempts), cx),
            JobAction::ToReader(id, attempt, operator, event) => {
                self.to_host(id, TaskHostMessage::ToReader { attempt, operator, event }, cx);
            }
            JobAction::CloseHost(id) => {
                if let Some(host) = self.hosts.get(&id) {
                    cx.send(&host.task_manager, TaskManagerMessage::CloseHost { job: self.job.id, job_master: cx.address() });
                }
            }
            JobAction::StartCoordinator(source, state) => self.start_coordinator(source, state, cx),
            JobAction::CallCoordinator(source, call) => {
                if let Some(run) = self.coordinators.get(&source).copied() {
                    self.tell_coordinator(CoordinatorRun { source, run }, CoordinatorMessage::Call(call), cx);
                }
            }
            JobAction::StopCoordinator(source) => {
                if let Some(run) = self.coordinators.remove(&source) {
                    self.tell_coordinator(CoordinatorRun { source, run }, CoordinatorMessage::Stop, cx);
                }
            }
            JobAction::Done(outcome) => self.done(outcome, cx),
            other => self.perform_checkpoint(other, cx),
        }
    }

    fn perform_checkpoint(&mut self, action: JobAction, cx: &mut ActorContext<'_>) {
        match action {
            JobAction::ReadCheckpoint(path, claim) => self.tell_store(StoreMessage::Read { path, claim }, cx),
            JobAction::Trigger(id, tasks, barrier) => self.to_host(id, TaskHostMessage::Trigger(tasks, barrier), cx),
            JobAction::SnapshotTo(id, checkpoint, base) => {
                let target = SnapshotTarget { base, savepoint: true };
                self.to_host(id, TaskHostMessage::SnapshotTo(checkpoint, target), cx);
            }
            JobAction::TellComplete(id, checkpoint) => self.to_host(id, TaskHostMessage::CheckpointComplete(checkpoint), cx),
            JobAction::TellAborted(id, checkpoint) => self.to_host(id, TaskHostMessage::CheckpointAborted(checkpoint), cx),
            JobAction::WriteMetadata(assembled) => self.tell_store(StoreMessage::Write(assembled), cx),
            JobAction::Discard(parts) => self.tell_store(StoreMessage::Discard(parts), cx),
            JobAction::DeleteCheckpoint(completed, shared) => self.tell_store(StoreMessage::Delete(completed, shared), cx),
            JobAction::AnswerSavepoint(request, result) => {
                if let Some(reply) = self.savepoints.remove(&request) {
                    reply.send(result.map_err(|error| error.context(self.job.place())));
                }
            }
            JobAction::ToProgram(operator, subtask, bytes) => {
                self.tell_coordinators(
                    CoordinatorsMessage::Result { operator, subtask, bytes: Bytes(bytes), job_master: cx.address() },
                    cx,
                );
            }
            JobAction::Recovers(what) => tracing::warn!(job = %self.job.id, failure = what, "job recovers from a failure"),
            other => tracing::error!(job = %self.job.id, action = ?other, "nobody performs this action"),
        }
    }

    fn open_host(&self, id: TaskManagerId, cx: &mut ActorContext<'_>) {
        if let Some(host) = self.hosts.get(&id) {
            let message = TaskManagerMessage::OpenHost { job: self.job.clone(), job_master: cx.address(), slots: host.slots.clone() };
            cx.send(&host.task_manager, message);
        }
    }

    fn to_host(&self, id: TaskManagerId, message: TaskHostMessage, cx: &mut ActorContext<'_>) {
        if let Some(host) = self.hosts.get(&id).and_then(|host| host.host.as_ref()) {
            cx.send(host, message);
        }
    }

    /// Whether a coordinator is the one that runs, and not one of an earlier attempt.
    fn is_current(&self, from: CoordinatorRun) -> bool {
        self.coordinators.get(&from.source).is_some_and(|run| *run == from.run)
    }

    fn start_coordinator(&mut self, source: usize, restored: Option<Vec<u8>>, cx: &mut ActorContext<'_>) {
        let vertex = &self.job.graph.vertices[self.machine.sources()[source].vertex];
        let id = self.machine.sources()[source].operator;
        let run = CoordinatorRun { source, run: self.next_run };
        self.next_run += 1;
        self.coordinators.insert(source, run.run);
        let message = CoordinatorsMessage::Start {
            run,
            operator: id,
            parallelism: vertex.parallelism,
            restored: restored.map(Bytes),
            job_master: cx.address(),
        };
        self.tell_coordinators(message, cx);
    }

    /// Runs the job's coordinators: in this process, unless its code is in another one.
    fn coordinators_address(&mut self, cx: &mut ActorContext<'_>) -> Address<CoordinatorsMessage> {
        let (graph, registry) = (&self.job.graph, &self.surroundings.services.operators);
        let here = || cx.spawn(Coordinators::new(Arc::clone(graph), registry.clone()));
        self.surroundings.coordinators.get_or_insert_with(here).clone()
    }

    fn tell_coordinator(&mut self, run: CoordinatorRun, message: CoordinatorMessage, cx: &mut ActorContext<'_>) {
        self.tell_coordinators(CoordinatorsMessage::Tell { run, message }, cx);
    }

    fn tell_coordinators(&mut self, message: CoordinatorsMessage, cx: &mut ActorContext<'_>) {
        match &mut self.detached {
            Some(later) => later.push(message),
            None => {
                let coordinators = self.coordinators_address(cx);
                cx.send(&coordinators, message);
            }
        }
    }

    /// The code of the job is elsewhere from now on.
    fn reattach(&mut self, coordinators: &Address<CoordinatorsMessage>, listener: Address<ClientMessage>, cx: &mut ActorContext<'_>) {
        self.publisher.set_listener(listener);
        self.publisher.set_status(self.machine.status());
        let later = self.detached.take().unwrap_or_default();
        later.into_iter().for_each(|message| cx.send(coordinators, message));
        self.surroundings.coordinators = Some(coordinators.clone());
    }

    /// In which process each subtask runs.
    fn locations(&self) -> Arc<Locations> {
        let hosts: BTreeMap<TaskManagerId, &Endpoint> =
            self.hosts.iter().filter_map(|(id, host)| Some((*id, host.endpoint.as_ref()?))).collect();
        let number: BTreeMap<TaskManagerId, u32> = hosts.keys().enumerate().map(|(at, id)| (*id, at as u32)).collect();
        let mut subtasks: Vec<Vec<u32>> = self.job.graph.vertices.iter().map(|_| Vec::new()).collect();
        for (subtask, execution) in self.machine.executions().subtasks() {
            let at = execution.slot.and_then(|slot| number.get(&slot.task_manager)).copied();
            subtasks[subtask.vertex].push(at.unwrap_or(u32::MAX));
        }
        Arc::new(Locations { endpoints: hosts.into_values().cloned().collect(), subtasks })
    }

    fn done(&mut self, outcome: JobOutcome, cx: &mut ActorContext<'_>) {
        let (status, job) = (outcome.status, self.job.id);
        match &outcome.error {
            Some(error) if status == JobStatus::Failed => {
                tracing::error!(%job, %error, suppressed = outcome.suppressed.len(), "job failed")
            }
            _ => tracing::info!(%job, %status, "job is over"),
        }
        self.reporting.answer_all(&self.machine, cx.world().now());
        self.publisher.end(outcome, cx.world().mono().since(self.began));
        self.over = true;
    }

    /// Once the job is over and every TaskManager has forgotten it, so may everybody else.
    fn leave_if_over(&mut self, cx: &mut ActorContext<'_>) {
        if self.over && self.hosts.is_empty() {
            if let Some(store) = self.store.take() {
                cx.send(&store, StoreMessage::Stop { delete: !self.machine.keeps_checkpoints() });
            }
            self.close_coordinators(cx);
            // Whatever was granted late.
            cx.send(&self.surroundings.resource_manager, ResourceManagerMessage::Release(self.job.id));
            let details = Arc::new(self.reporting.details(&self.machine, cx.world().now()));
            cx.send(&self.surroundings.dispatcher, DispatcherMessage::Ended(details));
            cx.stop();
        }
    }

    fn close_coordinators(&mut self, cx: &mut ActorContext<'_>) {
        if let Some(coordinators) = self.surroundings.coordinators.take() {
            cx.send(&coordinators, CoordinatorsMessage::Close);
        }
    }

    fn take_slots(&mut self, offers: Vec<SlotOffer>, cx: &mut ActorContext<'_>) {
        if !matches!(self.machine.status(), JobStatus::Running | JobStatus::Restarting) {
            // Ended in the meantime; the slots have been given back.
            return;
        }
        let slots = offers.iter().map(|offer| offer.slot).collect();
        for SlotOffer { slot, address } in offers {
            let host = self.hosts.entry(slot.task_manager).or_insert(Host {
                task_manager: address,
                host: None,
                endpoint: None,
                slots: Vec::new(),
            });
            host.slots.push(slot.index);
        }
        self.step(JobEvent::Slots(slots), cx);
    }

    /// Something has become of a host.
    fn host_message(&mut self, message: JobMasterMessage, cx: &mut ActorContext<'_>) {
        match message {
            JobMasterMessage::HostReady { task_manager, host, endpoint } => {
                if let Some(known) = self.hosts.get_mut(&task_manager) {
                    (known.host, known.endpoint) = (Some(host), endpoint);
                }
                self.step(JobEvent::HostReady(task_manager), cx);
            }
            JobMasterMessage::HostFailed(task_manager, error) => {
                if let Some(known) = self.hosts.get_mut(&task_manager) {
                    (known.host, known.endpoint) = (None, None);
                }
                self.reporting.lost_host();
                self.step(JobEvent::HostFailed(task_manager, error), cx);
            }
            JobMasterMessage::HostClosed(task_manager) => {
                self.hosts.remove(&task_manager);
                self.reporting.lost_host();
                let error = Error::transient(format!("the TaskManager {task_manager} does not run it any more"));
                self.step(JobEvent::HostLost(task_manager, error), cx);
            }
            JobMasterMessage::TaskManagerLost(task_manager, error) => {
                self.hosts.remove(&task_manager);
                self.reporting.lost_host();
                self.step(JobEvent::HostLost(task_manager, error), cx);
            }
            _ => tracing::error!(job = %self.job.id, "a message is not about a host"),
        }
    }

    fn report(&mut self, question: Question, cx: &mut ActorContext<'_>) {
        let hosts: Vec<_> = self.hosts.values().filter_map(|host| host.host.clone()).collect();
        // Once the job is over, its tasks' last figures are there already.
        let hosts = if self.over { Vec::new() } else { hosts };
        let metrics = matches!(question, Question::Details(_));
        match self.reporting.begin(question, hosts.len()) {
            Some(request) => hosts.iter().for_each(|host| cx.send(host, TaskHostMessage::Snapshots { request, metrics })),
            None => self.reporting.answer_ready(&self.machine, cx.world().now()),
        }
    }
}

impl Actor for JobMasterShell {
    type Message = JobMasterMessage;

    fn handle(&mut self, message: JobMasterMessage, cx: &mut ActorContext<'_>) {
        match message {
            JobMasterMessage::Start => {
                self.began = cx.world().mono();
                self.step(JobEvent::Start, cx);
            }
            JobMasterMessage::Slots(offers) => self.take_slots(offers, cx),
            JobMasterMessage::NoSlots(error) => self.step(JobEvent::NoSlots(error), cx),
            host @ (JobMasterMessage::HostReady { .. }
            | JobMasterMessage::HostFailed(..)
            | JobMasterMessage::HostClosed(_)
            | JobMasterMessage::TaskManagerLost(..)) => self.host_message(host, cx),
            JobMasterMessage::Task(report) => self.step(JobEvent::Task(report), cx),
            JobMasterMessage::FromReader { attempt, operator, event } => {
                self.step(JobEvent::FromReader { attempt, operator, event }, cx);
            }
            JobMasterMessage::FromCoordinator { from, to_subtasks, group_watermark } => {
                if self.is_current(from) {
                    self.step(JobEvent::FromCoordinator { source: from.source, to_subtasks, group_watermark }, cx);
                }
            }
            JobMasterMessage::CoordinatorFailed { from, error } => {
                if self.is_current(from) {
                    self.step(JobEvent::CoordinatorFailed(error), cx);
                }
            }
            JobMasterMessage::ResultRefused(error) => self.step(JobEvent::Broken(error), cx),
            JobMasterMessage::ResultRead { operator, subtask, bytes } => self.step(JobEvent::ResultRead(operator, subtask, bytes), cx),
            JobMasterMessage::CoordinatorsLost(error) => {
                // What it had to tell its readers is lost: the sources begin again.
                self.detached.get_or_insert_default();
                self.step(JobEvent::Broken(error), cx);
            }
            JobMasterMessage::Reattached { coordinators, listener } => self.reattach(&coordinators, listener, cx),
            JobMasterMessage::Cancel => self.step(JobEvent::Cancel, cx),
            JobMasterMessage::Tick => {
                self.armed = None;
                self.step(JobEvent::Time, cx);
            }
            JobMasterMessage::Savepoint { folder, kind, reply } => self.savepoint(folder.as_deref(), kind, reply, cx),
            JobMasterMessage::CoordinatorState { from, checkpoint, state } => {
                if self.is_current(from) {
                    self.step(JobEvent::CoordinatorState { source: from.source, checkpoint, state }, cx);
                }
            }
            JobMasterMessage::Acknowledged { attempt, checkpoint, ack } => self.step(JobEvent::Acknowledged(attempt, checkpoint, ack), cx),
            JobMasterMessage::Declined { attempt, checkpoint, error } => {
                self.step(JobEvent::Declined(checkpoint, error.context(format!("task {attempt}"))), cx);
            }
            JobMasterMessage::StoreFailed { attempt, checkpoint, error } => {
                self.step(JobEvent::StoreFailed(checkpoint, error.context(format!("task {attempt}"))), cx);
            }
            JobMasterMessage::EndOfData(attempt) => self.step(JobEvent::EndOfData(attempt), cx),
            JobMasterMessage::MetadataWritten(checkpoint, result) => self.step(JobEvent::MetadataWritten(checkpoint, result), cx),
            JobMasterMessage::CheckpointRead(result) => self.step(JobEvent::CheckpointRead(result), cx),
            JobMasterMessage::Report(reply) => self.report(Question::Report(reply), cx),
            JobMasterMessage::Details(reply) => self.report(Question::Details(reply), cx),
            JobMasterMessage::Snapshots { request, tasks, metrics } => {
                self.reporting.take(request, tasks, metrics);
                self.reporting.answer_ready(&self.machine, cx.world().now());
            }
        }
        self.leave_if_over(cx);
    }

    /// The job fails; tasks that still run are cancelled when their TaskManager closes its host.
    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        let error = error.context(self.job.place());
        let now = cx.world().now();
        let mut details = self.reporting.details(&self.machine, now);
        let root = Failure { at: now, kind: error.kind(), message: error.to_string() };
        details.failures.insert(0, JobFailure { root, task: None, concurrent: Vec::new() });
        details.times.insert(JobStatus::Failed, now);
        details.status = JobStatus::Failed;
        self.publisher.refuse(error);
        self.close_coordinators(cx);
        for host in self.hosts.values() {
            cx.send(&host.task_manager, TaskManagerMessage::CloseHost { job: self.job.id, job_master: cx.address() });
        }
        if self.hosts.is_empty() {
            cx.send(&self.surroundings.resource_manager, ResourceManagerMessage::Release(self.job.id));
        }
        if let Some(store) = self.store.take() {
            cx.send(&store, StoreMessage::Stop { delete: false });
        }
        cx.send(&self.surroundings.dispatcher, DispatcherMessage::Ended(Arc::new(details)));
    }
}
