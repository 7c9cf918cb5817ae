//! Derive macros of Brisk: `#[derive(Record)]` and `#[derive(Key)]`.
//!
//! The generated code names `brisk_core::types` through whichever crate the user depends on: `brisk-core` itself, or the facade `brisk`.
//! This crate knows nothing of encodings: those are in `brisk_core::types`; here fields are put in order.

mod attributes;
mod crate_path;
mod input;
mod key;
mod record;

use proc_macro::TokenStream;
use syn::{DeriveInput, Error, parse_macro_input};

/// Implements `Record`: codec, schema and memory accounting of a struct or enum whose fields are records.
///
/// The type must also be `Clone`, and `Send + Sync + 'static`. A struct is encoded as its fields in order, an enum as the index of its variant
/// and then its fields.
///
/// * On the type: `#[record(name = "...")]` is the name in the schema, the type's own if not given. `#[record(crate = ::path)]` names the
///   facade where the type's crate knows it by another path.
/// * On a field or variant: `#[record(name = "...")]` is its name in the schema, so that it can be renamed in Rust and still read old state.
/// * On a field: `#[record(default)]` says that `Default` stands in where old state lacks the field. `#[record(with = module)]` is for
///   types of other crates: `module` has the functions `encode(&T, &mut Vec<u8>)`, `decode(&mut Decoder<'_>) -> Result<T>` and
///   `schema() -> Schema`.
#[proc_macro_derive(Record, attributes(record))]
pub fn derive_record(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    record::derive(&input).unwrap_or_else(Error::into_compile_error).into()
}

/// Implements `Key`: frozen hash and ordered encoding of a struct or enum whose fields are keys.
///
/// The type must also be `Record`, `Eq`, `Ord` and `Debug`; derive `Ord` (fields compare in order), or the ordered encoding will not agree
/// with it. A struct hashes as its fields in order do, so a struct of one field as that field; a variant of an enum as its name and then
/// its fields. Takes the attributes of `Record`; the `module` of `#[record(with = module)]` further has the functions
/// `key_hash(&T) -> u64`, `encode_ordered(&T, &mut Vec<u8>)` and `decode_ordered(&mut Decoder<'_>) -> Result<T>`.
#[proc_macro_derive(Key, attributes(record))]
pub fn derive_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    key::derive(&input).unwrap_or_else(Error::into_compile_error).into()
}
