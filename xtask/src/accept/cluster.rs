//! The claims about a cluster of processes: results as embedded, failures survived, isolation, figures.

use super::Point;
use super::local_cluster::LocalCluster;
use super::proof::{Proof, at_most};
use super::recovery_times;
use super::storm::{Storm, survives};
use crate::process::{Program, now};
use crate::repo;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "1.1",
        claim: "word count and clickstream sessions, on one JobManager and three TaskManagers, find the results that they assert",
        short: true,
        proof: examples_assert_their_results,
    },
    Point { id: "1.2", claim: "the departures example writes there what it writes embedded", short: true, proof: departures_as_embedded },
    Point {
        id: "2.1",
        claim: "a stateful exactly-once job survives kill -9 and stops of workers, drivers, TaskManagers and the JobManager; nothing is left",
        short: true,
        proof: |proof| survives(proof, &Storm { backend: "hashmap", ..STORM }),
    },
    Point {
        id: "2.2",
        claim: "it does so on the backend rocksdb",
        short: false,
        proof: |proof| survives(proof, &Storm { backend: "rocksdb", ..STORM }),
    },
    Point {
        id: "2.3",
        claim: "it does so with unaligned checkpoints",
        short: true,
        proof: |proof| survives(proof, &Storm { options: &["execution.checkpointing.unaligned.enabled=true"], ..STORM }),
    },
    Point {
        id: "2.4",
        claim: "it does so for 30 minutes in network namespaces whose links are cut, throttled and reordered, with a full disk for checkpoints and slow ones",
        short: true,
        proof: |proof| survives(proof, &Storm { apart: true, seconds: (1800, 40), ..STORM }),
    },
    Point {
        id: "3.1",
        claim: "user code that aborts, leaks or spins in one job does not disturb another one on the same TaskManager",
        short: true,
        proof: |proof| proof.tests(&["cluster::what_one_job_does_to_itself_does_not_disturb_another"]),
    },
    Point {
        id: "4.1",
        claim: "Flink's own command-line client lists, cancels, stops with savepoint, and triggers and disposes savepoints",
        short: false,
        proof: super::flink_client::finds_its_way,
    },
    Point {
        id: "5.1",
        claim: "20,000 seeds of JobManager, TaskManagers and workers that crash and stop, over a network that loses, repeats, reorders and cuts",
        short: true,
        proof: |proof| {
            let seeds = if proof.short() { 150 } else { 10_000 };
            let [bank, numbers] = ["processes-bank", "processes-numbers"].map(|workload| proof.simulate(workload, seeds));
            Ok(format!("bank: {}; numbers: {}", bank?, numbers?))
        },
    },
    Point {
        id: "5.2",
        claim: "these checkers find a barrier that is not waited for, and a transaction that is committed twice",
        short: true,
        proof: |proof| proof.tests(&["processes::planted_bugs_are_found"]),
    },
    Point {
        id: "6.1",
        claim: "malformed frames, control messages, elements and uploads are clear errors",
        short: true,
        proof: |proof| {
            proof.tests(&["whatever_arrives", "sends_nonsense", "what_is_malformed_ends", "a_stranger_is_refused", "multipart::tests"])
        },
    },
    Point {
        id: "6.2",
        claim: "REST: 500 concurrent clients, bodies up to the limit and no further, fuzzed requests; loopback only; upload can be switched off",
        short: true,
        proof: |proof| proof.tests(&["faults::", "cluster::nothing_is_uploaded_where_that_is_switched_off"]),
    },
    Point {
        id: "7.1",
        claim: "a keyed shuffle between two worker processes costs at most a fifth of the peer's processor time per record",
        short: true,
        proof: recovery_times::shuffle,
    },
    Point {
        id: "7.2",
        claim: "an idle JobManager and TaskManager have below 100 MB resident together",
        short: true,
        proof: |proof| {
            let cluster = LocalCluster::start(proof, 1, &[])?;
            let resident = cluster.resident_mb(&["jobmanager", "taskmanager-0"])?;
            cluster.stop()?;
            at_most(resident, 100.0, "MB resident")
        },
    },
    Point {
        id: "7.3",
        claim: "worker killed with 1 GB of state: the first new result comes within 1 s on rocksdb, within 3 s on hashmap",
        short: true,
        proof: recovery_times::worker_killed,
    },
    Point {
        id: "7.4",
        claim: "from the start of the daemons to the last record of a small submitted job below 2 s",
        short: true,
        proof: start_up,
    },
    Point {
        id: "7.5",
        claim: "TaskManager killed while another one has a free slot: the first new result comes within 2 s",
        short: true,
        proof: recovery_times::task_manager_killed,
    },
];

