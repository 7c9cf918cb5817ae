//! `brisk run`: uploads a program, runs it, and shows what it prints until it ends.

use super::Common;
use super::program::{Run, Started, follow, start};
use super::rest::Rest;
use anyhow::{Context, Result, bail};
use brisk::daemon::name_of;
use clap::Args;
use serde_json::{Value, json};
use std::fs::File;
use std::path::PathBuf;

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
    #[command(flatten)]
    pub(super) common: Common,
    /// The program: an executable that was built with Brisk.
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    /// What it is called with. It works in a folder of its own, on the machines of the cluster: paths must be absolute.
    #[arg(value_name = "ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(super) fn run(rest: &Rest, options: &RunOptions) -> Result<Value> {
    let common = &options.common;
    let id = uploaded(rest, options)?;
    let run = Run {
        id: &id,
        arguments: &options.arguments,
        define: &common.define,
        parallelism: options.parallelism,
        savepoint: options.from_savepoint.as_deref(),
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
fn uploaded(rest: &Rest, options: &RunOptions) -> Result<String> {
    let path = &options.program;
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
