//! What an encoding looks like: stored beside state and shown to people, so that old bytes can be read by newer programs.

use super::{Decoder, Record, codec, put_bytes, put_varint};
use brisk_base::Result;
use std::any::TypeId;
use std::cell::RefCell;
use std::fmt;

/// Shape of a [`Record`]'s encoding. Two types with equal schemas read each other's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Schema {
    /// No bytes at all: `()`.
    Unit,
    /// A truth value.
    Bool,
    /// A whole number.
    Int {
        /// 8, 16, 32, 64 or 128.
        bits: u8,
        /// Whether it can be negative.
        signed: bool,
    },
    /// A floating point number of 32 or 64 bits.
    Float {
        /// 32 or 64.
        bits: u8,
    },
    /// One Unicode character.
    Char,
    /// UTF-8 text.
    String,
    /// A string of bytes.
    Bytes,
    /// A point in time, in milliseconds.
    Timestamp,
    /// A span of time in milliseconds.
    Millis,
    /// A span of time in seconds and nanoseconds.
    Duration,
    /// A value or nothing.
    Option(Box<Schema>),
    /// Any number of values (lists and sets).
    List(Box<Schema>),
    /// A fixed number of values of one type.
    Array {
        /// Type of each.
        element: Box<Schema>,
        /// How many.
        len: u64,
    },
    /// Pairs of key and value.
    Map {
        /// Type of the keys.
        key: Box<Schema>,
        /// Type of the values.
        value: Box<Schema>,
    },
    /// Values of several types in order.
    Tuple(Vec<Schema>),
    /// Named fields in order. A tuple struct's are named 0, 1, ...
    Struct {
        /// The type's name.
        name: String,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// One of several variants.
    Enum {
        /// The type's name.
        name: String,
        /// The variants; the index in this list is what is encoded.
        variants: Vec<Variant>,
    },
    /// A struct or enum of this name that encloses this place: how recursive types end.
    Recursive {
        /// Name of the enclosing type.
        name: String,
    },
    /// Bytes that only the type itself can read. Its name is all that is compared.
    Opaque {
        /// The type's name.
        name: String,
    },
}

/// A field of a struct or of a variant.
#[derive(Clone, Debug)]
pub struct Field {
    /// By this name fields of old and new versions are matched.
    pub name: String,
    /// Its type.
    pub schema: Schema,
    /// The encoded default that stands in where old data lacks the field (`#[record(default)]`).
    pub default: Option<Vec<u8>>,
}

/// Two fields are equal when their bytes are read alike: which default stands in does not matter.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.schema == other.schema && self.default.is_some() == other.default.is_some()
    }
}

impl Eq for Field {}

/// A variant of an enum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Its fields.
    pub fields: Vec<Field>,
}

impl Field {
    /// A field without a default.
    pub fn new(name: impl Into<String>, schema: Schema) -> Self {
        Self { name: name.into(), schema, default: None }
    }

    /// The same field, filled with the default of its type, `T`, where old data lacks it. `encode` writes a value of the field.
    #[must_use]
    pub fn with_default_of<T: Default>(mut self, encode: impl FnOnce(&T, &mut Vec<u8>)) -> Self {
        let mut bytes = Vec::new();
        encode(&T::default(), &mut bytes);
        self.default = Some(bytes);
        self
    }
}

impl Variant {
    /// A variant with these fields.
    pub fn new(name: impl Into<String>, fields: Vec<Field>) -> Self {
        Self { name: name.into(), fields }
    }
}

thread_local! {
    /// Named types whose schema is being made on this thread, outermost first.
    static OPEN: RefCell<Vec<TypeId>> = const { RefCell::new(Vec::new()) };
}

/// Makes the schema of the named type `T`, or [`Schema::Recursive`] when that is already under way: for `Record::schema` of types that
/// may contain themselves. The derive uses it.
pub fn named<T: 'static>(name: &str, make: impl FnOnce(String) -> Schema) -> Schema {
    struct Close;
    impl Drop for Close {
        fn drop(&mut self) {
            OPEN.with_borrow_mut(Vec::pop);
        }
    }
    let id = TypeId::of::<T>();
    if OPEN.with_borrow(|open| open.contains(&id)) {
        return Schema::Recursive { name: name.to_owned() };
    }
    OPEN.with_borrow_mut(|open| open.push(id));
    let _close = Close;
    make(name.to_owned())
}

impl fmt::Display for Schema {
    /// On one line, close to Rust's notation: `struct Event { id: u64, tag: Option<string> }`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("()"),
            Self::Bool => f.write_str("bool"),
            Self::Int { bits, signed } => write!(f, "{}{bits}", if *signed { 'i' } else { 'u' }),
            Self::Float { bits } => write!(f, "f{bits}"),
            Self::Char => f.write_str("char"),
            Self::String => f.write_str("string"),
            Self::Bytes => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Millis => f.write_str("millis"),
            Self::Duration => f.write_str("duration"),
            Self::Option(inner) => write!(f, "option<{inner}>"),
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Array { element, len } => write!(f, "[{element}; {len}]"),
            Self::Map { key, value } => write!(f, "map<{key}, {value}>"),
            Self::Tuple(elements) => separated(f, "(", elements, ")"),
            Self::Struct { name, fields } => write_fields(f, &format!("struct {name}"), fields),
            Self::Enum { name, variants } => {
                write!(f, "enum {name} ")?;
                separated(f, "{ ", variants, " }")
            }
            Self::Recursive { name } => f.write_str(name),
            Self::Opaque { name } => write!(f, "opaque {name}"),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}{}", self.name, self.schema, if self.default.is_some() { " = default" } else { "" })
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_fields(f, &self.name, &self.fields)
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, name: &str, fields: &[Field]) -> fmt::Result {
    f.write_str(name)?;
    if fields.is_empty() { Ok(()) } else { separated(f, " { ", fields, " }") }
}

