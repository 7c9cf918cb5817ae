//! How the values of a column are written: validity, then Arrow's buffers, cut to the column's rows.

use super::data_type::flag;
use crate::types::Decoder;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, BinaryType, BinaryViewType, ByteArrayType, ByteViewType, LargeBinaryType, LargeUtf8Type, StringViewType, Utf8Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, GenericByteArray, GenericListArray, MapArray, NullArray, OffsetSizeTrait,
    PrimitiveArray, StructArray, downcast_primitive,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer, ToByteSlice};
use arrow_schema::{ArrowError, DataType};
use brisk_base::Result;
use std::sync::Arc;

macro_rules! put_primitive {
    ($type:ty, $array:expr, $out:expr) => {
        $out.extend_from_slice(as_bytes($array.as_primitive::<$type>().values()))
    };
}

/// Appends the values of a column. A type that cannot be encoded has been named by its tag and has no data.
pub(super) fn put(array: &dyn Array, out: &mut Vec<u8>) {
    put_nulls(array, out);
    downcast_primitive! {
        array.data_type() => (put_primitive, array, out),
        DataType::Boolean => put_bits(array.as_boolean().values(), out),
        DataType::Utf8 => put_byte_array(array.as_bytes::<Utf8Type>(), out),
        DataType::LargeUtf8 => put_byte_array(array.as_bytes::<LargeUtf8Type>(), out),
        DataType::Binary => put_byte_array(array.as_bytes::<BinaryType>(), out),
        DataType::LargeBinary => put_byte_array(array.as_bytes::<LargeBinaryType>(), out),
        DataType::Utf8View => put_views::<StringViewType, LargeUtf8Type>(array, out),
        DataType::BinaryView => put_views::<BinaryViewType, LargeBinaryType>(array, out),
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            let width = array.value_length() as usize;
            let from = array.offset() * width;
            out.extend_from_slice(&array.value_data()[from..from + array.len() * width]);
        }
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            put_list(array.value_offsets(), array.values(), out);
        }
        DataType::LargeList(_) => {
            let array = array.as_list::<i64>();
            put_list(array.value_offsets(), array.values(), out);
        }
        DataType::Map(..) => {
            let array = array.as_map();
            put_list(array.value_offsets(), array.entries(), out);
        }
        DataType::Struct(_) => array.as_struct().columns().iter().for_each(|column| put(column.as_ref(), out)),
        _ => {}
    }
}

/// The bytes of numbers as they lie in memory.
fn as_bytes<T: ArrowNativeType>(values: &ScalarBuffer<T>) -> &[u8] {
    values.inner().as_slice()
}

fn put_nulls(array: &dyn Array, out: &mut Vec<u8>) {
    match array.nulls() {
        Some(nulls) if nulls.null_count() > 0 => {
            out.push(1);
            put_bits(nulls.inner(), out);
        }
        _ => out.push(0),
    }
}

/// A bit per row, lowest first; the bits after the last row are 0, so that equal columns have equal bytes.
fn put_bits(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    let bytes = bits.len().div_ceil(8);
    out.extend_from_slice(&bits.sliced().as_slice()[..bytes]);
    if !bits.len().is_multiple_of(8)
        && let Some(last) = out.last_mut()
    {
        *last &= (1 << (bits.len() % 8)) - 1;
    }
}

/// Offsets as if the column began at 0; gives where it begins and ends.
fn put_offsets<O: OffsetSizeTrait>(offsets: &[O], out: &mut Vec<u8>) -> (usize, usize) {
    let first = offsets[0];
    if first.is_zero() {
        out.extend_from_slice(offsets.to_byte_slice());
    } else {
        offsets.iter().for_each(|offset| out.extend_from_slice((*offset - first).to_byte_slice()));
    }
    (first.as_usize(), offsets[offsets.len() - 1].as_usize())
}

fn put_byte_array<T: ByteArrayType>(array: &GenericByteArray<T>, out: &mut Vec<u8>) {
    let (from, to) = put_offsets(array.value_offsets(), out);
    out.extend_from_slice(&array.value_data()[from..to]);
}

/// Views are written as the large layout of the same values.
fn put_views<V: ByteViewType, T: ByteArrayType<Native = V::Native>>(array: &dyn Array, out: &mut Vec<u8>) {
    put_byte_array(&GenericByteArray::<T>::from_iter(array.as_byte_view::<V>()), out);
}

fn put_list<O: OffsetSizeTrait>(offsets: &[O], values: &dyn Array, out: &mut Vec<u8>) {
    let (from, to) = put_offsets(offsets, out);
    put(values.slice(from, to - from).as_ref(), out);
}

macro_rules! read_primitive {
    ($type:ty, $input:expr, $data_type:expr, $rows:expr, $nulls:expr) => {
        read_primitive::<$type>($input, $data_type, $rows, $nulls)?
    };
}

