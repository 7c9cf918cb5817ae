//! The trait of what a stream can be keyed by.

use super::{Decoder, Record, codec, hash};
use brisk_base::Result;
use std::fmt::Debug;

/// A value that a stream can be keyed by: a [`Record`] with equality, order and a frozen hash.
///
/// Derive it together with `Record`: `#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]`. Floating point numbers are no
/// keys, since they have no equality one could rely on: key by their bits or by a rounded integer.
///
/// Equal values must have equal hashes and equal ordered encodings, and `a < b` must mean that the ordered encoding of `a` comes before
/// that of `b` byte by byte. No ordered encoding may be the beginning of another one of its type.
///
/// | type | ordered encoding |
/// |---|---|
/// | unsigned integers, `char` | big-endian, full width |
/// | signed integers, `Timestamp`, `Millis` | big-endian with the sign bit flipped |
/// | `bool` | 0 or 1 |
/// | `String`, `Str`, `Arc<str>`, `Vec<u8>` | the bytes, each 0 as 0 255, closed by 0 0 |
/// | `Option` | 0, or 1 and the value |
/// | `Vec`, `BTreeSet`, `BTreeMap` | each element after a 1, closed by 0 |
/// | arrays, tuples, structs | the fields in order |
/// | enums | index of the variant in one byte, or 255 and four bytes big-endian; then the fields |
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    note = "add `#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Record, Key)]` to it; floating point numbers cannot be keys"
)]
pub trait Key: Record + Eq + Ord + Debug {
    /// The frozen hash of the logical value, as [`hash`] defines it.
    fn key_hash(&self) -> u64;

    /// Appends an encoding that sorts, byte by byte, as the values do.
    fn encode_ordered(&self, out: &mut Vec<u8>);

    /// Reads what [`Key::encode_ordered`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`](brisk_base::ErrorKind::Corrupt), with the offset, when the bytes are no such value.
    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self>;

    /// Hash of a list. Only for types whose lists are values of their own (`u8`).
    #[doc(hidden)]
    fn hash_elements(elements: &[Self]) -> u64 {
        hash::hash_list(elements.iter().map(Self::key_hash))
    }

    /// Hash of an array, whose length is part of its type.
    #[doc(hidden)]
    fn hash_array(elements: &[Self]) -> u64 {
        elements.iter().map(Self::key_hash).reduce(hash::combine).unwrap_or(hash::hash_null())
    }

    /// Ordered encoding of a list.
    #[doc(hidden)]
    fn encode_ordered_elements(elements: &[Self], out: &mut Vec<u8>) {
        codec::put_ordered_elements(elements.iter(), out, Self::encode_ordered);
    }

    /// Reads what [`Key::encode_ordered_elements`] wrote.
    #[doc(hidden)]
    fn decode_ordered_elements(input: &mut Decoder<'_>) -> Result<Vec<Self>> {
        codec::ordered_elements(input, Self::decode_ordered)
    }
}
