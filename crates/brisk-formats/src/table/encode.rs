//! Rows of columnar batches as bytes: a line for each.

use super::values::{Shape, Values};
use super::{CsvText, TableFormat, TimeStyle};
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result};
use brisk_core::batch::{Columns, RowKind};
use std::ops::Range;

/// Writes rows of one table. See the module.
pub struct RowEncoder {
    format: TableFormat,
    /// What stands in front of each value in JSON: `{"a":`, then `,"b":`.
    fronts: Vec<Vec<u8>>,
}

impl RowEncoder {
    pub(super) fn new(format: TableFormat, schema: &SchemaRef) -> Result<Self> {
        if matches!(format, TableFormat::Raw) && schema.fields().len() != 1 {
            return Err(Error::user("format 'raw' takes tables with a single column"));
        }
        if !matches!(format, TableFormat::Json(_) | TableFormat::DebeziumJson(_))
            && let Some(field) = schema.fields().iter().find(|field| field.data_type().is_nested())
        {
            let text =
                format!("column '{}' is made of other values, which JSON alone can hold: take format 'json', or cast it", field.name());
            return Err(Error::user(text));
        }
        let front = |(index, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
            let mut front = vec![if index == 0 { b'{' } else { b',' }];
            write_string(field.name(), &mut front);
            front.push(b':');
            front
        };
        let fronts = schema.fields().iter().enumerate().map(front).collect();
        Ok(Self { format, fronts })
    }

    /// Appends the rows of a batch.
    ///
    /// # Errors
    /// When the format cannot express a column or a change.
    pub fn encode(&self, batch: &Columns, out: &mut Vec<u8>) -> Result<()> {
        self.encode_rows(batch, 0..batch.rows, out)
    }

    /// Appends some rows of a batch.
    ///
    /// # Errors
    /// As of [`encode`](Self::encode).
    pub fn encode_rows(&self, batch: &Columns, rows: Range<usize>, out: &mut Vec<u8>) -> Result<()> {
        let values = batch.columns.iter().map(Values::of).collect::<Result<Vec<_>>>()?;
        for row in rows {
            let kind = batch.kind(row);
            if kind != RowKind::Insert && !self.format.has_changes() {
                return Err(Error::bug(format!("a row of kind {} comes to a format without changes", kind.short())));
            }
            match &self.format {
                TableFormat::Csv(csv) => encode_csv(csv, &values, row, out)?,
                TableFormat::Json(json) => self.encode_json(json.times, &values, row, out)?,
                TableFormat::DebeziumJson(json) => self.encode_debezium(json.times, &values, row, kind, out)?,
                TableFormat::Raw => {
                    for column in &values {
                        column.write(row, out)?;
                    }
                }
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn encode_json(&self, times: TimeStyle, values: &[Values<'_>], row: usize, out: &mut Vec<u8>) -> Result<()> {
        for (front, column) in self.fronts.iter().zip(values) {
            out.extend_from_slice(front);
            encode_value(times, column, row, out)?;
        }
        out.extend_from_slice(if self.fronts.is_empty() { b"{}" } else { b"}" });
        Ok(())
    }

    /// As Flink writes changes: an update is a deletion and an insertion.
    fn encode_debezium(&self, times: TimeStyle, values: &[Values<'_>], row: usize, kind: RowKind, out: &mut Vec<u8>) -> Result<()> {
        if matches!(kind, RowKind::Insert | RowKind::UpdateAfter) {
            out.extend_from_slice(b"{\"before\":null,\"after\":");
            self.encode_json(times, values, row, out)?;
            out.extend_from_slice(b",\"op\":\"c\"}");
        } else {
            out.extend_from_slice(b"{\"before\":");
            self.encode_json(times, values, row, out)?;
            out.extend_from_slice(b",\"after\":null,\"op\":\"d\"}");
        }
        Ok(())
    }
}

/// Appends a value of JSON.
fn encode_value(times: TimeStyle, column: &Values<'_>, row: usize, out: &mut Vec<u8>) -> Result<()> {
    let begin = out.len();
    match column {
        _ if column.is_null(row) => out.extend_from_slice(b"null"),
        Values::Array(lists, elements) => {
            out.push(b'[');
            for place in bounds(lists.value_offsets(), row) {
                separate(begin, out);
                encode_value(times, elements, place, out)?;
            }
            out.push(b']');
        }
        Values::Map(maps, parts) => {
            let [keys, values] = &**parts;
            out.push(b'{');
            for place in bounds(maps.value_offsets(), row) {
                separate(begin, out);
                let name = out.len();
                // Names of fields are texts, whatever the keys are.
                if keys.write(place, out)? == Shape::Text {
                    quote_from(name, out);
                } else {
                    out.insert(name, b'"');
                    out.push(b'"');
                }
                out.push(b':');
                encode_value(times, values, place, out)?;
            }
            out.push(b'}');
        }
        Values::Row(_, fields) => {
            out.push(b'{');
            for (name, field) in fields {
                separate(begin, out);
                out.extend_from_slice(name);
                out.push(b':');
                encode_value(times, field, row, out)?;
            }
            out.push(b'}');
        }
        plain => match plain.write(row, out)? {
            Shape::Null => out.extend_from_slice(b"null"),
            Shape::Plain => {}
            Shape::Time => {
                if times == TimeStyle::Iso
                    && let Some(blank) = out[begin..].iter().position(|byte| *byte == b' ')
                {
                    out[begin + blank] = b'T';
                }
                out.insert(begin, b'"');
                out.push(b'"');
            }
            Shape::Text => quote_from(begin, out),
        },
    }
    Ok(())
}

/// The places of an array's elements.
fn bounds(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

/// A comma, unless the bracket that was opened at `begin` is all there is.
fn separate(begin: usize, out: &mut Vec<u8>) {
    if out.len() > begin + 1 {
        out.push(b',');
    }
}

/// Makes the text behind `begin` a string of JSON.
fn quote_from(begin: usize, out: &mut Vec<u8>) {
    let plain = out[begin..].iter().all(|byte| *byte >= b' ' && *byte != b'"' && *byte != b'\\');
    if plain {
        out.insert(begin, b'"');
        out.push(b'"');
        return;
    }
    let text = out.split_off(begin);
    write_string(&String::from_utf8_lossy(&text), out);
}

pub(super) fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..b' ' => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

fn encode_csv(csv: &CsvText, values: &[Values<'_>], row: usize, out: &mut Vec<u8>) -> Result<()> {
    for (index, column) in values.iter().enumerate() {
        if index > 0 {
            out.push(csv.delimiter);
        }
        let begin = out.len();
        match column.write(row, out)? {
            Shape::Null => out.extend_from_slice(csv.null_literal.as_deref().unwrap_or_default().as_bytes()),
            Shape::Text => {
                let special = |byte: &u8| *byte == csv.delimiter || *byte == csv.quote || matches!(byte, b'\n' | b'\r');
                if out[begin..].iter().any(special) {
                    let text = out.split_off(begin);
                    out.push(csv.quote);
                    for byte in text {
                        if byte == csv.quote {
                            out.push(byte);
                        }
                        out.push(byte);
                    }
                    out.push(csv.quote);
                }
            }
            Shape::Plain | Shape::Time => {}
        }
    }
    Ok(())
}
