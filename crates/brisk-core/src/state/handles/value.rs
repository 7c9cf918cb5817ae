//! A single value per key.

use super::value_at;
use crate::state::{StateAccess, StateId};
use crate::types::Record;
use brisk_base::Result;

/// A single value per key (Flink's `ValueState`). Made by [`StateDeclarations::value`](crate::state::StateDeclarations::value).
#[derive(Clone, Debug)]
pub struct ValueState<V> {
    /// Number of the state.
    id: StateId,
    /// What an unset value reads as.
    default: Option<V>,
}

impl<V: Record> ValueState<V> {
    pub(in crate::state) const fn new(id: StateId, default: Option<V>) -> Self {
        Self { id, default }
    }

    /// A copy of the value of the current key; the declared default, or nothing, where none is set.
    ///
    /// # Errors
    /// The backend's, and where there is no current key.
    pub fn get(&self, ctx: &mut impl StateAccess) -> Result<Option<V>> {
        let (table, slot) = value_at::<_, V>(ctx, self.id)?;
        Ok(table.get(slot)?.or(self.default.as_ref()).cloned())
    }

    /// Looks at the value of the current key without copying it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, ctx: &mut impl StateAccess, look: impl FnOnce(Option<&V>) -> R) -> Result<R> {
        let (table, slot) = value_at::<_, V>(ctx, self.id)?;
        Ok(look(table.get(slot)?.or(self.default.as_ref())))
    }

    /// Sets the value of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put(&self, ctx: &mut impl StateAccess, value: V) -> Result<()> {
        let (table, slot) = value_at(ctx, self.id)?;
        table.put(slot, value)
    }

    /// Changes the value of the current key in place: what the closure leaves is the new value, nothing clears it. One access instead of a
    /// [`get`](Self::get) and a [`put`](Self::put).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update<R>(&self, ctx: &mut impl StateAccess, change: impl FnOnce(&mut Option<V>) -> R) -> Result<R> {
        let (table, slot) = value_at(ctx, self.id)?;
        let (mut change, mut result) = (Some(change), None);
        table.update(slot, &mut |value| {
            if value.is_none() {
                value.clone_from(&self.default);
            }
            if let Some(change) = change.take() {
                result = Some(change(value));
            }
            Ok(())
        })?;
        Ok(result.expect("a table calls its update once per slot"))
    }

    /// Removes and returns the value of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take(&self, ctx: &mut impl StateAccess) -> Result<Option<V>> {
        let (table, slot) = value_at(ctx, self.id)?;
        Ok(table.remove(slot)?.or_else(|| self.default.clone()))
    }

    /// Removes the value of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        let (table, slot) = value_at::<_, V>(ctx, self.id)?;
        table.remove(slot).map(drop)
    }
}
