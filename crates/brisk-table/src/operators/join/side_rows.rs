//! The rows of one side that a join keeps.

use crate::operators::keyed::StateRetention;
use crate::operators::row::RowKey;
use brisk_base::{Error, Result};
use brisk_core::state::{AnyTable, KeyedListTable, KeyedMapTable, KeyedTable, Layout, Slot, StateDeclarations, StateId};
use brisk_state::KeyedStateStore;
use std::ops::{Bound, ControlFlow};
use std::task::{Context, Poll};

/// How often a row is there, and how many partners it has, where that is counted.
pub(super) type Times = (i64, i64);

/// How the rows of a side are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Keeping {
    /// An entry for each row.
    Many,
    /// All rows of a key in one value.
    One,
    /// Rows behind each other.
    Appended,
}

/// Rows by key. Which of them it is changes what they cost, and nothing else.
pub(super) enum SideRows {
    /// Of keys with any number of rows: an entry for each.
    Many(Box<dyn KeyedMapTable<RowKey, (), RowKey, Times>>),
    /// Of keys that have one row, but for moments: all in one value.
    One(Box<dyn KeyedTable<RowKey, (), Vec<(RowKey, Times)>>>),
    /// Of rows that are never changed or taken back: nothing is searched for.
    Appended(Box<dyn KeyedListTable<RowKey, (), Vec<u8>>>),
}

impl SideRows {
    pub(super) fn declare(keeping: Keeping, retention: &StateRetention, declared: &mut StateDeclarations, name: &str) -> StateId {
        match keeping {
            Keeping::Many => retention.declare_map::<RowKey, Times>(declared, name),
            Keeping::One => retention.declare_value::<Vec<(RowKey, Times)>>(declared, &format!("{name}-row")),
            Keeping::Appended => declared.engine_list::<Vec<u8>>(&format!("{name}-rows"), Layout::KeyMajor),
        }
    }

    pub(super) fn take(keeping: Keeping, retention: &StateRetention, store: &mut KeyedStateStore<RowKey>, id: StateId) -> Result<Self> {
        Ok(match keeping {
            Keeping::Many => Self::Many(retention.take_map(store, id)?),
            Keeping::One => Self::One(retention.take_value(store, id)?),
            Keeping::Appended => Self::Appended(store.take_list(id)?),
        })
    }

    pub(super) fn prefetch(&mut self, cx: &mut Context<'_>, slots: &[Slot<'_, RowKey, ()>]) -> Poll<Result<()>> {
        match self {
            Self::Many(rows) => rows.prefetch(cx, slots),
            Self::One(rows) => rows.prefetch(cx, slots),
            Self::Appended(rows) => rows.prefetch(cx, slots),
        }
    }

    /// Shows all rows of a key.
    pub(super) fn for_each(&mut self, slot: Slot<'_, RowKey, ()>, visit: &mut dyn FnMut(&[u8], Times) -> Result<()>) -> Result<()> {
        match self {
            Self::Many(rows) => rows.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |row, times| {
                visit(row.as_bytes(), *times)?;
                Ok(ControlFlow::Continue(()))
            }),
            Self::One(rows) => rows.get(slot)?.into_iter().flatten().try_for_each(|(row, times)| visit(row.as_bytes(), *times)),
            Self::Appended(rows) => rows.get(slot)?.iter().try_for_each(|row| visit(row, (1, 0))),
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
            Self::Appended(rows) => {
                let mut times = None;
                update(&mut times)?;
                match times {
                    Some((1, 0)) => rows.append(slot, row.as_bytes().to_vec()),
                    _ => Err(Error::bug("a row is changed on a side of a join whose rows are only added")),
                }
            }
        }
    }

    pub(super) fn table(&mut self) -> &mut dyn AnyTable {
        match self {
            Self::Many(rows) => &mut **rows,
            Self::One(rows) => &mut **rows,
            Self::Appended(rows) => &mut **rows,
        }
    }
}
