//! A hash table in regions, each of which holds the keys of a range of hashes.
//!
//! What takes time in proportion to the size of a hash table - growing it, merging back what was written during a snapshot - is done region
//! by region, so that no record waits for more than one of them. Ranges of hashes refine key groups: a snapshot reads the regions in the
//! order of key groups, and lets go of each that is written, so that what has been copied for it is merged back while the others are still
//! being written.
//!
//! The regions are found as in extendible hashing (Fagin et al., 1979): a directory of equal ranges, each of which names its region; a
//! region that is full is split in two, and the directory doubled when the region has only one range.

use super::cow::{Address, CowTable, Frozen};
use brisk_base::Result;
use brisk_core::state::KeyGroups;
use std::ops::Range;

/// An address whose key says which region it belongs to.
pub(crate) trait InRegion: Address {
    /// Hash of the key, which has chosen the key group too.
    fn key_hash(&self) -> u64;
}

/// Entries at which a region is split: as many as 16,384 buckets hold. To split it, or to merge it back, takes about a millisecond; and the
/// regions of some gigabytes, a cache line each, fit into the processor's cache.
const FULL: usize = 14_336;

/// Entries at which the first region is split. A table that is not much larger than the processor's cache is faster in one piece.
const FULL_ALONE: usize = 2 * FULL;

/// The bits of a hash that choose its key group.
const GROUP_BITS: u32 = 24;

/// Regions are few per range of the directory: where keys are so uneven that splitting does not part them, it must not grow for nothing.
const RANGES_PER_REGION: usize = 8;

/// The hash table.
pub(crate) struct Regions<A, V> {
    /// All regions, in the order in which they were made; never empty.
    regions: Vec<Region<A, V>>,
    /// The region of each range of hashes.
    directory: Vec<u32>,
    /// Ranges that the whole space of hashes would have: the max parallelism, doubled as often as the directory.
    ranges: u64,
    /// Where the directory begins among them.
    first: u64,
}

struct Region<A, V> {
    table: CowTable<A, V>,
    /// Its part of the directory.
    ranges: Range<u32>,
}

