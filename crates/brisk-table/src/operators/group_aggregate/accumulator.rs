//! What is kept per key, and how rows are added to it.

use super::distinct::DistinctValues;
use super::{Aggregate, AggregateCall, Moment};
use crate::operators::row::{ColumnKey, Field, RowKey, Shape, ValueBuilder, fields};
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_schema::DataType;
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::types::Record;
use std::borrow::Borrow as _;

/// State of one aggregate.
#[derive(Clone, PartialEq, Debug, Record)]
pub enum Accumulator {
    /// Of both counts.
    Count {
        /// Rows, or values.
        count: i64,
    },
    /// Of sum and mean of whole numbers.
    SumBigint {
        /// Their sum, wrapped around.
        sum: i64,
        /// Values that are not null.
        values: i64,
    },
    /// Of sum and mean of floating point numbers.
    SumDouble {
        /// Their sum.
        sum: f64,
        /// Values that are not null.
        values: i64,
    },
    /// Of sum and mean of decimal numbers.
    SumDecimal {
        /// Their sum, wrapped around, in units of their scale.
        sum: i128,
        /// Values that are not null.
        values: i64,
    },
    /// Of variance and standard deviation of whole numbers.
    MomentBigint {
        /// Sum of the values, wrapped around.
        sum: i128,
        /// Sum of their squares, wrapped around.
        squares: i128,
        /// Values that are not null.
        values: i64,
    },
    /// Of variance and standard deviation of floating point numbers.
    MomentDouble {
        /// Sum of the values.
        sum: f64,
        /// Sum of their squares.
        squares: f64,
        /// Values that are not null.
        values: i64,
    },
    /// Of a list of texts.
    List {
        /// The texts in their order.
        texts: Vec<String>,
        /// Texts that were taken back before they were added.
        debts: Vec<String>,
    },
    /// Of values that are kept in the order in which they came.
    Values {
        /// Bytes of a row of each value alone.
        values: Vec<Vec<u8>>,
        /// Values that were taken back before they were added.
        debts: Vec<Vec<u8>>,
    },
    /// Of the least and the greatest value, the first and the last.
    Extreme {
        /// A row of the value alone; an empty one, if there is none.
        value: RowKey,
    },
}

impl Accumulator {
    /// Of no row.
    pub(crate) const fn empty(aggregate: &Aggregate) -> Self {
        match aggregate {
            Aggregate::CountAll | Aggregate::Count { .. } => Self::Count { count: 0 },
            Aggregate::SumBigint { .. } | Aggregate::AvgBigint { .. } => Self::SumBigint { sum: 0, values: 0 },
            Aggregate::SumDouble { .. } | Aggregate::AvgDouble { .. } => Self::SumDouble { sum: 0.0, values: 0 },
            Aggregate::SumDecimal { .. } | Aggregate::AvgDecimal { .. } => Self::SumDecimal { sum: 0, values: 0 },
            Aggregate::MomentBigint { .. } => Self::MomentBigint { sum: 0, squares: 0, values: 0 },
            Aggregate::MomentDouble { .. } => Self::MomentDouble { sum: 0.0, squares: 0.0, values: 0 },
            Aggregate::ListAgg { .. } => Self::List { texts: Vec::new(), debts: Vec::new() },
            Aggregate::ArrayAgg { .. } | Aggregate::FirstRemaining { .. } | Aggregate::LastRemaining { .. } => {
                Self::Values { values: Vec::new(), debts: Vec::new() }
            }
            Aggregate::Min { .. } | Aggregate::Max { .. } | Aggregate::FirstValue { .. } | Aggregate::LastValue { .. } => {
                Self::Extreme { value: RowKey::new() }
            }
        }
    }

    fn reset(&mut self) {
        match self {
            Self::Count { count } => *count = 0,
            Self::SumBigint { sum, values } => (*sum, *values) = (0, 0),
            Self::SumDouble { sum, values } => (*sum, *values) = (0.0, 0),
            Self::SumDecimal { sum, values } => (*sum, *values) = (0, 0),
            Self::MomentBigint { sum, squares, values } => (*sum, *squares, *values) = (0, 0, 0),
            Self::MomentDouble { sum, squares, values } => (*sum, *squares, *values) = (0.0, 0.0, 0),
            Self::List { texts, debts } => {
                texts.clear();
                debts.clear();
            }
            Self::Values { values, debts } => {
                values.clear();
                debts.clear();
            }
            Self::Extreme { value } => value.clear(),
        }
    }

