//! Commands that look at the jobs of a cluster and control them over REST, with Flink's options and output.
//!
//! | what | file |
//! |---|---|
//! | options, and what is done for them | here |
//! | which cluster, and talking to it | [`rest`] |
//! | what `list` prints | [`mod@list`] |
//! | `run` | [`mod@run`] |
//! | starting and following programs, of executables or of statements | [`program`] |
//!
//! Whatever is asked of a cluster that is not there, or answers nonsense, ends with a message that names its address.

mod list;
pub(crate) mod paths;
pub(crate) mod program;
pub(crate) mod rest;
mod run;

use self::paths::location_here;
use self::rest::Rest;
use anyhow::{Context, Result, bail};
use brisk::ids::JobId;
use brisk::options::Target;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Uploads a program and runs it.
    Run(run::RunOptions),
    /// Lists running and scheduled programs.
    List(ListOptions),
    /// Shows the plan of a job, or of the first job of a program, which is not run (JSON).
    Info(InfoOptions),
    /// Cancels a running program.
    Cancel(CancelOptions),
    /// Stops a running program with a savepoint.
    Stop(StopOptions),
    /// Triggers savepoints for a running job or disposes existing ones.
    Savepoint(SavepointOptions),
    /// Triggers a checkpoint for a running job now.
    Checkpoint(CheckpointOptions),
}

/// Which cluster, and how to print.
#[derive(Args)]
pub(crate) struct Common {
    /// Address of the cluster's REST server. Without it, `rest.address` and `rest.port` count (localhost:8081).
    #[arg(short = 'm', long, value_name = "HOST:PORT")]
    jobmanager: Option<String>,
    /// Sets an option, over those of the file that the environment variable `BRISK_CONF` names.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    define: Vec<String>,
    /// Where it is done: `remote`, on a cluster that is reached over REST; for `run` also `local`, in a process of its own. Without it,
    /// `execution.target` counts for `run`.
    #[arg(short = 't', long, short_alias = 'e', alias = "executor", value_name = "TARGET")]
    target: Option<String>,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Human)]
    output: Output,
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people, as Flink prints it.
    Human,
    /// One JSON object on the standard output.
    Json,
}

/// The form of a savepoint.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SavepointType {
    /// The one that every backend reads.
    Canonical,
    /// A backend's own, which Flink has: a cluster of Brisk refuses it.
    Native,
}

impl SavepointType {
    /// As REST has it.
    const fn name(self) -> &'static str {
        match self {
            Self::Canonical => "CANONICAL",
            Self::Native => "NATIVE",
        }
    }
}

