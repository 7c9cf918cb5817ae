//! The claims about SQL: Nexmark's queries against what a real Flink computed.
//!
//! Input, queries and expected results lie in a folder beside the repository (`../shared/nexmark`); without it the point fails, and says so.

use super::Point;
use super::proof::Proof;
use super::sql_recovery::Interrupted;
use super::sql_speed;
use crate::process::{Output, Program};
use crate::{repo, test};
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// All queries that Flink itself runs with a fixed result.
const QUERIES: [&str; 21] = [
    "q0", "q1", "q2", "q3", "q4", "q5", "q7", "q8", "q9", "q10", "q11", "q13", "q14", "q15", "q16", "q17", "q18", "q19", "q20", "q21",
    "q22",
];
/// Rows of the side table that q13 looks up.
const SIDE_ROWS: u32 = 10_000;

pub(super) const POINTS: &[Point] = &[
    Point {
        id: "1.1",
        claim: "each Nexmark query gives exactly what Flink gives, at parallelism 1, 2 and 4, on the backend hashmap",
        short: false,
        proof: |proof| nexmark(proof, &[1, 2, 4].map(|parallelism| Way::Through { parallelism, backend: "hashmap" })),
    },
    Point {
        id: "1.2",
        claim: "and on the backend rocksdb",
        short: false,
        proof: |proof| nexmark(proof, &[1, 2, 4].map(|parallelism| Way::Through { parallelism, backend: "rocksdb" })),
    },
    Point {
        id: "1.3",
        claim: "and when it is killed after a checkpoint and goes on at another parallelism, its results in files, on both backends",
        short: false,
        proof: |proof| nexmark(proof, &[Way::Interrupted([2, 4], "hashmap"), Way::Interrupted([4, 1], "rocksdb")]),
    },
    Point { id: "1.4", claim: "q12's windows of processing time count each bid once", short: false, proof: processing_time },
    Point {
        id: "1.5",
        claim: "the generated stream is the specified one, bit for bit, and errors of statements point at their place",
        short: true,
        proof: |proof| proof.tests(&["events_are_those_of_the_specification", "errors_point_at_their_place", "sql::"]),
    },
    Point {
        id: "3.1",
        claim: "the records of tests/sql hold, and each function has a result, a null and an error among them",
        short: true,
        proof: |proof| proof.tests(&["logic::"]),
    },
    Point {
        id: "4.1",
        claim: "Nexmark beside Flink on hashmap, events per CPU-second: at least 6x in the geometric mean, no query below 2x (a quarter of an \
                hour; each query of the peer once cold and once warm; without q10, whose partitions are not committed yet)",
        short: false,
        proof: sql_speed::all_queries,
    },
    Point {
        id: "4.2",
        claim: "and on rocksdb, q4, q5, q7, q9, q18 and q20 over a million events: at least 3x each",
        short: false,
        proof: sql_speed::on_disk,
    },
    Point { id: "4.3", claim: "resident memory of each query on hashmap: at most half of Flink's", short: false, proof: sql_speed::memory },
    Point {
        id: "5.1",
        claim: "100,000 statements of random words, damaged words and damaged bytes are executed or refused within 5 s, and never panic",
        short: true,
        proof: |proof| {
            // Each of three tests takes as many; the short form is what the tests do anyway.
            let cases = if proof.short() { 256 } else { 34_000 };
            let words = ["test", "--workspace", "--lib", "--tests"].into_iter().chain(test::FEATURES).chain(["--", "never_panic"]);
            proof.run(&Program::cargo(words).env("PROPTEST_CASES", &cases.to_string()))?;
            Ok(format!("{} statements", 3 * cases))
        },
    },
];

