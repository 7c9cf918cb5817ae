//! `brisk run`: uploads a program, runs it, and shows what it prints until it ends; or runs it here.

use super::paths::{location_here, resolved};
use super::program::{Run, Started, body, follow, start};
use super::rest::{Rest, configuration, plain};
use super::{Common, InfoOptions};
use crate::interrupt;
use anyhow::{Context, Result, bail};
use brisk::daemon::name_of;
use brisk::options::checkpoint_options::{IGNORE_UNCLAIMED_STATE, STATE_CLAIM_MODE, STATE_RECOVERY_PATH};
use brisk::options::cluster_options::SHUTDOWN_ON_ATTACHED_EXIT;
use brisk::options::core_options::PARALLELISM_DEFAULT;
use brisk::options::{Configuration, EXECUTION_TARGET, Target};
use clap::Args;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Args)]
pub(crate) struct RunOptions {
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
    /// Who owns the files of the savepoint: you (`no_claim`), or the job, which deletes them when it needs them no more (`claim`).
    #[arg(long = "claimMode", alias = "restoreMode", value_name = "MODE")]
    claim_mode: Option<String>,
    /// End the program, and cancel its jobs, when this command is interrupted (Ctrl-C) or dies.
    #[arg(long = "shutdownOnAttachedExit")]
    shutdown_on_attached_exit: bool,
    #[command(flatten)]
    pub(super) common: Common,
    /// The program: an executable that was built with Brisk.
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    /// What it is called with. On a cluster it works in a folder of its own: relative paths that name files here are made absolute.
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl RunOptions {
    /// What it says of where the program runs.
    pub(super) fn target(&self) -> Result<Target> {
        match self.common.target.as_deref() {
            None => Ok(configuration(&self.common.define)?.get(&EXECUTION_TARGET).map_err(plain)?.unwrap_or(Target::Remote)),
            Some("remote") => Ok(Target::Remote),
            Some("local") => Ok(Target::Local),
            Some(other) => bail!("there is no target '{other}': programs run 'local' or 'remote'; `run-application` gives one a cluster"),
        }
    }

    /// The options that it sets, all of them.
    fn options(&self) -> Result<Configuration> {
        let mut config = configuration(&self.common.define)?;
        if let Some(parallelism) = self.parallelism {
            config.set(&PARALLELISM_DEFAULT, parallelism);
        }
        if let Some(path) = &self.from_savepoint {
            config.set(&STATE_RECOVERY_PATH, Some(path.clone()));
        }
        if let Some(mode) = &self.claim_mode {
            config.set(&STATE_CLAIM_MODE, mode.clone());
        }
        if self.allow_non_restored_state {
            config.set(&IGNORE_UNCLAIMED_STATE, true);
        }
        Ok(config)
    }
}

/// Runs the program as anybody could, with an engine inside of it and with the options.
pub(super) fn run_here(options: &RunOptions) -> Result<Value> {
    if options.detached {
        bail!("-d is for clusters: a program that runs here ends with its engine");
    }
    let file = std::env::temp_dir().join(format!("brisk-run-{}.yaml", std::process::id()));
    let place = || format!("file '{}'", file.display());
    // Texts in quotes mean what they say.
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let text: String = options.options()?.iter().map(|(key, value)| format!("{key}: {}\n", quoted(value))).collect();
    std::fs::write(&file, text).with_context(place)?;
    let program = std::path::absolute(&options.program).with_context(|| format!("file '{}'", options.program.display()))?;
    let mut command = Command::new(&program);
    command.args(&options.arguments).env("BRISK_CONF", &file);
    if !options.common.is_human() {
        // What it prints is not the object that was asked for.
        command.stdout(std::io::stderr());
    }
    let ended = command.status().with_context(|| format!("starting '{}'", program.display()));
    std::fs::remove_file(&file).with_context(place)?;
    let ended = ended?;
    if !ended.success() {
        bail!("the program has ended with {ended}");
    }
    Ok(json!({ "target": "local", "status": "FINISHED" }))
}

/// What the first job of a program would run.
pub(super) fn plan(rest: &Rest, options: &InfoOptions) -> Result<Value> {
    let InfoOptions { parallelism, common, what, arguments } = options;
    let path = Path::new(what);
    if !path.is_file() {
        bail!("'{what}' is neither the id of a job (32 hexadecimal digits) nor a program");
    }
    let id = uploaded(rest, path)?;
    let run = Run { id: &id, arguments: &here(arguments)?, define: &common.define, parallelism: *parallelism, ..Run::default() };
    Ok(rest.post_patiently(&format!("/jars/{id}/plan"), &body(&run)?)?["plan"].take())
}

/// Arguments that mean elsewhere what they mean here.
fn here(arguments: &[String]) -> Result<Vec<String>> {
    Ok(resolved(arguments, &std::env::current_dir().context("the folder of this process")?))
}

pub(super) fn run(rest: &Rest, options: &RunOptions) -> Result<Value> {
    let common = &options.common;
    let id = uploaded(rest, &options.program)?;
    let savepoint = options.from_savepoint.as_deref().map(location_here).transpose()?;
    let config = configuration(&common.define)?;
    let wanted = options.shutdown_on_attached_exit || config.get(&SHUTDOWN_ON_ATTACHED_EXIT).map_err(plain)?;
    let ends_with_client = wanted && !options.detached;
    if ends_with_client {
        interrupt::watch();
    }
    let run = Run {
        id: &id,
        arguments: &here(&options.arguments)?,
        define: &common.define,
        parallelism: options.parallelism,
        savepoint: savepoint.as_deref(),
        claim_mode: options.claim_mode.as_deref(),
        ends_with_client,
        allow_non_restored_state: options.allow_non_restored_state,
    };
    let Started { job, program } = start(rest, &run)?;
    job.iter().for_each(|job| common.say(&format!("Job has been submitted with JobID {job}")));
    if options.detached {
        return Ok(json!({ "job": job, "program": program }));
    }
    let ended = follow(rest, &program, |printed| common.show(printed))?;
    report(rest, common, &ended)?;
    Ok(json!({ "job": job, "program": program, "status": ended["status"] }))
}

/// What the cluster calls the program; it is uploaded unless it is there.
fn uploaded(rest: &Rest, path: &Path) -> Result<String> {
    let blob = name_of(path).map_err(|error| anyhow::anyhow!("{error}"))?.to_string();
    let known = rest.get("/jars")?;
    let ids = known["files"].as_array().into_iter().flatten().filter_map(|file| file["id"].as_str());
    if let Some(id) = ids.into_iter().find(|id| id.starts_with(&blob)) {
        return Ok(id.to_owned());
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    rest.upload("/jars/upload", &name, File::open(path).with_context(|| format!("file '{}'", path.display()))?)
}

/// Says how the jobs have ended; an error if the program has failed.
fn report(rest: &Rest, common: &Common, ended: &Value) -> Result<()> {
    common.say("Program execution finished");
    for job in ended["jobs"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let details = rest.get(&format!("/jobs/{job}"))?;
        match details["state"].as_str().unwrap_or_default() {
            "FINISHED" => common.say(&format!("Job with JobID {job} has finished.\nJob Runtime: {} ms", details["duration"])),
            state => {
                let exceptions = rest.get(&format!("/jobs/{job}/exceptions"))?;
                let root = exceptions["exceptionHistory"]["entries"][0]["stacktrace"].as_str().unwrap_or_default();
                common.say(&format!("Job with JobID {job} is {state}. {root}"));
            }
        }
    }
    if ended["status"] != "FINISHED" {
        bail!("the program {}", ended["ending"].as_str().unwrap_or("has failed"));
    }
    Ok(())
}
