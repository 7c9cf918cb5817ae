//! Flink's types as Arrow's, and back.

use arrow_schema::{DataType, TimeUnit};
use datafusion_sql::sqlparser::ast::{DataType as Sql, ExactNumberInfo, TimezoneInfo};

/// The Arrow type of a type's text; the error says what is wrong with it.
pub(crate) fn arrow_type(sql: &Sql) -> Result<DataType, String> {
    Ok(match sql {
        Sql::Boolean | Sql::Bool => DataType::Boolean,
        Sql::TinyInt(None) => DataType::Int8,
        Sql::SmallInt(None) => DataType::Int16,
        Sql::Int(None) | Sql::Integer(None) => DataType::Int32,
        Sql::BigInt(None) => DataType::Int64,
        Sql::Float(ExactNumberInfo::None) => DataType::Float32,
        Sql::Double(ExactNumberInfo::None) | Sql::DoublePrecision => DataType::Float64,
        Sql::String(None) | Sql::Varchar(_) | Sql::Char(_) | Sql::Character(_) => DataType::Utf8,
        Sql::Bytes(None) | Sql::Varbinary(_) | Sql::Binary(_) => DataType::Binary,
        Sql::Date => DataType::Date32,
        Sql::Decimal(info) | Sql::Numeric(info) | Sql::Dec(info) => decimal(info)?,
        Sql::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => timestamp(*precision, false)?,
        Sql::Custom(name, arguments) if name.to_string().eq_ignore_ascii_case("TIMESTAMP_LTZ") => {
            let precision = arguments.first().map(|text| text.parse().map_err(|_| format!("'{text}' is no precision"))).transpose()?;
            timestamp(precision, true)?
        }
        other => return Err(format!("the type {other} is not supported")),
    })
}

fn decimal(info: &ExactNumberInfo) -> Result<DataType, String> {
    let (precision, scale) = match info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(precision) => (*precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (*precision, *scale),
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale >= 0 && scale as u8 <= precision => Ok(DataType::Decimal128(precision, scale)),
        _ => Err(format!("DECIMAL({precision}, {scale}) is not possible: the precision is 1 to 38, the scale 0 to the precision")),
    }
}

fn timestamp(precision: Option<u64>, local: bool) -> Result<DataType, String> {
    let zone = local.then(|| "UTC".into());
    match precision.unwrap_or(6) {
        0..=3 => Ok(DataType::Timestamp(TimeUnit::Millisecond, zone)),
        _ => Err("timestamps finer than milliseconds are not supported: declare TIMESTAMP(3)".to_owned()),
    }
}

/// How Flink writes a type.
pub(crate) fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "STRING".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Timestamp(_, None) => "TIMESTAMP(3)".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP_LTZ(3)".to_owned(),
        other => other.to_string(),
    }
}
