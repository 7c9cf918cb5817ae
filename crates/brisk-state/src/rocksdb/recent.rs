//! The newest values of states with one value per key, in a hash table before the database.
//!
//! The table is cut into shards by the hash of the key, so that growing moves little at a time. A shard keeps its entries one after the
//! other in one piece of memory: length of the key, length of the value or [`GONE`], key, value. A value of the same length is changed in
//! place; another is added at the end, and what it replaces is swept out once it is half of the shard.

use super::families::GROUP;
use super::overlay::{LayerView, Said};
use brisk_base::{Error, Result};
use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use std::collections::BTreeMap;
use std::hash::BuildHasher;

const SHARDS: usize = 256;
/// Length of the two lengths.
const HEADER: usize = 8;
/// Stands for the length of a value: the key has none, whatever the database says.
const GONE: u32 = u32::MAX;
/// A shard is not swept before it has this many bytes that nobody needs.
const LITTLE: usize = 4096;
/// Seed of the hashes: tables do not leave the process.
const SEED: u64 = 0x5EED;

/// See the module.
#[derive(Default)]
pub(super) struct Recent {
    /// Empty, or all shards.
    shards: Vec<Shard>,
    /// Number of keys.
    len: usize,
    /// Memory of the shards.
    bytes: usize,
}

#[derive(Default)]
struct Shard {
    /// Where the entry of a key begins.
    index: HashTable<u32>,
    entries: Vec<u8>,
    /// Bytes of entries that have been replaced.
    wasted: usize,
}

/// A place of an entry: shard and offset.
#[derive(Clone, Copy)]
pub(super) struct At {
    shard: u32,
    offset: u32,
}

/// The hash of a key, in all tables.
pub(super) fn hash_of(key: &[u8]) -> u64 {
    FixedState::with_seed(SEED).hash_one(key)
}

/// The shard of a hash; not by those bits that the shard's table uses.
fn shard_of(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

/// Key and value of the entry that begins at `offset`.
fn entry(entries: &[u8], offset: u32) -> (&[u8], Option<&[u8]>) {
    let at = offset as usize;
    let number = |at: usize| entries[at..at + 4].iter().rev().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let (key, value) = (number(at) as usize, number(at + 4));
    let start = at + HEADER + key;
    (&entries[at + HEADER..start], (value != GONE).then(|| &entries[start..start + value as usize]))
}

/// Length of an entry.
fn length(key: &[u8], value: Option<&[u8]>) -> usize {
    HEADER + key.len() + value.map_or(0, <[u8]>::len)
}

fn hash_at(entries: &[u8], offset: u32) -> u64 {
    hash_of(entry(entries, offset).0)
}

impl Shard {
    fn bytes(&self) -> usize {
        self.entries.capacity() + self.index.allocation_size()
    }

    fn find(&self, hash: u64, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |offset| entry(&self.entries, *offset).0 == key).copied()
    }

    /// Sets the value of a key; true if the key is new.
    fn set(&mut self, hash: u64, key: &[u8], value: Option<&[u8]>) -> Result<bool> {
        let too_large = |_| Error::user("a key or value of state has 4 GB or more");
        let key_length = u32::try_from(key.len()).map_err(too_large)?;
        let value_length = value.map_or(Ok(GONE), |value| u32::try_from(value.len()).map_err(too_large))?;
        let end = u32::try_from(self.entries.len()).map_err(too_large)?;
        let Self { index, entries, wasted } = self;
        let eq = |offset: &u32| entry(entries, *offset).0 == key;
        let new = match index.entry(hash, eq, |offset| hash_at(entries, *offset)) {
            Slot::Occupied(mut slot) => {
                let offset = *slot.get();
                let old = entry(entries, offset).1;
                if let (Some(old), Some(value)) = (old, value)
                    && old.len() == value.len()
                {
                    let start = offset as usize + HEADER + key.len();
                    entries[start..start + value.len()].copy_from_slice(value);
                    return Ok(false);
                }
                *wasted += length(key, old);
                *slot.get_mut() = end;
                false
            }
            Slot::Vacant(slot) => {
                slot.insert(end);
                true
            }
        };
        let needed = length(key, value);
        if entries.capacity() - entries.len() < needed {
            entries.reserve_exact(needed.max(entries.len() / 4).max(LITTLE / 16));
        }
        entries.extend_from_slice(&key_length.to_le_bytes());
        entries.extend_from_slice(&value_length.to_le_bytes());
        entries.extend_from_slice(key);
        entries.extend_from_slice(value.unwrap_or_default());
        if self.wasted > LITTLE.max(self.entries.len() / 2) {
            self.sweep();
        }
        Ok(new)
    }

    /// Leaves out what has been replaced.
    fn sweep(&mut self) {
        let mut kept = Vec::with_capacity(self.entries.len() - self.wasted);
        for offset in &mut self.index {
            let at = *offset as usize;
            let (key, value) = entry(&self.entries, *offset);
            *offset = kept.len() as u32;
            kept.extend_from_slice(&self.entries[at..at + length(key, value)]);
        }
        self.entries = kept;
        self.wasted = 0;
    }
}

