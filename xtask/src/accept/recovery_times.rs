//! How fast a cluster is: what a record costs that is shuffled between processes, and how soon there are results again after a failure.

use super::local_cluster::LocalCluster;
use super::proof::{Proof, at_least, at_most};
use crate::process::{now, pause, signal};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// What the processor times of the system are counted in: ticks per second, fixed for user space on Linux.
const TICKS: f64 = 100.0;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Records per processor-second of the worker processes, with a keyed shuffle between two of them; beside a peer, if there is one, several times
/// as many.
pub(super) fn shuffle(proof: &mut Proof) -> Result<String> {
    let load = proof.example("load")?.display().to_string();
    let cluster = LocalCluster::start(proof, 2, &[])?;
    let folder = cluster.folder().join("data").display().to_string();
    let job = cluster.run_detached(proof, &["-p", "2", &load, "--folder", &folder, "--keys", "10000000"])?;
    let (settle, window) = if proof.short() { (1, 2) } else { (10, 20) };
    wait_for("results", || Ok((taken(Path::new(&folder))? > 0).then_some(())))?;
    pause(Duration::from_secs(settle));
    let reading = || -> Result<(f64, f64)> { Ok((received(&cluster, &job)?, processor_seconds(&cluster)?)) };
    let (records, seconds) = reading()?;
    pause(Duration::from_secs(window));
    let (more_records, more_seconds) = reading()?;
    ensure!(more_seconds > seconds, "the workers have used no processor time");
    let rate = (more_records - records) / (more_seconds - seconds);
    cluster.cancel(&job)?;
    cluster.stop()?;
    if proof.short() {
        return at_least(rate, 1.0, "records per CPU-second");
    }
    let peer = proof.bench_beside_peer("sum")?;
    let theirs = peer.rate("flink", 2).or_else(|_| peer.rate("flink", 1))?;
    let figure = at_least(rate / theirs, 5.0, "x the peer's records per CPU-second")?;
    Ok(format!("{figure}: {rate:.0} against {theirs:.0}"))
}

/// The time from killing a worker that has its share of the state to the first result of those that come after it.
pub(super) fn worker_killed(proof: &mut Proof) -> Result<String> {
    let mut figures = Vec::new();
    for (backend, limit) in [("rocksdb", 1.0), ("hashmap", 3.0)] {
        let seconds = recovers(proof, backend, false)?;
        let limit = if proof.short() { 30.0 } else { limit };
        figures.push(format!("{backend}: {}", at_most(seconds, limit, "s to the first new result")?));
    }
    Ok(figures.join("; "))
}

/// The same for a TaskManager, with another one that has a free slot.
pub(super) fn task_manager_killed(proof: &mut Proof) -> Result<String> {
    let seconds = recovers(proof, "hashmap", true)?;
    at_most(seconds, if proof.short() { 30.0 } else { 2.0 }, "s to the first new result")
}

/// Kills a worker, or a TaskManager, of a job whose state is in a checkpoint; seconds until new tasks give results.
fn recovers(proof: &mut Proof, backend: &str, task_manager: bool) -> Result<f64> {
    let load = proof.example("load")?.display().to_string();
    // A gigabyte, except where something else is measured.
    let (keys, bytes) = if proof.short() || task_manager { (20_000u64, "1000") } else { (1_000_000, "1000") };
    let options =
        ["restart-strategy.type=fixed-delay", "restart-strategy.fixed-delay.attempts=100", "restart-strategy.fixed-delay.delay=0 ms"];
    let mut cluster = LocalCluster::start(proof, if task_manager { 3 } else { 2 }, &options)?;
    let folder = cluster.folder().join("data").display().to_string();
    let (data, keys_text) = (Path::new(&folder), keys.to_string());
    // Fast enough to fill the state soon, slow enough that the tasks keep up.
    let rate = if proof.short() { "20000" } else { "100000" };
    let words = ["-p", "2", &load, "--folder", &folder, "--keys", &keys_text, "--bytes", bytes, "--rate", rate];
    let words = [&words[..], &["--backend", backend, "--interval", if proof.short() { "500" } else { "5000" }]].concat();
    let job = cluster.run_detached(proof, &words)?;
    wait_for("all keys", || Ok((received(&cluster, &job)? > 1.1 * keys as f64).then_some(())))?;
    // One that has begun with all keys there.
    let checkpoints = |cluster: &LocalCluster| -> Result<u64> {
        let body = cluster.get(&format!("/jobs/{job}/checkpoints"))?;
        body["counts"]["completed"].as_u64().with_context(|| format!("{body}"))
    };
    let before = checkpoints(&cluster)?;
    wait_for("two more checkpoints", || Ok((checkpoints(&cluster)? >= before + 2).then_some(())))?;
    let known = progress_files(data)?;
    let killed = now();
    if task_manager {
        let victim = cluster.task_manager_of(&job)?;
        cluster.kill(&victim)?;
    } else {
        let worker = *cluster.processes("taskmanager/programs").first().context("there is a worker")?;
        signal(worker, libc::SIGKILL);
    }
    // A process that was not there before tells of results.
    wait_for("results of new tasks", || {
        let is_new = |(name, told): &(String, bool)| *told && !known.iter().any(|(other, _)| other == name);
        Ok(progress_files(data)?.iter().any(is_new).then_some(()))
    })?;
    let seconds = killed.elapsed().as_secs_f64();
    ensure!(cluster.job_state(&job).as_deref() == Some("RUNNING"), "the job does not run");
    cluster.cancel(&job)?;
    cluster.stop()?;
    Ok(seconds)
}

/// Files in which sinks tell how far they are, and whether there is something in them.
fn progress_files(folder: &Path) -> Result<Vec<(String, bool)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("progress-") {
            files.push((name, entry.metadata().is_ok_and(|about| about.len() > 0)));
        }
    }
    Ok(files)
}

/// Results that sinks have told of.
fn taken(folder: &Path) -> Result<u64> {
    let told = |(name, _): (String, bool)| fs::read_to_string(folder.join(name)).ok()?.parse::<u64>().ok();
    Ok(progress_files(folder)?.into_iter().filter_map(told).sum())
}

/// Records that the job's tasks have received from others.
fn received(cluster: &LocalCluster, job: &str) -> Result<f64> {
    let body = cluster.get(&format!("/jobs/{job}"))?;
    let vertices = body["vertices"].as_array().with_context(|| format!("{body}"))?;
    Ok(vertices.iter().filter_map(|vertex| vertex["metrics"]["read-records"].as_f64()).sum())
}

/// User and system time of all workers.
fn processor_seconds(cluster: &LocalCluster) -> Result<f64> {
    let of_one = |process: i32| -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        Some((fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?) / TICKS)
    };
    let workers = cluster.processes("taskmanager/programs");
    ensure!(workers.len() == 2, "there are {} workers", workers.len());
    Ok(workers.into_iter().filter_map(of_one).sum())
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < PATIENCE, "{what} did not come within {PATIENCE:?}");
        pause(Duration::from_millis(2));
    }
}
