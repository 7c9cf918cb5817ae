//! `cargo xtask bench`: measures the programs of `benches/` in release mode, each run as a process of its own.
//!
//! What there is to run (names, engines, parallelism, default number of records) is asked of the benchmark binary; this module only
//! starts it and takes the figures from outside: wall time, processor time and peak memory of the whole process, start and end included.

pub(crate) mod nexmark;
pub(crate) mod peer;
mod table;

use crate::args::Args;
use crate::process::{Output, Program};
use crate::test::{FEATURES, metadata, target_dir};
use anyhow::{Context, Result, bail};
use peer::Peer;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// No single run may take longer.
const RUN_LIMIT_S: u64 = 1200;
/// Runs of each case, unless told; the table shows their median.
const REPEATS: usize = 3;

pub(crate) fn command(raw: Vec<String>) -> Result<()> {
    if raw.first().is_some_and(|name| name == "nexmark") {
        return nexmark::command(raw);
    }
    let args = Args::parse(raw, &["json", "rocksdb"], &["engine", "parallelism", "records", "reps", "peer", "rounds"])?;
    let bench = Bench::build(true, args.has("rocksdb"))?;
    let mut cases = bench.select(&Selection::from_args(&args)?)?;
    if !args.has("rocksdb") && args.text("engine").is_none() {
        // It takes minutes to build.
        cases.retain(|case| !case.engine.starts_with("rocksdb"));
    }
    let repeats = args.value("reps")?.unwrap_or(REPEATS).max(1);
    let json = args.has("json");
    let mut report = |run: &Run| {
        if json {
            println!("{}", run.to_json());
        } else {
            eprintln!("{}", table::line(run));
        }
    };
    let runs = match args.text("peer") {
        None => bench.measure(&cases, repeats, &mut report)?,
        Some(dir) => {
            let rounds = args.value("rounds")?.unwrap_or(1).max(1);
            peer::alternate(&bench, &cases, &Peer::at(Path::new(dir))?, rounds, &mut report)?
        }
    };
    if !json {
        println!("{}", table::render(&runs));
    }
    agreed(&runs)
}

/// One way to run one benchmark.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Case {
    /// Name of the benchmark.
    pub(crate) name: String,
    /// Who does the work: `brisk`, `loop` (written by hand), or the peer.
    pub(crate) engine: String,
    /// Subtasks.
    pub(crate) parallelism: u64,
    /// Input records.
    pub(crate) records: u64,
}

/// What one run of a case took.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// What was run; the number of records is the one the run reported.
    pub(crate) case: Case,
    /// From start to end of the process, seconds.
    pub(crate) wall_s: f64,
    /// User and system time, seconds.
    pub(crate) cpu_s: f64,
    /// Peak resident memory, 10^6 bytes.
    pub(crate) peak_rss_mb: f64,
    /// Whatever else the run reported, such as latency percentiles.
    pub(crate) extra: Map<String, Value>,
}

impl Run {
    /// Records per second of processor time.
    pub(crate) fn rate(&self) -> f64 {
        self.case.records as f64 / self.cpu_s.max(1e-6)
    }

    /// Records per second of wall time.
    pub(crate) fn wall_rate(&self) -> f64 {
        self.case.records as f64 / self.wall_s.max(1e-6)
    }

    /// A reported figure.
    pub(crate) fn figure(&self, name: &str) -> Option<f64> {
        self.extra.get(name).and_then(Value::as_f64)
    }

    fn to_json(&self) -> Value {
        let round = |x: f64| (x * 1000.0).round() / 1000.0;
        let mut object = json!({
            "name": self.case.name, "engine": self.case.engine, "records": self.case.records, "wall_s": round(self.wall_s),
            "cpu_s": round(self.cpu_s), "peak_rss_mb": round(self.peak_rss_mb), "parallelism": self.case.parallelism,
        });
        if let Some(object) = object.as_object_mut() {
            object.extend(self.extra.clone());
        }
        object
    }
}

/// Which cases to run; nothing given selects all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    /// Names of benchmarks.
    pub(crate) names: Vec<String>,
    /// Only this engine.
    pub(crate) engine: Option<String>,
    /// With this many subtasks, whatever the benchmark proposes (the loop always has one).
    pub(crate) parallelism: Option<u64>,
    /// This many records instead of the default.
    pub(crate) records: Option<u64>,
}

