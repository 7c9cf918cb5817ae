//! How the type of a column is written: a tag and its parameters.

use super::super::gather::unsupported;
use crate::types::{Decoder, put_bytes, put_varint};
use arrow_array::types::{Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType, validate_decimal_precision_and_scale};
use arrow_schema::{DataType, Field, FieldRef, IntervalUnit, TimeUnit};
use brisk_base::Result;
use std::sync::Arc;

/// Tags of the types without parameters; the index is the tag. Part of the format: add, never change.
const PLAIN: [DataType; 20] = [
    DataType::Null,
    DataType::Boolean,
    DataType::Int8,
    DataType::Int16,
    DataType::Int32,
    DataType::Int64,
    DataType::UInt8,
    DataType::UInt16,
    DataType::UInt32,
    DataType::UInt64,
    DataType::Float16,
    DataType::Float32,
    DataType::Float64,
    DataType::Utf8,
    DataType::LargeUtf8,
    DataType::Utf8View,
    DataType::Binary,
    DataType::LargeBinary,
    DataType::BinaryView,
    DataType::Date32,
];

/// Tags of the others. Part of the format: add, never change.
mod tag {
    pub(super) const DATE_64: u8 = 20;
    pub(super) const TIME_32: u8 = 21;
    pub(super) const TIME_64: u8 = 22;
    pub(super) const TIMESTAMP: u8 = 23;
    pub(super) const DURATION: u8 = 24;
    pub(super) const INTERVAL: u8 = 25;
    pub(super) const DECIMAL_32: u8 = 26;
    pub(super) const DECIMAL_64: u8 = 27;
    pub(super) const DECIMAL_128: u8 = 28;
    pub(super) const DECIMAL_256: u8 = 29;
    pub(super) const FIXED_SIZE_BINARY: u8 = 30;
    pub(super) const LIST: u8 = 31;
    pub(super) const LARGE_LIST: u8 = 32;
    pub(super) const STRUCT: u8 = 33;
    pub(super) const MAP: u8 = 34;
    /// A type that cannot be encoded; its name follows.
    pub(super) const UNSUPPORTED: u8 = 255;
}

/// Appends a type. Metadata of fields is left out.
pub(in crate::batch::columns) fn put(data_type: &DataType, out: &mut Vec<u8>) {
    if let Some(tag) = PLAIN.iter().position(|plain| plain == data_type) {
        return out.push(tag as u8);
    }
    match data_type {
        DataType::Date64 => out.push(tag::DATE_64),
        DataType::Time32(unit) => out.extend([tag::TIME_32, unit_byte(*unit)]),
        DataType::Time64(unit) => out.extend([tag::TIME_64, unit_byte(*unit)]),
        DataType::Timestamp(unit, zone) => {
            out.extend([tag::TIMESTAMP, unit_byte(*unit), u8::from(zone.is_some())]);
            if let Some(zone) = zone {
                put_bytes(out, zone.as_bytes());
            }
        }
        DataType::Duration(unit) => out.extend([tag::DURATION, unit_byte(*unit)]),
        DataType::Interval(unit) => out.extend([tag::INTERVAL, interval_byte(*unit)]),
        DataType::Decimal32(precision, scale) => out.extend([tag::DECIMAL_32, *precision, *scale as u8]),
        DataType::Decimal64(precision, scale) => out.extend([tag::DECIMAL_64, *precision, *scale as u8]),
        DataType::Decimal128(precision, scale) => out.extend([tag::DECIMAL_128, *precision, *scale as u8]),
        DataType::Decimal256(precision, scale) => out.extend([tag::DECIMAL_256, *precision, *scale as u8]),
        DataType::FixedSizeBinary(width) => {
            out.push(tag::FIXED_SIZE_BINARY);
            out.extend_from_slice(&width.to_le_bytes());
        }
        DataType::List(field) => put_field(out, tag::LIST, field),
        DataType::LargeList(field) => put_field(out, tag::LARGE_LIST, field),
        DataType::Struct(fields) => {
            out.push(tag::STRUCT);
            put_varint(out, fields.len() as u64);
            fields.iter().for_each(|field| put_bare_field(out, field));
        }
        DataType::Map(entries, sorted) => {
            put_field(out, tag::MAP, entries);
            out.push(u8::from(*sorted));
        }
        other => {
            out.push(tag::UNSUPPORTED);
            put_bytes(out, other.to_string().as_bytes());
        }
    }
}

fn put_field(out: &mut Vec<u8>, tag: u8, field: &Field) {
    out.push(tag);
    put_bare_field(out, field);
}

