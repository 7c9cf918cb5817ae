//! A whole cluster in this process: the real dispatcher, resource manager, JobMasters and TaskManager (Flink's `MiniCluster`).

use crate::cluster::Gateway;
use crate::control;
use crate::job_manager::DispatcherMessage;
use crate::services::Services;
use crate::task_manager::{RuntimeLauncher, TaskLauncher};
use crate::transport::{ControlPlane, PlaneThread};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::metrics::MetricRegistry;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result};
use brisk_core::job::{JobClient, JobExecutor, JobOverview, StopMode};
use brisk_core::job_graph::StreamGraph;
use brisk_runtime::executor::Executor;
use std::any::Any;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a shutdown waits for the jobs to be cancelled, and again for the control thread.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// Runs jobs in this process. It lives until it and all clients of its jobs are dropped, or until it is [shut down](Self::shutdown);
/// jobs that run then are cancelled.
#[derive(Clone)]
pub struct MiniCluster {
    running: Arc<Running>,
}

/// Ends the cluster when dropped.
struct Running {
    gateway: Gateway,
    /// What serves the cluster to others; ends before it.
    companions: Mutex<Vec<Box<dyn Any + Send>>>,
    /// The control thread; `None` once it has been stopped.
    thread: Mutex<Option<PlaneThread>>,
}

impl MiniCluster {
    /// Starts a cluster that runs tasks on `executor`, which stays the caller's to shut down.
    ///
    /// # Errors
    /// When the configuration is wrong, or there is no thread to be had.
    pub fn start(config: &Configuration, world: &World, executor: Arc<dyn Executor>, services: impl Into<Services>) -> Result<Self> {
        let (metrics, services, id) = (MetricRegistry::new(world), services.into(), TaskManagerId(world.random_id()));
        let scope = metrics.root().task_manager("localhost", id);
        let launcher = RuntimeLauncher::new(world.clone(), executor, services.clone(), scope);
        Self::launch(config, world, (id, Arc::new(launcher)), &services)
    }

    /// As [`start`](Self::start), with another way to start tasks.
    ///
    /// # Errors
    /// As there.
    pub fn start_with(config: &Configuration, world: &World, launcher: Arc<dyn TaskLauncher>, services: &Services) -> Result<Self> {
        Self::launch(config, world, (TaskManagerId(world.random_id()), launcher), services)
    }

    fn launch(
        config: &Configuration,
        world: &World,
        task_manager: (TaskManagerId, Arc<dyn TaskLauncher>),
        services: &Services,
    ) -> Result<Self> {
        let mut plane = ControlPlane::threaded(world);
        let gateway = Gateway::assemble_as(&mut plane, world, config, task_manager, services)?;
        let thread = Mutex::new(Some(plane.start("brisk-control")?));
        Ok(Self { running: Arc::new(Running { gateway, companions: Mutex::default(), thread }) })
    }

    /// What can be asked of the cluster.
    pub fn gateway(&self) -> &Gateway {
        &self.running.gateway
    }

    /// Keeps something that serves the cluster to others, such as a REST server, until the cluster ends.
    pub fn keep(&self, companion: impl Any + Send) {
        self.running.companions.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(companion));
    }

    /// Cancels all jobs, waits for them, and ends the control thread. Nothing happens the second time.
    ///
    /// # Errors
    /// When user code does not return, so that tasks or threads had to be left behind.
    pub fn shutdown(&self) -> Result<()> {
        self.running.shutdown()
    }
}

impl Running {
    fn shutdown(&self) -> Result<()> {
        let Some(mut thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let companions = std::mem::take(&mut *self.companions.lock().unwrap_or_else(PoisonError::into_inner));
        drop(companions);
        let (reply, over) = sync_channel(1);
        self.gateway.dispatcher().send(DispatcherMessage::Shutdown(reply));
        let cancelled = over.recv_timeout(SHUTDOWN_PATIENCE).is_ok();
        let stopped = thread.stop(SHUTDOWN_PATIENCE);
        let seconds = SHUTDOWN_PATIENCE.as_secs();
        if cancelled && stopped {
            return Ok(());
        }
        let what = if cancelled { "the control thread" } else { "jobs" };
        Err(Error::user(format!(
            "shutdown: {what} did not end within {seconds} s, because user code does not return; its threads are left behind"
        )))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.shutdown() {
            tracing::error!(%error, "embedded cluster dropped");
        }
    }
}

impl JobExecutor for MiniCluster {
    fn submit(&self, graph: StreamGraph, config: &Configuration) -> Result<Arc<dyn JobClient>> {
        Ok(Arc::new(self.running.gateway.submit_keeping(&graph, config, Arc::clone(&self.running))?))
    }

    fn jobs(&self) -> Result<Vec<JobOverview>> {
        control::jobs(self.gateway().dispatcher())
    }

    fn stop_job(&self, job: JobId, mode: StopMode) -> Result<Option<String>> {
        control::stop(self.gateway().dispatcher(), job, mode)
    }
}
