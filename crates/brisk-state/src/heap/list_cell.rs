//! A list that is cheap to clone: full segments are shared.

use super::cells::Cell;
use super::frozen::{CellRows, RowVisitor};
use crate::entry;
use brisk_base::{Result, Timestamp};
use brisk_core::state::ListView;
use brisk_core::types::Record;
use std::sync::Arc;

/// Elements of a segment: the most that are copied by the first append after a freeze.
const SEGMENT: usize = 256;

/// A list in a table.
#[derive(Clone)]
pub(crate) struct ListCell<V> {
    /// Full segments.
    segments: Vec<Arc<Vec<V>>>,
    /// The elements after them; fewer than a segment.
    tail: Vec<V>,
}

impl<V> Default for ListCell<V> {
    fn default() -> Self {
        Self { segments: Vec::new(), tail: Vec::new() }
    }
}

impl<V: Record> ListCell<V> {
    #[inline]
    pub(crate) fn push(&mut self, value: V) {
        self.tail.push(value);
        if self.tail.len() == SEGMENT {
            self.segments.push(Arc::new(std::mem::take(&mut self.tail)));
        }
    }

    pub(crate) fn extend(&mut self, values: impl IntoIterator<Item = V>) {
        values.into_iter().for_each(|value| self.push(value));
    }

    pub(crate) fn view(&self) -> ListView<'_, V> {
        ListView::new(&self.segments, &self.tail)
    }

    pub(crate) fn into_vec(self) -> Vec<V> {
        if self.segments.is_empty() {
            return self.tail;
        }
        let mut all = Vec::with_capacity(self.view().len());
        for segment in self.segments {
            match Arc::try_unwrap(segment) {
                Ok(segment) => all.extend(segment),
                Err(shared) => all.extend_from_slice(&shared),
            }
        }
        all.extend(self.tail);
        all
    }
}

impl<V: Record> Cell for ListCell<V> {
    fn heap_bytes(&self) -> usize {
        let pieces = self.segments.iter().map(|segment| segment.heap_bytes()).sum::<usize>() + self.tail.heap_bytes();
        self.segments.capacity() * size_of::<Arc<Vec<V>>>() + pieces
    }

    fn expire(&mut self, is_expired: &dyn Fn(Timestamp) -> bool) -> bool {
        let gone = |element: &V| element.last_use().is_some_and(is_expired);
        if self.view().iter().any(gone) {
            let all = std::mem::take(self).into_vec();
            self.extend(all.into_iter().filter(|element| !gone(element)));
        }
        self.view().is_empty()
    }
}

impl<V: Record> CellRows for ListCell<V> {
    fn rows(&self, key: &mut Vec<u8>, value: &mut Vec<u8>, visit: &mut RowVisitor<'_>) -> Result<()> {
        let mut scratch = Vec::new();
        self.view().iter().for_each(|element| entry::put_element(element, &mut scratch, value));
        visit(key, value)
    }
}
