//! Values that have been seen: for DISTINCT where rows are never taken back.
//!
//! Calls over the same column share one set of values, whatever their filters: of each value it says by which of them it has been counted,
//! a bit each. A value is looked up once per batch, however often it comes. The calls themselves then see only the rows that bring a
//! value for the first time, and count like all others.

use super::AggregateCall;
use super::accumulator::chosen;
use crate::operators::row::{ColumnKey, KeyedRows, RowKey};
use arrow_array::{Array, ArrayRef, Int64Array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use brisk_base::{Error, Result};
use brisk_core::batch::Columns;
use brisk_core::state::{KeyedTable, Layout, Slot, StateDeclarations, StateId};
use brisk_core::types::{hash, hash_columns, table_hash};
use brisk_state::KeyedStateStore;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Most calls that share a set: a bit each, the sign left out.
const MAX_CALLS: usize = 63;

/// Calls over one column.
struct View {
    column: u32,
    /// Indexes of the calls, and the columns of their filters.
    calls: Vec<(usize, Option<u32>)>,
}

/// The values of all keys, as the namespaces of their keys.
pub(super) struct SeenValues<K> {
    views: Vec<View>,
    /// By which calls of its view a value has been counted.
    table: Box<dyn KeyedTable<K, RowKey, i64>>,
    /// The values of the batch at hand, view by view.
    of_views: Vec<OfView>,
    /// Values of keys, for finding equal ones.
    found: HashTable<u32>,
}

/// The values that the calls of one view take in the batch at hand.
#[derive(Default)]
struct OfView {
    /// Number of the view and value, of each row.
    values: Vec<RowKey>,
    hashes: Vec<u64>,
    /// Which calls take each row.
    taken: Vec<i64>,
    /// The value of each row that is taken, as an index of `firsts`.
    value_of: Vec<u32>,
    /// The first row of each key and value.
    firsts: Vec<u32>,
    /// Which calls take it at all; then, which of them have not counted it yet.
    calls: Vec<i64>,
}

impl AggregateCall {
    /// Whether it counts values that it has not seen before.
    pub(super) const fn counts_unseen(&self) -> bool {
        self.distinct && !self.aggregate.chooses() && !self.retract
    }
}

/// Calls that share a set of values.
fn views(calls: &[AggregateCall]) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for (index, call) in calls.iter().enumerate().filter(|(_, call)| call.counts_unseen()) {
        let Some(column) = call.aggregate.column() else { continue };
        let view = views.iter_mut().find(|view| view.column == column && view.calls.len() < MAX_CALLS);
        match view {
            Some(view) => view.calls.push((index, call.filter)),
            None => views.push(View { column, calls: vec![(index, call.filter)] }),
        }
    }
    views
}

impl<K: ColumnKey> SeenValues<K> {
    /// Declares the table, if there is such a call.
    pub(super) fn declare(calls: &[AggregateCall], declared: &mut StateDeclarations) -> Option<StateId> {
        calls.iter().any(AggregateCall::counts_unseen).then(|| declared.engine_value::<i64>("seen", Layout::KeyMajor))
    }

    pub(super) fn take(calls: &[AggregateCall], store: &mut KeyedStateStore<K>, id: StateId) -> Result<Self> {
        let views = views(calls);
        let of_views = views.iter().map(|_| OfView::default()).collect();
        Ok(Self { views, table: store.take_value(id)?, of_views, found: HashTable::new() })
    }

    pub(super) fn table(&mut self) -> &mut dyn brisk_core::state::AnyTable {
        &mut *self.table
    }

