//! The command `brisk`.
//!
//! | what | file |
//! |---|---|
//! | `sql`: statements, with an engine inside of this process | [`sql`] |
//! | `jobmanager`, `taskmanager`, `start-cluster`, `stop-cluster`: the processes of a cluster | [`daemon`] |
//! | `run`: programs on a cluster, over REST | [`cluster`] |
//! | `list`, `info`, `cancel`, `stop`, `savepoint`, `checkpoint`: jobs of a cluster, over REST | [`cluster`] |
//!
//! It ends with 0 when what was asked for is done, else with 1 and the reason.

mod cluster;
mod daemon;
mod sql;

use clap::Parser;
use clap::error::ErrorKind;
use std::process::ExitCode;

/// Stateful stream processing.
#[derive(Parser)]
#[command(name = "brisk", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What there is to do.
#[derive(clap::Subcommand)]
enum Command {
    /// Executes SQL statements with an engine inside of this process.
    Sql(sql::SqlArguments),
    #[command(flatten)]
    Cluster(cluster::Command),
    #[command(flatten)]
    Daemon(daemon::Command),
}

#[global_allocator]
static ALLOCATOR: brisk::allocator::MiMalloc = brisk::allocator::MiMalloc;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { command: Command::Cluster(command) }) => cluster::run(command),
        Ok(Cli { command: Command::Daemon(command) }) => daemon::run(&command),
        Ok(Cli { command: Command::Sql(arguments) }) => match sql::run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            // Where it is printed to may be closed; then nobody reads the reason either.
            let _ = error.print();
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            if asked_for { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}
