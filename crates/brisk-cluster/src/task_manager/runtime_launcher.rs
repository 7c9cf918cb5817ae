//! Starts real tasks on an executor of this process.

use super::snapshots::restore_task;
use super::{HostLauncher, RunningTask, TaskLauncher, TaskNotifier};
use crate::job::{JobSpec, TaskDeployment, TaskFigures, TaskSnapshot};
use crate::job_manager::job_master::checkpoint::settings::CheckpointSettings;
use crate::services::{Services, StorageProvider};
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId};
use brisk_base::metrics::MetricGroup;
use brisk_base::world::World;
use brisk_base::{Error, Result};
use brisk_core::checkpoint::Barrier;
use brisk_core::job::ExecutionState;
use brisk_core::operator::TaskInfo;
use brisk_core::source::SourceEvent;
use brisk_core::state::StateBackend;
use brisk_runtime::exchange::{LocalExchanges, Locations};
use brisk_runtime::executor::{Executor, TaskOutcome};
use brisk_runtime::task::{TaskCheckpoint, TaskControl, TaskDescriptor, TaskEnvironment, TaskReporter, start_task};
use std::sync::Arc;

/// Makes the exchanges of one execution of a job.
pub type ExchangesFactory = Arc<dyn Fn() -> Arc<LocalExchanges> + Send + Sync>;

/// See the module.
pub struct RuntimeLauncher {
    world: World,
    executor: Arc<dyn Executor>,
    services: Services,
    /// Scope of this TaskManager's metrics.
    metrics: MetricGroup,
    exchanges: ExchangesFactory,
    /// Sees each task that is started.
    watch: Option<StartWatch>,
}

/// Sees a task that has been started: its control, its job, its vertex, and the exchanges of its job.
pub type StartWatch = Arc<dyn Fn(&TaskControl, &JobSpec, usize, &Arc<LocalExchanges>) + Send + Sync>;

impl RuntimeLauncher {
    /// Starts tasks on `executor`.
    pub fn new(world: World, executor: Arc<dyn Executor>, services: Services, metrics: MetricGroup) -> Self {
        Self { world, executor, services, metrics, exchanges: Arc::new(Arc::default), watch: None }
    }

    /// The same launcher with other exchanges, such as the simulator's.
    #[must_use]
    pub fn with_exchanges(mut self, exchanges: ExchangesFactory) -> Self {
        self.exchanges = exchanges;
        self
    }

    /// The same launcher, each task that it starts being shown.
    #[must_use]
    pub fn watched_by(mut self, watch: StartWatch) -> Self {
        self.watch = Some(watch);
        self
    }
}

impl TaskLauncher for RuntimeLauncher {
    fn open(&self, job: &JobSpec) -> Result<Box<dyn HostLauncher>> {
        Ok(Box::new(Host {
            job_name: job.graph.name.as_str().into(),
            metrics: self.metrics.job(job.id, &job.graph.name),
            job: job.clone(),
            world: self.world.clone(),
            executor: Arc::clone(&self.executor),
            backend: self.services.backend(&job.config)?,
            checkpointing: CheckpointSettings::of(&job.config)?.interval.is_some(),
            services: self.services.clone(),
            exchanges: (self.exchanges)(),
            watch: self.watch.clone(),
        }))
    }
}

/// Starts the tasks of one job.
struct Host {
    job: JobSpec,
    job_name: Arc<str>,
    world: World,
    executor: Arc<dyn Executor>,
    services: Services,
    backend: Arc<dyn StateBackend>,
    /// Whether checkpoints are taken.
    checkpointing: bool,
    watch: Option<StartWatch>,
    /// Scope of the job's metrics.
    metrics: MetricGroup,
    /// The gates of the job's tasks.
    exchanges: Arc<LocalExchanges>,
}

