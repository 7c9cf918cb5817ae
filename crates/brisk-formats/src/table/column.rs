//! A column that is filled with values given as text.

use super::nested::NestedColumn;
use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder, Int32Builder,
    Int64Builder, StringBuilder, TimestampMillisecondBuilder,
};
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result, Timestamp};
use std::sync::Arc;

/// A column in the making.
pub(crate) enum Column {
    Boolean(BooleanBuilder),
    Tinyint(Int8Builder),
    Smallint(Int16Builder),
    Int(Int32Builder),
    Bigint(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Decimal(Decimal128Builder, i8),
    Text(StringBuilder),
    Date(Date32Builder),
    Time(TimestampMillisecondBuilder),
    /// Arrays, maps and rows, which only JSON has.
    Nested(Box<NestedColumn>),
}

/// Calls something that all builders have.
macro_rules! each {
    ($column:expr, $builder:ident => $do:expr, $nested:ident => $other:expr) => {
        match $column {
            Column::Boolean($builder) => $do,
            Column::Tinyint($builder) => $do,
            Column::Smallint($builder) => $do,
            Column::Int($builder) => $do,
            Column::Bigint($builder) => $do,
            Column::Float($builder) => $do,
            Column::Double($builder) => $do,
            Column::Decimal($builder, _) => $do,
            Column::Text($builder) => $do,
            Column::Date($builder) => $do,
            Column::Time($builder) => $do,
            Column::Nested($nested) => $other,
        }
    };
}

/// Adds a number, or says that it is none.
macro_rules! parsed {
    ($builder:expr, $text:expr) => {
        match $text.parse() {
            Ok(value) => {
                $builder.append_value(value);
                true
            }
            Err(_) => false,
        }
    };
}

impl Column {
    pub(crate) fn new(data_type: &DataType) -> Result<Self> {
        Ok(match data_type {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Tinyint(Int8Builder::new()),
            DataType::Int16 => Self::Smallint(Int16Builder::new()),
            DataType::Int32 => Self::Int(Int32Builder::new()),
            DataType::Int64 => Self::Bigint(Int64Builder::new()),
            DataType::Float32 => Self::Float(Float32Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Decimal128(_, scale) => Self::Decimal(Decimal128Builder::new().with_data_type(data_type.clone()), *scale),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Millisecond, zone) => {
                Self::Time(TimestampMillisecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            other => match NestedColumn::of(other)? {
                Some(nested) => Self::Nested(Box::new(nested)),
                None => return Err(Error::user(format!("columns of type {other} cannot be read from text"))),
            },
        })
    }

    pub(crate) fn push_null(&mut self) {
        each!(self, builder => builder.append_null(), nested => nested.push_null());
    }

    /// Adds a field; false when it is no value of the column's type.
    pub(crate) fn push(&mut self, field: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(field) else { return false };
        if let Self::Text(builder) = self {
            builder.append_value(text);
            return true;
        }
        let text = text.trim();
        if text.is_empty() {
            self.push_null();
            return true;
        }
        match self {
            Self::Boolean(builder) => parsed!(builder, text.to_ascii_lowercase()),
            Self::Tinyint(builder) => parsed!(builder, text),
            Self::Smallint(builder) => parsed!(builder, text),
            Self::Int(builder) => parsed!(builder, text),
            Self::Bigint(builder) => parsed!(builder, text),
            Self::Float(builder) => parsed!(builder, text),
            Self::Double(builder) => parsed!(builder, text),
            Self::Decimal(builder, scale) => decimal(text, *scale).map(|value| builder.append_value(value)).is_some(),
            Self::Date(builder) => day(text).map(|day| builder.append_value(day)).is_some(),
            Self::Time(builder) => Timestamp::parse(text).map(|time| builder.append_value(time.0)).is_some(),
            Self::Text(_) => true,
            Self::Nested(_) => false,
        }
    }

    pub(crate) fn finish(&mut self) -> ArrayRef {
        each!(self, builder => Arc::new(builder.finish()), nested => nested.finish())
    }
}

/// `2015-07-15` as days since 1970.
fn day(text: &str) -> Option<i32> {
    let midnight = Timestamp::parse(&format!("{text} 00:00:00"))?;
    i32::try_from(midnight.0.div_euclid(86_400_000)).ok()
}

/// A decimal number as a whole number of units of its scale; further digits are rounded half up.
fn decimal(text: &str, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.len() + fraction.len() == 0 || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let mut value = 0_i128;
    for digit in whole.bytes().chain(fraction.bytes().chain(std::iter::repeat(b'0')).take(scale)) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    value += i128::from(fraction.as_bytes().get(scale).is_some_and(|digit| *digit >= b'5'));
    Some(if negative { -value } else { value })
}
