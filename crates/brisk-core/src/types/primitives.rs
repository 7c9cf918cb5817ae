//! Records and keys that hold no others: numbers, truth values, text.

use super::codec::{ordered_flag, put_bytes, put_ordered_bytes, put_varint, put_zigzag};
use super::{Decoder, Key, Record, Schema, hash};
use brisk_base::Result;
use std::borrow::Cow;
use std::sync::Arc;

/// `Record` of numbers: bits, how to write one, how to read one.
macro_rules! number {
    ($($type:ty: $schema:expr, |$value:ident, $out:ident| $encode:expr, |$input:ident| $decode:expr;)*) => {$(
        impl Record for $type {
            #[inline]
            fn encode(&self, $out: &mut Vec<u8>) {
                let $value = *self;
                $encode;
            }

            #[inline]
            fn decode($input: &mut Decoder<'_>) -> Result<Self> {
                $decode
            }

            fn schema() -> Schema {
                $schema
            }
        }
    )*};
}

/// `Key` of numbers whose ordered bytes are the big-endian ones of themselves xor `flip` (the sign bit, if there is one).
macro_rules! ordered_number {
    ($($type:ty: flip $flip:expr, |$value:ident| $hash:expr;)*) => {$(
        impl Key for $type {
            #[inline]
            fn key_hash(&self) -> u64 {
                let $value = *self;
                $hash
            }

            #[inline]
            fn encode_ordered(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&(*self ^ $flip).to_be_bytes());
            }

            #[inline]
            fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
                Ok(<$type>::from_be_bytes(input.take_array()?) ^ $flip)
            }
        }
    )*};
}

number! {
    i8: int(8, true), |value, out| out.push(value as u8), |input| Ok(input.byte()? as i8);
    i16: int(16, true), |value, out| put_zigzag(out, i64::from(value)), |input| signed(input);
    i32: int(32, true), |value, out| put_zigzag(out, i64::from(value)), |input| signed(input);
    i64: int(64, true), |value, out| put_zigzag(out, value), |input| input.zigzag();
    isize: int(64, true), |value, out| put_zigzag(out, value as i64), |input| signed(input);
    i128: int(128, true), |value, out| out.extend_from_slice(&value.to_le_bytes()), |input| Ok(i128::from_le_bytes(input.take_array()?));
    u16: int(16, false), |value, out| put_varint(out, u64::from(value)), |input| unsigned(input);
    u32: int(32, false), |value, out| put_varint(out, u64::from(value)), |input| unsigned(input);
    u64: int(64, false), |value, out| put_varint(out, value), |input| input.varint();
    usize: int(64, false), |value, out| put_varint(out, value as u64), |input| unsigned(input);
    u128: int(128, false), |value, out| out.extend_from_slice(&value.to_le_bytes()), |input| Ok(u128::from_le_bytes(input.take_array()?));
    f32: Schema::Float { bits: 32 }, |value, out| out.extend_from_slice(&value.to_le_bytes()), |input| Ok(f32::from_le_bytes(input.take_array()?));
    f64: Schema::Float { bits: 64 }, |value, out| out.extend_from_slice(&value.to_le_bytes()), |input| Ok(f64::from_le_bytes(input.take_array()?));
    bool: Schema::Bool, |value, out| out.push(u8::from(value)), |input| ordered_flag(input);
    char: Schema::Char, |value, out| put_varint(out, u64::from(value)), |input| character(input.varint()?, input);
}

ordered_number! {
    i8: flip i8::MIN, |value| hash::hash_i64(i64::from(value));
    i16: flip i16::MIN, |value| hash::hash_i64(i64::from(value));
    i32: flip i32::MIN, |value| hash::hash_i64(i64::from(value));
    i64: flip i64::MIN, |value| hash::hash_i64(value);
    i128: flip i128::MIN, |value| hash::hash_i128(value);
    u16: flip 0, |value| hash::hash_i64(i64::from(value));
    u32: flip 0, |value| hash::hash_i64(i64::from(value));
    u64: flip 0, |value| hash::hash_u64(value);
    u128: flip 0, |value| hash::hash_u128(value);
}

const fn int(bits: u8, signed: bool) -> Schema {
    Schema::Int { bits, signed }
}

