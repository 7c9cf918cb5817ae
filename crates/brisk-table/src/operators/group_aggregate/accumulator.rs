//! What is kept per key, and how rows are added to it.

use super::Aggregate;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::types::Record;

/// State of one aggregate.
#[derive(Clone, Copy, PartialEq, Debug, Record)]
pub enum Accumulator {
    /// Of both counts.
    Count {
        /// Rows, or values.
        count: i64,
    },
    /// Of [`Aggregate::SumBigint`].
    SumBigint {
        /// Their sum, wrapped around.
        sum: i64,
        /// Values that are not null.
        values: i64,
    },
    /// Of [`Aggregate::SumDouble`].
    SumDouble {
        /// Their sum.
        sum: f64,
        /// Values that are not null.
        values: i64,
    },
}

impl Accumulator {
    /// Of no row.
    pub(super) const fn empty(aggregate: &Aggregate) -> Self {
        match aggregate {
            Aggregate::CountAll | Aggregate::Count { .. } => Self::Count { count: 0 },
            Aggregate::SumBigint { .. } => Self::SumBigint { sum: 0, values: 0 },
            Aggregate::SumDouble { .. } => Self::SumDouble { sum: 0.0, values: 0 },
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Count { count } => *count = 0,
            Self::SumBigint { sum, values } => (*sum, *values) = (0, 0),
            Self::SumDouble { sum, values } => (*sum, *values) = (0.0, 0),
        }
    }

    /// Whether both have the same result, as it is shown.
    pub(super) fn same_result(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::SumBigint { sum: one, values: some }, Self::SumBigint { sum: two, values: other }) => {
                (*some > 0) == (*other > 0) && (*some <= 0 || one == two)
            }
            (Self::SumDouble { sum: one, values: some }, Self::SumDouble { sum: two, values: other }) => {
                (*some > 0) == (*other > 0) && (*some <= 0 || one.to_bits() == two.to_bits())
            }
            (one, two) => one == two,
        }
    }
}

/// State of one key.
#[derive(Clone, PartialEq, Debug, Record)]
pub struct GroupState {
    /// Rows added, minus rows taken back. Never 0.
    pub rows: i64,
    /// In the order of the aggregates.
    pub accumulators: Vec<Accumulator>,
}

impl GroupState {
    pub(super) fn empty(aggregates: &[Aggregate]) -> Self {
        Self { rows: 0, accumulators: aggregates.iter().map(Accumulator::empty).collect() }
    }
}

/// The column that an aggregate reads.
enum Input<'a> {
    Rows,
    Values(Option<&'a NullBuffer>),
    Bigint(&'a [i64], Option<&'a NullBuffer>),
    Double(&'a [f64], Option<&'a NullBuffer>),
}

/// The columns that the aggregates read in one batch, and the signs of its rows.
pub(super) struct Inputs<'a> {
    inputs: Vec<Input<'a>>,
    /// Empty when all rows are added.
    signs: &'a [i64],
}

impl<'a> Inputs<'a> {
    /// Those of a batch.
    ///
    /// # Errors
    /// When a column is missing or has another type than its aggregate takes.
    pub(super) fn new(aggregates: &[Aggregate], batch: &'a Columns, signs: &'a [i64]) -> Result<Self> {
        let column = |index: u32| {
            let missing = || Error::bug(format!("column {index} is missing: the batch has {} columns", batch.columns.len()));
            batch.columns.get(index as usize).ok_or_else(missing)
        };
        let nulls = |column: &'a ArrayRef| column.nulls().filter(|nulls| nulls.null_count() > 0);
        let input = |aggregate: &Aggregate| {
            Ok(match aggregate {
                Aggregate::CountAll => Input::Rows,
                Aggregate::Count { column: index } => Input::Values(nulls(column(*index)?)),
                Aggregate::SumBigint { column: index } => {
                    let column = of_type(column(*index)?, *index, &DataType::Int64)?;
                    Input::Bigint(column.as_primitive::<Int64Type>().values(), nulls(column))
                }
                Aggregate::SumDouble { column: index } => {
                    let column = of_type(column(*index)?, *index, &DataType::Float64)?;
                    Input::Double(column.as_primitive::<Float64Type>().values(), nulls(column))
                }
            })
        };
        Ok(Self { inputs: aggregates.iter().map(input).collect::<Result<_>>()?, signs })
    }

    fn sign(&self, row: u32) -> i64 {
        self.signs.get(row as usize).copied().unwrap_or(1)
    }

    /// Adds these rows, in their order, to a group. Where as many have been taken back as were added, the group begins anew.
    ///
    /// # Errors
    /// When the group's state belongs to other aggregates.
    pub(super) fn add(&self, rows: &[u32], group: &mut GroupState) -> Result<()> {
        let mut from = 0;
        for (at, row) in rows.iter().enumerate() {
            group.rows += self.sign(*row);
            if group.rows == 0 {
                self.add_to(&rows[from..=at], &mut group.accumulators)?;
                group.accumulators.iter_mut().for_each(Accumulator::reset);
                from = at + 1;
            }
        }
        self.add_to(&rows[from..], &mut group.accumulators)
    }

    fn add_to(&self, rows: &[u32], accumulators: &mut [Accumulator]) -> Result<()> {
        if accumulators.len() != self.inputs.len() {
            return Err(other_aggregates());
        }
        for (input, accumulator) in self.inputs.iter().zip(accumulators) {
            match (input, accumulator) {
                (Input::Rows, Accumulator::Count { count }) => self.each(rows, None, |_, sign| *count += sign),
                (Input::Values(nulls), Accumulator::Count { count }) => self.each(rows, *nulls, |_, sign| *count += sign),
                (Input::Bigint(of, nulls), Accumulator::SumBigint { sum, values }) => self.each(rows, *nulls, |row, sign| {
                    *sum = sum.wrapping_add(of[row].wrapping_mul(sign));
                    *values += sign;
                }),
                (Input::Double(of, nulls), Accumulator::SumDouble { sum, values }) => self.each(rows, *nulls, |row, sign| {
                    *sum += of[row] * sign as f64;
                    *values += sign;
                }),
                _ => return Err(other_aggregates()),
            }
        }
        Ok(())
    }

    /// Calls `add` with each row that is not null, and its sign.
    #[inline]
    fn each(&self, rows: &[u32], nulls: Option<&NullBuffer>, mut add: impl FnMut(usize, i64)) {
        let rows = rows.iter().map(|row| *row as usize).filter(|row| nulls.is_none_or(|nulls| nulls.is_valid(*row)));
        if self.signs.is_empty() {
            rows.for_each(|row| add(row, 1));
        } else {
            rows.for_each(|row| add(row, self.signs[row]));
        }
    }
}

#[cold]
fn other_aggregates() -> Error {
    Error::user("the state was written by other aggregates than these: give the operator a new uid, or restore the query that wrote it")
}

fn of_type<'a>(column: &'a ArrayRef, index: u32, expected: &DataType) -> Result<&'a ArrayRef> {
    if column.data_type() == expected {
        return Ok(column);
    }
    Err(Error::user(format!("column {index} is {}, but its sum takes {expected}: cast it in front of the aggregation", column.data_type())))
}
