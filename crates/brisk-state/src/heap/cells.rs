//! Where the heap's tables keep what belongs to one key and namespace.
//!
//! Value, list and map tables differ in the cell they keep per slot; finding the cell is the same for all, and happens here.

use super::cow::{Address, CowTable, SAMPLES};
use super::frozen::FrozenPart;
use super::regions::{InRegion, Regions};
use brisk_base::{Result, Timestamp};
use brisk_core::state::{KeyGroups, Layout, Namespace, Slot};
use brisk_core::types::{Key, hash, table_hash};
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

/// What may lie in a cell: cheap to clone, since the first write after a freeze clones it.
pub(crate) trait Cell: Clone + Send + Sync + 'static {
    /// Bytes held outside of the cell itself, approximately.
    fn heap_bytes(&self) -> usize;

    /// Drops what has expired, going by the time of last use. Returns whether nothing is left.
    fn expire(&mut self, is_expired: &dyn Fn(Timestamp) -> bool) -> bool;
}

/// Address of a cell within its namespace.
#[derive(Clone)]
pub(crate) struct ByKey<K>(pub(crate) K);

/// Address of a cell within a table of all namespaces.
#[derive(Clone)]
pub(crate) struct ByKeyAndNamespace<K, N>(pub(crate) K, pub(crate) N);

impl<K: Key> Address for ByKey<K> {
    #[inline]
    fn table_hash(&self) -> u64 {
        table_hash(self.0.key_hash())
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes()
    }
}

/// The table hash of a key and namespace.
#[inline]
fn pair_hash<N: Namespace>(key_hash: u64, namespace: &N) -> u64 {
    table_hash(if size_of::<N>() == 0 { key_hash } else { hash::combine(key_hash, namespace.key_hash()) })
}

impl<K: Key, N: Namespace> Address for ByKeyAndNamespace<K, N> {
    #[inline]
    fn table_hash(&self) -> u64 {
        pair_hash(self.0.key_hash(), &self.1)
    }

    fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

impl<K: Key, N: Namespace> InRegion for ByKeyAndNamespace<K, N> {
    fn key_hash(&self) -> u64 {
        self.0.key_hash()
    }
}

/// The cells of one table.
pub(crate) enum Cells<K, N, C> {
    /// One hash table for all.
    KeyMajor(Regions<ByKeyAndNamespace<K, N>, C>),
    /// One hash table per namespace.
    NamespaceMajor(ByNamespace<K, N, C>),
}

/// Hash tables by namespace.
pub(crate) struct ByNamespace<K, N, C> {
    /// Index of each namespace's table.
    index: BTreeMap<N, usize>,
    /// The tables; those of no namespace are empty.
    tables: Vec<CowTable<ByKey<K>, C>>,
    /// Tables of no namespace, the one freed last at the end. The last few keep their memory for the namespaces to come.
    free: Vec<usize>,
    /// Namespaces that were asked for last, at most [`MAX_RECENT`]: a stream that is out of order goes back and forth between few windows.
    recent: Vec<(N, usize)>,
    /// Which of them was the last; mostly it is the next too.
    last: usize,
}

/// Cells that are brought into the processor's cache together: as many as it can wait for at once, and some more.
pub(crate) const TOUCHED_AT_ONCE: usize = 32;

/// How many namespaces are found without the index.
const MAX_RECENT: usize = 8;

/// How many empty tables keep their memory.
const MAX_FREE_TABLES: usize = 2;

impl<K: Key, N: Namespace, C: Cell> ByNamespace<K, N, C> {
    fn new() -> Self {
        Self { index: BTreeMap::new(), tables: Vec::new(), free: Vec::new(), recent: Vec::new(), last: 0 }
    }

    /// Index of a namespace's table.
    #[inline]
    fn find(&mut self, namespace: &N) -> Option<usize> {
        match self.recent.get(self.last) {
            Some((recent, index)) if recent == namespace => Some(*index),
            _ => self.find_other(namespace),
        }
    }

    fn find_other(&mut self, namespace: &N) -> Option<usize> {
        if let Some(last) = self.recent.iter().position(|(recent, _)| recent == namespace) {
            self.last = last;
            return Some(self.recent[last].1);
        }
        let index = *self.index.get(namespace)?;
        self.remember(namespace, index);
        Some(index)
    }