/// How a query is run.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// From its beginning to its end.
    Through { parallelism: u32, backend: &'static str },
    /// Killed in the middle; the parallelism before and after.
    Interrupted([u32; 2], &'static str),
}

/// q12 over bids that are through long before another input ends, so that the clock passes the end of their last window.
fn processing_time(proof: &mut Proof) -> Result<String> {
    let brisk = binary(proof)?;
    let statements = "
        CREATE TABLE bid (bidder BIGINT) WITH ('connector' = 'nexmark', 'events' = '200000');
        CREATE TABLE slow (id BIGINT) WITH ('connector' = 'nexmark', 'table' = 'person', 'events' = '1600', 'rows-per-second' = '40');
        CREATE VIEW timed AS
          SELECT bidder, PROCTIME() AS pt FROM (SELECT bidder FROM bid UNION ALL SELECT id FROM slow WHERE id < 0);
        CREATE VIEW counted AS
          SELECT bidder, COUNT(*) AS num, window_start AS ws, window_end AS we
          FROM TABLE(TUMBLE(TABLE timed, DESCRIPTOR(pt), INTERVAL '1' SECOND)) GROUP BY bidder, window_start, window_end;
        SELECT SUM(num) FROM counted";
    let given = output(&brisk, &["sql", "-o", "csv", "-D", "parallelism.default=2", "-e", statements])?;
    ensure!(given.lines().nth(1) == Some("184000"), "the windows have {given} instead of 184000 bids");
    Ok("184000 bids".to_owned())
}

fn nexmark(proof: &mut Proof, ways: &[Way]) -> Result<String> {
    let folder = repo::root().join("../shared/nexmark");
    let folder = [folder, repo::root().join("../../shared/nexmark")].into_iter().find(|folder| folder.is_dir());
    let folder = folder.context("there is no ../shared/nexmark with input, queries and expected results")?;
    let brisk = binary(proof)?;
    let work = test::target_dir(&test::metadata()?)?.join("nexmark");
    fs::create_dir_all(&work)?;
    let side: String = (0..SIDE_ROWS).map(|row| format!("{row},value-{row}\n")).collect();
    fs::write(work.join("side.csv"), side)?;
    let expected: Value = serde_json::from_str(&repo::read(&folder.join("expected/summary.json"))?)?;
    let mut failed = Vec::new();
    for query in QUERIES {
        for way in ways {
            let run = Run { folder: &folder, work: &work, brisk: &brisk, query };
            if let Err(error) = run.results(*way).and_then(|given| run.compare(&given, &expected[query])) {
                failed.push(format!("{query} {way:?}: {error:#}"));
            }
        }
    }
    if failed.is_empty() {
        return Ok(format!("{} queries, {} runs", QUERIES.len(), QUERIES.len() * ways.len()));
    }
    bail!("{} of {} runs do not: {}", failed.len(), QUERIES.len() * ways.len(), failed.join("; "))
}

/// The program as the tests have built it: results do not depend on the profile.
fn binary(proof: &mut Proof) -> Result<PathBuf> {
    proof.run(&Program::cargo(["build", "--workspace", "--bins", "--examples"].into_iter().chain(test::FEATURES)))?;
    Ok(test::target_dir(&test::metadata()?)?.join("debug/brisk"))
}

/// Runs a program; the runs differ in query and parallelism alone, so that the page does not show each.
fn output(program: &Path, arguments: &[&str]) -> Result<String> {
    let program = program.display().to_string();
    let done = Program::new(program.as_str(), arguments.iter().copied()).measure(Output::Both)?;
    ensure!(done.ok, "{} {}", done.ending, done.stderr.lines().next().unwrap_or_default());
    Ok(done.stdout)
}

/// One query.
struct Run<'a> {
    folder: &'a Path,
    work: &'a Path,
    brisk: &'a Path,
    query: &'a str,
}

