//! An ordered map per key.

use crate::state::{KeyedMapTable, Slot, StateAccess, StateId, StateStore};
use crate::types::{Key, Record};
use brisk_base::Result;
use std::marker::PhantomData;
use std::ops::{ControlFlow, RangeBounds};

/// A map per key, ordered by its own keys (Flink's `MapState`). Made by [`StateDeclarations::map`](crate::state::StateDeclarations::map).
#[derive(Debug)]
pub struct MapState<UK, UV> {
    /// Number of the state.
    id: StateId,
    entry: PhantomData<fn() -> (UK, UV)>,
}

impl<UK, UV> Clone for MapState<UK, UV> {
    fn clone(&self) -> Self {
        Self { id: self.id, entry: PhantomData }
    }
}

/// The table and slot that a map handle means just now.
type MapAt<'a, C, UK, UV> = (
    &'a mut dyn KeyedMapTable<<C as StateAccess>::Key, <C as StateAccess>::Namespace, UK, UV>,
    Slot<'a, <C as StateAccess>::Key, <C as StateAccess>::Namespace>,
);

impl<UK: Key, UV: Record> MapState<UK, UV> {
    pub(in crate::state) const fn new(id: StateId) -> Self {
        Self { id, entry: PhantomData }
    }

    fn at<'a, C: StateAccess>(&self, ctx: &'a mut C) -> Result<MapAt<'a, C, UK, UV>> {
        let current = ctx.current_state()?;
        Ok((current.store.map(self.id)?, current.slot))
    }

    /// A copy of the value of one entry.
    ///
    /// # Errors
    /// The backend's, and where there is no current key.
    pub fn get(&self, ctx: &mut impl StateAccess, key: &UK) -> Result<Option<UV>> {
        self.with(ctx, key, |value| value.cloned())
    }

    /// Looks at the value of one entry without copying it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, ctx: &mut impl StateAccess, key: &UK, look: impl FnOnce(Option<&UV>) -> R) -> Result<R> {
        let (table, slot) = self.at(ctx)?;
        Ok(look(table.get(slot, key)?))
    }

    /// Whether there is an entry of this key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn contains(&self, ctx: &mut impl StateAccess, key: &UK) -> Result<bool> {
        self.with(ctx, key, |value| value.is_some())
    }

    /// Sets the value of one entry.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put(&self, ctx: &mut impl StateAccess, key: UK, value: UV) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.put(slot, key, value)
    }

    /// Sets the values of many entries.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put_all(&self, ctx: &mut impl StateAccess, entries: impl IntoIterator<Item = (UK, UV)>) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        entries.into_iter().try_for_each(|(key, value)| table.put(slot, key, value))
    }

    /// Changes, adds or removes one entry in place.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update<R>(&self, ctx: &mut impl StateAccess, key: &UK, change: impl FnOnce(&mut Option<UV>) -> R) -> Result<R> {
        let (table, slot) = self.at(ctx)?;
        let (mut change, mut result) = (Some(change), None);
        table.update(slot, key, &mut |value| {
            result = change.take().map(|change| change(value));
            Ok(())
        })?;
        Ok(result.expect("a table calls its update once"))
    }

    /// Removes and returns one entry.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove(&self, ctx: &mut impl StateAccess, key: &UK) -> Result<Option<UV>> {
        let (table, slot) = self.at(ctx)?;
        table.remove(slot, key)
    }

    /// Shows the entries of the current key in order, until `visit` breaks off or fails.
    ///
    /// # Errors
    /// As [`get`](Self::get), and those of `visit`.
    pub fn for_each(&self, ctx: &mut impl StateAccess, visit: impl FnMut(&UK, &UV) -> Result<ControlFlow<()>>) -> Result<()> {
        self.for_each_in(ctx, .., visit)
    }

    /// Shows the entries within a range, in order, until `visit` breaks off or fails.
    ///
    /// # Errors
    /// As [`get`](Self::get), and those of `visit`.
    pub fn for_each_in(
        &self,
        ctx: &mut impl StateAccess,
        range: impl RangeBounds<UK>,
        mut visit: impl FnMut(&UK, &UV) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.range(slot, (range.start_bound(), range.end_bound()), &mut visit)
    }

    /// A copy of all entries of the current key, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn entries(&self, ctx: &mut impl StateAccess) -> Result<Vec<(UK, UV)>> {
        self.range(ctx, ..)
    }

    /// A copy of the entries within a range, in order.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn range(&self, ctx: &mut impl StateAccess, range: impl RangeBounds<UK>) -> Result<Vec<(UK, UV)>> {
        let mut entries = Vec::new();
        self.for_each_in(ctx, range, |key, value| {
            entries.push((key.clone(), value.clone()));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(entries)
    }

    /// Removes the entries within a range.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove_range(&self, ctx: &mut impl StateAccess, range: impl RangeBounds<UK>) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.remove_range(slot, (range.start_bound(), range.end_bound()))
    }

    /// Whether the current key has no entry.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn is_empty(&self, ctx: &mut impl StateAccess) -> Result<bool> {
        let (table, slot) = self.at(ctx)?;
        table.has_none(slot)
    }

    /// Removes all entries of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.remove_all(slot)
    }
}
