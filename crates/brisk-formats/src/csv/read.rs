//! Reads rows into records, and says exactly which row and column is wrong.

use super::Csv;
use crate::excerpt::excerpt;
use crate::format::{Position, RecordReader};
use crate::input::FileInput;
use brisk_base::{Error, Result};
use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Trim};
use serde::de::DeserializeOwned;
use std::io::Read;
use std::marker::PhantomData;

/// Reads one file.
pub(super) struct CsvReader<T> {
    rows: Reader<Box<dyn Read + Send>>,
    /// The file, for errors.
    place: String,
    /// Names of the columns.
    header: Option<StringRecord>,
    /// Where in the file `rows` begins: the rows before were read by an earlier reader.
    base: Position,
    /// The row just read; used again.
    row: StringRecord,
    record: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> CsvReader<T> {
    pub(super) fn open(csv: &Csv, input: &FileInput, resume: Option<Position>) -> Result<Self> {
        let mut reader = Self::at(csv, input, Position::default())?;
        if csv.header {
            let mut header = StringRecord::new();
            reader.rows.read_record(&mut header).map_err(|error| reader.row_error(&error))?;
            reader.header = Some(header);
        }
        match resume {
            None => Ok(reader),
            Some(position) => Ok(Self { header: reader.header, ..Self::at(csv, input, position)? }),
        }
    }

    fn at(csv: &Csv, input: &FileInput, base: Position) -> Result<Self> {
        let rows = ReaderBuilder::new()
            .delimiter(csv.delimiter)
            .quote(csv.quote)
            .comment(csv.comment)
            .trim(if csv.trim { Trim::All } else { Trim::None })
            .has_headers(false)
            .buffer_capacity(64 * 1024)
            .from_reader(input.open_at(base.offset)?);
        Ok(Self { rows, place: input.place(), header: None, base, row: StringRecord::new(), record: PhantomData })
    }

    /// An error of the row that was just read.
    fn row_error(&self, error: &csv::Error) -> Error {
        let line = error.position().or_else(|| self.row.position()).map_or(0, csv::Position::line) + self.base.lines;
        let message = match error.kind() {
            ErrorKind::Io(error) => return Error::transient(format!("cannot be read: {error}")).context(self.place.clone()),
            ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the row has {len} fields, but those before it have {expected_len}; is a quote missing?")
            }
            ErrorKind::Utf8 { err, .. } => {
                format!("field {} is no UTF-8; convert the file to UTF-8 first", err.field() + 1)
            }
            ErrorKind::Deserialize { err, .. } => return self.field_error(line, err),
            _ => error.to_string(),
        };
        Error::user(message).context(format!("{}, line {line}", self.place))
    }

    fn field_error(&self, line: u64, error: &csv::DeserializeError) -> Error {
        let column = error.field().and_then(|field| usize::try_from(field).ok());
        let value = column.and_then(|column| self.row.get(column));
        let message = match value {
            Some(value) => format!("{}: {}", excerpt(value), error.kind()),
            None => format!("{} in the row {}{}", error.kind(), excerpt(&self.row.iter().collect::<Vec<_>>().join(",")), self.columns()),
        };
        let name = column.map_or(String::new(), |column| match self.header.as_ref().and_then(|header| header.get(column)) {
            Some(name) => format!(", column '{name}'"),
            None => format!(", column {}", column + 1),
        });
        Error::user(message).context(format!("{}, line {line}{name}", self.place))
    }

    fn columns(&self) -> String {
        match &self.header {
            Some(header) => format!("; the columns are {}", header.iter().collect::<Vec<_>>().join(", ")),
            None => String::new(),
        }
    }
}

impl<T: DeserializeOwned> RecordReader<T> for CsvReader<T> {
    fn read_batch(&mut self, rows: usize, out: &mut Vec<T>) -> Result<bool> {
        while out.len() < rows {
            match self.rows.read_record(&mut self.row) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => return Err(self.row_error(&error)),
            }
            out.push(self.row.deserialize(self.header.as_ref()).map_err(|error| self.row_error(&error))?);
        }
        Ok(true)
    }

    fn position(&self) -> Position {
        let here = self.rows.position();
        Position { offset: self.base.offset + here.byte(), lines: self.base.lines + here.line() - 1 }
    }
}
