//! Rolling aggregation: each record gives the new value of its key (Flink's `reduce`, `sum`, `min`, `max` on keyed streams).
//!
//! The results take the places of the records in the batch, and where they can their memory; timestamps and marks stay where they are. In
//! a table of the heap a row costs one probe, and its key is copied only where it is new. In other tables a chunk of rows is done at a time:
//! keys and hashes first, then one call.

use super::emit_rows;
use super::partial::Stride;
use crate::key_selector::KeySelector;
use crate::keyed_state::{Store, open_store};
use brisk_base::Result;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::ReduceFunction;
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedTable, Layout, OperatorSnapshot, Slot, StateDeclarations};
use brisk_core::types::{Key, Record};
use brisk_state::heap::HeapTable;
use std::any::Any;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::Arc;

/// Folds records into the value of their key.
pub(crate) trait Rolling<T>: Send {
    /// Folds `record` into `current`; both are the new value of the key then.
    fn fold(&mut self, current: &mut T, record: &mut T) -> Result<()>;
}

/// Folds by a function that takes both values and gives one.
pub(crate) struct ByReduce<T, R> {
    function: R,
    /// Stand in the places of both values while the function has them, so that nothing is cloned but the result.
    spares: Option<[T; 2]>,
}

impl<T, R> ByReduce<T, R> {
    pub(crate) const fn new(function: R) -> Self {
        Self { function, spares: None }
    }
}

impl<T: Record, R: ReduceFunction<T>> Rolling<T> for ByReduce<T, R> {
    #[inline]
    fn fold(&mut self, current: &mut T, record: &mut T) -> Result<()> {
        let [first, second] = self.spares.take().unwrap_or_else(|| [current.clone(), record.clone()]);
        let (first, second) = (std::mem::replace(current, first), std::mem::replace(record, second));
        let result = self.function.reduce(first, second)?;
        let second = std::mem::replace(record, result.clone());
        self.spares = Some([std::mem::replace(current, result), second]);
        Ok(())
    }
}

/// Folds by a function that changes the present value, and may change the record, which is not needed any more.
pub(crate) struct InPlace<F>(pub(crate) F);

impl<T: Record, F: Fn(&mut T, &mut T) + Send> Rolling<T> for InPlace<F> {
    #[inline]
    fn fold(&mut self, current: &mut T, record: &mut T) -> Result<()> {
        (self.0)(current, record);
        record.assign(current);
        Ok(())
    }
}

/// Makes results of `records`, rows of a batch, by a table of the heap. `hashes` are theirs, or empty.
#[inline]
fn fold_on_heap<T: Record, S: KeySelector<T>>(
    table: &mut HeapTable<S::Key, (), T>,
    selector: &S,
    rolling: &mut impl Rolling<T>,
    records: &mut [T],
    hashes: &[u64],
) -> Result<()> {
    for (at, record) in records.iter_mut().enumerate() {
        let key = selector.key(record);
        let hash = hashes.get(at).copied().unwrap_or_else(|| key.key_hash());
        if let Some(current) = table.get_mut(Slot { hash, key: &*key, namespace: &() }) {
            drop(key);
            rolling.fold(current, record)?;
        } else {
            let key = key.into_owned();
            table.insert_new(Slot { hash, key: &key, namespace: &() }, record.clone());
        }
    }
    Ok(())
}

