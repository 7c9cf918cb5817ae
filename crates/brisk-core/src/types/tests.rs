//! Tests of records and keys over all built-in types.

mod codec;
mod hash;
mod keys;
