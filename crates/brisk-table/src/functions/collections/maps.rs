//! Functions of maps, and the constructor of rows.

use super::arrays::{ArrayJoin, Split, common_type};
use super::elements::{Elements, arrays_of};
use super::per_row;
use crate::functions::string::expect_count;
use crate::functions::{Argument, Functions, ScalarFunction};
use crate::sql::{array_type, map_type, row_type, sql_type};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use std::sync::Arc;

pub(super) fn register(functions: &mut Functions) {
    functions.register(ArrayJoin);
    functions.register(Split);
    functions.register(NewRow);
    functions.register(NewMap);
    functions.register(MapFromArrays);
    [Part::Keys, Part::Values, Part::Entries].into_iter().for_each(|part| functions.register(MapPart(part)));
}

/// Keys and values of a type of maps.
pub(super) fn entry_types(data_type: &DataType) -> Option<(&DataType, &DataType)> {
    let DataType::Map(entries, _) = data_type else { return None };
    let DataType::Struct(fields) = entries.data_type() else { return None };
    let [key, value] = &**fields else { return None };
    Some((key.data_type(), value.data_type()))
}

/// Maps of keys and values at these places; `None` is null. Of a key that is there twice, the last counts.
fn maps_of(name: &str, keys: &Elements<'_>, values: &Elements<'_>, maps: &[Option<Vec<(u32, u32)>>]) -> Result<ArrayRef> {
    let mut kept = Vec::new();
    for map in maps {
        let Some(entries) = map else {
            kept.push(None);
            continue;
        };
        if entries.iter().any(|(key, _)| keys.is_null(*key)) {
            return Err(Error::user(format!("{name}: a key of a map is null")));
        }
        let mut once: Vec<(u32, u32)> = Vec::new();
        for (key, value) in entries {
            match once.iter_mut().find(|(known, _)| keys.key(*known) == keys.key(*key)) {
                Some(known) => known.1 = *value,
                None => once.push((*key, *value)),
            }
        }
        kept.push(Some(once));
    }
    let part = |of: fn(&(u32, u32)) -> u32| kept.iter().map(|map| map.as_ref().map(|map| map.iter().map(of).collect())).collect::<Vec<_>>();
    let key_lists = arrays_of(&keys.values, &part(|entry| entry.0))?;
    let value_lists = arrays_of(&values.values, &part(|entry| entry.1))?;
    let (key_lists, value_lists) = (key_lists.as_list::<i32>(), value_lists.as_list::<i32>());
    map_array(key_lists.offsets().clone(), [key_lists.values(), value_lists.values()], key_lists.nulls().cloned())
}

/// A column of maps.
pub(super) fn map_array(
    offsets: arrow_buffer::OffsetBuffer<i32>,
    [keys, values]: [&ArrayRef; 2],
    nulls: Option<arrow_buffer::NullBuffer>,
) -> Result<ArrayRef> {
    let data_type = map_type(keys.data_type().clone(), values.data_type().clone());
    let DataType::Map(entries, sorted) = data_type else { return Err(Error::bug("the type of maps is a map")) };
    let DataType::Struct(fields) = entries.data_type() else { return Err(Error::bug("entries of maps are rows")) };
    let pairs = StructArray::try_new(fields.clone(), vec![ArrayRef::clone(keys), ArrayRef::clone(values)], None);
    let made = pairs.and_then(|pairs| MapArray::try_new(entries, offsets, pairs, nulls, sorted));
    made.map(|maps| Arc::new(maps) as ArrayRef).map_err(|error| Error::user(format!("keys and values make no map: {error}")))
}

/// `MAP[key, value, ...]`.
#[derive(Debug)]
struct NewMap;

impl ScalarFunction for NewMap {
    fn name(&self) -> &str {
        "map"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if given.is_empty() || !given.len().is_multiple_of(2) {
            return Err(Error::user(format!("MAP[key, value, ...] takes pairs, but {} values are given", given.len())));
        }
        let common = |of: &[&DataType], what: &str| {
            let all = of.iter().try_fold(DataType::Null, |one, two| common_type(&one, two));
            all.ok_or_else(|| Error::user(format!("the {what} of MAP[key, value, ...] have different types: cast them")))
        };
        let (keys, values): (Vec<_>, Vec<_>) = given.chunks(2).map(|entry| (&entry[0], &entry[1])).unzip();
        let (key, value) = (common(&keys, "keys")?, common(&values, "values")?);
        Ok((0..given.len()).map(|argument| if argument % 2 == 0 { key.clone() } else { value.clone() }).collect())
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        match arguments {
            [key, value, ..] => map_type(key.clone(), value.clone()),
            _ => DataType::Null,
        }
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let keys = Elements::new(arguments.iter().step_by(2).map(|key| (key, false)), true)?;
        let values = Elements::new(arguments.iter().skip(1).step_by(2).map(|value| (value, false)), false)?;
        let map = |row: usize| Some((0..keys.count()).map(|entry| (keys.single(entry, row), values.single(entry, row))).collect());
        maps_of("MAP[...]", &keys, &values, &(0..rows).map(map).collect::<Vec<_>>())
    }
}

