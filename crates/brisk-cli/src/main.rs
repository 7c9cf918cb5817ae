//! The `brisk` command.

mod sql;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Stateful stream processing.
#[derive(Parser)]
#[command(name = "brisk", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Executes SQL statements with an engine inside of this process.
    Sql(sql::SqlArguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Sql(arguments) => sql::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
