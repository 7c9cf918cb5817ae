//! Turns key columns into keys: one pass per column, no virtual call per row.

use super::{RowKey, Shape};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BooleanArray, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};
use brisk_base::{Error, Result};
use brisk_core::types::Key;

/// A type of key that columns can be read as.
pub(crate) trait ColumnKey: Key {
    /// Puts the keys of the rows into the first `rows` of `keys`, reusing their memory; there may be others behind.
    fn read(columns: &[ArrayRef], rows: usize, keys: &mut Vec<Self>) -> Result<()>;
}

impl ColumnKey for Option<i64> {
    fn read(columns: &[ArrayRef], _rows: usize, keys: &mut Vec<Self>) -> Result<()> {
        let [column] = columns else { return Err(Error::bug(format!("a number as key has {} columns", columns.len()))) };
        keys.clear();
        match column.data_type() {
            DataType::Int8 => numbers::<Int8Type>(column, keys, i64::from),
            DataType::Int16 => numbers::<Int16Type>(column, keys, i64::from),
            DataType::Int32 => numbers::<Int32Type>(column, keys, i64::from),
            DataType::Int64 => numbers::<Int64Type>(column, keys, |value| value),
            DataType::UInt8 => numbers::<UInt8Type>(column, keys, i64::from),
            DataType::UInt16 => numbers::<UInt16Type>(column, keys, i64::from),
            DataType::UInt32 => numbers::<UInt32Type>(column, keys, i64::from),
            DataType::Date32 => numbers::<Date32Type>(column, keys, i64::from),
            DataType::Timestamp(TimeUnit::Millisecond, _) => numbers::<TimestampMillisecondType>(column, keys, |value| value),
            DataType::Boolean => keys.extend(column.as_boolean().iter().map(|value| value.map(i64::from))),
            other => return Err(Error::bug(format!("a column of type {other} cannot be read as a number: group by it as a row"))),
        }
        Ok(())
    }
}

fn numbers<T: ArrowPrimitiveType>(column: &ArrayRef, keys: &mut Vec<Option<i64>>, number: impl Fn(T::Native) -> i64) {
    let column = column.as_primitive::<T>();
    if column.null_count() == 0 {
        keys.extend(column.values().iter().map(|value| Some(number(*value))));
    } else {
        keys.extend(column.iter().map(|value| value.map(&number)));
    }
}

impl ColumnKey for RowKey {
    fn read(columns: &[ArrayRef], rows: usize, keys: &mut Vec<Self>) -> Result<()> {
        if keys.len() < rows {
            keys.resize_with(rows, Self::new);
        }
        let keys = &mut keys[..rows];
        keys.iter_mut().for_each(Self::clear);
        columns.iter().try_for_each(|column| push_column(column, keys, RowKey::push_bytes))
    }
}

impl RowKey {
    /// As [`ColumnKey::read`], for rows that are kept and need not sort by their texts: these are quicker to write and to read.
    pub(crate) fn read_plain(columns: &[ArrayRef], rows: usize, keys: &mut Vec<Self>) -> Result<()> {
        Self::read(&[], rows, keys)?;
        columns.iter().try_for_each(|column| push_column(column, &mut keys[..rows], Self::push_plain_bytes))
    }
}

