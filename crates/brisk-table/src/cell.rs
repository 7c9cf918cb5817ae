//! Single values of columns, for people and tests. Operators never make any.

use crate::functions::civil;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result, Timestamp};
use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;

/// One value of one row. Floating point numbers are compared by their bits, in IEEE's total order.
#[derive(Clone, Debug)]
pub enum Cell {
    /// No value.
    Null,
    /// A truth value.
    Boolean(bool),
    /// Any whole number.
    Integer(i128),
    /// Any floating point number.
    Float(f64),
    /// Text, also that of a decimal number.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A date, as days since 1970.
    Date(i32),
    /// An array.
    Array(Vec<Self>),
    /// Keys and values.
    Map(Vec<(Self, Self)>),
    /// A row within the row.
    Row(Vec<Self>),
}

impl Cell {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Integer(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
            Self::Bytes(_) => 5,
            Self::Timestamp(_) => 6,
            Self::Date(_) => 7,
            Self::Array(_) => 8,
            Self::Map(_) => 9,
            Self::Row(_) => 10,
        }
    }
}

impl Ord for Cell {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(one), Self::Boolean(two)) => one.cmp(two),
            (Self::Integer(one), Self::Integer(two)) => one.cmp(two),
            (Self::Float(one), Self::Float(two)) => one.total_cmp(two),
            (Self::Text(one), Self::Text(two)) => one.cmp(two),
            (Self::Bytes(one), Self::Bytes(two)) => one.cmp(two),
            (Self::Timestamp(one), Self::Timestamp(two)) => one.cmp(two),
            (Self::Date(one), Self::Date(two)) => one.cmp(two),
            (Self::Array(one), Self::Array(two)) | (Self::Row(one), Self::Row(two)) => one.cmp(two),
            (Self::Map(one), Self::Map(two)) => one.cmp(two),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Cell {}

impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl fmt::Display for Cell {
    /// As Flink casts values to text: `null`, `true`, `7`, `1.5`, `EWR`, `x'00ff'`, `2013-01-01 05:00:00`, `2013-01-01`, `[1, NULL]`,
    /// `{a=1}`, `(1, EWR)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Text(value) => f.write_str(value),
            Self::Bytes(value) => {
                f.write_str("x'")?;
                value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
            Self::Timestamp(value) => write!(f, "{value}"),
            Self::Date(days) => {
                let (year, month, day) = civil(i64::from(*days));
                write!(f, "{year:04}-{month:02}-{day:02}")
            }
            Self::Array(cells) => list(f, ["[", "]"], cells.iter().map(Part)),
            Self::Row(cells) => list(f, ["(", ")"], cells.iter().map(Part)),
            Self::Map(entries) => list(f, ["{", "}"], entries.iter().map(|(key, value)| Entry(Part(key), Part(value)))),
        }
    }
}

/// Parts between brackets.
pub(crate) fn list(f: &mut fmt::Formatter<'_>, [open, close]: [&str; 2], parts: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
    f.write_str(open)?;
    for (index, part) in parts.enumerate() {
        write!(f, "{}{part}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(close)
}

/// A part of a value.
struct Part<'a>(&'a Cell);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cell::Null => f.write_str("NULL"),
            cell => cell.fmt(f),
        }
    }
}

/// An entry of a map.
pub(crate) struct Entry<T>(pub(crate) T, pub(crate) T);

impl<T: fmt::Display> fmt::Display for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.0, self.1)
    }
}

/// The values of a column.
///
/// # Errors
/// When the column has a type that cannot be shown.
pub fn cells(column: &ArrayRef) -> Result<Vec<Cell>> {
    let text = |value: Option<&str>| value.into();
    let bytes = |value: Option<&[u8]>| value.map_or(Cell::Null, |value| Cell::Bytes(value.to_vec()));
    Ok(match column.data_type() {
        DataType::Null => vec![Cell::Null; column.len()],
        DataType::Boolean => column.as_boolean().iter().map(|value| value.map_or(Cell::Null, Cell::Boolean)).collect(),
        DataType::Int8 => numbers::<Int8Type>(column, |value| i64::from(value).into()),
        DataType::Int16 => numbers::<Int16Type>(column, |value| i64::from(value).into()),
        DataType::Int32 => numbers::<Int32Type>(column, |value| i64::from(value).into()),
        DataType::Int64 => numbers::<Int64Type>(column, Cell::from),
        DataType::UInt8 => numbers::<UInt8Type>(column, |value| i64::from(value).into()),
        DataType::UInt16 => numbers::<UInt16Type>(column, |value| i64::from(value).into()),
        DataType::UInt32 => numbers::<UInt32Type>(column, |value| i64::from(value).into()),
        DataType::UInt64 => numbers::<UInt64Type>(column, |value| Cell::Integer(value.into())),
        DataType::Float32 => numbers::<Float32Type>(column, |value| f64::from(value).into()),
        DataType::Float64 => numbers::<Float64Type>(column, Cell::from),
        DataType::Date32 => numbers::<Date32Type>(column, Cell::Date),
        DataType::Timestamp(TimeUnit::Second, _) => {
            numbers::<TimestampSecondType>(column, |value| Cell::Timestamp(Timestamp(value.saturating_mul(1000))))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            numbers::<TimestampMillisecondType>(column, |value| Cell::Timestamp(Timestamp(value)))
        }
        DataType::Decimal128(..) => {
            let decimals = column.as_primitive::<Decimal128Type>();
            let value = |row| if decimals.is_valid(row) { Cell::Text(decimals.value_as_string(row)) } else { Cell::Null };
            (0..decimals.len()).map(value).collect()
        }
        DataType::Utf8 => column.as_string::<i32>().iter().map(text).collect(),
        DataType::LargeUtf8 => column.as_string::<i64>().iter().map(text).collect(),
        DataType::Utf8View => column.as_string_view().iter().map(text).collect(),
        DataType::Binary => column.as_binary::<i32>().iter().map(bytes).collect(),
        DataType::LargeBinary => column.as_binary::<i64>().iter().map(bytes).collect(),
        DataType::BinaryView => column.as_binary_view().iter().map(bytes).collect(),
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let elements = cells(lists.values())?;
            let array = |range: Range<usize>| Cell::Array(elements[range].to_vec());
            between(column, lists.value_offsets(), array)
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let entries: Vec<_> = cells(maps.keys())?.into_iter().zip(cells(maps.values())?).collect();
            between(column, maps.value_offsets(), |range| Cell::Map(entries[range].to_vec()))
        }
        DataType::Struct(_) => {
            let fields = column.as_struct().columns().iter().map(cells).collect::<Result<Vec<_>>>()?;
            let value = |row: usize| Cell::Row(fields.iter().map(|field| field[row].clone()).collect());
            (0..column.len()).map(|row| if column.is_valid(row) { value(row) } else { Cell::Null }).collect()
        }
        other => return Err(Error::user(format!("values of type {other} cannot be shown yet: cast the column to text"))),
    })
}

/// Values that lie between offsets.
fn between(column: &ArrayRef, offsets: &[i32], value: impl Fn(Range<usize>) -> Cell) -> Vec<Cell> {
    let value = |row: usize| value(offsets[row] as usize..offsets[row + 1] as usize);
    (0..column.len()).map(|row| if column.is_valid(row) { value(row) } else { Cell::Null }).collect()
}

fn numbers<T: ArrowPrimitiveType>(column: &ArrayRef, cell: impl Fn(T::Native) -> Cell) -> Vec<Cell> {
    column.as_primitive::<T>().iter().map(|value| value.map_or(Cell::Null, &cell)).collect()
}