#[derive(Args)]
pub(crate) struct ListOptions {
    /// Show all programs and their job ids.
    #[arg(short, long)]
    all: bool,
    /// Show only running programs and their job ids.
    #[arg(short, long)]
    running: bool,
    /// Show only scheduled programs and their job ids.
    #[arg(short, long)]
    scheduled: bool,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct InfoOptions {
    /// The parallelism of operators of the program that set none.
    #[arg(short, long, value_name = "N")]
    parallelism: Option<u32>,
    #[command(flatten)]
    common: Common,
    /// The job, or a program.
    #[arg(value_name = "JOB ID | PROGRAM")]
    what: String,
    /// What the program is called with.
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

#[derive(Args)]
pub(crate) struct CancelOptions {
    /// Deprecated, use `stop`. Makes a savepoint in this directory, or in the configured one, and cancels then.
    #[arg(short = 's', long = "withSavepoint", value_name = "TARGET DIRECTORY", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "given or not, with a directory or without")]
    with_savepoint: Option<Option<String>>,
    /// The job.
    #[arg(value_name = "JOB ID")]
    job: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct StopOptions {
    /// End event time before the savepoint, so that all windows and timers fire.
    #[arg(short, long)]
    drain: bool,
    /// The directory to make the savepoint in. Without it, the configured one (`execution.checkpointing.savepoint-dir`).
    #[arg(short = 'p', long = "savepointPath", value_name = "DIRECTORY")]
    savepoint_path: Option<String>,
    /// The form of the savepoint.
    #[arg(long = "type", value_enum, default_value_t = SavepointType::Canonical)]
    savepoint_type: SavepointType,
    /// The job.
    #[arg(value_name = "JOB ID", value_parser = job_id)]
    job: JobId,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct SavepointOptions {
    /// Path of a savepoint to dispose.
    #[arg(short, long, value_name = "PATH", conflicts_with_all = ["job", "target_directory"])]
    dispose: Option<String>,
    /// The job.
    #[arg(value_name = "JOB ID", value_parser = job_id, required_unless_present = "dispose")]
    job: Option<JobId>,
    /// The directory to make the savepoint in. Without it, the configured one (`execution.checkpointing.savepoint-dir`).
    #[arg(value_name = "TARGET DIRECTORY")]
    target_directory: Option<String>,
    /// The form of the savepoint.
    #[arg(long = "type", value_enum, default_value_t = SavepointType::Canonical)]
    savepoint_type: SavepointType,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(crate) struct CheckpointOptions {
    /// Accepted as in Flink: whether files are shared with earlier checkpoints is the backend's matter.
    #[arg(long)]
    full: bool,
    /// The job.
    #[arg(value_name = "JOB ID", value_parser = job_id)]
    job: JobId,
    #[command(flatten)]
    common: Common,
}

/// Runs a command, and prints why if it fails.
pub(crate) fn run(command: Command) -> ExitCode {
    let output = command.common().output;
    match execute(command) {
        Ok(result) => {
            if output == Output::Json {
                println!("{result}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            match output {
                Output::Json => println!("{}", json!({ "errors": [format!("{error:#}")] })),
                Output::Human => eprintln!("error: {error:#}"),
            }
            ExitCode::FAILURE
        }
    }
}

impl Command {
    const fn common(&self) -> &Common {
        match self {
            Self::Run(options) => &options.common,
            Self::List(options) => &options.common,
            Self::Info(options) => &options.common,
            Self::Cancel(options) => &options.common,
            Self::Stop(options) => &options.common,
            Self::Savepoint(options) => &options.common,
            Self::Checkpoint(options) => &options.common,
        }
    }
}

impl Common {
    /// Whether people read what is printed.
    fn is_human(&self) -> bool {
        self.output == Output::Human
    }

    /// Says something to people.
    fn say(&self, text: &str) {
        if self.output == Output::Human {
            println!("{text}");
        }
    }

    /// Shows to people what a program has printed.
    fn show(&self, printed: &str) -> std::io::Result<()> {
        if self.output == Output::Json {
            return Ok(());
        }
        let mut out = std::io::stdout();
        out.write_all(printed.as_bytes())?;
        out.flush()
    }
}

/// Does what is asked for; what is to be printed as JSON.
fn execute(command: Command) -> Result<Value> {
    if let Command::Run(options) = &command
        && options.target()? == Target::Local
    {
        return run::run_here(options);
    }
    let rest = Rest::of(command.common())?;
    match command {
        Command::Run(options) => run::run(&rest, &options),
        Command::List(options) => list(&rest, &options),
        Command::Info(options) => {
            let plan = match options.what.parse::<JobId>() {
                Ok(job) => rest.get(&format!("/jobs/{job}/plan"))?["plan"].take(),
                Err(_) => run::plan(&rest, &options)?,
            };
            options.common.say(&format!("{plan:#}"));
            Ok(plan)
        }
        Command::Cancel(options) => cancel(&rest, options),
        Command::Stop(options) => stop(&rest, &options),
        Command::Savepoint(options) => savepoint(&rest, &options),
        Command::Checkpoint(options) => checkpoint(&rest, &options),
    }
}

fn list(rest: &Rest, options: &ListOptions) -> Result<Value> {
    options.common.say("Waiting for response...");
    let jobs = list::jobs(&rest.get("/jobs/overview")?)?;
    let neither = !options.running && !options.scheduled;
    let show = list::Show {
        running: options.running || options.all || neither,
        scheduled: options.scheduled || options.all || neither,
        terminated: options.all,
    };
    let shown = show.select(jobs);
    options.common.say(shown.to_string().trim_end());
    Ok(shown.to_json())
}

fn cancel(rest: &Rest, options: CancelOptions) -> Result<Value> {
    let CancelOptions { with_savepoint, job, common } = options;
    // As in Flink, `-s <job id>` leaves the directory out.
    let (job, folder) = match (job, &with_savepoint) {
        (Some(job), _) => (job, with_savepoint.clone().flatten()),
        (None, Some(Some(job))) => (job.clone(), None),
        (None, _) => bail!("missing job id: specify the id of the job to cancel"),
    };
    let job = job_id(&job).map_err(anyhow::Error::msg)?;
    let folder = folder.as_deref().map(location_here).transpose()?;
    let Some(_) = with_savepoint else {
        common.say(&format!("Cancelling job {job}."));
        rest.patch(&format!("/jobs/{job}?mode=cancel"))?;
        common.say(&format!("Cancelled job {job}."));
        return Ok(json!({ "job": job.to_string() }));
    };
    common.say("DEPRECATION WARNING: Cancelling a job with savepoint is deprecated. Use \"stop\" instead.");
    common.say(&format!("Cancelling job {job} with savepoint to {}.", folder.as_deref().unwrap_or("default savepoint directory")));
    let path = format!("/jobs/{job}/savepoints");
    let made = rest.operation(&path, &json!({ "target-directory": folder, "cancel-job": true }), &path)?;
    let savepoint = location(&made)?;
    common.say(&format!("Cancelled job {job}. Savepoint stored in {savepoint}."));
    Ok(json!({ "job": job.to_string(), "savepoint": savepoint }))
}

fn stop(rest: &Rest, options: &StopOptions) -> Result<Value> {
    let StopOptions { drain, savepoint_path, savepoint_type, job, common } = options;
    common.say(&format!("{} job \"{job}\" with a {} savepoint.", if *drain { "Draining" } else { "Suspending" }, savepoint_type.name()));
    let folder = savepoint_path.as_deref().map(location_here).transpose()?;
    let body = json!({ "targetDirectory": folder, "drain": drain, "formatType": savepoint_type.name() });
    let made = rest.operation(&format!("/jobs/{job}/stop"), &body, &format!("/jobs/{job}/savepoints"))?;
    let savepoint = location(&made)?;
    common.say(&format!("Savepoint completed. Path: {savepoint}"));
    Ok(json!({ "job": job.to_string(), "savepoint": savepoint }))
}

fn savepoint(rest: &Rest, options: &SavepointOptions) -> Result<Value> {
    let SavepointOptions { dispose, job, target_directory, savepoint_type, common } = options;
    if let Some(path) = dispose {
        let path = location_here(path)?;
        common.say(&format!("Disposing savepoint '{path}'.\nWaiting for response..."));
        rest.operation("/savepoint-disposal", &json!({ "savepoint-path": path }), "/savepoint-disposal")?;
        common.say(&format!("Savepoint '{path}' disposed."));
        return Ok(json!({ "disposed": path }));
    }
    let job = job.context("missing job id: specify the id of the job to make a savepoint of")?;
    common.say(&format!("Triggering savepoint for job {job}.\nWaiting for response..."));
    let path = format!("/jobs/{job}/savepoints");
    let folder = target_directory.as_deref().map(location_here).transpose()?;
    let body = json!({ "target-directory": folder, "cancel-job": false, "formatType": savepoint_type.name() });
    let made = rest.operation(&path, &body, &path)?;
    let savepoint = location(&made)?;
    common.say(&format!(
        "Savepoint completed. Path: {savepoint}\nYou can resume your program from this savepoint: set 'execution.state-recovery.path'."
    ));
    Ok(json!({ "job": job.to_string(), "savepoint": savepoint }))
}

fn checkpoint(rest: &Rest, options: &CheckpointOptions) -> Result<Value> {
    let CheckpointOptions { full, job, common } = options;
    common.say(&format!("Triggering checkpoint for job {job}.\nWaiting for response..."));
    let path = format!("/jobs/{job}/checkpoints");
    let body = json!({ "checkpointType": if *full { "FULL" } else { "CONFIGURED" } });
    let made = rest.operation(&path, &body, &path)?;
    let id = made["checkpointId"].as_u64().with_context(|| format!("the cluster does not say which checkpoint it made: {made}"))?;
    common.say(&format!("Checkpoint({}) {id} for job {job} completed.", if *full { "FULL" } else { "CONFIGURED" }));
    Ok(json!({ "job": job.to_string(), "checkpoint": id }))
}

/// The job that an argument names.
fn job_id(text: &str) -> Result<JobId, String> {
    text.parse().map_err(|error: brisk::Error| error.to_string())
}

/// Where a savepoint is.
fn location(operation: &Value) -> Result<String> {
    let location =
        operation["location"].as_str().with_context(|| format!("the cluster does not say where the savepoint is: {operation}"))?;
    Ok(location.to_owned())
}
