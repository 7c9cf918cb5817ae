//! `brisk-bench`: runs one benchmark once, and prints what it did as one JSON object.
//!
//! Each benchmark exists as a loop a good engineer would write by hand for that one query, and as a job of the engine over the same
//! records. Both report a digest of their results, so that a wrong answer is not mistaken for a fast one. Time and memory are taken
//! from outside, by `cargo xtask bench`.
//!
//! ```text
//! brisk-bench --list
//! brisk-bench NAME --prepare [--records N]
//! brisk-bench NAME [--engine brisk|loop] [--records N] [--parallelism P]
//! ```

mod blocks;
mod digest;
mod digest_sink;
mod engine;
mod latency;
mod state;
mod steady;
mod sum;
mod text;
mod wide;
mod window;
mod words;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// What the engine's users are advised to take; the loops gain by it, too.
#[global_allocator]
static ALLOCATOR: brisk::allocator::MiMalloc = brisk::allocator::MiMalloc;

/// One benchmark.
struct Benchmark {
    /// As given on the command line.
    name: &'static str,
    /// Records of a run, unless told.
    records: u64,
    /// Who can run it, with how many subtasks.
    engines: &'static [(&'static str, u64)],
    /// Makes input files that are missing.
    prepare: fn(&Spec) -> Result<()>,
    /// Runs it with the engine of the spec.
    run: fn(&Spec) -> Result<Outcome>,
}

/// What one run is asked to do.
struct Spec {
    /// `brisk` or `loop`.
    engine: String,
    /// Records to read.
    records: u64,
    /// Subtasks of each operator.
    parallelism: u64,
}

/// What one run did.
struct Outcome {
    /// Records read.
    records: u64,
    /// A number that depends on every result, but not on their order.
    digest: u64,
    /// Further figures, such as latencies.
    extra: Map<String, Value>,
}

impl Outcome {
    fn new(records: u64, digest: u64) -> Self {
        Self { records, digest, extra: Map::new() }
    }
}

const BENCHMARKS: [Benchmark; 14] = [
    window::BENCHMARK,
    window::KEYS,
    window::OVERLAP,
    window::SUBTASKS,
    words::BENCHMARK,
    sum::BENCHMARK,
    latency::BENCHMARK,
    wide::BENCHMARK,
    steady::BENCHMARK,
    state::HASHMAP,
    state::ROCKSDB,
    state::BUDGET,
    state::RESTORE,
    state::SLOW_SINK,
];

fn main() -> ExitCode {
    match run(std::env::args().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(raw: Vec<String>) -> Result<()> {
    if raw.first().is_some_and(|arg| arg == "--list") {
        list();
        return Ok(());
    }
    let name = raw.first().context("usage: brisk-bench NAME [--engine E] [--records N] [--parallelism P], or --list")?;
    let benchmark = BENCHMARKS.iter().find(|b| b.name == name).with_context(|| format!("there is no benchmark '{name}'; see --list"))?;
    let (engine, parallelism) = *benchmark.engines.first().context("a benchmark that nobody can run")?;
    let mut spec = Spec { engine: engine.to_string(), records: benchmark.records, parallelism };
    let mut only_prepare = false;
    let mut rest = raw.into_iter().skip(1);
    while let Some(option) = rest.next() {
        let mut value = || rest.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--prepare" => only_prepare = true,
            "--engine" => spec.engine = value()?,
            "--records" => spec.records = value()?.parse().context("--records needs a number")?,
            "--parallelism" => spec.parallelism = value()?.parse().context("--parallelism needs a number")?,
            _ => bail!("unknown option {option}"),
        }
    }
    (benchmark.prepare)(&spec)?;
    if only_prepare {
        return Ok(());
    }
    print(&(benchmark.run)(&spec)?);
    Ok(())
}

fn list() {
    for benchmark in &BENCHMARKS {
        for (engine, parallelism) in benchmark.engines {
            println!("{}", json!({"name": benchmark.name, "engine": engine, "parallelism": parallelism, "records": benchmark.records}));
        }
    }
}

fn print(outcome: &Outcome) {
    let mut object = outcome.extra.clone();
    object.insert("records".to_string(), outcome.records.into());
    object.insert("digest".to_string(), format!("{:016x}", outcome.digest).into());
    println!("{}", Value::Object(object));
}

/// For benchmarks that read no files.
fn nothing_to_prepare(_: &Spec) -> Result<()> {
    Ok(())
}

/// The error of a benchmark that is asked to run with an engine it does not have.
fn no_engine(spec: &Spec) -> anyhow::Error {
    anyhow::anyhow!("this benchmark has no engine '{}' with parallelism {}; see --list", spec.engine, spec.parallelism)
}
