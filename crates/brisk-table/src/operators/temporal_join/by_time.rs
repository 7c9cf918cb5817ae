//! Joins each row with the version of another table that was there at the row's event time: `FOR SYSTEM_TIME AS OF a.ts`.
//!
//! A version is a row of the right side from its time on until the next of its key, or until it is deleted. Rows of the left side, which
//! are never taken back, wait for the watermark, because versions may come until then. Of versions that no row in time can see any more
//! the last of each key is kept. A late row sees what is left, as in Flink.

use super::{Joined, VersionJoin};
use crate::operators::calc::emit;
use crate::operators::keyed::{KeyedFunction, KeyedOperator, open_store};
use crate::operators::row::{ColumnKey, KeyedRows, RowKey};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedListTable, KeyedMapTable, KeyedTable, Layout, Slot, StateDeclarations};
use brisk_core::types::Key;
use std::ops::{Bound, ControlFlow};
use std::task::Poll;

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct TemporalJoin {
    pub(crate) join: VersionJoin,
    /// The event-time columns of both sides.
    pub(crate) times: [usize; 2],
}

/// Versions of each key, by the time from which they are; none from when it is deleted.
type Versions = Box<dyn KeyedMapTable<RowKey, (), i64, Option<Vec<u8>>>>;

impl OperatorFactory for TemporalJoin {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let mut declared = StateDeclarations::new(cx.place());
        let waiting = declared.engine_list::<Vec<u8>>("waiting", Layout::NamespaceMajor);
        let versions = declared.engine_map::<i64, Option<Vec<u8>>>("versions", Layout::KeyMajor);
        let superseded = declared.engine_value::<bool>("superseded", Layout::NamespaceMajor);
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = TemporalJoinFunction {
            config: self.clone(),
            waiting: store.take_list(waiting)?,
            versions: store.take_map(versions)?,
            superseded: store.take_value(superseded)?,
        };
        Ok(KeyedOperator::boxed(store, function))
    }
}

struct TemporalJoinFunction {
    config: TemporalJoin,
    /// Rows of the left side, by their time.
    waiting: Box<dyn KeyedListTable<RowKey, i64, Vec<u8>>>,
    versions: Versions,
    /// Keys by the time from which they have another version.
    superseded: Box<dyn KeyedTable<RowKey, i64, bool>>,
}

/// From when a version is, and its row, unless it is deleted.
type Version = (i64, Option<Vec<u8>>);

impl TemporalJoinFunction {
    fn rows(&mut self, side: usize, batch: &Columns) -> Result<Vec<Columns>> {
        let (mut keys, mut rows) = (KeyedRows::<RowKey>::default(), Vec::new());
        let key = keys.read(batch, self.config.join.sides[side].key.iter().copied())?;
        RowKey::read(&batch.columns, batch.rows, &mut rows)?;
        let Some(times) = batch.columns[self.config.times[side]].as_primitive_opt::<TimestampMillisecondType>() else {
            return Err(Error::bug("a temporal join has no time in milliseconds"));
        };
        let mut given = Vec::new();
        let mut marks = batch.marks.iter().peekable();
        for (row, columns) in rows.iter().take(batch.rows).enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                given.push(self.fire(mark.watermark)?);
            }
            if times.is_null(row) {
                continue;
            }
            let (slot, time) = (keys.slot(row), times.value(row));
            if side == 0 {
                self.waiting.append(slot.at(&time), columns.as_bytes().to_vec())?;
                continue;
            }
            // What a row was before does not matter: the row behind it says what it is.
            if batch.kind(row) == RowKind::UpdateBefore || key.iter().any(|column| column.is_null(row)) {
                continue;
            }
            let version = (batch.kind(row) != RowKind::Delete).then(|| columns.as_bytes().to_vec());
            self.versions.put(slot, time, version)?;
            self.superseded.put(slot.at(&time), true)?;
        }
        for mark in marks {
            given.push(self.fire(mark.watermark)?);
        }
        Ok(given)
    }

    /// Gives the rows up to a time, and forgets versions that are over.
    fn fire(&mut self, watermark: Timestamp) -> Result<Columns> {
        let mut joined: Vec<Joined> = Vec::new();
        while let Some(time) = self.waiting.next_namespace(None)?.filter(|time| *time <= watermark.0) {
            let versions = &mut self.versions;
            self.waiting.scan_namespace(&time, &mut |key, rows| {
                let slot = Slot { hash: key.key_hash(), key, namespace: &() };
                let version = version_at(versions, slot, time)?.and_then(|(_, version)| version);
                joined.extend(rows.iter().map(|row| (row.clone(), version.clone())));
                Ok(())
            })?;
            self.waiting.remove_namespace(&time)?;
        }
        let versions = &mut self.versions;
        while let Some(time) = self.superseded.next_namespace(None)?.filter(|time| *time <= watermark.0) {
            self.superseded.drain_namespace(&time, &mut |key, _| {
                let slot = Slot { hash: key.key_hash(), key: &key, namespace: &() };
                let Some((from, version)) = version_at(versions, slot, watermark.0)? else { return Ok(()) };
                versions.remove_range(slot, (Bound::Unbounded, Bound::Excluded(&from)))?;
                if version.is_none() {
                    versions.remove(slot, &from)?;
                }
                Ok(())
            })?;
        }
        let mut output = self.config.join.columns(joined)?;
        output.mark(watermark);
        Ok(output)
    }
}

/// The version of a key at a time, and from when it is.
fn version_at(versions: &mut Versions, slot: Slot<'_, RowKey, ()>, time: i64) -> Result<Option<Version>> {
    let mut last = None;
    versions.range(slot, (Bound::Unbounded, Bound::Included(&time)), &mut |from, version| {
        last = Some((*from, version.clone()));
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(last)
}

impl KeyedFunction for TemporalJoinFunction {
    fn process(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        self.rows(input, batch)?.into_iter().for_each(|given| emit(given, cx));
        Poll::Ready(Ok(()))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        let given = self.fire(watermark)?;
        emit(given, cx);
        Ok(())
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        vec![&mut *self.waiting, &mut *self.versions, &mut *self.superseded]
    }
}