    fn remember(&mut self, namespace: &N, index: usize) {
        if self.recent.len() < MAX_RECENT {
            self.last = self.recent.len();
            self.recent.push((namespace.clone(), index));
        } else {
            self.last = (self.last + 1) % MAX_RECENT;
            self.recent[self.last] = (namespace.clone(), index);
        }
    }

    /// Index of a namespace's table, which is created if there is none.
    #[inline]
    fn find_or_create(&mut self, namespace: &N) -> usize {
        self.find(namespace).unwrap_or_else(|| self.create(namespace))
    }

    #[cold]
    fn create(&mut self, namespace: &N) -> usize {
        let index = self.free.pop().unwrap_or(self.tables.len());
        if index == self.tables.len() {
            self.tables.push(CowTable::default());
        }
        self.index.insert(namespace.clone(), index);
        self.remember(namespace, index);
        index
    }

    /// [`Cells::add_many`], by runs of slots of one namespace.
    #[inline]
    fn add_many(
        &mut self,
        slots: &[Slot<'_, K, N>],
        mut create: impl FnMut(usize) -> Result<C>,
        mut add: impl FnMut(usize, &mut C) -> Result<()>,
    ) -> Result<()> {
        let mut row = 0;
        while let Some(first) = slots.get(row) {
            let Some(index) = self.find(first.namespace) else {
                // The namespace is created by its first value only.
                let cell = create(row)?;
                let index = self.create(first.namespace);
                self.tables[index].insert_new(table_hash(first.hash), ByKey(first.key.clone()), cell);
                continue;
            };
            let table = &mut self.tables[index];
            table.settle();
            for slot in slots[row..].iter().take_while(|slot| slot.namespace == first.namespace) {
                check(*slot);
                let hash = table_hash(slot.hash);
                if let Some(result) = table.change(hash, is_key(*slot), |cell| add(row, cell)) {
                    result?;
                } else {
                    let mut cell = create(row)?;
                    let result = add(row, &mut cell);
                    table.insert_new(hash, ByKey(slot.key.clone()), cell);
                    result?;
                }
                row += 1;
            }
        }
        Ok(())
    }

    /// Forgets a namespace whose table is empty.
    fn release(&mut self, namespace: &N, index: usize) {
        self.index.remove(namespace);
        self.recent.retain(|(recent, _)| recent != namespace);
        if let Some(place) = (self.free.len() + 1).checked_sub(MAX_FREE_TABLES).filter(|place| *place < self.free.len()) {
            self.tables[self.free[place]] = CowTable::default();
        }
        self.free.push(index);
    }

    fn release_if_empty(&mut self, namespace: &N, index: usize) {
        if self.tables[index].is_empty() {
            self.release(namespace, index);
        }
    }
}

impl<K: Key, N: Namespace, C: Cell> Cells<K, N, C> {
    pub(crate) fn new(layout: Layout, key_groups: KeyGroups) -> Self {
        match layout {
            Layout::KeyMajor => Self::KeyMajor(Regions::new(key_groups)),
            Layout::NamespaceMajor => Self::NamespaceMajor(ByNamespace::new()),
        }
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::KeyMajor(table) => table.len(),
            Self::NamespaceMajor(by) => by.index.values().map(|index| by.tables[*index].len()).sum(),
        }
    }

    #[inline]
    pub(crate) fn get(&mut self, slot: Slot<'_, K, N>) -> Option<&C> {
        check(slot);
        match self {
            Self::KeyMajor(table) => table.at(slot.hash).get(pair_hash(slot.hash, slot.namespace), is_pair(slot)),
            Self::NamespaceMajor(by) => {
                let table = by.find(slot.namespace)?;
                by.tables[table].settle();
                by.tables[table].get(table_hash(slot.hash), is_key(slot))
            }
        }
    }

    /// Brings the cells of these keys, which have no namespace, into the processor's cache. See [`CowTable::touch`].
    pub(crate) fn touch(&self, key_hashes: &[u64]) {
        if size_of::<N>() > 0 {
            return;
        }
        let hashes = key_hashes.iter().map(|hash| (*hash, table_hash(*hash)));
        match self {
            Self::KeyMajor(table) => table.touch(hashes),
            Self::NamespaceMajor(by) => by.tables.iter().take(1).for_each(|table| table.touch(hashes.clone().map(|(_, hash)| hash))),
        }
    }