impl HostLauncher for Host {
    fn launch(&mut self, deployment: &TaskDeployment, notifier: Arc<TaskNotifier>) -> Result<Box<dyn RunningTask>> {
        let vertex = &self.job.graph.vertices[deployment.vertex];
        let descriptor = TaskDescriptor {
            graph: Arc::clone(&self.job.graph),
            vertex: deployment.vertex,
            info: TaskInfo {
                job_id: self.job.id,
                job_name: Arc::clone(&self.job_name),
                attempt: deployment.attempt,
                subtask: deployment.attempt.subtask,
                parallelism: vertex.parallelism,
                max_parallelism: vertex.max_parallelism,
            },
            config: Arc::clone(&self.job.config),
            registry: self.services.operators.clone(),
            metrics: self.metrics.task(deployment.attempt, &vertex.name),
            state_backend: Some(Arc::clone(&self.backend)),
            checkpointing: self.checkpointing,
        };
        let environment = TaskEnvironment {
            world: self.world.clone(),
            executor: Arc::clone(&self.executor),
            exchanges: Arc::clone(&self.exchanges),
            reporter: notifier,
        };
        let folder = std::env::temp_dir().join(format!("brisk-restore-{}-{}", self.job.id, deployment.attempt));
        let restore = deployment.restore.clone().map(|plan| restore_task(Arc::clone(&self.services.storages), plan, folder));
        let control = start_task(descriptor, environment, restore);
        if let Some(watch) = &self.watch {
            watch(&control, &self.job, deployment.vertex, &self.exchanges);
        }
        Ok(Box::new(control))
    }

    fn storages(&self) -> Arc<dyn StorageProvider> {
        Arc::clone(&self.services.storages)
    }

    fn locate(&mut self, locations: &Arc<Locations>) {
        if let Some(network) = self.exchanges.network() {
            network.set_locations(Arc::clone(locations));
        }
    }

    fn metrics(&self) -> Option<&MetricGroup> {
        Some(&self.metrics)
    }

    fn owns_process(&self) -> bool {
        self.exchanges.network().is_some()
    }
}

impl RunningTask for TaskControl {
    fn cancel(&self) {
        Self::cancel(self);
    }

    fn send_event(&self, operator: OperatorId, event: SourceEvent) {
        Self::send_event(self, operator, event);
    }

    fn trigger_checkpoint(&self, barrier: Barrier) {
        Self::trigger_checkpoint(self, barrier);
    }

    fn checkpoint_complete(&self, checkpoint: CheckpointId) {
        Self::checkpoint_complete(self, checkpoint);
    }

    fn checkpoint_aborted(&self, checkpoint: CheckpointId) {
        Self::checkpoint_aborted(self, checkpoint);
    }

    fn snapshot(&self) -> TaskSnapshot {
        let io = self.io();
        let figures = TaskFigures {
            records_in: io.records_in,
            records_out: io.records_out,
            bytes_in: io.bytes_in,
            bytes_out: io.bytes_out,
            watermark: io.watermark,
            state_entries: io.state_entries,
            lived: io.lived,
            idle: io.idle,
            back_pressured: io.back_pressured,
            pace: io.pace,
        };
        TaskSnapshot { figures, accumulators: self.accumulators() }
    }

    fn current_operator(&self) -> String {
        Self::current_operator(self).to_owned()
    }

    fn abandon(&self) {
        Self::abandon(self);
    }
}

impl TaskReporter for TaskNotifier {
    fn state(&self, attempt: AttemptId, state: ExecutionState, error: Option<Error>) {
        Self::state(self, attempt, state, error);
    }

    fn event(&self, attempt: AttemptId, operator: OperatorId, event: SourceEvent) {
        Self::event(self, attempt, operator, event);
    }

    fn snapshot(&self, attempt: AttemptId, snapshot: TaskCheckpoint) {
        Self::snapshot(self, attempt, snapshot);
    }

    fn declined(&self, attempt: AttemptId, checkpoint: CheckpointId, why: Error) {
        Self::declined(self, attempt, checkpoint, why);
    }

    fn end_of_data(&self, attempt: AttemptId) {
        Self::end_of_data(self, attempt);
    }

    fn ended(&self, attempt: AttemptId, outcome: &TaskOutcome) {
        let how = match outcome {
            TaskOutcome::Finished => None,
            TaskOutcome::Panicked(report) => Some(Error::user(report.to_string())),
            TaskOutcome::Dropped => Some(Error::transient("its executor was shut down")),
        };
        Self::ended(self, attempt, how);
    }
}
