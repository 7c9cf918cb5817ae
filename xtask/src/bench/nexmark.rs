//! `cargo xtask bench nexmark`: Nexmark's queries as SQL over the generator, their results dropped, each run as a process of its own.
//!
//! The queries' text is the peer's (a folder `sql` beside its drivers), with our tables in front: the peer reads one stream of all events, we
//! read a table for each kind of event that a query names. One of them makes all events and every field of theirs, as the peer's source
//! does, so that the generator's cost is in both. q6 is refused by the peer; q10 writes files in folders named after its columns, which
//! we cannot yet.

use super::peer::Peer;
use super::{Case, RUN_LIMIT_S, Run, table};
use crate::args::Args;
use crate::process::{Output, Program};
use crate::repo;
use crate::test::{metadata, target_dir};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Map;
use std::fs;
use std::path::{Path, PathBuf};

/// The queries, and over how many thousand events each is measured, unless told.
pub(crate) const QUERIES: [(&str, u64); 21] = [
    ("q0", 10_000),
    ("q1", 10_000),
    ("q2", 10_000),
    ("q3", 5_000),
    ("q4", 3_000),
    ("q5", 5_000),
    ("q7", 3_000),
    ("q8", 10_000),
    ("q9", 3_000),
    ("q11", 3_000),
    ("q12", 5_000),
    ("q13", 3_000),
    ("q14", 5_000),
    ("q15", 1_500),
    ("q16", 1_500),
    ("q17", 3_000),
    ("q18", 3_000),
    ("q19", 2_000),
    ("q20", 3_000),
    ("q21", 4_000),
    ("q22", 5_000),
];

/// Events per second of event time.
const EVENT_RATE: u64 = 100_000;

