//! The engine inside of a program: a cluster of one process, started with the first job.
//!
//! Invariant: nothing runs before the first job, and nothing is left when the environment and the clients of its jobs are gone.

use crate::options::{EXECUTOR, EXECUTOR_WORKERS, ExecutorKind};
use crate::progress;
use brisk_base::ids::JobId;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Result, ResultExt};
use brisk_cluster::MiniCluster;
#[cfg(feature = "s3")]
use brisk_cluster::services::LocalStorages;
use brisk_cluster::services::Services;
use brisk_core::job::{JobClient, JobExecutor, JobOverview, StopMode};
use brisk_core::job_graph::StreamGraph;
use brisk_runtime::executor::{CoreWorkers, CoreWorkersOptions, Executor, PollTask, SpawnOptions, TaskHandle};
use std::sync::{Arc, Mutex, PoisonError};

/// See the module.
pub(crate) struct Embedded {
    config: Configuration,
    world: World,
    /// The cluster, once there was a job.
    cluster: Mutex<Option<MiniCluster>>,
}

impl Embedded {
    pub(crate) fn new(config: Configuration) -> Self {
        Self { config, world: World::real(), cluster: Mutex::new(None) }
    }

    fn cluster(&self) -> Result<MiniCluster> {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        match &*cluster {
            Some(running) => Ok(running.clone()),
            None => {
                let started = MiniCluster::start(&self.config, &self.world, executor(&self.config, &self.world)?, services())?;
                #[cfg(feature = "rest")]
                if let Some(server) = brisk_rest::RestServer::start_if_wanted(started.gateway())? {
                    started.keep(server);
                }
                Ok(cluster.insert(started).clone())
            }
        }
    }
}

/// The threads that run tasks.
pub(crate) fn executor(config: &Configuration, world: &World) -> Result<Arc<dyn Executor>> {
    let workers = config.get(&EXECUTOR_WORKERS)? as usize;
    let options = CoreWorkersOptions { workers, ..CoreWorkersOptions::default() };
    let workers = CoreWorkers::start(world.clone(), options).context(|| "starting the engine's threads")?;
    Ok(match config.get(&EXECUTOR)? {
        ExecutorKind::Core => Arc::new(workers),
        ExecutorKind::Dedicated => Arc::new(DedicatedThreads(workers)),
    })
}

impl JobExecutor for Embedded {
    fn submit(&self, graph: StreamGraph, config: &Configuration) -> Result<Arc<dyn JobClient>> {
        let display = progress::Display::of(&graph);
        let client = self.cluster()?.submit(graph, config)?;
        Ok(display.watch(client, &self.world))
    }

    fn jobs(&self) -> Result<Vec<JobOverview>> {
        self.cluster()?.jobs()
    }

    fn stop_job(&self, job: JobId, mode: StopMode) -> Result<Option<String>> {
        self.cluster()?.stop_job(job, mode)
    }
}

/// What the cluster is given: the state backends and the places for checkpoints that were compiled in.
pub(crate) fn services() -> Services {
    let services = Services::default();
    #[cfg(feature = "s3")]
    let services = {
        let storages = brisk_s3::SCHEMES.iter().fold(LocalStorages::default(), |known, scheme| known.with_scheme(scheme, brisk_s3::open));
        services.with_storages(Arc::new(storages))
    };
    #[cfg(feature = "rocksdb")]
    let services = services.with_backend("rocksdb", Arc::new(brisk_state::rocksdb::RocksDbStateBackendFactory));
    services
}

/// Gives each task a thread of its own.
struct DedicatedThreads(CoreWorkers);

impl Executor for DedicatedThreads {
    fn spawn(&self, task: Box<dyn PollTask>, options: SpawnOptions) -> TaskHandle {
        self.0.spawn(task, SpawnOptions { dedicated: true, ..options })
    }

    fn world(&self) -> &World {
        self.0.world()
    }
}
