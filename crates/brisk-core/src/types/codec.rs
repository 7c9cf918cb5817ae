//! The pieces encodings are made of. The table at [`Record`](super::Record) shows the bytes.

use super::{Decoder, Record};
use brisk_base::Result;

/// Most bytes set aside for a list before its elements are read: a damaged count costs no more than this.
const FIRST_ALLOCATION_BYTES: usize = 64 * 1024;

/// Appends an unsigned number in LEB128.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else {
        put_long_varint(out, value);
    }
}

fn put_long_varint(out: &mut Vec<u8>, mut value: u64) {
    let mut bytes = [0; 10];
    let mut len = 0;
    while value >= 0x80 {
        bytes[len] = value as u8 | 0x80;
        len += 1;
        value >>= 7;
    }
    bytes[len] = value as u8;
    out.extend_from_slice(&bytes[..=len]);
}

/// Appends a signed number in zigzag LEB128.
#[inline]
pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, (value << 1 ^ value >> 63) as u64);
}

/// Appends a length and the bytes.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends bytes so that they sort as the byte strings do and end where they end: each 0 as 0 255, closed by 0 0.
pub fn put_ordered_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let mut pieces = bytes.split(|&byte| byte == 0);
    out.extend_from_slice(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend_from_slice(&[0, 0xFF]);
        out.extend_from_slice(piece);
    }
    out.extend_from_slice(&[0, 0]);
}

/// Appends the index of an enum's variant so that it sorts as a number.
#[inline]
pub fn put_ordered_tag(out: &mut Vec<u8>, tag: u32) {
    match u8::try_from(tag) {
        Ok(byte) if byte < 0xFF => out.push(byte),
        _ => {
            out.push(0xFF);
            out.extend_from_slice(&tag.to_be_bytes());
        }
    }
}

/// Appends elements, and zeros up to one byte an element, so that a reader can refuse counts that the input cannot hold.
pub(super) fn put_elements<'a, T: Record>(elements: impl ExactSizeIterator<Item = &'a T>, out: &mut Vec<u8>) {
    put_each(elements, out, T::encode);
}

/// [`put_elements`] with the function that writes one element.
pub(super) fn put_each<T>(elements: impl ExactSizeIterator<Item = T>, out: &mut Vec<u8>, mut put: impl FnMut(T, &mut Vec<u8>)) {
    let least = out.len() + elements.len();
    elements.for_each(|element| put(element, out));
    if out.len() < least {
        out.resize(least, 0);
    }
}

/// Reads `count` elements (and their padding) written by [`put_elements`] into a collection.
pub(super) fn elements<T: Record, C>(count: usize, input: &mut Decoder<'_>, collection: C, add: impl FnMut(&mut C, T)) -> Result<C> {
    each(count, input, collection, T::decode, add)
}

/// [`elements`] with the function that reads one element.
pub(super) fn each<T, C>(
    count: usize,
    input: &mut Decoder<'_>,
    mut collection: C,
    mut read: impl FnMut(&mut Decoder<'_>) -> Result<T>,
    mut add: impl FnMut(&mut C, T),
) -> Result<C> {
    let start = input.offset();
    input.nested(|input| {
        for _ in 0..count {
            add(&mut collection, read(input)?);
        }
        Ok(())
    })?;
    let padding = count.saturating_sub(input.offset() - start);
    if input.take(padding)?.iter().any(|&byte| byte != 0) {
        return Err(input.corrupt("the padding of a list is not zero"));
    }
    Ok(collection)
}

/// How many elements to set memory aside for at first when `count` are announced.
pub(super) fn first_capacity<T>(count: usize) -> usize {
    count.min(FIRST_ALLOCATION_BYTES / size_of::<T>().max(1))
}

/// Appends elements in an encoding that sorts as lists do: each after a 1, closed by 0.
pub(super) fn put_ordered_elements<T>(elements: impl Iterator<Item = T>, out: &mut Vec<u8>, put: impl Fn(T, &mut Vec<u8>)) {
    for element in elements {
        out.push(1);
        put(element, out);
    }
    out.push(0);
}

/// Reads what [`put_ordered_elements`] wrote.
pub(super) fn ordered_elements<T, C: Default + Extend<T>>(
    input: &mut Decoder<'_>,
    read: impl Fn(&mut Decoder<'_>) -> Result<T>,
) -> Result<C> {
    let mut collection = C::default();
    input.nested(|input| {
        while ordered_flag(input)? {
            collection.extend(std::iter::once(read(input)?));
        }
        Ok(collection)
    })
}

/// Reads a byte that is 0 or 1.
#[inline]
pub(super) fn ordered_flag(input: &mut Decoder<'_>) -> Result<bool> {
    match input.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(input.corrupt(format!("0 or 1 expected, found {other}"))),
    }
}
