//! Runs the tasks of one job: starts them, passes messages in both directions, and lets go of those that do not end.

use super::snapshots::{SnapshotMessage, SnapshotStore};
use super::{HostLauncher, RunningTask, TaskManagerMessage, TaskNotifier};
use crate::job::{JobSpec, SnapshotTarget, TaskDeployment, TaskReport, TaskSnapshot};
use crate::job_manager::JobMasterMessage;
use crate::job_manager::job_master::checkpoint::store::checkpoint_base;
use crate::transport::plane::{guarded, quietly_drop};
use crate::transport::{Actor, ActorContext, Address};
use crate::user_metrics::{self, MetricReader, ReadMetrics, UserMetric};
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId};
use brisk_base::options::checkpoint_options::DATA_INLINE_THRESHOLD;
use brisk_base::options::core_options::TASK_CANCELLATION_TIMEOUT;
use brisk_base::{Error, Result};
use brisk_core::checkpoint::Barrier;
use brisk_core::job::ExecutionState;
use brisk_core::source::SourceEvent;
use brisk_runtime::exchange::Locations;
use brisk_runtime::task::TaskCheckpoint;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// Tasks started in one go; messages, such as a cancellation, are handled in between.
const TASKS_PER_TURN: usize = 64;

/// What a TaskHost understands.
pub enum TaskHostMessage {
    /// Run these tasks; in which processes the job's tasks run.
    Deploy(Vec<TaskDeployment>, Arc<Locations>),
    /// Go on starting tasks.
    GoOn,
    /// Cancel these tasks.
    Cancel(Vec<AttemptId>),
    /// These were cancelled long ago.
    Overdue(Vec<AttemptId>),
    /// A message for an operator.
    ToReader {
        /// Its task.
        attempt: AttemptId,
        /// The operator.
        operator: OperatorId,
        /// The message.
        event: SourceEvent,
    },
    /// Begin a checkpoint at these tasks.
    Trigger(Vec<AttemptId>, Barrier),
    /// The parts of this savepoint go there.
    SnapshotTo(CheckpointId, SnapshotTarget),
    /// Tell all tasks that a checkpoint is complete.
    CheckpointComplete(CheckpointId),
    /// Tell all tasks that a checkpoint has been given up.
    CheckpointAborted(CheckpointId),
    /// Tell how all tasks stand.
    Snapshots {
        /// Names the request.
        request: u64,
        /// Whether metrics of users' functions are wanted, too.
        metrics: bool,
    },
    /// The metrics for a request have been read, or are not waited for any more.
    MetricsRead {
        /// The request.
        request: u64,
        /// They.
        metrics: Vec<UserMetric>,
    },
    /// End, cancelling whatever still runs.
    Close,
    /// From a task: it has reached a state.
    State {
        /// The task.
        attempt: AttemptId,
        /// The state.
        state: ExecutionState,
        /// Why, if it failed.
        error: Option<Error>,
    },
    /// From a task: it is gone and holds nothing any more.
    Ended {
        /// The task.
        attempt: AttemptId,
        /// Why, if it did not end by itself.
        how: Option<Error>,
    },
    /// From a task: its part of a checkpoint.
    Snapshot {
        /// The task.
        attempt: AttemptId,
        /// What it hands over.
        checkpoint: Box<TaskCheckpoint>,
    },
    /// From a task: it takes no part in a checkpoint.
    Declined {
        /// The task.
        attempt: AttemptId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        error: Error,
    },
    /// From a task: it has processed all its input.
    EndOfData(AttemptId),
    /// From a task: a message for a coordinator.
    FromReader {
        /// The task.
        attempt: AttemptId,
        /// The operator.
        operator: OperatorId,
        /// The message.
        event: SourceEvent,
    },
}

/// A task that has been started and is not over.
struct Task {
    /// Index of its vertex, for errors.
    vertex: usize,
    running: Box<dyn RunningTask>,
    /// The final state that it has reported. It is passed on when the task is gone.
    last: Option<TaskReport>,
}

/// See the module.
pub struct TaskHost {
    job: JobSpec,
    /// Tells this host from others that the TaskManager has opened for the job.
    run: u64,
    job_master: Address<JobMasterMessage>,
    task_manager: Address<TaskManagerMessage>,
    launcher: Box<dyn HostLauncher>,
    /// Tasks that have been started and are not over.
    tasks: BTreeMap<AttemptId, Task>,
    /// Tasks to be started.
    queue: VecDeque<TaskDeployment>,
    /// Messages for tasks that are still in the queue.
    early: BTreeMap<AttemptId, Vec<(OperatorId, SourceEvent)>>,
    /// How long a cancelled task is waited for; `None`: for ever.
    cancellation_timeout: Option<Duration>,
    /// Whether it ends when the last task does.
    closing: bool,
    /// Where checkpoints go.
    base: SnapshotTarget,
    /// Where savepoints under way go.
    targets: BTreeMap<CheckpointId, SnapshotTarget>,
    /// Parts of savepoints whose target is not known yet.
    waiting: Vec<(AttemptId, Box<TaskCheckpoint>)>,
    /// Store what tasks hand over; made when they are needed.
    stores: Vec<Address<SnapshotMessage>>,
    /// Reads metrics that run code of users; made when there are some.
    reader: Option<Address<ReadMetrics>>,
    /// Requests for which it reads.
    asked: BTreeSet<u64>,
}

