//! Runs the jobs of any program in the simulator.

use crate::cluster::SimCluster;
use crate::run::Run;
use crate::storage::SimStorages;
use brisk_base::options::Configuration;
use brisk_base::options::core_options::PARALLELISM_DEFAULT;
use brisk_base::{Error, Result};
use brisk_cluster::Gateway;
use brisk_cluster::client::{ClusterJobClient, JobView};
use brisk_cluster::services::Services;
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::checkpoint_statistics::CheckpointStatistics;
use brisk_core::job::{JobClient, JobExecutor, JobProgress, JobResult, JobStatus};
use brisk_core::job_graph::StreamGraph;
use brisk_core::registry::OperatorRegistry;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Steps of a simulation, unless said otherwise: far more than a test should take.
pub(crate) const MAX_STEPS: u64 = 50_000_000;

/// Steps between two looks of a program that reads a job's results while it runs.
const STEPS_PER_LOOK: u64 = 10_000;

/// Steps between two looks of a program that waits for a savepoint.
const STEPS_PER_SAVEPOINT_LOOK: u64 = 20;

/// Runs jobs from one seed on the thread that waits for them: `execute()` drives the simulation to the job's end.
///
/// ```
/// use brisk_base::options::Configuration;
/// use brisk_sim::SimExecutor;
/// use brisk_stream::StreamEnvironment;
/// use std::sync::Arc;
///
/// let env = StreamEnvironment::new(Arc::new(SimExecutor::new(42)), Configuration::new());
/// let mut doubled = env.from_sequence(1, 3).map(|n| n * 2).collect()?;
/// doubled.sort();
/// assert_eq!(doubled, [2, 4, 6]);
/// # brisk_base::Result::<()>::Ok(())
/// ```
pub struct SimExecutor {
    seed: u64,
    registry: OperatorRegistry,
    max_steps: u64,
    /// Where checkpoints lie.
    storages: SimStorages,
    /// Made with the first job.
    driven: Mutex<Option<Driven>>,
}

/// The cluster and who takes jobs for it.
#[derive(Clone)]
struct Driven {
    cluster: Arc<Mutex<SimCluster>>,
    gateway: Gateway,
}

impl SimExecutor {
    /// An executor whose jobs run as this seed decides.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            registry: OperatorRegistry::default(),
            max_steps: MAX_STEPS,
            storages: SimStorages::default(),
            driven: Mutex::default(),
        }
    }

    /// With operators that are built by name.
    #[must_use]
    pub fn with_registry(mut self, registry: OperatorRegistry) -> Self {
        self.registry = registry;
        self
    }

    /// Fails a job that is not over after so many steps.
    #[must_use]
    pub const fn with_max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    fn driven(&self) -> Result<Driven> {
        let mut driven = self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(driven) = &*driven {
            return Ok(driven.clone());
        }
        let services = Services::from(self.registry.clone()).with_storages(Arc::new(self.storages.clone()));
        #[cfg(feature = "rocksdb")]
        let services = services.with_backend("rocksdb", Arc::new(crate::storage::RocksDbInMemory));
        let (cluster, gateway) = SimCluster::new(self.seed, &services, self.max_steps)?;
        Ok(driven.insert(Driven { cluster: Arc::new(Mutex::new(cluster)), gateway }).clone())
    }

    /// Lets tasks crash so many times, each time within so many polls.
    pub(crate) fn let_crash(&self, times: u64, spread: u64) -> Result<()> {
        self.driven()?.cluster.lock().unwrap_or_else(PoisonError::into_inner).let_crash(times, spread);
        Ok(())
    }

    /// Lets so many calls of the checkpoint storage fail, one in `one_in` on average.
    pub(crate) fn let_storage_fail(&self, times: u64, one_in: u64, seed: u64) {
        self.storages.let_fail(times, one_in, seed);
    }

    /// The folder of the newest completed checkpoint of any job.
    pub(crate) fn newest_checkpoint(&self) -> Result<Option<String>> {
        self.storages.newest_checkpoint()
    }

    /// Runs one job to its end, cancelling it after so many steps, and looks at what is left of it.
    pub(crate) fn run(&self, graph: StreamGraph, config: &Configuration, cancel_after: Option<u64>) -> Result<Run<()>> {
        let client = self.start(&graph, config)?;
        drop(graph);
        let cancelled = cancel_after.is_some_and(|steps| client.drive(steps).is_none());
        if cancelled {
            client.cluster().trace_mut().cancel();
            client.cancel();
        }
        let (result, status) = (client.wait(), client.status());
        let mut cluster = client.cluster();
        let leaks = if status.is_globally_terminal() { cluster.leaks() } else { Vec::new() };
        let (elapsed, trace) = (cluster.elapsed(), cluster.trace().clone());
        let parallelism = config.get(&PARALLELISM_DEFAULT)?;
        Ok(Run { seed: self.seed, parallelism, cancelled, status, result, output: (), elapsed, trace, leaks })
    }

    /// Submits a job; the client drives it.
    fn start(&self, graph: &StreamGraph, config: &Configuration) -> Result<SimClient> {
        let Driven { cluster, gateway } = self.driven()?;
        let client = gateway.submit_keeping(graph, config, ())?;
        Ok(SimClient { cluster, client, stuck_at: Mutex::new(None), broken: Mutex::new(None) })
    }
}

