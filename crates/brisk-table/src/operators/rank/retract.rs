//! Top-N of rows that may be taken back: all rows of each key are kept, in their order. Those that are equal in it are ordered by their
//! columns.

use super::Rank;
use super::changes::Changes;
use super::input::RankInput;
use crate::operators::calc::emit;
use crate::operators::keyed::{KeyedFunction, KeyedOperator, StateRetention, counted, open_store};
use crate::operators::row::RowKey;
use brisk_base::Result;
use brisk_core::batch::Columns;
use brisk_core::operator::{Operator, OperatorContext, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedMapTable, Slot, StateDeclarations};
use std::ops::{Bound, ControlFlow};
use std::task::{Context, Poll, ready};

/// Rows of keys.
type Rows = Box<dyn KeyedMapTable<RowKey, (), RowKey, i64>>;

/// See the module.
pub(super) struct RetractRank {
    config: Rank,
    /// The rows of each key by what orders them and their columns, and how often each is there.
    rows: Rows,
    /// Whether rows may have expired that are taken back.
    may_expire: bool,
    input: RankInput,
}

impl RetractRank {
    pub(super) fn create(config: Rank, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let retention = StateRetention::of(config.state_ttl, cx);
        let mut declared = StateDeclarations::new(cx.place());
        let rows = retention.declare_map::<RowKey, i64>(&mut declared, "rows");
        let mut store = open_store::<RowKey>(cx, declared)?;
        let rows = retention.take_map(&mut store, rows)?;
        let may_expire = retention.is_limited();
        Ok(KeyedOperator::boxed(store, Self { config, rows, may_expire, input: RankInput::default() }))
    }
}

impl KeyedFunction for RetractRank {
    fn process(&mut self, _input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        self.input.read(&self.config, batch)?;
        let slots = self.input.slots();
        ready!(self.rows.prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        let (config, RankInput { grouping, orders, rows, .. }) = (&self.config, &self.input);
        let mut changes = Changes::new(&config.types);
        for (group, slot) in slots.iter().enumerate() {
            let before = first(&mut self.rows, *slot, config.limit)?;
            for row in grouping.rows_of(group).iter().map(|row| *row as usize) {
                let mut place = RowKey::new();
                place.push_bytes(&orders[row]);
                place.push_fields(rows[row].as_bytes());
                let (sign, may_expire) = (batch.kind(row).sign(), self.may_expire);
                self.rows.update(*slot, &place, &mut |times| {
                    *times = counted(*times, sign, may_expire);
                    Ok(())
                })?;
            }
            let after = first(&mut self.rows, *slot, config.limit)?;
            let [before, after] = [&before, &after].map(|rows| rows.iter().map(Vec::as_slice).collect::<Vec<_>>());
            if config.with_place { changes.by_place(&before, &after)? } else { changes.by_row(&before, &after)? }
        }
        emit(changes.finish(batch), cx);
        Poll::Ready(Ok(()))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.rows]
    }
}

/// The first rows of a key.
fn first(rows: &mut Rows, slot: Slot<'_, RowKey, ()>, limit: usize) -> Result<Vec<Vec<u8>>> {
    let mut first = Vec::new();
    if limit == 0 {
        return Ok(first);
    }
    rows.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |place, times| {
        let row = place.behind_first()?;
        for _ in 0..(*times).max(0) {
            first.push(row.to_vec());
            if first.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(first)
}
