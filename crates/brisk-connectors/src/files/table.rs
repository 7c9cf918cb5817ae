//! Tables with `'connector' = 'filesystem'`.

use super::listing::list;
use super::sink::{FilesTableSink, RollingPolicy};
use crate::columns::{ColumnReader, ColumnSource, Read};
use brisk_base::options::{MemorySize, OptionValue};
use brisk_base::time::seconds;
use brisk_base::{Error, Millis, Result};
use brisk_core::batch::Columns;
use brisk_core::operator::{OperatorSpec, RuntimeContext};
use brisk_core::source::SourceSplit;
use brisk_core::table::{LookupTable, TableConnector, TableDeclaration, TableOptions, TableSinkOperator, TableSourceOperator};
use brisk_core::types::Record;
use brisk_formats::{FileInput, Partitions, Position, TableFormat, TableReader};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Serves tables that lie in files: `path` is a file, a folder or a pattern to be read, or a folder to be written. `format` is `csv`, `json`,
/// `debezium-json` or `raw`, whose options begin with its name. Files that end in `.gz` are decompressed.
///
/// Reading: with `'lookup.cache' = 'FULL'` the table can be looked up. Writing: part files, which appear when the checkpoint behind them is
/// complete, or at the end where there are no checkpoints; `sink.rolling-policy.file-size`, `sink.rolling-policy.rollover-interval` and
/// `sink.rolling-policy.inactivity-interval` say when one is closed, `sink.parallelism` how many subtasks write. A table that is `PARTITIONED BY`
/// columns has a folder for each of their values ([`Partitions`]); `partition.default-name` names the one of null.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilesTable;

/// How a table is looked up: all of it is read at the start.
const FULL: &str = "FULL";

/// What the options say.
struct Settings {
    /// Where the files are.
    path: PathBuf,
    format: TableFormat,
    /// Whether the table may be looked up.
    cached: bool,
    /// When a part that is written is closed.
    rolling: RollingPolicy,
    /// How many subtasks write.
    writers: Option<u32>,
    /// Which columns name folders.
    partitions: Partitions,
}

/// As Flink's table sink: parts are closed at 128 MiB, and half an hour after their beginning or the last row.
fn rolling(options: &TableOptions<'_>) -> Result<RollingPolicy> {
    let size: Option<String> = options.get("sink.rolling-policy.file-size", "a size such as '128 mb'")?;
    let size = match size.as_deref().map(MemorySize::parse) {
        None => MemorySize(128 << 20),
        Some(Some(size)) => size,
        Some(None) => return options.wrong("sink.rolling-policy.file-size", "a size such as '128 mb'"),
    };
    let span = |key: &str| -> Result<Millis> { Ok(options.duration(key)?.unwrap_or(seconds(30 * 60))) };
    let (age, inactivity) = (span("sink.rolling-policy.rollover-interval")?, span("sink.rolling-policy.inactivity-interval")?);
    Ok(RollingPolicy::never().max_bytes(size.0.max(1)).max_age(age).max_inactivity(inactivity))
}

fn settings(table: &TableDeclaration) -> Result<Settings> {
    let options = table.options();
    let path = options.required("path", "a file, a folder or a pattern")?;
    let format = TableFormat::of(table, &options)?;
    let cached = options.one_of("lookup.cache", &[FULL])?.is_some();
    let rolling = rolling(&options)?;
    let writers = options.get::<NonZeroU32>("sink.parallelism", "a number above 0")?.map(NonZeroU32::get);
    let default_name = options.get("partition.default-name", "a name")?.unwrap_or_else(|| "__DEFAULT_PARTITION__".to_owned());
    let partitions = Partitions::new(&table.schema, &table.partitions, default_name).map_err(|error| table.error(error))?;
    options.finish()?;
    Ok(Settings { path, format, cached, rolling, writers, partitions })
}

impl TableConnector for FilesTable {
    fn source(&self, table: &TableDeclaration) -> Result<TableSourceOperator> {
        let Settings { path, format, partitions, .. } = settings(table)?;
        let gives_changes = format.has_changes();
        let splits = move || files(&path);
        let reader = move |_: &RuntimeContext| Ok(FilesReader::new(format.clone(), partitions.clone()));
        let operator = OperatorSpec::Factory(ColumnSource::factory(splits, reader));
        Ok(TableSourceOperator { operator, bounded: true, gives_changes, parallelism: None })
    }

