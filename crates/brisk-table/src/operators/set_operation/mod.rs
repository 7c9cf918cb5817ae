//! INTERSECT [ALL] and EXCEPT [ALL] of two changelogs.
//!
//! Of each row it is kept how often it is in either input; the result has it as often as the operation says. All nulls are equal. The
//! output is a retract stream with the net change per row and batch.

use super::calc::emit;
use super::keyed::{KeyedFunction, KeyedOperator, StateRetention, counted, open_store};
use super::row::{Grouping, KeyedRows, RowKey};
use crate::planner::SetOperationKind;
use brisk_base::Result;
use brisk_core::batch::{Columns, RowKind, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedTable, StateDeclarations};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Makes the operator. Both inputs are partitioned by all columns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SetOperator {
    pub(crate) kind: SetOperationKind,
    /// Whether duplicates count.
    pub(crate) all: bool,
    /// How long state is kept that nobody uses; for ever, if it is 0.
    pub(crate) state_ttl: Duration,
}

impl OperatorFactory for SetOperator {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let retention = StateRetention::of(self.state_ttl, cx);
        let mut declared = StateDeclarations::new(cx.place());
        let times = retention.declare_value::<[i64; 2]>(&mut declared, "times");
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = SetFunction {
            config: *self,
            times: retention.take_value(&mut store, times)?,
            may_expire: retention.is_limited(),
            rows: KeyedRows::default(),
            grouping: Grouping::default(),
        };
        Ok(KeyedOperator::boxed(store, function))
    }
}

struct SetFunction {
    config: SetOperator,
    /// How often each row is in the left input, and in the right.
    times: Box<dyn KeyedTable<RowKey, (), [i64; 2]>>,
    /// Whether rows may have expired that are taken back.
    may_expire: bool,
    rows: KeyedRows,
    grouping: Grouping,
}

impl KeyedFunction for SetFunction {
    fn process(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        self.rows.read(batch, 0..batch.columns.len())?;
        self.rows.group(&mut self.grouping);
        let slots = self.rows.slots_of(&self.grouping);
        ready!(self.times.prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        let (grouping, SetOperator { kind, all, .. }, may_expire) = (&self.grouping, self.config, self.may_expire);
        let (mut given, mut kinds) = (Vec::new(), Vec::new());
        self.times.update_many(&slots, &mut |group, state| {
            let mut times = state.unwrap_or_default();
            let before = kind.times(all, times[0], times[1]);
            for row in grouping.rows_of(group) {
                times[input] = counted(Some(times[input]), batch.kind(*row as usize).sign(), may_expire).unwrap_or(0);
            }
            let change = kind.times(all, times[0], times[1]) - before;
            let row_kind = if change > 0 { RowKind::Insert } else { RowKind::Delete };
            for _ in 0..change.unsigned_abs() {
                given.push(grouping.first_rows()[group]);
                kinds.push(row_kind);
            }
            *state = Some(times).filter(|times| *times != [0, 0]);
            Ok(())
        })?;
        if kinds.iter().all(|kind| *kind == RowKind::Insert) {
            kinds.clear();
        }
        let columns = batch.columns.iter().map(|column| take_rows(column, &given)).collect::<Result<_>>()?;
        let mut changes = Columns { columns, rows: given.len(), kinds, ..Columns::default() };
        // The net change of a batch is known only at its end, and so are its watermarks.
        batch.marks.iter().for_each(|mark| changes.mark(mark.watermark));
        emit(changes, cx);
        Poll::Ready(Ok(()))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.times]
    }
}
