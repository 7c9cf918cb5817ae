//! What a proof can do: run tests by filter, programs, simulations and benchmarks, and compare figures with limits.
//!
//! Every command run through here stands on the acceptance page.

use crate::bench::{Bench, Case, Run, Selection, agreed, median, peer};
use crate::process::{Finished, Output, Program};
use crate::test;
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;

/// One running proof.
pub(super) struct Proof {
    /// Prove with less work.
    short: bool,
    /// Folder of the peer's drivers.
    peer: Option<PathBuf>,
    /// Benchmarks are built with the state backend `rocksdb`.
    rocksdb: bool,
    /// What was run, as a person would type it.
    commands: Vec<String>,
}

impl Proof {
    pub(super) fn new(short: bool, peer: Option<&str>) -> Self {
        Self { short, peer: peer.map(PathBuf::from), rocksdb: false, commands: Vec::new() }
    }

    /// Puts a command on record that is run by other means.
    pub(super) fn note(&mut self, command: String) {
        self.commands.push(command);
    }

    /// The commands run so far.
    pub(super) fn into_commands(self) -> Vec<String> {
        self.commands
    }

    /// Whether less work is wanted.
    pub(super) fn short(&self) -> bool {
        self.short
    }

    /// The profile programs are built with: release, but in a short run the one the tests use, so that nothing is built twice.
    pub(super) fn profile(&self) -> &'static str {
        if self.short { "dev" } else { "release" }
    }

    /// Builds benchmarks with the state backend `rocksdb` from here on.
    pub(super) fn with_rocksdb(&mut self) -> &mut Self {
        self.rocksdb = true;
        self
    }

    /// Runs a program whose output is kept; anything but status 0 fails the proof with the end of what it said.
    pub(super) fn run(&mut self, program: &Program) -> Result<Finished> {
        self.commands.push(program.line());
        let done = program.measure(Output::Both)?;
        if !done.ok {
            bail!("{}: {} {}", program.line(), done.ending, last_lines(&done.stderr, &done.stdout));
        }
        Ok(done)
    }

    /// Runs the tests of a package whose path contains one of `filters`; each filter must select at least one test.
    pub(super) fn tests(&mut self, filters: &[&str]) -> Result<String> {
        let mut total = 0;
        for filter in filters {
            let words = ["test", "--workspace", "--lib", "--tests"].into_iter().chain(test::FEATURES).chain(["--", filter]);
            let done = self.run(&Program::cargo(words))?;
            let passed = passed(&done.stdout);
            ensure!(passed > 0, "no test is named '{filter}'");
            total += passed;
        }
        Ok(format!("{total} tests pass"))
    }

    /// Runs seeds of a workload in the simulator.
    pub(super) fn simulate(&mut self, workload: &str, seeds: u32) -> Result<String> {
        self.simulator(&["--workload", workload, "--seeds", &seeds.to_string()], "hashmap")?;
        Ok(format!("{seeds} seeds pass"))
    }

    /// Runs the simulator on a state backend. In a short run it is built as the tests build it, so that nothing is built twice.
    pub(super) fn simulator(&mut self, args: &[&str], backend: &str) -> Result<Finished> {
        let profile = self.profile();
        let build = if self.short {
            Program::cargo(["build", "--workspace", "--bins", "--examples"].into_iter().chain(test::FEATURES))
        } else {
            // Only one workload needs what comes with SQL, which takes many minutes to build.
            let features = if args.contains(&"columnar") { "rocksdb,table" } else { "rocksdb" };
            Program::cargo(["build", "--package", "brisk-sim", "--profile", profile, "--no-default-features", "--features", features])
        };
        let done = build.measure(Output::Both)?;
        ensure!(done.ok, "the simulator cannot be built: {}", last_lines(&done.stderr, &done.stdout));
        let folder = if profile == "dev" { "debug" } else { profile };
        let binary = test::target_dir(&test::metadata()?)?.join(folder).join("brisk-sim");
        let done = Program::new(binary.as_os_str(), args.iter().map(std::ffi::OsStr::new))
            .env("BRISK_SIM_BACKEND", backend)
            .measure(Output::Both)?;
        self.commands.push(format!("BRISK_SIM_BACKEND={backend} brisk-sim {}", args.join(" ")));
        ensure!(done.ok, "brisk-sim {}: {} {}", args.join(" "), done.ending, last_lines(&done.stderr, &done.stdout));
        Ok(done)
    }

    /// Builds an example of the facade and returns its binary.
    pub(super) fn example(&mut self, name: &str) -> Result<PathBuf> {
        let profile = self.profile();
        // In a short run all examples are built as the tests build them: other features would build the heavy dependencies again.
        let program = if self.short {
            Program::cargo(["build", "--workspace", "--bins", "--examples"].into_iter().chain(test::FEATURES))
        } else {
            Program::cargo(["build", "--package", "brisk", "--example", name, "--profile", profile])
        };
        self.run(&program)?;
        let folder = if profile == "dev" { "debug" } else { profile };
        Ok(test::target_dir(&test::metadata()?)?.join(folder).join("examples").join(name))
    }

    /// Builds a package's binary and returns it.
    pub(super) fn binary(&mut self, package: &str, name: &str) -> Result<PathBuf> {
        let profile = self.profile();
        let program = if self.short {
            Program::cargo(["build", "--workspace", "--bins", "--examples"].into_iter().chain(test::FEATURES))
        } else {
            Program::cargo(["build", "--package", package, "--profile", profile])
        };
        self.run(&program)?;
        let folder = if profile == "dev" { "debug" } else { profile };
        Ok(test::target_dir(&test::metadata()?)?.join(folder).join(name))
    }

    /// Measures one case: the median run by wall time stands for it in `figure` look-ups.
    pub(super) fn bench(&mut self, name: &str, engine: &str, parallelism: u64, repeats: usize) -> Result<Measured> {
        let selection = Selection { names: vec![name.into()], engine: Some(engine.into()), parallelism: Some(parallelism), records: None };
        self.commands.push(format!("cargo xtask bench {name} --engine {engine} --parallelism {parallelism} --reps {repeats}"));
        let bench = Bench::build(true, self.rocksdb)?;
        let cases = bench.select(&selection)?;
        let runs = bench.measure(&cases, repeats, &mut |_| {})?;
        Ok(Measured { runs })
    }

    /// Measures some cases of one benchmark in turn, so that noise of the machine meets all of them.
    pub(super) fn bench_in_turn(&mut self, name: &str, repeats: usize) -> Result<Measured> {
        self.commands.push(format!("cargo xtask bench {name} --reps {repeats}"));
        let bench = Bench::build(true, self.rocksdb)?;
        let cases = bench.select(&Selection { names: vec![name.into()], ..Selection::default() })?;
        let runs = bench.measure(&cases, repeats, &mut |_| {})?;
        agreed(&runs)?;
        Ok(Measured { runs })
    }

    /// Runs every benchmark that has a loop over a few records, and compares the results of its engines.
    pub(super) fn engines_agree(&mut self, records: u64) -> Result<String> {
        self.commands.push(format!("cargo xtask bench --reps 1 --records {records}"));
        let bench = Bench::build(!self.short, true)?;
        let mut cases = bench.select(&Selection { records: Some(records), ..Selection::default() })?;
        let with_loop: Vec<_> = cases.iter().filter(|case| case.engine == "loop").map(|case| case.name.clone()).collect();
        cases.retain(|case| with_loop.contains(&case.name));
        for name in &with_loop {
            ensure!(cases.iter().any(|case| case.name == *name && case.engine == "brisk"), "benchmark {name} has no job of the engine");
        }
        let runs = bench.measure(&cases, 1, &mut |_| {})?;
        agreed(&runs)?;
        Ok(format!("{} runs of {} agree", runs.len(), with_loop.join(", ")))
    }

    /// The peer; an error if nobody has said where it is.
    pub(super) fn peer(&self) -> Result<peer::Peer> {
        let dir = self.peer.clone().context("not proved: say where the peer's drivers are with --peer DIR")?;
        peer::Peer::at(&dir)
    }

    /// Measures a benchmark beside the peer.
    pub(super) fn bench_beside_peer(&mut self, name: &str) -> Result<Measured> {
        self.commands.push(format!("cargo xtask bench {name} --peer DIR"));
        let peer = self.peer()?;
        let bench = Bench::build(true, self.rocksdb)?;
        let cases: Vec<Case> = bench.select(&Selection { names: vec![name.into()], ..Selection::default() })?;
        let runs = peer::alternate(&bench, &cases, &peer, 1, &mut |_| {})?;
        agreed(&runs)?;
        Ok(Measured { runs })
    }
}

