//! `brisk sql`: executes the statements of files, of the command line or of standard input, one after another, and shows their results.
//!
//! The first statement that fails ends the run. Jobs are waited for, so that a statement sees what those before it have written.

mod output;
mod stats;

use brisk::options::Configuration;
use brisk::table::{Script, StatementResult, TableSession};
use brisk::{Error, Result, ResultExt};
use clap::{Args, ValueEnum};
use output::Output;
use stats::Stats;
use std::io::Read;
use std::path::PathBuf;

/// How results of queries are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Format {
    /// The final table of each query, as RFC 4180 CSV with a header; NULL is an empty field without quotes.
    Csv,
    /// Each change, as CSV with a leading `op` column.
    Changelog,
}

/// How figures are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum StatsFormat {
    /// One JSON object on standard error.
    Json,
}

/// Arguments of `brisk sql`.
#[derive(Args, Debug)]
pub(crate) struct SqlArguments {
    /// A file of statements that come before all others, such as CREATE TABLE.
    #[arg(short = 'i', long = "init", value_name = "FILE")]
    init: Vec<PathBuf>,
    /// A file of statements. Without `-f` and `-e`, statements are read from standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: Vec<PathBuf>,
    /// Statements.
    #[arg(short = 'e', long = "execute", value_name = "STATEMENTS")]
    execute: Vec<String>,
    /// How results of queries are shown.
    #[arg(short = 'o', long = "output", value_enum, default_value_t = Format::Csv)]
    output: Format,
    /// Sets an option, as SET does.
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    options: Vec<String>,
    /// Shows records, wall and processor seconds, and peak memory at the end.
    #[arg(long, value_enum, value_name = "FORMAT")]
    stats: Option<StatsFormat>,
}

/// Runs the command.
pub(crate) fn run(arguments: &SqlArguments) -> Result<()> {
    let mut config = Configuration::new();
    arguments.options.iter().try_for_each(|option| config.set_argument(option))?;
    let mut stats = Stats::start();
    let mut session = brisk::sql_session(&config)?;
    let mut output = Output::new(arguments.output, std::io::stdout().lock());
    for (name, text) in texts(arguments)? {
        execute(&mut session, &text, &mut output, &mut stats).context(|| name)?;
    }
    if arguments.stats.is_some() {
        eprintln!("{}", stats.json());
    }
    Ok(())
}

/// Names and texts of all statements, in their order.
fn texts(arguments: &SqlArguments) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for path in arguments.init.iter().chain(&arguments.file) {
        let text = std::fs::read_to_string(path).map_err(Error::from).context(|| format!("file '{}' cannot be read", path.display()))?;
        texts.push((path.display().to_string(), text));
    }
    texts.extend(arguments.execute.iter().map(|text| ("-e".to_owned(), text.clone())));
    if arguments.file.is_empty() && arguments.execute.is_empty() {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Error::from).context(|| "standard input cannot be read")?;
        texts.push(("standard input".to_owned(), text));
    }
    Ok(texts)
}

fn execute(session: &mut TableSession, text: &str, output: &mut Output<impl std::io::Write>, stats: &mut Stats) -> Result<()> {
    let script = Script::new(text)?;
    for statement in 0..script.len() {
        match session.execute(&script, statement)? {
            StatementResult::Done => {}
            StatementResult::Text(text) => output.text(&text)?,
            StatementResult::Rows { columns, rows } => output.rows(&columns, rows.iter().map(Vec::as_slice))?,
            StatementResult::Insertion(client) => {
                client.wait()?;
                stats.add(client.progress().records_in);
            }
            StatementResult::Query(query) => {
                if !query.bounded {
                    query.client.cancel();
                    return Err(Error::user("the query never ends: write it to a table with INSERT INTO, or bound its sources"));
                }
                query.client.wait()?;
                stats.add(query.client.progress().records_in);
                output.query(&query.columns, &query.results.batches())?;
            }
        }
    }
    Ok(())
}
