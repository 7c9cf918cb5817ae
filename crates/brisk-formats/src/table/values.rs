//! The values of a column as text, written into a buffer: nothing is allocated per value.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMillisecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    ListArray, MapArray, StringArray, StructArray, TimestampMillisecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result, Timestamp};
use std::io::Write;

/// A column with its type known.
pub(super) enum Values<'a> {
    Boolean(&'a BooleanArray),
    Tinyint(&'a Int8Array),
    Smallint(&'a Int16Array),
    Int(&'a Int32Array),
    Bigint(&'a Int64Array),
    Float(&'a Float32Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array),
    Text(&'a StringArray),
    Date(&'a Date32Array),
    Time(&'a TimestampMillisecondArray),
    /// Where arrays begin and end, and their elements.
    Array(&'a ListArray, Box<Self>),
    /// Keys and values.
    Map(&'a MapArray, Box<[Self; 2]>),
    /// The fields of rows, with their names as JSON.
    Row(&'a StructArray, Vec<(Vec<u8>, Self)>),
    Null,
}

/// What kind of text a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// No value; nothing has been written.
    Null,
    /// A number or a truth value.
    Plain,
    /// A date or a time.
    Time,
    /// Any text.
    Text,
}

impl<'a> Values<'a> {
    pub(super) fn of(column: &'a ArrayRef) -> Result<Self> {
        Ok(match column.data_type() {
            DataType::Boolean => Self::Boolean(column.as_boolean()),
            DataType::Int8 => Self::Tinyint(column.as_primitive::<Int8Type>()),
            DataType::Int16 => Self::Smallint(column.as_primitive::<Int16Type>()),
            DataType::Int32 => Self::Int(column.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::Bigint(column.as_primitive::<Int64Type>()),
            DataType::Float32 => Self::Float(column.as_primitive::<Float32Type>()),
            DataType::Float64 => Self::Double(column.as_primitive::<Float64Type>()),
            DataType::Decimal128(..) => Self::Decimal(column.as_primitive::<Decimal128Type>()),
            DataType::Utf8 => Self::Text(column.as_string::<i32>()),
            DataType::Date32 => Self::Date(column.as_primitive::<Date32Type>()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Time(column.as_primitive::<TimestampMillisecondType>()),
            DataType::Null => Self::Null,
            DataType::List(_) => Self::Array(column.as_list(), Box::new(Self::of(column.as_list::<i32>().values())?)),
            DataType::Map(..) => {
                let maps = column.as_map();
                Self::Map(maps, Box::new([Self::of(maps.keys())?, Self::of(maps.values())?]))
            }
            DataType::Struct(fields) => {
                let rows = column.as_struct();
                let parts = fields.iter().zip(rows.columns()).map(|(field, column)| {
                    let mut name = Vec::new();
                    super::encode::write_string(field.name(), &mut name);
                    Ok((name, Self::of(column)?))
                });
                Self::Row(rows, parts.collect::<Result<_>>()?)
            }
            other => return Err(Error::user(format!("columns of type {other} cannot be written as text"))),
        })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Boolean(values) => values.is_null(row),
            Self::Tinyint(values) => values.is_null(row),
            Self::Smallint(values) => values.is_null(row),
            Self::Int(values) => values.is_null(row),
            Self::Bigint(values) => values.is_null(row),
            Self::Float(values) => values.is_null(row),
            Self::Double(values) => values.is_null(row),
            Self::Decimal(values) => values.is_null(row),
            Self::Text(values) => values.is_null(row),
            Self::Date(values) => values.is_null(row),
            Self::Time(values) => values.is_null(row),
            Self::Array(values, _) => values.is_null(row),
            Self::Map(values, _) => values.is_null(row),
            Self::Row(values, _) => values.is_null(row),
            Self::Null => true,
        }
    }

    /// Appends the plain text of a value.
    pub(super) fn write(&self, row: usize, out: &mut Vec<u8>) -> Result<Shape> {
        if self.is_null(row) {
            return Ok(Shape::Null);
        }
        match self {
            Self::Boolean(values) => write!(out, "{}", values.value(row))?,
            Self::Tinyint(values) => write!(out, "{}", values.value(row))?,
            Self::Smallint(values) => write!(out, "{}", values.value(row))?,
            Self::Int(values) => write!(out, "{}", values.value(row))?,
            Self::Bigint(values) => write!(out, "{}", values.value(row))?,
            Self::Float(values) => return float(values.value(row).into(), format_args!("{:?}", values.value(row)), out),
            Self::Double(values) => return float(values.value(row), format_args!("{:?}", values.value(row)), out),
            Self::Decimal(values) => decimal(values.value(row), values.scale(), out)?,
            Self::Text(values) => {
                out.extend_from_slice(values.value(row).as_bytes());
                return Ok(Shape::Text);
            }
            Self::Date(values) => {
                let midnight = Timestamp(i64::from(values.value(row)) * 86_400_000).to_string();
                out.extend_from_slice(midnight.split(' ').next().unwrap_or_default().as_bytes());
                return Ok(Shape::Time);
            }
            Self::Time(values) => {
                write!(out, "{}", Timestamp(values.value(row)))?;
                return Ok(Shape::Time);
            }
            Self::Array(..) | Self::Map(..) | Self::Row(..) => return Err(Error::bug("only JSON has arrays, maps and rows")),
            Self::Null => return Ok(Shape::Null),
        }
        Ok(Shape::Plain)
    }
}

/// Infinity and NaN are words.
fn float(value: f64, shown: std::fmt::Arguments<'_>, out: &mut Vec<u8>) -> Result<Shape> {
    if value.is_finite() {
        out.write_fmt(shown)?;
        return Ok(Shape::Plain);
    }
    let word = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    out.extend_from_slice(word.as_bytes());
    Ok(Shape::Text)
}

fn decimal(value: i128, scale: i8, out: &mut Vec<u8>) -> Result<()> {
    let scale = usize::try_from(scale).unwrap_or(0);
    if scale == 0 {
        return Ok(write!(out, "{value}")?);
    }
    let (sign, digits) = (if value < 0 { "-" } else { "" }, value.unsigned_abs());
    let unit = 10_u128.pow(scale as u32);
    Ok(write!(out, "{sign}{}.{:0scale$}", digits / unit, digits % unit)?)
}