/// Five minutes of killed and stopped processes.
const STORM: Storm = Storm { backend: "hashmap", options: &[], apart: false, seconds: (300, 25) };

fn examples_assert_their_results(proof: &mut Proof) -> Result<String> {
    let examples = [proof.example("word_count")?, proof.example("clickstream_sessions")?];
    let cluster = LocalCluster::start(proof, 3, &[])?;
    for example in &examples {
        let example = example.display().to_string();
        // Their `main` asserts what it has collected: its process fails if that is something else.
        cluster.run(proof, &["-p", "3", &example])?;
    }
    cluster.stop()?;
    Ok("both find their results at parallelism 3".to_owned())
}

fn departures_as_embedded(proof: &mut Proof) -> Result<String> {
    let example = proof.example("departures")?;
    let cluster = LocalCluster::start(proof, 3, &[])?;
    let folder = cluster.folder().join("departures");
    // Not the repository's own file: the program would look for results in its own memory.
    let input = folder.join("departures.csv.gz");
    fs::create_dir_all(&folder)?;
    fs::copy(repo::root().join("examples/data/flights/departures.csv.gz"), &input)?;
    let outputs = ["embedded", "cluster"].map(|name| folder.join(name));
    let mut words: Vec<Vec<String>> = Vec::new();
    for output in &outputs {
        fs::create_dir_all(output)?;
        let path = |path: &Path| path.display().to_string();
        words.push(["--input", &path(&input), "--output", &path(output), "--parallelism", "3"].map(str::to_owned).to_vec());
    }
    proof.run(&Program::new(example.clone().into_os_string(), words[0].iter().cloned().map(Into::into)))?;
    let example = example.display().to_string();
    let on_cluster: Vec<&str> = [example.as_str()].into_iter().chain(words[1].iter().map(String::as_str)).collect();
    cluster.run(proof, &on_cluster)?;
    let [embedded, clustered] = [sorted_lines(&outputs[0])?, sorted_lines(&outputs[1])?];
    for (file, lines) in &embedded {
        ensure!(clustered.get(file) == Some(lines), "{file} has other lines than embedded");
    }
    let rows: usize = embedded.values().map(Vec::len).sum();
    ensure!(rows > 100_000 && embedded.len() == clustered.len(), "{rows} rows in {} files", embedded.len());
    cluster.stop()?;
    Ok(format!("{rows} rows in {} files are the same", embedded.len()))
}

/// The lines of each file of a folder, in order.
fn sorted_lines(folder: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let mut lines: Vec<String> = fs::read_to_string(&path)?.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        files.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), lines);
    }
    Ok(files)
}

fn start_up(proof: &mut Proof) -> Result<String> {
    let example = proof.example("word_count")?.display().to_string();
    proof.binary("brisk-cli", "brisk")?;
    let begun = now();
    let cluster = LocalCluster::start(proof, 1, &[])?;
    let started = begun.elapsed().as_secs_f64();
    cluster.run(proof, &["-p", "1", &example]).context("the job")?;
    let all = begun.elapsed().as_secs_f64();
    cluster.stop()?;
    // Debug builds are ten times the size, and have to be copied twice.
    let figure = at_most(all, if proof.short() { 20.0 } else { 2.0 }, "s to the end of the job")?;
    Ok(format!("{figure}; daemons ready after {started:.2} s"))
}
