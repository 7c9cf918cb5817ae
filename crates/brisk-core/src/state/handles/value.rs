//! A single value per key.

use super::live::{self, timed_value_at};
use super::value_at;
use crate::state::{Expiring, StateAccess, StateId, StateTtlConfig};
use crate::types::Record;
use brisk_base::Result;
use std::sync::Arc;

/// A single value per key (Flink's `ValueState`). Made by [`StateDeclarations::value`](crate::state::StateDeclarations::value).
#[derive(Clone, Debug)]
pub struct ValueState<V> {
    /// Number of the state.
    id: StateId,
    /// What an unset value reads as.
    default: Option<V>,
    /// How long the value lives, if not for ever.
    ttl: Option<Arc<StateTtlConfig>>,
}

impl<V: Record> ValueState<V> {
    pub(in crate::state) const fn new(id: StateId, default: Option<V>, ttl: Option<Arc<StateTtlConfig>>) -> Self {
        Self { id, default, ttl }
    }

    /// A copy of the value of the current key; the declared default, or nothing, where none is set.
    ///
    /// # Errors
    /// The backend's, and where there is no current key.
    pub fn get(&self, ctx: &mut impl StateAccess) -> Result<Option<V>> {
        self.with(ctx, |value| value.cloned())
    }

    /// Looks at the value of the current key without copying it.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn with<R>(&self, ctx: &mut impl StateAccess, look: impl FnOnce(Option<&V>) -> R) -> Result<R> {
        if let Some(ttl) = &self.ttl {
            return live::look(timed_value_at(ctx, self.id)?, ttl, |value| look(value.or(self.default.as_ref())));
        }
        let (table, slot) = value_at::<_, V>(ctx, self.id)?;
        Ok(look(table.get(slot)?.or(self.default.as_ref())))
    }

    /// Sets the value of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn put(&self, ctx: &mut impl StateAccess, value: V) -> Result<()> {
        if self.ttl.is_some() {
            let (table, slot, now) = timed_value_at(ctx, self.id)?;
            return table.put(slot, Expiring { at: now, value });
        }
        let (table, slot) = value_at(ctx, self.id)?;
        table.put(slot, value)
    }

    /// Changes the value of the current key in place: what the closure leaves is the new value, nothing clears it. One access instead of a
    /// [`get`](Self::get) and a [`put`](Self::put).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn update<R>(&self, ctx: &mut impl StateAccess, change: impl FnOnce(&mut Option<V>) -> R) -> Result<R> {
        let (mut change, mut result) = (Some(change), None);
        let mut once = |value: &mut Option<V>| {
            if value.is_none() {
                value.clone_from(&self.default);
            }
            if let Some(change) = change.take() {
                result = Some(change(value));
            }
        };
        if let Some(ttl) = &self.ttl {
            let (table, slot, now) = timed_value_at(ctx, self.id)?;
            table.update(slot, &mut |value| {
                live::change(value, ttl, now, &mut once);
                Ok(())
            })?;
        } else {
            let (table, slot) = value_at(ctx, self.id)?;
            table.update(slot, &mut |value| {
                once(value);
                Ok(())
            })?;
        }
        Ok(result.expect("a table calls its update once per slot"))
    }

    /// Removes and returns the value of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn take(&self, ctx: &mut impl StateAccess) -> Result<Option<V>> {
        let value = if let Some(ttl) = &self.ttl {
            let (table, slot, now) = timed_value_at(ctx, self.id)?;
            table.remove(slot)?.filter(|value| ttl.is_visible(value.at, now)).map(|value| value.value)
        } else {
            let (table, slot) = value_at(ctx, self.id)?;
            table.remove(slot)?
        };
        Ok(value.or_else(|| self.default.clone()))
    }

    /// Removes the value of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        self.take(ctx).map(drop)
    }
}