impl<A: InRegion, V: Clone + Send + Sync + 'static> Regions<A, V> {
    /// An empty table for keys of these key groups.
    pub(crate) fn new(key_groups: KeyGroups) -> Self {
        let Range { start, end } = key_groups.range.numbers();
        let groups = u32::from(end - start).max(1);
        Self {
            regions: vec![Region { table: CowTable::default(), ranges: 0..groups }],
            directory: vec![0; groups as usize],
            ranges: key_groups.max_parallelism.into(),
            first: start.into(),
        }
    }

    /// Range of a key's hash. That of a key of another subtask is the nearest one.
    #[inline]
    fn range(&self, key_hash: u64) -> usize {
        let range = ((key_hash >> (64 - GROUP_BITS)) * self.ranges) >> GROUP_BITS;
        (range.saturating_sub(self.first) as usize).min(self.directory.len() - 1)
    }

    /// Region of a key's hash.
    #[inline]
    fn find(&self, key_hash: u64) -> usize {
        if self.regions.len() == 1 { 0 } else { self.directory[self.range(key_hash)] as usize }
    }

    /// The part of the table that holds a key, having given a little time to what snapshots have left to do there.
    #[inline]
    pub(crate) fn at(&mut self, key_hash: u64) -> &mut CowTable<A, V> {
        let index = self.find(key_hash);
        let table = &mut self.regions[index].table;
        table.settle();
        table
    }

    /// As [`at`](Self::at), with room for another entry.
    #[inline]
    pub(crate) fn at_with_room(&mut self, key_hash: u64) -> &mut CowTable<A, V> {
        let mut index = self.find(key_hash);
        let full = if self.regions.len() == 1 { FULL_ALONE } else { FULL };
        if self.regions[index].table.live_len() >= full {
            self.split(index);
            index = self.find(key_hash);
        }
        let table = &mut self.regions[index].table;
        table.settle();
        table
    }

    /// Splits a region, if it can be split.
    #[cold]
    fn split(&mut self, index: usize) {
        let count = self.regions.len();
        if self.regions[index].table.has_layers() {
            return;
        }
        if self.regions[index].ranges.len() == 1 {
            if self.directory.len() > count * RANGES_PER_REGION || self.ranges >= 1 << (GROUP_BITS - 1) {
                return;
            }
            self.double();
        }
        let Range { start, end } = self.regions[index].ranges.clone();
        let middle = start.midpoint(end);
        let mut lower = std::mem::take(&mut self.regions[index].table);
        let upper = lower.split_off(|address| self.range(address.key_hash()) >= middle as usize);
        self.regions[index] = Region { table: lower, ranges: start..middle };
        self.regions.push(Region { table: upper, ranges: middle..end });
        self.directory[middle as usize..end as usize].fill(count as u32);
    }

    /// Halves all ranges.
    fn double(&mut self) {
        self.directory = self.directory.iter().flat_map(|region| [*region; 2]).collect();
        self.ranges *= 2;
        self.first *= 2;
        for region in &mut self.regions {
            region.ranges = region.ranges.start * 2..region.ranges.end * 2;
        }
    }

    /// Regions in the order of their hashes.
    fn in_order(&self) -> std::vec::IntoIter<usize> {
        let starts: Vec<_> = self.regions.iter().map(|region| region.ranges.start).collect();
        let mut order: Vec<_> = (0..starts.len()).collect();
        order.sort_unstable_by_key(|index| starts[*index]);
        order.into_iter()
    }

    fn tables(&self) -> impl Iterator<Item = &CowTable<A, V>> {
        self.regions.iter().map(|region| &region.table)
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.tables().map(CowTable::len).sum()
    }

    /// See [`CowTable::touch`]; takes hashes of keys and of addresses.
    #[inline]
    pub(crate) fn touch(&self, hashes: impl Iterator<Item = (u64, u64)>) {
        if let [only] = &*self.regions {
            only.table.touch(hashes.map(|(_, hash)| hash));
        } else {
            hashes.for_each(|(key_hash, hash)| self.regions[self.find(key_hash)].table.touch_one(hash));
        }
    }

    /// Shows all entries.
    pub(crate) fn scan(&self, mut visit: impl FnMut(&A, &V) -> Result<()>) -> Result<()> {
        self.tables().try_for_each(|table| table.scan(&mut visit))
    }

    /// See [`CowTable::sweep`]. One call looks at one region; the upper half of the cursor says at which.
    pub(crate) fn sweep(&mut self, cursor: &mut usize, entries: usize, is_gone: impl FnMut(&mut V) -> bool) {
        let (mut index, mut bucket) = (*cursor >> 32, *cursor & 0xffff_ffff);
        if index >= self.regions.len() {
            (index, bucket) = (0, 0);
        }
        let table = &mut self.regions[index].table;
        table.settle();
        if table.sweep(&mut bucket, entries, is_gone) {
            (index, bucket) = (index + 1, 0);
        }
        *cursor = index << 32 | bucket;
    }

    /// Bytes of memory, from a sample of the entries.
    pub(crate) fn heap_bytes(&self, value_heap_bytes: impl Fn(&V) -> usize) -> usize {
        let regions = self.regions.capacity() * size_of::<Region<A, V>>() + self.directory.capacity() * size_of::<u32>();
        regions + self.tables().map(|table| table.heap_bytes(self.samples(), &value_heap_bytes)).sum::<usize>()
    }

    /// Entries of each region to look at for an estimate.
    fn samples(&self) -> usize {
        (super::cow::SAMPLES / self.regions.len()).max(2)
    }

    /// Begins a new generation and returns the one that has ended, by regions in the order of key groups.
    pub(crate) fn freeze(&mut self) -> impl Iterator<Item = Frozen<A, V>> {
        self.in_order().map(|index| self.regions[index].table.freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_core::state::KeyGroups;
    use brisk_core::types::{Key, KeyGroup, table_hash};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl InRegion for u64 {
        fn key_hash(&self) -> u64 {
            Key::key_hash(self)
        }
    }

    fn put(table: &mut Regions<u64, u64>, key: u64, value: u64) -> Option<u64> {
        table.at_with_room(Key::key_hash(&key)).insert(Address::table_hash(&key), |at| *at == key, || key, value)
    }

    fn get(table: &mut Regions<u64, u64>, key: u64) -> Option<u64> {
        table.at(Key::key_hash(&key)).get(Address::table_hash(&key), |at| *at == key).copied()
    }

    fn contents(table: &Regions<u64, u64>) -> BTreeMap<u64, u64> {
        let mut all = BTreeMap::new();
        table
            .scan(|key, value| {
                assert!(all.insert(*key, *value).is_none(), "an address is visible in two places");
                Ok(())
            })
            .expect("the visit never fails");
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        /// Tables of many regions are as maps are, with snapshots held and dropped at any time; each generation stays as it was, and comes
        /// in the order of key groups.
        #[test]
        fn regions_agree_with_a_map(
            keys in 1u64..150_000, seed: u64, max_parallelism in prop::sample::select(vec![1u32, 7, 128, 32768]), parts in 1u32..3,
            rounds in prop::collection::vec((1u64..100_000, 0u64..4, any::<bool>()), 1..6),
        ) {
            let parts = parts.min(max_parallelism);
            let groups = KeyGroups::of_subtask(max_parallelism, parts, parts - 1).expect("a subtask");
            let (mut table, mut model, mut held) = (Regions::new(groups), BTreeMap::new(), Vec::new());
            let mut state = seed | 1;
            for (count, removals, keeps) in rounds {
                for number in 0..count {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let key = (state >> 33) % keys;
                    if number % 5 < removals {
                        let removed = table.at(Key::key_hash(&key)).remove(table_hash(Key::key_hash(&key)), |at| *at == key);
                        prop_assert_eq!(removed, model.remove(&key));
                    } else {
                        prop_assert_eq!(put(&mut table, key, number), model.insert(key, number));
                    }
                }
                prop_assert_eq!(table.len(), model.len());
                held.push((table.freeze().collect::<Vec<_>>(), model.clone()));
                if !keeps {
                    held.remove(0);
                }
            }
            prop_assert_eq!(&contents(&table), &model);
            for (frozen, expected) in held {
                let mut last = KeyGroup(0);
                for region in &frozen {
                    let of_region: Vec<_> = region.iter().map(|(key, _)| groups.of(Key::key_hash(key))).collect();
                    let lowest = of_region.iter().min().copied().unwrap_or(last);
                    // Keys that belong to another subtask lie at the ends; they do not occur outside of tests.
                    prop_assert!(lowest >= last || !groups.range.contains(lowest));
                    last = of_region.iter().max().copied().unwrap_or(last);
                }
                let entries: BTreeMap<_, _> = frozen.iter().flat_map(Frozen::iter).copied().collect();
                prop_assert!(entries == expected);
            }
            for (key, value) in model.iter().take(100) {
                prop_assert_eq!(get(&mut table, *key), Some(*value));
            }
        }
    }

    #[test]
    fn a_table_has_as_many_regions_as_it_needs() {
        let groups = KeyGroups::of_subtask(128, 1, 0).expect("one subtask");
        let mut table = Regions::new(groups);
        for key in 0..FULL_ALONE as u64 {
            put(&mut table, key, key);
        }
        assert_eq!(table.regions.len(), 1, "small tables are in one piece");
        for key in FULL_ALONE as u64..20 * FULL as u64 {
            put(&mut table, key, key);
        }
        assert!((20..80).contains(&table.regions.len()), "{} regions", table.regions.len());
        assert!(table.tables().all(|table| table.len() <= FULL));
        assert_eq!(contents(&table).len(), 20 * FULL);
    }

    /// All entries belong to keys of the same range of hashes, and no split parts them.
    #[test]
    fn keys_that_cannot_be_parted_do_not_grow_the_directory() {
        #[derive(Clone, Copy, PartialEq)]
        struct OfOneKey(u64);
        impl Address for OfOneKey {
            fn table_hash(&self) -> u64 {
                Address::table_hash(&self.0)
            }
            fn heap_bytes(&self) -> usize {
                0
            }
        }
        impl InRegion for OfOneKey {
            fn key_hash(&self) -> u64 {
                7
            }
        }
        let mut table = Regions::new(KeyGroups::of_subtask(128, 1, 0).expect("one subtask"));
        for number in 0..8 * FULL as u64 {
            let at = OfOneKey(number);
            table.at_with_room(at.key_hash()).insert_new(at.table_hash(), at, number);
        }
        assert!(table.directory.len() < 2048 && table.len() == 8 * FULL, "{} ranges", table.directory.len());
    }
}
