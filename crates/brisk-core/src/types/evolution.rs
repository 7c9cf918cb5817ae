//! Turns bytes of an older version of a type into those of the present one, by their schemas alone.
//!
//! Fields are matched by name: those that are gone are dropped, new ones get their default. Variants are matched by name, too. Integers
//! may become wider, and signed if they become wider; `f32` may become `f64`, and a value an optional one. Everything else is refused.
//!
//! Invariant: what is refused is refused by the schemas, before any value is read.

use super::codec::{put_each, put_varint, put_zigzag};
use super::{Decoder, Field, Schema, Variant};
use brisk_base::Result;

/// How values of an older schema become values of a newer one.
#[derive(Clone, Debug)]
pub struct Evolution {
    /// What is done with a value.
    step: Step,
}

/// What is done with a part of a value.
#[derive(Clone, Debug)]
enum Step {
    /// These many bytes are copied.
    Fixed(usize),
    /// A number in LEB128 is copied.
    Varint,
    /// A length and that many bytes are copied.
    Bytes,
    /// An integer of these bits and sign becomes one of those.
    Integer {
        from: (u8, bool),
        to: (u8, bool),
    },
    /// A `f32` becomes a `f64`.
    Float,
    /// A value becomes an optional one.
    Optional(Box<Self>),
    Option(Box<Self>),
    List(Box<Self>),
    Array(Box<Self>, u64),
    Map(Box<Self>, Box<Self>),
    Tuple(Vec<Self>),
    /// A struct, which other steps may come back to.
    Struct(Fields),
    /// An enum likewise; of each old variant the new index and what becomes of its fields.
    Enum(Vec<(u64, Fields)>),
    /// The enclosing struct or enum of this number, counted from the outermost.
    Recursive(usize),
}

/// What becomes of the fields of a struct or variant.
#[derive(Clone, Debug)]
struct Fields {
    /// How each old field is read; what is read of one that is gone is dropped.
    old: Vec<Step>,
    /// Where each new field comes from.
    new: Vec<Origin>,
}

/// Where a new field comes from.
#[derive(Clone, Debug)]
enum Origin {
    /// The old field of this number.
    Old(usize),
    /// Its default, encoded.
    Default(Vec<u8>),
}

impl Evolution {
    /// How values of `old` become values of `new`; nothing when their bytes are the same. The error says in words which part cannot
    /// become what.
    ///
    /// # Errors
    /// When some values of `old` cannot become values of `new`.
    pub fn plan(old: &Schema, new: &Schema) -> std::result::Result<Option<Self>, String> {
        if old == new {
            // Types that only the program can read have no steps, and need none.
            return Ok(None);
        }
        let mut planner = Planner { enclosing: Vec::new(), dropping: false, changed: false };
        let step = planner.step(old, new)?;
        Ok(planner.changed.then_some(Self { step }))
    }

    /// Turns one value, which takes all of the bytes.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn convert(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(bytes.len() + 16);
        let mut input = Decoder::new(bytes);
        Runner { enclosing: Vec::new() }.run(&self.step, &mut input, &mut out)?;
        input.finish().map(|()| out)
    }
}

/// Finds the steps.
struct Planner {
    /// Names of the structs and enums around this place, old and new.
    enclosing: Vec<(String, String)>,
    /// Whether this place is read to be dropped: what it becomes does not matter.
    dropping: bool,
    /// Whether any step does more than copy.
    changed: bool,
}

/// A step, or what speaks against it.
type Planned<T> = std::result::Result<T, String>;

