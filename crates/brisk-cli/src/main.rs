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
mod interrupt;
mod sql;

use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::path::Path;
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
    match Cli::try_parse_from(flinks_words(std::env::args_os())) {
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

/// Options of Flink with one dash and several letters, and how clap has them.
const FLINKS: [(&str, &str); 4] =
    [("-sae", "--shutdownOnAttachedExit"), ("-cm", "--claimMode"), ("-rm", "--claimMode"), ("-type", "--type")];

/// The commands that have them.
const THAT_HAVE_THEM: [&str; 4] = ["run", "run-application", "stop", "savepoint"];

/// The arguments, with Flink's options as clap has them; from a program on they are the program's.
fn flinks_words(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut own = true;
    let word = |(at, argument): (usize, OsString)| {
        own &= match at {
            0 => true,
            1 => THAT_HAVE_THEM.iter().any(|command| argument == *command),
            _ => !Path::new(&argument).is_file(),
        };
        let known = FLINKS.iter().find(|(flinks, _)| own && argument == *flinks);
        known.map_or(argument, |(_, claps)| (*claps).into())
    };
    arguments.enumerate().map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_several_letters_are_flinks_until_the_program() {
        let program = std::env::current_exe().expect("it runs").display().to_string();
        let words = ["brisk", "run", "-sae", "-cm", "claim", &program, "-sae"].map(OsString::from);
        let read = flinks_words(words.into_iter());
        assert_eq!(read[2..5], ["--shutdownOnAttachedExit", "--claimMode", "claim"]);
        assert_eq!(read[6], "-sae");
        let other = ["brisk", "list", "-rm", "host:1"].map(OsString::from);
        assert_eq!(flinks_words(other.clone().into_iter()), other);
    }
}
