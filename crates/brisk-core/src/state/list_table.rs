//! Tables that hold one list per key and namespace.

use super::{AnyTable, Slot};
use brisk_base::Result;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A list in a table: full segments, then the rest.
#[derive(Debug)]
pub struct ListView<'a, V> {
    /// Segments that change no more.
    segments: &'a [Arc<Vec<V>>],
    /// The elements after them.
    tail: &'a [V],
}

impl<V> Clone for ListView<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for ListView<'_, V> {}

impl<V> Default for ListView<'_, V> {
    fn default() -> Self {
        Self { segments: &[], tail: &[] }
    }
}

impl<'a, V> ListView<'a, V> {
    /// For tables: a list of these pieces.
    pub const fn new(segments: &'a [Arc<Vec<V>>], tail: &'a [V]) -> Self {
        Self { segments, tail }
    }

    /// The elements in the order in which they were added.
    pub fn iter(self) -> impl Iterator<Item = &'a V> {
        self.slices().flatten()
    }

    /// The elements as slices that follow each other.
    pub fn slices(self) -> impl Iterator<Item = &'a [V]> {
        self.segments.iter().map(|segment| segment.as_slice()).chain(std::iter::once(self.tail))
    }

    /// Number of elements.
    pub fn len(self) -> usize {
        self.slices().map(<[V]>::len).sum()
    }

    /// Whether there is no element.
    pub fn is_empty(self) -> bool {
        self.slices().all(<[V]>::is_empty)
    }
}

impl<V: Clone> ListView<'_, V> {
    /// A copy of the elements.
    pub fn to_vec(self) -> Vec<V> {
        let mut all = Vec::with_capacity(self.len());
        self.slices().for_each(|slice| all.extend_from_slice(slice));
        all
    }
}

/// Takes key, namespace and list.
pub type ListVisitor<'a, K, N, V> = dyn FnMut(&K, &N, ListView<'_, V>) -> Result<()> + 'a;

/// A table of one list per key and namespace. An empty list and no list are the same.
pub trait KeyedListTable<K, N, V>: AnyTable {
    /// As [`KeyedTable::prefetch`](super::KeyedTable::prefetch).
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>>;

    /// The list.
    ///
    /// # Errors
    /// The backend's.
    fn get(&mut self, slot: Slot<'_, K, N>) -> Result<ListView<'_, V>>;

    /// Appends one element, without reading the list.
    ///
    /// # Errors
    /// The backend's.
    fn append(&mut self, slot: Slot<'_, K, N>, value: V) -> Result<()>;

    /// Appends to each slot the element that `value` gives for its index.
    ///
    /// # Errors
    /// The backend's.
    fn append_many(&mut self, slots: &[Slot<'_, K, N>], value: &mut dyn FnMut(usize) -> V) -> Result<()>;

    /// Appends these elements.
    ///
    /// # Errors
    /// The backend's.
    fn append_all(&mut self, slot: Slot<'_, K, N>, values: Vec<V>) -> Result<()>;

    /// Puts these elements in the place of the list.
    ///
    /// # Errors
    /// The backend's.
    fn replace(&mut self, slot: Slot<'_, K, N>, values: Vec<V>) -> Result<()>;

    /// Removes and returns the list.
    ///
    /// # Errors
    /// The backend's.
    fn take(&mut self, slot: Slot<'_, K, N>) -> Result<Vec<V>>;

    /// Removes the list.
    ///
    /// # Errors
    /// The backend's.
    fn remove(&mut self, slot: Slot<'_, K, N>) -> Result<()>;

    /// Shows all lists of one namespace, in an order that is the same for the same history.
    ///
    /// # Errors
    /// The backend's, and those of `visit`, which end the scan.
    fn scan_namespace(&mut self, namespace: &N, visit: &mut dyn FnMut(&K, ListView<'_, V>) -> Result<()>) -> Result<()>;

    /// Removes one namespace.
    ///
    /// # Errors
    /// The backend's.
    fn remove_namespace(&mut self, namespace: &N) -> Result<()>;

    /// The lowest namespace in which there is a list; with `after`, the lowest above that one.
    ///
    /// # Errors
    /// The backend's.
    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>>;

    /// Moves the elements of one key in the namespaces `from`, in order, to the end of the list at `into`.
    ///
    /// # Errors
    /// The backend's.
    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N]) -> Result<()>;

    /// Shows all lists.
    ///
    /// # Errors
    /// The backend's, and those of `visit`, which end the scan.
    fn scan(&mut self, visit: &mut ListVisitor<'_, K, N, V>) -> Result<()>;
}
