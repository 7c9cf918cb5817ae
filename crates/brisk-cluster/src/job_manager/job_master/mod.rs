//! Runs one job from its submission to its end.
//!
//! | what | file |
//! |---|---|
//! | what is decided: [`machine::JobMaster`], events in, actions out | [`machine`] |
//! | subtasks, attempts and their states | [`execution_graph`] |
//! | which subtask goes to which slot | [`slot_sharing`] |
//! | split enumerators | [`coordinator`] |
//! | watermark alignment over several sources | [`alignment`] |
//! | the actor that carries messages: [`JobMasterShell`] | here |

pub mod alignment;
pub mod checkpoint;
pub mod coordinator;
pub mod execution_graph;
pub mod machine;
mod reporting;
pub mod restart;
pub mod slot_sharing;
#[cfg(test)]
mod tests;

use self::coordinator::{CoordinatorActor, CoordinatorMessage};
use self::machine::{JobAction, JobEvent, JobMaster};
use self::reporting::Reporting;
use super::{DispatcherMessage, ResourceManagerMessage, SlotOffer};
use crate::client::Publisher;
use crate::job::{JobOutcome, JobReport, JobSpec, TaskReport, TaskSnapshot};
use crate::task_manager::{TaskHostMessage, TaskManagerMessage};
use crate::transport::{Actor, ActorContext, Address};
use brisk_base::ids::{AttemptId, OperatorId, TaskManagerId};
use brisk_base::world::MonoTime;
use brisk_base::{Error, Timestamp};
use brisk_core::job::JobStatus;
use brisk_core::registry::OperatorRegistry;
use brisk_core::source::SourceEvent;
use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;

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
    },
    /// A TaskManager could not make ready.
    HostFailed(Error),
    /// A TaskManager has forgotten the job.
    HostClosed(TaskManagerId),
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
        /// Index of the source.
        source: usize,
        /// Messages by subtask.
        to_subtasks: Vec<(u32, SourceEvent)>,
        /// Alignment group, and the source's lowest watermark.
        group_watermark: Option<(String, Timestamp)>,
    },
    /// A coordinator has failed.
    CoordinatorFailed(Error),
    /// End the job.
    Cancel,
    /// How does the job stand?
    Report(SyncSender<JobReport>),
    /// How the tasks of a TaskManager stand.
    Snapshots {
        /// Which request this answers.
        request: u64,
        /// By attempt.
        tasks: Vec<(AttemptId, TaskSnapshot)>,
    },
}

/// A TaskManager that works for the job.
struct Host {
    task_manager: Address<TaskManagerMessage>,
    /// Known once it is ready.
    host: Option<Address<TaskHostMessage>>,
    /// The slots it gives.
    slots: Vec<u32>,
}

/// The actor around the [`JobMaster`].
pub struct JobMasterShell {
    job: JobSpec,
    machine: JobMaster,
    /// Tells the clients.
    publisher: Publisher,
    resource_manager: Address<ResourceManagerMessage>,
    dispatcher: Address<DispatcherMessage>,
    registry: OperatorRegistry,
    /// TaskManagers that have given slots and not forgotten the job yet.
    hosts: BTreeMap<TaskManagerId, Host>,
    /// Coordinators that run, by source.
    coordinators: BTreeMap<usize, Address<CoordinatorMessage>>,
    /// Clients that wait for figures.
    reporting: Reporting,
    /// When the job began.
    began: MonoTime,
    /// Whether the job's end has been published.
    over: bool,
}

impl JobMasterShell {
    /// The JobMaster of a job that has just been accepted.
    pub fn new(
        job: JobSpec,
        publisher: Publisher,
        resource_manager: Address<ResourceManagerMessage>,
        dispatcher: Address<DispatcherMessage>,
        registry: OperatorRegistry,
    ) -> Self {
        publisher.set_status(JobStatus::Created);
        Self {
            machine: JobMaster::new(job.clone()),
            job,
            publisher,
            resource_manager,
            dispatcher,
            registry,
            hosts: BTreeMap::new(),
            coordinators: BTreeMap::new(),
            reporting: Reporting::default(),
            began: MonoTime::default(),
            over: false,
        }
    }

    fn step(&mut self, event: JobEvent, cx: &mut ActorContext<'_>) {
        for action in self.machine.step(event) {
            self.perform(action, cx);
        }
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
                cx.send(&self.resource_manager, message);
            }
            JobAction::ReleaseSlots => cx.send(&self.resource_manager, ResourceManagerMessage::Release(self.job.id)),
            JobAction::OpenHost(id) => self.open_host(id, cx),
            JobAction::Deploy(id, tasks) => self.to_host(id, TaskHostMessage::Deploy(tasks), cx),
            JobAction::CancelTasks(id, attempts) => self.to_host(id, TaskHostMessage::Cancel(attempts), cx),
            JobAction::ToReader(id, attempt, operator, event) => {
                self.to_host(id, TaskHostMessage::ToReader { attempt, operator, event }, cx);
            }
            JobAction::CloseHost(id) => {
                if let Some(host) = self.hosts.get(&id) {
                    cx.send(&host.task_manager, TaskManagerMessage::CloseHost { job: self.job.id, job_master: cx.address() });
                }
            }
            JobAction::StartCoordinator(source) => self.start_coordinator(source, cx),
            JobAction::CallCoordinator(source, call) => {
                if let Some(coordinator) = self.coordinators.get(&source) {
                    cx.send(coordinator, CoordinatorMessage::Call(call));
                }
            }
            JobAction::StopCoordinator(source) => {
                if let Some(coordinator) = self.coordinators.remove(&source) {
                    cx.send(&coordinator, CoordinatorMessage::Stop);
                }
            }
            JobAction::Done(outcome) => self.done(outcome, cx),
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