    /// Whether both have the same result, as it is shown.
    pub(super) fn same_result(&self, other: &Self, aggregate: &Aggregate) -> bool {
        let mean = matches!(aggregate, Aggregate::AvgBigint { .. } | Aggregate::AvgDouble { .. } | Aggregate::AvgDecimal { .. });
        match (self, other) {
            (one, two) if mean => one == two,
            (Self::SumBigint { sum: one, values: some }, Self::SumBigint { sum: two, values: other }) => {
                (*some > 0) == (*other > 0) && (*some <= 0 || one == two)
            }
            (Self::SumDouble { sum: one, values: some }, Self::SumDouble { sum: two, values: other }) => {
                (*some > 0) == (*other > 0) && (*some <= 0 || one.to_bits() == two.to_bits())
            }
            (Self::SumDecimal { sum: one, values: some }, Self::SumDecimal { sum: two, values: other }) => {
                (*some > 0) == (*other > 0) && (*some <= 0 || one == two)
            }
            (Self::Values { values: one, .. }, Self::Values { values: two, .. }) => match aggregate {
                Aggregate::FirstRemaining { .. } => one.first() == two.first(),
                Aggregate::LastRemaining { .. } => one.last() == two.last(),
                _ => one == two,
            },
            (one, two) => one == two,
        }
    }

    /// Folds the state of other rows in.
    ///
    /// # Errors
    /// When it belongs to another aggregate.
    pub(crate) fn merge(&mut self, aggregate: &Aggregate, other: &Self) -> Result<()> {
        match (self, other) {
            (Self::Count { count }, Self::Count { count: more }) => *count += more,
            (Self::SumBigint { sum, values }, Self::SumBigint { sum: more, values: further }) => {
                *sum = sum.wrapping_add(*more);
                *values += further;
            }
            (Self::SumDouble { sum, values }, Self::SumDouble { sum: more, values: further }) => {
                *sum += more;
                *values += further;
            }
            (Self::SumDecimal { sum, values }, Self::SumDecimal { sum: more, values: further }) => {
                *sum = sum.wrapping_add(*more);
                *values += further;
            }
            (Self::MomentBigint { sum, squares, values }, Self::MomentBigint { sum: more, squares: more_squares, values: further }) => {
                *sum = sum.wrapping_add(*more);
                *squares = squares.wrapping_add(*more_squares);
                *values += further;
            }
            (Self::MomentDouble { sum, squares, values }, Self::MomentDouble { sum: more, squares: more_squares, values: further }) => {
                *sum += more;
                *squares += more_squares;
                *values += further;
            }
            (Self::List { texts, debts }, Self::List { texts: more, debts: further }) => {
                texts.extend(more.iter().cloned());
                debts.extend(further.iter().cloned());
            }
            (Self::Values { values, debts }, Self::Values { values: more, debts: further }) => {
                values.extend(more.iter().cloned());
                debts.extend(further.iter().cloned());
            }
            (Self::Extreme { value }, Self::Extreme { value: other }) => {
                if is_better(aggregate, other.as_bytes(), value.as_bytes()) {
                    value.clone_from(other);
                }
            }
            _ => return Err(other_aggregates()),
        }
        Ok(())
    }

    /// Adds the result to a column.
    ///
    /// # Errors
    /// When the state belongs to another type of value.
    pub(crate) fn write(&self, aggregate: &Aggregate, column: &mut ValueBuilder) -> Result<()> {
        match (self, aggregate) {
            (Self::Count { count }, _) => column.push_i64(*count),
            (Self::SumBigint { values, .. } | Self::SumDouble { values, .. } | Self::SumDecimal { values, .. }, _) if *values <= 0 => {
                column.push_null();
            }
            (Self::SumBigint { sum, values }, Aggregate::AvgBigint { .. }) => column.push_i64(sum.wrapping_div(*values)),
            (Self::SumBigint { sum, .. }, _) => column.push_i64(*sum),
            (Self::SumDouble { sum, values }, Aggregate::AvgDouble { .. }) => column.push_f64(sum / *values as f64),
            (Self::SumDouble { sum, .. }, _) => column.push_f64(*sum),
            (Self::SumDecimal { sum, values }, Aggregate::AvgDecimal { shift, .. }) => match mean(*sum, *values, *shift) {
                Some(mean) => column.push_i128(mean),
                None => column.push_null(),
            },
            (Self::SumDecimal { sum, .. }, _) => column.push_i128(*sum),
            (Self::MomentBigint { sum, squares, values }, Aggregate::MomentBigint { moment, .. }) => {
                match whole_moment(*sum, *squares, *values, *moment) {
                    Some(moment) => column.push_i64(moment),
                    None => column.push_null(),
                }
            }
            (Self::MomentDouble { sum, squares, values }, Aggregate::MomentDouble { moment, .. }) => {
                match moment_of(*sum, *squares, *values, *moment) {
                    Some(moment) => column.push_f64(moment),
                    None => column.push_null(),
                }
            }
            (Self::List { texts, .. }, Aggregate::ListAgg { separator, .. }) => match &**texts {
                [] => column.push_null(),
                texts => column.push_field(Field::Bytes(texts.join(separator).as_bytes().into()))?,
            },
            (Self::MomentBigint { .. } | Self::MomentDouble { .. } | Self::List { .. }, _) => return Err(other_aggregates()),
            (Self::Values { values, .. }, Aggregate::ArrayAgg { .. }) => match &**values {
                [] => column.push_null(),
                values => column.push_field(Field::Nested(Shape::Array, &values.concat()))?,
            },
            (Self::Values { values, .. }, Aggregate::FirstRemaining { .. }) => push_value(values.first().map(Vec::as_slice), column)?,
            (Self::Values { values, .. }, _) => push_value(values.last().map(Vec::as_slice), column)?,
            (Self::Extreme { value }, _) => push_value(Some(value.as_bytes()), column)?,
        }
        Ok(())
    }
}

