//! Runs Apache Flink beside us: our runs, the peer's drivers, our runs again.
//!
//! The drivers live in a folder outside of the project (`install.sh`, `cluster.sh`, `run_ds.py`) and keep their files below the
//! folder named by the environment variable `PEERS`. A cluster started here is stopped here, also after an error. Of the peer's runs
//! the first on each fresh TaskManager is left out: it pays for the JIT.

use super::{Bench, Case, Run};
use crate::process::Program;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use std::fs;
use std::path::{Path, PathBuf};

/// How the peer's rows are named.
pub(crate) const ENGINE: &str = "flink";

/// Benchmarks that the peer's drivers have too.
const PARTS: [&str; 4] = ["window", "words", "latency", "sum"];
/// A part takes some minutes.
const PART_LIMIT_S: u64 = 3600;

/// The peer's drivers.
pub(crate) struct Peer {
    dir: PathBuf,
    /// Its scratch folder.
    scratch: PathBuf,
}

impl Peer {
    /// The drivers in `dir`; installs the peer unless that was done before.
    pub(crate) fn at(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().with_context(|| format!("--peer {}: there is no such folder", dir.display()))?;
        let Some(scratch) = std::env::var_os("PEERS") else {
            bail!("set PEERS to a scratch folder (4 GB) for the peer's files");
        };
        let peer = Self { dir, scratch: PathBuf::from(scratch) };
        if !peer.scratch.join("flink/dist/bin").is_dir() {
            fs::create_dir_all(&peer.scratch)?;
            peer.script("install.sh", &[]).run_aside().context("cannot install the peer")?;
        }
        Ok(peer)
    }

    /// Its command-line client.
    pub(crate) fn client(&self) -> PathBuf {
        self.scratch.join("flink/dist/bin/flink")
    }

    /// Runs Nexmark queries, each on a fresh TaskManager with as many subtasks and events as the case has; the warm runs.
    pub(crate) fn nexmark(&self, backend: &str, cases: &[Case]) -> Result<Vec<Run>> {
        let Some(first) = cases.first() else { return Ok(Vec::new()) };
        let out = self.scratch.join("brisk-bench-nexmark.jsonl");
        if out.exists() {
            fs::remove_file(&out)?;
        }
        let _cluster = self.cluster()?;
        let mut words =
            vec![out.display().to_string(), backend.to_owned(), first.parallelism.to_string(), "off".to_owned(), "2".to_owned()];
        words.extend(cases.iter().map(|case| format!("{}={}", case.name, case.records as f64 / 1e6)));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.script("run_nexmark.py", &words).run_aside().context("the peer's Nexmark failed")?;
        warm_runs(&crate::repo::read(&out)?)
    }

    fn script(&self, name: &str, args: &[&str]) -> Program {
        let path = self.dir.join(name);
        Program::new(path.as_os_str(), args.iter().map(std::ffi::OsStr::new)).dir(&self.scratch).limit_s(PART_LIMIT_S)
    }

    /// Starts a cluster that stops when the result is dropped.
    fn cluster(&self) -> Result<Cluster<'_>> {
        let cluster = Cluster { peer: self };
        self.script("cluster.sh", &["start", "hashmap"]).run_aside().context("cannot start the peer's cluster")?;
        Ok(cluster)
    }

    /// Runs one part and returns its warm runs.
    fn run(&self, part: &str) -> Result<Vec<Run>> {
        let out = self.scratch.join(format!("brisk-bench-{part}.jsonl"));
        if out.exists() {
            fs::remove_file(&out)?;
        }
        self.script("run_ds.py", &[&out.to_string_lossy(), part])
            .run_aside()
            .with_context(|| format!("the peer's part '{part}' failed"))?;
        let text = crate::repo::read(&out)?;
        warm_runs(&text)
    }
}

/// A running cluster of the peer.
struct Cluster<'a> {
    peer: &'a Peer,
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.peer.script("cluster.sh", &["stop"]).run_aside() {
            eprintln!("error: cannot stop the peer's cluster: {error:#}");
        }
    }
}