/// How long metrics that run code of users are waited for.
const METRICS_PATIENCE: Duration = Duration::from_millis(500);

/// Threads that store what the tasks of a job hand over.
const STORES: usize = 2;

impl TaskHost {
    /// A host without tasks.
    ///
    /// # Errors
    /// When the job's configuration is wrong.
    pub fn new(
        (job, run): (JobSpec, u64),
        job_master: Address<JobMasterMessage>,
        task_manager: Address<TaskManagerMessage>,
        launcher: Box<dyn HostLauncher>,
    ) -> Result<Self> {
        let timeout = job.config.get(&TASK_CANCELLATION_TIMEOUT)?;
        let base = checkpoint_base(&job)?;
        Ok(Self {
            job,
            run,
            job_master,
            task_manager,
            launcher,
            tasks: BTreeMap::new(),
            queue: VecDeque::new(),
            early: BTreeMap::new(),
            cancellation_timeout: Some(timeout).filter(|timeout| !timeout.is_zero()),
            closing: false,
            base: SnapshotTarget { base, savepoint: false },
            targets: BTreeMap::new(),
            waiting: Vec::new(),
            stores: Vec::new(),
            reader: None,
            asked: BTreeSet::new(),
        })
    }

    /// Somebody wants to know how the tasks stand, and perhaps what their functions have registered.
    fn snapshots(&mut self, request: u64, metrics: bool, cx: &mut ActorContext<'_>) {
        let Some(group) = self.launcher.metrics().filter(|_| metrics) else { return self.answer(request, Vec::new(), cx) };
        if !group.has_computed() {
            let metrics = user_metrics::read(group);
            return self.answer(request, metrics, cx);
        }
        let (group, host) = (group.clone(), cx.address());
        let name = format!("metrics of {}", self.job.graph.name);
        let reader = self.reader.get_or_insert_with(|| cx.spawn_isolated(name, MetricReader { group, host }));
        self.asked.insert(request);
        cx.send(reader, ReadMetrics(request));
        cx.send_self_after(METRICS_PATIENCE, TaskHostMessage::MetricsRead { request, metrics: Vec::new() });
    }

    fn answer(&self, request: u64, metrics: Vec<UserMetric>, cx: &mut ActorContext<'_>) {
        let snapshot = |(attempt, task): (&AttemptId, &Task)| -> (AttemptId, TaskSnapshot) { (*attempt, task.running.snapshot()) };
        let tasks = self.tasks.iter().map(snapshot).collect();
        cx.send(&self.job_master, JobMasterMessage::Snapshots { request, tasks, metrics });
    }

    /// A task has handed over its part of a checkpoint.
    fn snapshot(&mut self, attempt: AttemptId, checkpoint: Box<TaskCheckpoint>, cx: &mut ActorContext<'_>) {
        let barrier = checkpoint.barrier;
        let target = match self.targets.get(&barrier.checkpoint) {
            Some(target) => target.clone(),
            None if barrier.kind.is_savepoint() => return self.waiting.push((attempt, checkpoint)),
            None => self.base.clone(),
        };
        if self.stores.is_empty() {
            let inline_below = self.job.config.get(&DATA_INLINE_THRESHOLD).map_or(0, |size| size.0 as usize);
            self.stores = (0..STORES)
                .map(|number| {
                    let told = (self.job_master.clone(), self.task_manager.clone());
                    let store = SnapshotStore::new(self.launcher.storages(), told, (self.job.id, self.run), inline_below);
                    cx.spawn_isolated(format!("snapshots of {} ({number})", self.job.graph.name), store)
                })
                .collect();
        }
        // Parts of one task are stored in their order.
        let store = &self.stores[attempt.subtask as usize % STORES];
        cx.send(store, SnapshotMessage::Store { attempt, checkpoint, target });
    }

    fn snapshot_to(&mut self, checkpoint: CheckpointId, target: SnapshotTarget, cx: &mut ActorContext<'_>) {
        self.targets.insert(checkpoint, target);
        let (known, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(_, part)| part.barrier.checkpoint == checkpoint);
        self.waiting = waiting;
        let known: Vec<(AttemptId, Box<TaskCheckpoint>)> = known;
        known.into_iter().for_each(|(attempt, part)| self.snapshot(attempt, part, cx));
    }

