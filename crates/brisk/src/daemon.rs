//! The daemons of a cluster, put together for the command `brisk`.

use crate::embedded::services;
use crate::environment::effective;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result};
pub use brisk_cluster::blob::name_of;
use brisk_cluster::process::job_manager::JobManagerProcess;
use brisk_cluster::process::log;
use brisk_cluster::process::task_manager::TaskManagerProcess;
use brisk_rest::RestServer;
use brisk_rest::options::REST_PORT;
use std::net::SocketAddr;
use std::path::Path;

/// The port of REST when none is configured: Flink's.
pub const DEFAULT_REST_PORT: u16 = 8081;

/// A JobManager that serves.
pub struct JobManager {
    rest: RestServer,
    process: JobManagerProcess,
}

impl JobManager {
    /// Starts a JobManager with its REST server, as the file that the environment names says, and these options over it.
    ///
    /// # Errors
    /// When the configuration is wrong, or a port cannot be had.
    pub fn start(config: &Configuration) -> Result<Self> {
        let world = World::real();
        log::start(&world, log::Level::INFO);
        let config = effective(config)?;
        log::configure(&config)?;
        let process = JobManagerProcess::start(&config, services(), &world)?;
        let rest = RestServer::start(process.gateway(), config.get(&REST_PORT)?.unwrap_or(DEFAULT_REST_PORT))?;
        Ok(Self { rest, process })
    }

    /// Runs a program, and waits for its end; why it has failed, if it has.
    ///
    /// # Errors
    /// When it cannot be read, or executes no job.
    pub fn run_program(&self, program: &Path, arguments: Vec<String>) -> Result<Option<String>> {
        let ending = self.process.run_program(program, arguments)?;
        Ok((!ending.success).then_some(ending.text))
    }

    /// Waits until somebody wants it to end (`DELETE /cluster`), and then for its jobs.
    pub fn wait(&self) {
        self.process.wait();
    }

    /// Where TaskManagers report.
    pub fn rpc_address(&self) -> &str {
        self.process.address()
    }

    /// Where its REST server is reached.
    pub const fn rest_address(&self) -> SocketAddr {
        self.rest.address()
    }
}

/// Serves as a TaskManager, for ever, or until its JobManager is lost.
///
/// # Errors
/// When the configuration is wrong.
pub fn run_task_manager(config: &Configuration, once: bool) -> Result<Error> {
    let world = World::real();
    log::start(&world, log::Level::INFO);
    let config = effective(config)?;
    log::configure(&config)?;
    let process = TaskManagerProcess::new(&config, &world)?;
    if once { Ok(process.run_once()) } else { process.run() }
}
