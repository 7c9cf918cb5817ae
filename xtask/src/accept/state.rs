//! The claims about state that survives: simulated crashes, real ones, damaged files, and formats that stay readable.

use super::Point;
use super::killing::survives_being_killed;
use super::proof::{Measured, Proof, at_least, at_most};
use crate::repo;
use anyhow::{Result, ensure};
use std::fs;

/// Workloads with crashes and restarts.
const RECOVERIES: [&str; 5] = ["recovery-numbers", "recovery-bank", "recovery-windows", "recovery-joins", "recovery-departures"];

/// Bugs that can be planted, and the workload that finds each.
const PLANTED: [(&str, &str); 4] = [
    ("skipped-barrier", "recovery-numbers"),
    ("skipped-barrier", "recovery-bank"),
    ("lost-timer", "recovery-windows"),
    ("double-commit", "recovery-numbers"),
];

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "1.1",
        claim: "20,000 seeds of crashes, failing storage and rescaled restarts, aligned and unaligned, keep every result exactly once",
        short: true,
        proof: |proof| recoveries(proof, if proof.short() { 60 } else { 4000 }, "hashmap"),
    },
    Point {
        id: "1.2",
        claim: "2,000 seeds of the same on the backend rocksdb",
        short: true,
        proof: |proof| recoveries(proof, if proof.short() { 10 } else { 400 }, "rocksdb"),
    },
    Point {
        id: "1.3",
        claim: "planted bugs (a skipped barrier, a lost timer, a double commit) are found within 500 seeds",
        short: true,
        proof: planted_bugs,
    },
    Point {
        id: "2.1",
        claim: "after 200 kills of the process the files of the exactly-once sink hold each event once",
        short: true,
        proof: |proof| {
            let kills = if proof.short() { 5 } else { 200 };
            survives_being_killed(proof, "hashmap", kills)
        },
    },
    Point {
        id: "3.1",
        claim: "10,000 mutations of metadata, and flipped or cut state files, are clear errors and never wrong state",
        short: true,
        proof: |proof| proof.tests(&["damaged_files_are_refused", "neither_panic_nor_take_memory", "damage_is", "flipped_bit"]),
    },
    Point { id: "3.2", claim: "golden files of the formats stay readable", short: true, proof: |proof| proof.tests(&["golden"]) },
    Point {
        id: "4.1",
        claim: "rolling keyed sum over 10 M keys, in records per CPU-second: hashmap at least 10x Flink, rocksdb at least 2.5x",
        short: false,
        proof: |proof| {
            let measured = proof.with_rocksdb().bench_beside_peer("sum")?;
            let hashmap = at_least(measured.rate("brisk", 1)? / measured.rate("flink", 2)?, 10.0, "x Flink on hashmap")?;
            let rocksdb = measured.rate("rocksdb", 1)? / measured.rate("flink-rocksdb", 2)?;
            Ok(format!("{hashmap}; {}", at_least(rocksdb, 2.5, "x Flink on rocksdb")?))
        },
    },
    Point {
        id: "4.2",
        claim: "2 GB on rocksdb, incremental every 10 s: throughput loss below 5 %, longest pause of the task below 50 ms",
        short: false,
        proof: |proof| {
            // One run has turns with checkpoints and turns without.
            let measured = proof.with_rocksdb().bench("state-rocksdb", "rocksdb", 1, 1)?;
            let figure = |name| measured.median("rocksdb", 1, |run| run.figure(name));
            let (loss, pause) = (figure("lost_percent")?, figure("longest_pause_ms")?);
            Ok(format!("{}; {}", at_most(loss, 5.0, "% lost")?, at_most(pause, 50.0, "ms longest pause")?))
        },
    },
    Point {
        id: "4.3",
        claim: "2 GB on hashmap, full every 60 s: loss below 10 %, peak memory below 1.5x the same job's without checkpoints, pauses below 10 ms",
        short: false,
        proof: |proof| {
            let measured = proof.bench_in_turn("state-hashmap", 3)?;
            let loss = lost(&measured, "off", "60s")?;
            let pause = measured.median("60s", 1, |run| run.figure("longest_pause_ms"))?;
            let memory = |engine: &str| measured.median(engine, 1, |run| Some(run.peak_rss_mb));
            let grows = at_most(memory("60s")? / memory("off")?, 1.5, "x memory")?;
            Ok(format!("{}; {grows}; {}", at_most(loss, 10.0, "% lost")?, at_most(pause, 10.0, "ms longest pause")?))
        },
    },
    Point {
        id: "4.4",
        claim: "an unaligned checkpoint in front of a sink 100x too slow is done within 1 s",
        short: false,
        proof: |proof| {
            let measured = proof.bench("slow-sink", "brisk", 1, 3)?;
            at_most(measured.median("brisk", 1, |run| run.figure("longest_checkpoint_s"))?, 1.0, "s for the longest checkpoint")
        },
    },
    Point {
        id: "4.5",
        claim: "10 GB on rocksdb in a budget of 1 GB stays within it +10 % resident memory",
        short: false,
        proof: |proof| {
            let measured = proof.with_rocksdb().bench("state-budget", "rocksdb", 1, 1)?;
            let state = measured.median("rocksdb", 1, |run| run.figure("state_gb"))?;
            let used = at_most(measured.median("rocksdb", 1, |run| Some(run.peak_rss_mb))?, 1073.7 * 1.1, "MB resident")?;
            Ok(format!("{state:.1} GB of state: {used}"))
        },
    },
    Point {
        id: "4.6",
        claim: "2 GB are restored in less than 5 s, on both backends",
        short: false,
        proof: |proof| {
            let mut figures = Vec::new();
            for backend in ["hashmap", "rocksdb"] {
                let measured = proof.with_rocksdb().bench("state-restore", backend, 1, 1)?;
                let seconds = measured.median(backend, 1, |run| run.figure("restore_s"))?;
                figures.push(at_most(seconds, 5.0, &format!("s on {backend}"))?);
            }
            Ok(figures.join("; "))
        },
    },
    Point {
        id: "5.1",
        claim: "the book has chapters on state, on checkpoints and recovery, on savepoints and upgrades, and on choosing a backend",
        short: true,
        proof: |_| chapters(&["state", "checkpoints-and-recovery", "savepoints-and-upgrades", "choosing-a-backend"]),
    },
];