/// Adds a value by the bytes of its row, if there is one.
fn push_value(value: Option<&[u8]>, column: &mut ValueBuilder) -> Result<()> {
    match value.and_then(|value| fields(value).next()) {
        Some(field) => column.push_field(field?)?,
        None => column.push_null(),
    }
    Ok(())
}

/// A mean with more digits behind the point, rounded half away from zero.
fn mean(sum: i128, values: i64, shift: u8) -> Option<i128> {
    let scaled = sum.checked_mul(10_i128.checked_pow(u32::from(shift))?)?;
    let (quotient, rest) = (scaled / i128::from(values), scaled % i128::from(values));
    let round = rest.unsigned_abs() * 2 >= values.unsigned_abs().into();
    Some(quotient + if round { scaled.signum() } else { 0 })
}

/// Variance or standard deviation of whole numbers, computed in whole numbers as Flink does.
fn whole_moment(sum: i128, squares: i128, values: i64, moment: Moment) -> Option<i64> {
    let (values, divisor) = (i128::from(values), i128::from(values) - i128::from(moment.sample));
    if values <= 0 || divisor <= 0 {
        return None;
    }
    let variance = squares.wrapping_sub(sum.wrapping_mul(sum) / values) / divisor;
    Some(if moment.root { (variance as f64).sqrt() as i64 } else { variance as i64 })
}

/// Variance or standard deviation.
fn moment_of(sum: f64, squares: f64, values: i64, moment: Moment) -> Option<f64> {
    let (values, divisor) = (values as f64, (values - i64::from(moment.sample)) as f64);
    if values <= 0.0 || divisor <= 0.0 {
        return None;
    }
    // What is left of rounding may lie below 0.
    let variance = ((squares - sum * sum / values) / divisor).max(0.0);
    Some(if moment.root { variance.sqrt() } else { variance })
}

/// Whether a value takes the place of the best so far.
fn is_better(aggregate: &Aggregate, candidate: &[u8], best: &[u8]) -> bool {
    let [none, first] = [candidate, best].map(<[u8]>::is_empty);
    let better = || match aggregate {
        Aggregate::FirstValue { .. } => false,
        Aggregate::LastValue { .. } => true,
        Aggregate::Min { .. } => candidate < best,
        _ => candidate > best,
    };
    !none && (first || better())
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
    pub(crate) fn empty(calls: &[AggregateCall]) -> Self {
        Self { rows: 0, accumulators: calls.iter().map(|call| Accumulator::empty(&call.aggregate)).collect() }
    }

    /// Folds the state of other rows in.
    ///
    /// # Errors
    /// When it belongs to other aggregates.
    pub(crate) fn merge(&mut self, calls: &[AggregateCall], other: &Self) -> Result<()> {
        self.rows += other.rows;
        let mut calls = calls.iter().zip(self.accumulators.iter_mut().zip(&other.accumulators));
        calls.try_for_each(|(call, (all, one))| all.merge(&call.aggregate, one))
    }
}

