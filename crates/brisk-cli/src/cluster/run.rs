//! `brisk run`: uploads a program, runs it, and shows what it prints until it ends.

use super::Common;
use super::rest::Rest;
use anyhow::{Context, Result, bail};
use brisk::daemon::name_of;
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How long to wait before asking again how the program stands: at first, and at most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(300));

/// How long a cluster may be away while the program is followed.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let mut configuration = BTreeMap::new();
    for define in &common.define {
        let (key, value) = define.split_once('=').with_context(|| format!("'{define}' sets no option: expected KEY=VALUE"))?;
        configuration.insert(key.trim(), value.trim());
    }
    let body = json!({
        "programArgsList": options.arguments,
        "parallelism": options.parallelism,
        "savepointPath": options.from_savepoint,
        "allowNonRestoredState": options.allow_non_restored_state.then_some(true),
        "flinkConfiguration": configuration,
    });
    let started = rest.post(&format!("/jars/{id}/run"), &body)?;
    let [job, program] = ["jobid", "programid"].map(|name| started[name].as_str().unwrap_or_default().to_owned());
    common.say(&format!("Job has been submitted with JobID {job}"));
    if options.detached {
        return Ok(json!({ "job": job, "program": program }));
    }
    let ended = follow(rest, common, &program)?;
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
    let answer = rest.upload("/jars/upload", &name, path)?;
    let id = answer["filename"].as_str().with_context(|| format!("the cluster does not say what it calls the program: {answer}"))?;
    Ok(id.rsplit('/').next().unwrap_or(id).to_owned())
}

/// Shows what the program prints until it ends; how it ended.
fn follow(rest: &Rest, common: &Common, program: &str) -> Result<Value> {
    let (mut offset, mut pause, mut missed) = (0, LOOK_AGAIN.0, Duration::ZERO);
    loop {
        // A JobManager that is started again goes on with the program.
        let status = match rest.get(&format!("/programs/{program}?offset={offset}")) {
            Ok(status) => status,
            Err(_) if missed < PATIENCE => {
                missed += LOOK_AGAIN.1;
                std::thread::park_timeout(LOOK_AGAIN.1);
                continue;
            }
            Err(error) => return Err(error),
        };
        missed = Duration::ZERO;
        let printed = status["output"].as_str().unwrap_or_default();
        if !printed.is_empty() {
            common.show(printed);
            pause = LOOK_AGAIN.0;
        }
        let next = status["next-offset"].as_u64().unwrap_or(offset);
        if status["status"] != "RUNNING" && next == offset {
            return Ok(status);
        }
        offset = next;
        // Nobody wakes this thread: it looks again when the time is over.
        std::thread::park_timeout(pause);
        pause = (pause * 2).min(LOOK_AGAIN.1);
    }
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