impl Planner {
    fn step(&mut self, old: &Schema, new: &Schema) -> Planned<Step> {
        Ok(match (old, new) {
            (Schema::Unit, Schema::Unit) => Step::Fixed(0),
            (Schema::Bool, Schema::Bool) => Step::Fixed(1),
            (Schema::Char, Schema::Char) | (Schema::Timestamp, Schema::Timestamp) | (Schema::Millis, Schema::Millis) => Step::Varint,
            (Schema::Duration, Schema::Duration) => Step::Tuple(vec![Step::Varint, Step::Varint]),
            (Schema::String, Schema::String) | (Schema::Bytes, Schema::Bytes) => Step::Bytes,
            (Schema::Int { bits: a, signed: b }, Schema::Int { bits: c, signed: d }) if (a, b) == (c, d) => copied_integer(*a),
            (Schema::Int { bits: a, signed: b }, Schema::Int { bits: c, signed: d }) if a < c && (b == d || *d) => {
                self.changed = true;
                Step::Integer { from: (*a, *b), to: (*c, *d) }
            }
            (Schema::Float { bits: a }, Schema::Float { bits: b }) if a == b => Step::Fixed(usize::from(*a / 8)),
            (Schema::Float { bits: 32 }, Schema::Float { bits: 64 }) => {
                self.changed = true;
                Step::Float
            }
            (Schema::Option(old), Schema::Option(new)) => Step::Option(Box::new(self.step(old, new)?)),
            (Schema::List(old), Schema::List(new)) => Step::List(Box::new(self.step(old, new)?)),
            (Schema::Array { element: old, len: a }, Schema::Array { element: new, len: b }) if a == b => {
                Step::Array(Box::new(self.step(old, new)?), *a)
            }
            (Schema::Map { key: old_key, value: old }, Schema::Map { key: new_key, value: new }) => {
                Step::Map(Box::new(self.step(old_key, new_key)?), Box::new(self.step(old, new)?))
            }
            (Schema::Tuple(old), Schema::Tuple(new)) if old.len() == new.len() => {
                let mut steps = Vec::with_capacity(old.len());
                for (index, (old, new)) in old.iter().zip(new).enumerate() {
                    steps.push(self.step(old, new).map_err(|why| format!("element {index}: {why}"))?);
                }
                Step::Tuple(steps)
            }
            (Schema::Opaque { name: a }, Schema::Opaque { name: b }) if a == b => opaque(a)?,
            (Schema::Recursive { name: a }, Schema::Recursive { name: b }) => self.recursive(a, b)?,
            _ => self.named(old, new)?,
        })
    }

    /// Structs and enums, and what becomes something else altogether.
    fn named(&mut self, old: &Schema, new: &Schema) -> Planned<Step> {
        match (old, new) {
            (Schema::Struct { name: a, fields: old }, Schema::Struct { name: b, fields: new }) => {
                self.enclosing.push((a.clone(), b.clone()));
                let fields = self.fields(&format!("struct {b}"), old, new);
                self.enclosing.pop();
                fields.map(Step::Struct)
            }
            (Schema::Enum { name: a, variants: old }, Schema::Enum { name: b, variants: new }) => {
                self.enclosing.push((a.clone(), b.clone()));
                let variants = self.variants(b, old, new);
                self.enclosing.pop();
                variants.map(Step::Enum)
            }
            (_, Schema::Option(inner)) if !matches!(old, Schema::Recursive { .. }) => {
                self.changed = true;
                Ok(Step::Optional(Box::new(self.step(old, inner)?)))
            }
            _ => Err(format!("it was {old} and is {new}")),
        }
    }

    fn recursive(&self, old: &str, new: &str) -> Planned<Step> {
        let fits = |enclosing: &(String, String)| enclosing.0 == old && (self.dropping || enclosing.1 == new);
        let index = self.enclosing.iter().rposition(fits);
        index.map(Step::Recursive).ok_or_else(|| format!("the type {old} that encloses it has become another"))
    }

    fn fields(&mut self, place: &str, old: &[Field], new: &[Field]) -> Planned<Fields> {
        let mut steps = Vec::with_capacity(old.len());
        for field in old {
            let step = match new.iter().find(|new| new.name == field.name) {
                Some(new) => self.step(&field.schema, &new.schema),
                None => {
                    self.changed = true;
                    self.dropped(&field.schema)
                }
            };
            steps.push(step.map_err(|why| format!("field '{}' of {place}: {why}", field.name))?);
        }
        let mut origins = Vec::with_capacity(new.len());
        for (index, field) in new.iter().enumerate() {
            let found = old.iter().position(|old| old.name == field.name);
            self.changed |= found != Some(index);
            origins.push(match (found, &field.default) {
                (Some(index), _) => Origin::Old(index),
                (None, Some(default)) => Origin::Default(default.clone()),
                (None, None) => {
                    return Err(format!("field '{}' of {place} is new and has no default: mark it with #[record(default)]", field.name));
                }
            });
        }
        Ok(Fields { old: steps, new: origins })
    }

    /// How a part that nobody needs is read.
    fn dropped(&mut self, schema: &Schema) -> Planned<Step> {
        let outer = std::mem::replace(&mut self.dropping, true);
        let step = self.step(schema, schema);
        self.dropping = outer;
        step
    }

    fn variants(&mut self, name: &str, old: &[Variant], new: &[Variant]) -> Planned<Vec<(u64, Fields)>> {
        let mut variants = Vec::with_capacity(old.len());
        for (index, variant) in old.iter().enumerate() {
            let Some(found) = new.iter().position(|new| new.name == variant.name) else {
                return Err(format!("variant '{}' of enum {name} is gone", variant.name));
            };
            self.changed |= found != index;
            let fields = self.fields(&format!("variant {name}::{}", variant.name), &variant.fields, &new[found].fields)?;
            variants.push((found as u64, fields));
        }
        Ok(variants)
    }
}

