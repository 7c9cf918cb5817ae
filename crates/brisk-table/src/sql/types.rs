//! Flink's types as Arrow's, and back.

use arrow_schema::{DataType, Field, TimeUnit};
use datafusion_sql::sqlparser::ast::{ArrayElemTypeDef, DataType as Sql, ExactNumberInfo, StructField, TimezoneInfo};
use std::sync::Arc;

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
        Sql::Array(ArrayElemTypeDef::AngleBracket(element)) => array_type(arrow_type(element)?),
        Sql::Map(key, value) => map_type(arrow_type(key)?, arrow_type(value)?),
        Sql::Struct(fields, _) => row_of(fields)?,
        other => return Err(format!("the type {other} is not supported")),
    })
}

/// The type of arrays.
pub(crate) fn array_type(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", element, true)))
}

/// The type of maps. Their keys are never null.
pub(crate) fn map_type(key: DataType, value: DataType) -> DataType {
    let fields = vec![Field::new("key", key, false), Field::new("value", value, true)];
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields.into()), false)), false)
}

/// The type of rows.
pub(crate) fn row_type(fields: impl IntoIterator<Item = (String, DataType)>) -> DataType {
    DataType::Struct(fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect())
}

fn row_of(fields: &[StructField]) -> Result<DataType, String> {
    let mut known: Vec<(String, DataType)> = Vec::new();
    for field in fields {
        let name = field.field_name.as_ref().map(|name| name.value.clone()).unwrap_or_default();
        if known.iter().any(|(other, _)| *other == name) {
            return Err(format!("there are two fields named '{name}' in a row"));
        }
        known.push((name, arrow_type(&field.field_type)?));
    }
    Ok(row_type(known))
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
        DataType::List(element) => format!("ARRAY<{}>", sql_type(element.data_type())),
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| format!("`{}` {}", field.name(), sql_type(field.data_type()));
            format!("ROW<{}>", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(entry) if entry.len() == 2 => {
                format!("MAP<{}, {}>", sql_type(entry[0].data_type()), sql_type(entry[1].data_type()))
            }
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}
