//! Rolling aggregation: each record gives the new value of its key (Flink's `reduce`, `sum`, `min`, `max` on keyed streams).
//!
//! A chunk of rows at a time: keys and hashes first, then one call to the table. Timestamps and marks stay where they are.

use super::emit_rows;
use super::partial::Stride;
use crate::key_selector::KeySelector;
use crate::keyed_state::open_store;
use brisk_base::Result;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::function::ReduceFunction;
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext};
use brisk_core::state::{KeyedTable, Layout, Slot, StateDeclarations};
use brisk_core::types::{Key, Record};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};

/// Folds a chunk of records into a table.
pub(crate) trait Rolling<T>: Send {
    /// Folds each of `values` into its slot and gives the new value of the slot; every slot has the namespace `()`.
    fn apply<K: Key>(&self, table: &mut dyn KeyedTable<K, (), T>, slots: &[Slot<'_, K, ()>], values: Vec<T>) -> Result<Vec<T>>;
}

/// Folds by a function that takes both values and gives one.
pub(crate) struct ByReduce<R>(pub(crate) R);

impl<T: Record, R: ReduceFunction<T>> Rolling<T> for ByReduce<R> {
    fn apply<K: Key>(&self, table: &mut dyn KeyedTable<K, (), T>, slots: &[Slot<'_, K, ()>], values: Vec<T>) -> Result<Vec<T>> {
        let mut out = Vec::with_capacity(values.len());
        let mut values = values.into_iter();
        table.update_many(slots, &mut |_, current| {
            let value = values.next().expect("one value per slot, in order");
            let reduced = match current.take() {
                Some(before) => self.0.reduce(before, value)?,
                None => value,
            };
            out.push(reduced.clone());
            *current = Some(reduced);
            Ok(())
        })?;
        Ok(out)
    }
}

/// Folds by a function that changes the present value, and may change the record, which is not needed any more. The results take the
/// records' places, so that they need no memory where a record's will do.
pub(crate) struct InPlace<F>(pub(crate) F);

impl<T: Record, F: Fn(&mut T, &mut T) + Send> Rolling<T> for InPlace<F> {
    fn apply<K: Key>(&self, table: &mut dyn KeyedTable<K, (), T>, slots: &[Slot<'_, K, ()>], mut values: Vec<T>) -> Result<Vec<T>> {
        let records = RefCell::new(&mut values[..]);
        let created = Cell::new(false);
        let mut create = |row: usize| {
            created.set(true);
            Ok(records.borrow()[row].clone())
        };
        table.add_many(slots, &mut create, &mut |row, current| {
            if !created.replace(false) {
                let record = &mut records.borrow_mut()[row];
                (self.0)(current, record);
                record.assign(current);
            }
            Ok(())
        })?;
        Ok(values)
    }
}

/// See the module.
pub(crate) struct RollingOperator<T, S: KeySelector<T>, R> {
    selector: S,
    rolling: R,
    table: Box<dyn KeyedTable<S::Key, (), T>>,
    /// Keys of a chunk; their memory is used again.
    keys: Vec<S::Key>,
    /// Hashes of a chunk that came without.
    hashes: Vec<u64>,
    stride: Stride,
    /// Whether counting the table's entries is cheap.
    on_heap: bool,
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
            on_heap: store.on_heap(),
            entries: 0,
        })
    }

    fn fold(&mut self, mut rows: Rows<T>, cx: &mut OperatorContext<'_>) -> Result<()> {
        let values = std::mem::take(&mut rows.values);
        for (at, value) in values.iter().enumerate() {
            set_key(&mut self.keys, at, self.selector.key(value));
        }
        let keys = &self.keys[..values.len()];
        if rows.hashes.is_empty() {
            self.hashes.clear();
            self.hashes.extend(keys.iter().map(Key::key_hash));
        }
        let hashes = if rows.hashes.is_empty() { &self.hashes } else { &rows.hashes };
        let slots: Vec<_> = keys.iter().zip(hashes).map(|(key, hash)| Slot { hash: *hash, key, namespace: &() }).collect();
        let out = self.rolling.apply(self.table.as_mut(), &slots, values)?;
        emit_rows(rows.with_values(out), cx);
        if self.on_heap {
            self.entries = self.table.len()?;
        }
        Ok(())
    }
}

impl<T: Record, S: KeySelector<T>, R: Rolling<T>> Operator for RollingOperator<T, S, R> {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut rows = Rows::<T>::from_any(batch)?;
        while rows.values.len() > self.stride.rows() {
            let front = Rows::from_any(rows.split_front(self.stride.rows()))?;
            self.fold(front, cx)?;
            if self.stride.is_over(cx.budget) {
                return Ok(Rest::More(Box::new(rows)));
            }
        }
        self.fold(rows, cx)?;
        Ok(Rest::Consumed)
    }

    fn state_entries(&self) -> usize {
        self.entries
    }
}
