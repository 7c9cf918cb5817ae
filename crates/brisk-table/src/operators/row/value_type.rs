//! Types of values that lie in state as fields of a row.

use super::nested_builder::{parts, value_types};
use super::row_key::Shape;
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result};
use brisk_core::batch::ColumnType;
use brisk_core::types::{Decoder, Record, Schema};

/// A type of values.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub enum ValueType {
    /// A truth value.
    Boolean,
    /// One byte.
    Tinyint,
    /// Two bytes.
    Smallint,
    /// Four bytes.
    Int,
    /// Eight bytes.
    Bigint,
    /// A floating point number of four bytes.
    Float,
    /// A floating point number of eight bytes.
    Double,
    /// A decimal number.
    Decimal {
        /// Its digits.
        precision: u8,
        /// Those of them behind the point.
        scale: u8,
    },
    /// Text.
    Text,
    /// Bytes.
    Bytes,
    /// Days since 1970.
    Date,
    /// Milliseconds since 1970.
    Timestamp {
        /// Whether it is a point in time (in UTC), or a time without a zone.
        utc: bool,
    },
    /// Arrays, rows and maps.
    Nested(Nested),
}

impl ValueType {
    /// The type of a column.
    ///
    /// # Errors
    /// When its values cannot lie in state.
    pub fn of(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Tinyint,
            DataType::Int16 => Self::Smallint,
            DataType::Int32 => Self::Int,
            DataType::Int64 => Self::Bigint,
            DataType::Float32 => Self::Float,
            DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) if *scale >= 0 => Self::Decimal { precision: *precision, scale: *scale as u8 },
            DataType::Utf8 => Self::Text,
            DataType::Binary => Self::Bytes,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(TimeUnit::Millisecond, zone) => Self::Timestamp { utc: zone.is_some() },
            DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => Self::Nested(Nested::of(data_type)?),
            other => return Err(Error::user(format!("values of type {other} cannot be kept in state yet: cast the column"))),
        })
    }

    /// The type of the columns that it is read back into.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Tinyint => DataType::Int8,
            Self::Smallint => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::Bigint => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp { utc } => DataType::Timestamp(TimeUnit::Millisecond, utc.then(|| "UTC".into())),
            Self::Nested(nested) => nested.data_type().clone(),
        }
    }
}

/// A type whose values are made of others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nested {
    data_type: ColumnType,
    shape: Shape,
    /// Types of the parts.
    children: Vec<ValueType>,
}

impl Nested {
    fn of(data_type: &DataType) -> Result<Self> {
        let Some((shape, parts)) = parts(data_type) else { return Err(Error::bug(format!("{data_type} is not made of other values"))) };
        Ok(Self { children: value_types(&parts)?, shape, data_type: ColumnType(data_type.clone()) })
    }

    pub(super) const fn data_type(&self) -> &DataType {
        &self.data_type.0
    }

    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn children(&self) -> &[ValueType] {
        &self.children
    }
}

/// As the type of the column.
impl Record for Nested {
    fn encode(&self, out: &mut Vec<u8>) {
        self.data_type.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Self::of(&ColumnType::decode(input)?.0)
    }

    fn schema() -> Schema {
        ColumnType::schema()
    }

    fn heap_bytes(&self) -> usize {
        self.data_type.heap_bytes() + self.children.iter().map(|child| size_of::<ValueType>() + child.heap_bytes()).sum::<usize>()
    }
}