/// Makes results of `records` by a table of any kind; `slots` are theirs.
fn fold_anywhere<T: Record, K: Key>(
    table: &mut dyn KeyedTable<K, (), T>,
    rolling: &mut impl Rolling<T>,
    records: &mut [T],
    slots: &[Slot<'_, K, ()>],
) -> Result<()> {
    let records = RefCell::new(records);
    let created = Cell::new(false);
    let mut create = |row: usize| {
        created.set(true);
        Ok(records.borrow()[row].clone())
    };
    table.add_many(slots, &mut create, &mut |row, current| {
        if created.replace(false) { Ok(()) } else { rolling.fold(current, &mut records.borrow_mut()[row]) }
    })
}

/// See the module.
pub(crate) struct RollingOperator<T, S: KeySelector<T>, R> {
    selector: S,
    rolling: R,
    /// What the table lies in.
    store: Store<S::Key>,
    table: Box<dyn KeyedTable<S::Key, (), T>>,
    /// Keys of a chunk; their memory is used again.
    keys: Vec<S::Key>,
    /// Hashes of a chunk that came without.
    hashes: Vec<u64>,
    stride: Stride,
    /// Keys in the table, where counting them is cheap.
    entries: usize,
}

/// Sets item `at`, which may be the one after the last, using its memory again.
#[inline]
fn set_key<K: Key>(keys: &mut Vec<K>, at: usize, key: Cow<'_, K>) {
    match (keys.get_mut(at), key) {
        (Some(place), Cow::Borrowed(key)) => place.clone_from(key),
        (Some(place), Cow::Owned(key)) => *place = key,
        (None, key) => keys.push(key.into_owned()),
    }
}

impl<T: Record, S: KeySelector<T>, R: Rolling<T>> RollingOperator<T, S, R> {
    pub(crate) fn new(selector: S, rolling: R, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let id = declared.engine_value::<T>("rolling", Layout::KeyMajor);
        let mut store = open_store(cx, declared)?;
        Ok(Self {
            selector,
            rolling,
            table: store.take_value(id)?,
            keys: Vec::new(),
            hashes: Vec::new(),
            stride: Stride::default(),
            store,
            entries: 0,
        })
    }

    /// Makes results of rows until the time is used up. Gives the row where it stopped.
    fn fold(&mut self, rows: &mut Rows<T>, cx: &mut OperatorContext<'_>) -> Result<usize> {
        let len = rows.values.len();
        let (mut row, mut stop) = (0, false);
        while row < len && !stop {
            let table: &mut dyn Any = &mut *self.table;
            if let Some(table) = table.downcast_mut::<HeapTable<S::Key, (), T>>() {
                let chunk = row..len.min(row + cx.budget.allowance());
                let hashes = rows.hashes.get(chunk.clone()).unwrap_or_default();
                fold_on_heap(table, &self.selector, &mut self.rolling, &mut rows.values[chunk.clone()], hashes)?;
                stop = cx.budget.rows(chunk.len());
                row = chunk.end;
            } else {
                let chunk = row..len.min(row + self.stride.rows());
                self.fold_chunk(rows, chunk.clone())?;
                // A part of a stride says nothing of the time that a whole one takes.
                stop = chunk.len() == self.stride.rows() && self.stride.is_over(cx.budget);
                row = chunk.end;
            }
        }
        Ok(row)
    }

    /// [`fold`](Self::fold) of the rows of `chunk`, by a table of any kind.
    fn fold_chunk(&mut self, rows: &mut Rows<T>, chunk: Range<usize>) -> Result<()> {
        let records = &mut rows.values[chunk.clone()];
        for (at, record) in records.iter().enumerate() {
            set_key(&mut self.keys, at, self.selector.key(record));
        }
        let keys = &self.keys[..records.len()];
        let hashes = match rows.hashes.get(chunk) {
            Some(hashes) => hashes,
            None => {
                self.hashes.clear();
                self.hashes.extend(keys.iter().map(Key::key_hash));
                &self.hashes
            }
        };
        let slots: Vec<_> = keys.iter().zip(hashes).map(|(key, hash)| Slot { hash: *hash, key, namespace: &() }).collect();
        fold_anywhere(&mut *self.table, &mut self.rolling, records, &slots)
    }

    fn count_entries(&mut self) -> Result<()> {
        if self.store.on_heap() {
            self.entries = self.table.len()?;
        }
        Ok(())
    }
}

impl<T: Record, S: KeySelector<T>, R: Rolling<T>> Operator for RollingOperator<T, S, R> {
    fn open(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.count_entries()
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut rows = Rows::<T>::from_any(batch)?;
        let done = self.fold(&mut rows, cx)?;
        self.count_entries()?;
        let rest = if done < rows.values.len() {
            let front = Rows::from_any(rows.split_front(done))?;
            Rest::More(Box::new(std::mem::replace(&mut rows, front)))
        } else {
            Rest::Consumed
        };
        // The hashes are those of this operator's keys; who comes next has others.
        rows.hashes = Vec::new();
        emit_rows(rows, cx);
        Ok(rest)
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(self.table.as_mut())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }

    fn state_entries(&self) -> usize {
        self.entries
    }
}
