//! Records and keys that hold at most one other: `Option`, `Box`, `Result`.

use super::codec::ordered_flag;
use super::{Decoder, Field, Key, Record, Schema, Variant, hash};
use brisk_base::Result;

impl<T: Record> Record for Option<T> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode(out);
            }
        }
    }

    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        ordered_flag(input)?.then(|| T::decode(input)).transpose()
    }

    fn schema() -> Schema {
        Schema::Option(Box::new(T::schema()))
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl<T: Key> Key for Option<T> {
    #[inline]
    fn key_hash(&self) -> u64 {
        self.as_ref().map_or(hash::hash_null(), T::key_hash)
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.is_some()));
        if let Some(value) = self {
            value.encode_ordered(out);
        }
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        ordered_flag(input)?.then(|| T::decode_ordered(input)).transpose()
    }
}

impl<T: Record> Record for Box<T> {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }

    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        input.nested(T::decode).map(Self::new)
    }

    fn schema() -> Schema {
        T::schema()
    }

    fn heap_bytes(&self) -> usize {
        size_of::<T>() + (**self).heap_bytes()
    }
}

impl<T: Key> Key for Box<T> {
    #[inline]
    fn key_hash(&self) -> u64 {
        (**self).key_hash()
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        (**self).encode_ordered(out);
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        input.nested(T::decode_ordered).map(Self::new)
    }
}

impl<T: Record, E: Record> Record for std::result::Result<T, E> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Ok(value) => {
                out.push(0);
                value.encode(out);
            }
            Err(error) => {
                out.push(1);
                error.encode(out);
            }
        }
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Ok(if ordered_flag(input)? { Err(E::decode(input)?) } else { Ok(T::decode(input)?) })
    }

    fn schema() -> Schema {
        let variant = |name, schema| Variant::new(name, vec![Field::new("0", schema)]);
        Schema::Enum { name: "Result".to_owned(), variants: vec![variant("Ok", T::schema()), variant("Err", E::schema())] }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Ok(value) => value.heap_bytes(),
            Err(error) => error.heap_bytes(),
        }
    }
}