impl JobExecutor for SimExecutor {
    fn submit(&self, graph: StreamGraph, config: &Configuration) -> Result<Arc<dyn JobClient>> {
        Ok(Arc::new(self.start(&graph, config)?))
    }
}

/// A handle to a simulated job: waiting for the job is what makes it run.
struct SimClient {
    cluster: Arc<Mutex<SimCluster>>,
    client: ClusterJobClient<()>,
    /// Number of steps when nothing could run any more.
    stuck_at: Mutex<Option<u64>>,
    /// What ended the simulation before the job.
    broken: Mutex<Option<String>>,
}

impl SimClient {
    /// The cluster, locked.
    fn cluster(&self) -> MutexGuard<'_, SimCluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job's published state.
    fn view(&self) -> &JobView {
        self.client.view()
    }

    /// How the job ended, if it has.
    fn ended(&self) -> Option<Result<JobResult>> {
        let broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(message) = &*broken {
            return Some(Err(Error::bug(message.clone())));
        }
        self.client.wait_for(Duration::ZERO)
    }

    /// Steps until the job is over, nothing can run, or so many steps are done.
    fn drive(&self, steps: u64) -> Option<Result<JobResult>> {
        let mut cluster = self.cluster();
        for _ in 0..steps {
            if self.view().status().is_globally_terminal() {
                break;
            }
            match cluster.step() {
                Ok(true) => {}
                Ok(false) => {
                    self.note_stuck(&cluster);
                    break;
                }
                Err(error) => {
                    self.give_up(&error);
                    break;
                }
            }
        }
        drop(cluster);
        self.ended()
    }

    /// Nothing can run. If that was so the last time, too, nothing ever will; else the program may free what the job waits for.
    fn note_stuck(&self, cluster: &SimCluster) {
        let now = Some(cluster.trace().steps());
        let before = std::mem::replace(&mut *self.stuck_at.lock().unwrap_or_else(PoisonError::into_inner), now);
        if before == now {
            self.give_up(&cluster.deadlock());
        }
    }

    fn give_up(&self, error: &Error) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.message().to_owned());
    }
}

impl JobClient for SimClient {
    fn job_id(&self) -> brisk_base::ids::JobId {
        self.client.job_id()
    }

    fn status(&self) -> JobStatus {
        self.client.status()
    }

    fn cancel(&self) {
        self.client.cancel();
    }

    /// Drives the job until the savepoint is made, or the job is over.
    fn savepoint(&self, folder: Option<&str>, kind: SnapshotKind) -> Result<String> {
        let answer = self.client.request_savepoint(folder, kind);
        loop {
            let ended = self.drive(STEPS_PER_SAVEPOINT_LOOK);
            match answer.try_recv() {
                Ok(result) => return result,
                Err(_) if ended.is_some() => return Err(Error::transient("the job ended before the savepoint was made")),
                Err(_) => {}
            }
        }
    }

    fn accumulators(&self) -> BTreeMap<String, AccumulatorValue> {
        self.client.accumulators()
    }

    fn progress(&self) -> JobProgress {
        self.client.progress()
    }

    fn checkpoints(&self) -> CheckpointStatistics {
        self.client.checkpoints()
    }

    fn wait_for(&self, timeout: Duration) -> Option<Result<JobResult>> {
        if timeout.is_zero() {
            return self.drive(STEPS_PER_LOOK);
        }
        loop {
            // A job that is stuck twice without a step in between has ended with an error.
            if let Some(ended) = self.drive(u64::MAX) {
                return Some(ended);
            }
        }
    }
}