    fn lookup(&self, table: &TableDeclaration) -> Result<Arc<dyn LookupTable>> {
        let Settings { path, format, cached, partitions, .. } = settings(table)?;
        if !cached {
            return Err(table.error("option 'lookup.cache' is missing: files can be looked up with FULL alone"));
        }
        if format.has_changes() {
            return Err(table.error("option 'format' is one of changes, which cannot be looked up"));
        }
        Ok(Arc::new(CachedFiles { path, format, partitions }))
    }

    fn sink(&self, table: &TableDeclaration) -> Result<TableSinkOperator> {
        let Settings { path, format, rolling, writers, partitions, .. } = settings(table)?;
        let takes_changes = format.has_changes();
        // A format that cannot hold the columns is refused now.
        format.encoder(&partitions.file_schema()).map_err(|error| table.error(error))?;
        let sink = FilesTableSink { path, format, partitions, rolling };
        Ok(TableSinkOperator { operator: OperatorSpec::Factory(Arc::new(sink)), takes_changes, parallelism: writers })
    }

    fn takes_partitions(&self) -> bool {
        true
    }
}

/// Files that are read into memory.
struct CachedFiles {
    path: PathBuf,
    format: TableFormat,
    partitions: Partitions,
}

impl LookupTable for CachedFiles {
    fn load(&self) -> Result<Vec<Columns>> {
        let mut batches = Vec::new();
        for file in files(&self.path)? {
            let mut reader = self.format.open(&FileInput::new(&file.path), &self.partitions.file_schema(), None)?;
            let values = self.partitions.values_of(Path::new(&file.path))?;
            while let Some(batch) = reader.read(Columns::MAX_ROWS)? {
                batches.push(self.partitions.with_values(batch, &values)?);
            }
        }
        Ok(batches)
    }
}

fn files(path: &PathBuf) -> Result<Vec<TableFile>> {
    let found = list(std::slice::from_ref(path))?;
    if found.is_empty() {
        return Err(Error::user(format!("no file is found at '{}'", path.display())));
    }
    let file = |path: &PathBuf| match path.to_str() {
        Some(path) => Ok(TableFile { path: path.to_owned(), read_to: None }),
        None => Err(Error::user(format!("the file name '{}' is no UTF-8; rename it", path.display()))),
    };
    found.keys().map(file).collect()
}

/// A file, with how far it has been read.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
struct TableFile {
    path: String,
    /// Offset and line number of the next row.
    read_to: Option<(u64, u64)>,
}

impl SourceSplit for TableFile {
    fn split_id(&self) -> String {
        self.path.clone()
    }
}

/// The file that is being read.
struct CurrentFile {
    file: TableFile,
    reader: TableReader,
    /// What its folders stand for.
    values: Vec<Option<String>>,
}

struct FilesReader {
    format: TableFormat,
    partitions: Partitions,
    /// The file being read.
    current: Option<CurrentFile>,
    /// Files that come after it.
    waiting: VecDeque<TableFile>,
}

impl FilesReader {
    const fn new(format: TableFormat, partitions: Partitions) -> Self {
        Self { format, partitions, current: None, waiting: VecDeque::new() }
    }
}

impl ColumnReader for FilesReader {
    type Split = TableFile;

    fn add_split(&mut self, split: TableFile) -> Result<()> {
        self.waiting.push_back(split);
        Ok(())
    }

    fn read(&mut self, _cx: &RuntimeContext) -> Result<Read> {
        loop {
            if self.current.is_none() {
                let Some(file) = self.waiting.pop_front() else { return Ok(Read::End) };
                let resume = file.read_to.map(|(offset, lines)| Position { offset, lines });
                let reader = self.format.open(&FileInput::new(&file.path), &self.partitions.file_schema(), resume)?;
                let values = self.partitions.values_of(Path::new(&file.path))?;
                self.current = Some(CurrentFile { file, reader, values });
            }
            let Some(CurrentFile { reader, values, .. }) = &mut self.current else { continue };
            if let Some(batch) = reader.read(Columns::MAX_ROWS)? {
                return self.partitions.with_values(batch, values).map(Read::Batch);
            }
            self.current = None;
        }
    }

    fn splits(&self) -> Vec<TableFile> {
        let current = self.current.as_ref().map(|current| {
            let position = current.reader.position();
            TableFile { read_to: Some((position.offset, position.lines)), ..current.file.clone() }
        });
        current.into_iter().chain(self.waiting.iter().cloned()).collect()
    }
}
