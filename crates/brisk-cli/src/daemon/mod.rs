//! The daemons of a cluster, and a cluster of them on this machine.
//!
//! | what | file |
//! |---|---|
//! | `jobmanager`, `taskmanager`: the daemons, in the foreground | here |
//! | `start-cluster`, `stop-cluster`: daemons in the background | [`local`] |
//! | `run-application`: daemons for one program | [`application`] |
//! | what is known of a daemon that runs in the background | [`process`] |

mod application;
mod local;
mod process;

use anyhow::{Context, Result, anyhow};
use brisk::daemon::JobManager;
use brisk::options::Configuration;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs a JobManager with its REST server in the foreground.
    Jobmanager(JobManagerOptions),
    /// Runs a TaskManager in the foreground.
    Taskmanager(TaskManagerOptions),
    /// Runs a program on a cluster of its own, which ends with it.
    RunApplication(application::ApplicationOptions),
    /// Starts a JobManager and TaskManagers on this machine, and waits until they are ready.
    StartCluster(local::StartOptions),
    /// Stops what `start-cluster` has started.
    StopCluster(local::StopOptions),
}

#[derive(Args)]
pub(crate) struct DaemonOptions {
    /// Sets an option, over those of the file that the environment variable `BRISK_CONF` names.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    define: Vec<String>,
}

#[derive(Args)]
pub(crate) struct JobManagerOptions {
    #[command(flatten)]
    daemon: DaemonOptions,
    /// Write to this file where it is reached, once it is.
    #[arg(long, value_name = "FILE")]
    address_file: Option<PathBuf>,
    /// Run this program, and end with it.
    #[arg(long, value_name = "PROGRAM")]
    application: Option<PathBuf>,
    /// What the program is called with.
    #[arg(value_name = "ARGUMENTS", last = true, requires = "application")]
    arguments: Vec<String>,
}

#[derive(Args)]
pub(crate) struct TaskManagerOptions {
    #[command(flatten)]
    daemon: DaemonOptions,
    /// End when the JobManager is lost, instead of waiting for the next one.
    #[arg(long)]
    once: bool,
}

impl DaemonOptions {
    fn configuration(&self) -> Result<Configuration> {
        let mut config = Configuration::new();
        self.define.iter().try_for_each(|argument| config.set_argument(argument)).map_err(plain)?;
        Ok(config)
    }
}

/// Runs a command, and prints why if it fails.
pub(crate) fn run(command: &Command) -> ExitCode {
    let done = match command {
        Command::Jobmanager(options) => job_manager(options),
        Command::Taskmanager(options) => task_manager(options),
        Command::StartCluster(options) => local::start(options),
        Command::StopCluster(options) => local::stop(options),
        Command::RunApplication(options) => application::run(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn job_manager(options: &JobManagerOptions) -> Result<()> {
    let job_manager = JobManager::start(&options.daemon.configuration()?).map_err(plain)?;
    if let Some(file) = &options.address_file {
        let (rpc, rest) = (job_manager.rpc_address(), job_manager.rest_address().to_string());
        write_addresses(file, &json!({ "rpc": rpc, "rest": rest, "process": std::process::id() }))?;
    }
    if let Some(program) = &options.application {
        let ended = job_manager.run_program(program, options.arguments.clone()).map_err(plain);
        let why = ended.as_ref().map_or_else(|error| Some(error.to_string()), Clone::clone);
        if let Some(file) = &options.address_file {
            write_addresses(&file.with_file_name(application::ENDING), &json!({ "failure": why }))?;
        }
        return why.map_or(Ok(()), |why| Err(anyhow!("the program {why}")));
    }
    // It serves on threads of its own, until it or the process is ended.
    job_manager.wait();
    Ok(())
}

/// Beside its place first: who reads it finds it whole.
fn write_addresses(file: &Path, addresses: &Value) -> Result<()> {
    let beside = file.with_extension("new");
    let place = || format!("file '{}'", file.display());
    std::fs::write(&beside, addresses.to_string()).with_context(place)?;
    std::fs::rename(&beside, file).with_context(place)
}

fn task_manager(options: &TaskManagerOptions) -> Result<()> {
    let ended = brisk::daemon::run_task_manager(&options.daemon.configuration()?, options.once).map_err(plain)?;
    if options.once { Ok(()) } else { Err(plain(ended)) }
}

fn plain(error: brisk::Error) -> anyhow::Error {
    anyhow!("{error}")
}
