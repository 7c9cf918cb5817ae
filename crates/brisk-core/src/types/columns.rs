//! The routing hash of the rows of Arrow columns: the same as that of a typed key with the same values.

use super::hash;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimestampMillisecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result};

/// Appends the key hash of each row to `out`. One column gives the hash of its value; several are combined in order, as a tuple's are.
///
/// # Errors
/// When there is no column, when the columns differ in length, or when the type of one cannot be a key; `out` is then as before.
pub fn hash_columns(columns: &[ArrayRef], out: &mut Vec<u64>) -> Result<()> {
    let Some((first, others)) = columns.split_first() else {
        return Err(Error::bug("a key needs at least one column"));
    };
    let start = out.len();
    let result = hash_column(first.as_ref(), &mut Append(out)).and_then(|()| {
        others.iter().try_for_each(|column| {
            if column.len() != first.len() {
                return Err(Error::bug(format!("the columns of a key have {} and {} rows", first.len(), column.len())));
            }
            hash_column(column.as_ref(), &mut Combine(out[start..].iter_mut()))
        })
    });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Where the hashes of a column go.
trait Target {
    /// Takes one hash per row, in order.
    fn put(&mut self, hashes: impl Iterator<Item = u64>);
}

/// Target of the first column.
struct Append<'a>(&'a mut Vec<u64>);

impl Target for Append<'_> {
    #[inline]
    fn put(&mut self, hashes: impl Iterator<Item = u64>) {
        self.0.extend(hashes);
    }
}

/// Target of the further columns: the hashes of the same rows so far.
struct Combine<'a>(std::slice::IterMut<'a, u64>);

impl Target for Combine<'_> {
    #[inline]
    fn put(&mut self, hashes: impl Iterator<Item = u64>) {
        for (row, hash) in self.0.by_ref().zip(hashes) {
            *row = hash::combine(*row, hash);
        }
    }
}

fn hash_column(column: &dyn Array, target: &mut impl Target) -> Result<()> {
    match column.data_type() {
        DataType::Int8 => primitive::<Int8Type>(column, target, |value| hash::hash_i64(i64::from(value))),
        DataType::Int16 => primitive::<Int16Type>(column, target, |value| hash::hash_i64(i64::from(value))),
        DataType::Int32 => primitive::<Int32Type>(column, target, |value| hash::hash_i64(i64::from(value))),
        DataType::Int64 => primitive::<Int64Type>(column, target, hash::hash_i64),
        DataType::UInt8 => primitive::<UInt8Type>(column, target, |value| hash::hash_i64(i64::from(value))),
        DataType::UInt16 => primitive::<UInt16Type>(column, target, |value| hash::hash_i64(i64::from(value))),
        DataType::UInt32 => primitive::<UInt32Type>(column, target, |value| hash::hash_i64(i64::from(value))),
        DataType::UInt64 => primitive::<UInt64Type>(column, target, hash::hash_u64),
        DataType::Float32 => primitive::<Float32Type>(column, target, |value| hash::hash_f64(f64::from(value))),
        DataType::Float64 => primitive::<Float64Type>(column, target, hash::hash_f64),
        DataType::Timestamp(TimeUnit::Millisecond, _) => primitive::<TimestampMillisecondType>(column, target, hash::hash_i64),
        DataType::Date32 => primitive::<Date32Type>(column, target, |days| hash::hash_i64(i64::from(days))),
        DataType::Boolean => put(target, column.as_boolean().iter(), |value| hash::hash_i64(i64::from(value))),
        DataType::Utf8 => put(target, column.as_string::<i32>().iter(), |text| hash::hash_bytes(text.as_bytes())),
        DataType::LargeUtf8 => put(target, column.as_string::<i64>().iter(), |text| hash::hash_bytes(text.as_bytes())),
        DataType::Utf8View => put(target, column.as_string_view().iter(), |text| hash::hash_bytes(text.as_bytes())),
        DataType::Binary => put(target, column.as_binary::<i32>().iter(), hash::hash_bytes),
        DataType::LargeBinary => put(target, column.as_binary::<i64>().iter(), hash::hash_bytes),
        DataType::BinaryView => put(target, column.as_binary_view().iter(), hash::hash_bytes),
        DataType::FixedSizeBinary(_) => put(target, column.as_fixed_size_binary().iter(), hash::hash_bytes),
        DataType::Null => target.put(std::iter::repeat_n(hash::hash_null(), column.len())),
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            put_lists(target, column, lists.value_offsets(), &hashes_of(lists.values())?);
        }
        DataType::Struct(_) => {
            let mut rows = Vec::with_capacity(column.len());
            match column.as_struct().columns() {
                [] => rows.resize(column.len(), hash::hash_null()),
                columns => hash_columns(columns, &mut rows)?,
            }
            target.put((0..column.len()).map(|row| if column.is_valid(row) { rows[row] } else { hash::hash_null() }));
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let mut entries = Vec::with_capacity(maps.entries().len());
            hash_columns(maps.entries().columns(), &mut entries)?;
            put_lists(target, column, maps.value_offsets(), &entries);
        }
        other => {
            return Err(Error::user(format!(
                "a column of type {other} cannot be a key: use integers, floating point numbers, booleans, text, bytes, \
                 dates, timestamps in milliseconds, or lists, maps and structs of these"
            )));
        }
    }
    Ok(())
}

fn hashes_of(column: &ArrayRef) -> Result<Vec<u64>> {
    let mut hashes = Vec::with_capacity(column.len());
    hash_column(column.as_ref(), &mut Append(&mut hashes))?;
    Ok(hashes)
}

/// Lists of elements whose hashes are known.
fn put_lists(target: &mut impl Target, column: &dyn Array, offsets: &[i32], elements: &[u64]) {
    let list = |row: usize| &elements[offsets[row] as usize..offsets[row + 1] as usize];
    let hash = |row: usize| if column.is_valid(row) { hash::hash_list(list(row).iter().copied()) } else { hash::hash_null() };
    target.put((0..column.len()).map(hash));
}

#[inline]
fn primitive<T: ArrowPrimitiveType>(column: &dyn Array, target: &mut impl Target, hash: impl Fn(T::Native) -> u64) {
    let array = column.as_primitive::<T>();
    if array.null_count() == 0 {
        target.put(array.values().iter().map(|&value| hash(value)));
    } else {
        put(target, array.iter(), hash);
    }
}

#[inline]
fn put<T>(target: &mut impl Target, values: impl Iterator<Item = Option<T>>, hash: impl Fn(T) -> u64) {
    target.put(values.map(|value| value.map_or(hash::hash_null(), &hash)));
}
