//! The claims about state that survives: simulated crashes, real ones, damaged files, and formats that stay readable.

use super::Point;
use super::killing::survives_being_killed;
use super::proof::Proof;
use crate::repo;
use anyhow::{Result, ensure};
use std::fs;

/// Workloads with crashes and restarts.
const RECOVERIES: [&str; 5] = ["recovery-numbers", "recovery-bank", "recovery-windows", "recovery-joins", "recovery-departures"];

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "1.1",
        claim: "20,000 seeds of crashes, failing storage and rescaled restarts, aligned and unaligned, keep every result exactly once",
        short: true,
        proof: |proof| recoveries(proof, if proof.short() { 60 } else { 4000 }),
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
        id: "5.1",
        claim: "the book has chapters on state, on checkpoints and recovery, on savepoints and upgrades, and on choosing a backend",
        short: true,
        proof: |_| chapters(&["state", "checkpoints-and-recovery", "savepoints-and-upgrades", "choosing-a-backend"]),
    },
];

fn recoveries(proof: &mut Proof, seeds_each: u32) -> Result<String> {
    for workload in RECOVERIES {
        proof.simulate(workload, seeds_each)?;
    }
    Ok(format!("{} seeds of {} workloads pass", seeds_each * RECOVERIES.len() as u32, RECOVERIES.len()))
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