const fn copied_integer(bits: u8) -> Step {
    match bits {
        8 => Step::Fixed(1),
        128 => Step::Fixed(16),
        _ => Step::Varint,
    }
}

/// Types that only they themselves can read; those of serde say how long they are.
fn opaque(name: &str) -> Planned<Step> {
    if name.starts_with("Serde<") {
        Ok(Step::Bytes)
    } else {
        Err(format!("{name} is a type that only the program can read: a type that holds it can only be changed by a migration"))
    }
}

/// Does the steps.
struct Runner<'a> {
    /// The structs and enums around this place.
    enclosing: Vec<&'a Step>,
}

impl<'a> Runner<'a> {
    fn run(&mut self, step: &'a Step, input: &mut Decoder<'_>, out: &mut Vec<u8>) -> Result<()> {
        match step {
            Step::Fixed(count) => out.extend_from_slice(input.take(*count)?),
            Step::Varint => put_varint(out, input.varint()?),
            Step::Bytes => super::put_bytes(out, input.bytes()?),
            Step::Integer { from, to } => widen(*from, *to, input, out)?,
            Step::Float => out.extend_from_slice(&f64::from(f32::from_le_bytes(input.take_array()?)).to_le_bytes()),
            Step::Optional(inner) => {
                out.push(1);
                self.run(inner, input, out)?;
            }
            Step::Option(inner) => {
                let tag = input.byte()?;
                out.push(tag);
                if tag != 0 {
                    self.run(inner, input, out)?;
                }
            }
            Step::List(element) => self.elements(&[element], input, out)?,
            Step::Map(key, value) => self.elements(&[key, value], input, out)?,
            Step::Array(element, len) => input.nested(|input| (0..*len).try_for_each(|_| self.run(element, input, out)))?,
            Step::Tuple(steps) => steps.iter().try_for_each(|step| self.run(step, input, out))?,
            Step::Struct(fields) => {
                self.enclosing.push(step);
                let result = self.fields(fields, input, out);
                self.enclosing.pop();
                result?;
            }
            Step::Enum(variants) => {
                let tag = input.varint()?;
                let variant = usize::try_from(tag).ok().and_then(|tag| variants.get(tag));
                let (tag, fields) = variant.ok_or_else(|| input.unknown_variant("of an older version", tag))?;
                put_varint(out, *tag);
                self.enclosing.push(step);
                let result = self.fields(fields, input, out);
                self.enclosing.pop();
                result?;
            }
            Step::Recursive(index) => {
                let inner = self.enclosing.split_off(index + 1);
                let step = self.enclosing.pop().ok_or_else(|| input.corrupt("a type encloses nothing"))?;
                let result = input.nested(|input| self.run(step, input, out));
                self.enclosing.push(step);
                self.enclosing.extend(inner);
                result?;
            }
        }
        Ok(())
    }

    /// The elements of a list, or the pairs of a map, with the zeros after them.
    fn elements(&mut self, parts: &[&'a Step], input: &mut Decoder<'_>, out: &mut Vec<u8>) -> Result<()> {
        let count = input.count()?;
        put_varint(out, count as u64);
        let start = input.offset();
        let mut result = Ok(());
        input.nested(|input| {
            put_each(0..count, out, |_, out| {
                if result.is_ok() {
                    result = parts.iter().try_for_each(|part| self.run(part, input, out));
                }
            });
            result
        })?;
        input.take(count.saturating_sub(input.offset() - start)).map(drop)
    }

    fn fields(&mut self, fields: &'a Fields, input: &mut Decoder<'_>, out: &mut Vec<u8>) -> Result<()> {
        let mut scratch = Vec::new();
        let mut ends = Vec::with_capacity(fields.old.len());
        for step in &fields.old {
            self.run(step, input, &mut scratch)?;
            ends.push(scratch.len());
        }
        for origin in &fields.new {
            match origin {
                Origin::Old(index) => {
                    let start = if *index == 0 { 0 } else { ends[index - 1] };
                    out.extend_from_slice(&scratch[start..ends[*index]]);
                }
                Origin::Default(bytes) => out.extend_from_slice(bytes),
            }
        }
        Ok(())
    }
}

/// Reads an integer of one type and writes it as another that has room for it.
fn widen(from: (u8, bool), to: (u8, bool), input: &mut Decoder<'_>, out: &mut Vec<u8>) -> Result<()> {
    let value = match from {
        (8, false) => i128::from(input.byte()?),
        (8, true) => i128::from(input.byte()? as i8),
        (_, false) => i128::from(input.varint()?),
        (_, true) => i128::from(input.zigzag()?),
    };
    match to {
        (128, _) => out.extend_from_slice(&value.to_le_bytes()),
        (_, false) => put_varint(out, value as u64),
        (_, true) => put_zigzag(out, value as i64),
    }
    Ok(())
}