fn put_bare_field(out: &mut Vec<u8>, field: &Field) {
    put_bytes(out, field.name().as_bytes());
    out.push(u8::from(field.is_nullable()));
    put(field.data_type(), out);
}

/// Reads a type.
pub(in crate::batch::columns) fn read(input: &mut Decoder<'_>) -> Result<DataType> {
    let tag = input.byte()?;
    if let Some(plain) = PLAIN.get(usize::from(tag)) {
        return Ok(plain.clone());
    }
    Ok(match tag {
        tag::DATE_64 => DataType::Date64,
        tag::TIME_32 => match unit(input)? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            other => return Err(input.corrupt(format!("a time of 32 bits has the unit {other:?}"))),
        },
        tag::TIME_64 => match unit(input)? {
            unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond) => DataType::Time64(unit),
            other => return Err(input.corrupt(format!("a time of 64 bits has the unit {other:?}"))),
        },
        tag::TIMESTAMP => {
            let unit = unit(input)?;
            DataType::Timestamp(unit, if flag(input)? { Some(input.text()?.into()) } else { None })
        }
        tag::DURATION => DataType::Duration(unit(input)?),
        tag::INTERVAL => DataType::Interval(interval(input)?),
        tag::DECIMAL_32 => decimal::<Decimal32Type>(input)?,
        tag::DECIMAL_64 => decimal::<Decimal64Type>(input)?,
        tag::DECIMAL_128 => decimal::<Decimal128Type>(input)?,
        tag::DECIMAL_256 => decimal::<Decimal256Type>(input)?,
        tag::FIXED_SIZE_BINARY => match i32::from_le_bytes(input.take_array()?) {
            width @ 0.. => DataType::FixedSizeBinary(width),
            width => return Err(input.corrupt(format!("bytes have the fixed width {width}"))),
        },
        tag::LIST => DataType::List(field(input)?),
        tag::LARGE_LIST => DataType::LargeList(field(input)?),
        tag::STRUCT => {
            let fields = (0..input.count()?).map(|_| field(input)).collect::<Result<Vec<_>>>()?;
            DataType::Struct(fields.into())
        }
        tag::MAP => {
            let entries = field(input)?;
            let is_pair = matches!(entries.data_type(), DataType::Struct(fields) if fields.len() == 2 && !fields[0].is_nullable());
            if !is_pair || entries.is_nullable() {
                return Err(input.corrupt(format!("a map has entries of type {}", entries.data_type())));
            }
            DataType::Map(entries, flag(input)?)
        }
        tag::UNSUPPORTED => return Err(unsupported(input.text()?)),
        other => return Err(input.corrupt(format!("column type {other} is unknown"))),
    })
}

fn field(input: &mut Decoder<'_>) -> Result<FieldRef> {
    input.nested(|input| {
        let (name, nullable) = (input.text()?.to_owned(), flag(input)?);
        Ok(Arc::new(Field::new(name, read(input)?, nullable)))
    })
}

fn decimal<T: DecimalType>(input: &mut Decoder<'_>) -> Result<DataType> {
    let [precision, scale] = input.take_array()?;
    let scale = scale as i8;
    match validate_decimal_precision_and_scale::<T>(precision, scale) {
        Ok(()) => Ok((T::TYPE_CONSTRUCTOR)(precision, scale)),
        Err(error) => Err(input.corrupt(error.to_string())),
    }
}

pub(super) fn flag(input: &mut Decoder<'_>) -> Result<bool> {
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(input.corrupt(format!("0 or 1 expected, found {other}"))),
    }
}

const fn unit_byte(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

fn unit(input: &mut Decoder<'_>) -> Result<TimeUnit> {
    Ok(match input.byte()? {
        0 => TimeUnit::Second,
        1 => TimeUnit::Millisecond,
        2 => TimeUnit::Microsecond,
        3 => TimeUnit::Nanosecond,
        other => return Err(input.corrupt(format!("time unit {other} is unknown"))),
    })
}

const fn interval_byte(unit: IntervalUnit) -> u8 {
    match unit {
        IntervalUnit::YearMonth => 0,
        IntervalUnit::DayTime => 1,
        IntervalUnit::MonthDayNano => 2,
    }
}

fn interval(input: &mut Decoder<'_>) -> Result<IntervalUnit> {
    Ok(match input.byte()? {
        0 => IntervalUnit::YearMonth,
        1 => IntervalUnit::DayTime,
        2 => IntervalUnit::MonthDayNano,
        other => return Err(input.corrupt(format!("interval unit {other} is unknown"))),
    })
}