/// The runs of some cases.
pub(super) struct Measured {
    runs: Vec<Run>,
}

impl Measured {
    /// The median of a figure over the runs of an engine, with this parallelism; an error if there are none.
    pub(super) fn median(&self, engine: &str, parallelism: u64, figure: impl Fn(&Run) -> Option<f64>) -> Result<f64> {
        let fits = |run: &&Run| run.case.engine == engine && run.case.parallelism == parallelism;
        let figures: Vec<_> = self.runs.iter().filter(fits).filter_map(figure).collect();
        ensure!(!figures.is_empty(), "no figure of engine '{engine}' at parallelism {parallelism}");
        Ok(median(figures))
    }

    /// Records per CPU-second.
    pub(super) fn rate(&self, engine: &str, parallelism: u64) -> Result<f64> {
        self.median(engine, parallelism, |run| Some(run.rate()))
    }

    /// Records per second of wall time.
    pub(super) fn wall_rate(&self, engine: &str, parallelism: u64) -> Result<f64> {
        self.median(engine, parallelism, |run| Some(run.wall_rate()))
    }
}

/// A figure that must reach a limit.
pub(super) fn at_least(figure: f64, limit: f64, unit: &str) -> Result<String> {
    ensure!(figure >= limit, "{figure:.2} {unit}, needs at least {limit}");
    Ok(format!("{figure:.2} {unit} (needs at least {limit})"))
}

