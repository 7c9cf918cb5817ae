//! Csv as columns: fields go from the bytes of a file into Arrow arrays of the declared types.
//!
//! There is no header: columns are matched by their order, as Flink does. An empty field is null, but in a column of text it is the empty
//! text; `null_literal` is null everywhere.

use crate::excerpt::excerpt;
use crate::format::Position;
use crate::input::FileInput;
use crate::table::Column;
use arrow_array::ArrayRef;
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::io::Read;
use std::sync::Arc;

/// The dialect.
#[derive(Clone, Debug)]
pub struct CsvColumns {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields.
    pub quote: u8,
    /// Text that stands for null.
    pub null_literal: Option<String>,
    /// Whether lines that begin with `#` are left out.
    pub allow_comments: bool,
    /// Whether a field that cannot be read is null, and a row with a wrong number of fields is left out.
    pub ignore_errors: bool,
}

impl CsvColumns {
    /// Opens a file, at its beginning or where reading stopped.
    ///
    /// # Errors
    /// When a column's type cannot be read from text, or the file cannot be opened.
    pub fn open(&self, input: &FileInput, schema: &SchemaRef, resume: Option<Position>) -> Result<CsvColumnsReader> {
        let base = resume.unwrap_or_default();
        if let Some(field) = schema.fields().iter().find(|field| field.data_type().is_nested()) {
            return Err(Error::user(format!(
                "format 'csv' cannot read column '{}', which is made of other values: take JSON",
                field.name()
            )));
        }
        let columns = schema.fields().iter().map(|field| Column::new(field.data_type())).collect::<Result<_>>()?;
        let rows = ReaderBuilder::new()
            .delimiter(self.delimiter)
            .quote(self.quote)
            .comment(self.allow_comments.then_some(b'#'))
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(64 * 1024)
            .from_reader(input.open_at(base.offset)?);
        Ok(CsvColumnsReader {
            format: self.clone(),
            schema: Arc::clone(schema),
            rows,
            place: input.place(),
            base,
            columns,
            row: ByteRecord::new(),
        })
    }
}

/// Reads one file.
pub struct CsvColumnsReader {
    format: CsvColumns,
    schema: SchemaRef,
    rows: Reader<Box<dyn Read + Send>>,
    /// The file, for errors.
    place: String,
    /// Where in the file `rows` begins.
    base: Position,
    columns: Vec<Column>,
    /// The row just read; used again.
    row: ByteRecord,
}

impl CsvColumnsReader {
    /// The next rows, and how many there are; `None` at the end.
    ///
    /// # Errors
    /// When a row does not fit the schema: with file, line and column.
    pub fn read(&mut self, max_rows: usize) -> Result<Option<(Vec<ArrayRef>, usize)>> {
        let mut rows = 0;
        while rows < max_rows {
            let read = self.rows.read_byte_record(&mut self.row);
            if !read.map_err(|error| self.error(format!("cannot be read: {error}")))? {
                break;
            }
            rows += usize::from(self.add_row()?);
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some((self.columns.iter_mut().map(Column::finish).collect(), rows)))
    }

    /// Where reading goes on.
    pub fn position(&self) -> Position {
        let here = self.rows.position();
        Position { offset: self.base.offset + here.byte(), lines: self.base.lines + here.line() - 1 }
    }

    /// Adds the row just read, unless it is left out.
    fn add_row(&mut self) -> Result<bool> {
        if self.row.len() != self.columns.len() {
            if self.format.ignore_errors {
                return Ok(false);
            }
            return Err(self.error(format!("the row has {} fields, but the table has {} columns", self.row.len(), self.columns.len())));
        }
        let null = self.format.null_literal.as_deref().map(str::as_bytes);
        for (index, column) in self.columns.iter_mut().enumerate() {
            let field = &self.row[index];
            if null == Some(field) {
                column.push_null();
            } else if !column.push(field) {
                if !self.format.ignore_errors {
                    let field = self.schema.field(index);
                    let shown = excerpt(&String::from_utf8_lossy(&self.row[index]));
                    return Err(self.error(format!("column '{}': {shown} is no {}", field.name(), field.data_type())));
                }
                column.push_null();
            }
        }
        Ok(true)
    }

    fn error(&self, what: String) -> Error {
        let line = self.row.position().map_or(0, csv::Position::line) + self.base.lines;
        Error::user(format!("{}: line {line}: {what}", self.place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, Int64Type, TimestampMillisecondType};
    use arrow_schema::{DataType, TimeUnit};
    use arrow_schema::{Field, Schema};

    fn read(text: &str, format: &CsvColumns) -> Result<Vec<ArrayRef>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, text).unwrap();
        let fields = [
            ("n", DataType::Int64),
            ("s", DataType::Utf8),
            ("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
            ("d", DataType::Decimal128(10, 2)),
        ];
        let schema: SchemaRef = Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()));
        let mut reader = format.open(&FileInput::new(path), &schema, None)?;
        Ok(reader.read(100)?.expect("there are rows").0)
    }

    fn plain() -> CsvColumns {
        CsvColumns { delimiter: b',', quote: b'"', null_literal: None, allow_comments: false, ignore_errors: false }
    }

    #[test]
    fn fields_become_values_of_their_columns() {
        let columns = read("1,\"a,b\",2015-07-15 00:00:00.004,-1.5\n,,,0.005\n", &plain()).unwrap();
        assert_eq!(columns[0].as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None]);
        assert_eq!(columns[1].as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a,b"), Some("")]);
        assert_eq!(columns[2].as_primitive::<TimestampMillisecondType>().iter().collect::<Vec<_>>(), [Some(1_436_918_400_004), None]);
        assert_eq!(columns[3].as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>(), [Some(-150), Some(1)]);
    }

    #[test]
    fn errors_name_file_line_and_column() {
        let error = read("1,a,,1\nx,a,,1\n", &plain()).unwrap_err().to_string();
        assert!(error.contains("t.csv': line 2: column 'n': \"x\" is no Int64"), "{error}");
        let error = read("1,a\n", &plain()).unwrap_err().to_string();
        assert!(error.contains("line 1: the row has 2 fields, but the table has 4 columns"), "{error}");
        let columns = read("1,a\nx,-,,1\n", &CsvColumns { ignore_errors: true, null_literal: Some("-".to_owned()), ..plain() }).unwrap();
        assert!(columns[0].is_null(0) && columns[1].is_null(0) && columns[0].len() == 1);
    }
}
