//! Functions of SQL, with Flink's semantics.
//!
//! * [`ScalarFunction`] is the interface of user functions; Brisk's own are written against it, too.
//! * [`TableFunction`] is the interface of functions that give tables.
//! * [`Functions`] finds them by name, whatever the case of its letters.
//! * `aggregate` and `window` name the functions that operators compute: they have types here, and nothing else.

mod adapter;
mod aggregate;
mod argument;
mod arithmetic;
mod clock;
mod collections;
mod json;
mod math;
mod registry;
mod row;
mod string;
mod table;
mod temporal;
mod text;
mod window;

pub(crate) use aggregate::AggregateKind;
pub use argument::Argument;
pub(crate) use collections::{ARRAY, Unnest, casted, field, is_cast, item};
pub use registry::Functions;
pub use table::{TableFunction, TableRows};
pub(crate) use temporal::{PROCTIME, civil};
pub(crate) use window::ROW_NUMBER;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use brisk_base::Result;
use std::fmt::Debug;

/// A function of the values of one row, computed for all rows of a batch.
///
/// ```
/// use arrow_array::{ArrayRef, Int64Array};
/// use arrow_schema::DataType;
/// use brisk_base::Result;
/// use brisk_table::functions::{Argument, ScalarFunction};
/// use std::sync::Arc;
///
/// #[derive(Debug)]
/// struct Vowels;
///
/// impl ScalarFunction for Vowels {
///     fn name(&self) -> &str {
///         "vowels"
///     }
///
///     fn argument_types(&self, _given: &[DataType]) -> Result<Vec<DataType>> {
///         Ok(vec![DataType::Utf8])
///     }
///
///     fn return_type(&self, _arguments: &[DataType]) -> DataType {
///         DataType::Int64
///     }
///
///     fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef> {
///         let count = |text: &str| text.chars().filter(|c| "aeiou".contains(*c)).count() as i64;
///         Ok(Arc::new((0..rows).map(|row| arguments[0].text(row).map(count)).collect::<Int64Array>()))
///     }
/// }
/// ```
pub trait ScalarFunction: Debug + Send + Sync + 'static {
    /// Its name, in lower case.
    fn name(&self) -> &str;

    /// The types that its arguments are cast to; there are as many as are given.
    ///
    /// # Errors
    /// When there are too few or too many, or they are of the wrong kind: what would be right.
    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>>;

    /// The type of its result, for arguments of the types that were asked for.
    fn return_type(&self, arguments: &[DataType]) -> DataType;

    /// The results for this many rows.
    ///
    /// # Errors
    /// Fails the job.
    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<ArrayRef>;

    /// Whether equal arguments give equal results.
    fn is_deterministic(&self) -> bool {
        true
    }
}
