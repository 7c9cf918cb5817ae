//! Columns of arrays, maps and rows, which are read from JSON: arrays from arrays, maps and rows from objects.

use super::column::Column;
use super::lines::{Span, find, push};
use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType};
use brisk_base::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A column in the making.
pub(crate) struct NestedColumn {
    data_type: DataType,
    /// The elements of arrays, the fields of rows, keys and values of maps.
    parts: Vec<Column>,
    types: Vec<DataType>,
    /// The names of the fields of rows.
    names: Vec<String>,
    /// How many elements or entries each value has.
    lengths: Vec<usize>,
    /// Whether each value is there.
    valid: Vec<bool>,
}

impl NestedColumn {
    /// A column of a type; `None` if its values are not made of others.
    ///
    /// # Errors
    /// When a part cannot be read from JSON.
    pub(super) fn of(data_type: &DataType) -> Result<Option<Self>> {
        let mut names = Vec::new();
        let types: Vec<DataType> = match data_type {
            DataType::List(element) => vec![element.data_type().clone()],
            DataType::Struct(fields) => {
                names.extend(fields.iter().map(|field| field.name().clone()));
                fields.iter().map(|field| field.data_type().clone()).collect()
            }
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) if matches!(fields.first().map(|key| key.data_type()), Some(DataType::Utf8)) => {
                    fields.iter().map(|field| field.data_type().clone()).collect()
                }
                _ => return Err(Error::user("maps of JSON have texts as keys: declare MAP<STRING, ...>")),
            },
            _ => return Ok(None),
        };
        let parts = types.iter().map(Column::new).collect::<Result<_>>()?;
        Ok(Some(Self { data_type: data_type.clone(), parts, types, names, lengths: Vec::new(), valid: Vec::new() }))
    }

    pub(super) fn push_null(&mut self) {
        self.valid.push(false);
        self.lengths.push(0);
        if matches!(self.data_type, DataType::Struct(_)) {
            self.parts.iter_mut().for_each(Column::push_null);
        }
    }

    /// Adds a value of JSON; false when it is none of the column's type. What cannot be read of it is null then.
    pub(super) fn push_json(&mut self, value: &str) -> bool {
        let pushed = match &self.data_type {
            DataType::List(_) => self.push_array(value),
            DataType::Map(..) => self.push_map(value),
            _ => self.push_row(value),
        };
        pushed.unwrap_or_else(|| {
            self.push_null();
            false
        })
    }

    fn push_array(&mut self, value: &str) -> Option<bool> {
        let elements: Vec<&RawValue> = serde_json::from_str(value).ok()?;
        self.lengths.push(elements.len());
        self.valid.push(true);
        let mut fits = true;
        for element in elements {
            fits &= push(&mut self.parts[0], element.get(), &self.types[0]);
        }
        Some(fits)
    }

    fn push_map(&mut self, value: &str) -> Option<bool> {
        let Entries(entries) = serde_json::from_str(value).ok()?;
        self.lengths.push(entries.len());
        self.valid.push(true);
        let [keys, values] = &mut *self.parts else { return None };
        let mut fits = true;
        for (key, value) in entries {
            fits &= keys.push(key.as_bytes());
            fits &= push(values, value.get(), &self.types[1]);
        }
        Some(fits)
    }

    fn push_row(&mut self, value: &str) -> Option<bool> {
        let mut spans: Vec<Span> = vec![None; self.names.len()];
        find(value, &self.names, &mut spans).ok()?;
        self.lengths.push(0);
        self.valid.push(true);
        let mut fits = true;
        for ((part, data_type), span) in self.parts.iter_mut().zip(&self.types).zip(spans) {
            fits &= push(part, span.map_or("null", |(from, to)| &value[from..to]), data_type);
        }
        Some(fits)
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let mut parts: Vec<_> = self.parts.iter_mut().map(Column::finish).collect();
        let (lengths, valid) = (std::mem::take(&mut self.lengths), std::mem::take(&mut self.valid));
        let (rows, nulls) = (valid.len(), NullBuffer::from(valid));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let made: std::result::Result<ArrayRef, _> = match &self.data_type {
            DataType::List(element) => {
                let elements = parts.pop().expect("an array has elements");
                ListArray::try_new(Arc::clone(element), offsets, elements, Some(nulls)).map(|lists| Arc::new(lists) as ArrayRef)
            }
            DataType::Map(entries, sorted) => match entries.data_type() {
                DataType::Struct(fields) => StructArray::try_new(fields.clone(), parts, None)
                    .and_then(|pairs| MapArray::try_new(Arc::clone(entries), offsets, pairs, Some(nulls), *sorted))
                    .map(|maps| Arc::new(maps) as ArrayRef),
                other => Err(ArrowError::NotYetImplemented(other.to_string())),
            },
            DataType::Struct(fields) => {
                StructArray::try_new_with_length(fields.clone(), parts, Some(nulls), rows).map(|rows| Arc::new(rows) as ArrayRef)
            }
            other => Err(ArrowError::NotYetImplemented(other.to_string())),
        };
        made.expect("parts have the types of the column")
    }
}

/// The fields of an object, in their order.
struct Entries<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries<'de>, A::Error> {
        let mut entries: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
        while let Some((key, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            // Of a field that comes twice the last counts.
            match entries.iter_mut().find(|(known, _)| *known == key.0) {
                Some(known) => known.1 = value,
                None => entries.push((key.0, value)),
            }
        }
        Ok(Entries(entries))
    }
}

/// A text that is borrowed where it can be.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