/// Reads the values of a column of `rows` rows.
pub(super) fn read(input: &mut Decoder<'_>, data_type: &DataType, rows: usize) -> Result<ArrayRef> {
    let nulls = read_nulls(input, rows)?;
    Ok(downcast_primitive! {
        data_type => (read_primitive, input, data_type, rows, nulls),
        DataType::Null if nulls.is_none() => Arc::new(NullArray::new(rows)),
        DataType::Boolean => Arc::new(BooleanArray::new(read_bits(input, rows)?, nulls)),
        DataType::Utf8 => Arc::new(read_byte_array::<Utf8Type>(input, rows, nulls)?),
        DataType::LargeUtf8 => Arc::new(read_byte_array::<LargeUtf8Type>(input, rows, nulls)?),
        DataType::Binary => Arc::new(read_byte_array::<BinaryType>(input, rows, nulls)?),
        DataType::LargeBinary => Arc::new(read_byte_array::<LargeBinaryType>(input, rows, nulls)?),
        DataType::Utf8View => Arc::new(read_views::<StringViewType, LargeUtf8Type>(input, rows, nulls)?),
        DataType::BinaryView => Arc::new(read_views::<BinaryViewType, LargeBinaryType>(input, rows, nulls)?),
        DataType::FixedSizeBinary(width) => {
            let values = Buffer::from(input.take(rows * *width as usize)?);
            let made = FixedSizeBinaryArray::try_new_with_len(*width, values, nulls, rows);
            Arc::new(checked(input, made)?)
        },
        DataType::List(field) => {
            let (offsets, values) = read_list::<i32>(input, field.data_type(), rows)?;
            let made = GenericListArray::try_new(Arc::clone(field), offsets, values, nulls);
            Arc::new(checked(input, made)?)
        },
        DataType::LargeList(field) => {
            let (offsets, values) = read_list::<i64>(input, field.data_type(), rows)?;
            let made = GenericListArray::try_new(Arc::clone(field), offsets, values, nulls);
            Arc::new(checked(input, made)?)
        },
        DataType::Map(field, sorted) => {
            let (offsets, entries) = read_list::<i32>(input, field.data_type(), rows)?;
            let made = MapArray::try_new(Arc::clone(field), offsets, entries.as_struct().clone(), nulls, *sorted);
            Arc::new(checked(input, made)?)
        },
        DataType::Struct(fields) => {
            let columns = fields.iter().map(|field| input.nested(|input| read(input, field.data_type(), rows))).collect::<Result<_>>()?;
            let made = StructArray::try_new_with_length(fields.clone(), columns, nulls, rows);
            Arc::new(checked(input, made)?)
        },
        other => return Err(input.corrupt(format!("values do not fit the type {other}"))),
    })
}

fn checked<T>(input: &Decoder<'_>, made: Result<T, ArrowError>) -> Result<T> {
    made.map_err(|error| input.corrupt(error.to_string()))
}

fn read_nulls(input: &mut Decoder<'_>, rows: usize) -> Result<Option<NullBuffer>> {
    Ok(if flag(input)? { Some(NullBuffer::new(read_bits(input, rows)?)) } else { None })
}

fn read_bits(input: &mut Decoder<'_>, rows: usize) -> Result<BooleanBuffer> {
    let bytes = input.take(rows.div_ceil(8))?;
    Ok(BooleanBuffer::new(Buffer::from(bytes), 0, rows))
}

/// Numbers; the copy is aligned, whatever the input is.
fn read_values<T: ArrowNativeType>(input: &mut Decoder<'_>, count: usize) -> Result<ScalarBuffer<T>> {
    let Some(len) = count.checked_mul(size_of::<T>()) else { return Err(input.corrupt(format!("{count} values are announced"))) };
    Ok(ScalarBuffer::new(Buffer::from(input.take(len)?), 0, count))
}

fn read_primitive<T: ArrowPrimitiveType>(
    input: &mut Decoder<'_>,
    data_type: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let made = PrimitiveArray::<T>::try_new(read_values(input, rows)?, nulls);
    Ok(Arc::new(checked(input, made)?.with_data_type(data_type.clone())))
}

/// Offsets from 0, ascending.
fn read_offsets<O: OffsetSizeTrait>(input: &mut Decoder<'_>, rows: usize) -> Result<OffsetBuffer<O>> {
    let offsets = read_values::<O>(input, rows + 1)?;
    if !offsets[0].is_zero() || !offsets.is_sorted() {
        return Err(input.corrupt("offsets do not begin at 0 and ascend"));
    }
    Ok(OffsetBuffer::new(offsets))
}

fn read_byte_array<T: ByteArrayType>(input: &mut Decoder<'_>, rows: usize, nulls: Option<NullBuffer>) -> Result<GenericByteArray<T>> {
    let offsets = read_offsets::<T::Offset>(input, rows)?;
    let values = Buffer::from(input.take(offsets[rows].as_usize())?);
    let made = GenericByteArray::<T>::try_new(offsets, values, nulls);
    checked(input, made)
}

fn read_views<V: ByteViewType, T: ByteArrayType<Native = V::Native>>(
    input: &mut Decoder<'_>,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> Result<arrow_array::GenericByteViewArray<V>> {
    Ok(read_byte_array::<T>(input, rows, nulls)?.iter().collect())
}

/// Offsets and elements of lists. One batch holds fewer than 2^32 elements.
fn read_list<O: OffsetSizeTrait>(input: &mut Decoder<'_>, element: &DataType, rows: usize) -> Result<(OffsetBuffer<O>, ArrayRef)> {
    let offsets = read_offsets::<O>(input, rows)?;
    let elements = offsets[rows].as_usize();
    if u32::try_from(elements).is_err() {
        return Err(input.corrupt(format!("{elements} list elements are announced")));
    }
    let values = input.nested(|input| read(input, element, elements))?;
    Ok((offsets, values))
}
