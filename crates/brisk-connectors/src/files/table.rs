//! Tables with `'connector' = 'filesystem'`.

use super::listing::list;
use crate::columns::{ColumnReader, ColumnSource, Read};
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::operator::{OperatorSpec, RuntimeContext};
use brisk_core::source::SourceSplit;
use brisk_core::table::{LookupTable, TableConnector, TableDeclaration, TableSourceOperator};
use brisk_core::types::Record;
use brisk_formats::{CsvColumns, CsvColumnsReader, FileInput, Position};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// Serves tables that lie in files: `path` is a file, a folder or a pattern, `format` is `csv`. Files that end in `.gz` are decompressed.
///
/// The options of the format: `csv.field-delimiter`, `csv.quote-character`, `csv.null-literal`, `csv.allow-comments`,
/// `csv.ignore-parse-errors`. There is no header, as in Flink. With `'lookup.cache' = 'FULL'` the table can be looked up.
#[derive(Clone, Copy, Debug, Default)]
pub struct FilesTable;

/// How a table is looked up: all of it is read at the start.
const FULL: &str = "FULL";

/// What the options say: where the files are, their format, and whether the table may be looked up.
fn settings(table: &TableDeclaration) -> Result<(PathBuf, CsvColumns, bool)> {
    let options = table.options();
    let path: PathBuf = options.required("path", "a file, a folder or a pattern")?;
    if options.one_of("format", &["csv"])?.is_none() {
        return Err(table.error("option 'format' is missing; expected one of: csv"));
    }
    let format = CsvColumns {
        delimiter: options.byte("csv.field-delimiter")?.unwrap_or(b','),
        quote: options.byte("csv.quote-character")?.unwrap_or(b'"'),
        null_literal: options.get("csv.null-literal", "a text")?,
        allow_comments: options.get("csv.allow-comments", "true or false")?.unwrap_or(false),
        ignore_errors: options.get("csv.ignore-parse-errors", "true or false")?.unwrap_or(false),
    };
    let cached = options.one_of("lookup.cache", &[FULL])?.is_some();
    options.finish()?;
    Ok((path, format, cached))
}

impl TableConnector for FilesTable {
    fn source(&self, table: &TableDeclaration) -> Result<TableSourceOperator> {
        let (path, format, _) = settings(table)?;
        let schema = table.schema.clone();
        let splits = move || files(&path);
        let reader = move |_: &RuntimeContext| Ok(FilesReader::new(format.clone(), schema.clone()));
        Ok(TableSourceOperator { operator: OperatorSpec::Factory(ColumnSource::factory(splits, reader)), bounded: true, parallelism: None })
    }

    fn lookup(&self, table: &TableDeclaration) -> Result<Arc<dyn LookupTable>> {
        let (path, format, cached) = settings(table)?;
        if !cached {
            return Err(table.error("option 'lookup.cache' is missing: files can be looked up with FULL alone"));
        }
        Ok(Arc::new(CachedFiles { path, format, schema: table.schema.clone() }))
    }
}

/// Files that are read into memory.
struct CachedFiles {
    path: PathBuf,
    format: CsvColumns,
    schema: SchemaRef,
}

impl LookupTable for CachedFiles {
    fn load(&self) -> Result<Vec<Columns>> {
        let mut batches = Vec::new();
        for file in files(&self.path)? {
            let mut reader = self.format.open(&FileInput::new(&file.path), &self.schema, None)?;
            while let Some((columns, rows)) = reader.read(Columns::MAX_ROWS)? {
                batches.push(Columns { columns, rows, ..Columns::default() });
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

struct FilesReader {
    format: CsvColumns,
    schema: SchemaRef,
    /// The file being read.
    current: Option<(TableFile, CsvColumnsReader)>,
    /// Files that come after it.
    waiting: VecDeque<TableFile>,
}

impl FilesReader {
    const fn new(format: CsvColumns, schema: SchemaRef) -> Self {
        Self { format, schema, current: None, waiting: VecDeque::new() }
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
                let reader = self.format.open(&FileInput::new(&file.path), &self.schema, resume)?;
                self.current = Some((file, reader));
            }
            let Some((_, reader)) = &mut self.current else { continue };
            if let Some((columns, rows)) = reader.read(Columns::MAX_ROWS)? {
                return Ok(Read::Batch(Columns { columns, rows, ..Columns::default() }));
            }
            self.current = None;
        }
    }

    fn splits(&self) -> Vec<TableFile> {
        let current = self.current.as_ref().map(|(file, reader)| {
            let position = reader.position();
            TableFile { read_to: Some((position.offset, position.lines)), ..file.clone() }
        });
        current.into_iter().chain(self.waiting.iter().cloned()).collect()
    }
}
