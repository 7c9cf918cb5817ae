//! The claims about a cluster of processes: results as embedded, failures survived, isolation, figures.

use super::Point;
use super::local_cluster::LocalCluster;
use super::proof::{Proof, at_most};
use crate::process::{Program, now, pause};
use crate::repo;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

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
        proof: |proof| chaos(proof, "hashmap", &[]),
    },
    Point { id: "2.2", claim: "it does so on the backend rocksdb", short: false, proof: |proof| chaos(proof, "rocksdb", &[]) },
    Point {
        id: "2.3",
        claim: "it does so with unaligned checkpoints",
        short: true,
        proof: |proof| chaos(proof, "hashmap", &["execution.checkpointing.unaligned.enabled=true"]),
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
        short: true,
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
        id: "7.1",
        claim: "from the start of the daemons to the last record of a small submitted job below 2 s",
        short: true,
        proof: start_up,
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
];

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

/// Options under which a failure is noticed soon and recovered from at once.
const QUICK: [&str; 6] = [
    "high-availability.storageDir={folder}/ha",
    "restart-strategy.type=fixed-delay",
    "restart-strategy.fixed-delay.attempts=1000000",
    "restart-strategy.fixed-delay.delay=50 ms",
    "heartbeat.interval=500 ms",
    "heartbeat.timeout=10 s",
];

/// Events per second that the job is given.
const RATE: u64 = 20_000;

/// TaskManagers: one more than the job needs.
const TASK_MANAGERS: usize = 3;

fn chaos(proof: &mut Proof, backend: &str, more: &[&str]) -> Result<String> {
    let survivor = proof.example("survivor")?;
    let seconds = if proof.short() { 25 } else { 300 };
    let mut cluster = LocalCluster::start(proof, TASK_MANAGERS, &[&QUICK, more].concat())?;
    let (data, events) = (cluster.folder().join("data").display().to_string(), (seconds * RATE).to_string());
    let program = survivor.display().to_string();
    let words = [program.as_str(), "--folder", &data, "--events", &events, "--rate", &RATE.to_string(), "--backend", backend];
    let job = cluster.run_detached(proof, &words)?;
    let (mut strikes, begun, limit) = (BTreeMap::<&str, u32>::new(), now(), Duration::from_secs(seconds * 4 + 120));
    let (mut random, mut last) = (u64::from(std::process::id()), now());
    loop {
        match cluster.job_state(&job).as_deref() {
            Some("FINISHED") => break,
            Some(over @ ("FAILED" | "CANCELED")) => {
                bail!("the job is {over}: {}", cluster.get(&format!("/jobs/{job}/exceptions"))?);
            }
            _ => {}
        }
        ensure!(begun.elapsed() < limit, "the job has not finished after {limit:?} and {strikes:?}");
        if last.elapsed() > Duration::from_millis(1500) && begun.elapsed() < Duration::from_secs(seconds * 3) {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            strike(&mut cluster, random >> 33, &mut strikes)?;
            last = now();
        }
        pause(Duration::from_millis(20));
    }
    let words = ["--folder", &data, "--events", &events, "--check"];
    let checked = proof.run(&Program::new(survivor.as_os_str(), words.map(std::ffi::OsStr::new)))?;
    let kinds = strikes.iter().map(|(kind, count)| format!("{count} x {kind}")).collect::<Vec<_>>().join(", ");
    ensure!(strikes.values().sum::<u32>() >= 5, "the job was through after {kinds}");
    let counts: Vec<&str> = checked.stdout.lines().collect();
    cluster.stop()?;
    Ok(format!("{kinds} in {:.0} s; {}", begun.elapsed().as_secs_f64(), counts.join("; ")))
}

/// Does something bad.
fn strike(cluster: &mut LocalCluster, random: u64, strikes: &mut BTreeMap<&'static str, u32>) -> Result<()> {
    let one_of = |processes: Vec<i32>| processes.get((random / 8) as usize % processes.len().max(1)).copied();
    let kind = match random % 8 {
        0..3 => {
            let Some(worker) = one_of(cluster.processes("taskmanager/programs")) else { return Ok(()) };
            crate::process::signal(worker, libc::SIGKILL);
            "worker killed"
        }
        3 => {
            let Some(worker) = one_of(cluster.processes("taskmanager/programs")) else { return Ok(()) };
            crate::process::signal(worker, libc::SIGSTOP);
            pause(Duration::from_millis(300));
            crate::process::signal(worker, libc::SIGCONT);
            "worker stopped"
        }
        4 => {
            let Some(driver) = one_of(cluster.processes("ha/blobs")) else { return Ok(()) };
            crate::process::signal(driver, libc::SIGKILL);
            "driver killed"
        }
        5 | 6 => {
            let number = random / 8 % TASK_MANAGERS as u64;
            cluster.kill_and_restart(&format!("taskmanager-{number}"))?;
            "TaskManager killed"
        }
        _ => {
            cluster.kill_and_restart("jobmanager")?;
            "JobManager killed"
        }
    };
    *strikes.entry(kind).or_default() += 1;
    Ok(())
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
