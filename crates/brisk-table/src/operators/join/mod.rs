//! The inner join of two changelogs by equal keys.
//!
//! All rows of both sides are kept, each with how often it is there; a row is joined with those of the other side that are there when it
//! comes, and is taken back with those that are there when it is taken back. So the output is a retract stream. Keys with a null join
//! nothing. Neither result nor state depends on where batches are cut.

use super::calc::emit;
use super::row::{ColumnKey, RowBuilder, RowKey, ValueType};
use arrow_array::{Array, ArrayRef};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, RowKind, take_rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedMapTable, Layout, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations};
use brisk_core::types::hash_columns;
use brisk_state::{HashMapStateBackend, KeyedStateStore};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// One side of a join.
#[derive(Clone, Debug)]
pub struct JoinSide {
    /// Indexes of the key columns. The exchange in front has to hash the same columns.
    pub key: Vec<usize>,
    /// Types of all columns.
    pub types: Vec<ValueType>,
}

/// Makes the operator. Its output has the columns of the left side, then those of the right.
pub struct Join {
    /// The left side and the right one.
    pub sides: [JoinSide; 2],
}

impl OperatorFactory for Join {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let backend = cx.state.backend.as_deref().unwrap_or(&HashMapStateBackend);
        Ok(Box::new(JoinOperator::new(self.sides.clone(), backend, cx)?))
    }
}

/// Rows of a side: each with how often it is there.
type RowTable = Box<dyn KeyedMapTable<RowKey, (), RowKey, i64>>;

struct JoinOperator {
    sides: [JoinSide; 2],
    store: KeyedStateStore<RowKey>,
    /// Rows of both sides by key.
    tables: [RowTable; 2],
    /// Keys and hashes of the batch at hand, and its rows.
    keys: Vec<RowKey>,
    hashes: Vec<u64>,
    rows: Vec<RowKey>,
}

/// Joined rows in the making.
struct Joined {
    /// The row of the batch that each comes from.
    own: Vec<u32>,
    /// The columns of the other side.
    other: RowBuilder,
    kinds: Vec<RowKind>,
    batch: Columns,
}

impl JoinOperator {
    fn new(sides: [JoinSide; 2], backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let ids = ["left", "right"].map(|name| declared.engine_map::<RowKey, i64>(name, Layout::KeyMajor));
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        let tables = [store.take_map(ids[0])?, store.take_map(ids[1])?];
        Ok(Self { sides, store, tables, keys: Vec::new(), hashes: Vec::new(), rows: Vec::new() })
    }

    /// Reads keys, hashes and rows of a batch. Gives the rows whose key has no null.
    fn read(&mut self, input: usize, batch: &Columns) -> Result<Vec<u32>> {
        let side = &self.sides[input];
        if batch.columns.len() != side.types.len() {
            return Err(Error::bug(format!(
                "a side of a join has {} columns, but its batch has {}",
                side.types.len(),
                batch.columns.len()
            )));
        }
        let key: Vec<ArrayRef> = side.key.iter().map(|column| Arc::clone(&batch.columns[*column])).collect();
        RowKey::read(&key, batch.rows, &mut self.keys)?;
        RowKey::read(&batch.columns, batch.rows, &mut self.rows)?;
        self.hashes.clear();
        if batch.hashes.len() == batch.rows {
            self.hashes.extend_from_slice(&batch.hashes);
        } else {
            hash_columns(&key, &mut self.hashes)?;
        }
        let valid = |row: &u32| key.iter().all(|column| column.is_valid(*row as usize));
        Ok((0..batch.rows as u32).filter(valid).collect())
    }

    /// Joins a batch; `None` when the state is not near yet.
    fn join(&mut self, input: usize, batch: &Columns, waker: &Waker, done: &mut dyn FnMut(Columns)) -> Result<Option<()>> {
        let valid = self.read(input, batch)?;
        let slot = |row: &u32| Slot { hash: self.hashes[*row as usize], key: &self.keys[*row as usize], namespace: &() };
        let slots: Vec<_> = valid.iter().map(slot).collect();
        for table in &mut self.tables {
            match table.prefetch(&mut Context::from_waker(waker), &slots) {
                Poll::Pending => return Ok(None),
                Poll::Ready(ready) => ready?,
            }
        }
        let [left, right] = &mut self.tables;
        let (own, other) = if input == 0 { (left, right) } else { (right, left) };
        let mut joined =
            Joined { own: Vec::new(), other: RowBuilder::new(&self.sides[1 - input].types), kinds: Vec::new(), batch: Columns::default() };
        let mut marks = batch.marks.iter().peekable();
        for (row, slot) in valid.iter().copied().zip(slots) {
            while let Some(mark) = marks.next_if(|mark| mark.row <= row) {
                joined.batch.mark(mark.watermark);
            }
            let kind = batch.kind(row as usize);
            own.update(slot, &self.rows[row as usize], &mut |count| {
                // A row that is taken back before it is added is kept in mind as a debt.
                *count = Some(count.unwrap_or(0) + kind.sign()).filter(|count| *count != 0);
                Ok(())
            })?;
            other.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |other_row, count| {
                joined.push(row, kind, other_row, *count)?;
                Ok(ControlFlow::Continue(()))
            })?;
            if joined.batch.rows >= Columns::MAX_ROWS {
                done(joined.finish(input, batch)?);
            }
        }
        marks.for_each(|mark| joined.batch.mark(mark.watermark));
        done(joined.finish(input, batch)?);
        Ok(Some(()))
    }
}

impl Joined {
    /// Adds a row joined with another that is there so many times; a debt turns it around.
    fn push(&mut self, row: u32, kind: RowKind, other: &RowKey, count: i64) -> Result<()> {
        let kind = match (count > 0, kind.sign() > 0) {
            (true, _) => kind,
            (false, true) => RowKind::Delete,
            (false, false) => RowKind::Insert,
        };
        for _ in 0..count.unsigned_abs() {
            self.own.push(row);
            self.other.push(other.as_bytes())?;
            self.kinds.push(kind);
            self.batch.rows += 1;
        }
        Ok(())
    }

    /// The rows so far; empty again.
    fn finish(&mut self, input: usize, batch: &Columns) -> Result<Columns> {
        let mut finished = std::mem::take(&mut self.batch);
        let own = batch.columns.iter().map(|column| take_rows(column, &self.own)).collect::<Result<Vec<_>>>()?;
        let other = self.other.finish();
        finished.columns = if input == 0 { own.into_iter().chain(other).collect() } else { other.into_iter().chain(own).collect() };
        finished.kinds = std::mem::take(&mut self.kinds);
        if finished.kinds.iter().all(|kind| *kind == RowKind::Insert) {
            finished.kinds.clear();
        }
        self.own.clear();
        Ok(finished)
    }
}

impl Operator for JoinOperator {
    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let mut finished = Vec::new();
        let waker = cx.waker;
        if self.join(input, &batch, waker, &mut |joined| finished.push(joined))?.is_none() {
            return Ok(Rest::Blocked(Box::new(batch)));
        }
        finished.into_iter().for_each(|joined| emit(joined, cx));
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        self.tables.iter_mut().try_for_each(|table| snapshot.freeze(&mut **table))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
