//! `brisk sql`: executes the statements of files, of the command line or of standard input, one after another, and shows their results.
//!
//! | what | file |
//! |---|---|
//! | options, and executing statements in this process | here |
//! | having a cluster execute them | [`remote`] |
//! | how they are put together for that | [`script`] |
//! | how results are shown | [`output`] |
//! | figures | [`stats`] |
//!
//! The first statement that fails ends the run. Jobs that end by themselves are waited for, so that a statement sees what those before it
//! have written; others go on while later statements are executed, and the run ends with the last of them.

mod output;
mod remote;
mod script;
mod stats;

use brisk::job::JobClient;
use brisk::options::Configuration;
use brisk::table::{QueryJob, Script, StatementResult, TableSession};
use brisk::{Error, Result, ResultExt};
use clap::{Args, ValueEnum};
use output::Output;
use script::Text;
use stats::Stats;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for rows before looking whether the job still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Bytes that a query that never ends gives on a cluster before it is ended.
const MOST_PRINTED: u64 = 1 << 30;

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
    /// Has the cluster with this REST server execute the statements.
    #[arg(short = 'm', long, value_name = "HOST:PORT")]
    jobmanager: Option<String>,
    /// Where the statements are executed: `local`, inside of this process, or `remote`, on the cluster that `rest.address` and `rest.port`
    /// name. Without it, `execution.target` counts.
    #[arg(short = 't', long, value_name = "TARGET")]
    target: Option<String>,
    /// Has the cluster go on alone once the first job is submitted.
    #[arg(short, long)]
    detached: bool,
    /// Statements as this command has put them together: how a cluster starts it.
    #[arg(long, hide = true, value_name = "FILE", conflicts_with_all = ["init", "file", "execute", "jobmanager", "target", "detached"])]
    script: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(arguments: &SqlArguments) -> Result<()> {
    let mut config = Configuration::new();
    arguments.options.iter().try_for_each(|option| config.set_argument(option))?;
    let (folder, texts) = texts(arguments)?;
    if arguments.script.is_none() && remote::is_wanted(arguments)? {
        return remote::run(arguments, &texts);
    }
    if arguments.detached {
        return Err(Error::user("-d is for clusters: an engine inside of this process ends with it"));
    }
    // A cluster keeps what is printed in a file.
    let limit = if arguments.script.is_some() { MOST_PRINTED } else { u64::MAX };
    let mut stats = Stats::start();
    let mut session = brisk::sql_session(&config)?;
    if let Some(folder) = folder {
        session = session.in_folder(folder);
    }
    // Not locked: `print` writes there, too, from threads of the engine.
    let mut output = Output::new(arguments.output, std::io::stdout());
    let mut going = Vec::new();
    let mut executed = Ok(());
    for text in &texts {
        executed = execute(&mut session, &text.text, &mut output, &mut stats, &mut going, limit).context(|| &text.name);
        if executed.is_err() {
            going.iter().for_each(|job| job.cancel());
            break;
        }
    }
    // Those that nobody has waited for, also when something else has failed: they are not left behind.
    for job in going {
        let ended = job.wait();
        stats.add(job.progress().records_in);
        executed = executed.and(ended.map(drop));
    }
    executed?;
    if arguments.stats.is_some() {
        eprintln!("{}", stats.json());
    }
    Ok(())
}

/// All statements, in their order, and the folder that they come from, if it is not this process's.
fn texts(arguments: &SqlArguments) -> Result<(Option<PathBuf>, Vec<Text>)> {
    if let Some(script) = &arguments.script {
        return Ok(script::unpack(&script::read(script)?, script));
    }
    let mut texts = Vec::new();
    for path in arguments.init.iter().chain(&arguments.file) {
        texts.push(Text { name: path.display().to_string(), text: script::read(path)? });
    }
    texts.extend(arguments.execute.iter().map(|text| Text { name: "-e".to_owned(), text: text.clone() }));
    if arguments.file.is_empty() && arguments.execute.is_empty() {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(Error::from).context(|| "standard input cannot be read")?;
        texts.push(Text { name: "standard input".to_owned(), text });
    }
    Ok((None, texts))
}

fn execute(
    session: &mut TableSession,
    text: &str,
    output: &mut Output<impl std::io::Write>,
    stats: &mut Stats,
    going: &mut Vec<Arc<dyn JobClient>>,
    limit: u64,
) -> Result<()> {
    let script = Script::new(text)?;
    // What is written wrongly is found before anything is done.
    (0..script.len()).try_for_each(|statement| script.parse(statement).map(drop))?;
    for statement in 0..script.len() {
        match session.execute(&script, statement)? {
            StatementResult::Done => {}
            StatementResult::Text(text) => output.text(&text)?,
            StatementResult::Rows { columns, rows } => output.rows(&columns, rows.iter().map(Vec::as_slice))?,
            StatementResult::Insertion { client, awaited: true } => {
                client.wait()?;
                stats.add(client.progress().records_in);
            }
            StatementResult::Insertion { client, awaited: false } => going.push(client),
            StatementResult::Query(query) => {
                if !query.bounded {
                    show_changes(&query, output, limit).inspect_err(|_| query.client.cancel())?;
                }
                query.client.wait()?;
                stats.add(query.client.progress().records_in);
                if query.bounded {
                    output.query(&query.columns, &query.results.batches())?;
                }
            }
        }
    }
    Ok(())
}

/// Shows the changes of a query that never ends as they come, until its job does.
fn show_changes(query: &QueryJob, output: &mut Output<impl std::io::Write>, limit: u64) -> Result<()> {
    output.changes_of(&query.columns)?;
    let begin = output.written();
    loop {
        let is_over = query.client.wait_for(Duration::ZERO).is_some();
        let batches = query.results.take(if is_over { Duration::ZERO } else { LOOK_AGAIN });
        output.changes(&batches)?;
        if output.written() - begin > limit {
            return Err(Error::user(format!(
                "the query has given {limit} bytes, more than are shown of one on a cluster: INSERT INTO a table what never ends"
            )));
        }
        if is_over && batches.is_empty() {
            return Ok(());
        }
    }
}
