//! One row per primary key in front of a sink (Flink's `SinkUpsertMaterializer`).
//!
//! Where a query tells its rows apart by other columns than its table, rows of one primary key may be there at the same time, and come and go in
//! any order. All of them are kept, in the order in which they came; the table has the last of them. The output is a retract stream, with the
//! net change per primary key and batch.

use super::calc::emit;
use super::keyed::{KeyedFunction, KeyedOperator, StateRetention, open_store};
use super::row::{ColumnKey, Grouping, KeyedRows, RowBuilder, RowKey, ValueType};
use brisk_base::Result;
use brisk_core::batch::{Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedTable, StateDeclarations};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct SinkMaterialize {
    /// Indexes of the columns of the primary key. The exchange in front has to hash the same columns.
    pub(crate) key: Vec<usize>,
    /// Types of all columns.
    pub(crate) types: Vec<ValueType>,
    /// How long state is kept that nobody uses; for ever, if it is 0.
    pub(crate) state_ttl: Duration,
}

/// The rows of a primary key in the order in which they came last, and how often each is there.
type Live = Vec<(RowKey, i64)>;

impl OperatorFactory for SinkMaterialize {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let retention = StateRetention::of(self.state_ttl, cx);
        let mut declared = StateDeclarations::new(cx.place());
        let live = retention.declare_value::<Live>(&mut declared, "rows");
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = SinkMaterializeFunction {
            config: self.clone(),
            live: retention.take_value(&mut store, live)?,
            may_expire: retention.is_limited(),
            keys: KeyedRows::default(),
            rows: Vec::new(),
            grouping: Grouping::default(),
        };
        Ok(KeyedOperator::boxed(store, function))
    }
}

struct SinkMaterializeFunction {
    config: SinkMaterialize,
    live: Box<dyn KeyedTable<RowKey, (), Live>>,
    /// Whether rows may have expired that are taken back.
    may_expire: bool,
    /// Keys of the batch at hand, and its rows.
    keys: KeyedRows,
    rows: Vec<RowKey>,
    grouping: Grouping,
}

/// The row that the table has.
fn last(live: &Live) -> Option<RowKey> {
    live.iter().rfind(|(_, times)| *times > 0).map(|(row, _)| row.clone())
}

/// Adds or takes back a row.
fn change(live: &mut Live, row: &RowKey, sign: i64, may_expire: bool) {
    let known = live.iter().position(|(other, _)| other == row);
    let times = known.map_or(0, |at| live[at].1) + sign;
    // A row that is taken back before it is added is kept in mind as a debt.
    let is_kept = times > 0 || (times < 0 && !may_expire);
    match known {
        Some(at) if is_kept && sign < 0 => live[at].1 = times,
        known => {
            known.into_iter().for_each(|at| drop(live.remove(at)));
            live.extend(is_kept.then(|| (row.clone(), times)));
        }
    }
}

impl KeyedFunction for SinkMaterializeFunction {
    fn process(&mut self, _input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        self.keys.read(batch, self.config.key.iter().copied())?;
        RowKey::read(&batch.columns, batch.rows, &mut self.rows)?;
        self.keys.group(&mut self.grouping);
        let slots = self.keys.slots_of(&self.grouping);
        ready!(self.live.prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        let (grouping, rows, may_expire) = (&self.grouping, &self.rows, self.may_expire);
        let (mut given, mut kinds) = (RowBuilder::new(&self.config.types), Vec::new());
        self.live.update_many(&slots, &mut |group, state| {
            let mut live = state.take().unwrap_or_default();
            let before = last(&live);
            for row in grouping.rows_of(group).iter().map(|row| *row as usize) {
                change(&mut live, &rows[row], batch.kind(row).sign(), may_expire);
            }
            let after = last(&live);
            *state = Some(live).filter(|live| !live.is_empty());
            let updated = before.is_some() && after.is_some();
            for (row, kind, updated_kind) in
                [(&before, RowKind::Delete, RowKind::UpdateBefore), (&after, RowKind::Insert, RowKind::UpdateAfter)]
            {
                if let Some(row) = row.as_ref().filter(|_| before != after) {
                    given.push(row.as_bytes())?;
                    kinds.push(if updated { updated_kind } else { kind });
                }
            }
            Ok(())
        })?;
        let rows = kinds.len();
        if kinds.iter().all(|kind| *kind == RowKind::Insert) {
            kinds.clear();
        }
        let mut changes = Columns { columns: given.finish(), rows, kinds, ..Columns::default() };
        // The net change of a batch is known only at its end, and so are its watermarks.
        batch.marks.iter().for_each(|mark| changes.mark(mark.watermark));
        emit(changes, cx);
        Poll::Ready(Ok(()))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.live]
    }
}
