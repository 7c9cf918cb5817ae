//! Rows as bytes, and back to columns: keys of state, and rows that lie in state.
//!
//! * [`RowKey`] is a row, or the key columns of one: it sorts as its values do and has their key hash.
//! * `ColumnKey` turns columns into keys, `RowBuilder` turns rows into columns of the types that a plan knows ([`ValueType`]).
//! * `KeyedRows` are the keys of a batch's rows, `Grouping` finds the rows of each key.

mod builder;
mod column_key;
mod grouping;
mod keyed_rows;
mod nested_builder;
mod row_bytes;
mod row_key;
mod value_type;

pub(crate) use builder::{RowBuilder, ValueBuilder};
pub(crate) use column_key::ColumnKey;
pub(crate) use grouping::Grouping;
pub(crate) use keyed_rows::KeyedRows;
pub use row_key::RowKey;
pub(crate) use row_key::{Field, Shape, fields};
pub use value_type::ValueType;
