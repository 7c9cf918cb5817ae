//! The first rows of each key in an order: Top-N, and deduplication, which is Top-1.
//!
//! The input is never taken back. Of each key only the first N rows are kept, in their order; rows that are equal in it keep the order in
//! which they came. The output is a retract stream, with the net change per key and batch.

use super::calc::emit;
use super::row::{ColumnKey, Grouping, RowBuilder, RowKey, ValueType};
use arrow_array::{ArrayRef, Int64Array};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedTable, Layout, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations};
use brisk_core::types::hash_columns;
use brisk_state::{HashMapStateBackend, KeyedStateStore};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// A column that rows are ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Order {
    /// Its index.
    pub column: usize,
    /// Whether great values come first.
    pub descending: bool,
}

/// Makes the operator. Its output has the columns of the input and the place, from 1; without `with_place` the place is null.
#[derive(Clone, Debug)]
pub struct Rank {
    /// Indexes of the key columns. The exchange in front has to hash the same columns.
    pub key: Vec<usize>,
    /// What rows are ordered by.
    pub order: Vec<Order>,
    /// Types of all columns.
    pub types: Vec<ValueType>,
    /// How many rows of each key.
    pub limit: usize,
    /// Whether somebody reads the place.
    pub with_place: bool,
}

impl OperatorFactory for Rank {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let backend = cx.state.backend.as_deref().unwrap_or(&HashMapStateBackend);
        Ok(Box::new(RankOperator::new(self.clone(), backend, cx)?))
    }
}

/// The first rows of a key: what they are ordered by, and the bytes of the rows.
type First = Vec<(Vec<u8>, Vec<u8>)>;

struct RankOperator {
    config: Rank,
    store: KeyedStateStore<RowKey>,
    /// The first rows of each key.
    first: Box<dyn KeyedTable<RowKey, (), First>>,
    /// Keys and hashes of the batch at hand, its rows, and what orders them.
    keys: Vec<RowKey>,
    hashes: Vec<u64>,
    rows: Vec<RowKey>,
    orders: Vec<Vec<u8>>,
    grouping: Grouping,
}

/// Changes in the making.
struct Changes {
    rows: RowBuilder,
    places: Vec<Option<i64>>,
    kinds: Vec<RowKind>,
}

impl Changes {
    fn push(&mut self, kind: RowKind, row: &[u8], place: Option<usize>) -> Result<()> {
        self.kinds.push(kind);
        self.places.push(place.map(|place| place as i64 + 1));
        self.rows.push(row)
    }