/// Adds a field to each key, texts and bytes as `bytes` does.
fn push_column(column: &ArrayRef, keys: &mut [RowKey], bytes: impl Fn(&mut RowKey, &[u8])) -> Result<()> {
    let integer = |key: &mut RowKey, value| key.push_i64(value);
    match column.data_type() {
        DataType::Int8 => push(keys, primitive::<Int8Type>(column), |key, value| integer(key, value.into())),
        DataType::Int16 => push(keys, primitive::<Int16Type>(column), |key, value| integer(key, value.into())),
        DataType::Int32 => push(keys, primitive::<Int32Type>(column), |key, value| integer(key, value.into())),
        DataType::Int64 => push(keys, primitive::<Int64Type>(column), integer),
        DataType::UInt8 => push(keys, primitive::<UInt8Type>(column), |key, value| integer(key, value.into())),
        DataType::UInt16 => push(keys, primitive::<UInt16Type>(column), |key, value| integer(key, value.into())),
        DataType::UInt32 => push(keys, primitive::<UInt32Type>(column), |key, value| integer(key, value.into())),
        DataType::UInt64 => push(keys, primitive::<UInt64Type>(column), RowKey::push_u64),
        DataType::Date32 => push(keys, primitive::<Date32Type>(column), |key, value| integer(key, value.into())),
        DataType::Timestamp(TimeUnit::Millisecond, _) => push(keys, primitive::<TimestampMillisecondType>(column), integer),
        DataType::Float32 => push(keys, primitive::<Float32Type>(column), |key, value| key.push_f64(value.into())),
        DataType::Float64 => push(keys, primitive::<Float64Type>(column), RowKey::push_f64),
        DataType::Boolean => push(keys, AsArray::as_boolean(column) as &BooleanArray, |key, value| integer(key, value.into())),
        DataType::Utf8 => push(keys, column.as_string::<i32>(), |key, value| bytes(key, value.as_bytes())),
        DataType::LargeUtf8 => push(keys, column.as_string::<i64>(), |key, value| bytes(key, value.as_bytes())),
        DataType::Utf8View => push(keys, column.as_string_view(), |key, value| bytes(key, value.as_bytes())),
        DataType::Binary => push(keys, column.as_binary::<i32>(), bytes),
        DataType::LargeBinary => push(keys, column.as_binary::<i64>(), bytes),
        DataType::BinaryView => push(keys, column.as_binary_view(), bytes),
        DataType::FixedSizeBinary(_) => push(keys, column.as_fixed_size_binary(), bytes),
        DataType::Decimal128(..) => push(keys, primitive::<Decimal128Type>(column), RowKey::push_i128),
        DataType::Null => keys.iter_mut().for_each(RowKey::push_null),
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let elements = rows_of(std::slice::from_ref(lists.values()), lists.values().len())?;
            push_lists(column, keys, Shape::Array, lists.value_offsets(), &elements);
        }
        DataType::Map(..) => {
            let maps = column.as_map();
            let entries = rows_of(maps.entries().columns(), maps.entries().len())?;
            push_lists(column, keys, Shape::Map, maps.value_offsets(), &entries);
        }
        DataType::Struct(_) => {
            let rows = rows_of(column.as_struct().columns(), column.len())?;
            let row = |row: usize| column.is_valid(row).then(|| &rows[row]);
            push(keys, (0..column.len()).map(row), |key, row| key.push_nested(Shape::Row, [row]));
        }
        // The types that have a key hash, and decimals, which can be kept but not partitioned by.
        other => return Err(Error::user(format!("a column of type {other} cannot be a key"))),
    }
    Ok(())
}

/// The values of some columns, row by row.
fn rows_of(columns: &[ArrayRef], rows: usize) -> Result<Vec<RowKey>> {
    let mut keys = Vec::new();
    RowKey::read(columns, rows, &mut keys)?;
    Ok(keys)
}

/// Adds values that are made of those between two offsets.
fn push_lists(column: &ArrayRef, keys: &mut [RowKey], shape: Shape, offsets: &[i32], elements: &[RowKey]) {
    let list = |row: usize| column.is_valid(row).then(|| &elements[offsets[row] as usize..offsets[row + 1] as usize]);
    push(keys, (0..column.len()).map(list), |key, elements| key.push_nested(shape, elements));
}

fn primitive<T: ArrowPrimitiveType>(column: &ArrayRef) -> &PrimitiveArray<T> {
    column.as_primitive::<T>()
}

