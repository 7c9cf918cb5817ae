//! Functions that give tables: `LATERAL TABLE(f(x))`.

use super::Argument;
use arrow_array::ArrayRef;
use arrow_schema::DataType;
use brisk_base::Result;
use std::fmt::Debug;

/// A function that gives any number of rows for the values of one, computed for all rows of a batch.
///
/// ```
/// use arrow_array::{ArrayRef, StringArray};
/// use arrow_schema::DataType;
/// use brisk_base::Result;
/// use brisk_table::functions::{Argument, TableFunction, TableRows};
/// use std::sync::Arc;
///
/// /// `LATERAL TABLE(words(text)) AS t(word)`
/// #[derive(Debug)]
/// struct Words;
///
/// impl TableFunction for Words {
///     fn name(&self) -> &str {
///         "words"
///     }
///
///     fn argument_types(&self, _given: &[DataType]) -> Result<Vec<DataType>> {
///         Ok(vec![DataType::Utf8])
///     }
///
///     fn columns(&self, _arguments: &[DataType]) -> Vec<(String, DataType)> {
///         vec![("word".to_owned(), DataType::Utf8)]
///     }
///
///     fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<TableRows> {
///         let (mut of, mut words) = (Vec::new(), Vec::new());
///         for row in 0..rows {
///             for word in arguments[0].text(row).unwrap_or_default().split_whitespace() {
///                 of.push(row as u32);
///                 words.push(word);
///             }
///         }
///         Ok(TableRows { of, columns: vec![Arc::new(StringArray::from(words)) as ArrayRef] })
///     }
/// }
/// ```
pub trait TableFunction: Debug + Send + Sync + 'static {
    /// Its name, in lower case.
    fn name(&self) -> &str;

    /// The types that its arguments are cast to; there are as many as are given.
    ///
    /// # Errors
    /// When there are too few or too many, or they are of the wrong kind: what would be right.
    fn argument_types(&self, given: &[DataType]) -> Result<Vec<DataType>>;

    /// Names and types of the columns that it gives, for arguments of the types that were asked for.
    fn columns(&self, arguments: &[DataType]) -> Vec<(String, DataType)>;

    /// The rows for this many rows. Equal arguments have to give equal rows, so that what was given can be taken back.
    ///
    /// # Errors
    /// Fails the job.
    fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<TableRows>;
}

/// What a [`TableFunction`] gives for the rows of a batch.
#[derive(Clone, Debug)]
pub struct TableRows {
    /// For each row that is given, the row that it is given for; ascending.
    pub of: Vec<u32>,
    /// The columns, as long as `of`.
    pub columns: Vec<ArrayRef>,
}
