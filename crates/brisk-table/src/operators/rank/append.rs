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
        for (group, slot) in slots.iter().enumerate() {
            let before = self.first.get(*slot)?.map_or(&[][..], Vec::as_slice);
            // What does not become one of the first is not written: it does not let them live on.
            let Some(after) = after(before, input, group, config.limit) else { continue };
            if config.with_place {
                changes.by_place(before, &after)?
            } else {
                changes.by_row(before, &after)?
            }
            self.first.put(*slot, after)?;
        }
        emit(changes.finish(batch), cx);
        Poll::Ready(Ok(()))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.first]
    }
}

/// The first rows of a key with those of a group among them; none, if none of these is among the first.
fn after(before: &[Ranked], input: &RankInput, group: usize, limit: usize) -> Option<First> {
    let mut after: Option<First> = None;
    for row in input.grouping.rows_of(group) {
        let (order, row) = (&input.orders[*row as usize], &input.rows[*row as usize]);
        let place = after.as_deref().unwrap_or(before).partition_point(|(other, _)| other <= order);
        if place < limit {
            let after = after.get_or_insert_with(|| before.to_vec());
            after.truncate(limit - 1);
            after.insert(place, (order.clone(), row.as_bytes().to_vec()));
        }
    }
    after
}
