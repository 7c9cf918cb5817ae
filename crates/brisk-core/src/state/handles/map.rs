//! An ordered map per key.

use super::live;
use crate::state::{Expiring, KeyedMapTable, Slot, StateAccess, StateId, StateStore, StateTtlConfig};
use crate::types::{Key, Record};
use brisk_base::{Result, Timestamp};
use std::marker::PhantomData;
use std::ops::{ControlFlow, RangeBounds};
use std::sync::Arc;

/// A map per key, ordered by its own keys (Flink's `MapState`). Made by [`StateDeclarations::map`](crate::state::StateDeclarations::map).
#[derive(Debug)]
pub struct MapState<UK, UV> {
    /// Number of the state.
    id: StateId,
    /// How long entries live, if not for ever.
    ttl: Option<Arc<StateTtlConfig>>,
    entry: PhantomData<fn() -> (UK, UV)>,
}

impl<UK, UV> Clone for MapState<UK, UV> {
    fn clone(&self) -> Self {
        Self { id: self.id, ttl: self.ttl.clone(), entry: PhantomData }
    }
}

/// The table and slot that a map handle means just now.
type MapAt<'a, C, UK, UV> = (
    &'a mut dyn KeyedMapTable<<C as StateAccess>::Key, <C as StateAccess>::Namespace, UK, UV>,
    Slot<'a, <C as StateAccess>::Key, <C as StateAccess>::Namespace>,
);

/// The table and slot of a map whose entries expire, and the time.
type TimedMapAt<'a, C, UK, UV> = (MapAt<'a, C, UK, Expiring<UV>>, Timestamp);

impl<UK: Key, UV: Record> MapState<UK, UV> {
    pub(in crate::state) const fn new(id: StateId, ttl: Option<Arc<StateTtlConfig>>) -> Self {
        Self { id, ttl, entry: PhantomData }
    }

    fn at<'a, C: StateAccess>(&self, ctx: &'a mut C) -> Result<MapAt<'a, C, UK, UV>> {
        let current = ctx.current_state()?;
        Ok((current.store.map(self.id)?, current.slot))
    }

    /// The table of a map whose entries expire, and the time.
    fn timed_at<'a, C: StateAccess>(&self, ctx: &'a mut C) -> Result<TimedMapAt<'a, C, UK, UV>> {
        let current = ctx.current_state()?;
        let now = current.store.processing_time();
        Ok(((current.store.map(self.id)?, current.slot), now))
    }

    /// Shows the entries of a range that can be seen. Those that have expired are removed.
    fn for_each_live(
        &self,
        ctx: &mut impl StateAccess,
        ttl: &StateTtlConfig,
        range: impl RangeBounds<UK>,
        mut visit: impl FnMut(&UK, &UV) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let ((table, slot), now) = self.timed_at(ctx)?;
        let (mut expired, mut read) = (Vec::new(), Vec::new());
        let shown = table.range(slot, (range.start_bound(), range.end_bound()), &mut |key, entry| {
            if ttl.is_expired(entry.at, now) {
                expired.push(key.clone());
            } else if ttl.on_read() {
                read.push(key.clone());
            }
            if ttl.is_visible(entry.at, now) { visit(key, &entry.value) } else { Ok(ControlFlow::Continue(())) }
        });
        for key in &expired {
            table.remove(slot, key)?;
        }
        for key in &read {
            table.update(slot, key, &mut |entry| {
                if let Some(entry) = entry {
                    entry.at = now;
                }
                Ok(())
            })?;
        }
        shown
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
        if let Some(ttl) = &self.ttl {
            let ((table, slot), now) = self.timed_at(ctx)?;
            let expired = table.get(slot, key)?.map(|entry| ttl.is_expired(entry.at, now));
            if expired == Some(true) {
                let removed = table.remove(slot, key)?.filter(|entry| ttl.is_visible(entry.at, now));
                return Ok(look(removed.as_ref().map(|entry| &entry.value)));
            }
            if expired.is_some() && ttl.on_read() {
                table.update(slot, key, &mut |entry| {
                    live::change(entry, ttl, now, |_| ());
                    Ok(())
                })?;
            }
            return Ok(look(table.get(slot, key)?.map(|entry| &entry.value)));
        }
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
        self.put_all(ctx, [(key, value)])
    }

    /// Sets the values of many entries.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put_all(&self, ctx: &mut impl StateAccess, entries: impl IntoIterator<Item = (UK, UV)>) -> Result<()> {
        if self.ttl.is_some() {
            let ((table, slot), at) = self.timed_at(ctx)?;
            return entries.into_iter().try_for_each(|(key, value)| table.put(slot, key, Expiring { at, value }));
        }
        let (table, slot) = self.at(ctx)?;
        entries.into_iter().try_for_each(|(key, value)| table.put(slot, key, value))
    }

    /// Changes, adds or removes one entry in place.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update<R>(&self, ctx: &mut impl StateAccess, key: &UK, change: impl FnOnce(&mut Option<UV>) -> R) -> Result<R> {
        let (mut change, mut result) = (Some(change), None);
        if let Some(ttl) = &self.ttl {
            let ((table, slot), now) = self.timed_at(ctx)?;
            table.update(slot, key, &mut |entry| {
                result = change.take().map(|change| live::change(entry, ttl, now, change));
                Ok(())
            })?;
        } else {
            let (table, slot) = self.at(ctx)?;
            table.update(slot, key, &mut |value| {
                result = change.take().map(|change| change(value));
                Ok(())
            })?;
        }
        Ok(result.expect("a table calls its update once"))
    }

    /// Removes and returns one entry.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn remove(&self, ctx: &mut impl StateAccess, key: &UK) -> Result<Option<UV>> {
        if let Some(ttl) = &self.ttl {
            let ((table, slot), now) = self.timed_at(ctx)?;
            let removed = table.remove(slot, key)?.filter(|entry| ttl.is_visible(entry.at, now));
            return Ok(removed.map(|entry| entry.value));
        }
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
        if let Some(ttl) = &self.ttl {
            return self.for_each_live(ctx, ttl, range, visit);
        }
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
        if self.ttl.is_some() {
            let ((table, slot), _) = self.timed_at(ctx)?;
            return table.remove_range(slot, (range.start_bound(), range.end_bound()));
        }
        let (table, slot) = self.at(ctx)?;
        table.remove_range(slot, (range.start_bound(), range.end_bound()))
    }

    /// Whether the current key has no entry.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn is_empty(&self, ctx: &mut impl StateAccess) -> Result<bool> {
        if let Some(ttl) = &self.ttl {
            let mut none = true;
            self.for_each_live(ctx, ttl, .., |_, _| {
                none = false;
                Ok(ControlFlow::Break(()))
            })?;
            return Ok(none);
        }
        let (table, slot) = self.at(ctx)?;
        table.has_none(slot)
    }

    /// Removes all entries of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        if self.ttl.is_some() {
            let ((table, slot), _) = self.timed_at(ctx)?;
            return table.remove_all(slot);
        }
        let (table, slot) = self.at(ctx)?;
        table.remove_all(slot)
    }
}
