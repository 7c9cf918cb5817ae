//! The trait of everything that flows in a stream or lies in state.

use super::{Decoder, Schema, codec};
use brisk_base::{Result, Timestamp};

/// A value that can flow in a stream and lie in state.
///
/// Derive it: `#[derive(Clone, Record)]`. It is built in for the primitives, `String`, [`Str`](super::Str), `Vec`, `Box`, `Option`, tuples, arrays, the maps
/// and sets of the standard library, and Brisk's times. Types of foreign crates come in through `Serde<T>` (feature `serde`) or
/// `#[record(with = module)]` on a field.
///
/// ```
/// use brisk_core::types::{Decoder, Record};
///
/// #[derive(Clone, PartialEq, Debug, Record)]
/// struct Departure { id: u64, delay_min: i32, origin: String, tailnum: Option<String> }
///
/// let departure = Departure { id: 7, delay_min: -3, origin: "EWR".into(), tailnum: None };
/// let mut bytes = Vec::new();
/// departure.encode(&mut bytes);
/// assert_eq!(bytes, [7, 5, 3, b'E', b'W', b'R', 0]);
/// assert_eq!(Departure::decode(&mut Decoder::new(&bytes))?, departure);
/// assert_eq!(Departure::schema().to_string(), "struct Departure { id: u64, delay_min: i32, origin: string, tailnum: option<string> }");
/// # Ok::<(), brisk_base::Error>(())
/// ```
///
/// The encoding is compact and not self-describing: [`Record::schema`] says how to read it, and is stored once beside the values.
///
/// | type | bytes |
/// |---|---|
/// | `u8`, `i8` | the byte |
/// | `u16` to `u64`, `usize`, `char` | LEB128: 7 bits a byte, lowest first, the high bit set on all but the last; shortest form only |
/// | `i16` to `i64`, `isize`, `Timestamp`, `Millis` | zigzag (0, -1, 1, -2 become 0, 1, 2, 3), then as unsigned |
/// | `u128`, `i128` | 16 bytes, lowest first |
/// | `f32`, `f64` | the bits of the IEEE value, lowest byte first |
/// | `bool`, the tag of `Option` | 0 or 1 |
/// | `String`, `Str`, `Arc<str>`, `Vec<u8>` | length as LEB128, then the bytes |
/// | `Vec`, sets, maps | count as LEB128, then the elements (of a map: key, value), then zeros if these were fewer bytes than the count |
/// | arrays, tuples, structs | the fields in order |
/// | enums | index of the variant as LEB128, then its fields |
/// | `Duration` | seconds, then nanoseconds, each as LEB128 |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a record: it has no codec",
    note = "add `#[derive(Clone, Record)]` to it; wrap a type of another crate in `Serde<..>`, or name a codec with `#[record(with = module)]`"
)]
pub trait Record: Clone + Send + Sync + 'static {
    /// Appends the value's encoding.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads one value. Recursive types may nest to a depth of [`Decoder::MAX_DEPTH`].
    ///
    /// # Errors
    /// [`Corrupt`](brisk_base::ErrorKind::Corrupt), with the offset, when the bytes are no such value.
    fn decode(input: &mut Decoder<'_>) -> Result<Self>;

    /// What the encoding looks like.
    fn schema() -> Schema;

    /// Bytes this value holds outside of `size_of::<Self>()`, approximately: for memory accounting.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// Becomes a copy of `other`, using the memory it has again. As `clone_from`, but also for tuples and what is derived.
    #[doc(hidden)]
    #[inline]
    fn assign(&mut self, other: &Self) {
        self.clone_from(other);
    }

    /// When a value that expires was last used. Only for the values of states with a time to live.
    #[doc(hidden)]
    #[inline]
    fn last_use(&self) -> Option<Timestamp> {
        None
    }

    /// Appends the elements of a list, without the count. Only for types whose lists have an encoding of their own (`u8`).
    #[doc(hidden)]
    fn encode_elements(elements: &[Self], out: &mut Vec<u8>) {
        codec::put_elements(elements.iter(), out);
    }

    /// Reads what [`Record::encode_elements`] wrote.
    #[doc(hidden)]
    fn decode_elements(count: usize, input: &mut Decoder<'_>) -> Result<Vec<Self>> {
        codec::elements(count, input, Vec::with_capacity(codec::first_capacity::<Self>(count)), Vec::push)
    }

    /// Schema of a list of this type.
    #[doc(hidden)]
    fn list_schema() -> Schema {
        Schema::List(Box::new(Self::schema()))
    }
}
