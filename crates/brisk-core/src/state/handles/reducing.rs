//! A value per key into which others are folded.

use super::live::{self, timed_value_at};
use super::value_at;
use crate::function::ReduceFunction;
use crate::state::{StateAccess, StateId, StateTtlConfig};
use crate::types::Record;
use brisk_base::Result;
use std::fmt;
use std::sync::Arc;

/// A value per key into which others are folded (Flink's `ReducingState`). Made by
/// [`StateDeclarations::reducing`](crate::state::StateDeclarations::reducing).
pub struct ReducingState<V> {
    /// Number of the state.
    id: StateId,
    /// Folds two values into one.
    reduce: Arc<dyn ReduceFunction<V>>,
    /// How long the value lives, if not for ever.
    ttl: Option<Arc<StateTtlConfig>>,
}

impl<V> Clone for ReducingState<V> {
    fn clone(&self) -> Self {
        Self { id: self.id, reduce: self.reduce.clone(), ttl: self.ttl.clone() }
    }
}

impl<V> fmt::Debug for ReducingState<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReducingState").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<V: Record> ReducingState<V> {
    pub(in crate::state) const fn new(id: StateId, reduce: Arc<dyn ReduceFunction<V>>, ttl: Option<Arc<StateTtlConfig>>) -> Self {
        Self { id, reduce, ttl }
    }

    /// A copy of what has been folded together for the current key.
    ///
    /// # Errors
    /// The backend's, and where there is no current key.
    pub fn get(&self, ctx: &mut impl StateAccess) -> Result<Option<V>> {
        if let Some(ttl) = &self.ttl {
            return live::look(timed_value_at::<_, V>(ctx, self.id)?, ttl, |value| value.cloned());
        }
        let (table, slot) = value_at::<_, V>(ctx, self.id)?;
        Ok(table.get(slot)?.cloned())
    }

    /// Folds a value in.
    ///
    /// # Errors
    /// As [`get`](Self::get), and those of the function.
    pub fn add(&self, ctx: &mut impl StateAccess, value: V) -> Result<()> {
        let mut value = Some(value);
        let mut fold = |current: &mut Option<V>| {
            *current = match (current.take(), value.take()) {
                (Some(first), Some(second)) => Some(self.reduce.reduce(first, second)?),
                (first, second) => first.or(second),
            };
            Ok(())
        };
        if let Some(ttl) = &self.ttl {
            let (table, slot, now) = timed_value_at(ctx, self.id)?;
            return table.update(slot, &mut |current| live::change(current, ttl, now, &mut fold));
        }
        let (table, slot) = value_at(ctx, self.id)?;
        table.update(slot, &mut fold)
    }

    /// Removes the value of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        if self.ttl.is_some() {
            let (table, slot, _) = timed_value_at::<_, V>(ctx, self.id)?;
            return table.remove(slot).map(drop);
        }
        let (table, slot) = value_at::<_, V>(ctx, self.id)?;
        table.remove(slot).map(drop)
    }
}
