//! A hash table whose generations can be frozen.
//!
//! Freezing moves all entries into a layer that is shared with the snapshot and never changes. Reads look into the live table, then into
//! the layers; a write first copies the entry into the live table and hides it in its layer. Once a snapshot has been dropped its layer is
//! absorbed, a little with each call.
//!
//! Invariant: an address is visible in one place at most.

use brisk_base::Result;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What an entry is found by.
pub(crate) trait Address: Clone + Send + Sync + 'static {
    /// Hash for the table.
    fn table_hash(&self) -> u64;

    /// Bytes held outside of the address itself.
    fn heap_bytes(&self) -> usize;
}

/// Entries absorbed per call.
const ABSORBED_PER_CALL: usize = 64;

/// Buckets that a sweep goes through for each entry that it is to look at, at most.
const SWEPT_PER_ENTRY: usize = 16;

/// Tables are made smaller when fewer than one bucket in this many is in use.
const SHRINK_BELOW: usize = 16;

/// Tables of fewer buckets are left as they are.
const SMALL: usize = 1024;

/// Tables of fewer bytes are in the processor's cache anyway.
const CACHED: usize = 1 << 20;

/// Entries looked at to estimate the memory of all.
pub(crate) const SAMPLES: usize = 128;

/// The hash table.
pub(crate) struct CowTable<A, V> {
    /// Entries written since the last freeze; all of them when there are no layers.
    live: HashTable<(A, V)>,
    /// Entries of earlier generations.
    layers: Vec<Layer<A, V>>,
}

/// Entries of one generation.
struct Layer<A, V> {
    /// The entries; shared with snapshots that are not finished.
    table: Shared<A, V>,
    /// Entries that have been removed or copied to the live table.
    hidden: Hidden,
    /// Where absorbing goes on: a word of `hidden` while there is one, then a bucket.
    cursor: usize,
}

/// A set of buckets.
#[derive(Clone, Default)]
struct Hidden {
    /// One bit per bucket; empty until the first one is set.
    words: Vec<u64>,
    /// How many are set.
    count: usize,
}

impl Hidden {
    fn contains(&self, bucket: usize) -> bool {
        self.words.get(bucket / 64).is_some_and(|word| word >> (bucket % 64) & 1 == 1)
    }

    fn insert(&mut self, bucket: usize, buckets: usize) {
        if self.words.is_empty() {
            self.words = vec![0; buckets.div_ceil(64)];
        }
        self.words[bucket / 64] |= 1 << (bucket % 64);
        self.count += 1;
    }
}

/// Entries that are shared between a table and snapshots.
type Shared<A, V> = Arc<HashTable<(A, V)>>;

/// One generation of a [`CowTable`].
pub(crate) struct Frozen<A, V>(Vec<(Shared<A, V>, Hidden)>);

impl<A, V> Default for CowTable<A, V> {
    fn default() -> Self {
        Self { live: HashTable::new(), layers: Vec::new() }
    }
}

