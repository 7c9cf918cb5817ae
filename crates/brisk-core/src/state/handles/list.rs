//! A list per key.

use crate::state::{Expiring, KeyedListTable, ListView, Slot, StateAccess, StateId, StateStore, StateTtlConfig};
use crate::types::Record;
use brisk_base::{Result, Timestamp};
use std::marker::PhantomData;
use std::sync::Arc;

/// A list per key (Flink's `ListState`). Made by [`StateDeclarations::list`](crate::state::StateDeclarations::list).
#[derive(Debug)]
pub struct ListState<V> {
    /// Number of the state.
    id: StateId,
    /// How long elements live, if not for ever.
    ttl: Option<Arc<StateTtlConfig>>,
    element: PhantomData<fn() -> V>,
}

impl<V> Clone for ListState<V> {
    fn clone(&self) -> Self {
        Self { id: self.id, ttl: self.ttl.clone(), element: PhantomData }
    }
}

/// The table and slot that a list handle means just now.
type ListAt<'a, C, V> = (
    &'a mut dyn KeyedListTable<<C as StateAccess>::Key, <C as StateAccess>::Namespace, V>,
    Slot<'a, <C as StateAccess>::Key, <C as StateAccess>::Namespace>,
);

impl<V: Record> ListState<V> {
    pub(in crate::state) const fn new(id: StateId, ttl: Option<Arc<StateTtlConfig>>) -> Self {
        Self { id, ttl, element: PhantomData }
    }

    fn at<'a, C: StateAccess>(&self, ctx: &'a mut C) -> Result<ListAt<'a, C, V>> {
        let current = ctx.current_state()?;
        Ok((current.store.list(self.id)?, current.slot))
    }

    /// The table of a list whose elements expire, and the time.
    fn timed_at<'a, C: StateAccess>(&self, ctx: &'a mut C) -> Result<(ListAt<'a, C, Expiring<V>>, Timestamp)> {
        let current = ctx.current_state()?;
        let now = current.store.processing_time();
        Ok(((current.store.list(self.id)?, current.slot), now))
    }

    /// The elements that can be seen. Those that have expired are removed.
    fn live(&self, ctx: &mut impl StateAccess, ttl: &StateTtlConfig) -> Result<Vec<V>> {
        let ((table, slot), now) = self.timed_at(ctx)?;
        let all = table.get(slot)?.to_vec();
        let expired = all.iter().any(|element| ttl.is_expired(element.at, now));
        if expired || (ttl.on_read() && !all.is_empty()) {
            let refreshed = |element: &Expiring<V>| if ttl.on_read() { Expiring { at: now, ..element.clone() } } else { element.clone() };
            let kept = all.iter().filter(|element| !ttl.is_expired(element.at, now)).map(refreshed).collect();
            table.replace(slot, kept)?;
        }
        Ok(all.into_iter().filter(|element| ttl.is_visible(element.at, now)).map(|element| element.value).collect())
    }

    /// A copy of the list of the current key; empty where there is none.
    ///
    /// # Errors
    /// The backend's, and where there is no current key.
    pub fn get(&self, ctx: &mut impl StateAccess) -> Result<Vec<V>> {
        self.with(ctx, |list| list.to_vec())
    }

    /// Looks at the list of the current key without copying it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, ctx: &mut impl StateAccess, look: impl FnOnce(ListView<'_, V>) -> R) -> Result<R> {
        if let Some(ttl) = &self.ttl {
            return Ok(look(ListView::new(&[], &self.live(ctx, ttl)?)));
        }
        let (table, slot) = self.at(ctx)?;
        Ok(look(table.get(slot)?))
    }

    /// Appends one element.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add(&self, ctx: &mut impl StateAccess, value: V) -> Result<()> {
        if self.ttl.is_some() {
            let ((table, slot), at) = self.timed_at(ctx)?;
            return table.append(slot, Expiring { at, value });
        }
        let (table, slot) = self.at(ctx)?;
        table.append(slot, value)
    }

    /// Appends these elements.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add_all(&self, ctx: &mut impl StateAccess, values: impl IntoIterator<Item = V>) -> Result<()> {
        if self.ttl.is_some() {
            let ((table, slot), at) = self.timed_at(ctx)?;
            return table.append_all(slot, values.into_iter().map(|value| Expiring { at, value }).collect());
        }
        let (table, slot) = self.at(ctx)?;
        table.append_all(slot, values.into_iter().collect())
    }

    /// Puts these elements in the place of the list.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update(&self, ctx: &mut impl StateAccess, values: Vec<V>) -> Result<()> {
        if self.ttl.is_some() {
            let ((table, slot), at) = self.timed_at(ctx)?;
            return table.replace(slot, values.into_iter().map(|value| Expiring { at, value }).collect());
        }
        let (table, slot) = self.at(ctx)?;
        table.replace(slot, values)
    }

    /// Removes and returns the list of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take(&self, ctx: &mut impl StateAccess) -> Result<Vec<V>> {
        if let Some(ttl) = &self.ttl {
            let ((table, slot), now) = self.timed_at(ctx)?;
            let live = table.take(slot)?.into_iter().filter(|element| ttl.is_visible(element.at, now));
            return Ok(live.map(|element| element.value).collect());
        }
        let (table, slot) = self.at(ctx)?;
        table.take(slot)
    }

    /// Removes the list of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        if self.ttl.is_some() {
            let ((table, slot), _) = self.timed_at(ctx)?;
            return table.remove(slot);
        }
        let (table, slot) = self.at(ctx)?;
        table.remove(slot)
    }
}
