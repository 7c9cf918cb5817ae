//! The inner loops of the [aligned operator](super::aligned): rows that fall into one set of windows are added one after the other.

use super::fold::Fold;
use super::time_window::Window;
use crate::key_selector::KeySelector;
use brisk_base::{Result, Timestamp};
use brisk_core::operator::{Budget, OperatorContext};
use brisk_core::state::{KeyedTable, Slot};
use brisk_core::types::{Key, Record};
use brisk_state::heap::{HeapNamespace, HeapTable, OpenNamespace};

/// The windows that hold one interval between two starts of windows.
pub(super) struct Current<W> {
    /// Start of the interval.
    pub(super) start: Timestamp,
    /// Its length; 0 when there is no interval.
    pub(super) len: u64,
    /// The windows that hold it and are not over, the latest first.
    pub(super) windows: Vec<W>,
    /// Where each of them lies in a table of the heap; found with the first row.
    pub(super) places: Vec<OpenNamespace>,
    /// Whether none of its windows has fired.
    pub(super) open: bool,
}

impl<W> Current<W> {
    pub(super) const fn none() -> Self {
        Self { start: Timestamp(0), len: 0, windows: Vec::new(), places: Vec::new(), open: false }
    }

    #[inline]
    pub(super) const fn holds(&self, timestamp: Timestamp) -> bool {
        (timestamp.0.wrapping_sub(self.start.0) as u64) < self.len
    }
}

/// The rows of a batch that have not been taken.
pub(super) struct Unread<'a, T> {
    pub(super) values: std::vec::IntoIter<T>,
    pub(super) timestamps: &'a [Timestamp],
    /// Key hashes; empty when there are none.
    pub(super) hashes: &'a [u64],
    /// Index of the next row.
    pub(super) row: usize,
}

impl<T> Unread<'_, T> {
    /// Timestamp of the next row.
    #[inline]
    pub(super) fn timestamp(&self) -> Timestamp {
        self.timestamps.get(self.row).copied().unwrap_or(Timestamp::MIN)
    }

    /// Key hash of the next row.
    #[inline]
    pub(super) fn hash(&self, key: &impl Key) -> u64 {
        self.hashes.get(self.row).copied().unwrap_or_else(|| key.key_hash())
    }

    /// How many of the next rows up to `until` lie in the current interval.
    fn within<W>(&self, current: &Current<W>, until: usize) -> usize {
        match self.timestamps.get(self.row..until) {
            Some(timestamps) => timestamps.iter().take_while(|timestamp| current.holds(**timestamp)).count(),
            None => 0,
        }
    }

    /// The next row.
    #[inline]
    pub(super) fn take(&mut self) -> Option<T> {
        self.values.next()
    }
}

/// Adds the rows of the current windows to a table of the heap. Says whether to stop. Cost per row and window: one probe; the key is
/// cloned only where it is new.
#[inline]
pub(super) fn add_to_heap<T, S, W, F>(
    table: &mut HeapTable<S::Key, W, F::Acc>,
    current: &mut Current<W>,
    selector: &S,
    fold: &mut F,
    rows: &mut Unread<'_, T>,
    until: usize,
    cx: &mut OperatorContext<'_>,
) -> Result<bool>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    F: Fold<T>,
{
    if current.places.is_empty() {
        let place = |window| table.open_namespace(window).expect("the contents are laid out by window");
        current.places.extend(current.windows.iter().map(place));
    }
    let (last, others) = current.places.split_last().expect("an open interval has windows");
    if others.is_empty() {
        return add_to_one(table.in_namespace(*last), current, selector, fold, rows, until, cx.budget);
    }
    while rows.row < until && current.holds(rows.timestamp()) {
        let Some(value) = rows.take() else { break };
        let key = selector.key(&value);
        let hash = rows.hash(&*key);
        for place in others {
            let mut contents = table.in_namespace(*place);
            match contents.get_mut(hash, &key) {
                Some(acc) => fold.add(acc, value.clone())?,
                None => contents.insert_new(hash, key.clone().into_owned(), fold.create(value.clone())?),
            }
        }
        let mut contents = table.in_namespace(*last);
        if let Some(acc) = contents.get_mut(hash, &key) {
            drop(key);
            fold.add(acc, value)?;
        } else {
            let key = key.into_owned();
            contents.insert_new(hash, key, fold.create(value)?);
        }
        rows.row += 1;
        if cx.budget.row() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// [`add_to_heap`] where there is one window: rows are counted and their times compared apart from the loop that adds them, which leaves
/// more of them to be looked up at the same time.
#[inline]
fn add_to_one<T, S, W, F>(
    mut contents: HeapNamespace<'_, S::Key, F::Acc>,
    current: &Current<W>,
    selector: &S,
    fold: &mut F,
    rows: &mut Unread<'_, T>,
    until: usize,
    budget: &mut Budget,
) -> Result<bool>
where
    T: Record,
    S: KeySelector<T>,
    F: Fold<T>,
{
    let mut left = rows.within(current, until);
    while left > 0 {
        let count = left.min(budget.allowance());
        let hashes = rows.hashes.get(rows.row..).unwrap_or_default();
        for (at, value) in rows.values.by_ref().take(count).enumerate() {
            let key = selector.key(&value);
            let hash = hashes.get(at).copied().unwrap_or_else(|| key.key_hash());
            if let Some(acc) = contents.get_mut(hash, &key) {
                drop(key);
                fold.add(acc, value)?;
            } else {
                let key = key.into_owned();
                contents.insert_new(hash, key, fold.create(value)?);
            }
        }
        rows.row += count;
        left -= count;
        if budget.rows(count) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds the rows of the current windows to a table of any kind. Says whether to stop.
pub(super) fn add_to_any<T, S, W, F>(
    table: &mut dyn KeyedTable<S::Key, W, F::Acc>,
    current: &Current<W>,
    selector: &S,
    fold: &mut F,
    rows: &mut Unread<'_, T>,
    until: usize,
    cx: &mut OperatorContext<'_>,
) -> Result<bool>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    F: Fold<T>,
{
    while rows.row < until && current.holds(rows.timestamp()) {
        let Some(value) = rows.take() else { break };
        let key = selector.key(&value).into_owned();
        let hash = rows.hash(&key);
        for window in &current.windows {
            add_to(table, Slot { hash, key: &key, namespace: window }, value.clone(), fold)?;
        }
        rows.row += 1;
        if cx.budget.row() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Folds an element into the accumulator of a slot.
#[inline]
pub(super) fn add_to<T, K: Key, W: Window, F: Fold<T>>(
    table: &mut dyn KeyedTable<K, W, F::Acc>,
    slot: Slot<'_, K, W>,
    value: T,
    fold: &mut F,
) -> Result<()> {
    let mut value = Some(value);
    table.update(slot, &mut |acc| {
        match (acc.as_mut(), value.take()) {
            (Some(acc), Some(value)) => fold.add(acc, value)?,
            (None, Some(value)) => *acc = Some(fold.create(value)?),
            (_, None) => {}
        }
        Ok(())
    })
}
