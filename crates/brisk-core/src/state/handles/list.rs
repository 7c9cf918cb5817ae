//! A list per key.

use crate::state::{KeyedListTable, ListView, Slot, StateAccess, StateId, StateStore};
use crate::types::Record;
use brisk_base::Result;
use std::marker::PhantomData;

/// A list per key (Flink's `ListState`). Made by [`StateDeclarations::list`](crate::state::StateDeclarations::list).
#[derive(Debug)]
pub struct ListState<V> {
    /// Number of the state.
    id: StateId,
    element: PhantomData<fn() -> V>,
}

impl<V> Clone for ListState<V> {
    fn clone(&self) -> Self {
        Self { id: self.id, element: PhantomData }
    }
}

/// The table and slot that a list handle means just now.
type ListAt<'a, C, V> = (
    &'a mut dyn KeyedListTable<<C as StateAccess>::Key, <C as StateAccess>::Namespace, V>,
    Slot<'a, <C as StateAccess>::Key, <C as StateAccess>::Namespace>,
);

impl<V: Record> ListState<V> {
    pub(in crate::state) const fn new(id: StateId) -> Self {
        Self { id, element: PhantomData }
    }

    fn at<'a, C: StateAccess>(&self, ctx: &'a mut C) -> Result<ListAt<'a, C, V>> {
        let current = ctx.current_state()?;
        Ok((current.store.list(self.id)?, current.slot))
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
        let (table, slot) = self.at(ctx)?;
        Ok(look(table.get(slot)?))
    }

    /// Appends one element.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add(&self, ctx: &mut impl StateAccess, value: V) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.append(slot, value)
    }

    /// Appends these elements.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add_all(&self, ctx: &mut impl StateAccess, values: impl IntoIterator<Item = V>) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.append_all(slot, values.into_iter().collect())
    }

    /// Puts these elements in the place of the list.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update(&self, ctx: &mut impl StateAccess, values: Vec<V>) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.replace(slot, values)
    }

    /// Removes and returns the list of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take(&self, ctx: &mut impl StateAccess) -> Result<Vec<V>> {
        let (table, slot) = self.at(ctx)?;
        table.take(slot)
    }

    /// Removes the list of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        let (table, slot) = self.at(ctx)?;
        table.remove(slot)
    }
}