impl Run<'_> {
    /// The query's table, as csv.
    fn results(&self, way: Way) -> Result<String> {
        let file = self.work.join(format!("{}.sql", self.query));
        let path = file.display().to_string();
        match way {
            Way::Through { parallelism, backend } => {
                fs::write(&file, self.statements()?)?;
                let (parallelism, backend) = (format!("parallelism.default={parallelism}"), format!("state.backend.type={backend}"));
                output(self.brisk, &["sql", "-o", "csv", "-D", &parallelism, "-D", &backend, "-f", &path])
            }
            Way::Interrupted(parallelisms, backend) => {
                let folder = self.work.join(format!("{}-interrupted", self.query));
                if folder.exists() {
                    fs::remove_dir_all(&folder)?;
                }
                let (sink, rows) = (format!("CREATE TABLE out_{}", self.query), folder.join("rows"));
                let text = self.text()?;
                let (tables, insertion) = text.split_once(&sink).context("there is no sink")?;
                let sink = format!("{sink}{insertion}").replace(
                    "'connector' = 'changes', 'path' = '${out}'",
                    &format!("'connector' = 'filesystem', 'format' = 'debezium-json', 'path' = '{}'", rows.display()),
                );
                fs::write(&file, format!("{tables}{sink}"))?;
                Interrupted { brisk: self.brisk, checkpoints: folder.join("checkpoints"), file, backend }.run(parallelisms)?;
                let sink = sink.split_once(");\n").context("the sink does not end")?.0;
                output(self.brisk, &["sql", "-o", "csv", "-e", &format!("{sink}); SELECT * FROM out_{}", self.query)])
            }
        }
    }

    fn compare(&self, given: &str, expected: &Value) -> Result<()> {
        let mut rows = given.lines().skip(1).map(plain_row).collect::<Result<Vec<_>>>()?;
        rows.sort_unstable();
        let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let results = self.work.join(format!("{}.csv", self.query));
        fs::write(&results, text)?;
        let wanted = expected["rows"].as_u64().context("the expected number of rows is not known")?;
        ensure!(rows.len() as u64 == wanted, "{} rows instead of {wanted}", rows.len());
        let sum = output(Path::new("sha256sum"), &[&results.display().to_string()])?;
        ensure!(sum.split_whitespace().next() == expected["sha256"].as_str(), "other rows than Flink's");
        Ok(())
    }

    /// Tables and query, with our connectors.
    fn text(&self) -> Result<String> {
        let text = repo::read(&self.folder.join("sql").join(format!("{}.sql", self.query)))?;
        // q14's function comes with the binary.
        let text: String = text.split_inclusive(";\n").filter(|statement| !statement.contains("CREATE FUNCTION")).collect();
        let side = format!("'filesystem', 'format' = 'csv', 'lookup.cache' = 'FULL', 'path' = '{}'", self.work.join("side.csv").display());
        Ok(text
            .replace("'side-csv', 'path' = '${side}'", &side)
            .replace("${data}", &self.folder.join("input").display().to_string())
            .replace(".csv', 'format'", ".csv.gz', 'format'"))
    }

    /// Tables and the query alone, without its INSERT.
    fn statements(&self) -> Result<String> {
        let text = self.text()?;
        let (sink, insert) = (format!("CREATE TABLE out_{}", self.query), format!("INSERT INTO out_{}", self.query));
        let tables = text.split(&sink).next().unwrap_or_default();
        let query = text.split_once(&insert).context("there is no INSERT")?.1;
        Ok(format!("{tables}{query}"))
    }
}

/// A row of RFC 4180 CSV as the expected files have it: fields without quotes, NULL as `\N`, times as milliseconds.
fn plain_row(row: &str) -> Result<String> {
    let mut plain = String::new();
    let mut rest = row;
    loop {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut end = quoted.find('"').context("a quote is not closed")?;
            while quoted[end + 1..].starts_with('"') {
                end += 2 + quoted[end + 2..].find('"').context("a quote is not closed")?;
            }
            plain.push_str(&quoted[..end].replace("\"\"", "\""));
            rest = &quoted[end + 1..];
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            match (&rest[..end], millis(&rest[..end])) {
                ("", _) => plain.push_str("\\N"),
                (_, Some(millis)) => write!(plain, "{millis}")?,
                (text, None) => plain.push_str(text),
            }
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok(plain),
        }
        plain.push(',');
    }
}

/// Milliseconds of `2015-07-15 00:00:00.004`.
fn millis(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let shape = bytes.len() >= 19 && bytes[4] == b'-' && bytes[7] == b'-' && bytes[10] == b' ' && bytes[13] == b':' && bytes[16] == b':';
    if !shape {
        return None;
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let fraction = match text.get(19..)?.strip_prefix('.') {
        Some(digits) => format!("{digits:0<3}").get(..3)?.parse::<i64>().ok()?,
        None => 0,
    };
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_those_of_the_expected_files() {
        let row = "7,,\"\",\"a,\"\"b\"\"\",2015-07-15 00:00:00.004,1970-01-01 00:00:01";
        assert_eq!(plain_row(row).unwrap(), "7,\\N,,a,\"b\",1436918400004,1000");
        assert!(plain_row("\"open").is_err());
    }
}
