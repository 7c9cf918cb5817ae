//! Formats of tables: bytes become columnar batches of a declared schema, and batches become bytes.
//!
//! * [`TableFormat`] is what a table's options say; it opens readers ([`TableReader`]) and makes [`RowEncoder`]s.
//! * `lines` reads lines of text and JSON, `encode` writes all formats, `column` and `values` are single columns,
//!   `nested` those whose values are made of others, `partitions` the folders that columns name. Csv is read in the module `csv`.

mod column;
mod encode;
mod lines;
mod nested;
mod partitions;
#[cfg(test)]
mod tests;
mod values;

pub(crate) use column::Column;
pub use encode::RowEncoder;
pub use partitions::Partitions;

use crate::csv::{CsvColumns, CsvColumnsReader};
use crate::format::Position;
use crate::input::FileInput;
use arrow_schema::{DataType, SchemaRef};
use brisk_base::Result;
use brisk_core::batch::Columns;
use brisk_core::table::{TableDeclaration, TableOptions};
use lines::{Content, LineReader};

/// The dialect of csv.
pub type CsvText = CsvColumns;

/// How times are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeStyle {
    /// `2015-07-15 00:00:00.004`
    Sql,
    /// `2015-07-15T00:00:00.004`
    Iso,
}

/// How JSON is read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JsonText {
    /// Whether a row without one of the table's fields is an error; otherwise the field is null.
    pub fail_on_missing_field: bool,
    /// Whether a field that cannot be read is null, and a line that is no object is left out.
    pub ignore_errors: bool,
    /// How times are written.
    pub times: TimeStyle,
}

/// A format with its options.
#[derive(Clone, Debug)]
pub enum TableFormat {
    /// Rows of csv without a header.
    Csv(CsvText),
    /// An object of JSON per line.
    Json(JsonText),
    /// A change per line, as Debezium writes it.
    DebeziumJson(JsonText),
    /// A line is the value of the only column.
    Raw,
}

/// Names of the formats.
const NAMES: [&str; 4] = ["csv", "json", "debezium-json", "raw"];

impl TableFormat {
    /// What the options `format` and those that begin with its name say.
    ///
    /// # Errors
    /// When `format` is missing, or a value cannot be read: with table and option.
    pub fn of(table: &TableDeclaration, options: &TableOptions<'_>) -> Result<Self> {
        let Some(name) = options.one_of("format", &NAMES)? else {
            return Err(table.error(format!("option 'format' is missing; expected one of: {}", NAMES.join(", "))));
        };
        let flag = |key: &str| -> Result<bool> { Ok(options.get(&format!("{name}.{key}"), "true or false")?.unwrap_or(false)) };
        Ok(match name {
            "csv" => Self::Csv(CsvColumns {
                delimiter: options.byte("csv.field-delimiter")?.unwrap_or(b','),
                quote: options.byte("csv.quote-character")?.unwrap_or(b'"'),
                null_literal: options.get("csv.null-literal", "a text")?,
                allow_comments: flag("allow-comments")?,
                ignore_errors: flag("ignore-parse-errors")?,
            }),
            "raw" => match &**table.schema.fields() {
                [field] if *field.data_type() == DataType::Utf8 => Self::Raw,
                _ => return Err(table.error("option 'format' is 'raw', which takes a single column of type STRING")),
            },
            _ => {
                let iso = options.one_of(&format!("{name}.timestamp-format.standard"), &["SQL", "ISO-8601"])? == Some("ISO-8601");
                let json = JsonText {
                    fail_on_missing_field: name == "json" && flag("fail-on-missing-field")?,
                    ignore_errors: flag("ignore-parse-errors")?,
                    times: if iso { TimeStyle::Iso } else { TimeStyle::Sql },
                };
                if name == "json" { Self::Json(json) } else { Self::DebeziumJson(json) }
            }
        })
    }

    /// Whether rows may be updates and deletions.
    pub const fn has_changes(&self) -> bool {
        matches!(self, Self::DebeziumJson(_))
    }

    /// What names of files end in, without the dot.
    pub const fn extension(&self) -> &'static str {
        match self {
            Self::Csv(_) => "csv",
            Self::Json(_) | Self::DebeziumJson(_) => "json",
            Self::Raw => "txt",
        }
    }

    /// Opens a file, at its beginning or where reading stopped.
    ///
    /// # Errors
    /// When a column's type cannot be read from text, or the file cannot be opened.
    pub fn open(&self, input: &FileInput, schema: &SchemaRef, resume: Option<Position>) -> Result<TableReader> {
        Ok(TableReader(match self {
            Self::Csv(csv) => Reader::Csv(Box::new(csv.open(input, schema, resume)?)),
            Self::Raw => Reader::Lines(Box::new(LineReader::open(Content::Text, input, schema, resume)?)),
            Self::Json(json) => Reader::Lines(Box::new(LineReader::open(Content::Rows(*json), input, schema, resume)?)),
            Self::DebeziumJson(json) => Reader::Lines(Box::new(LineReader::open(Content::Changes(*json), input, schema, resume)?)),
        }))
    }

    /// What writes rows of a table.
    ///
    /// # Errors
    /// When the format cannot hold the columns.
    pub fn encoder(&self, schema: &SchemaRef) -> Result<RowEncoder> {
        RowEncoder::new(self.clone(), schema)
    }
}

/// Reads the rows of one file.
pub struct TableReader(Reader);

enum Reader {
    Csv(Box<CsvColumnsReader>),
    Lines(Box<LineReader>),
}

impl TableReader {
    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// When something does not fit the schema: with file, line and column.
    pub fn read(&mut self, max_rows: usize) -> Result<Option<Columns>> {
        match &mut self.0 {
            Reader::Csv(reader) => Ok(reader.read(max_rows)?.map(|(columns, rows)| Columns { columns, rows, ..Columns::default() })),
            Reader::Lines(reader) => reader.read(max_rows),
        }
    }

    /// Where reading goes on.
    pub fn position(&self) -> Position {
        match &self.0 {
            Reader::Csv(reader) => reader.position(),
            Reader::Lines(reader) => reader.position(),
        }
    }
}
