//! Columns from values and rows.

use super::nested_builder::NestedBuilder;
use super::row_key::Field;
use super::{ValueType, fields};
use arrow_array::ArrayRef;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use brisk_base::{Error, Result};
use std::sync::Arc;

/// A column of one type in the making.
pub(crate) enum ValueBuilder {
    Boolean(BooleanBuilder),
    Tinyint(Int8Builder),
    Smallint(Int16Builder),
    Int(Int32Builder),
    Bigint(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Timestamp(TimestampMillisecondBuilder),
    Nested(Box<NestedBuilder>),
}

impl ValueBuilder {
    pub(crate) fn new(value_type: &ValueType) -> Self {
        match value_type {
            ValueType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ValueType::Tinyint => Self::Tinyint(Int8Builder::new()),
            ValueType::Smallint => Self::Smallint(Int16Builder::new()),
            ValueType::Int => Self::Int(Int32Builder::new()),
            ValueType::Bigint => Self::Bigint(Int64Builder::new()),
            ValueType::Float => Self::Float(Float32Builder::new()),
            ValueType::Double => Self::Double(Float64Builder::new()),
            ValueType::Decimal { .. } => Self::Decimal(Decimal128Builder::new().with_data_type(value_type.data_type())),
            ValueType::Text => Self::Text(StringBuilder::new()),
            ValueType::Bytes => Self::Bytes(BinaryBuilder::new()),
            ValueType::Date => Self::Date(Date32Builder::new()),
            ValueType::Timestamp { .. } => Self::Timestamp(TimestampMillisecondBuilder::new().with_data_type(value_type.data_type())),
            ValueType::Nested(nested) => Self::Nested(Box::new(NestedBuilder::new(nested))),
        }
    }

    /// Adds a null.
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Boolean(builder) => builder.append_null(),
            Self::Tinyint(builder) => builder.append_null(),
            Self::Smallint(builder) => builder.append_null(),
            Self::Int(builder) => builder.append_null(),
            Self::Bigint(builder) => builder.append_null(),
            Self::Float(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Decimal(builder) => builder.append_null(),
            Self::Text(builder) => builder.append_null(),
            Self::Bytes(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Nested(builder) => builder.push_null(),
        }
    }

    /// Adds a whole number; it wraps around where the type is too small for it.
    #[inline]
    pub(crate) fn push_i64(&mut self, value: i64) {
        match self {
            Self::Boolean(builder) => builder.append_value(value != 0),
            Self::Tinyint(builder) => builder.append_value(value as i8),
            Self::Smallint(builder) => builder.append_value(value as i16),
            Self::Int(builder) => builder.append_value(value as i32),
            Self::Bigint(builder) => builder.append_value(value),
            Self::Date(builder) => builder.append_value(value as i32),
            Self::Timestamp(builder) => builder.append_value(value),
            _ => self.mismatch("a whole number"),
        }
    }

    /// Adds a floating point number.
    pub(crate) fn push_f64(&mut self, value: f64) {
        match self {
            Self::Float(builder) => builder.append_value(value as f32),
            Self::Double(builder) => builder.append_value(value),
            _ => self.mismatch("a floating point number"),
        }
    }

    /// Adds a decimal number, in units of its scale.
    pub(crate) fn push_i128(&mut self, value: i128) {
        match self {
            Self::Decimal(builder) => builder.append_value(value),
            _ => self.mismatch("a decimal number"),
        }
    }

    /// Adds a field of a row.
    ///
    /// # Errors
    /// When it is of another type.
    pub(crate) fn push_field(&mut self, field: Field<'_>) -> Result<()> {
        match (&mut *self, field) {
            (_, Field::Null) => self.push_null(),
            (Self::Float(_) | Self::Double(_), Field::Float(value)) => self.push_f64(value),
            (Self::Decimal(builder), Field::Decimal(value)) => builder.append_value(value),
            (Self::Text(builder), Field::Bytes(bytes)) => {
                let text = std::str::from_utf8(&bytes).map_err(|_| Error::corrupt("a text in the state is no UTF-8"))?;
                builder.append_value(text);
            }
            (Self::Bytes(builder), Field::Bytes(bytes)) => builder.append_value(bytes),
            (Self::Nested(builder), Field::Nested(shape, bytes)) => builder.push(shape, bytes)?,
            (Self::Float(_) | Self::Double(_) | Self::Decimal(_) | Self::Text(_) | Self::Bytes(_) | Self::Nested(_), other) => {
                return Err(other_type(&other));
            }
            (_, Field::Integer(value)) => self.push_i64(value),
            (_, other) => return Err(other_type(&other)),
        }
        Ok(())
    }

    fn mismatch(&mut self, what: &str) {
        debug_assert!(false, "{what} belongs to another column");
        self.push_null();
    }

    /// The column; the builder is empty again.
    pub(crate) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Nested(builder) => builder.finish(),
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Tinyint(builder) => Arc::new(builder.finish()),
            Self::Smallint(builder) => Arc::new(builder.finish()),
            Self::Int(builder) => Arc::new(builder.finish()),
            Self::Bigint(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Decimal(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Bytes(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
        }
    }
}

#[cold]
pub(super) fn other_type(field: &Field<'_>) -> Error {
    Error::user(format!(
        "the state holds {field:?} in a column of another type: give the operator a new uid, or restore the query that wrote it"
    ))
}

/// Columns of rows in the making.
pub(crate) struct RowBuilder {
    columns: Vec<ValueBuilder>,
}

impl RowBuilder {
    /// Columns of these types.
    pub(crate) fn new(types: &[ValueType]) -> Self {
        Self { columns: types.iter().map(ValueBuilder::new).collect() }
    }

    /// Adds a row, given by its bytes.
    ///
    /// # Errors
    /// When it has other fields.
    pub(crate) fn push(&mut self, row: &[u8]) -> Result<()> {
        let mut fields = fields(row);
        for column in &mut self.columns {
            let field = fields.next().ok_or_else(|| Error::corrupt("a row in the state has too few fields"))?;
            column.push_field(field?)?;
        }
        Ok(())
    }

    /// Adds a row of nulls.
    pub(crate) fn push_nulls(&mut self) {
        self.columns.iter_mut().for_each(ValueBuilder::push_null);
    }

    /// The columns; the builder is empty again.
    pub(crate) fn finish(&mut self) -> Vec<ArrayRef> {
        self.columns.iter_mut().map(ValueBuilder::finish).collect()
    }
}