impl Selection {
    fn from_args(args: &Args) -> Result<Self> {
        Ok(Self {
            names: args.names.clone(),
            engine: args.text("engine").map(String::from),
            parallelism: args.value("parallelism")?,
            records: args.value("records")?,
        })
    }

    fn apply(&self, offered: &[Case]) -> Result<Vec<Case>> {
        for name in &self.names {
            if !offered.iter().any(|case| case.name == *name) {
                let mut known: Vec<_> = offered.iter().map(|case| case.name.as_str()).collect();
                known.dedup();
                bail!("there is no benchmark '{name}'; there are: {}", known.join(", "));
            }
        }
        let mut cases = Vec::new();
        for case in offered {
            let named = self.names.is_empty() || self.names.contains(&case.name);
            if !named || self.engine.as_ref().is_some_and(|engine| *engine != case.engine) {
                continue;
            }
            let parallelism = if case.engine == "loop" { 1 } else { self.parallelism.unwrap_or(case.parallelism) };
            let case = Case { parallelism, records: self.records.unwrap_or(case.records), ..case.clone() };
            if !cases.contains(&case) {
                cases.push(case);
            }
        }
        if cases.is_empty() {
            bail!("no benchmark fits the selection");
        }
        Ok(cases)
    }
}

/// The benchmark binary.
pub(crate) struct Bench {
    binary: PathBuf,
}

impl Bench {
    /// Builds it, with the state backend `rocksdb` or without.
    pub(crate) fn build(release: bool, rocksdb: bool) -> Result<Self> {
        let mut words = vec!["build", "--quiet"];
        if release {
            words.extend(["--package", "brisk-bench", "--release"]);
            words.extend(rocksdb.then_some(["--features", "rocksdb"]).into_iter().flatten());
        } else {
            // As the tests build them, so that nothing is built twice.
            words.extend(["--workspace", "--bins", "--examples"]);
            words.extend(FEATURES);
        }
        Program::cargo(words).run().context("cannot build the benchmarks")?;
        let profile = if release { "release" } else { "debug" };
        Ok(Self { binary: target_dir(&metadata()?)?.join(profile).join("brisk-bench") })
    }

    /// The cases of a selection, in the binary's order.
    pub(crate) fn select(&self, selection: &Selection) -> Result<Vec<Case>> {
        let listing = self.ask(&["--list"])?;
        let offered: Vec<_> = listing.iter().map(case).collect::<Result<_>>()?;
        selection.apply(&offered)
    }

    /// Runs each case this many times, the cases in turn.
    pub(crate) fn measure(&self, cases: &[Case], repeats: usize, report: &mut dyn FnMut(&Run)) -> Result<Vec<Run>> {
        let mut runs = Vec::new();
        for case in cases {
            self.prepare(case)?;
        }
        for _ in 0..repeats {
            for case in cases {
                let run = self.run(case)?;
                report(&run);
                runs.push(run);
            }
        }
        Ok(runs)
    }

    /// Lets the benchmark make its input files, which is not measured.
    fn prepare(&self, case: &Case) -> Result<()> {
        self.ask(&[&case.name, "--prepare", "--records", &case.records.to_string()]).map(drop)
    }

    fn run(&self, case: &Case) -> Result<Run> {
        let program = self.program(case);
        let done = program.measure(Output::Stdout)?;
        if !done.ok {
            bail!("benchmark {} {}\n  repeat it with: {}", case.name, done.ending, program.line());
        }
        let said: Value = serde_json::from_str(done.stdout.trim()).with_context(|| format!("{} printed no JSON object", program.line()))?;
        let mut extra = said.as_object().cloned().unwrap_or_default();
        let records =
            extra.remove("records").and_then(|r| r.as_u64()).with_context(|| format!("{} reported no records", program.line()))?;
        let case = Case { records, ..case.clone() };
        Ok(Run { case, wall_s: done.wall_s, cpu_s: done.cpu_s, peak_rss_mb: done.peak_rss_mb, extra })
    }

    fn program(&self, case: &Case) -> Program {
        let Case { name, engine, parallelism, records } = case;
        let args = format!("{name} --engine {engine} --parallelism {parallelism} --records {records}");
        self.with(&args.split(' ').collect::<Vec<_>>())
    }