/// The column that an aggregate reads.
enum Values<'a> {
    Rows,
    Any,
    Bigint(&'a [i64]),
    Double(&'a [f64]),
    Decimal(&'a [i128]),
    Text(&'a StringArray),
}

/// What one aggregate reads in one batch.
struct Input<'a> {
    call: &'a AggregateCall,
    values: Values<'a>,
    nulls: Option<&'a NullBuffer>,
    /// Which rows it takes; all, if there is none.
    filter: Option<BooleanBuffer>,
    /// The values as rows of their own, where they are compared.
    keys: Vec<RowKey>,
    /// Whether each value has to be asked for whether it is there already.
    keeps_values: bool,
}

/// The columns that the aggregates read in one batch, and the signs of its rows.
pub(crate) struct Inputs<'a> {
    inputs: Vec<Input<'a>>,
    /// Empty when all rows are added.
    signs: &'a [i64],
}

impl<'a> Inputs<'a> {
    /// Those of a batch.
    ///
    /// # Errors
    /// When a column is missing or has another type than its aggregate takes.
    pub(crate) fn new(calls: &'a [AggregateCall], batch: &'a Columns, signs: &'a [i64]) -> Result<Self> {
        let inputs = calls.iter().map(|call| Input::new(call, batch, None)).collect::<Result<_>>()?;
        Ok(Self { inputs, signs })
    }

    /// Those of a batch in which some of the calls take only the rows given for them.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn with_rows(
        calls: &'a [AggregateCall],
        batch: &'a Columns,
        signs: &'a [i64],
        rows: Vec<Option<BooleanBuffer>>,
    ) -> Result<Self> {
        let inputs = calls.iter().zip(rows).map(|(call, rows)| Input::new(call, batch, rows)).collect::<Result<_>>()?;
        Ok(Self { inputs, signs })
    }

    fn sign(&self, row: u32) -> i64 {
        self.signs.get(row as usize).copied().unwrap_or(1)
    }

    /// Adds these rows, in their order, to a group. Where as many have been taken back as were added, the group begins anew.
    ///
    /// # Errors
    /// When the group's state belongs to other aggregates.
    pub(crate) fn add(&self, rows: &[u32], group: &mut GroupState, distinct: &mut dyn DistinctValues) -> Result<()> {
        let mut from = 0;
        for (at, row) in rows.iter().enumerate() {
            group.rows += self.sign(*row);
            if group.rows == 0 {
                self.add_to(&rows[from..=at], &mut group.accumulators, distinct)?;
                group.accumulators.iter_mut().for_each(Accumulator::reset);
                distinct.clear()?;
                from = at + 1;
            }
        }
        self.add_to(&rows[from..], &mut group.accumulators, distinct)
    }

    fn add_to(&self, rows: &[u32], accumulators: &mut [Accumulator], distinct: &mut dyn DistinctValues) -> Result<()> {
        if accumulators.len() != self.inputs.len() {
            return Err(other_aggregates());
        }
        let rows_with_signs = |input: &Input<'_>, add: &mut dyn FnMut(usize, i64)| {
            let taken = rows.iter().map(|row| *row as usize).filter(|row| input.takes(*row));
            taken.for_each(|row| add(row, self.signs.get(row).copied().unwrap_or(1)));
        };
        for (index, (input, accumulator)) in (0..).zip(self.inputs.iter().zip(accumulators)) {
            if !input.keeps_values {
                rows_with_signs(input, &mut |row, sign| input.add(row, sign, accumulator));
                continue;
            }
            let mut changes = Vec::new();
            rows_with_signs(input, &mut |row, sign| changes.push((row, sign)));
            for (row, sign) in &mut changes {
                *sign = distinct.add(index, &input.keys[*row], *sign)?;
            }
            if let Accumulator::Extreme { value } = accumulator {
                if !changes.is_empty() {
                    *value = distinct.extreme(index, matches!(input.call.aggregate, Aggregate::Max { .. }))?;
                }
            } else {
                changes.into_iter().filter(|(_, sign)| *sign != 0).for_each(|(row, sign)| input.add(row, sign, accumulator));
            }
        }
        Ok(())
    }
}