impl Recent {
    /// Number of keys.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What is known of a key: its value, or that it has none.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.get_hashed(hash_of(key), key)
    }

    /// [`get`](Self::get) for a key with this hash.
    pub(super) fn get_hashed(&self, hash: u64, key: &[u8]) -> Option<Option<&[u8]>> {
        let shard = self.shards.get(shard_of(hash))?;
        Some(entry(&shard.entries, shard.find(hash, key)?).1)
    }

    /// Sets the value of a key, or that it has none.
    ///
    /// # Errors
    /// When key or value are too large.
    pub(super) fn set(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if self.shards.is_empty() {
            self.shards.resize_with(SHARDS, Shard::default);
            self.bytes = SHARDS * size_of::<Shard>();
        }
        let hash = hash_of(key);
        let shard = &mut self.shards[shard_of(hash)];
        let before = shard.bytes();
        let new = shard.set(hash, key, value);
        self.bytes = self.bytes + shard.bytes() - before;
        self.len += usize::from(new?);
        Ok(())
    }

    /// Key and value of an entry.
    pub(super) fn at(&self, at: At) -> (&[u8], Option<&[u8]>) {
        entry(&self.shards[at.shard as usize].entries, at.offset)
    }

    fn places(&self) -> impl Iterator<Item = At> {
        (0..).zip(&self.shards).flat_map(|(shard, of)| of.index.iter().map(move |offset| At { shard, offset: *offset }))
    }

    /// The places of all entries, in the order of their keys. Sorts the entries of one key group after the other, with the first bytes of the
    /// keys at hand: keys lie anywhere in memory.
    pub(super) fn sorted(&self) -> Vec<At> {
        let group = |at: At| {
            let (key, _) = self.at(at);
            [0, 1].map(|byte| key.get(byte).copied().unwrap_or(0))
        };
        let mut next: BTreeMap<[u8; GROUP], usize> = BTreeMap::new();
        self.places().for_each(|at| *next.entry(group(at)).or_insert(0) += 1);
        let mut start = 0;
        next.values_mut().for_each(|next| start += std::mem::replace(next, start));
        let mut sorted = vec![At { shard: 0, offset: 0 }; self.len];
        for at in self.places() {
            if let Some(next) = next.get_mut(&group(at)) {
                sorted[*next] = at;
                *next += 1;
            }
        }
        let mut start = 0;
        for end in next.into_values() {
            let of_group = &mut sorted[start..end];
            start = end;
            let mut keyed: Vec<(u128, At)> = of_group.iter().map(|at| (first_bytes(self.at(*at).0), *at)).collect();
            keyed.sort_unstable_by(|(a, at_a), (b, at_b)| a.cmp(b).then_with(|| self.at(*at_a).0.cmp(self.at(*at_b).0)));
            of_group.iter_mut().zip(keyed).for_each(|(place, (_, at))| *place = at);
        }
        sorted
    }
}

/// The first bytes of a key as a number that sorts as they do.
fn first_bytes(key: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let count = key.len().min(bytes.len());
    bytes[..count].copy_from_slice(&key[..count]);
    u128::from_be_bytes(bytes)
}

/// Entries of a [`Recent`] in order, once it does not change any more.
pub(super) struct InOrder<'a> {
    pub(super) recent: &'a Recent,
    pub(super) sorted: &'a [At],
}

impl LayerView for InOrder<'_> {
    fn said(&self, key: &[u8]) -> Said<'_> {
        match self.recent.get(key) {
            Some(Some(value)) => Said::Value(value),
            Some(None) => Said::Gone,
            None => Said::Nothing,
        }
    }

    fn keys<'l>(&'l self, from: &[u8], to: Option<&[u8]>) -> Box<dyn Iterator<Item = &'l [u8]> + 'l> {
        let before = |end: &[u8]| self.sorted.partition_point(|at| self.recent.at(*at).0 < end);
        let start = before(from);
        let end = to.map_or(self.sorted.len(), before).max(start);
        Box::new(self.sorted[start..end].iter().map(|at| self.recent.at(*at).0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Values of changing lengths, and keys that are gone, are as a tree has them, in its order.
        #[test]
        fn it_is_a_map_that_can_be_sorted(changes in prop::collection::vec((prop::collection::vec(0u8..3, 2..5), prop::option::of(prop::collection::vec(any::<u8>(), 0..60))), 0..2000)) {
            let (mut recent, mut model) = (Recent::default(), BTreeMap::new());
            for (key, value) in changes {
                recent.set(&key, value.as_deref()).expect("it is small");
                model.insert(key, value);
            }
            prop_assert_eq!(recent.len(), model.len());
            let sorted = recent.sorted();
            let all: Vec<_> = sorted.iter().map(|at| recent.at(*at)).map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec))).collect();
            prop_assert_eq!(all, model.clone().into_iter().collect::<Vec<_>>());
            for (key, value) in &model {
                prop_assert_eq!(recent.get(key), Some(value.as_deref()));
            }
            prop_assert_eq!(recent.get(&[9, 9]), None);
            let view = InOrder { recent: &recent, sorted: &sorted };
            let (from, to) = ([0, 2].as_slice(), [1, 2, 0].as_slice());
            let within: Vec<_> = view.keys(from, Some(to)).collect();
            let expected: Vec<_> = model.keys().map(Vec::as_slice).filter(|key| *key >= from && *key < to).collect();
            prop_assert_eq!(within, expected);
            let live: usize = sorted.iter().map(|at| recent.at(*at)).map(|(key, value)| length(key, value)).sum();
            let held: usize = recent.shards.iter().map(|shard| shard.entries.len()).sum();
            prop_assert!(held <= 2 * live + SHARDS * (LITTLE + 80), "{} bytes for {}", held, live);
        }
    }
}
