//! Tables that hold one ordered map per key and namespace.

use super::{AnyTable, Slot};
use brisk_base::Result;
use std::ops::{Bound, ControlFlow};
use std::task::{Context, Poll};

/// A range of a map's keys.
pub type KeyRange<'a, UK> = (Bound<&'a UK>, Bound<&'a UK>);

/// A table of one map per key and namespace, its entries ordered by their key `UK`. An empty map and no map are the same.
pub trait KeyedMapTable<K, N, UK, UV>: AnyTable {
    /// As [`KeyedTable::prefetch`](super::KeyedTable::prefetch), for all entries of the slots.
    fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, K, N>]) -> Poll<Result<()>>;

    /// The value of one entry.
    ///
    /// # Errors
    /// The backend's.
    fn get(&mut self, slot: Slot<'_, K, N>, key: &UK) -> Result<Option<&UV>>;

    /// Sets the value of one entry.
    ///
    /// # Errors
    /// The backend's.
    fn put(&mut self, slot: Slot<'_, K, N>, key: UK, value: UV) -> Result<()>;

    /// Removes and returns one entry.
    ///
    /// # Errors
    /// The backend's.
    fn remove(&mut self, slot: Slot<'_, K, N>, key: &UK) -> Result<Option<UV>>;

    /// Changes, adds or removes one entry.
    ///
    /// # Errors
    /// The backend's, and those of `update`.
    fn update(&mut self, slot: Slot<'_, K, N>, key: &UK, update: &mut dyn FnMut(&mut Option<UV>) -> Result<()>) -> Result<()>;

    /// Shows the entries within a range, in order, until `visit` breaks off.
    ///
    /// # Errors
    /// The backend's, and those of `visit`.
    fn range(
        &mut self,
        slot: Slot<'_, K, N>,
        range: KeyRange<'_, UK>,
        visit: &mut dyn FnMut(&UK, &UV) -> Result<ControlFlow<()>>,
    ) -> Result<()>;

    /// Removes the entries within a range.
    ///
    /// # Errors
    /// The backend's.
    fn remove_range(&mut self, slot: Slot<'_, K, N>, range: KeyRange<'_, UK>) -> Result<()>;

    /// Removes the map.
    ///
    /// # Errors
    /// The backend's.
    fn remove_all(&mut self, slot: Slot<'_, K, N>) -> Result<()> {
        self.remove_range(slot, (Bound::Unbounded, Bound::Unbounded))
    }

    /// Whether the map has no entry.
    ///
    /// # Errors
    /// The backend's.
    fn has_none(&mut self, slot: Slot<'_, K, N>) -> Result<bool> {
        let mut none = true;
        self.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |_, _| {
            none = false;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(none)
    }

    /// Removes one namespace.
    ///
    /// # Errors
    /// The backend's.
    fn remove_namespace(&mut self, namespace: &N) -> Result<()>;

    /// The lowest namespace in which there is an entry; with `after`, the lowest above that one.
    ///
    /// # Errors
    /// The backend's.
    fn next_namespace(&mut self, after: Option<&N>) -> Result<Option<N>>;

    /// Moves the entries of one key in the namespaces `from`, in order, into the map at `into`, folding values of equal keys together.
    ///
    /// # Errors
    /// The backend's, and those of `merge`.
    fn merge_namespaces(&mut self, into: Slot<'_, K, N>, from: &[N], merge: &mut dyn FnMut(&mut UV, UV) -> Result<()>) -> Result<()>;

    /// Shows all entries; those of one map in order.
    ///
    /// # Errors
    /// The backend's, and those of `visit`, which end the scan.
    fn scan(&mut self, visit: &mut dyn FnMut(&K, &N, &UK, &UV) -> Result<()>) -> Result<()>;
}