/// Tables over the generator; what stands in braces is to be replaced. Where no bids are read it is the auctions' source that makes all events.
const TABLES: &str = "
CREATE TABLE person (
  id BIGINT, name STRING, email STRING, card STRING, city STRING, state STRING, ts TIMESTAMP(3), extra STRING,
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark', 'events' = '{events}', 'event-rate' = '{rate}');
CREATE TABLE auction (
  id BIGINT, item STRING, description STRING, initial_bid BIGINT, reserve BIGINT, ts TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT,
  category BIGINT, extra STRING, WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark', 'events' = '{events}', 'event-rate' = '{rate}', 'all-kinds' = '{without-bids}');
CREATE TABLE bid (
  auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3), extra STRING,
  WATERMARK FOR ts AS ts - INTERVAL '4' SECOND
) WITH ('connector' = 'nexmark', 'events' = '{events}', 'event-rate' = '{rate}', 'all-kinds' = 'true');
";

/// Rows of q13's table of look-ups.
const SIDE_ROWS: u32 = 10_000;

pub(crate) fn command(raw: Vec<String>) -> Result<()> {
    let args = Args::parse(raw, &["json"], &["parallelism", "records", "reps", "peer", "backend"])?;
    let queries: Vec<_> = args.names.iter().map(String::as_str).filter(|name| *name != "nexmark").collect();
    let parallelism = args.value("parallelism")?.unwrap_or(2);
    let nexmark = Nexmark::build(args.text("backend").unwrap_or("hashmap"), parallelism)?;
    let cases = nexmark.select(&queries, args.value("records")?)?;
    let json = args.has("json");
    let mut report = |run: &Run| if json { println!("{}", run.to_json()) } else { eprintln!("{}", table::line(run)) };
    let peer = args.text("peer").map(|dir| Peer::at(Path::new(dir))).transpose()?;
    let runs = nexmark.measure(&cases, args.value("reps")?.unwrap_or(super::REPEATS).max(1), peer.as_ref(), &mut report)?;
    if !json {
        println!("{}", table::render(&runs));
    }
    Ok(())
}

/// The command line and the queries.
pub(crate) struct Nexmark {
    brisk: PathBuf,
    queries: PathBuf,
    work: PathBuf,
    backend: String,
    parallelism: u64,
}

impl Nexmark {
    /// Builds the command line, in release mode.
    pub(crate) fn build(backend: &str, parallelism: u64) -> Result<Self> {
        let words = ["build", "--quiet", "--release", "--package", "brisk-cli", "--features", "brisk/rocksdb"];
        Program::cargo(words).run().context("cannot build the command line")?;
        let folder = repo::root().join("../shared/bench/flink/sql");
        let queries = [folder, repo::root().join("../../shared/bench/flink/sql")].into_iter().find(|folder| folder.is_dir());
        let queries = queries.context("there is no ../shared/bench/flink/sql with the queries")?;
        let target = target_dir(&metadata()?)?;
        let work = target.join("nexmark-bench");
        fs::create_dir_all(&work)?;
        let side: String = (0..SIDE_ROWS).map(|row| format!("{row},value-{row}\n")).collect();
        fs::write(work.join("side.csv"), side)?;
        Ok(Self { brisk: target.join("release/brisk"), queries, work, backend: backend.to_owned(), parallelism })
    }

    /// A case for each of these queries; none selects all.
    pub(crate) fn select(&self, queries: &[&str], records: Option<u64>) -> Result<Vec<Case>> {
        if let Some(unknown) = queries.iter().find(|query| !QUERIES.iter().any(|(name, _)| name == *query)) {
            bail!("there is no query '{unknown}'; there are: {}", QUERIES.map(|(name, _)| name).join(", "));
        }
        let chosen = QUERIES.iter().filter(|(name, _)| queries.is_empty() || queries.contains(name));
        let engine = if self.backend == "hashmap" { "brisk".to_owned() } else { format!("brisk-{}", self.backend) };
        Ok(chosen
            .map(|(name, thousands)| Case {
                name: (*name).to_owned(),
                engine: engine.clone(),
                parallelism: self.parallelism,
                records: records.unwrap_or(thousands * 1000),
            })
            .collect())
    }

    /// Runs each case this many times, then the peer (once cold, which does not count, and once more), and then each once more.
    pub(crate) fn measure(&self, cases: &[Case], repeats: usize, peer: Option<&Peer>, report: &mut dyn FnMut(&Run)) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        let ours = |repeats: usize, runs: &mut Vec<Run>, report: &mut dyn FnMut(&Run)| -> Result<()> {
            for case in cases {
                for _ in 0..repeats {
                    let run = self.run(case)?;
                    report(&run);
                    runs.push(run);
                }
            }
            Ok(())
        };
        ours(repeats, &mut runs, report)?;
        if let Some(peer) = peer {
            let theirs = peer.nexmark(&self.backend, cases)?;
            theirs.iter().for_each(&mut *report);
            runs.extend(theirs);
            ours(1, &mut runs, report)?;
        }
        Ok(runs)
    }

    fn run(&self, case: &Case) -> Result<Run> {
        let file = self.work.join(format!("{}.sql", case.name));
        fs::write(&file, self.statements(case)?)?;
        let [parallelism, backend] = [format!("parallelism.default={}", case.parallelism), format!("state.backend.type={}", self.backend)];
        let (brisk, file) = (self.brisk.display().to_string(), file.display().to_string());
        let program = Program::new(brisk.as_str(), ["sql", "-D", &parallelism, "-D", &backend, "-f", &file]).limit_s(RUN_LIMIT_S);
        let done = program.measure(Output::Both)?;
        ensure!(done.ok, "{} {}: {}", case.name, done.ending, done.stderr.trim());
        Ok(Run { case: case.clone(), wall_s: done.wall_s, cpu_s: done.cpu_s, peak_rss_mb: done.peak_rss_mb, extra: Map::new() })
    }

    /// Tables, sink and query.
    fn statements(&self, case: &Case) -> Result<String> {
        let text = repo::read(&self.queries.join(format!("{}.sql", case.name)))?;
        // q14's function comes with the binary.
        let text: String = text.split_inclusive(";\n").filter(|statement| !statement.contains("CREATE FUNCTION")).collect();
        let side = format!("'filesystem', 'format' = 'csv', 'lookup.cache' = 'FULL', 'path' = '{}'", self.work.join("side.csv").display());
        let tables = TABLES.replace("{events}", &case.records.to_string()).replace("{rate}", &EVENT_RATE.to_string());
        let reads_bids = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').any(|word| word == "bid");
        let tables = tables.replace("{without-bids}", if reads_bids { "false" } else { "true" });
        Ok(tables + &text.replace("'side-csv', 'path' = '${side}'", &side).replace("${sink}", "'connector' = 'blackhole'"))
    }
}
