//! What the program is asked to do.

use brisk::options::{EXECUTOR, ExecutorKind, OptionValue, core_options::PARALLELISM_DEFAULT};
use brisk::prelude::*;
use std::path::PathBuf;

/// The folder of this repository's data.
pub(crate) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/flights");

/// See the module.
pub(crate) struct Arguments {
    pub(crate) input: PathBuf,
    pub(crate) weather: Option<PathBuf>,
    pub(crate) output: Option<PathBuf>,
    parallelism: u32,
    executor: ExecutorKind,
}

impl Arguments {
    /// Reads the command line.
    pub(crate) fn parse(mut raw: impl Iterator<Item = String>) -> Result<Self> {
        let own = PathBuf::from(DATA);
        let mut arguments = Self {
            input: own.join("departures.csv.gz"),
            weather: None,
            output: None,
            parallelism: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32),
            executor: ExecutorKind::Core,
        };
        while let Some(option) = raw.next() {
            let mut value = || raw.next().ok_or_else(|| Error::user(format!("{option} needs a value")));
            match option.as_str() {
                "--input" => arguments.input = value()?.into(),
                "--weather" => arguments.weather = Some(value()?.into()),
                "--output" => arguments.output = Some(value()?.into()),
                "--parallelism" => arguments.parallelism = parsed(&option, &value()?)?,
                "--executor" => arguments.executor = parsed(&option, &value()?)?,
                _ => return Err(Error::user(format!("there is no option {option}; see the beginning of examples/departures/main.rs"))),
            }
        }
        let beside = arguments.input.with_file_name("weather.csv.gz");
        arguments.weather = arguments.weather.or_else(|| Some(beside).filter(|path| path.exists()));
        Ok(arguments)
    }

    /// The engine's options.
    pub(crate) fn configuration(&self) -> Configuration {
        let mut config = Configuration::new();
        config.set(&PARALLELISM_DEFAULT, self.parallelism).set(&EXECUTOR, self.executor);
        config
    }

    /// Whether the input is the repository's data, whose results are known.
    pub(crate) fn is_own_data(&self) -> bool {
        let own = PathBuf::from(DATA).join("departures.csv.gz").canonicalize();
        own.is_ok_and(|own| self.input.canonicalize().is_ok_and(|input| input == own))
    }
}

fn parsed<T: OptionValue>(option: &str, text: &str) -> Result<T> {
    T::parse(text).ok_or_else(|| Error::user(format!("{option} {text}: expected {}", T::form())))
}
