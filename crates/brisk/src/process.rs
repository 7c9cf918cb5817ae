//! The program as a process of a cluster: who started it decides what `execute` does.
//!
//! By hand, jobs run inside of the process. Started by a JobManager, it is the driver of its jobs; started by a TaskManager, it runs tasks of one
//! of them. The program cannot tell.

use crate::embedded::{executor, services};
use brisk_base::Result;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_cluster::process::driver::Driver;
use brisk_cluster::process::worker::Worker;
use brisk_cluster::process::{Origin, ProgramRole, limits, log};
use brisk_core::job::JobExecutor;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// A process of a program.
#[derive(Clone)]
pub(crate) enum ProgramProcess {
    Driver(Arc<Driver>),
    Worker(Arc<Worker>),
}

/// The one of this process, once it has reported.
static REPORTED: Mutex<Option<ProgramProcess>> = Mutex::new(None);

impl ProgramProcess {
    /// The process that this is; `None` if it was started by hand. Reports the first time.
    pub(crate) fn current() -> Result<Option<Self>> {
        let Some(origin) = Origin::of_environment()? else { return Ok(None) };
        let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.is_some() {
            return Ok(reported.clone());
        }
        let world = World::real();
        // What a driver prints is what its user sees.
        log::start(&world, if origin.role == ProgramRole::Driver { log::Level::WARN } else { log::Level::INFO });
        origin.memory.map_or(Ok(()), limits::limit_memory)?;
        let current = match origin.role {
            ProgramRole::Driver => Self::Driver(Driver::connect(&origin, services(), &world)?),
            ProgramRole::Worker => Self::Worker(Worker::connect(&origin, services(), executor, &world)?),
        };
        *reported = Some(current.clone());
        Ok(Some(current))
    }

    /// The options that environments begin with.
    pub(crate) fn base(&self) -> &Configuration {
        match self {
            Self::Driver(driver) => driver.base(),
            Self::Worker(worker) => worker.base(),
        }
    }

    /// What `StreamEnvironment::once` has recorded.
    pub(crate) fn once(&self) -> BTreeMap<String, Vec<u8>> {
        match self {
            Self::Driver(driver) => driver.once(),
            Self::Worker(worker) => worker.once(),
        }
    }

    /// Runs jobs, or tasks of one.
    pub(crate) fn executor(self) -> Arc<dyn JobExecutor> {
        match self {
            Self::Driver(driver) => driver.handle(),
            Self::Worker(worker) => worker,
        }
    }
}