/// A figure that must not exceed a limit.
pub(super) fn at_most(figure: f64, limit: f64, unit: &str) -> Result<String> {
    ensure!(figure <= limit, "{figure:.2} {unit}, may be at most {limit}");
    Ok(format!("{figure:.2} {unit} (may be at most {limit})"))
}

/// How many tests passed, summed over the test binaries of one run.
fn passed(stdout: &str) -> u64 {
    let counts = stdout.lines().filter_map(|line| line.strip_prefix("test result: ok. ")?.split(' ').next()?.parse::<u64>().ok());
    counts.sum()
}

/// The last lines of the first text that is not empty.
fn last_lines(first: &str, second: &str) -> String {
    let text = if first.trim().is_empty() { second } else { first };
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_passed_tests() {
        let out = "test result: ok. 3 passed; 0 failed; 0 ignored\n\ntest result: ok. 0 passed; 0 failed\ntest result: ok. 2 passed;\n";
        assert_eq!(passed(out), 5);
        assert_eq!(passed("running 0 tests\n"), 0);
    }

    #[test]
    fn figures_meet_their_limits_or_say_by_how_much_not() {
        assert_eq!(at_least(10.5, 10.0, "x").unwrap(), "10.50 x (needs at least 10)");
        assert_eq!(at_least(9.5, 10.0, "x").unwrap_err().to_string(), "9.50 x, needs at least 10");
        assert!(at_least(f64::NAN, 10.0, "x").is_err() && at_most(f64::NAN, 10.0, "x").is_err());
        assert!(at_most(5.0, 5.0, "x").is_ok() && at_most(5.1, 5.0, "x").is_err());
    }

    #[test]
    fn a_failing_program_is_on_record() {
        let mut proof = Proof::new(true, None);
        let error = proof.run(&Program::new("sh", ["-c", "echo why >&2; exit 1"])).unwrap_err().to_string();
        assert!(error.contains("ended with status 1 why"), "{error}");
        assert_eq!(proof.into_commands(), ["sh -c 'echo why >&2; exit 1'"]);
    }

    #[test]
    fn no_peer_is_no_proof() {
        let error = Proof::new(false, None).bench_beside_peer("window").err().unwrap().to_string();
        assert!(error.contains("--peer DIR"), "{error}");
    }
}
