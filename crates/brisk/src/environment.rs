//! Where a program's environment comes from, and the sources that it offers by name.

use crate::embedded::Embedded;
use crate::options;
use crate::process::ProgramProcess;
use brisk_base::options::Configuration;
use brisk_base::{Result, ResultExt};
use brisk_connectors::files::FileSource;
use brisk_connectors::socket::SocketSource;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::types::Record;
use brisk_stream::{DataStream, StreamEnvironment};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

/// The environment variable that names a file of options: Flink's `config.yaml`.
const CONFIGURATION_VARIABLE: &str = "BRISK_CONF";

/// What the embedded engine and the connectors add to [`StreamEnvironment`].
pub trait EnvironmentExt: Sized {
    /// The program's environment. Jobs run in this process, unless it was started by a cluster (`brisk run`); the options are those of the file named by the environment variable
    /// `BRISK_CONF`, if it is set. Threads are started with the first job.
    ///
    /// # Errors
    /// When the options cannot be read.
    fn get() -> Result<Self>;

    /// As [`get`](Self::get), with options that override those of the file.
    ///
    /// # Errors
    /// When an option's value is wrong, or the file cannot be read.
    fn get_with(config: Configuration) -> Result<Self>;

    /// The lines of a text file, of all files in a folder, or of those that a pattern names; `.gz` files are decompressed.
    ///
    /// For what else can be said about files, give a [`FileSource`] to [`from_source`](StreamEnvironment::from_source).
    fn read_text_file(&self, path: impl AsRef<Path>) -> DataStream<String>;

    /// The rows of csv files with a header, by way of serde: a column for each field of `T`.
    fn read_csv<T: Record + DeserializeOwned>(&self, path: impl AsRef<Path>) -> DataStream<T>;

    /// The lines that a server sends over TCP, until it closes the connection.
    fn socket_text_stream(&self, host: &str, port: u16) -> DataStream<String>;
}

impl EnvironmentExt for StreamEnvironment {
    fn get() -> Result<Self> {
        Self::get_with(Configuration::new())
    }

    fn get_with(config: Configuration) -> Result<Self> {
        if let Some(process) = ProgramProcess::current()? {
            let mut effective = process.base().clone();
            effective.extend(&config);
            effective.check(&options::all())?;
            let once = process.once();
            return Ok(Self::new(process.executor(), effective).with_recorded(once));
        }
        let effective = effective(&config)?;
        Ok(Self::new(Arc::new(Embedded::new(effective.clone())), effective))
    }

    fn read_text_file(&self, path: impl AsRef<Path>) -> DataStream<String> {
        self.from_source(FileSource::text(path), WatermarkStrategy::no_watermarks(), "Text File")
    }

    fn read_csv<T: Record + DeserializeOwned>(&self, path: impl AsRef<Path>) -> DataStream<T> {
        self.from_source(FileSource::csv(path), WatermarkStrategy::no_watermarks(), "Csv File")
    }

    fn socket_text_stream(&self, host: &str, port: u16) -> DataStream<String> {
        self.from_source(SocketSource::new(host, port), WatermarkStrategy::no_watermarks(), "Socket").set_parallelism(1)
    }
}

/// The options of the file that the environment names, overridden by these.
pub(crate) fn effective(config: &Configuration) -> Result<Configuration> {
    let mut effective = configured(std::env::var_os(CONFIGURATION_VARIABLE))?;
    effective.extend(config);
    for warning in effective.check(&options::all())? {
        tracing::warn!("{warning}");
    }
    Ok(effective)
}

/// The options of the file that the environment names.
fn configured(file: Option<OsString>) -> Result<Configuration> {
    let Some(path) = file else { return Ok(Configuration::new()) };
    let place = || format!("file '{}' (named by {CONFIGURATION_VARIABLE})", Path::new(&path).display());
    std::fs::read_to_string(&path).map_err(Into::into).and_then(|text| Configuration::from_yaml(&text)).context(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::options::core_options::PARALLELISM_DEFAULT;

    #[test]
    fn options_come_from_the_file_that_the_environment_names() {
        assert!(configured(None).unwrap().is_empty());
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.yaml");
        std::fs::write(&path, "# of this machine\nparallelism.default: 3\n").unwrap();
        assert_eq!(configured(Some(path.into())).unwrap().get(&PARALLELISM_DEFAULT).unwrap(), 3);
        let error = configured(Some(dir.path().join("none.yaml").into())).unwrap_err().to_string();
        assert!(error.contains("none.yaml' (named by BRISK_CONF)"), "{error}");
    }
}
