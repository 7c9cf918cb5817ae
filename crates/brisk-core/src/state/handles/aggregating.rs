//! An accumulator per key into which values are folded.

use super::live::{self, timed_value_at};
use super::value_at;
use crate::function::AggregateFunction;
use crate::state::{StateAccess, StateId, StateTtlConfig};
use brisk_base::Result;
use std::fmt;
use std::sync::Arc;

/// An accumulator per key into which values are folded (Flink's `AggregatingState`). Made by
/// [`StateDeclarations::aggregating`](crate::state::StateDeclarations::aggregating).
pub struct AggregatingState<A> {
    /// Number of the state.
    id: StateId,
    /// Folds values in and makes the result.
    aggregate: Arc<A>,
    /// How long the accumulator lives, if not for ever.
    ttl: Option<Arc<StateTtlConfig>>,
}

impl<A> Clone for AggregatingState<A> {
    fn clone(&self) -> Self {
        Self { id: self.id, aggregate: self.aggregate.clone(), ttl: self.ttl.clone() }
    }
}

impl<A> fmt::Debug for AggregatingState<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregatingState").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<A: AggregateFunction> AggregatingState<A> {
    pub(in crate::state) const fn new(id: StateId, aggregate: Arc<A>, ttl: Option<Arc<StateTtlConfig>>) -> Self {
        Self { id, aggregate, ttl }
    }

    /// The result for the current key; nothing where nothing has been folded in.
    ///
    /// # Errors
    /// The backend's, those of the function, and where there is no current key.
    pub fn get(&self, ctx: &mut impl StateAccess) -> Result<Option<A::Out>> {
        if let Some(ttl) = &self.ttl {
            let result = |accumulator: Option<&A::Acc>| accumulator.map(|accumulator| self.aggregate.get_result(accumulator)).transpose();
            return live::look(timed_value_at(ctx, self.id)?, ttl, result)?;
        }
        let (table, slot) = value_at::<_, A::Acc>(ctx, self.id)?;
        table.get(slot)?.map(|accumulator| self.aggregate.get_result(accumulator)).transpose()
    }

    /// Folds a value in.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn add(&self, ctx: &mut impl StateAccess, value: A::In) -> Result<()> {
        let mut value = Some(value);
        if let Some(ttl) = &self.ttl {
            let (table, slot, now) = timed_value_at::<_, A::Acc>(ctx, self.id)?;
            return table.update(slot, &mut |current| {
                live::change(current, ttl, now, |accumulator| {
                    let accumulator = accumulator.get_or_insert_with(|| self.aggregate.create_accumulator());
                    value.take().map_or(Ok(()), |value| self.aggregate.add(accumulator, value))
                })
            });
        }
        let (table, slot) = value_at::<_, A::Acc>(ctx, self.id)?;
        table.add_many(&[slot], &mut |_| Ok(self.aggregate.create_accumulator()), &mut |_, accumulator| {
            value.take().map_or(Ok(()), |value| self.aggregate.add(accumulator, value))
        })
    }

    /// Removes the accumulator of the current key.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn clear(&self, ctx: &mut impl StateAccess) -> Result<()> {
        if self.ttl.is_some() {
            let (table, slot, _) = timed_value_at::<_, A::Acc>(ctx, self.id)?;
            return table.remove(slot).map(drop);
        }
        let (table, slot) = value_at::<_, A::Acc>(ctx, self.id)?;
        table.remove(slot).map(drop)
    }
}
