//! Types of values that lie in state as fields of a row.

use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result};
use brisk_core::types::Record;

/// A type of values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Record)]
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
            other => return Err(Error::user(format!("values of type {other} cannot be kept in state yet: cast the column"))),
        })
    }

    /// The type of the columns that it is read back into.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Tinyint => DataType::Int8,
            Self::Smallint => DataType::Int16,
            Self::Int => DataType::Int32,
            Self::Bigint => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Decimal { precision, scale } => DataType::Decimal128(precision, scale as i8),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp { utc } => DataType::Timestamp(TimeUnit::Millisecond, utc.then(|| "UTC".into())),
        }
    }
}