    fn checkpoint_over(&mut self, checkpoint: CheckpointId) {
        self.targets.retain(|id, _| *id > checkpoint);
        self.waiting.retain(|(_, part)| part.barrier.checkpoint > checkpoint);
    }

    fn trigger(&mut self, tasks: Vec<AttemptId>, barrier: Barrier, cx: &mut ActorContext<'_>) {
        for attempt in tasks {
            match self.tasks.get(&attempt) {
                Some(task) => task.running.trigger_checkpoint(barrier),
                None => {
                    let error = Error::transient("it has ended");
                    cx.send(&self.job_master, JobMasterMessage::Declined { attempt, checkpoint: barrier.checkpoint, error });
                }
            }
        }
    }

    fn start_some(&mut self, cx: &mut ActorContext<'_>) {
        for _ in 0..TASKS_PER_TURN {
            let Some(deployment) = self.queue.pop_front() else { return };
            self.start(&deployment, cx);
        }
        if !self.queue.is_empty() {
            cx.send_self(TaskHostMessage::GoOn);
        }
    }

    fn start(&mut self, deployment: &TaskDeployment, cx: &mut ActorContext<'_>) {
        let TaskDeployment { attempt, vertex, .. } = *deployment;
        let notifier = Arc::new(TaskNotifier::new(&cx.address()));
        let launched = guarded(|| self.launcher.launch(deployment, notifier));
        match launched.unwrap_or_else(|panic| Err(Error::bug(format!("panicked: {panic}")))) {
            Ok(running) => {
                let early = self.early.remove(&attempt).unwrap_or_default();
                early.into_iter().for_each(|(operator, event)| running.send_event(operator, event));
                self.tasks.insert(attempt, Task { vertex, running, last: None });
            }
            Err(error) => {
                let error = error.context(self.job.task_place(vertex, attempt.subtask));
                self.report(TaskReport::new(attempt, ExecutionState::Failed).with_error(Some(error)), cx);
            }
        }
    }

    fn report(&self, report: TaskReport, cx: &mut ActorContext<'_>) {
        cx.send(&self.job_master, JobMasterMessage::Task(report));
    }

    fn state(&mut self, attempt: AttemptId, state: ExecutionState, error: Option<Error>, cx: &mut ActorContext<'_>) {
        let Some(task) = self.tasks.get_mut(&attempt).filter(|task| task.last.is_none()) else { return };
        let report = TaskReport::new(attempt, state).with_error(error);
        if state.is_terminal() {
            task.last = Some(report);
        } else {
            self.report(report, cx);
        }
    }

    fn ended(&mut self, attempt: AttemptId, how: Option<Error>, cx: &mut ActorContext<'_>) {
        let Some(mut task) = self.tasks.remove(&attempt) else { return };
        let mut report = task.last.take().unwrap_or_else(|| {
            let how = how.unwrap_or_else(|| Error::bug("it ended without reporting a state"));
            let error = how.context(self.job.task_place(task.vertex, attempt.subtask));
            TaskReport::new(attempt, ExecutionState::Failed).with_error(Some(error))
        });
        report.last = Some(task.running.snapshot());
        quietly_drop(task);
        self.report(report, cx);
    }

    fn cancel(&mut self, attempts: Vec<AttemptId>, cx: &mut ActorContext<'_>) {
        let wanted: BTreeSet<_> = attempts.iter().copied().collect();
        let queued = std::mem::take(&mut self.queue);
        let (dropped, kept) = queued.into_iter().partition(|deployment| wanted.contains(&deployment.attempt));
        self.queue = kept;
        let dropped: VecDeque<TaskDeployment> = dropped;
        for deployment in dropped {
            self.early.remove(&deployment.attempt);
            self.report(TaskReport::new(deployment.attempt, ExecutionState::Canceled), cx);
        }
        let running: Vec<_> = attempts.into_iter().filter(|attempt| self.tasks.contains_key(attempt)).collect();
        running.iter().for_each(|attempt| self.tasks[attempt].running.cancel());
        if let Some(timeout) = self.cancellation_timeout
            && !running.is_empty()
        {
            cx.send_self_after(timeout, TaskHostMessage::Overdue(running));
        }
    }

