//! `cargo xtask sim`: whole jobs in the simulator, one thread and one seed each.

use crate::args::Args;
use crate::process::Program;
use anyhow::Result;

pub(crate) fn command(raw: Vec<String>) -> Result<()> {
    let args = Args::parse(raw, &["release"], &["seeds", "seed", "workload", "plant"])?;
    let mut forwarded = Vec::new();
    for name in ["seeds", "seed", "workload", "plant"] {
        if let Some(value) = args.text(name) {
            forwarded.extend([format!("--{name}"), value.to_string()]);
        }
    }
    program(&forwarded, args.has("release")).run()
}

/// The simulator with these arguments.
fn program(args: &[String], release: bool) -> Program {
    let mut words = vec!["run", "--quiet", "--package", "brisk-sim", "--bin", "brisk-sim"];
    if release {
        words.push("--release");
    }
    words.push("--");
    Program::cargo(words.into_iter().chain(args.iter().map(String::as_str)))
}
