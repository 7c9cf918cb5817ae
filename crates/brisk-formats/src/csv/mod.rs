//! Csv: a record is a row, by way of serde.
//!
//! Columns are matched with the fields of a struct by the names in the header; without a header, by their order. An empty field is `None`
//! for an `Option`. Rows may span lines (quoted line breaks), so a csv file is always read as a whole by one reader.

mod columns;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use columns::{CsvColumns, CsvColumnsReader};

use crate::format::{FileRange, ReadFormat, RecordReader, RecordWriter, WriteFormat};
use crate::input::FileInput;
use brisk_base::Result;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;

/// The dialect. RFC 4180 with a header by default.
#[derive(Clone, Debug)]
pub struct Csv {
    delimiter: u8,
    quote: u8,
    comment: Option<u8>,
    header: bool,
    trim: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Csv {
    /// Commas, double quotes, a header.
    pub const fn new() -> Self {
        Self { delimiter: b',', quote: b'"', comment: None, header: true, trim: false }
    }

    /// Another byte between fields.
    #[must_use]
    pub const fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Another byte around fields.
    #[must_use]
    pub const fn quote(mut self, quote: u8) -> Self {
        self.quote = quote;
        self
    }

    /// Lines that begin with this byte are left out when reading.
    #[must_use]
    pub const fn comment(mut self, comment: u8) -> Self {
        self.comment = Some(comment);
        self
    }

    /// The first row is a record like others. Use tuples, or structs with the fields in the columns' order.
    #[must_use]
    pub const fn without_header(mut self) -> Self {
        self.header = false;
        self
    }

    /// Drops white space around fields and names when reading.
    #[must_use]
    pub const fn trim(mut self) -> Self {
        self.trim = true;
        self
    }
}

impl<T: DeserializeOwned + 'static> ReadFormat<T> for Csv {
    fn is_splittable(&self) -> bool {
        false
    }

    fn open(&self, input: &FileInput, range: FileRange) -> Result<Box<dyn RecordReader<T>>> {
        Ok(Box::new(read::CsvReader::open(self, input, range.resume)?))
    }
}

impl<T: Serialize> WriteFormat<T> for Csv {
    fn open(&self, out: Box<dyn Write + Send>) -> Box<dyn RecordWriter<T>> {
        Box::new(write::CsvWriter::new(self, out))
    }

    fn reopen(&self, out: Box<dyn Write + Send>) -> Box<dyn RecordWriter<T>> {
        Box::new(write::CsvWriter::new(&Self { header: false, ..self.clone() }, out))
    }

    fn extension(&self) -> &str {
        "csv"
    }
}
