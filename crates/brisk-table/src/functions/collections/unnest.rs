//! `UNNEST(array or map) [WITH ORDINALITY]`: a row for each element. Elements that are rows become columns.

use super::access::field_of;
use super::elements::Elements;
use super::maps::entry_types;
use super::taken;
use crate::functions::{Argument, TableFunction, TableRows};
use crate::sql::{array_type, sql_type};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, Int32Array, ListArray};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(crate) struct Unnest {
    /// Whether the last column counts the elements, from 1.
    pub(crate) ordinality: bool,
}

impl TableFunction for Unnest {
    fn name(&self) -> &str {
        if self.ordinality { "unnest with ordinality" } else { "unnest" }
    }

    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::List(_) | DataType::Map(..)] => Ok(given.to_vec()),
            [other] => Err(Error::user(format!("UNNEST takes an array or a map, not a {}", sql_type(other)))),
            _ => Err(Error::user(format!("UNNEST takes one array or map, but {} are given", given.len()))),
        }
    }

    fn columns(&self, arguments: &[DataType]) -> Vec<(String, DataType)> {
        let named = |name: &str, data_type: &DataType| (name.to_owned(), data_type.clone());
        let mut columns: Vec<_> = match arguments.first() {
            Some(DataType::List(element)) => match element.data_type() {
                DataType::Struct(fields) => fields.iter().map(|field| named(field.name(), field.data_type())).collect(),
                other => vec![named("f0", other)],
            },
            Some(map) => entry_types(map).map_or_else(Vec::new, |(key, value)| vec![named("KEY", key), named("VALUE", value)]),
            None => Vec::new(),
        };
        if self.ordinality {
            columns.push(("ORDINALITY".to_owned(), DataType::Int32));
        }
        columns
    }

    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<TableRows> {
        let [argument] = arguments else { return Err(Error::bug("UNNEST has one argument")) };
        let lists = as_arrays(argument)?;
        let elements = Elements::new([(&lists, true)], false)?;
        let (mut of, mut places, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            for (number, place) in elements.array(0, row).into_iter().flatten().enumerate() {
                of.push(row as u32);
                places.push(Some(place));
                numbers.push(number as i32 + 1);
            }
        }
        let values = taken(&elements.values, &places)?;
        let mut columns = match values.as_struct_opt() {
            Some(rows) => rows.columns().iter().map(|column| field_of(rows, column)).collect::<Result<_>>()?,
            None => vec![values],
        };
        if self.ordinality {
            columns.push(Arc::new(Int32Array::from(numbers)) as ArrayRef);
        }
        Ok(TableRows { of, columns })
    }
}

/// Maps as arrays of their entries.
fn as_arrays(argument: &Argument) -> Result<Argument> {
    let Some(maps) = argument.values().as_map_opt() else { return Ok(argument.clone()) };
    let entries: ArrayRef = Arc::new(maps.entries().clone());
    let DataType::List(field) = array_type(entries.data_type().clone()) else { return Err(Error::bug("arrays are lists")) };
    let lists = ListArray::try_new(field, maps.offsets().clone(), entries, maps.nulls().cloned());
    let lists = lists.map_err(|error| Error::bug(format!("entries of maps make no array: {error}")))?;
    Ok(Argument::new(Arc::new(lists), argument.is_constant()))
}
