//! Starts real tasks on the simulator's executor, with channels that it disturbs, and remembers them for its reports.

use crate::mood::Chaos;
use brisk_base::Result;
use brisk_base::metrics::MetricGroup;
use brisk_base::world::World;
use brisk_cluster::job::{JobSpec, TaskDeployment};
use brisk_cluster::task_manager::{HostLauncher, RunningTask, TaskLauncher, TaskNotifier};
use brisk_core::operator::TaskInfo;
use brisk_core::registry::OperatorRegistry;
use brisk_runtime::exchange::LocalExchanges;
use brisk_runtime::executor::{Executor, StepExecutor};
use brisk_runtime::task::{TaskControl, TaskDescriptor, TaskEnvironment, start_task};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A task that has been started, as reports need it. It keeps nothing alive that a leak check looks for.
pub(crate) struct Started {
    /// Its figures and name.
    pub(crate) control: TaskControl,
    /// Its job.
    pub(crate) job: JobSpec,
    /// Index of its vertex.
    pub(crate) vertex: usize,
    /// Its channels, while its host lives.
    pub(crate) exchanges: Weak<LocalExchanges>,
}

/// See the module.
pub(crate) struct SimLauncher {
    world: World,
    executor: Arc<StepExecutor>,
    registry: OperatorRegistry,
    chaos: Arc<Chaos>,
    started: Arc<Mutex<Vec<Started>>>,
}

impl SimLauncher {
    pub(crate) fn new(executor: Arc<StepExecutor>, registry: OperatorRegistry, chaos: Arc<Chaos>) -> Self {
        Self { world: executor.world().clone(), executor, registry, chaos, started: Arc::default() }
    }

    /// Tasks started so far, those of [forgotten](Self::forget) jobs excepted.
    pub(crate) fn started(&self) -> MutexGuard<'_, Vec<Started>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets of channels that have not been freed.
    pub(crate) fn live_exchanges(&self) -> usize {
        // The launcher holds one reference; each set of channels one, and each of its gates another.
        Arc::strong_count(&self.chaos) - 1
    }

    /// Forgets what was started.
    pub(crate) fn forget(&self) {
        self.started().clear();
    }
}

impl TaskLauncher for SimLauncher {
    fn open(&self, job: &JobSpec) -> Result<Box<dyn HostLauncher>> {
        Ok(Box::new(SimHost {
            job: job.clone(),
            job_name: job.graph.name.as_str().into(),
            metrics: MetricGroup::unregistered(&self.world).job(job.id, &job.graph.name),
            executor: Arc::clone(&self.executor),
            registry: self.registry.clone(),
            exchanges: Arc::new(LocalExchanges::perturbed(Arc::<Chaos>::clone(&self.chaos))),
            started: Arc::clone(&self.started),
        }))
    }
}

/// Starts the tasks of one job.
struct SimHost {
    job: JobSpec,
    job_name: Arc<str>,
    /// Scope of the job's metrics.
    metrics: MetricGroup,
    executor: Arc<StepExecutor>,
    registry: OperatorRegistry,
    /// The gates of the job's tasks.
    exchanges: Arc<LocalExchanges>,
    /// Where each started task is noted.
    started: Arc<Mutex<Vec<Started>>>,
}

impl HostLauncher for SimHost {
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
            registry: self.registry.clone(),
            metrics: self.metrics.task(deployment.attempt, &vertex.name),
            state_backend: None,
            checkpointing: false,
        };
        let environment = TaskEnvironment {
            world: self.executor.world().clone(),
            executor: Arc::<StepExecutor>::clone(&self.executor),
            exchanges: Arc::clone(&self.exchanges),
            reporter: notifier,
        };
        let control = start_task(descriptor, environment, None);
        let exchanges = Arc::downgrade(&self.exchanges);
        let started = Started { control: control.clone(), job: self.job.clone(), vertex: deployment.vertex, exchanges };
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(started);
        Ok(Box::new(control))
    }
}