/// `MAP_FROM_ARRAYS(keys, values)`.
#[derive(Debug)]
struct MapFromArrays;

impl ScalarFunction for MapFromArrays {
    fn name(&self) -> &str {
        "map_from_arrays"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let usage = "MAP_FROM_ARRAYS(keys, values)";
        expect_count(self.name(), given, usage, 2..=2)?;
        match given.iter().find(|given| !matches!(given, DataType::List(_))) {
            None => Ok(given.to_vec()),
            Some(DataType::Null) => Err(Error::user(format!("{usage}: cast NULL to an array"))),
            Some(other) => Err(Error::user(format!("{usage} takes arrays, not {}", sql_type(other)))),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        match arguments {
            [DataType::List(key), DataType::List(value)] => map_type(key.data_type().clone(), value.data_type().clone()),
            _ => DataType::Null,
        }
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let keys = Elements::new([(&arguments[0], true)], true)?;
        let values = Elements::new([(&arguments[1], true)], false)?;
        let map = |row: usize| match (keys.array(0, row), values.array(0, row)) {
            (Some(keys), Some(values)) if keys.len() == values.len() => Ok(Some(keys.zip(values).collect())),
            (Some(keys), Some(values)) => {
                let text = format!("MAP_FROM_ARRAYS: there are {} keys, but {} values", keys.len(), values.len());
                Err(Error::user(text))
            }
            _ => Ok(None),
        };
        maps_of("MAP_FROM_ARRAYS", &keys, &values, &(0..rows).map(map).collect::<Result<Vec<_>>>()?)
    }
}

/// Which part of a map.
#[derive(Clone, Copy, Debug)]
enum Part {
    Keys,
    Values,
    Entries,
}

/// `MAP_KEYS(map)`, `MAP_VALUES(map)`, `MAP_ENTRIES(map)`.
#[derive(Debug)]
struct MapPart(Part);

impl ScalarFunction for MapPart {
    fn name(&self) -> &str {
        match self.0 {
            Part::Keys => "map_keys",
            Part::Values => "map_values",
            Part::Entries => "map_entries",
        }
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let usage = format!("{}(map)", self.name().to_uppercase());
        expect_count(self.name(), given, &usage, 1..=1)?;
        match &given[0] {
            DataType::Map(..) => Ok(given.to_vec()),
            other => Err(Error::user(format!("{usage} takes a map, not a {}", sql_type(other)))),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        let Some((key, value)) = arguments.first().and_then(entry_types) else { return DataType::Null };
        array_type(match self.0 {
            Part::Keys => key.clone(),
            Part::Values => value.clone(),
            Part::Entries => row_type([("key".to_owned(), key.clone()), ("value".to_owned(), value.clone())]),
        })
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let maps = arguments[0].values().as_map();
        let elements: ArrayRef = match self.0 {
            Part::Keys => ArrayRef::clone(maps.keys()),
            Part::Values => ArrayRef::clone(maps.values()),
            Part::Entries => {
                let [key, value] = [maps.keys(), maps.values()];
                let fields = row_type([("key".to_owned(), key.data_type().clone()), ("value".to_owned(), value.data_type().clone())]);
                let DataType::Struct(fields) = fields else { return Err(Error::bug("rows are structs")) };
                let made = StructArray::try_new(fields, vec![ArrayRef::clone(key), ArrayRef::clone(value)], None);
                Arc::new(made.map_err(|error| Error::bug(format!("entries make no rows: {error}")))?)
            }
        };
        let DataType::List(field) = array_type(elements.data_type().clone()) else { return Err(Error::bug("arrays are lists")) };
        let lists = ListArray::try_new(field, maps.offsets().clone(), elements, maps.nulls().cloned());
        let lists: ArrayRef = Arc::new(lists.map_err(|error| Error::bug(format!("parts of maps make no array: {error}")))?);
        per_row(&Argument::new(lists, arguments[0].is_constant()), rows)
    }
}

/// `ROW(value, ...)`.
#[derive(Debug)]
struct NewRow;

impl ScalarFunction for NewRow {
    fn name(&self) -> &str {
        "row"
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        expect_count(self.name(), given, "ROW(value, ...)", 1..=usize::MAX)?;
        Ok(given.to_vec())
    }

    fn return_type(&self, arguments: &[DataType]) -> DataType {
        row_type(arguments.iter().enumerate().map(|(index, data_type)| (format!("EXPR${index}"), data_type.clone())))
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
        let columns = arguments.iter().map(|argument| per_row(argument, rows)).collect::<Result<Vec<_>>>()?;
        let types: Vec<_> = columns.iter().map(|column| column.data_type().clone()).collect();
        let DataType::Struct(fields) = self.return_type(&types) else { return Err(Error::bug("rows are structs")) };
        let made = StructArray::try_new(fields, columns, None);
        made.map(|rows| Arc::new(rows) as ArrayRef).map_err(|error| Error::bug(format!("values make no row: {error}")))
    }
}
