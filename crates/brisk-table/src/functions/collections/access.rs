//! Elements of arrays and maps, `a[1]` and `m['k']`, and fields of rows, `r.f`.

use super::elements::Elements;
use super::maps::entry_types;
use super::{Argument, ScalarFunction, is_null, taken};
use crate::functions::adapter::adapt;
use crate::sql::{array_type, sql_type};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, ListArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use datafusion_common::{DataFusionError, ScalarValue};
use datafusion_expr::Expr;
use std::sync::Arc;

/// `collection[key]`, for a collection of this type.
///
/// # Errors
/// When it is none, or the key is a number that no element has.
pub(crate) fn item(collection: Expr, data_type: &DataType, key: Expr) -> datafusion_common::Result<Expr> {
    match (data_type, &key) {
        (DataType::List(_), Expr::Literal(ScalarValue::Int64(Some(index)), _)) if *index < 1 => {
            Err(DataFusionError::Plan(format!("the elements of an array are counted from 1, but {index} is asked for")))
        }
        (DataType::List(_) | DataType::Map(..), _) => Ok(adapt(Arc::new(Item)).call(vec![collection, key])),
        (DataType::Struct(_), Expr::Literal(ScalarValue::Utf8(Some(name)), _)) => field(collection, data_type, name),
        (other, _) => {
            Err(DataFusionError::Plan(format!("{collection} is a {}, which has no elements: only arrays and maps have", sql_type(other))))
        }
    }
}

/// The field of this name of a row of this type.
///
/// # Errors
/// When it is no row, or has no such field.
pub(crate) fn field(row: Expr, data_type: &DataType, name: &str) -> datafusion_common::Result<Expr> {
    let DataType::Struct(fields) = data_type else {
        return Err(DataFusionError::Plan(format!("{row} is a {}, which has no fields: only rows have", sql_type(data_type))));
    };
    if fields.find(name).is_none() {
        let known: Vec<_> = fields.iter().map(|field| field.name().as_str()).collect();
        let nearest = crate::sql::nearest(name, known.iter().copied()).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        return Err(DataFusionError::Plan(format!("{row} has no field '{name}', but {}{nearest}", known.join(", "))));
    }
    let function = FieldOf { field: name.to_owned(), name: format!(".{name}") };
    Ok(adapt(Arc::new(function)).call(vec![row]))
}

/// See [`field`].
#[derive(Debug)]
struct FieldOf {
    field: String,
    /// The name of the function: functions are told apart by it.
    name: String,
}

impl ScalarFunction for FieldOf {
    fn name(&self) -> &str {
        &self.name
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(given.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        match arguments {
            [DataType::Struct(fields)] => fields.find(&self.field).map_or(DataType::Null, |(_, field)| field.data_type().clone()),
            _ => DataType::Null,
        }
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let values = arguments[0].values().as_struct();
        let missing = || Error::bug(format!("a row has lost its field '{}'", self.field));
        let column = field_of(values, values.column_by_name(&self.field).ok_or_else(missing)?)?;
        super::per_row(&Argument::new(column, arguments[0].is_constant()), rows)
    }
}

/// A field of rows. Where the row is null, so is its field.
pub(super) fn field_of(rows: &StructArray, column: &ArrayRef) -> Result<ArrayRef> {
    if column.data_type().is_null() || rows.null_count() == 0 {
        return Ok(ArrayRef::clone(column));
    }
    let data = column.to_data().into_builder().nulls(NullBuffer::union(rows.nulls(), column.nulls())).build();
    data.map(arrow_array::make_array).map_err(|error| Error::bug(format!("a field of a row is damaged: {error}")))
}

/// See [`item`].
#[derive(Debug)]
struct Item;

impl ScalarFunction for Item {
    fn name(&self) -> &str {
        "item"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::List(_), index] if index.is_integer() || index.is_null() => Ok(vec![given[0].clone(), DataType::Int64]),
            [DataType::List(_), other] => {
                Err(Error::user(format!("an element of an array is asked for by a {}: take a number", sql_type(other))))
            }
            [map, _] => match entry_types(map) {
                Some((key, _)) => Ok(vec![map.clone(), key.clone()]),
                None => Err(Error::user(format!("a {} has no elements", sql_type(map)))),
            },
            _ => Err(Error::bug("an element is asked for by one key")),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        match arguments.first() {
            Some(DataType::List(element)) => element.data_type().clone(),
            Some(map) => entry_types(map).map_or(DataType::Null, |(_, value)| value.clone()),
            None => DataType::Null,
        }
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let [collection, key] = arguments else { return Err(Error::bug("an element is asked for by one key")) };
        if matches!(collection.values().data_type(), DataType::Map(..)) {
            return value_of(collection, key, rows);
        }
        let elements = Elements::new([(collection, true)], false)?;
        let indexes = key.values().as_primitive::<Int64Type>();
        let place = |row: usize| {
            let index = if is_null(key, row) { 0 } else { indexes.value(if key.is_constant() { 0 } else { row }) };
            let mut places = elements.array(0, row)?;
            usize::try_from(index.checked_sub(1)?).ok().and_then(|skipped| places.nth(skipped))
        };
        taken(&elements.values, &(0..rows).map(place).collect::<Vec<_>>())
    }
}

/// The values of a key in maps.
fn value_of(maps: &Argument, key: &Argument, rows: usize) -> Result<ArrayRef> {
    let map = maps.values().as_map();
    let DataType::List(field) = array_type(map.keys().data_type().clone()) else { return Err(Error::bug("arrays are lists")) };
    let keys = ListArray::try_new(field, map.offsets().clone(), ArrayRef::clone(map.keys()), map.nulls().cloned());
    let keys = keys.map_err(|error| Error::bug(format!("keys of maps make no array: {error}")))?;
    let keys = Argument::new(Arc::new(keys), maps.is_constant());
    let elements = Elements::new([(&keys, true), (key, false)], true)?;
    let place = |row: usize| {
        let wanted = elements.key(elements.single(1, row));
        // The last one counts, as where the map was made.
        elements.array(0, row)?.rev().find(|place| elements.key(*place) == wanted)
    };
    taken(map.values(), &(0..rows).map(place).collect::<Vec<_>>())
}