impl<A: Address, V: Clone + Send + Sync + 'static> CowTable<A, V> {
    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.live.len() + self.layers.iter().map(|layer| layer.table.len() - layer.hidden.count).sum::<usize>()
    }

    /// Entries that no snapshot holds and no layer hides.
    #[inline]
    pub(crate) fn live_len(&self) -> usize {
        self.live.len()
    }

    /// Whether there are entries of earlier generations.
    pub(crate) fn has_layers(&self) -> bool {
        !self.layers.is_empty()
    }

    /// Moves entries to a table of their own; of a table that has no layers.
    pub(crate) fn split_off(&mut self, moves: impl Fn(&A) -> bool) -> Self {
        debug_assert!(self.layers.is_empty(), "layers are shared, and cannot be split");
        let half = || HashTable::with_capacity(self.live.len() / 2 + 1);
        let (mut lower, mut upper) = (half(), half());
        for entry in std::mem::take(&mut self.live) {
            let table = if moves(&entry.0) { &mut upper } else { &mut lower };
            table.insert_unique(entry.0.table_hash(), entry, |entry: &(A, V)| entry.0.table_hash());
        }
        self.live = lower;
        Self { live: upper, layers: Vec::new() }
    }

    /// Whether there is no entry.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.live.is_empty() && (self.layers.is_empty() || self.len() == 0)
    }

    /// The value at an address.
    #[inline]
    pub(crate) fn get(&self, hash: u64, is: impl Fn(&A) -> bool) -> Option<&V> {
        match self.live.find(hash, |entry| is(&entry.0)) {
            Some(entry) => Some(&entry.1),
            None if self.layers.is_empty() => None,
            None => self.find_frozen(hash, is).map(|(layer, bucket)| &self.layers[layer].entry(bucket).1),
        }
    }

    /// Brings the entries of these hashes into the processor's cache, so that the look-ups that follow do not wait for memory one after the
    /// other: here they wait for all at once, since no look-up depends on another.
    pub(crate) fn touch(&self, hashes: impl Iterator<Item = u64>) {
        if self.live.num_buckets() * size_of::<(A, V)>() < CACHED {
            return;
        }
        hashes.for_each(|hash| self.touch_one(hash));
    }

    /// [`touch`](Self::touch) for one entry, whatever the size of the table.
    #[inline]
    pub(crate) fn touch_one(&self, hash: u64) {
        self.live.find(hash, |entry| {
            // SAFETY: the entry is there, and has at least one byte; that byte may be padding, which `MaybeUninit` allows for.
            std::hint::black_box(unsafe { std::ptr::from_ref(entry).cast::<std::mem::MaybeUninit<u8>>().read() });
            true
        });
    }

    /// The value at an address, to be changed in place.
    #[inline]
    pub(crate) fn get_mut(&mut self, hash: u64, is: impl Fn(&A) -> bool) -> Option<&mut V> {
        if !self.layers.is_empty() {
            self.adopt(hash, &is);
        }
        self.live.find_mut(hash, |entry| is(&entry.0)).map(|entry| &mut entry.1)
    }

    /// The value at an address, created if there is none.
    #[inline]
    pub(crate) fn get_or_create(
        &mut self,
        hash: u64,
        is: impl Fn(&A) -> bool,
        address: impl FnOnce() -> A,
        create: impl FnOnce() -> Result<V>,
    ) -> Result<&mut V> {
        if !self.layers.is_empty() {
            self.adopt(hash, &is);
        }
        match self.live.entry(hash, |entry| is(&entry.0), |entry| entry.0.table_hash()) {
            Entry::Occupied(entry) => Ok(&mut entry.into_mut().1),
            Entry::Vacant(entry) => Ok(&mut entry.insert((address(), create()?)).into_mut().1),
        }
    }

    /// Sets the value at an address and returns the one before.
    #[inline]
    pub(crate) fn insert(&mut self, hash: u64, is: impl Fn(&A) -> bool, address: impl FnOnce() -> A, value: V) -> Option<V> {
        let frozen = if self.layers.is_empty() { None } else { self.take_frozen(hash, &is) };
        match self.live.entry(hash, |entry| is(&entry.0), |entry| entry.0.table_hash()) {
            Entry::Occupied(entry) => Some(std::mem::replace(&mut entry.into_mut().1, value)),
            Entry::Vacant(entry) => {
                entry.insert((address(), value));
                frozen.map(|(_, value)| value)
            }
        }
    }

    /// Removes and returns the value at an address.
    #[inline]
    pub(crate) fn remove(&mut self, hash: u64, is: impl Fn(&A) -> bool) -> Option<V> {
        match self.live.find_entry(hash, |entry| is(&entry.0)) {
            Ok(entry) => {
                let value = entry.remove().0.1;
                if self.live.len() < self.live.num_buckets() / SHRINK_BELOW {
                    self.shrink();
                }
                Some(value)
            }
            Err(_) if self.layers.is_empty() => None,
            Err(_) => self.take_frozen(hash, &is).map(|(_, value)| value),
        }
    }

    /// Lets `update` change, add or remove the value at an address.
    #[inline]
    pub(crate) fn update(
        &mut self,
        hash: u64,
        is: impl Fn(&A) -> bool,
        address: impl FnOnce() -> A,
        update: impl FnOnce(&mut Option<V>) -> Result<()>,
    ) -> Result<()> {
        if !self.layers.is_empty() {
            self.adopt(hash, &is);
        }
        let mut result = Ok(());
        match self.live.entry(hash, |entry| is(&entry.0), |entry| entry.0.table_hash()) {
            Entry::Occupied(entry) => {
                entry.replace_entry_with(|(address, value)| {
                    let mut value = Some(value);
                    result = update(&mut value);
                    value.map(|value| (address, value))
                });
            }
            Entry::Vacant(entry) => {
                let mut value = None;
                result = update(&mut value);
                if let Some(value) = value {
                    entry.insert((address(), value));
                }
            }
        }
        result
    }

    /// Lets `change` change the value at an address in place; returns nothing, and does nothing, where there is none. The hot path of
    /// aggregation: one probe, no reservation.
    #[inline]
    pub(crate) fn change<R>(&mut self, hash: u64, is: impl Fn(&A) -> bool, change: impl FnOnce(&mut V) -> R) -> Option<R> {
        if !self.layers.is_empty() {
            self.adopt(hash, &is);
        }
        self.live.find_mut(hash, |entry| is(&entry.0)).map(|entry| change(&mut entry.1))
    }

    /// Inserts at an address at which there is nothing.
    #[inline(never)]
    pub(crate) fn insert_new(&mut self, hash: u64, address: A, value: V) {
        self.live.insert_unique(hash, (address, value), |entry| entry.0.table_hash());
    }

    /// Shows all entries.
    pub(crate) fn scan(&self, mut visit: impl FnMut(&A, &V) -> Result<()>) -> Result<()> {
        self.layers.iter().try_for_each(|layer| visible(&layer.table, &layer.hidden).try_for_each(|entry| visit(&entry.0, &entry.1)))?;
        self.live.iter().try_for_each(|entry| visit(&entry.0, &entry.1))
    }

    /// Removes all entries, handing them out in the order of [`scan`](Self::scan). Keeps the memory of the live table.
    pub(crate) fn drain(&mut self, mut visit: impl FnMut(A, V) -> Result<()>) -> Result<()> {
        let mut result = Ok(());
        for layer in std::mem::take(&mut self.layers) {
            result = result.and_then(|()| layer.drain(&mut visit));
        }
        for (address, value) in self.live.drain() {
            result = result.and_then(|()| visit(address, value));
        }
        result
    }

    /// Removes entries and hands them out until `visit` breaks off. `cursor` says where to go on; it is 0 at the beginning, and no entry is
    /// missed whatever it is. Keeps the memory of the live table.
    pub(crate) fn drain_from(&mut self, cursor: &mut usize, mut visit: impl FnMut(A, V) -> Result<ControlFlow<()>>) -> Result<()> {
        if !self.layers.is_empty() {
            self.adopt_all();
            *cursor = 0;
        }
        while !self.live.is_empty() {
            if *cursor >= self.live.num_buckets() {
                *cursor = 0;
            }
            let bucket = *cursor;
            *cursor += 1;
            if let Ok(entry) = self.live.get_bucket_entry(bucket) {
                let (address, value) = entry.remove().0;
                if visit(address, value)?.is_break() {
                    break;
                }
            }
        }
        if self.live.is_empty() {
            self.live.clear();
        }
        Ok(())
    }

    /// Looks at some entries of the live table, and removes those that `is_gone` says. `cursor` says where to go on, and is 0 at first.
    /// Returns whether the end was reached.
    pub(crate) fn sweep(&mut self, cursor: &mut usize, entries: usize, mut is_gone: impl FnMut(&mut V) -> bool) -> bool {
        let mut left = entries;
        for _ in 0..entries.saturating_mul(SWEPT_PER_ENTRY) {
            if *cursor >= self.live.num_buckets() {
                break;
            }
            let bucket = *cursor;
            *cursor += 1;
            if let Ok(mut entry) = self.live.get_bucket_entry(bucket) {
                if is_gone(&mut entry.get_mut().1) {
                    entry.remove();
                }
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        let at_end = *cursor >= self.live.num_buckets();
        if self.live.len() < self.live.num_buckets() / SHRINK_BELOW {
            self.shrink();
        }
        at_end
    }

    /// Copies all entries of the layers to the live table.
    #[cold]
    fn adopt_all(&mut self) {
        for layer in std::mem::take(&mut self.layers) {
            for entry in visible(&layer.table, &layer.hidden) {
                self.live.insert_unique(entry.0.table_hash(), entry.clone(), |entry| entry.0.table_hash());
            }
        }
    }

    /// Bytes of memory, from a sample of the entries.
    pub(crate) fn heap_bytes(&self, samples: usize, value_heap_bytes: impl Fn(&V) -> usize) -> usize {
        let of = |table: &HashTable<(A, V)>| {
            let step = (table.num_buckets() / samples).max(1);
            let sample = (0..table.num_buckets()).step_by(step).filter_map(|bucket| table.get_bucket(bucket));
            let (count, bytes) =
                sample.fold((0, 0), |(count, bytes), (address, value)| (count + 1, bytes + address.heap_bytes() + value_heap_bytes(value)));
            table.allocation_size() + (bytes * table.len()).checked_div(count).unwrap_or(0)
        };
        of(&self.live) + self.layers.iter().map(|layer| of(&layer.table) + layer.hidden.words.len() * 8).sum::<usize>()
    }

    /// Begins a new generation and returns the one that has ended.
    pub(crate) fn freeze(&mut self) -> Frozen<A, V> {
        if !self.live.is_empty() {
            let table = Arc::new(std::mem::take(&mut self.live));
            self.layers.push(Layer { table, hidden: Hidden::default(), cursor: 0 });
        }
        for layer in &mut self.layers {
            layer.cursor = 0;
        }
        Frozen(self.layers.iter().map(|layer| (layer.table.clone(), layer.hidden.clone())).collect())
    }

    /// Absorbs a little of a layer whose snapshot is finished. To be called once per batch.
    #[inline]
    pub(crate) fn settle(&mut self) {
        if !self.layers.is_empty() {
            self.absorb_some();
        }
    }

    #[cold]
    fn absorb_some(&mut self) {
        let Some(index) = self.layers.iter_mut().position(|layer| Arc::get_mut(&mut layer.table).is_some()) else { return };
        let layer = &mut self.layers[index];
        let table = Arc::get_mut(&mut layer.table).expect("the position was chosen for being the only owner");
        if layer.hidden.count > 0 {
            erase_hidden(table, &mut layer.hidden, &mut layer.cursor);
            return;
        }
        if table.len() > self.live.len() {
            std::mem::swap(table, &mut self.live);
            layer.cursor = 0;
        }
        let mut left = ABSORBED_PER_CALL;
        while left > 0 && layer.cursor < table.num_buckets() && !table.is_empty() {
            if let Ok(entry) = table.get_bucket_entry(layer.cursor) {
                let entry = entry.remove().0;
                self.live.insert_unique(entry.0.table_hash(), entry, |entry| entry.0.table_hash());
                left -= 1;
            }
            layer.cursor += 1;
        }
        if table.is_empty() {
            self.layers.remove(index);
        }
    }

    #[cold]
    fn shrink(&mut self) {
        if self.live.num_buckets() > SMALL {
            self.live.shrink_to(self.live.len() * 4, |entry| entry.0.table_hash());
        }
    }

    /// Copies an entry of a layer to the live table.
    #[cold]
    fn adopt(&mut self, hash: u64, is: &impl Fn(&A) -> bool) {
        if let Some(entry) = self.take_frozen(hash, is) {
            self.live.insert_unique(hash, entry, |entry| entry.0.table_hash());
        }
    }

    /// Takes an entry out of a layer. As long as snapshots see the layer, the entry is hidden there and a copy of it returned.
    #[cold]
    fn take_frozen(&mut self, hash: u64, is: &impl Fn(&A) -> bool) -> Option<(A, V)> {
        let (layer, bucket) = self.find_frozen(hash, is)?;
        let layer = &mut self.layers[layer];
        if let Some(table) = Arc::get_mut(&mut layer.table) {
            return table.get_bucket_entry(bucket).ok().map(|entry| entry.remove().0);
        }
        layer.hidden.insert(bucket, layer.table.num_buckets());
        layer.cursor = 0;
        Some(layer.entry(bucket).clone())
    }

    /// Layer and bucket of an entry that is in no live table.
    #[cold]
    fn find_frozen(&self, hash: u64, is: impl Fn(&A) -> bool) -> Option<(usize, usize)> {
        self.layers.iter().enumerate().find_map(|(index, layer)| {
            let bucket = layer.table.find_bucket_index(hash, |entry| is(&entry.0))?;
            (!layer.hidden.contains(bucket)).then_some((index, bucket))
        })
    }
}

impl<A: Clone, V: Clone> Layer<A, V> {
    fn entry(&self, bucket: usize) -> &(A, V) {
        self.table.get_bucket(bucket).expect("a bucket that was found stays while its layer is shared or unchanged")
    }

    fn drain(self, visit: &mut impl FnMut(A, V) -> Result<()>) -> Result<()> {
        visible(&self.table, &self.hidden).try_for_each(|(address, value)| visit(address.clone(), value.clone()))
    }
}

/// The entries of a layer that are not hidden.
fn visible<'a, A, V>(table: &'a HashTable<(A, V)>, hidden: &'a Hidden) -> impl Iterator<Item = &'a (A, V)> {
    table.iter_buckets().filter(|bucket| !hidden.contains(*bucket)).filter_map(|bucket| table.get_bucket(bucket))
}

/// Removes hidden entries from a table that no snapshot sees any more.
fn erase_hidden<A, V>(table: &mut HashTable<(A, V)>, hidden: &mut Hidden, cursor: &mut usize) {
    let mut left = ABSORBED_PER_CALL;
    while left > 0 && hidden.count > 0 && *cursor < hidden.words.len() {
        let word = std::mem::take(&mut hidden.words[*cursor]);
        for bit in (0..64).filter(|bit| word >> bit & 1 == 1) {
            if let Ok(entry) = table.get_bucket_entry(*cursor * 64 + bit) {
                entry.remove();
            }
            hidden.count -= 1;
            left = left.saturating_sub(1);
        }
        left = left.saturating_sub(1);
        *cursor += 1;
    }
    if hidden.count == 0 {
        (hidden.words, *cursor) = (Vec::new(), 0);
    }
}

impl<A, V> Frozen<A, V> {
    /// The entries of the generation.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(A, V)> {
        self.0.iter().flat_map(|(table, hidden)| visible(table, hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_core::types::{Key, table_hash};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    impl Address for u64 {
        fn table_hash(&self) -> u64 {
            table_hash(self.key_hash())
        }

        fn heap_bytes(&self) -> usize {
            0
        }
    }

    #[derive(Clone, Debug)]
    enum Op {
        Insert(std::ops::Range<u64>),
        Remove(std::ops::Range<u64>),
        Settle(usize),
        Freeze,
        DropFrozen(usize),
    }

    fn op() -> impl Strategy<Value = Op> {
        let range = || (0u64..900, 1u64..400).prop_map(|(from, count)| from..from + count);
        prop_oneof![
            4 => range().prop_map(Op::Insert),
            2 => range().prop_map(Op::Remove),
            4 => (0usize..12).prop_map(Op::Settle),
            2 => Just(Op::Freeze),
            2 => any::<usize>().prop_map(Op::DropFrozen),
        ]
    }

    fn contents(table: &CowTable<u64, u64>) -> BTreeMap<u64, u64> {
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
        #[test]
        fn layers_whose_snapshots_are_finished_are_absorbed(ops in prop::collection::vec(op(), 1..60)) {
            let (mut table, mut model) = (CowTable::default(), BTreeMap::new());
            let mut frozen = Vec::new();
            for (number, op) in (0..).zip(ops) {
                match op {
                    Op::Insert(keys) => for key in keys {
                        let before = table.insert(key.table_hash(), |at| *at == key, || key, number);
                        prop_assert_eq!(before, model.insert(key, number));
                    },
                    Op::Remove(keys) => for key in keys {
                        prop_assert_eq!(table.remove(key.table_hash(), |at| *at == key), model.remove(&key));
                    },
                    Op::Settle(times) => (0..times).for_each(|_| table.settle()),
                    Op::Freeze => frozen.push((table.freeze(), model.clone())),
                    Op::DropFrozen(which) => if !frozen.is_empty() {
                        let (generation, expected) = frozen.swap_remove(which % frozen.len());
                        prop_assert!(generation.iter().copied().collect::<BTreeMap<_, _>>() == expected);
                    },
                }
                prop_assert_eq!(table.len(), model.len());
            }
            prop_assert_eq!(&contents(&table), &model);
            frozen.clear();
            // Each call absorbs 64 entries; a layer takes a few more to begin and end.
            let calls = table.layers.iter().map(|layer| 2 * layer.table.num_buckets() / ABSORBED_PER_CALL + 8).sum();
            (0..calls).for_each(|_| table.settle());
            prop_assert!(table.layers.is_empty());
            prop_assert_eq!(&contents(&table), &model);
        }
    }
}