    /// Shows slots in runs, the cells of each of which have been brought into the processor's cache.
    #[inline]
    pub(crate) fn in_runs(
        &mut self,
        slots: &[Slot<'_, K, N>],
        mut each: impl FnMut(&mut Self, usize, Slot<'_, K, N>) -> Result<()>,
    ) -> Result<()> {
        let mut row = 0;
        for run in slots.chunks(TOUCHED_AT_ONCE) {
            if let Self::KeyMajor(table) = self
                && run.len() > 1
            {
                table.touch(run.iter().map(|slot| (slot.hash, pair_hash(slot.hash, slot.namespace))));
            }
            for slot in run {
                each(self, row, *slot)?;
                row += 1;
            }
        }
        Ok(())
    }

    /// The cell of a slot, to be changed in place.
    #[inline]
    pub(crate) fn get_mut(&mut self, slot: Slot<'_, K, N>) -> Option<&mut C> {
        check(slot);
        match self {
            Self::KeyMajor(table) => table.at(slot.hash).get_mut(pair_hash(slot.hash, slot.namespace), is_pair(slot)),
            Self::NamespaceMajor(by) => {
                let table = by.find(slot.namespace)?;
                by.tables[table].get_mut(table_hash(slot.hash), is_key(slot))
            }
        }
    }

    /// Puts a cell into a slot that has none.
    pub(crate) fn insert_new(&mut self, slot: Slot<'_, K, N>, cell: C) {
        check(slot);
        match self {
            Self::KeyMajor(table) => {
                let address = ByKeyAndNamespace(slot.key.clone(), slot.namespace.clone());
                table.at_with_room(slot.hash).insert_new(pair_hash(slot.hash, slot.namespace), address, cell);
            }
            Self::NamespaceMajor(by) => {
                let index = by.find_or_create(slot.namespace);
                by.tables[index].insert_new(table_hash(slot.hash), ByKey(slot.key.clone()), cell);
            }
        }
    }

    /// The cell of a slot, created if there is none.
    #[inline]
    pub(crate) fn get_or_create(&mut self, slot: Slot<'_, K, N>, create: impl FnOnce() -> Result<C>) -> Result<&mut C> {
        check(slot);
        match self {
            Self::KeyMajor(table) => {
                let address = || ByKeyAndNamespace(slot.key.clone(), slot.namespace.clone());
                table.at_with_room(slot.hash).get_or_create(pair_hash(slot.hash, slot.namespace), is_pair(slot), address, create)
            }
            Self::NamespaceMajor(by) => {
                let index = by.find_or_create(slot.namespace);
                if by.tables[index].is_empty() {
                    // The namespace must not stay behind empty if nothing is created.
                    return match create() {
                        Ok(cell) => {
                            by.tables[index].get_or_create(table_hash(slot.hash), is_key(slot), || ByKey(slot.key.clone()), || Ok(cell))
                        }
                        Err(error) => {
                            by.release(slot.namespace, index);
                            Err(error)
                        }
                    };
                }
                let table = &mut by.tables[index];
                table.settle();
                table.get_or_create(table_hash(slot.hash), is_key(slot), || ByKey(slot.key.clone()), create)
            }
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: Slot<'_, K, N>, cell: C) -> Option<C> {
        check(slot);
        match self {
            Self::KeyMajor(table) => {
                let address = || ByKeyAndNamespace(slot.key.clone(), slot.namespace.clone());
                table.at_with_room(slot.hash).insert(pair_hash(slot.hash, slot.namespace), is_pair(slot), address, cell)
            }
            Self::NamespaceMajor(by) => {
                let index = by.find_or_create(slot.namespace);
                by.tables[index].settle();
                by.tables[index].insert(table_hash(slot.hash), is_key(slot), || ByKey(slot.key.clone()), cell)
            }
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, slot: Slot<'_, K, N>) -> Option<C> {
        check(slot);
        match self {
            Self::KeyMajor(table) => table.at(slot.hash).remove(pair_hash(slot.hash, slot.namespace), is_pair(slot)),
            Self::NamespaceMajor(by) => {
                let table = by.find(slot.namespace)?;
                let cell = by.tables[table].remove(table_hash(slot.hash), is_key(slot));
                by.release_if_empty(slot.namespace, table);
                cell
            }
        }
    }

    /// Lets `update` change, add or remove the cell of a slot.
    #[inline]
    pub(crate) fn update(&mut self, slot: Slot<'_, K, N>, update: impl FnOnce(&mut Option<C>) -> Result<()>) -> Result<()> {
        check(slot);
        match self {
            Self::KeyMajor(table) => {
                let address = || ByKeyAndNamespace(slot.key.clone(), slot.namespace.clone());
                table.at_with_room(slot.hash).update(pair_hash(slot.hash, slot.namespace), is_pair(slot), address, update)
            }
            Self::NamespaceMajor(by) => {
                let index = by.find_or_create(slot.namespace);
                by.tables[index].settle();
                let result = by.tables[index].update(table_hash(slot.hash), is_key(slot), || ByKey(slot.key.clone()), update);
                by.release_if_empty(slot.namespace, index);
                result
            }
        }
    }

    /// Changes the cell of each slot in place, having created it where there is none.
    #[inline]
    pub(crate) fn add_many(
        &mut self,
        slots: &[Slot<'_, K, N>],
        mut create: impl FnMut(usize) -> Result<C>,
        mut add: impl FnMut(usize, &mut C) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::KeyMajor(table) => {
                for (row, slot) in slots.iter().enumerate() {
                    if row % TOUCHED_AT_ONCE == 0 && slots.len() > 1 {
                        let run = &slots[row..slots.len().min(row + TOUCHED_AT_ONCE)];
                        table.touch(run.iter().map(|slot| (slot.hash, pair_hash(slot.hash, slot.namespace))));
                    }
                    check(*slot);
                    let hash = pair_hash(slot.hash, slot.namespace);
                    let table = table.at_with_room(slot.hash);
                    if let Some(result) = table.change(hash, is_pair(*slot), |cell| add(row, cell)) {
                        result?;
                        continue;
                    }
                    let mut cell = create(row)?;
                    let result = add(row, &mut cell);
                    table.insert_new(hash, ByKeyAndNamespace(slot.key.clone(), slot.namespace.clone()), cell);
                    result?;
                }
                Ok(())
            }
            Self::NamespaceMajor(by) => by.add_many(slots, create, add),
        }
    }

    pub(crate) fn scan_namespace(&mut self, namespace: &N, mut visit: impl FnMut(&K, &C) -> Result<()>) -> Result<()> {
        match self {
            Self::KeyMajor(table) => table.scan(|at, cell| if at.1 == *namespace { visit(&at.0, cell) } else { Ok(()) }),
            Self::NamespaceMajor(by) => match by.find(namespace) {
                Some(index) => by.tables[index].scan(|at, cell| visit(&at.0, cell)),
                None => Ok(()),
            },
        }
    }

    pub(crate) fn drain_namespace(&mut self, namespace: &N, mut visit: impl FnMut(K, C) -> Result<()>) -> Result<()> {
        match self {
            Self::KeyMajor(_) => {
                let mut keys = Vec::new();
                self.scan_namespace(namespace, |key, _| {
                    keys.push(key.clone());
                    Ok(())
                })?;
                let mut result = Ok(());
                for key in keys {
                    if let Some(cell) = self.remove(Slot::new(&key, namespace)) {
                        result = result.and_then(|()| visit(key, cell));
                    }
                }
                result
            }
            Self::NamespaceMajor(by) => {
                let Some(index) = by.find(namespace) else { return Ok(()) };
                let result = by.tables[index].drain(|at, cell| visit(at.0, cell));
                by.release(namespace, index);
                result
            }
        }
    }

    /// Where the cells of a namespace lie, which is created if there is none; the caller puts a cell into it. Nothing where all namespaces
    /// lie together.
    pub(crate) fn open_namespace(&mut self, namespace: &N) -> Option<usize> {
        match self {
            Self::KeyMajor(_) => None,
            Self::NamespaceMajor(by) => {
                let index = by.find_or_create(namespace);
                by.tables[index].settle();
                Some(index)
            }
        }
    }

    /// The cells that [`open_namespace`](Self::open_namespace) found.
    #[inline]
    pub(crate) fn opened(&mut self, index: usize) -> Option<&mut CowTable<ByKey<K>, C>> {
        match self {
            Self::KeyMajor(_) => None,
            Self::NamespaceMajor(by) => by.tables.get_mut(index),
        }
    }

    /// As [`drain_namespace`](Self::drain_namespace), until `visit` breaks off; `cursor` is 0 at the beginning. Says whether the namespace
    /// is gone.
    pub(crate) fn drain_namespace_from(
        &mut self,
        namespace: &N,
        cursor: &mut usize,
        mut visit: impl FnMut(K, C) -> Result<ControlFlow<()>>,
    ) -> Result<bool> {
        let Self::NamespaceMajor(by) = self else {
            return self.drain_namespace(namespace, |key, cell| visit(key, cell).map(drop)).map(|()| true);
        };
        let Some(index) = by.find(namespace) else { return Ok(true) };
        let result = by.tables[index].drain_from(cursor, |at, cell| visit(at.0, cell));
        if by.tables[index].is_empty() {
            by.release(namespace, index);
            return result.map(|()| true);
        }
        result.map(|()| false)
    }

    /// The lowest namespace above `after`.
    pub(crate) fn next_namespace(&self, after: Option<&N>) -> Result<Option<N>> {
        match self {
            Self::KeyMajor(table) => {
                let mut lowest: Option<N> = None;
                table.scan(|at, _| {
                    if after.is_none_or(|after| at.1 > *after) && lowest.as_ref().is_none_or(|lowest| at.1 < *lowest) {
                        lowest = Some(at.1.clone());
                    }
                    Ok(())
                })?;
                Ok(lowest)
            }
            Self::NamespaceMajor(by) => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                Ok(by.index.range((from, Bound::Unbounded)).next().map(|(namespace, _)| namespace.clone()))
            }
        }
    }

    pub(crate) fn scan(&self, mut visit: impl FnMut(&K, &N, &C) -> Result<()>) -> Result<()> {
        match self {
            Self::KeyMajor(table) => table.scan(|at, cell| visit(&at.0, &at.1, cell)),
            Self::NamespaceMajor(by) => {
                by.index.iter().try_for_each(|(namespace, index)| by.tables[*index].scan(|at, cell| visit(&at.0, namespace, cell)))
            }
        }
    }

    /// Drops what has expired of some cells. Only user states expire, which are key-major.
    pub(crate) fn sweep(&mut self, cursor: &mut usize, cells: usize, is_expired: &dyn Fn(Timestamp) -> bool) {
        if let Self::KeyMajor(table) = self {
            table.sweep(cursor, cells, |cell| cell.expire(is_expired));
        }
    }

    pub(crate) fn clear(&mut self, key_groups: KeyGroups) {
        match self {
            Self::KeyMajor(table) => *table = Regions::new(key_groups),
            Self::NamespaceMajor(by) => *by = ByNamespace::new(),
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::KeyMajor(table) => table.heap_bytes(C::heap_bytes),
            Self::NamespaceMajor(by) => by
                .tables
                .iter()
                .map(|table| table.heap_bytes(SAMPLES, C::heap_bytes) + size_of::<CowTable<ByKey<K>, C>>() + size_of::<(N, usize)>())
                .sum(),
        }
    }

    /// Begins a new generation and returns the one that has ended, in parts; key groups of one part come before those of the next.
    pub(crate) fn freeze(&mut self) -> Vec<FrozenPart<K, N, C>> {
        match self {
            Self::KeyMajor(table) => table.freeze().map(FrozenPart::Region).collect(),
            Self::NamespaceMajor(by) => {
                let tables = by.index.iter().map(|(namespace, index)| (namespace.clone(), by.tables[*index].freeze()));
                vec![FrozenPart::Namespaces(tables.collect())]
            }
        }
    }
}

#[inline]
fn is_key<'a, K: Key, N>(slot: Slot<'a, K, N>) -> impl Fn(&ByKey<K>) -> bool + 'a {
    move |at| at.0 == *slot.key
}

#[inline]
fn is_pair<'a, K: Key, N: Namespace>(slot: Slot<'a, K, N>) -> impl Fn(&ByKeyAndNamespace<K, N>) -> bool + 'a {
    move |at| at.0 == *slot.key && at.1 == *slot.namespace
}

/// A wrong hash would hide the value: better found in a test.
#[inline]
fn check<K: Key, N>(slot: Slot<'_, K, N>) {
    debug_assert_eq!(slot.hash, slot.key.key_hash(), "the hash of a slot is not that of its key {:?}", slot.key);
}