    /// Reads the values of a batch and brings their state near. Changes nothing.
    pub(super) fn read(&mut self, batch: &Columns, keys: &KeyedRows<K>, context: &mut Context<'_>) -> Poll<Result<()>>
    where
        K: Eq,
    {
        for (number, (view, of_view)) in (0..).zip(self.views.iter().zip(&mut self.of_views)) {
            of_view.read(number, view, batch)?;
            of_view.find_equal(keys, &mut self.found);
            ready!(self.table.prefetch(context, &of_view.slots(keys)))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Of each call, the rows of the batch that bring a value which it has not counted before; none of calls that are not over such values.
    /// They count as counted from now on.
    pub(super) fn unseen(&mut self, calls: usize, rows: usize, keys: &KeyedRows<K>) -> Result<Vec<Option<BooleanBuffer>>> {
        let mut unseen = vec![None; calls];
        for (view, of_view) in self.views.iter().zip(&mut self.of_views) {
            let mut new = std::mem::take(&mut of_view.calls);
            self.table.update_many(&of_view.slots(keys), &mut |at, state| {
                let before = state.unwrap_or(0);
                let taken = new[at];
                new[at] = taken & !before;
                if new[at] != 0 {
                    *state = Some(before | taken);
                }
                Ok(())
            })?;
            let mut builders: Vec<_> = view.calls.iter().map(|_| BooleanBufferBuilder::new(rows)).collect();
            for row in 0..rows {
                // Each call counts a value at the first row at which it takes it.
                let bits = match of_view.taken[row] {
                    0 => 0,
                    taken => {
                        let new = &mut new[of_view.value_of[row] as usize];
                        let bits = taken & *new;
                        *new &= !bits;
                        bits
                    }
                };
                builders.iter_mut().enumerate().for_each(|(call, builder)| builder.append(bits & (1 << call) != 0));
            }
            for ((call, _), mut builder) in view.calls.iter().zip(builders) {
                unseen[*call] = Some(builder.finish());
            }
            of_view.calls = new;
        }
        Ok(unseen)
    }
}

impl OfView {
    fn read(&mut self, number: i64, view: &View, batch: &Columns) -> Result<()> {
        let column = |index: u32| {
            let missing = || Error::bug(format!("column {index} is missing: the batch has {} columns", batch.columns.len()));
            batch.columns.get(index as usize).ok_or_else(missing)
        };
        let values = column(view.column)?;
        let numbers: ArrayRef = Arc::new(Int64Array::from_value(number, batch.rows));
        let columns = [numbers, Arc::clone(values)];
        RowKey::read(&columns, batch.rows, &mut self.values)?;
        self.hashes.clear();
        hash_columns(&columns, &mut self.hashes)?;
        self.taken.clear();
        self.taken.resize(batch.rows, 0);
        for (call, (_, filter)) in view.calls.iter().enumerate() {
            let filter = filter.map(|index| column(index).map(chosen)).transpose()?;
            for (row, taken) in self.taken.iter_mut().enumerate() {
                let takes = values.is_valid(row) && filter.as_ref().is_none_or(|filter| filter.value(row));
                *taken |= i64::from(takes) << call;
            }
        }
        Ok(())
    }

    /// Finds rows with the same key and value.
    fn find_equal<K: ColumnKey + Eq>(&mut self, keys: &KeyedRows<K>, found: &mut HashTable<u32>) {
        let Self { values, hashes, taken, value_of, firsts, calls } = self;
        found.clear();
        firsts.clear();
        calls.clear();
        value_of.clear();
        value_of.resize(taken.len(), 0);
        let pair = |row: usize| table_hash(hash::combine(keys.hashes()[row], hashes[row]));
        for row in (0..taken.len()).filter(|row| taken[*row] != 0) {
            let same = |index: &u32| {
                let first = firsts[*index as usize] as usize;
                values[first] == values[row] && keys.key(first) == keys.key(row)
            };
            let index = match found.entry(pair(row), same, |index| pair(firsts[*index as usize] as usize)) {
                Entry::Occupied(index) => *index.get(),
                Entry::Vacant(place) => {
                    let index = firsts.len() as u32;
                    place.insert(index);
                    firsts.push(row as u32);
                    calls.push(0);
                    index
                }
            };
            value_of[row] = index;
            calls[index as usize] |= taken[row];
        }
    }

    fn slots<'a, K: ColumnKey>(&'a self, keys: &'a KeyedRows<K>) -> Vec<Slot<'a, K, RowKey>> {
        let slot =
            |row: &u32| Slot { hash: keys.hashes()[*row as usize], key: keys.key(*row as usize), namespace: &self.values[*row as usize] };
        self.firsts.iter().map(slot).collect()
    }
}