/// Adds the values of a column, nulls included.
#[inline]
fn push<T>(keys: &mut [RowKey], values: impl IntoIterator<Item = Option<T>>, field: impl Fn(&mut RowKey, T)) {
    for (key, value) in keys.iter_mut().zip(values) {
        match value {
            Some(value) => field(key, value),
            None => key.push_null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::row::{RowBuilder, ValueType};
    use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
    use arrow_array::{
        Date32Array, Float32Array, Float64Array, Int16Array, Int64Array, ListArray, StringViewArray, StructArray, UInt64Array,
    };
    use brisk_core::types::{Decoder, Record, hash_columns};
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        #[test]
        fn keys_hash_sort_and_read_back_as_their_columns(
            texts in proptest::collection::vec(proptest::option::of("[a\0é]{0,20}"), 8),
            numbers in proptest::collection::vec(proptest::option::of(any::<i64>()), 8),
            floats in proptest::collection::vec(proptest::option::of(any::<f64>()), 8),
            big in proptest::collection::vec(any::<u64>(), 8),
        ) {
            let columns: Vec<ArrayRef> = vec![
                Arc::new(Int64Array::from(numbers.clone())),
                Arc::new(StringViewArray::from_iter(texts.iter().map(Option::as_deref))),
                Arc::new(Float64Array::from(floats.clone())),
                Arc::new(UInt64Array::from(big)),
                Arc::new(BooleanArray::from_iter(numbers.iter().map(|number| number.map(|number| number % 2 == 0)))),
                Arc::new(Float32Array::from_iter(floats.iter().map(|value| value.map(|value| value as f32)))),
            ];
            for width in 1..=columns.len() {
                let (mut hashes, mut keys) = (Vec::new(), vec![RowKey::new(); 9]);
                hash_columns(&columns[..width], &mut hashes).expect("all can be keys");
                RowKey::read(&columns[..width], 8, &mut keys).expect("all can be keys");
                prop_assert_eq!(keys[..8].iter().map(Key::key_hash).collect::<Vec<_>>(), hashes);
                let mut plain = Vec::new();
                RowKey::read_plain(&columns[..width], 8, &mut plain).expect("all can be kept");
                prop_assert_eq!(plain.iter().map(Key::key_hash).collect::<Vec<_>>(), keys[..8].iter().map(Key::key_hash).collect::<Vec<_>>());
                for key in keys[..8].iter().chain(&plain) {
                    let (mut ordered, mut bytes) = (Vec::new(), Vec::new());
                    key.encode_ordered(&mut ordered);
                    key.encode(&mut bytes);
                    prop_assert_eq!(&RowKey::decode_ordered(&mut Decoder::new(&ordered)).expect("own bytes"), key);
                    prop_assert_eq!(&RowKey::decode(&mut Decoder::new(&bytes)).expect("own bytes"), key);
                }
            }
            let mut keys = Vec::new();
            RowKey::read(&columns[..1], 8, &mut keys).expect("numbers");
            for (one, two) in (0..8).flat_map(|one| (0..8).map(move |two| (one, two))) {
                prop_assert_eq!(keys[one].cmp(&keys[two]), numbers[one].cmp(&numbers[two]), "nulls first, then by value");
            }
        }

        #[test]
        fn damaged_keys_are_refused_or_other_keys(bytes in proptest::collection::vec(0u8..7, 0..24)) {
            for read in [RowKey::decode, RowKey::decode_ordered] {
                if let Ok(key) = read(&mut Decoder::new(&bytes)) {
                    key.key_hash();
                }
            }
        }
    }

    #[test]
    fn plain_rows_read_back_as_their_columns() {
        let texts = StringViewArray::from_iter([Some("a long text that does not lie inside of a key"), None, Some("a\0b"), Some("")]);
        let columns: [ArrayRef; 2] = [Arc::new(Int64Array::from(vec![Some(1), Some(i64::MIN), None, Some(0)])), Arc::new(texts)];
        for read in [RowKey::read, RowKey::read_plain] {
            let (mut keys, mut builder) = (Vec::new(), RowBuilder::new(&[ValueType::Bigint, ValueType::Text]));
            read(&columns, 4, &mut keys).expect("all can be kept");
            keys.iter().try_for_each(|key| builder.push(key.as_bytes())).expect("of these types");
            for (column, read) in columns.iter().zip(builder.finish()) {
                assert_eq!(crate::cell::cells(&read).expect("can be shown"), crate::cell::cells(column).expect("can be shown"));
            }
        }
    }

    #[test]
    fn numbers_hash_as_their_columns() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(3), None]));
        let small: ArrayRef = Arc::new(Int16Array::from(vec![-7]));
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None]));
        for column in [days, small, flags] {
            let (mut hashes, mut keys) = (Vec::new(), vec![Some(9)]);
            hash_columns(std::slice::from_ref(&column), &mut hashes).expect("a key");
            Option::<i64>::read(std::slice::from_ref(&column), column.len(), &mut keys).expect("a number");
            assert_eq!(keys.iter().map(Key::key_hash).collect::<Vec<_>>(), hashes);
        }
    }

    /// Arrays, maps and rows hash as their columns do, sort as their parts do, and come back from the bytes as they were.
    #[test]
    fn values_made_of_others_are_keys() {
        let lists = [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(-7)]), Some(vec![Some(1)])];
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<arrow_array::types::Int64Type, _, _>(lists));
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for row in 0..5 {
            for entry in 0..row % 3 {
                maps.keys().append_value(format!("k{entry}"));
                maps.values().append_option((row != 2).then_some(row));
            }
            maps.append(row != 3).expect("as many keys as values");
        }
        let maps: ArrayRef = Arc::new(maps.finish());
        let fields = [("l", &lists), ("m", &maps)].map(|(name, column)| arrow_schema::Field::new(name, column.data_type().clone(), true));
        let nulls = arrow_buffer::NullBuffer::from(vec![true, true, false, true, true]);
        let rows: ArrayRef = Arc::new(StructArray::new(fields.to_vec().into(), vec![Arc::clone(&lists), Arc::clone(&maps)], Some(nulls)));
        let columns = [lists, maps, rows];
        for width in 1..=columns.len() {
            let (mut hashes, mut keys) = (Vec::new(), Vec::new());
            hash_columns(&columns[..width], &mut hashes).expect("all can be keys");
            RowKey::read(&columns[..width], 5, &mut keys).expect("all can be keys");
            assert_eq!(keys.iter().map(Key::key_hash).collect::<Vec<_>>(), hashes);
            let types: Vec<_> = columns[..width].iter().map(|column| ValueType::of(column.data_type()).expect("a type of state")).collect();
            let mut builder = RowBuilder::new(&types);
            for key in &keys {
                let mut ordered = Vec::new();
                key.encode_ordered(&mut ordered);
                assert_eq!(&RowKey::decode_ordered(&mut Decoder::new(&ordered)).expect("own bytes"), key);
                builder.push(key.as_bytes()).expect("of these types");
            }
            for (column, read) in columns.iter().zip(builder.finish()) {
                assert_eq!(crate::cell::cells(&read).expect("can be shown"), crate::cell::cells(column).expect("can be shown"));
                assert_eq!(read.data_type(), column.data_type());
            }
            for value_type in types {
                let mut bytes = Vec::new();
                value_type.encode(&mut bytes);
                assert_eq!(ValueType::decode(&mut Decoder::new(&bytes)).expect("own bytes"), value_type);
            }
        }
        let mut keys = Vec::new();
        RowKey::read(&columns[..1], 5, &mut keys).expect("all can be keys");
        // [], then what begins with the least; null is lower than all.
        let mut sorted: Vec<usize> = (0..5).collect();
        sorted.sort_by_key(|row| &keys[*row]);
        assert_eq!(sorted, [1, 2, 3, 4, 0]);
        assert!(RowKey::decode(&mut Decoder::new(&[3, 7, 2, 0])).is_err(), "a number is cut off within an array");
        let deep = vec![7; 5000];
        let mut bytes = Vec::new();
        brisk_core::types::put_bytes(&mut bytes, &deep);
        assert!(RowKey::decode(&mut Decoder::new(&bytes)).is_err(), "arrays are too deep within each other");
    }
}
