//! Types of records and keys: how a value is encoded, described, hashed and ordered.
//!
//! [`Record`] is what may flow in a stream or lie in state: a codec and a [`Schema`]. [`Key`] is what a stream may be keyed by: in
//! addition a frozen hash and an encoding whose byte order is the order of the values. Both are derived, and built in for the types of
//! the standard library.
//!
//! Invariants: decoding never panics and never allocates much more than its input warrants; the hash of a value never changes from one
//! version to the next ([`hash::VERSION`]), since savepoints depend on it.

mod codec;
mod collections;
mod columns;
mod decoder;
mod evolution;
pub mod hash;
mod key;
mod key_group;
mod ordered;
mod pointers;
mod primitives;
mod record;
mod schema;
#[cfg(feature = "serde")]
mod serde;
mod text;
mod time;
mod tuples;

pub use self::codec::{put_bytes, put_ordered_bytes, put_ordered_tag, put_varint, put_zigzag};
pub use self::columns::hash_columns;
pub use self::decoder::Decoder;
pub use self::evolution::Evolution;
pub use self::hash::{key_group, table_hash};
pub use self::key::Key;
pub use self::key_group::{KeyGroup, KeyGroupRange, MAX_MAX_PARALLELISM, default_max_parallelism};
pub use self::record::Record;
pub use self::schema::{Field, Schema, Variant, named};
#[cfg(feature = "serde")]
pub use self::serde::Serde;
pub use self::text::Str;
pub use brisk_macros::{Key, Record};

/// What derived code needs besides.
#[doc(hidden)]
pub mod __macro {
    pub use brisk_base::Result;
}

#[cfg(test)]
mod tests;
