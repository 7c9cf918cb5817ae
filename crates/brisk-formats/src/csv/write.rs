//! Writes records as rows, the first one after a header made of the field names.

use super::Csv;
use crate::format::RecordWriter;
use brisk_base::{Result, ResultExt};
use csv::{Writer, WriterBuilder};
use serde::Serialize;
use std::io::Write;

/// Writes one file.
pub(super) struct CsvWriter {
    rows: Writer<Box<dyn Write + Send>>,
}

impl CsvWriter {
    pub(super) fn new(csv: &Csv, out: Box<dyn Write + Send>) -> Self {
        let rows = WriterBuilder::new()
            .delimiter(csv.delimiter)
            .quote(csv.quote)
            .has_headers(csv.header)
            .buffer_capacity(64 * 1024)
            .from_writer(out);
        Self { rows }
    }
}

impl<T: Serialize> RecordWriter<T> for CsvWriter {
    fn write(&mut self, record: &T) -> Result<()> {
        self.rows.serialize(record).context(|| format!("cannot write a {} as csv", std::any::type_name::<T>()))
    }

    fn flush(&mut self) -> Result<()> {
        Ok(self.rows.flush()?)
    }
}