impl<'a> Input<'a> {
    /// Of a call that takes the rows that it asks for, or just those given.
    fn new(call: &'a AggregateCall, batch: &'a Columns, rows: Option<BooleanBuffer>) -> Result<Self> {
        let keeps_values = call.keeps_values() && rows.is_none();
        let column = |index: u32| {
            let missing = || Error::bug(format!("column {index} is missing: the batch has {} columns", batch.columns.len()));
            batch.columns.get(index as usize).ok_or_else(missing)
        };
        let filter = match rows {
            Some(rows) => Some(rows),
            None => call.filter.map(|index| column(index).map(chosen)).transpose()?,
        };
        let Some(index) = call.aggregate.column() else {
            return Ok(Self { call, values: Values::Rows, nulls: None, filter, keys: Vec::new(), keeps_values });
        };
        let column = column(index)?;
        let mut keys = Vec::new();
        let collects = matches!(call.aggregate, Aggregate::ArrayAgg { .. });
        if keeps_values || call.aggregate.chooses() || collects {
            RowKey::read(std::slice::from_ref(column), batch.rows, &mut keys)?;
        }
        let values = match &call.aggregate {
            Aggregate::SumBigint { .. } | Aggregate::AvgBigint { .. } | Aggregate::MomentBigint { .. } => {
                Values::Bigint(of_type(column, index, &DataType::Int64)?.as_primitive::<Int64Type>().values())
            }
            Aggregate::SumDouble { .. } | Aggregate::AvgDouble { .. } | Aggregate::MomentDouble { .. } => {
                Values::Double(of_type(column, index, &DataType::Float64)?.as_primitive::<Float64Type>().values())
            }
            Aggregate::SumDecimal { .. } | Aggregate::AvgDecimal { .. } => match column.as_primitive_opt::<Decimal128Type>() {
                Some(column) => Values::Decimal(column.values()),
                None => return Err(Error::user(format!("column {index} is {}, but its sum takes decimals", column.data_type()))),
            },
            Aggregate::ListAgg { .. } => Values::Text(of_type(column, index, &DataType::Utf8)?.as_string()),
            _ => Values::Any,
        };
        let takes_nulls = matches!(call.aggregate, Aggregate::ArrayAgg { nulls: true, .. });
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0 && !takes_nulls);
        Ok(Self { call, values, nulls, filter, keys, keeps_values })
    }

    #[inline]
    fn takes(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row)) && self.filter.as_ref().is_none_or(|filter| filter.value(row))
    }

    /// Adds one row, which is taken.
    #[inline]
    fn add(&self, row: usize, sign: i64, accumulator: &mut Accumulator) {
        match (&self.values, accumulator) {
            (Values::Rows | Values::Any, Accumulator::Count { count }) => *count += sign,
            (Values::Bigint(of), Accumulator::SumBigint { sum, values }) => {
                *sum = sum.wrapping_add(of[row].wrapping_mul(sign));
                *values += sign;
            }
            (Values::Double(of), Accumulator::SumDouble { sum, values }) => {
                *sum += of[row] * sign as f64;
                *values += sign;
            }
            (Values::Decimal(of), Accumulator::SumDecimal { sum, values }) => {
                *sum = sum.wrapping_add(of[row].wrapping_mul(i128::from(sign)));
                *values += sign;
            }
            (Values::Bigint(of), Accumulator::MomentBigint { sum, squares, values }) => {
                let (value, sign) = (i128::from(of[row]), i128::from(sign));
                *sum = sum.wrapping_add(value * sign);
                *squares = squares.wrapping_add(value.wrapping_mul(value).wrapping_mul(sign));
                *values += sign as i64;
            }
            (Values::Double(of), Accumulator::MomentDouble { sum, squares, values }) => {
                *sum += of[row] * sign as f64;
                *squares += of[row] * of[row] * sign as f64;
                *values += sign;
            }
            (Values::Text(of), Accumulator::List { texts, debts }) => {
                let (from, to) = if sign > 0 { (debts, texts) } else { (texts, debts) };
                moved(of.value(row), from, to);
            }
            (_, Accumulator::Values { values, debts }) => {
                let (from, to) = if sign > 0 { (debts, values) } else { (values, debts) };
                moved(self.keys[row].as_bytes(), from, to);
            }
            (_, Accumulator::Extreme { value }) => {
                let candidate = self.keys[row].as_bytes();
                if is_better(&self.call.aggregate, candidate, value.as_bytes()) {
                    value.clear();
                    value.push_fields(candidate);
                }
            }
            (_, other) => debug_assert!(false, "{other:?} belongs to another aggregate"),
        }
    }
}

/// Takes the first of equal values out of one list; one that is not there is kept in mind in the other.
fn moved<T: ToOwned + PartialEq + ?Sized>(value: &T, from: &mut Vec<T::Owned>, to: &mut Vec<T::Owned>) {
    match from.iter().position(|known| known.borrow() == value) {
        Some(at) => drop(from.remove(at)),
        None => to.push(value.to_owned()),
    }
}

/// The rows for which a condition is true, and not null.
pub(super) fn chosen(column: &ArrayRef) -> BooleanBuffer {
    let column = column.as_boolean();
    match column.nulls() {
        Some(nulls) => column.values() & nulls.inner(),
        None => column.values().clone(),
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
