//! Has a cluster execute statements: they are a program there, which the cluster's own `brisk` runs.

use super::script::{Text, pack};
use super::{SqlArguments, StatsFormat};
use crate::cluster::program::{Run, follow, start};
use crate::cluster::rest::{Rest, configuration};
use crate::interrupt;
use anyhow::Context;
use brisk::options::{EXECUTION_TARGET, Target};
use brisk::table::Script;
use brisk::{Error, Result};
use clap::ValueEnum;
use std::io::Write;

/// Whether a cluster is to execute the statements.
pub(super) fn is_wanted(arguments: &SqlArguments) -> Result<bool> {
    let target = match arguments.target.as_deref() {
        None => configuration(&arguments.options).map_err(told)?.get(&EXECUTION_TARGET)?,
        Some("local") => Some(Target::Local),
        Some("remote") => Some(Target::Remote),
        Some(other) => return Err(Error::user(format!("there is no target '{other}': statements are executed 'local' or 'remote'"))),
    };
    match (target, &arguments.jobmanager) {
        (Some(Target::Local), Some(_)) if arguments.target.is_some() => Err(Error::user("-m names a cluster, but the target is 'local'")),
        (target, jobmanager) => Ok(jobmanager.is_some() || target == Some(Target::Remote)),
    }
}

/// Has them executed, and shows what comes of it.
pub(super) fn run(arguments: &SqlArguments, texts: &[Text]) -> Result<()> {
    on_cluster(arguments, texts).map_err(told)
}

fn told(error: anyhow::Error) -> Error {
    Error::user(format!("{error:#}"))
}

fn on_cluster(arguments: &SqlArguments, texts: &[Text]) -> anyhow::Result<()> {
    let rest = Rest::at(arguments.jobmanager.as_deref(), &arguments.options)?;
    let folder = std::env::current_dir().context("the folder of this process")?;
    let script = pack(texts, &folder);
    let name = texts.iter().find_map(|text| text.name.rsplit('/').next().filter(|name| name.ends_with(".sql"))).unwrap_or("statements.sql");
    let id = rest.upload("/jars/upload", name, script.into_bytes())?;
    let value = |value: &dyn Fn() -> Option<clap::builder::PossibleValue>| value().map(|value| value.get_name().to_owned());
    let mut words = Vec::new();
    for (option, value) in [
        ("-o", value(&|| arguments.output.to_possible_value())),
        ("--stats", value(&|| arguments.stats.as_ref().and_then(StatsFormat::to_possible_value))),
    ] {
        words.extend(value.into_iter().flat_map(|value| [option.to_owned(), value]));
    }
    // Who asks for rows wants them shown here: nobody is left for them when this process ends.
    let ends_with_client = !arguments.detached && texts.iter().any(|text| asks(&text.text));
    if ends_with_client {
        interrupt::watch();
    }
    let run = Run { id: &id, arguments: &words, define: &arguments.options, ends_with_client, ..Run::default() };
    let started = start(&rest, &run)?;
    if let Some(job) = started.job.filter(|_| arguments.detached) {
        println!("Job has been submitted with JobID {job}");
        return Ok(());
    }
    let mut shown = Shown::default();
    let ended = follow(&rest, &started.program, |printed| shown.show(printed))?;
    shown.end(ended["status"] == "FINISHED", ended["ending"].as_str().unwrap_or_default())
}

/// Whether there is a query among statements. What is written wrongly is found where it is executed.
fn asks(text: &str) -> bool {
    Script::new(text).is_ok_and(|script| (0..script.len()).any(|statement| script.is_query(statement)))
}

/// What the statements have printed. What may be the reason of their failure is held back until that is known.
#[derive(Default)]
struct Shown {
    held: String,
}

impl Shown {
    fn show(&mut self, printed: &str) -> std::io::Result<()> {
        self.held.push_str(printed);
        let from = if self.held.starts_with(REASON) { Some(0) } else { self.held.find(&format!("\n{REASON}")).map(|at| at + 1) };
        // A line that is not whole may become the reason.
        let whole = self.held.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.held.split_off(from.unwrap_or(whole).min(whole));
        let mut out = std::io::stdout();
        out.write_all(std::mem::replace(&mut self.held, rest).as_bytes())?;
        out.flush()
    }

    fn end(self, well: bool, ending: &str) -> anyhow::Result<()> {
        if well {
            print!("{}", self.held);
            return Ok(());
        }
        match self.held.trim_end().strip_prefix(REASON) {
            Some(reason) => Err(anyhow::anyhow!("{reason}")),
            None => Err(anyhow::anyhow!("the process that executed the statements {ending}")),
        }
    }
}

/// Begins the line that says why a command has failed.
const REASON: &str = "error: ";
