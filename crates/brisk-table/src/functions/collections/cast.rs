//! CAST from and to arrays, maps and rows: part by part, those of rows by their places. As text they look as Flink shows them.

use super::maps::map_array;
use crate::cell::cells;
use crate::sql::{array_type, sql_type};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, StringArray, StructArray};
use arrow_cast::CastOptions;
use arrow_schema::{DataType, FieldRef};
use brisk_base::{Error, Result};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::{ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use std::sync::Arc;

/// Whether a cast between these types is one of ours.
pub(crate) fn is_cast(from: &DataType, to: &DataType) -> bool {
    from != to && !from.is_null() && (is_nested(from) || is_nested(to))
}

const fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::Map(..) | DataType::Struct(_))
}

/// An expression of one type as one of the other.
///
/// # Errors
/// When there is no such cast.
pub(crate) fn casted(expression: Expr, from: &DataType, to: &DataType, is_safe: bool) -> datafusion_common::Result<Expr> {
    if !can_cast(from, to) {
        return Err(DataFusionError::Plan(format!("a {} cannot be cast to {}", sql_type(from), sql_type(to))));
    }
    let name = format!("{}CAST AS {}", if is_safe { "TRY_" } else { "" }, sql_type(to));
    let cast = Cast { name, to: to.clone(), is_safe, signature: Signature::any(1, Volatility::Immutable) };
    Ok(ScalarUDF::new_from_impl(cast).call(vec![expression]))
}

fn can_cast(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        _ if from == to || from.is_null() => true,
        (DataType::List(from), DataType::List(to)) | (DataType::Map(from, _), DataType::Map(to, _)) => {
            can_cast(from.data_type(), to.data_type())
        }
        (DataType::Struct(from), DataType::Struct(to)) => {
            from.len() == to.len() && from.iter().zip(to).all(|(from, to)| can_cast(from.data_type(), to.data_type()))
        }
        (_, DataType::Utf8) if is_nested(from) => true,
        _ if is_nested(from) || is_nested(to) => false,
        _ => arrow_cast::can_cast_types(from, to),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Cast {
    name: String,
    to: DataType,
    /// Whether what cannot be cast is null.
    is_safe: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Cast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> datafusion_common::Result<DataType> {
        Ok(self.to.clone())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs<'_>) -> datafusion_common::Result<FieldRef> {
        Ok(Arc::new(arrow_schema::Field::new(&self.name, self.to.clone(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> datafusion_common::Result<ColumnarValue> {
        let cast = |values: &ArrayRef| cast(values, &self.to, self.is_safe).map_err(|error| DataFusionError::Execution(error.to_string()));
        match args.args.first() {
            Some(ColumnarValue::Array(values)) => cast(values).map(ColumnarValue::Array),
            Some(ColumnarValue::Scalar(value)) => ScalarValue::try_from_array(&cast(&value.to_array()?)?, 0).map(ColumnarValue::Scalar),
            None => Err(DataFusionError::Internal("a cast has an argument".to_owned())),
        }
    }
}

/// Values as those of another type.
fn cast(values: &ArrayRef, to: &DataType, is_safe: bool) -> Result<ArrayRef> {
    let wrong = |error: arrow_schema::ArrowError| Error::user(format!("a value cannot be cast to {}: {error}", sql_type(to)));
    match (values.data_type(), to) {
        (from, to) if from == to => Ok(ArrayRef::clone(values)),
        (DataType::List(_), DataType::List(element)) => {
            let lists = values.as_list::<i32>();
            let elements = cast(lists.values(), element.data_type(), is_safe)?;
            let DataType::List(field) = array_type(element.data_type().clone()) else { return Err(Error::bug("arrays are lists")) };
            let made = ListArray::try_new(field, lists.offsets().clone(), elements, lists.nulls().cloned());
            made.map(|lists| Arc::new(lists) as ArrayRef).map_err(wrong)
        }
        (DataType::Map(..), DataType::Map(entries, _)) => {
            let (maps, DataType::Struct(fields)) = (values.as_map(), entries.data_type()) else {
                return Err(Error::bug("maps have entries"));
            };
            let keys = cast(maps.keys(), fields[0].data_type(), is_safe)?;
            let parts = cast(maps.values(), fields[1].data_type(), is_safe)?;
            map_array(maps.offsets().clone(), [&keys, &parts], maps.nulls().cloned())
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let rows = values.as_struct();
            let columns = rows.columns().iter().zip(fields).map(|(column, field)| cast(column, field.data_type(), is_safe));
            let made = StructArray::try_new(fields.clone(), columns.collect::<Result<_>>()?, rows.nulls().cloned());
            made.map(|rows| Arc::new(rows) as ArrayRef).map_err(wrong)
        }
        (from, DataType::Utf8) if is_nested(from) => {
            let texts = cells(values)?;
            let texts = texts.iter().enumerate().map(|(row, cell)| values.is_valid(row).then(|| cell.to_string()));
            Ok(Arc::new(texts.collect::<StringArray>()))
        }
        _ => arrow_cast::cast_with_options(values, to, &CastOptions { safe: is_safe, ..CastOptions::default() }).map_err(wrong),
    }
}
