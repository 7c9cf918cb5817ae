//! A cluster on this machine: one JobManager and some TaskManagers in the background, with their files in one folder.
//!
//! | in the folder | |
//! |---|---|
//! | `jobmanager.pid`, `taskmanager-N.pid` | numbers of the processes |
//! | `log/` | logs of the daemons, and what the processes of jobs print |
//! | `jobmanager.json` | where it is reached |
//! | `jobmanager/`, `taskmanager/` | programs and temporary files; deleted when the cluster is stopped |

use super::process::Daemon;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a daemon may take to be ready, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Args)]
pub(crate) struct StartOptions {
    /// How many TaskManagers to start.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1)]
    taskmanagers: u32,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    daemon: super::DaemonOptions,
}

#[derive(Args)]
pub(crate) struct StopOptions {
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct Place {
    /// The folder of the cluster's files. Without it, the one that the environment variable `BRISK_HOME` names, or one among the temporary
    /// ones.
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
}

impl Place {
    fn folder(&self) -> Result<PathBuf> {
        let named = self.directory.clone().or_else(|| std::env::var_os("BRISK_HOME").map(PathBuf::from));
        let folder = named.unwrap_or_else(|| std::env::temp_dir().join("brisk-cluster"));
        std::path::absolute(&folder).with_context(|| format!("folder '{}'", folder.display()))
    }
}

pub(super) fn start(options: &StartOptions) -> Result<()> {
    let folder = options.place.folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("folder '{}'", folder.display()))?;
    if let Some(running) = Daemon::all(&folder)?.iter().find(|daemon| daemon.process().is_some()) {
        bail!("a cluster runs already in '{}' ({}): stop it with `brisk stop-cluster`", folder.display(), running.name());
    }
    let daemons = Daemons { folder: &folder, define: &options.daemon.define, application: &[] };
    let (rest, task_managers) = daemons.start(options.taskmanagers)?;
    println!("Started the JobManager. REST: http://{rest}");
    if let Some(last) = task_managers.last() {
        let wanted = task_managers.len();
        wait_for(last, || Ok((registered(&rest)? >= wanted).then_some(())))?;
    }
    println!("Started {} TaskManager(s). Logs: {}", task_managers.len(), folder.join("log").display());
    Ok(())
}

/// The daemons of a cluster in a folder.
pub(super) struct Daemons<'a> {
    pub(super) folder: &'a Path,
    /// Options, as `KEY=VALUE`.
    pub(super) define: &'a [String],
    /// More arguments of the JobManager: the program that the cluster is there for, if it is there for one.
    pub(super) application: &'a [String],
}

impl Daemons<'_> {
    /// Starts them, and waits for the JobManager: where its REST server is, and the TaskManagers.
    pub(super) fn start(&self, task_managers: u32) -> Result<(String, Vec<Daemon>)> {
        let folder = self.folder;
        let defines = |more: &[(&str, String)]| -> Vec<String> {
            let given = self.define.iter().cloned();
            // What the command line says counts.
            more.iter().map(|(key, value)| format!("{key}={value}")).chain(given).flat_map(|define| ["-D".to_owned(), define]).collect()
        };
        let path = |name: &str| folder.join(name).display().to_string();
        let address_file = folder.join("jobmanager.json");
        let _ = fs::remove_file(&address_file);
        let job_manager = Daemon::new(folder, "jobmanager");
        let mut arguments = defines(&[("process.jobmanager.working-dir", path("jobmanager")), ("env.log.dir", path("log"))]);
        arguments.extend(["--address-file".to_owned(), address_file.display().to_string()]);
        arguments.extend(self.application.iter().cloned());
        job_manager.start(&arguments)?;
        let addresses = wait_for(&job_manager, || read_addresses(&address_file))?;
        let (rpc, rest) = (text(&addresses, "rpc")?, text(&addresses, "rest")?);
        let (_, port) = rpc.rsplit_once(':').with_context(|| format!("'{rpc}' is no address"))?;
        let task_managers: Vec<Daemon> = (1..=task_managers).map(|number| Daemon::new(folder, &format!("taskmanager-{number}"))).collect();
        for daemon in &task_managers {
            // The port that was found, whatever was asked for.
            let mut arguments = defines(&[("process.taskmanager.working-dir", path("taskmanager")), ("env.log.dir", path("log"))]);
            arguments.extend(["-D".to_owned(), format!("jobmanager.rpc.port={port}")]);
            if !self.application.is_empty() {
                arguments.push("--once".to_owned());
            }
            daemon.start(&arguments)?;
        }
        Ok((rest, task_managers))
    }
}

/// Looks again and again until there is something, or the daemon has ended.
fn wait_for<T>(daemon: &Daemon, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        // Just started, its command line may not be there yet.
        if daemon.process().is_none() && waited > Duration::from_secs(1) {
            bail!("the {} has ended: see '{}'\n{}", daemon.name(), daemon.log().display(), daemon.last_words());
        }
        if waited > PATIENCE {
            bail!("the {} is not ready after {PATIENCE:?}: see '{}'", daemon.name(), daemon.log().display());
        }
        std::thread::park_timeout(PAUSE);
        waited += PAUSE;
    }
}

fn read_addresses(file: &Path) -> Result<Option<Value>> {
    match fs::read_to_string(file) {
        Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| format!("file '{}'", file.display())),
        Err(_) => Ok(None),
    }
}

fn text(addresses: &Value, name: &str) -> Result<String> {
    Ok(addresses[name].as_str().with_context(|| format!("the JobManager does not say its '{name}': {addresses}"))?.to_owned())
}

/// How many TaskManagers the JobManager knows.
fn registered(rest: &str) -> Result<usize> {
    let answer = ureq::get(format!("http://{rest}/v1/taskmanagers")).call();
    let mut answer = answer.with_context(|| format!("asking {rest}"))?;
    let body: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
    Ok(body["taskmanagers"].as_array().map_or(0, Vec::len))
}

pub(super) fn stop(options: &StopOptions) -> Result<()> {
    let folder = options.place.folder()?;
    let daemons = if folder.exists() { Daemon::all(&folder)? } else { Vec::new() };
    if daemons.is_empty() {
        bail!("there is no cluster in '{}'", folder.display());
    }
    for daemon in &daemons {
        let stopped = daemon.stop(PATIENCE)?;
        println!("{} the {}.", if stopped { "Stopped" } else { "There was no process of" }, daemon.name());
    }
    for left in ["jobmanager", "taskmanager"] {
        let left = folder.join(left);
        if left.exists() {
            fs::remove_dir_all(&left).with_context(|| format!("folder '{}'", left.display()))?;
        }
    }
    let _ = fs::remove_file(folder.join("jobmanager.json"));
    Ok(())
}
