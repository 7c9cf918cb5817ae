//! A key of any number of columns of any type.

use super::row_bytes::RowBytes;
use brisk_base::Result;
use brisk_core::types::{Decoder, Key, Record, Schema, hash, put_bytes};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// First byte of each field. Part of the savepoint format: add, never change. Above 0, which closes a key.
mod tag {
    pub(super) const NULL: u8 = 1;
    /// Eight bytes, big-endian, the sign bit flipped.
    pub(super) const INTEGER: u8 = 2;
    /// A number above `i64::MAX`: eight bytes, big-endian.
    pub(super) const BIG_INTEGER: u8 = 3;
    /// The canonical bits (one NaN, one zero), big-endian, flipped so that they sort as the numbers do.
    pub(super) const FLOAT: u8 = 4;
    /// Text or bytes, as ordered bytes.
    pub(super) const BYTES: u8 = 5;
    /// A decimal number in units of its scale: sixteen bytes, big-endian, the sign bit flipped.
    pub(super) const DECIMAL: u8 = 6;
    /// An array: its elements as fields, then a zero.
    pub(super) const ARRAY: u8 = 7;
    /// A row within the row: its fields, then a zero.
    pub(super) const ROW: u8 = 8;
    /// A map: keys and values in turn, then a zero.
    pub(super) const MAP: u8 = 9;
    /// Text or bytes of a row that is kept: their number in four bytes, little-endian, and the bytes.
    pub(super) const PLAIN_BYTES: u8 = 10;
}

const SIGN: u64 = 1 << 63;

/// The values of the key columns of one row, as bytes that say what they are and sort as the values do.
///
/// It has the key hash of the columns it was made from, and can compute it from its bytes.
#[derive(Clone, Debug, Default)]
pub struct RowKey(RowBytes);

impl PartialEq for RowKey {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        *self.0 == *other.0
    }
}

impl Eq for RowKey {}

impl PartialOrd for RowKey {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RowKey {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl Hash for RowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl RowKey {
    /// A key without columns.
    pub const fn new() -> Self {
        Self(RowBytes::new())
    }

    /// Forgets all fields and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a null.
    pub fn push_null(&mut self) {
        self.0.push(tag::NULL);
    }

    /// Adds an integer, a boolean as 0 or 1, or a time as a number.
    #[inline]
    pub fn push_i64(&mut self, value: i64) {
        self.push_word(tag::INTEGER, value as u64 ^ SIGN);
    }

    /// Adds an unsigned integer.
    pub fn push_u64(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.push_i64(value),
            Err(_) => self.push_word(tag::BIG_INTEGER, value),
        }
    }

    /// Adds a floating point number. All NaNs are one key, and so are both zeros.
    pub fn push_f64(&mut self, value: f64) {
        let canonical = if value == 0.0 {
            0
        } else if value.is_nan() {
            f64::NAN.to_bits() & !SIGN
        } else {
            value.to_bits()
        };
        self.push_word(tag::FLOAT, if canonical & SIGN == 0 { canonical | SIGN } else { !canonical });
    }

    /// Adds text or bytes.
    #[inline]
    pub fn push_bytes(&mut self, value: &[u8]) {
        self.0.push(tag::BYTES);
        // As `put_ordered_bytes` does.
        let mut rest = value;
        while rest.contains(&0) {
            let zero = rest.iter().position(|byte| *byte == 0).unwrap_or(0);
            self.0.extend_from_slice(&rest[..zero]);
            self.0.extend_from_slice(&[0, 0xFF]);
            rest = &rest[zero + 1..];
        }
        self.0.extend_from_slice(rest);
        self.0.extend_from_slice(&[0, 0]);
    }

    /// Adds text or bytes of a row that is kept and need not sort by them: quicker to write and to read.
    #[inline]
    pub(crate) fn push_plain_bytes(&mut self, value: &[u8]) {
        self.0.push(tag::PLAIN_BYTES);
        self.0.extend_from_slice(&(value.len() as u32).to_le_bytes());
        self.0.extend_from_slice(value);
    }

    /// Adds a decimal number in units of its scale.
    pub fn push_i128(&mut self, value: i128) {
        self.0.push(tag::DECIMAL);
        self.0.extend_from_slice(&(value ^ i128::MIN).to_be_bytes());
    }

    /// Adds a value that is made of others, which are given by their bytes.
    pub(crate) fn push_nested(&mut self, shape: Shape, fields: impl IntoIterator<Item = impl AsRef<[u8]>>) {
        self.0.push(shape.tag());
        fields.into_iter().for_each(|field| self.0.extend_from_slice(field.as_ref()));
        self.0.push(0);
    }

