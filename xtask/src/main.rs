//! `cargo xtask`: the project's own tool.
//!
//! It checks the tree (`tidy`), runs everything that must pass (`test`), measures (`bench`), runs seeded simulations (`sim`) and
//! proves the project's claims one by one (`accept`). It is never part of the product, and no product crate depends on it.

mod accept;
mod args;
mod bench;
mod libclang;
mod process;
mod repo;
mod s3_server;
mod sim;
mod test;
mod tidy;

use anyhow::{Result, bail};
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy                                   check the rules of STYLE.md and ARCHITECTURE.md that a program can check
  test                                   everything that must pass: format, lints, tidy, tests, docs, examples, accept --short
  bench [NAME...] [--json]               measure the benchmarks of benches/ in release mode
        [--engine E] [--parallelism P] [--records N] [--reps R] [--peer DIR] [--rounds R]
  sim   [--seeds N] [--seed S] [--workload W] [--release]
                                         run whole jobs in the simulator; a failure prints its seed
  accept [NAME...] [--point K] [--short] [--peer DIR]
                                         prove the claims of NAME one by one, and write docs/acceptance/NAME.md
";

fn main() -> ExitCode {
    let mut raw = std::env::args().skip(1);
    let command = raw.next().unwrap_or_default();
    match run(&command, raw.collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, raw: Vec<String>) -> Result<()> {
    match command {
        "tidy" => tidy::command(raw),
        "test" => test::command(raw),
        "bench" => bench::command(raw),
        "sim" => sim::command(raw),
        "accept" => accept::command(raw),
        "" | "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("there is no command '{other}'\n{USAGE}"),
    }
}