    fn start_coordinator(&mut self, source: usize, cx: &mut ActorContext<'_>) {
        let vertex = &self.job.graph.vertices[self.machine.sources()[source].vertex];
        let id = self.machine.sources()[source].operator;
        let Some(operator) = vertex.operators.iter().find(|operator| operator.id == id) else { return };
        let what = (operator.name.clone(), operator.spec.clone());
        let actor = CoordinatorActor::new(source, what, self.registry.clone(), vertex.parallelism, cx.address());
        let address = cx.spawn_isolated(format!("coordinator of {}", operator.name), actor);
        cx.send(&address, CoordinatorMessage::Start);
        self.coordinators.insert(source, address);
    }

    fn done(&mut self, outcome: JobOutcome, cx: &mut ActorContext<'_>) {
        let (status, job) = (outcome.status, self.job.id);
        match &outcome.error {
            Some(error) if status == JobStatus::Failed => {
                tracing::error!(%job, %error, suppressed = outcome.suppressed.len(), "job failed")
            }
            _ => tracing::info!(%job, %status, "job is over"),
        }
        self.reporting.answer_all(&outcome.report);
        self.publisher.end(outcome, cx.world().mono().since(self.began));
        self.over = true;
    }

    /// Once the job is over and every TaskManager has forgotten it, so may everybody else.
    fn leave_if_over(&mut self, cx: &mut ActorContext<'_>) {
        if self.over && self.hosts.is_empty() {
            cx.send(&self.dispatcher, DispatcherMessage::Ended(self.job.id));
            cx.stop();
        }
    }

    fn take_slots(&mut self, offers: Vec<SlotOffer>, cx: &mut ActorContext<'_>) {
        if self.machine.status() != JobStatus::Running {
            // Ended in the meantime; the slots have been given back.
            return;
        }
        let slots = offers.iter().map(|offer| offer.slot).collect();
        for SlotOffer { slot, address } in offers {
            let host = self.hosts.entry(slot.task_manager).or_insert(Host { task_manager: address, host: None, slots: Vec::new() });
            host.slots.push(slot.index);
        }
        self.step(JobEvent::Slots(slots), cx);
    }

    fn report(&mut self, reply: SyncSender<JobReport>, cx: &mut ActorContext<'_>) {
        let hosts: Vec<_> = self.hosts.values().filter_map(|host| host.host.clone()).collect();
        match self.reporting.begin(reply, hosts.len()) {
            Some(request) => hosts.iter().for_each(|host| cx.send(host, TaskHostMessage::Snapshots(request))),
            None => self.reporting.answer_ready(&self.machine),
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
            JobMasterMessage::HostReady { task_manager, host } => {
                if let Some(known) = self.hosts.get_mut(&task_manager) {
                    known.host = Some(host);
                }
                self.step(JobEvent::HostReady(task_manager), cx);
            }
            JobMasterMessage::HostFailed(error) => self.step(JobEvent::Broken(error), cx),
            JobMasterMessage::HostClosed(task_manager) => {
                self.hosts.remove(&task_manager);
                self.step(JobEvent::HostLost(task_manager), cx);
            }
            JobMasterMessage::Task(report) => self.step(JobEvent::Task(report), cx),
            JobMasterMessage::FromReader { attempt, operator, event } => {
                self.step(JobEvent::FromReader { attempt, operator, event }, cx);
            }
            JobMasterMessage::FromCoordinator { source, to_subtasks, group_watermark } => {
                self.step(JobEvent::FromCoordinator { source, to_subtasks, group_watermark }, cx);
            }
            JobMasterMessage::CoordinatorFailed(error) => self.step(JobEvent::CoordinatorFailed(error), cx),
            JobMasterMessage::Cancel => self.step(JobEvent::Cancel, cx),
            JobMasterMessage::Report(reply) => self.report(reply, cx),
            JobMasterMessage::Snapshots { request, tasks } => {
                self.reporting.take(request, tasks);
                self.reporting.answer_ready(&self.machine);
            }
        }
        self.leave_if_over(cx);
    }

    /// The job fails; tasks that still run are cancelled when their TaskManager closes its host.
    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        self.publisher.refuse(error.context(self.job.place()));
        let stop = std::mem::take(&mut self.coordinators);
        stop.values().for_each(|coordinator| cx.send(coordinator, CoordinatorMessage::Stop));
        for host in self.hosts.values() {
            cx.send(&host.task_manager, TaskManagerMessage::CloseHost { job: self.job.id, job_master: cx.address() });
        }
        if self.hosts.is_empty() {
            cx.send(&self.resource_manager, ResourceManagerMessage::Release(self.job.id));
        }
        cx.send(&self.dispatcher, DispatcherMessage::Ended(self.job.id));
    }
}