    /// What has changed where each row has its place.
    fn by_place(&mut self, before: &First, after: &First) -> Result<()> {
        for place in 0..before.len().max(after.len()) {
            match (before.get(place), after.get(place)) {
                (Some((_, old)), Some((_, new))) if old == new => {}
                (Some((_, old)), Some((_, new))) => {
                    self.push(RowKind::UpdateBefore, old, Some(place))?;
                    self.push(RowKind::UpdateAfter, new, Some(place))?;
                }
                (Some((_, old)), None) => self.push(RowKind::Delete, old, Some(place))?,
                (None, Some((_, new))) => self.push(RowKind::Insert, new, Some(place))?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// What has changed where places are not shown: rows that are gone, and rows that are new.
    fn by_row(&mut self, before: &First, after: &First) -> Result<()> {
        let mut gone: Vec<&[u8]> = before.iter().map(|(_, row)| &**row).collect();
        let mut new = Vec::new();
        for (_, row) in after {
            match gone.iter().position(|old| *old == row) {
                Some(at) => {
                    gone.remove(at);
                }
                None => new.push(row),
            }
        }
        let updated = gone.len().min(new.len());
        for (index, old) in gone.iter().enumerate() {
            self.push(if index < updated { RowKind::UpdateBefore } else { RowKind::Delete }, old, None)?;
        }
        for (index, new) in new.iter().enumerate() {
            self.push(if index < updated { RowKind::UpdateAfter } else { RowKind::Insert }, new, None)?;
        }
        Ok(())
    }
}

impl RankOperator {
    fn new(config: Rank, backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let first = declared.engine_value::<First>("first", Layout::KeyMajor);
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        Ok(Self {
            config,
            first: store.take_value(first)?,
            store,
            keys: Vec::new(),
            hashes: Vec::new(),
            rows: Vec::new(),
            orders: Vec::new(),
            grouping: Grouping::default(),
        })
    }

    fn read(&mut self, batch: &Columns) -> Result<()> {
        if batch.columns.len() != self.config.types.len() {
            return Err(Error::bug(format!("a batch has {} columns, but {} are expected", batch.columns.len(), self.config.types.len())));
        }
        if !batch.kinds.is_empty() {
            return Err(Error::bug("rows are taken back in front of a Top-N that cannot do that"));
        }
        let key: Vec<ArrayRef> = self.config.key.iter().map(|column| Arc::clone(&batch.columns[*column])).collect();
        RowKey::read(&key, batch.rows, &mut self.keys)?;
        RowKey::read(&batch.columns, batch.rows, &mut self.rows)?;
        self.hashes.clear();
        if batch.hashes.len() == batch.rows {
            self.hashes.extend_from_slice(&batch.hashes);
        } else {
            hash_columns(&key, &mut self.hashes)?;
        }
        self.orders.clear();
        self.orders.resize_with(batch.rows, Vec::new);
        let mut fields = Vec::new();
        for order in &self.config.order {
            RowKey::read(std::slice::from_ref(&batch.columns[order.column]), batch.rows, &mut fields)?;
            let flip = if order.descending { 0xff } else { 0 };
            for (bytes, field) in self.orders.iter_mut().zip(&fields) {
                bytes.extend(field.as_bytes().iter().map(|byte| byte ^ flip));
            }
        }
        Ok(())
    }

    /// Adds a batch and gives its changes; `None` when the state is not near yet.
    fn rank(&mut self, batch: &Columns, waker: &Waker) -> Result<Option<Columns>> {
        self.read(batch)?;
        self.grouping.by_key(&self.keys[..batch.rows], &self.hashes);
        let slot = |row: &u32| Slot { hash: self.hashes[*row as usize], key: &self.keys[*row as usize], namespace: &() };
        let slots: Vec<_> = self.grouping.first_rows().iter().map(slot).collect();
        match self.first.prefetch(&mut Context::from_waker(waker), &slots) {
            Poll::Pending => return Ok(None),
            Poll::Ready(ready) => ready?,
        }
        let (config, grouping, orders, rows) = (&self.config, &self.grouping, &self.orders, &self.rows);
        let mut changes = Changes { rows: RowBuilder::new(&config.types), places: Vec::new(), kinds: Vec::new() };
        self.first.update_many(&slots, &mut |group, state| {
            let before = state.take().unwrap_or_default();
            let mut after = before.clone();
            for row in grouping.rows_of(group) {
                let (order, row) = (&orders[*row as usize], &rows[*row as usize]);
                let place = after.partition_point(|(other, _)| other <= order);
                if place < config.limit {
                    after.truncate(config.limit - 1);
                    after.insert(place, (order.clone(), row.as_bytes().to_vec()));
                }
            }
            if config.with_place {
                changes.by_place(&before, &after)?
            } else {
                changes.by_row(&before, &after)?
            }
            *state = Some(after);
            Ok(())
        })?;
        let mut columns = changes.rows.finish();
        columns.push(Arc::new(Int64Array::from(changes.places)));
        let rows = changes.kinds.len();
        let kinds = if changes.kinds.iter().all(|kind| *kind == RowKind::Insert) { Vec::new() } else { changes.kinds };
        let mut output = Columns { columns, rows, kinds, ..Columns::default() };
        // The net change of a batch is known only at its end, and so are its watermarks.
        batch.marks.iter().for_each(|mark| output.mark(mark.watermark));
        Ok(Some(output))
    }
}

impl Operator for RankOperator {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let Some(changes) = self.rank(&batch, cx.waker)? else { return Ok(Rest::Blocked(Box::new(batch))) };
        emit(changes, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.first)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