fn separated<T: fmt::Display>(f: &mut fmt::Formatter<'_>, open: &str, items: &[T], close: &str) -> fmt::Result {
    f.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if index == 0 { "" } else { ", " })?;
    }
    f.write_str(close)
}

/// First byte of a schema's own encoding. Part of the savepoint format: add, never change.
mod tag {
    pub(super) const UNIT: u8 = 0;
    pub(super) const BOOL: u8 = 1;
    pub(super) const INT: u8 = 2;
    pub(super) const FLOAT: u8 = 3;
    pub(super) const CHAR: u8 = 4;
    pub(super) const STRING: u8 = 5;
    pub(super) const BYTES: u8 = 6;
    pub(super) const TIMESTAMP: u8 = 7;
    pub(super) const MILLIS: u8 = 8;
    pub(super) const DURATION: u8 = 9;
    pub(super) const OPTION: u8 = 10;
    pub(super) const LIST: u8 = 11;
    pub(super) const ARRAY: u8 = 12;
    pub(super) const MAP: u8 = 13;
    pub(super) const TUPLE: u8 = 14;
    pub(super) const STRUCT: u8 = 15;
    pub(super) const ENUM: u8 = 16;
    pub(super) const RECURSIVE: u8 = 17;
    pub(super) const OPAQUE: u8 = 18;
}

impl Record for Schema {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Unit => out.push(tag::UNIT),
            Self::Bool => out.push(tag::BOOL),
            Self::Int { bits, signed } => out.extend([tag::INT, *bits, u8::from(*signed)]),
            Self::Float { bits } => out.extend([tag::FLOAT, *bits]),
            Self::Char => out.push(tag::CHAR),
            Self::String => out.push(tag::STRING),
            Self::Bytes => out.push(tag::BYTES),
            Self::Timestamp => out.push(tag::TIMESTAMP),
            Self::Millis => out.push(tag::MILLIS),
            Self::Duration => out.push(tag::DURATION),
            Self::Option(inner) => put_inner(out, tag::OPTION, inner),
            Self::List(element) => put_inner(out, tag::LIST, element),
            Self::Array { element, len } => {
                put_inner(out, tag::ARRAY, element);
                put_varint(out, *len);
            }
            Self::Map { key, value } => {
                put_inner(out, tag::MAP, key);
                value.encode(out);
            }
            Self::Tuple(elements) => {
                out.push(tag::TUPLE);
                elements.encode(out);
            }
            Self::Struct { name, fields } => {
                put_name(out, tag::STRUCT, name);
                fields.encode(out);
            }
            Self::Enum { name, variants } => {
                put_name(out, tag::ENUM, name);
                variants.encode(out);
            }
            Self::Recursive { name } => put_name(out, tag::RECURSIVE, name),
            Self::Opaque { name } => put_name(out, tag::OPAQUE, name),
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        input.nested(|input| {
            Ok(match input.byte()? {
                tag::UNIT => Self::Unit,
                tag::BOOL => Self::Bool,
                tag::INT => Self::Int { bits: input.byte()?, signed: codec::ordered_flag(input)? },
                tag::FLOAT => Self::Float { bits: input.byte()? },
                tag::CHAR => Self::Char,
                tag::STRING => Self::String,
                tag::BYTES => Self::Bytes,
                tag::TIMESTAMP => Self::Timestamp,
                tag::MILLIS => Self::Millis,
                tag::DURATION => Self::Duration,
                tag::OPTION => Self::Option(Box::new(Self::decode(input)?)),
                tag::LIST => Self::List(Box::new(Self::decode(input)?)),
                tag::ARRAY => Self::Array { element: Box::new(Self::decode(input)?), len: input.varint()? },
                tag::MAP => Self::Map { key: Box::new(Self::decode(input)?), value: Box::new(Self::decode(input)?) },
                tag::TUPLE => Self::Tuple(Vec::decode(input)?),
                tag::STRUCT => Self::Struct { name: String::decode(input)?, fields: Vec::decode(input)? },
                tag::ENUM => Self::Enum { name: String::decode(input)?, variants: Vec::decode(input)? },
                tag::RECURSIVE => Self::Recursive { name: String::decode(input)? },
                tag::OPAQUE => Self::Opaque { name: String::decode(input)? },
                other => return Err(input.unknown_variant("Schema", u64::from(other))),
            })
        })
    }

    fn schema() -> Schema {
        Schema::Opaque { name: "Schema".to_owned() }
    }
}

fn put_inner(out: &mut Vec<u8>, tag: u8, inner: &Schema) {
    out.push(tag);
    inner.encode(out);
}

fn put_name(out: &mut Vec<u8>, tag: u8, name: &str) {
    out.push(tag);
    put_bytes(out, name.as_bytes());
}

impl Record for Field {
    fn encode(&self, out: &mut Vec<u8>) {
        self.name.encode(out);
        self.schema.encode(out);
        self.default.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self { name: String::decode(input)?, schema: Schema::decode(input)?, default: Option::decode(input)? })
    }

    fn schema() -> Schema {
        Schema::Opaque { name: "Field".to_owned() }
    }
}

impl Record for Variant {
    fn encode(&self, out: &mut Vec<u8>) {
        self.name.encode(out);
        self.fields.encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self { name: String::decode(input)?, fields: Vec::decode(input)? })
    }

    fn schema() -> Schema {
        Schema::Opaque { name: "Variant".to_owned() }
    }
}