    /// User code that does not return cannot be stopped: the task is given up, and named.
    fn give_up(&mut self, attempts: Vec<AttemptId>, cx: &mut ActorContext<'_>) {
        let mut stuck = None;
        for attempt in attempts {
            let Some(task) = self.tasks.remove(&attempt) else { continue };
            let (place, operator) = (self.job.task_place(task.vertex, attempt.subtask), task.running.current_operator());
            tracing::error!(job = %self.job.id, task = place, operator, "a cancelled task does not end; it is given up");
            task.running.abandon();
            let timeout = self.cancellation_timeout.unwrap_or_default().as_secs_f64();
            let mut report = TaskReport::new(attempt, ExecutionState::Canceled);
            report.given_up = Some(format!(
                "{place}: user code in operator '{operator}' did not return within {timeout} s of the cancellation ('task.cancellation.timeout')"
            ));
            report.last = Some(task.running.snapshot());
            stuck.clone_from(&report.given_up);
            self.report(report, cx);
        }
        if let Some(why) = stuck.filter(|_| self.launcher.owns_process()) {
            cx.send(&self.task_manager, TaskManagerMessage::KillHost { job: self.job.id, run: self.run, why });
        }
    }

    fn send_to_reader(&mut self, attempt: AttemptId, operator: OperatorId, event: SourceEvent) {
        match self.tasks.get(&attempt) {
            Some(task) => task.running.send_event(operator, event),
            None if self.queue.iter().any(|deployment| deployment.attempt == attempt) => {
                self.early.entry(attempt).or_default().push((operator, event));
            }
            None => {}
        }
    }

    fn close(&mut self, cx: &mut ActorContext<'_>) {
        self.closing = true;
        self.queue.clear();
        let left: Vec<_> = self.tasks.keys().copied().collect();
        if !left.is_empty() {
            self.cancel(left, cx);
        }
    }

    fn leave_if_closed(&mut self, cx: &mut ActorContext<'_>) {
        if self.closing && self.tasks.is_empty() {
            self.stores.iter().for_each(|store| cx.send(store, SnapshotMessage::Stop));
            cx.send(&self.task_manager, TaskManagerMessage::HostClosed { job: self.job.id, run: self.run });
            cx.stop();
        }
    }
}

impl Actor for TaskHost {
    type Message = TaskHostMessage;

    fn handle(&mut self, message: TaskHostMessage, cx: &mut ActorContext<'_>) {
        match message {
            TaskHostMessage::Deploy(deployments, locations) => {
                self.launcher.locate(&locations);
                self.queue.extend(deployments);
                self.start_some(cx);
            }
            TaskHostMessage::GoOn => self.start_some(cx),
            TaskHostMessage::Cancel(attempts) => self.cancel(attempts, cx),
            TaskHostMessage::Overdue(attempts) => self.give_up(attempts, cx),
            TaskHostMessage::ToReader { attempt, operator, event } => self.send_to_reader(attempt, operator, event),
            TaskHostMessage::Snapshots { request, metrics } => self.snapshots(request, metrics, cx),
            TaskHostMessage::MetricsRead { request, metrics } => {
                if self.asked.remove(&request) {
                    self.answer(request, metrics, cx);
                }
            }
            TaskHostMessage::Trigger(tasks, barrier) => self.trigger(tasks, barrier, cx),
            TaskHostMessage::SnapshotTo(checkpoint, target) => self.snapshot_to(checkpoint, target, cx),
            TaskHostMessage::CheckpointComplete(checkpoint) => {
                self.checkpoint_over(checkpoint);
                self.tasks.values().for_each(|task| task.running.checkpoint_complete(checkpoint));
            }
            TaskHostMessage::CheckpointAborted(checkpoint) => {
                self.checkpoint_over(checkpoint);
                self.tasks.values().for_each(|task| task.running.checkpoint_aborted(checkpoint));
            }
            TaskHostMessage::Snapshot { attempt, checkpoint } => {
                if self.tasks.contains_key(&attempt) {
                    self.snapshot(attempt, checkpoint, cx);
                }
            }
            TaskHostMessage::Declined { attempt, checkpoint, error } => {
                cx.send(&self.job_master, JobMasterMessage::Declined { attempt, checkpoint, error });
            }
            TaskHostMessage::EndOfData(attempt) => cx.send(&self.job_master, JobMasterMessage::EndOfData(attempt)),
            TaskHostMessage::Close => self.close(cx),
            TaskHostMessage::State { attempt, state, error } => self.state(attempt, state, error, cx),
            TaskHostMessage::Ended { attempt, how } => self.ended(attempt, how, cx),
            TaskHostMessage::FromReader { attempt, operator, event } => {
                if self.tasks.contains_key(&attempt) {
                    cx.send(&self.job_master, JobMasterMessage::FromReader { attempt, operator, event });
                }
            }
        }
        self.leave_if_closed(cx);
    }

    fn crashed(&mut self, error: Error, cx: &mut ActorContext<'_>) {
        self.tasks.values().for_each(|task| task.running.cancel());
        let error = error.context("TaskHost");
        cx.send(&self.task_manager, TaskManagerMessage::HostFailed { job: self.job.id, run: self.run, error });
    }
}
