//! The rows of one side that a join keeps.

use crate::operators::keyed::StateRetention;
use crate::operators::row::RowKey;
use brisk_base::Result;
use brisk_core::state::{AnyTable, KeyedMapTable, KeyedTable, Slot, StateDeclarations, StateId};
use brisk_state::KeyedStateStore;
use std::ops::{Bound, ControlFlow};
use std::task::{Context, Poll};

/// How often a row is there, and how many partners it has, where that is counted.
pub(super) type Times = (i64, i64);

/// Rows by key. Which of them it is changes what they cost, and nothing else.
pub(super) enum SideRows {
    /// Of keys with any number of rows: an entry for each.
    Many(Box<dyn KeyedMapTable<RowKey, (), RowKey, Times>>),
    /// Of keys that have one row, but for moments: all in one value.
    One(Box<dyn KeyedTable<RowKey, (), Vec<(RowKey, Times)>>>),
}

impl SideRows {
    pub(super) fn declare(one: bool, retention: &StateRetention, declared: &mut StateDeclarations, name: &str) -> StateId {
        match one {
            true => retention.declare_value::<Vec<(RowKey, Times)>>(declared, &format!("{name}-row")),
            false => retention.declare_map::<RowKey, Times>(declared, name),
        }
    }

    pub(super) fn take(one: bool, retention: &StateRetention, store: &mut KeyedStateStore<RowKey>, id: StateId) -> Result<Self> {
        Ok(match one {
            true => Self::One(retention.take_value(store, id)?),
            false => Self::Many(retention.take_map(store, id)?),
        })
    }

    pub(super) fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, RowKey, ()>]) -> Poll<Result<()>> {
        match self {
            Self::Many(rows) => rows.prefetch(cx, slots),
            Self::One(rows) => rows.prefetch(cx, slots),
        }
    }

    /// Shows all rows of a key.
    pub(super) fn for_each(&mut self, slot: Slot<'_, RowKey, ()>, visit: &mut dyn FnMut(&RowKey, Times) -> Result<()>) -> Result<()> {
        match self {
            Self::Many(rows) => rows.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |row, times| {
                visit(row, *times)?;
                Ok(ControlFlow::Continue(()))
            }),
            Self::One(rows) => rows.get(slot)?.into_iter().flatten().try_for_each(|(row, times)| visit(row, *times)),
        }
    }

    /// Changes, adds or removes one row of a key.
    pub(super) fn update(
        &mut self,
        slot: Slot<'_, RowKey, ()>,
        row: &RowKey,
        update: &mut dyn FnMut(&mut Option<Times>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Many(rows) => rows.update(slot, row, update),
            Self::One(rows) => rows.update(slot, &mut |state| {
                let mut of_key = state.take().unwrap_or_default();
                let at = of_key.iter().position(|(other, _)| other == row);
                let mut times = at.map(|at| of_key.swap_remove(at).1);
                update(&mut times)?;
                of_key.extend(times.map(|times| (row.clone(), times)));
                *state = Some(of_key).filter(|of_key| !of_key.is_empty());
                Ok(())
            }),
        }
    }

    pub(super) fn table(&mut self) -> &mut dyn AnyTable {
        match self {
            Self::Many(rows) => &mut **rows,
            Self::One(rows) => &mut **rows,
        }
    }
}
