//! `cargo xtask test`: everything that must pass before a change lands, in the order that fails soonest.
//!
//! Needs nothing but Rust's toolchain, a C++ compiler, libclang and a server of S3's protocol, the last two of which it installs where it can. One profile and always the whole workspace with the same
//! features, so that no dependency is built twice. Stops at the first failure with the command that repeats it.

use crate::args::Args;
use crate::process::{Output, Program, now};
use crate::{accept, libclang, repo, s3_server, tidy};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::PathBuf;

/// An example may take this long.
const EXAMPLE_LIMIT_S: u64 = 120;

/// The features that everything is checked with.
pub(crate) const FEATURES: [&str; 2] = ["--features", "brisk/rocksdb,brisk/s3,brisk-sim/rocksdb"];

/// One thing that must pass.
type Step = fn() -> Result<()>;

pub(crate) fn command(raw: Vec<String>) -> Result<()> {
    let args = Args::parse(raw, &[], &[])?;
    if let Some(name) = args.names.first() {
        bail!("'test' runs everything and takes no arguments (got '{name}'); for some tests: cargo test {name}");
    }
    let steps: [(&str, Step); 11] = [
        ("format", || Program::cargo(["fmt", "--all", "--check"]).run()),
        ("tidy", || tidy::command(Vec::new())),
        ("libclang", libclang::ensure),
        ("S3 server", s3_server::ensure),
        ("lints", || lints().run()),
        ("build", || with_features(&["build", "--workspace", "--bins", "--examples"], &[]).run()),
        ("tests", || test_runner().run()),
        ("doc tests", || with_features(&["test", "--workspace", "--doc"], &[]).run()),
        ("docs", || docs().run()),
        ("examples", examples),
        ("accept --short", || accept::command(vec!["--short".to_string()])),
    ];
    let started = now();
    for (at, (name, step)) in steps.iter().enumerate() {
        let begun = now();
        eprintln!("\n== {}/{} {name}", at + 1, steps.len());
        step().with_context(|| format!("step '{name}' failed"))?;
        eprintln!("== {name}: {:.1} s", begun.elapsed().as_secs_f64());
    }
    eprintln!("\nall passed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// A cargo command with the features that everything is checked with.
fn with_features(before: &[&str], after: &[&str]) -> Program {
    Program::cargo(before.iter().chain(&FEATURES).chain(after).copied())
}

/// Clippy over everything, warnings as errors.
pub(crate) fn lints() -> Program {
    with_features(&["clippy", "--workspace", "--all-targets"], &["--", "-D", "warnings"])
}

/// The documentation of the workspace, warnings as errors.
pub(crate) fn docs() -> Program {
    with_features(&["doc", "--workspace", "--no-deps"], &[]).env("RUSTDOCFLAGS", "-D warnings")
}

/// All unit and integration tests: with nextest where it is installed, which runs them faster, and with cargo alone otherwise.
fn test_runner() -> Program {
    let nextest = Program::cargo(["nextest", "--version"]).measure(Output::Both).is_ok_and(|done| done.ok);
    if nextest {
        with_features(&["nextest", "run", "--workspace", "--all-targets", "--status-level", "slow", "--no-fail-fast"], &[])
    } else {
        with_features(&["test", "--workspace", "--all-targets", "--quiet"], &[])
    }
}

/// Runs every example of the facade; each asserts its own results.
fn examples() -> Result<()> {
    let metadata = metadata()?;
    let names = example_names(&metadata);
    if names.is_empty() {
        bail!("the workspace has no examples");
    }
    let folder = target_dir(&metadata)?.join("debug/examples");
    for name in names {
        let done = Program::new(folder.join(&name), []).dir(repo::root()).limit_s(EXAMPLE_LIMIT_S).measure(Output::Both)?;
        if !done.ok {
            bail!("example '{name}' {}\n{}{}\n  repeat it with: cargo run --example {name}", done.ending, done.stdout, done.stderr);
        }
        eprintln!("   {name}: {:.1} s", done.wall_s);
    }
    Ok(())
}

/// What cargo knows about the workspace.
pub(crate) fn metadata() -> Result<Value> {
    let done = Program::cargo(["metadata", "--no-deps", "--format-version", "1"]).measure(Output::Stdout)?;
    if !done.ok {
        bail!("cargo metadata {}", done.ending);
    }
    serde_json::from_str(&done.stdout).context("cargo metadata did not answer with JSON")
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir(metadata: &Value) -> Result<PathBuf> {
    metadata["target_directory"].as_str().map(PathBuf::from).context("cargo metadata names no target directory")
}

fn example_names(metadata: &Value) -> Vec<String> {
    let targets = metadata["packages"].as_array().into_iter().flatten().flat_map(|p| p["targets"].as_array().into_iter().flatten());
    let examples = targets.filter(|t| t["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|k| k == "example")));
    let mut names: Vec<_> = examples.filter_map(|t| t["name"].as_str().map(String::from)).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomers_program_builds_no_sql() {
        let tree = ["tree", "--package", "brisk", "--edges", "normal,build,dev", "--prefix", "none"];
        let done = Program::cargo(tree).measure(Output::Stdout).expect("cargo tree runs");
        assert!(done.ok && done.stdout.contains("brisk-stream"), "{}", done.ending);
        let heavy: Vec<_> = done.stdout.lines().filter(|line| line.starts_with("datafusion") || line.starts_with("brisk-table")).collect();
        assert!(heavy.is_empty(), "the README's first command would build {heavy:?} for minutes; SQL is the feature `sql`");
    }

    #[test]
    fn finds_examples_in_metadata() {
        let metadata = serde_json::json!({"packages": [
            {"targets": [{"name": "lib", "kind": ["lib"]}, {"name": "word_count", "kind": ["example"]}]},
            {"targets": [{"name": "departures", "kind": ["example"]}]},
        ]});
        assert_eq!(example_names(&metadata), ["departures", "word_count"]);
    }
}
