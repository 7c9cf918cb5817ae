//! Records and keys of tuples of up to eight fields.

use super::{Decoder, Key, Record, Schema, hash};
use brisk_base::Result;

impl Record for () {
    #[inline]
    fn encode(&self, _out: &mut Vec<u8>) {}

    #[inline]
    fn decode(_input: &mut Decoder<'_>) -> Result<Self> {
        Ok(())
    }

    fn schema() -> Schema {
        Schema::Unit
    }
}

impl Key for () {
    #[inline]
    fn key_hash(&self) -> u64 {
        hash::hash_null()
    }

    #[inline]
    fn encode_ordered(&self, _out: &mut Vec<u8>) {}

    #[inline]
    fn decode_ordered(_input: &mut Decoder<'_>) -> Result<Self> {
        Ok(())
    }
}

macro_rules! tuple {
    ($($first:ident $first_index:tt $($type:ident $index:tt)*;)*) => {$(
        impl<$first: Record, $($type: Record),*> Record for ($first, $($type,)*) {
            #[inline]
            fn encode(&self, out: &mut Vec<u8>) {
                self.$first_index.encode(out);
                $(self.$index.encode(out);)*
            }

            #[inline]
            fn decode(input: &mut Decoder<'_>) -> Result<Self> {
                Ok(($first::decode(input)?, $($type::decode(input)?,)*))
            }

            fn schema() -> Schema {
                Schema::Tuple(vec![$first::schema(), $($type::schema()),*])
            }

            #[inline]
            fn heap_bytes(&self) -> usize {
                self.$first_index.heap_bytes() $(+ self.$index.heap_bytes())*
            }

            #[inline]
            fn assign(&mut self, other: &Self) {
                self.$first_index.assign(&other.$first_index);
                $(self.$index.assign(&other.$index);)*
            }
        }

        impl<$first: Key, $($type: Key),*> Key for ($first, $($type,)*) {
            #[inline]
            fn key_hash(&self) -> u64 {
                let hash = self.$first_index.key_hash();
                $(let hash = hash::combine(hash, self.$index.key_hash());)*
                hash
            }

            #[inline]
            fn encode_ordered(&self, out: &mut Vec<u8>) {
                self.$first_index.encode_ordered(out);
                $(self.$index.encode_ordered(out);)*
            }

            #[inline]
            fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
                Ok(($first::decode_ordered(input)?, $($type::decode_ordered(input)?,)*))
            }
        }
    )*};
}

tuple! {
    A 0;
    A 0 B 1;
    A 0 B 1 C 2;
    A 0 B 1 C 2 D 3;
    A 0 B 1 C 2 D 3 E 4;
    A 0 B 1 C 2 D 3 E 4 F 5;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}
