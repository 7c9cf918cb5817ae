//! How plain data of checkpoints is written: fields in order, numbers in LEB128, lists and texts with their length.
//!
//! Part of the format of savepoints: fields are added at the end of a version only. Reading never panics, and sets aside memory for what is
//! there only.

use brisk_base::ids::{CheckpointId, JobId, OperatorId, VertexId};
use brisk_base::{Result, Timestamp};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::state::{FileRef, KeyedStateMeta, Layout, NativeFile, NativeState, Redistribution, StateKind};
use brisk_core::types::{Decoder, KeyGroup, KeyGroupRange, Record, Schema, put_bytes, put_varint, put_zigzag};
use std::sync::Arc;

/// Elements of a list for which memory is set aside before they are read.
const FIRST_CAPACITY: usize = 64;

/// Plain data with bytes.
pub(crate) trait Wire: Sized {
    /// Appends the bytes.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads them.
    fn get(input: &mut Decoder<'_>) -> Result<Self>;
}

/// Structs whose fields are written in this order.
macro_rules! wire_struct {
    ($($name:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::wire::Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::wire::Wire::put(&self.$field, out);)*
            }

            fn get(input: &mut ::brisk_core::types::Decoder<'_>) -> ::brisk_base::Result<Self> {
                Ok(Self { $($field: $crate::wire::Wire::get(input)?),* })
            }
        }
    )*};
}
pub(crate) use wire_struct;

/// Numbers, written as LEB128.
macro_rules! numbers {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                put_varint(out, u64::from(*self));
            }

            fn get(input: &mut Decoder<'_>) -> Result<Self> {
                let number = input.varint()?;
                Self::try_from(number).map_err(|_| input.corrupt(format!("the number {number} is too large")))
            }
        }
    )*};
}
numbers!(u16, u32, u64);

/// Types around one field, written as that.
macro_rules! newtypes {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn get(input: &mut Decoder<'_>) -> Result<Self> {
                Wire::get(input).map($name)
            }
        }
    )*};
}
newtypes!(CheckpointId, JobId, KeyGroup, OperatorId, Timestamp, VertexId);

/// Enums without fields.
macro_rules! wire_enum {
    ($($name:ident { $($variant:ident = $tag:literal),* $(,)? })*) => {$(
        impl Wire for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$variant => $tag),* });
            }

            fn get(input: &mut Decoder<'_>) -> Result<Self> {
                match input.byte()? {
                    $($tag => Ok(Self::$variant),)*
                    other => Err(input.unknown_variant(stringify!($name), u64::from(other))),
                }
            }
        }
    )*};
}
wire_enum! {
    StateKind { Value = 0, List = 1, Map = 2 }
    Layout { KeyMajor = 0, NamespaceMajor = 1 }
    Redistribution { Split = 0, Union = 1, Broadcast = 2 }
}

wire_struct! {
    KeyedStateMeta { name, kind, layout, key, namespace, value, map_key }
    FileRef { path, size, checksum }
    NativeFile { name, file, shared }
    NativeState { backend, range, files, meta }
}

impl Wire for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        match input.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(input.corrupt(format!("0 or 1 expected, found {other}"))),
        }
    }
}

impl Wire for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        put_zigzag(out, *self);
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        input.zigzag()
    }
}

impl Wire for u128 {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_le_bytes());
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        input.take_array().map(Self::from_le_bytes)
    }
}

impl Wire for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        input.text().map(str::to_owned)
    }
}

impl Wire for Arc<str> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        input.text().map(Self::from)
    }
}

impl Wire for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self);
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        input.bytes().map(<[u8]>::to_vec)
    }
}

impl Wire for Arc<[u8]> {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self);
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        input.bytes().map(Self::from)
    }
}

impl Wire for Schema {
    fn put(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        Self::decode(input)
    }
}

impl Wire for KeyGroupRange {
    fn put(&self, out: &mut Vec<u8>) {
        let numbers = self.numbers();
        numbers.start.put(out);
        numbers.end.put(out);
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        let (start, end) = (u16::get(input)?, u16::get(input)?);
        let range = Self::new(start, end);
        if range.numbers() == (start..end) { Ok(range) } else { Err(input.corrupt(format!("{start}..{end} is no range of key groups"))) }
    }
}

impl Wire for SnapshotKind {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Checkpoint => 0,
            Self::Savepoint => 1,
            Self::StopWithSavepoint { drain: false } => 2,
            Self::StopWithSavepoint { drain: true } => 3,
        });
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        match input.byte()? {
            0 => Ok(Self::Checkpoint),
            1 => Ok(Self::Savepoint),
            tag @ 2..=3 => Ok(Self::StopWithSavepoint { drain: tag == 3 }),
            other => Err(input.unknown_variant("SnapshotKind", u64::from(other))),
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        if bool::get(input)? { T::get(input).map(Some) } else { Ok(None) }
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        Ok((A::get(input)?, B::get(input)?))
    }
}

/// A list of anything that has at least one byte.
impl<T: Element> Wire for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        self.iter().for_each(|element| element.put(out));
    }

    fn get(input: &mut Decoder<'_>) -> Result<Self> {
        let count = input.count()?;
        let mut elements = Self::with_capacity(count.min(FIRST_CAPACITY));
        for _ in 0..count {
            elements.push(T::get(input)?);
        }
        Ok(elements)
    }
}

/// Elements of lists: everything but `u8`, whose lists are strings of bytes.
pub(crate) trait Element: Wire {}

impl Element for KeyedStateMeta {}
impl Element for NativeFile {}
impl Element for Vec<u8> {}
impl<A: Wire, B: Wire> Element for (A, B) {}

/// Reads something that takes all of the bytes.
pub(crate) fn from_bytes<T: Wire>(bytes: &[u8]) -> Result<T> {
    let mut input = Decoder::new(bytes);
    let value = T::get(&mut input)?;
    input.finish().map(|()| value)
}

/// The bytes of something.
pub(crate) fn to_bytes(value: &impl Wire) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out);
    out
}
