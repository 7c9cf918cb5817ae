//! What the arguments of a call hold, as one column: functions give the places of the values that they choose.

use crate::functions::Argument;
use crate::operators::row::{ColumnKey, RowKey};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, new_empty_array};
use arrow_buffer::{NullBufferBuilder, OffsetBufferBuilder};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// See the module.
pub(super) struct Elements<'a> {
    arguments: Vec<&'a Argument>,
    /// Where the values of each argument begin.
    starts: Vec<u32>,
    pub(super) values: ArrayRef,
    /// The values as bytes that are compared; none, if they are not.
    keys: Vec<RowKey>,
}

impl<'a> Elements<'a> {
    /// Those of some arguments: arrays of one type of elements (`true`), and such elements.
    pub(super) fn new(arguments: impl IntoIterator<Item = (&'a Argument, bool)>, compares: bool) -> Result<Self> {
        let (mut all, mut starts, mut parts, mut next) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (argument, is_array) in arguments {
            let part = if is_array { argument.values().as_list::<i32>().values() } else { argument.values() };
            all.push(argument);
            starts.push(next);
            next += part.len() as u32;
            parts.push(part.as_ref());
        }
        let values = match &*parts {
            [] => new_empty_array(&DataType::Null),
            parts => arrow_select::concat::concat(parts).map_err(|error| Error::bug(format!("arrays of different types meet: {error}")))?,
        };
        let mut keys = Vec::new();
        if compares {
            RowKey::read(std::slice::from_ref(&values), values.len(), &mut keys)?;
        }
        Ok(Self { arguments: all, starts, values, keys })
    }

    /// How many arguments there are.
    pub(super) fn count(&self) -> usize {
        self.arguments.len()
    }

    /// The places of an array's elements; `None` is null.
    pub(super) fn array(&self, argument: usize, row: usize) -> Option<Range<u32>> {
        let (start, argument) = (self.starts[argument], self.arguments[argument]);
        let (lists, row) = (argument.values().as_list::<i32>(), if argument.is_constant() { 0 } else { row });
        let offsets = lists.value_offsets();
        lists.is_valid(row).then(|| start + offsets[row] as u32..start + offsets[row + 1] as u32)
    }

    /// The place of an argument that is an element itself.
    pub(super) fn single(&self, argument: usize, row: usize) -> u32 {
        self.starts[argument] + if self.arguments[argument].is_constant() { 0 } else { row as u32 }
    }

    /// Whether the value at a place is null.
    pub(super) fn is_null(&self, place: u32) -> bool {
        self.values.is_null(place as usize)
    }

    /// The value at a place: it sorts as values do, and null equals null.
    pub(super) fn key(&self, place: u32) -> &RowKey {
        &self.keys[place as usize]
    }
}

/// Arrays of values by their places; `None` is null.
pub(super) fn arrays_of(values: &ArrayRef, lists: &[Option<Vec<u32>>]) -> Result<ArrayRef> {
    let (mut offsets, mut nulls, mut places) = (OffsetBufferBuilder::new(lists.len()), NullBufferBuilder::new(lists.len()), Vec::new());
    for list in lists {
        nulls.append(list.is_some());
        let list = list.as_deref().unwrap_or_default();
        offsets.push_length(list.len());
        places.extend(list.iter().map(|place| Some(*place)));
    }
    let DataType::List(field) = crate::sql::array_type(values.data_type().clone()) else { return Err(Error::bug("arrays are lists")) };
    let made = ListArray::try_new(field, offsets.finish(), super::taken(values, &places)?, nulls.finish());
    made.map(|lists| Arc::new(lists) as ArrayRef).map_err(|error| Error::bug(format!("elements make no array: {error}")))
}