/// For each benchmark: our cases, then the peer, then our cases again, as often as `rounds` says.
pub(crate) fn alternate(bench: &Bench, cases: &[Case], peer: &Peer, rounds: usize, report: &mut dyn FnMut(&Run)) -> Result<Vec<Run>> {
    let mut names: Vec<_> = cases.iter().map(|case| case.name.as_str()).filter(|name| PARTS.contains(name)).collect();
    names.dedup();
    if names.is_empty() {
        bail!("the peer has none of these benchmarks; it has: {}", PARTS.join(", "));
    }
    let _cluster = peer.cluster()?;
    let mut runs = Vec::new();
    for name in names {
        let ours: Vec<_> = cases.iter().filter(|case| case.name == name).cloned().collect();
        runs.extend(bench.measure(&ours, 1, report)?);
        for _ in 0..rounds {
            let theirs = peer.run(name)?;
            theirs.iter().for_each(&mut *report);
            runs.extend(theirs);
            runs.extend(bench.measure(&ours, 2, report)?);
        }
    }
    Ok(runs)
}

/// The runs of a driver's output that are warm and finished.
fn warm_runs(lines: &str) -> Result<Vec<Run>> {
    let mut runs = Vec::new();
    for line in lines.lines().filter(|line| !line.trim().is_empty()) {
        let said: Value = serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))?;
        if said["state"] != "FINISHED" {
            bail!("a run of the peer did not finish: {line}");
        }
        if said["rep"].as_u64() != Some(0) {
            runs.push(run(&said).with_context(|| format!("a figure is missing: {line}"))?);
        }
    }
    Ok(runs)
}

fn run(said: &Value) -> Option<Run> {
    let case = Case {
        name: said["part"].as_str().or_else(|| said["q"].as_str())?.to_string(),
        engine: said["backend"]
            .as_str()
            .or_else(|| said["profile"].as_str())
            .filter(|name| *name != "hashmap")
            .map_or_else(|| ENGINE.to_string(), |name| format!("{ENGINE}-{name}")),
        parallelism: said["par"].as_u64().unwrap_or(2),
        records: said["records"].as_u64().or_else(|| said["events"].as_u64())?,
    };
    let mut extra: Map<_, _> =
        said.as_object()?.iter().filter(|(name, _)| name.ends_with("_us")).map(|(k, v)| (k.clone(), v.clone())).collect();
    if let Some(buffer) = said["buffer"].as_str() {
        extra.insert("variant".to_string(), format!("buffer timeout {buffer}").into());
    }
    Some(Run { case, wall_s: said["wall"].as_f64()?, cpu_s: said["cpu"].as_f64()?, peak_rss_mb: said["rss_mb"].as_f64()?, extra })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        r#"{"par": 1, "rep": 1, "part": "window", "records": 100, "state": "FINISHED", "cpu": 2.0, "wall": 1.5, "rss_mb": 900}"#;

    #[test]
    fn takes_the_warm_runs_and_tells_backends_apart() {
        let cold = LINE.replace("\"rep\": 1", "\"rep\": 0");
        let disk = LINE.replace("\"par\": 1", "\"backend\": \"rocksdb\"");
        let memory = LINE.replace("\"par\": 1", "\"backend\": \"hashmap\"");
        let runs = warm_runs(&format!("{cold}\n{LINE}\n{disk}\n{memory}\n")).unwrap();
        let shapes: Vec<_> = runs.iter().map(|r| (r.case.engine.as_str(), r.case.parallelism, r.rate())).collect();
        assert_eq!(shapes, [("flink", 1, 50.0), ("flink-rocksdb", 2, 50.0), ("flink", 2, 50.0)]);
    }

    #[test]
    fn keeps_latencies_and_their_variant() {
        let line = LINE.replace("\"par\": 1", "\"buffer\": \"0 ms\", \"p99_us\": 410");
        let runs = warm_runs(&line).unwrap();
        assert_eq!(runs[0].figure("p99_us"), Some(410.0));
        assert_eq!(runs[0].extra["variant"], "buffer timeout 0 ms");
    }

    #[test]
    fn a_failed_run_of_the_peer_is_an_error() {
        assert!(warm_runs(&LINE.replace("FINISHED", "FAILED")).is_err());
    }
}
