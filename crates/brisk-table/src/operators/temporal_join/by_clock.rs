//! Joins each row with the version of another table that is there when the row comes: `FOR SYSTEM_TIME AS OF a.proctime`.
//!
//! Rows of the left side are never taken back. What comes later on the right side changes nothing of what was given.

use super::VersionJoin;
use crate::operators::calc::emit;
use crate::operators::keyed::{KeyedFunction, KeyedOperator, StateRetention, open_store};
use crate::operators::row::{ColumnKey, KeyedRows, RowKey};
use arrow_array::Array;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedTable, StateDeclarations};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct ClockTemporalJoin {
    pub(crate) join: VersionJoin,
    /// How long versions are kept that are not written again; for ever, if it is 0.
    pub(crate) state_ttl: Duration,
}

impl OperatorFactory for ClockTemporalJoin {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let retention = StateRetention::of(self.state_ttl, cx);
        let mut declared = StateDeclarations::new(cx.place());
        let versions = retention.declare_value::<Vec<u8>>(&mut declared, "versions");
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = ClockTemporalJoinFunction {
            join: self.join.clone(),
            versions: retention.take_value(&mut store, versions)?,
            keys: KeyedRows::default(),
            rows: Vec::new(),
        };
        Ok(KeyedOperator::boxed(store, function))
    }
}

struct ClockTemporalJoinFunction {
    join: VersionJoin,
    /// The present version of each key.
    versions: Box<dyn KeyedTable<RowKey, (), Vec<u8>>>,
    /// Keys of the batch at hand.
    keys: KeyedRows,
    /// Its rows.
    rows: Vec<RowKey>,
}

impl ClockTemporalJoinFunction {
    /// Gives rows with their versions. Watermarks stay between the same rows.
    fn joined(&mut self, batch: &Columns, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut from = 0;
        for mark in batch.marks.iter().map(|mark| (mark.row as usize, Some(mark.watermark))).chain([(batch.rows, None)]) {
            let (to, watermark): (usize, Option<Timestamp>) = mark;
            let mut joined = Vec::new();
            for row in from..to {
                let version = self.versions.get(self.keys.slot(row))?.cloned();
                joined.push((self.rows[row].as_bytes().to_vec(), version));
            }
            let mut output = self.join.columns(joined)?;
            if let Some(watermark) = watermark {
                output.mark(watermark);
            }
            emit(output, cx);
            from = to;
        }
        Ok(())
    }

    /// Takes in versions. What a row was before does not matter: the row behind it says what it is.
    fn versions(&mut self, batch: &Columns, is_null: impl Fn(usize) -> bool) -> Result<()> {
        for row in 0..batch.rows {
            let (slot, kind) = (self.keys.slot(row), batch.kind(row));
            match kind {
                _ if is_null(row) || kind == RowKind::UpdateBefore => {}
                RowKind::Delete => drop(self.versions.remove(slot)?),
                _ => self.versions.put(slot, self.rows[row].as_bytes().to_vec())?,
            }
        }
        Ok(())
    }
}

impl KeyedFunction for ClockTemporalJoinFunction {
    fn process(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        let key = self.keys.read(batch, self.join.sides[input].key.iter().copied())?;
        RowKey::read(&batch.columns, batch.rows, &mut self.rows)?;
        let slots: Vec<_> = (0..batch.rows).map(|row| self.keys.slot(row)).collect();
        ready!(self.versions.prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        drop(slots);
        if input == 0 {
            return Poll::Ready(self.joined(batch, cx));
        }
        self.versions(batch, |row| key.iter().any(|column| column.is_null(row)))?;
        batch.marks.iter().for_each(|mark| cx.emit_watermark(mark.watermark));
        Poll::Ready(Ok(()))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.versions]
    }
}
