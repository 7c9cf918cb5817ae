//! Starts real tasks on the simulator's executor, with channels that it disturbs, and remembers them for its reports.

use crate::mood::Chaos;
use brisk_base::Result;
use brisk_base::metrics::MetricGroup;
use brisk_cluster::job::JobSpec;
use brisk_cluster::services::Services;
use brisk_cluster::task_manager::{HostLauncher, RuntimeLauncher, TaskLauncher};
use brisk_runtime::exchange::LocalExchanges;
use brisk_runtime::executor::{Executor, StepExecutor};
use brisk_runtime::task::TaskControl;
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
    launcher: RuntimeLauncher,
    chaos: Arc<Chaos>,
    started: Arc<Mutex<Vec<Started>>>,
}

impl SimLauncher {
    pub(crate) fn new(executor: Arc<StepExecutor>, services: Services, chaos: Arc<Chaos>) -> Self {
        let world = executor.world().clone();
        let started: Arc<Mutex<Vec<Started>>> = Arc::default();
        let (of_exchanges, list) = (Arc::clone(&chaos), Arc::clone(&started));
        let watch = move |control: &TaskControl, job: &JobSpec, vertex: usize, exchanges: &Arc<LocalExchanges>| {
            let started = Started { control: control.clone(), job: job.clone(), vertex, exchanges: Arc::downgrade(exchanges) };
            list.lock().unwrap_or_else(PoisonError::into_inner).push(started);
        };
        let launcher = RuntimeLauncher::new(world.clone(), executor, services, MetricGroup::unregistered(&world))
            .with_exchanges(Arc::new(move || Arc::new(LocalExchanges::perturbed(Arc::<Chaos>::clone(&of_exchanges)))))
            .watched_by(Arc::new(watch));
        Self { launcher, chaos, started }
    }

    /// Tasks started so far, those of [forgotten](Self::forget) jobs excepted.
    pub(crate) fn started(&self) -> MutexGuard<'_, Vec<Started>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets of channels that have not been freed.
    pub(crate) fn live_exchanges(&self) -> usize {
        // The launcher holds two references; each set of channels one, and each of its gates another.
        Arc::strong_count(&self.chaos) - 2
    }

    /// Lets tasks crash so many times, each time within so many polls.
    pub(crate) fn let_crash(&self, times: u64, spread: u64) {
        self.chaos.let_crash(times, spread);
    }

    /// Forgets what was started.
    pub(crate) fn forget(&self) {
        self.started().clear();
    }
}

impl TaskLauncher for SimLauncher {
    fn open(&self, job: &JobSpec) -> Result<Box<dyn HostLauncher>> {
        self.launcher.open(job)
    }
}