#[inline]
fn signed<T: TryFrom<i64>>(input: &mut Decoder<'_>) -> Result<T> {
    let value = input.zigzag()?;
    T::try_from(value).map_err(|_| out_of_range(input, value))
}

#[inline]
fn unsigned<T: TryFrom<u64>>(input: &mut Decoder<'_>) -> Result<T> {
    let value = input.varint()?;
    T::try_from(value).map_err(|_| out_of_range(input, value))
}

#[cold]
fn out_of_range(input: &Decoder<'_>, value: impl std::fmt::Display) -> brisk_base::Error {
    input.corrupt(format!("the number {value} does not fit the field's type"))
}

#[inline]
fn character(code: u64, input: &Decoder<'_>) -> Result<char> {
    u32::try_from(code).ok().and_then(char::from_u32).ok_or_else(|| input.corrupt(format!("{code} is no Unicode character")))
}

impl Record for u8 {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        input.byte()
    }

    fn schema() -> Schema {
        int(8, false)
    }

    fn encode_elements(elements: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(elements);
    }

    fn decode_elements(count: usize, input: &mut Decoder<'_>) -> Result<Vec<Self>> {
        Ok(input.take(count)?.to_vec())
    }

    fn list_schema() -> Schema {
        Schema::Bytes
    }
}

impl Key for u8 {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_i64(i64::from(*self))
    }

    #[inline]
    fn encode_ordered(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    #[inline]
    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        input.byte()
    }

    fn hash_elements(elements: &[Self]) -> u64 {
        hash::hash_bytes(elements)
    }

    fn hash_array(elements: &[Self]) -> u64 {
        hash::hash_bytes(elements)
    }

    fn encode_ordered_elements(elements: &[Self], out: &mut Vec<u8>) {
        put_ordered_bytes(out, elements);
    }

    fn decode_ordered_elements(input: &mut Decoder<'_>) -> Result<Vec<Self>> {
        input.ordered_bytes().map(Cow::into_owned)
    }
}

impl Key for usize {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_u64(*self as u64)
    }

    #[inline]
    fn encode_ordered(&self, out: &mut Vec<u8>) {
        (*self as u64).encode_ordered(out);
    }

    #[inline]
    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        let value = u64::decode_ordered(input)?;
        Self::try_from(value).map_err(|_| out_of_range(input, value))
    }
}

impl Key for isize {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_i64(*self as i64)
    }

    #[inline]
    fn encode_ordered(&self, out: &mut Vec<u8>) {
        (*self as i64).encode_ordered(out);
    }

    #[inline]
    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        let value = i64::decode_ordered(input)?;
        Self::try_from(value).map_err(|_| out_of_range(input, value))
    }
}

impl Key for bool {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_i64(i64::from(*self))
    }

    #[inline]
    fn encode_ordered(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    #[inline]
    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        ordered_flag(input)
    }
}

impl Key for char {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_bytes(self.encode_utf8(&mut [0; 4]).as_bytes())
    }

    #[inline]
    fn encode_ordered(&self, out: &mut Vec<u8>) {
        u32::from(*self).encode_ordered(out);
    }

    #[inline]
    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        character(u64::from(u32::decode_ordered(input)?), input)
    }
}

/// `Record` and `Key` of owned text.
macro_rules! text {
    ($($type:ty, |$value:ident| $heap:expr;)*) => {$(
        impl Record for $type {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                put_bytes(out, self.as_bytes());
            }

            #[inline]
            fn decode(input: &mut Decoder<'_>) -> Result<Self> {
                Ok(input.text()?.into())
            }

            fn schema() -> Schema {
                Schema::String
            }

            #[inline]
            fn heap_bytes(&self) -> usize {
                let $value = self;
                $heap
            }
        }

        impl Key for $type {
            #[inline]
            fn key_hash(&self) -> u64 {
                hash::hash_bytes(self.as_bytes())
            }

            fn encode_ordered(&self, out: &mut Vec<u8>) {
                put_ordered_bytes(out, self.as_bytes());
            }

            fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
                let text = String::from_utf8(input.ordered_bytes()?.into_owned());
                Ok(text.map_err(|_| input.corrupt("a string is not valid UTF-8"))?.into())
            }
        }
    )*};
}

text! {
    String, |text| text.capacity();
    Box<str>, |text| text.len();
    Arc<str>, |text| text.len() + 2 * size_of::<usize>();
}
