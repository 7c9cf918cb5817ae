//! What the program is asked to do.

use brisk::options::{EXECUTOR, ExecutorKind, OptionValue, core_options::PARALLELISM_DEFAULT};
use brisk::prelude::*;
use brisk_sim::SimExecutor;
use std::path::PathBuf;
use std::sync::Arc;

/// The folder of this repository's data.
pub(crate) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/flights");

/// See the module.
pub(crate) struct Arguments {
    pub(crate) input: PathBuf,
    pub(crate) weather: Option<PathBuf>,
    pub(crate) output: Option<PathBuf>,
    parallelism: u32,
    executor: Executor,
}

/// Who runs the job.
#[derive(Clone, Copy)]
enum Executor {
    /// The engine, with its threads.
    Engine(ExecutorKind),
    /// The simulator: one thread, and everything that may happen in any order drawn from this seed.
    Simulator(u64),
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
            executor: Executor::Engine(ExecutorKind::Core),
        };
        while let Some(option) = raw.next() {
            let mut value = || raw.next().ok_or_else(|| Error::user(format!("{option} needs a value")));
            match option.as_str() {
                "--input" => arguments.input = value()?.into(),
                "--weather" => arguments.weather = Some(value()?.into()),
                "--output" => arguments.output = Some(value()?.into()),
                "--parallelism" => arguments.parallelism = parsed(&option, &value()?)?,
                "--executor" => {
                    arguments.executor = match value()? {
                        name if name == "simulator" => Executor::Simulator(1),
                        name => Executor::Engine(parsed(&option, &name)?),
                    };
                }
                "--seed" => arguments.executor = Executor::Simulator(parsed(&option, &value()?)?),
                _ => return Err(Error::user(format!("there is no option {option}; see the beginning of examples/departures/main.rs"))),
            }
        }
        let beside = arguments.input.with_file_name("weather.csv.gz");
        arguments.weather = arguments.weather.or_else(|| Some(beside).filter(|path| path.exists()));
        Ok(arguments)
    }

    /// The environment that these arguments ask for.
    pub(crate) fn environment(&self) -> Result<StreamEnvironment> {
        let mut config = Configuration::new();
        config.set(&PARALLELISM_DEFAULT, self.parallelism);
        match self.executor {
            Executor::Engine(kind) => {
                config.set(&EXECUTOR, kind);
                StreamEnvironment::get_with(config)
            }
            Executor::Simulator(seed) => Ok(StreamEnvironment::new(Arc::new(SimExecutor::new(seed)), config)),
        }
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
