//! Lines as columns: plain text, rows of JSON, and changes as Debezium writes them.
//!
//! Values are found in a line without being copied; strings are unescaped where they have to be. Unknown fields are left out.

use super::JsonText;
use super::column::Column;
use crate::excerpt::excerpt;
use crate::format::Position;
use crate::input::FileInput;
use crate::lines::LineSplitter;
use arrow_schema::{DataType, SchemaRef};
use brisk_base::{Error, Result};
use brisk_core::batch::{Columns, RowKind};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::io::Read;

/// Where a value lies in its line.
pub(super) type Span = Option<(usize, usize)>;
/// Fields of a change.
const CHANGE: [&str; 4] = ["before", "after", "op", "payload"];

/// What lines hold.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// The value of the only column.
    Text,
    /// A row.
    Rows(JsonText),
    /// A change of a row, or two.
    Changes(JsonText),
}

/// Reads one file.
pub(super) struct LineReader {
    input: Box<dyn Read + Send>,
    lines: LineSplitter,
    /// Lines that have been read.
    line: u64,
    /// The file, for errors.
    place: String,
    rows: Rows,
    content: Content,
}

/// Rows in the making.
struct Rows {
    /// Whether a field that is missing is an error, and not null.
    fail_on_missing: bool,
    /// Whether a value that cannot be read is null.
    ignore_errors: bool,
    schema: SchemaRef,
    names: Vec<String>,
    columns: Vec<Column>,
    kinds: Vec<RowKind>,
    /// Where the values of the row at hand are; used again.
    spans: Vec<Span>,
}

impl LineReader {
    pub(super) fn open(content: Content, input: &FileInput, schema: &SchemaRef, resume: Option<Position>) -> Result<Self> {
        let base = resume.unwrap_or_default();
        let (fail_on_missing, ignore_errors) = match content {
            Content::Text => (false, false),
            Content::Rows(json) | Content::Changes(json) => (json.fail_on_missing_field, json.ignore_errors),
        };
        let columns = schema.fields().iter().map(|field| Column::new(field.data_type())).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            input: input.open_at(base.offset)?,
            lines: LineSplitter::new(base.offset, false),
            line: base.lines,
            place: input.place(),
            rows: Rows {
                fail_on_missing,
                ignore_errors,
                names: schema.fields().iter().map(|field| field.name().clone()).collect(),
                spans: vec![None; columns.len()],
                columns,
                kinds: Vec::new(),
                schema: SchemaRef::clone(schema),
            },
            content,
        })
    }

    pub(super) fn position(&self) -> Position {
        Position { offset: self.lines.offset(), lines: self.line }
    }

    /// The next rows; `None` at the end.
    pub(super) fn read(&mut self, max_rows: usize) -> Result<Option<Columns>> {
        // An update is two rows.
        while self.rows.kinds.len() + 1 < max_rows.max(2) {
            let Some(line) = self.lines.next_line() else {
                if self.lines.is_ended() {
                    break;
                }
                self.lines.fill(&mut self.input)?;
                continue;
            };
            self.line += 1;
            let added = match self.content {
                Content::Text => {
                    self.rows.add_text(line);
                    Ok(())
                }
                _ if line.trim().is_empty() => Ok(()),
                Content::Rows(_) => self.rows.add(line.trim(), RowKind::Insert),
                Content::Changes(_) => self.rows.add_change(line.trim()),
            };
            if let Err(what) = added
                && !self.rows.ignore_errors
            {
                return Err(Error::user(format!("{}: line {}: {what}", self.place, self.line)));
            }
        }
        Ok(self.rows.finish())
    }
}

impl Rows {
    fn finish(&mut self) -> Option<Columns> {
        let kinds = std::mem::take(&mut self.kinds);
        if kinds.is_empty() {
            return None;
        }
        let columns = self.columns.iter_mut().map(Column::finish).collect();
        let rows = kinds.len();
        let kinds = if kinds.iter().all(|kind| *kind == RowKind::Insert) { Vec::new() } else { kinds };
        Some(Columns { columns, rows, kinds, ..Columns::default() })
    }

    fn add_text(&mut self, line: &str) {
        self.columns.iter_mut().for_each(|column| {
            column.push(line.as_bytes());
        });
        self.kinds.push(RowKind::Insert);
    }