fn recoveries(proof: &mut Proof, seeds_each: u32, backend: &str) -> Result<String> {
    for workload in RECOVERIES {
        proof.simulator(&["--workload", workload, "--seeds", &seeds_each.to_string()], backend)?;
    }
    Ok(format!("{} seeds of {} workloads pass", seeds_each * RECOVERIES.len() as u32, RECOVERIES.len()))
}

/// Percent of the updates per second that checkpoints cost.
fn lost(measured: &Measured, without: &str, with: &str) -> Result<f64> {
    let rate = |engine| measured.median(engine, 1, |run| run.figure("updates_per_s"));
    Ok((1.0 - rate(with)? / rate(without)?) * 100.0)
}

/// Each bug is found by the workload that has to find it.
fn planted_bugs(proof: &mut Proof) -> Result<String> {
    let mut found = Vec::new();
    for (bug, workload) in PLANTED {
        let done = proof.simulator(&["--plant", bug, "--workload", workload, "--seeds", "500"], "hashmap")?;
        let seeds = done.stdout.split("the ").nth(1).and_then(|text| text.split('.').next()).unwrap_or("?");
        found.push(format!("{bug}: seed {seeds}"));
    }
    Ok(found.join(", "))
}

/// The chapters are there, in the table of contents, and have something to say.
fn chapters(names: &[&str]) -> Result<String> {
    let book = repo::root().join("docs/book/src");
    let contents = fs::read_to_string(book.join("SUMMARY.md"))?;
    for name in names {
        let file = format!("{name}.md");
        ensure!(contents.contains(&file), "the table of contents does not have {file}");
        let words = fs::read_to_string(book.join(&file))?.split_whitespace().count();
        ensure!(words > 300, "{file} has {words} words");
    }
    Ok(format!("{} chapters", names.len()))
}
