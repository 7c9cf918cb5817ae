//! Columns of values that are made of others: arrays, rows and maps.

use super::builder::{ValueBuilder, other_type};
use super::row_key::{Field as RowField, Shape};
use super::value_type::Nested;
use super::{ValueType, fields};
use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBufferBuilder};
use arrow_schema::{DataType, Field, Fields};
use brisk_base::{Error, Result};
use std::sync::Arc;

/// A column in the making.
pub(crate) struct NestedBuilder {
    /// Its type.
    data_type: DataType,
    shape: Shape,
    /// The elements of arrays, the fields of rows, or keys and values of maps.
    children: Vec<ValueBuilder>,
    /// Where arrays and maps end.
    offsets: OffsetBufferBuilder<i32>,
    nulls: NullBufferBuilder,
}

impl NestedBuilder {
    pub(super) fn new(nested: &Nested) -> Self {
        let children = nested.children().iter().map(ValueBuilder::new).collect();
        let (offsets, nulls) = (OffsetBufferBuilder::new(0), NullBufferBuilder::new(0));
        Self { data_type: nested.data_type().clone(), shape: nested.shape(), children, offsets, nulls }
    }

    pub(super) fn push_null(&mut self) {
        self.nulls.append_null();
        match self.shape {
            Shape::Row => self.children.iter_mut().for_each(ValueBuilder::push_null),
            Shape::Array | Shape::Map => self.offsets.push_length(0),
        }
    }

    /// Adds a value by the bytes of those that it is made of.
    ///
    /// # Errors
    /// When they are of other types.
    pub(super) fn push(&mut self, shape: Shape, bytes: &[u8]) -> Result<()> {
        if shape != self.shape {
            return Err(other_type(&RowField::Nested(shape, bytes)));
        }
        let (mut next, mut count) = ((0..self.children.len()).cycle(), 0);
        for field in fields(bytes) {
            if let Some(child) = next.next() {
                self.children[child].push_field(field?)?;
            }
            count += 1;
        }
        let width = self.children.len();
        match shape {
            Shape::Row if count == width => {}
            Shape::Array | Shape::Map if count % width == 0 => self.offsets.push_length(count / width),
            _ => return Err(Error::corrupt(format!("a value of type {} in the state has {count} parts", self.data_type))),
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// The column; the builder is empty again.
    pub(super) fn finish(&mut self) -> ArrayRef {
        let (rows, nulls) = (self.nulls.len(), self.nulls.finish());
        let mut children = self.children.iter_mut().map(ValueBuilder::finish).collect::<Vec<_>>();
        let offsets = std::mem::replace(&mut self.offsets, OffsetBufferBuilder::new(0)).finish();
        let made: std::result::Result<ArrayRef, _> = match &self.data_type {
            DataType::List(element) => {
                let elements = children.pop().expect("an array has elements");
                ListArray::try_new(Arc::clone(element), offsets, elements, nulls).map(|lists| Arc::new(lists) as ArrayRef)
            }
            DataType::Map(entries, sorted) => StructArray::try_new(entry_fields(entries), children, None)
                .and_then(|pairs| MapArray::try_new(Arc::clone(entries), offsets, pairs, nulls, *sorted))
                .map(|maps| Arc::new(maps) as ArrayRef),
            DataType::Struct(fields) => {
                StructArray::try_new_with_length(fields.clone(), children, nulls, rows).map(|rows| Arc::new(rows) as ArrayRef)
            }
            other => Err(arrow_schema::ArrowError::NotYetImplemented(other.to_string())),
        };
        made.expect("children have the types of the column")
    }
}

/// The fields of a map's entries.
fn entry_fields(entries: &Field) -> Fields {
    match entries.data_type() {
        DataType::Struct(fields) => fields.clone(),
        _ => Fields::empty(),
    }
}

/// The types of what values of a type are made of, if they are.
pub(super) fn parts(data_type: &DataType) -> Option<(Shape, Vec<&DataType>)> {
    match data_type {
        DataType::List(element) => Some((Shape::Array, vec![element.data_type()])),
        DataType::Struct(fields) => Some((Shape::Row, fields.iter().map(|field| field.data_type()).collect())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => Some((Shape::Map, fields.iter().map(|field| field.data_type()).collect())),
            _ => None,
        },
        _ => None,
    }
}

/// Types of parts as they lie in state.
pub(super) fn value_types(parts: &[&DataType]) -> Result<Vec<ValueType>> {
    parts.iter().map(|part| ValueType::of(part)).collect()
}
