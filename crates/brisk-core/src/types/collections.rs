//! Records and keys of the standard library's collections.

use super::codec::{each, elements, first_capacity, ordered_elements, put_each, put_elements, put_ordered_elements};
use super::{Decoder, Key, Record, Schema, hash, put_varint};
use brisk_base::Result;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash};

impl<T: Record> Record for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        T::encode_elements(self, out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        let count = input.count()?;
        T::decode_elements(count, input)
    }

    fn schema() -> Schema {
        T::list_schema()
    }

    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(T::heap_bytes).sum::<usize>()
    }
}

impl<T: Key> Key for Vec<T> {
    fn key_hash(&self) -> u64 {
        T::hash_elements(self)
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        T::encode_ordered_elements(self, out);
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        T::decode_ordered_elements(input)
    }
}

impl<T: Record> Record for VecDeque<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        put_elements(self.iter(), out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        Vec::decode(input).map(Self::from)
    }

    fn schema() -> Schema {
        T::list_schema()
    }

    fn heap_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(T::heap_bytes).sum::<usize>()
    }
}

impl<T: Record, const N: usize> Record for [T; N] {
    #[inline]
    fn encode(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|element| element.encode(out));
    }

    #[inline]
    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        array(|| T::decode(input))
    }

    fn schema() -> Schema {
        Schema::Array { element: Box::new(T::schema()), len: N as u64 }
    }

    #[inline]
    fn heap_bytes(&self) -> usize {
        self.iter().map(T::heap_bytes).sum()
    }
}

impl<T: Key, const N: usize> Key for [T; N] {
    fn key_hash(&self) -> u64 {
        T::hash_array(self)
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        self.iter().for_each(|element| element.encode_ordered(out));
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        array(|| T::decode_ordered(input))
    }
}

/// An array of what `read` gives, up to its first error.
#[inline]
fn array<T, const N: usize>(mut read: impl FnMut() -> Result<T>) -> Result<[T; N]> {
    let mut failure = None;
    let slots: [Option<T>; N] = std::array::from_fn(|_| {
        if failure.is_some() {
            return None;
        }
        read().map_err(|error| failure = Some(error)).ok()
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(slots.map(|slot| slot.expect("without an error every slot was filled"))),
    }
}

/// Bytes of a B-tree's nodes per entry beyond the entry itself, with nodes three quarters full.
const fn tree_entry_bytes(size: usize) -> usize {
    size * 4 / 3 + 4
}

/// `Record` of sets.
macro_rules! set {
    ($($type:ty [$($generics:tt)*], |$count:ident| $new:expr, |$set:ident| $heap:expr;)*) => {$(
        impl<$($generics)*> Record for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                put_varint(out, self.len() as u64);
                put_elements(self.iter(), out);
            }

            fn decode(input: &mut Decoder<'_>) -> Result<Self> {
                let $count = input.count()?;
                let set: Self = elements($count, input, $new, |set: &mut Self, element| {
                    set.insert(element);
                })?;
                all_distinct($count, set.len(), input).map(|()| set)
            }

            fn schema() -> Schema {
                Schema::List(Box::new(T::schema()))
            }

            fn heap_bytes(&self) -> usize {
                let $set = self;
                $heap + self.iter().map(T::heap_bytes).sum::<usize>()
            }
        }
    )*};
}

set! {
    BTreeSet<T> [T: Record + Ord], |_count| Self::new(), |set| set.len() * tree_entry_bytes(size_of::<T>());
    HashSet<T, S> [T: Record + Eq + Hash, S: BuildHasher + Default + Clone + Send + Sync + 'static],
        |count| Self::with_capacity_and_hasher(first_capacity::<T>(count), S::default()), |set| set.capacity() * (size_of::<T>() + 1);
}

/// `Record` of maps.
macro_rules! map {
    ($($type:ty [$($generics:tt)*], |$count:ident| $new:expr, |$map:ident| $heap:expr;)*) => {$(
        impl<$($generics)*> Record for $type {
            fn encode(&self, out: &mut Vec<u8>) {
                put_varint(out, self.len() as u64);
                put_each(self.iter(), out, |(key, value), out| {
                    key.encode(out);
                    value.encode(out);
                });
            }

            fn decode(input: &mut Decoder<'_>) -> Result<Self> {
                let $count = input.count()?;
                let read = |input: &mut Decoder<'_>| Ok((K::decode(input)?, V::decode(input)?));
                let map: Self = each($count, input, $new, read, |map: &mut Self, (key, value)| {
                    map.insert(key, value);
                })?;
                all_distinct($count, map.len(), input).map(|()| map)
            }

            fn schema() -> Schema {
                Schema::Map { key: Box::new(K::schema()), value: Box::new(V::schema()) }
            }

            fn heap_bytes(&self) -> usize {
                let $map = self;
                $heap + self.iter().map(|(key, value)| key.heap_bytes() + value.heap_bytes()).sum::<usize>()
            }
        }
    )*};
}

map! {
    BTreeMap<K, V> [K: Record + Ord, V: Record], |_count| Self::new(), |map| map.len() * tree_entry_bytes(size_of::<(K, V)>());
    HashMap<K, V, S> [K: Record + Eq + Hash, V: Record, S: BuildHasher + Default + Clone + Send + Sync + 'static],
        |count| Self::with_capacity_and_hasher(first_capacity::<(K, V)>(count), S::default()), |map| map.capacity() * (size_of::<(K, V)>() + 1);
}

fn all_distinct(announced: usize, found: usize, input: &Decoder<'_>) -> Result<()> {
    if announced == found {
        Ok(())
    } else {
        Err(input.corrupt(format!("a set or map announces {announced} entries but has only {found} different ones")))
    }
}

impl<T: Key> Key for BTreeSet<T> {
    fn key_hash(&self) -> u64 {
        hash::hash_list(self.iter().map(T::key_hash))
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        put_ordered_elements(self.iter(), out, T::encode_ordered);
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        ordered_elements(input, T::decode_ordered)
    }
}

impl<K: Key, V: Key> Key for BTreeMap<K, V> {
    fn key_hash(&self) -> u64 {
        hash::hash_list(self.iter().map(|(key, value)| hash::combine(key.key_hash(), value.key_hash())))
    }

    fn encode_ordered(&self, out: &mut Vec<u8>) {
        put_ordered_elements(self.iter(), out, |(key, value), out| {
            key.encode_ordered(out);
            value.encode_ordered(out);
        });
    }

    fn decode_ordered(input: &mut Decoder<'_>) -> Result<Self> {
        ordered_elements(input, |input| Ok((K::decode_ordered(input)?, V::decode_ordered(input)?)))
    }
}