    /// Bytes that sort as the values do.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Adds fields that are bytes of another row.
    pub(crate) fn push_fields(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Bytes of all fields but the first.
    ///
    /// # Errors
    /// When there is no whole field.
    pub(crate) fn behind_first(&self) -> Result<&[u8]> {
        let mut input = Decoder::new(&self.0);
        let tag = input.byte()?;
        Field::read(tag, &mut input)?;
        Ok(&self.0[self.0.len() - input.remaining()..])
    }

    #[inline]
    fn push_word(&mut self, tag: u8, word: u64) {
        let mut field = [tag; 9];
        field[1..].copy_from_slice(&word.to_be_bytes());
        self.0.extend_from_slice(&field);
    }
}

impl AsRef<[u8]> for RowKey {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// How a value is made of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// Elements.
    Array,
    /// Fields.
    Row,
    /// Keys and values in turn.
    Map,
}

impl Shape {
    const fn tag(self) -> u8 {
        match self {
            Self::Array => tag::ARRAY,
            Self::Row => tag::ROW,
            Self::Map => tag::MAP,
        }
    }
}

/// One value of a row.
#[derive(Debug)]
pub(crate) enum Field<'a> {
    /// No value.
    Null,
    /// A whole number, a truth value, a time.
    Integer(i64),
    /// A number above `i64::MAX`.
    BigInteger(u64),
    /// A floating point number.
    Float(f64),
    /// Text or bytes.
    Bytes(std::borrow::Cow<'a, [u8]>),
    /// A decimal number in units of its scale.
    Decimal(i128),
    /// A value made of others, whose bytes these are.
    Nested(Shape, &'a [u8]),
}

impl<'a> Field<'a> {
    /// Reads the field after its tag.
    fn read(tag: u8, input: &mut Decoder<'a>) -> Result<Self> {
        let word = |input: &mut Decoder<'_>| input.take_array().map(u64::from_be_bytes);
        Ok(match tag {
            tag::NULL => Self::Null,
            tag::INTEGER => Self::Integer((word(input)? ^ SIGN) as i64),
            tag::BIG_INTEGER => Self::BigInteger(word(input)?),
            tag::FLOAT => {
                let word = word(input)?;
                Self::Float(f64::from_bits(if word & SIGN == 0 { !word } else { word ^ SIGN }))
            }
            tag::BYTES => Self::Bytes(input.ordered_bytes()?),
            tag::PLAIN_BYTES => {
                let length = u32::from_le_bytes(input.take_array()?);
                Self::Bytes(input.take(length as usize)?.into())
            }
            tag::DECIMAL => Self::Decimal(i128::from_be_bytes(input.take_array()?) ^ i128::MIN),
            tag::ARRAY => Self::Nested(Shape::Array, nested(input)?),
            tag::ROW => Self::Nested(Shape::Row, nested(input)?),
            tag::MAP => Self::Nested(Shape::Map, nested(input)?),
            other => return Err(input.unknown_variant("RowKey", u64::from(other))),
        })
    }

    /// The hash of a column's value: that of the typed value.
    fn hash(&self) -> u64 {
        match self {
            Self::Nested(Shape::Array, bytes) => hash::hash_list(hashes(bytes).into_iter()),
            Self::Nested(Shape::Row, bytes) => hashes(bytes).into_iter().reduce(hash::combine).unwrap_or_else(hash::hash_null),
            Self::Nested(Shape::Map, bytes) => {
                hash::hash_list(hashes(bytes).chunks(2).map(|entry| entry.iter().copied().reduce(hash::combine).unwrap_or_default()))
            }
            Self::Null => hash::hash_null(),
            Self::Integer(value) => hash::hash_i64(*value),
            Self::BigInteger(value) => hash::hash_u64(*value),
            Self::Float(value) => hash::hash_f64(*value),
            Self::Bytes(bytes) => hash::hash_bytes(bytes),
            Self::Decimal(value) => hash::hash_i128(*value),
        }
    }
}

/// The bytes of the values that a value is made of, up to the zero behind them.
fn nested<'a>(input: &mut Decoder<'a>) -> Result<&'a [u8]> {
    let (mut all, start) = (input.clone(), input.offset());
    input.nested(|input| {
        loop {
            match input.byte()? {
                0 => return all.take(input.offset() - start - 1),
                tag => drop(Field::read(tag, input)?),
            }
        }
    })
}

/// The hashes of values that have been read before.
fn hashes(bytes: &[u8]) -> Vec<u64> {
    fields(bytes).map_while(Result::ok).map(|field| field.hash()).collect()
}

/// Iterates over the values of a row.
pub(crate) struct Fields<'a>(Decoder<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        // To ask for a byte behind the last would make an error, with its text.
        if self.0.remaining() == 0 {
            return None;
        }
        Some(self.0.byte().and_then(|tag| Field::read(tag, &mut self.0)))
    }
}

/// The values of a row, from its bytes.
pub(crate) fn fields(bytes: &[u8]) -> Fields<'_> {
    Fields(Decoder::new(bytes))
}

/// Reads one field after its tag; gives the hash of its value.
fn field_hash(tag: u8, input: &mut Decoder<'_>) -> Result<u64> {
    Field::read(tag, input).map(|field| field.hash())
}

impl Record for RowKey {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, &self.0);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        let bytes = input.bytes()?;
        let mut fields = Decoder::new(bytes);
        while fields.remaining() > 0 {
            let tag = fields.byte()?;
            field_hash(tag, &mut fields)?;
        }
        Ok(Self(bytes.into()))
    }

    fn schema() -> Schema {
        // The number is that of the form: rows of another one would be read, but not be equal to the same rows in this one.
        Schema::Opaque { name: "RowKey-2".to_owned() }
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

impl Key for RowKey {
    fn key_hash(&self) -> u64 {
        let mut input = Decoder::new(&self.0);
        let mut row = None;
        // To ask for a byte behind the last would make an error, with its text.
        while input.remaining() > 0 {
            let field = input.byte().and_then(|tag| field_hash(tag, &mut input)).expect("keys are made of whole fields");
            row = Some(row.map_or(field, |row| hash::combine(row, field)));
        }
        row.unwrap_or(hash::hash_null())
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        out.push(0);
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        let from = input.clone();
        let start = input.offset();
        loop {
            match input.byte()? {
                0 => break,
                tag => field_hash(tag, input)?,
            };
        }
        let fields = input.offset() - start - 1;
        Ok(Self(from.clone().take(fields)?.into()))
    }
}
