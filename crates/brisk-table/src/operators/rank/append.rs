//! Top-N of rows that are never taken back: only the first N rows of each key are kept. Rows that are equal in their order keep the one in
//! which they came.

use super::Rank;
use super::changes::{Changes, First, Ranked};
use super::input::RankInput;
use crate::operators::calc::emit;
use crate::operators::keyed::{KeyedFunction, KeyedOperator, StateRetention, open_store};
use crate::operators::row::RowKey;
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::operator::{Operator, OperatorContext, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedTable, StateDeclarations};
use std::task::{Context, Poll, ready};

/// Keys that are brought into the processor's cache together.
const TOUCHED_AT_ONCE: usize = 32;

/// See the module.
pub(super) struct AppendRank {
    config: Rank,
    /// The first rows of each key.
    first: Box<dyn KeyedTable<RowKey, (), First>>,
    input: RankInput,
}

impl AppendRank {
    pub(super) fn create(config: Rank, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let retention = StateRetention::of(config.state_ttl, cx);
        let mut declared = StateDeclarations::new(cx.place());
        let first = retention.declare_value::<First>(&mut declared, "first");
        let mut store = open_store::<RowKey>(cx, declared)?;
        let first = retention.take_value(&mut store, first)?;
        Ok(KeyedOperator::boxed(store, Self { config, first, input: RankInput::default() }))
    }
}

impl KeyedFunction for AppendRank {
    fn process(&mut self, _input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        if !batch.kinds.is_empty() {
            return Poll::Ready(Err(Error::bug("rows are taken back in front of a Top-N that cannot do that")));
        }
        self.input.read(&self.config, batch)?;
        let slots = self.input.slots();
        ready!(self.first.prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        let (config, input) = (&self.config, &self.input);
        let mut changes = Changes::new(&config.types);
        let hashes: Vec<u64> = slots.iter().map(|slot| slot.hash).collect();
        for (group, slot) in slots.iter().enumerate() {
            if group % TOUCHED_AT_ONCE == 0 {
                self.first.touch(&hashes[group..hashes.len().min(group + TOUCHED_AT_ONCE)]);
            }
            let before = self.first.get(*slot)?.map_or(&[][..], Vec::as_slice);
            // What does not become one of the first is not written: it does not let them live on.
            let Some(after) = after(before, input, group, config.limit) else { continue };
            let shown = |place: &Place| match place {
                Place::Old(place) => &*before[*place].1,
                Place::New(row) => input.rows[*row].as_bytes(),
            };
            let (old, new): (Vec<_>, Vec<_>) = (before.iter().map(|(_, row)| &**row).collect(), after.iter().map(shown).collect());
            if config.with_place {
                changes.by_place(&old, &new)?
            } else {
                changes.by_row(&old, &new)?
            }
            self.first.update(*slot, &mut |state| {
                let mut before = state.take().unwrap_or_default();
                let entry = |place: &Place| match place {
                    Place::Old(place) => before.get_mut(*place).map(std::mem::take),
                    Place::New(row) => Some((input.orders[*row].clone(), input.rows[*row].as_bytes().to_vec())),
                };
                *state = Some(after.iter().filter_map(entry).collect());
                Ok(())
            })?;
        }
        emit(changes.finish(batch), cx);
        Poll::Ready(Ok(()))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.first]
    }
}

/// Where one of the first rows of a key comes from.
#[derive(Clone, Copy)]
enum Place {
    /// It was there already, in this place.
    Old(usize),
    /// It is this row of the batch.
    New(usize),
}

/// The first rows of a key with those of a group among them; none, if none of these is among the first.
fn after(before: &[Ranked], input: &RankInput, group: usize, limit: usize) -> Option<Vec<Place>> {
    let order = |place: Place| match place {
        Place::Old(place) => &before[place].0,
        Place::New(row) => &input.orders[row],
    };
    // Places are listed only once there is a change.
    let mut after: Option<Vec<Place>> = None;
    for row in input.grouping.rows_of(group).iter().map(|row| *row as usize) {
        let place = match &after {
            Some(after) => after.partition_point(|other| order(*other) <= &input.orders[row]),
            None => before.partition_point(|(other, _)| other <= &input.orders[row]),
        };
        if place < limit {
            let after = after.get_or_insert_with(|| (0..before.len()).map(Place::Old).collect());
            after.truncate(limit - 1);
            after.insert(place, Place::New(row));
        }
    }
    after
}
