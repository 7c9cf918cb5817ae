//! Flink's own command-line client, pointed at Brisk's REST port: it has to find its way, and to say what went wrong.

use super::local_cluster::LocalCluster;
use super::proof::Proof;
use crate::process::{Output, Program, now, pause};
use anyhow::{Context, Result, bail, ensure};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No command of the client takes as long.
const LIMIT_S: u64 = 60;

/// Events of the job: more than it gets through.
const EVENTS: &str = "100000000";

/// The client and the cluster that it is to work with.
struct Client {
    flink: PathBuf,
    /// Of the cluster's REST server.
    address: String,
    /// Where the client logs.
    log: String,
}

impl Client {
    fn program(&self, words: &[&str]) -> Program {
        let [action, rest @ ..] = words else { return Program::new(self.flink.clone(), []) };
        let words = [*action, "-m", &self.address].into_iter().chain(rest.iter().copied());
        Program::new(self.flink.clone().into_os_string(), words.map(OsString::from)).env("FLINK_LOG_DIR", &self.log).limit_s(LIMIT_S)
    }

    /// A command that has to succeed and to say this; all that it says.
    fn does(&self, proof: &mut Proof, words: &[&str], says: &str) -> Result<String> {
        let said = proof.run(&self.program(words))?.stdout;
        ensure!(said.contains(says), "flink {} should say '{says}': {said}", words.join(" "));
        Ok(said)
    }

    /// A command that has to fail, and to give this reason.
    fn refuses(&self, words: &[&str], reason: &str) -> Result<()> {
        let done = self.program(words).measure(Output::Both)?;
        let said = format!("{}{}", done.stdout, done.stderr);
        ensure!(!done.ok && done.ending.contains("status 1"), "flink {} {}, but should fail: {said}", words.join(" "), done.ending);
        ensure!(said.contains(reason), "flink {} should give the reason '{reason}': {said}", words.join(" "));
        Ok(())
    }
}

/// Lists, triggers and disposes savepoints, stops with a savepoint and cancels; and hears why something is impossible.
pub(super) fn finds_its_way(proof: &mut Proof) -> Result<String> {
    let flink = proof.peer()?.client();
    let survivor = proof.example("survivor")?.display().to_string();
    let cluster = LocalCluster::start(proof, 2, &["high-availability.storageDir={folder}/ha"])?;
    let folder = |name: &str| cluster.folder().join(name).display().to_string();
    let client = Client { flink, address: cluster.rest().to_owned(), log: folder("log") };
    let (data, savepoints) = (folder("data"), format!("file://{}", folder("savepoints")));
    let words = [survivor.as_str(), "--folder", &data, "--events", EVENTS, "--rate", "2000", "--backend", "hashmap"];
    let job = cluster.run_detached(proof, &words)?;
    wait_for_tasks(&cluster, &job)?;

    client.does(proof, &["list"], &format!("{job} : survivor (RUNNING)"))?;
    let made = savepoint(&client.does(proof, &["savepoint", &job, &savepoints], "Savepoint completed")?)?;
    client.does(proof, &["checkpoint", &job], "completed")?;
    client.refuses(&["savepoint", &job, "file:///proc/nowhere"], "/proc/nowhere")?;
    client.refuses(&["savepoint", "00000000000000000000000000000000", &savepoints], "not found")?;
    client.does(proof, &["savepoint", "-d", &made], "disposed")?;
    ensure!(!Path::new(local(&made)).exists(), "a disposed savepoint is still there: {made}");
    client.refuses(&["savepoint", "-d", &made], "could not dispose savepoint")?;
    client.refuses(&["stop", &job], "execution.checkpointing.savepoint-dir")?;
    let stopped = savepoint(&client.does(proof, &["stop", "--savepointPath", &savepoints, &job], "Savepoint completed")?)?;
    wait_for(&cluster, &job, "FINISHED")?;

    let words: Vec<&str> = ["-s", local(&stopped)].into_iter().chain(words).collect();
    let next = cluster.run_detached(proof, &words)?;
    wait_for_tasks(&cluster, &next)?;
    client.does(proof, &["cancel", &next], "Cancelled job")?;
    wait_for(&cluster, &next, "CANCELED")?;
    client.refuses(&["stop", "--savepointPath", &savepoints, &next], "does not run")?;
    let all = client.does(proof, &["list", "-a"], &format!("{job} : survivor (FINISHED)"))?;
    ensure!(all.contains(&format!("{next} : survivor (CANCELED)")), "the cancelled job is not listed: {all}");
    cluster.stop()?;
    Ok("list, savepoint, checkpoint, disposal, stop with savepoint and cancel work; five impossible requests are refused with the reason"
        .to_owned())
}

/// The path of the savepoint that the client tells of.
fn savepoint(said: &str) -> Result<String> {
    let path = said.lines().find_map(|line| line.strip_prefix("Savepoint completed. Path: ")).context("no path of a savepoint")?;
    ensure!(Path::new(local(path)).join("_metadata").is_file(), "there is no savepoint at {path}");
    Ok(path.to_owned())
}

fn local(uri: &str) -> &str {
    uri.strip_prefix("file://").unwrap_or(uri)
}

/// Until all tasks run: before, no savepoint can be made, here as in Flink.
fn wait_for_tasks(cluster: &LocalCluster, job: &str) -> Result<()> {
    let all_run = || -> Option<bool> {
        let details = cluster.get(&format!("/jobs/{job}")).ok()?;
        Some(details["vertices"].as_array()?.iter().all(|vertex| vertex["status"] == "RUNNING"))
    };
    let begun = now();
    while all_run() != Some(true) {
        ensure!(begun.elapsed() < Duration::from_secs(LIMIT_S), "the tasks of job {job} do not run");
        pause(Duration::from_millis(20));
    }
    Ok(())
}

fn wait_for(cluster: &LocalCluster, job: &str, state: &str) -> Result<()> {
    let begun = now();
    while cluster.job_state(job).as_deref() != Some(state) {
        if begun.elapsed() > Duration::from_secs(LIMIT_S) {
            bail!("job {job} is {:?}, not {state}", cluster.job_state(job));
        }
        pause(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_savepoint_that_is_only_told_of_is_none() {
        let error = savepoint("Savepoint completed. Path: file:///nowhere/savepoint-1\n").unwrap_err().to_string();
        assert!(error.contains("no savepoint at file:///nowhere/savepoint-1"), "{error}");
        assert!(savepoint("Waiting for response...\n").is_err());
    }
}
