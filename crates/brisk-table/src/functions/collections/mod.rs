//! Functions of arrays, maps and rows.
//!
//! * `elements` looks at what the arguments of a call hold as at one column, so that functions choose among its places.
//! * `arrays` and `maps` are the functions, `access` are elements and fields (`a[1]`, `m['k']`, `r.f`), `cast` is CAST from and to such types,
//!   `unnest` makes rows of elements.

mod access;
mod arrays;
mod cast;
mod elements;
mod maps;
mod unnest;

pub(crate) use access::{field, item};
pub(crate) use cast::{casted, is_cast};
pub(crate) use unnest::Unnest;

use super::{Argument, ScalarFunction};
use arrow_array::{Array, ArrayRef};
use brisk_base::{Error, Result};

/// All functions with a name of their own.
pub(super) fn register(functions: &mut super::Functions) {
    arrays::all().into_iter().for_each(|function| functions.register(function));
    maps::register(functions);
}

/// The name by which a call of ARRAY is planned.
pub(crate) const ARRAY: &str = "array";

/// A value per row of an argument that may be one for all.
fn per_row(argument: &Argument, rows: usize) -> Result<ArrayRef> {
    if !argument.is_constant() || argument.values().len() == rows {
        return Ok(ArrayRef::clone(argument.values()));
    }
    taken(argument.values(), &vec![Some(0); rows])
}

/// The values at these places; `None` is null.
fn taken(values: &ArrayRef, places: &[Option<u32>]) -> Result<ArrayRef> {
    let places = arrow_array::UInt32Array::from(places.to_vec());
    arrow_select::take::take(values.as_ref(), &places, None).map_err(|error| Error::bug(format!("values cannot be taken: {error}")))
}

fn is_null(argument: &Argument, row: usize) -> bool {
    argument.values().is_null(if argument.is_constant() { 0 } else { row })
}
