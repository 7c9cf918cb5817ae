//! `brisk run-application`: a cluster that is there for one program, and ends with it.
//!
//! The JobManager runs the program and ends when it has ended; TaskManagers end when they have lost it. Whoever has started them may go.

use super::local::Daemons;
use super::process::Daemon;
use crate::cluster::paths::resolved;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file beside the addresses in which the JobManager says how the program has ended.
pub(super) const ENDING: &str = "application.json";

/// How long to wait before looking again what the program has printed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long TaskManagers may take to notice that they are not needed any more.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args)]
pub(crate) struct ApplicationOptions {
    /// Do not wait for the program's end.
    #[arg(short, long)]
    detached: bool,
    /// The parallelism of operators that set none.
    #[arg(short, long, value_name = "N")]
    parallelism: Option<u32>,
    /// Path of a savepoint or checkpoint to begin from.
    #[arg(short = 's', long = "fromSavepoint", value_name = "PATH")]
    from_savepoint: Option<String>,
    /// Leave out state of the savepoint that the program has no operator for.
    #[arg(short = 'n', long = "allowNonRestoredState")]
    allow_non_restored_state: bool,
    /// How many TaskManagers to start.
    #[arg(long, value_name = "N", default_value_t = 1)]
    taskmanagers: u32,
    /// The folder of the cluster's files. Without it, one among the temporary ones, which is deleted when the program has ended well and was
    /// waited for.
    #[arg(long, value_name = "FOLDER")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    daemon: super::DaemonOptions,
    /// The program: an executable that was built with Brisk.
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    /// What it is called with. Relative paths that name files here are made absolute.
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl ApplicationOptions {
    /// The options of the cluster. Ports are any free ones, unless something is said.
    fn define(&self) -> Vec<String> {
        let mut define: Vec<String> = ["rest.port=0", "jobmanager.rpc.port=0"].map(str::to_owned).to_vec();
        define.extend(self.parallelism.map(|parallelism| format!("parallelism.default={parallelism}")));
        define.extend(self.from_savepoint.as_ref().map(|path| format!("execution.state-recovery.path={path}")));
        if self.allow_non_restored_state {
            define.push("execution.state-recovery.ignore-unclaimed-state=true".to_owned());
        }
        define.extend(self.daemon.define.iter().cloned());
        define
    }
}

pub(super) fn run(options: &ApplicationOptions) -> Result<()> {
    let named = options.directory.clone();
    let folder = named.clone().unwrap_or_else(|| std::env::temp_dir().join(format!("brisk-application-{}", std::process::id())));
    let folder = std::path::absolute(&folder).with_context(|| format!("folder '{}'", folder.display()))?;
    fs::create_dir_all(&folder).with_context(|| format!("folder '{}'", folder.display()))?;
    if let Some(running) = Daemon::all(&folder)?.iter().find(|daemon| daemon.process().is_some()) {
        bail!("a cluster runs already in '{}' ({})", folder.display(), running.name());
    }
    let _ = fs::remove_file(folder.join(ENDING));
    let program = std::path::absolute(&options.program).with_context(|| format!("file '{}'", options.program.display()))?;
    if !program.is_file() {
        bail!("there is no program '{}'", program.display());
    }
    let here = std::env::current_dir().context("the folder of this process")?;
    let mut application = vec!["--application".to_owned(), program.display().to_string(), "--".to_owned()];
    application.extend(resolved(&options.arguments, &here));
    let define = options.define();
    let (rest, task_managers) = Daemons { folder: &folder, define: &define, application: &application }.start(options.taskmanagers)?;
    if options.detached {
        println!("The program runs on a cluster of its own. REST: http://{rest} Logs: {}", folder.join("log").display());
        return Ok(());
    }
    let job_manager = Daemon::new(&folder, "jobmanager");
    let mut printed = Printed { folder: folder.join("log"), file: None };
    while job_manager.process().is_some() {
        printed.show()?;
        std::thread::park_timeout(LOOK_AGAIN);
    }
    printed.show()?;
    for daemon in task_managers.iter().chain([&job_manager]) {
        daemon.buried(PATIENCE)?;
    }
    let text = fs::read_to_string(folder.join(ENDING)).unwrap_or_default();
    let ending: Value = serde_json::from_str(&text).unwrap_or_default();
    match (ending.get("failure"), ending["failure"].as_str()) {
        (Some(_), None) => {
            if named.is_none() {
                fs::remove_dir_all(&folder).with_context(|| format!("folder '{}'", folder.display()))?;
            }
            Ok(())
        }
        (_, Some(why)) => bail!("the program {why}"),
        (None, None) => {
            bail!("the JobManager has ended without saying why: see '{}'\n{}", job_manager.log().display(), job_manager.last_words())
        }
    }
}

/// What the program prints, as its log has it.
struct Printed {
    /// Where logs are.
    folder: PathBuf,
    /// Its log, once it is there.
    file: Option<File>,
}

impl Printed {
    /// Shows what has come since.
    fn show(&mut self) -> Result<()> {
        if self.file.is_none() {
            self.file = log_of_program(&self.folder).map(File::open).transpose().context("the log of the program")?;
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let at = file.stream_position()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // What is no text yet comes with the next piece.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        std::io::stdout().write_all(&bytes[..whole])?;
        std::io::stdout().flush()?;
        file.seek(SeekFrom::Start(at + whole as u64))?;
        Ok(())
    }
}

fn log_of_program(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    files.into_iter().find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("program-")))
}