    fn with(&self, args: &[&str]) -> Program {
        Program::new(self.binary.as_os_str(), args.iter().map(std::ffi::OsStr::new)).dir(crate::repo::root()).limit_s(RUN_LIMIT_S)
    }

    fn ask(&self, args: &[&str]) -> Result<Vec<Value>> {
        let program = self.with(args);
        let done = program.measure(Output::Stdout)?;
        if !done.ok {
            bail!("{} {}", program.line(), done.ending);
        }
        done.stdout.lines().map(|line| serde_json::from_str(line).with_context(|| format!("not JSON: {line}"))).collect()
    }
}

/// An error if two runs of a benchmark over the same records have different results.
pub(crate) fn agreed(runs: &[Run]) -> Result<()> {
    for (at, run) in runs.iter().enumerate() {
        let Some(digest) = run.extra.get("digest") else { continue };
        let same_work = |other: &&Run| other.case.name == run.case.name && other.case.records == run.case.records;
        let differs = |other: &&Run| other.extra.get("digest").is_some_and(|d| d != digest);
        if let Some(other) = runs[..at].iter().filter(same_work).find(differs) {
            let [one, two] = [&other.case, &run.case].map(|c| format!("{} with parallelism {}", c.engine, c.parallelism));
            bail!("{}: the results of {one} and {two} differ", run.case.name);
        }
    }
    Ok(())
}

fn case(listed: &Value) -> Result<Case> {
    let text = |name: &str| listed[name].as_str().map(String::from).with_context(|| format!("benchmark without {name}: {listed}"));
    let number = |name: &str| listed[name].as_u64().with_context(|| format!("benchmark without {name}: {listed}"));
    Ok(Case { name: text("name")?, engine: text("engine")?, parallelism: number("parallelism")?, records: number("records")? })
}

/// The median of some figures; NaN of none.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => figures[n / 2],
        n => f64::midpoint(figures[n / 2 - 1], figures[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered() -> Vec<Case> {
        let case = |name: &str, engine: &str, parallelism| Case { name: name.into(), engine: engine.into(), parallelism, records: 100 };
        vec![case("window", "loop", 1), case("window", "brisk", 1), case("window", "brisk", 2), case("words", "loop", 1)]
    }

    #[test]
    fn selects_by_name_engine_and_parallelism() {
        assert_eq!(Selection::default().apply(&offered()).unwrap().len(), 4);
        let named = Selection { names: vec!["words".into()], ..Selection::default() };
        assert_eq!(named.apply(&offered()).unwrap()[0].name, "words");
        let wide = Selection { parallelism: Some(4), records: Some(7), ..Selection::default() }.apply(&offered()).unwrap();
        let shapes: Vec<_> = wide.iter().map(|c| (c.engine.as_str(), c.parallelism, c.records)).collect();
        assert_eq!(shapes, [("loop", 1, 7), ("brisk", 4, 7), ("loop", 1, 7)]);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = Selection { names: vec!["windw".into()], ..Selection::default() }.apply(&offered()).unwrap_err().to_string();
        assert_eq!(error, "there is no benchmark 'windw'; there are: window, words");
    }

    #[test]
    fn a_run_is_one_json_object() {
        let extra = Map::from_iter([("p99_us".to_string(), json!(12))]);
        let run = Run { case: offered().remove(1), wall_s: 0.50049, cpu_s: 0.25, peak_rss_mb: 12.0, extra };
        let expected = json!({"name": "window", "engine": "brisk", "records": 100, "wall_s": 0.5, "cpu_s": 0.25, "peak_rss_mb": 12.0,
            "parallelism": 1, "p99_us": 12});
        assert_eq!(run.to_json(), expected);
        assert_eq!((run.rate(), run.figure("p99_us")), (400.0, Some(12.0)));
    }

    #[test]
    fn results_that_differ_are_an_error() {
        let run = |at: usize, digest: &str| {
            let extra = Map::from_iter([("digest".to_string(), json!(digest))]);
            Run { case: offered().remove(at), wall_s: 1.0, cpu_s: 1.0, peak_rss_mb: 1.0, extra }
        };
        assert!(agreed(&[run(0, "a"), run(1, "a"), run(3, "b")]).is_ok());
        let error = agreed(&[run(0, "a"), run(2, "b")]).unwrap_err().to_string();
        assert_eq!(error, "window: the results of loop with parallelism 1 and brisk with parallelism 2 differ");
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
