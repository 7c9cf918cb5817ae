//! Programs on a cluster: starting an uploaded one, and following what it prints.

use super::paths::location_here;
use super::rest::Rest;
use crate::interrupt;
use anyhow::{Context, Result, bail};
use brisk::options::checkpoint_options::is_location;
use brisk::options::cluster_options::SHUTDOWN_ON_ATTACHED_EXIT;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long to wait before asking again how the program stands: at first, and at most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(300));

/// How long a cluster may be away while the program is followed.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be run, and how.
#[derive(Default)]
pub(crate) struct Run<'a> {
    /// What the cluster calls the program.
    pub(crate) id: &'a str,
    /// What it is called with.
    pub(crate) arguments: &'a [String],
    /// Options over those of the cluster, as `KEY=VALUE`.
    pub(crate) define: &'a [String],
    /// The parallelism of operators that set none.
    pub(crate) parallelism: Option<u32>,
    /// Where the state of its first job comes from.
    pub(crate) savepoint: Option<&'a str>,
    /// Whether state may be left out.
    pub(crate) allow_non_restored_state: bool,
    /// Who owns the files of the savepoint.
    pub(crate) claim_mode: Option<&'a str>,
    /// Whether the program ends with this client.
    pub(crate) ends_with_client: bool,
}

/// A program that runs.
pub(crate) struct Started {
    /// Its first job; statements may have none.
    pub(crate) job: Option<String>,
    /// Names the run.
    pub(crate) program: String,
}

/// Starts a program, and waits for its first job.
pub(crate) fn start(rest: &Rest, run: &Run<'_>) -> Result<Started> {
    let started = rest.post_patiently(&format!("/jars/{}/run", run.id), &body(run)?)?;
    let program = started["programid"].as_str().with_context(|| format!("the cluster does not say what it has started: {started}"))?;
    Ok(Started { job: started["jobid"].as_str().map(str::to_owned), program: program.to_owned() })
}

/// What is asked for.
pub(super) fn body(run: &Run<'_>) -> Result<Value> {
    let mut configuration = BTreeMap::new();
    for define in run.define {
        let (key, value) = define.split_once('=').with_context(|| format!("'{define}' sets no option: expected KEY=VALUE"))?;
        let (key, value) = (key.trim().trim_start_matches("-D"), value.trim());
        let value = if is_location(key) { location_here(value)? } else { value.to_owned() };
        configuration.insert(key, value);
    }
    if run.ends_with_client {
        configuration.insert(SHUTDOWN_ON_ATTACHED_EXIT.key(), "true".to_owned());
    }
    Ok(json!({
        "programArgsList": run.arguments,
        "parallelism": run.parallelism,
        "savepointPath": run.savepoint,
        "allowNonRestoredState": run.allow_non_restored_state.then_some(true),
        "claimMode": run.claim_mode,
        "flinkConfiguration": configuration,
    }))
}

/// Shows what a program prints until it ends; how it ended. When it cannot be shown, or somebody interrupts this process where that is
/// [watched](interrupt::watch), the program is ended, too.
pub(crate) fn follow(rest: &Rest, program: &str, mut show: impl FnMut(&str) -> std::io::Result<()>) -> Result<Value> {
    let (mut offset, mut pause, mut missed) = (0, LOOK_AGAIN.0, Duration::ZERO);
    loop {
        if interrupt::has_come() {
            rest.delete(&format!("/programs/{program}"))?;
            bail!("interrupted; the program is ended, and its jobs are cancelled");
        }
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
            if let Err(error) = show(printed) {
                rest.delete(&format!("/programs/{program}"))?;
                return Err(error).context("what the program prints cannot be shown; it is ended, and its jobs are cancelled");
            }
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
