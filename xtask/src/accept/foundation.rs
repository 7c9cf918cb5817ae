//! The claims of the foundation: results, rules, documented behaviour, figures, memory, and a clean tree.

use super::Point;
use super::departures::reproduced;
use super::proof::{Proof, at_least, at_most};
use crate::process::Program;
use crate::repo;
use anyhow::{Result, bail, ensure};

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "1.1",
        claim: "the departures example reproduces all four expected files at parallelism 1, 2, 4 and 7",
        short: true,
        proof: |proof| {
            let all = ["--parallelism 1", "--parallelism 2", "--parallelism 4", "--parallelism 7"];
            reproduced(proof, if proof.short() { &all[2..3] } else { &all })
        },
    },
    Point {
        id: "1.2",
        claim: "it does so with every executor",
        short: true,
        proof: |proof| {
            let all = ["--executor core --parallelism 2", "--executor dedicated --parallelism 2", "--executor simulator --parallelism 2"];
            reproduced(proof, if proof.short() { &all[1..2] } else { &all })
        },
    },
    Point {
        id: "1.3",
        claim: "1,000 simulator seeds of a shortened departures stream agree with the plain computation",
        short: true,
        proof: |proof| {
            let seeds = if proof.short() { 10 } else { 1000 };
            proof.simulate("departures", seeds)
        },
    },
    Point {
        id: "1.4",
        claim: "the columnar keyed sum with retraction holds in 1,000 simulator seeds",
        short: true,
        proof: |proof| {
            let seeds = if proof.short() { 10 } else { 1000 };
            proof.simulate("columnar", seeds)
        },
    },
    Point {
        id: "2.1",
        claim: "every window assigner x trigger x evictor x lateness agrees with a naive reference over random out-of-order streams",
        short: true,
        proof: |proof| {
            proof.tests(&["windows::every_combination_agrees_with_the_reference", "windows::random_streams_agree_with_the_reference"])
        },
    },
    Point {
        id: "2.2",
        claim: "window and interval joins agree with a naive reference",
        short: true,
        proof: |proof| proof.tests(&["join_reference", "joins::by_interval::agrees", "joins::in_windows::agree"]),
    },
    Point {
        id: "2.3",
        claim: "minimum watermark and idleness follow Flink's rules",
        short: true,
        proof: |proof| proof.tests(&["valve", "watermark", "idle"]),
    },
    Point { id: "2.4", claim: "timers fire in order, exactly once", short: true, proof: |proof| proof.tests(&["timer"]) },
    Point {
        id: "3.1",
        claim: "the scenarios of Flink's documentation behave as documented",
        short: true,
        proof: |proof| proof.tests(&["scenarios", "documented", "picture"]),
    },
    Point {
        id: "4.0",
        claim: "every benchmark's job of the engine has the results of the loop written by hand",
        short: true,
        proof: |proof| proof.engines_agree(2_000_000),
    },
    Point {
        id: "4.1",
        claim: "keyed window: at least 10x Flink in records per CPU-second",
        short: false,
        proof: |proof| {
            let measured = proof.bench_beside_peer("window")?;
            let ratios = [1, 2].map(|p| Ok(measured.rate("brisk", p)? / measured.rate("flink", p)?));
            let [one, two]: [Result<f64>; 2] = ratios;
            at_least(one?.min(two?), 10.0, "x Flink, the smaller of one and two subtasks")
        },
    },
    Point {
        id: "4.2",
        claim: "keyed window at parallelism 1: at most 5x the cost of the hand-written loop",
        short: false,
        proof: |proof| {
            let measured = proof.bench_in_turn("window", 5)?;
            at_most(measured.rate("loop", 1)? / measured.rate("brisk", 1)?, 5.0, "x the loop's CPU-seconds per record")
        },
    },
    Point {
        id: "4.3",
        claim: "word count over 1 GB of text: at least 8x Flink in records per CPU-second",
        short: false,
        proof: |proof| {
            let measured = proof.bench_beside_peer("words")?;
            at_least(measured.rate("brisk", 2)? / measured.rate("flink", 2)?, 8.0, "x Flink, two subtasks")
        },
    },
    Point {
        id: "4.4",
        claim: "latency of 10,000 records/s through key_by -> process -> sink for 60 s, from due time: median p99 of five runs below 1 ms",
        short: false,
        proof: |proof| {
            let measured = proof.bench("latency", "brisk", 2, 5)?;
            at_most(measured.median("brisk", 2, |run| run.figure("p99_us"))?, 1000.0, "us p99")
        },
    },
    Point {
        id: "4.5",
        claim: "two subtasks on two cores reach at least 1.7x the wall rate of one subtask on one core",
        short: false,
        proof: |proof| {
            let measured = proof.bench_in_turn("window", 5)?;
            at_least(
                measured.wall_rate("brisk", 2)? / measured.wall_rate("one-core", 1)?,
                1.7,
                "x the wall rate of one subtask on one core",
            )
        },
    },
    Point {
        id: "4.6",
        claim: "1,000 -> 1,000 subtasks, hash-connected: started in 10 s, below 2 GB resident, cancelled in 5 s",
        short: false,
        proof: |proof| {
            let measured = proof.bench("wide", "brisk", 1000, 1)?;
            let started = at_most(measured.median("brisk", 1000, |run| run.figure("started_s"))?, 10.0, "s to start")?;
            let memory = at_most(measured.median("brisk", 1000, |run| Some(run.peak_rss_mb))?, 2000.0, "MB")?;
            let cancelled = at_most(measured.median("brisk", 1000, |run| run.figure("cancelled_s"))?, 5.0, "s to cancel")?;
            Ok(format!("{started}; {memory}; {cancelled}"))
        },
    },
    Point { id: "4.7", claim: "cold start of an example binary to its first result below 300 ms", short: false, proof: cold_start },
    Point {
        id: "5.1",
        claim: "ten minutes of windows and sessions: bounded state and resident memory",
        short: false,
        proof: |proof| {
            let measured = proof.bench("steady", "brisk", 2, 1)?;
            let growth = measured.median("brisk", 2, |run| run.figure("rss_growth"))?;
            let state = measured.median("brisk", 2, |run| run.figure("state_growth"))?;
            let memory = at_most(growth, 1.1, "x resident memory, last quarter over second quarter")?;
            Ok(format!("{memory}; {}", at_most(state, 1.1, "x state entries, the same")?))
        },
    },
    Point { id: "6.1", claim: "the documentation builds without warnings", short: true, proof: |proof| clean(proof, &crate::test::docs()) },
    Point { id: "6.2", claim: "clippy is clean", short: true, proof: |proof| clean(proof, &crate::test::lints()) },
    Point {
        id: "6.3",
        claim: "tidy is clean, which includes: no unwrap outside of tests",
        short: true,
        proof: |_| match crate::tidy::check(&repo::root())?.as_slice() {
            [] => Ok("no offences".to_string()),
            [first, rest @ ..] => bail!("{first} (and {} more)", rest.len()),
        },
    },
];

fn clean(proof: &mut Proof, program: &Program) -> Result<String> {
    proof.run(program)?;
    Ok("no warnings".to_string())
}

/// Starts the word count on a few lines and takes the time to its end, which is later than its first result.
fn cold_start(proof: &mut Proof) -> Result<String> {
    let binary = proof.example("word_count")?;
    let mut walls = Vec::new();
    for _ in 0..5 {
        let done = proof.run(&Program::new(binary.clone(), []).dir(repo::root()).limit_s(60))?;
        ensure!(!done.stdout.trim().is_empty(), "word_count printed no result");
        walls.push(done.wall_s * 1000.0);
    }
    at_most(crate::bench::median(walls), 300.0, "ms from start to end of word_count, median of five")
}
