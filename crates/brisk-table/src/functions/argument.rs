//! An argument of a scalar function.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef};

/// A column of values, or one value for all rows.
#[derive(Clone, Debug)]
pub struct Argument {
    values: ArrayRef,
    /// Whether the first value is that of all rows.
    constant: bool,
}

impl Argument {
    /// A value per row, or with `constant` one for all.
    pub const fn new(values: ArrayRef, constant: bool) -> Self {
        Self { values, constant }
    }

    /// The values: one per row, or one alone if it [is constant](Self::is_constant).
    pub const fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// Whether one value is that of all rows.
    pub const fn is_constant(&self) -> bool {
        self.constant
    }

    const fn index(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    /// Text of a row; `None` is null.
    ///
    /// # Panics
    /// When the argument is no text.
    #[inline]
    pub fn text(&self, row: usize) -> Option<&str> {
        let (values, row) = (self.values.as_string::<i32>(), self.index(row));
        values.is_valid(row).then(|| values.value(row))
    }

    /// Number of a row; `None` is null.
    ///
    /// # Panics
    /// When the argument is no BIGINT.
    #[inline]
    pub fn bigint(&self, row: usize) -> Option<i64> {
        let (values, row) = (self.values.as_primitive::<Int64Type>(), self.index(row));
        values.is_valid(row).then(|| values.value(row))
    }

    /// Milliseconds since 1970 of a row; `None` is null.
    ///
    /// # Panics
    /// When the argument is no TIMESTAMP(3).
    #[inline]
    pub fn millis(&self, row: usize) -> Option<i64> {
        let (values, row) = (self.values.as_primitive::<TimestampMillisecondType>(), self.index(row));
        values.is_valid(row).then(|| values.value(row))
    }
}
