//! Where an ordered encoding ends, by the schema of its type alone.

use super::{Decoder, Schema};
use brisk_base::{Error, Result};

impl Schema {
    /// Reads past a value that was written by [`Key::encode_ordered`](super::Key::encode_ordered).
    ///
    /// # Errors
    /// When the bytes are damaged, or the type is one that only the program itself can read.
    pub fn skip_ordered(&self, input: &mut Decoder<'_>) -> Result<()> {
        skip(self, &mut Vec::new(), input)
    }
}

/// `enclosing` are the structs and enums around `schema`.
fn skip<'s>(schema: &'s Schema, enclosing: &mut Vec<&'s Schema>, input: &mut Decoder<'_>) -> Result<()> {
    match schema {
        Schema::Unit => Ok(()),
        Schema::Bool => input.take(1).map(drop),
        Schema::Char => input.take(4).map(drop),
        Schema::Int { bits, .. } | Schema::Float { bits } => input.take(usize::from(bits / 8)).map(drop),
        Schema::Timestamp | Schema::Millis => input.take(8).map(drop),
        Schema::Duration => input.take(12).map(drop),
        Schema::String | Schema::Bytes => input.ordered_bytes().map(drop),
        Schema::Option(inner) => {
            if input.byte()? == 0 {
                return Ok(());
            }
            skip(inner, enclosing, input)
        }
        Schema::List(element) => each(input, |input| skip(element, enclosing, input)),
        Schema::Map { key, value } => each(input, |input| {
            skip(key, enclosing, input)?;
            skip(value, enclosing, input)
        }),
        Schema::Array { element, len } => (0..*len).try_for_each(|_| skip(element, enclosing, input)),
        Schema::Tuple(elements) => elements.iter().try_for_each(|element| skip(element, enclosing, input)),
        Schema::Struct { fields, .. } => {
            enclosing.push(schema);
            let skipped = fields.iter().try_for_each(|field| skip(&field.schema, enclosing, input));
            enclosing.pop();
            skipped
        }
        Schema::Enum { name, variants } => {
            let tag = input.ordered_tag()?;
            let variant = variants.get(tag as usize).ok_or_else(|| input.unknown_variant(name, u64::from(tag)))?;
            enclosing.push(schema);
            let skipped = variant.fields.iter().try_for_each(|field| skip(&field.schema, enclosing, input));
            enclosing.pop();
            skipped
        }
        Schema::Recursive { name } => {
            let is =
                |other: &&Schema| matches!(other, Schema::Struct { name: other, .. } | Schema::Enum { name: other, .. } if other == name);
            let at = enclosing.iter().rposition(is).ok_or_else(|| unreadable(name))?;
            let inner = enclosing.split_off(at);
            let skipped = input.nested(|input| skip(inner[0], enclosing, input));
            enclosing.extend(inner);
            skipped
        }
        Schema::Opaque { name } => Err(unreadable(name)),
    }
}

/// Elements, each after a 1, closed by 0.
fn each(input: &mut Decoder<'_>, mut element: impl FnMut(&mut Decoder<'_>) -> Result<()>) -> Result<()> {
    while input.byte()? != 0 {
        input.nested(&mut element)?;
    }
    Ok(())
}

fn unreadable(name: &str) -> Error {
    Error::user(format!("keys of the type {name} can be read by the program alone"))
}