    /// Adds a change.
    fn add_change(&mut self, line: &str) -> std::result::Result<(), String> {
        let mut spans = [None; CHANGE.len()];
        find(line, &CHANGE, &mut spans)?;
        let text = |span: Span| span.map_or("null", |(from, to)| &line[from..to]);
        let [before, after, op, payload] = spans.map(text);
        if payload != "null" {
            return self.add_change(payload);
        }
        let needed = |row: &'static str, text: &str| match text {
            "null" => Err(format!("the change {} has no '{row}'; the database has to write whole rows", excerpt(line))),
            _ => Ok(()),
        };
        match op {
            "\"c\"" | "\"r\"" => needed("after", after).and_then(|()| self.add(after, RowKind::Insert)),
            "\"d\"" => needed("before", before).and_then(|()| self.add(before, RowKind::Delete)),
            "\"u\"" => {
                needed("before", before)?;
                needed("after", after)?;
                self.add(before, RowKind::UpdateBefore)?;
                self.add(after, RowKind::UpdateAfter)
            }
            other => Err(format!("the field 'op' is {}; expected one of: c, r, u, d", excerpt(other))),
        }
    }

    /// Adds a row.
    fn add(&mut self, line: &str, kind: RowKind) -> std::result::Result<(), String> {
        self.spans.fill(None);
        find(line, &self.names, &mut self.spans)?;
        let values = self.spans.iter().map(|span| span.map(|(from, to)| &line[from..to]));
        // What is wrong is found before anything is added, so that columns stay of one length.
        if self.fail_on_missing
            && let Some(missing) = values.clone().position(|value| value.is_none())
        {
            return Err(format!("the field '{}' is missing", self.names[missing]));
        }
        let mut wrong = None;
        for (index, (column, value)) in self.columns.iter_mut().zip(values).enumerate() {
            let value = value.unwrap_or("null");
            if !push(column, value, self.schema.field(index).data_type()) {
                wrong.get_or_insert_with(|| {
                    let field = self.schema.field(index);
                    format!("column '{}': {} is no {}", field.name(), excerpt(value), field.data_type())
                });
            }
        }
        self.kinds.push(kind);
        match wrong {
            Some(wrong) if !self.ignore_errors => Err(wrong),
            _ => Ok(()),
        }
    }
}

/// Adds a value of JSON to a column; when it is no value of its type, it adds null, and gives false.
pub(super) fn push(column: &mut Column, value: &str, data_type: &DataType) -> bool {
    if value == "null" {
        column.push_null();
        return true;
    }
    if let Column::Nested(nested) = column {
        return nested.push_json(value);
    }
    let fits = push_plain(column, value, data_type);
    if !fits {
        column.push_null();
    }
    fits
}

/// The same of a value that is not made of others; it adds nothing when it gives false.
fn push_plain(column: &mut Column, value: &str, data_type: &DataType) -> bool {
    let Some(quoted) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return column.push(value.as_bytes());
    };
    let text: Cow<'_, str> = if quoted.contains('\\') {
        match serde_json::from_str::<String>(value) {
            Ok(text) => text.into(),
            Err(_) => return false,
        }
    } else {
        quoted.into()
    };
    match data_type {
        DataType::Utf8 => column.push(text.as_bytes()),
        // An empty string is no number and no time.
        _ if text.trim().is_empty() => false,
        _ => column.push(text.as_bytes()),
    }
}

/// Finds the fields of an object; of a field that comes twice the last counts.
pub(super) fn find(line: &str, names: &[impl AsRef<str>], spans: &mut [Span]) -> std::result::Result<(), String> {
    let mut input = serde_json::Deserializer::from_str(line);
    let found = Object { line, names, spans }.deserialize(&mut input).and_then(|()| input.end());
    found.map_err(|error| format!("{} is no object of JSON: {error}", excerpt(line)))
}

struct Object<'a, N> {
    line: &'a str,
    names: &'a [N],
    spans: &'a mut [Span],
}

impl<'de, N: AsRef<str>> DeserializeSeed<'de> for Object<'_, N> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, N: AsRef<str>> Visitor<'de> for Object<'_, N> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(field) = map.next_key_seed(Name(self.names))? {
            let value: &'de RawValue = map.next_value()?;
            if let Some(field) = field {
                let from = value.get().as_ptr() as usize - self.line.as_ptr() as usize;
                self.spans[field] = Some((from, from + value.get().len()));
            }
        }
        Ok(())
    }
}

/// The index of a field by its name.
struct Name<'a, N>(&'a [N]);

impl<'de, N: AsRef<str>> DeserializeSeed<'de> for Name<'_, N> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Option<usize>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<N: AsRef<str>> Visitor<'_> for Name<'_, N> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> std::result::Result<Option<usize>, E> {
        Ok(self.0.iter().position(|known| known.as_ref() == name))
    }
}
