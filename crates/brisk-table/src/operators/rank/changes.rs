//! What has changed among the first rows of a key.

use crate::operators::row::{RowBuilder, ValueType};
use arrow_array::Int64Array;
use brisk_base::Result;
use brisk_core::batch::{Columns, RowKind};
use std::sync::Arc;

/// What a row is ordered by, and its bytes.
pub(super) type Ranked = (Vec<u8>, Vec<u8>);

/// The first rows of a key.
pub(super) type First = Vec<Ranked>;

/// Changes in the making.
pub(super) struct Changes {
    rows: RowBuilder,
    places: Vec<Option<i64>>,
    kinds: Vec<RowKind>,
}

impl Changes {
    pub(super) fn new(types: &[ValueType]) -> Self {
        Self { rows: RowBuilder::new(types), places: Vec::new(), kinds: Vec::new() }
    }

    /// Columns of the rows, and their places. The net change of a batch is known only at its end, and so are its watermarks.
    pub(super) fn finish(mut self, batch: &Columns) -> Columns {
        let mut columns = self.rows.finish();
        columns.push(Arc::new(Int64Array::from(self.places)));
        let rows = self.kinds.len();
        let kinds = if self.kinds.iter().all(|kind| *kind == RowKind::Insert) { Vec::new() } else { self.kinds };
        let mut output = Columns { columns, rows, kinds, ..Columns::default() };
        batch.marks.iter().for_each(|mark| output.mark(mark.watermark));
        output
    }

    fn push(&mut self, kind: RowKind, row: &[u8], place: Option<usize>) -> Result<()> {
        self.kinds.push(kind);
        self.places.push(place.map(|place| place as i64 + 1));
        self.rows.push(row)
    }

    /// What has changed where each row has its place.
    pub(super) fn by_place(&mut self, before: &[&[u8]], after: &[&[u8]]) -> Result<()> {
        for place in 0..before.len().max(after.len()) {
            match (before.get(place), after.get(place)) {
                (Some(old), Some(new)) if old == new => {}
                (Some(old), Some(new)) => {
                    self.push(RowKind::UpdateBefore, old, Some(place))?;
                    self.push(RowKind::UpdateAfter, new, Some(place))?;
                }
                (Some(old), None) => self.push(RowKind::Delete, old, Some(place))?,
                (None, Some(new)) => self.push(RowKind::Insert, new, Some(place))?,
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// What has changed where places are not shown: rows that are gone, and rows that are new.
    pub(super) fn by_row(&mut self, before: &[&[u8]], after: &[&[u8]]) -> Result<()> {
        // What is the same at both ends is quickly passed over.
        let same = |(one, two): &(&&[u8], &&[u8])| one == two;
        let front = before.iter().zip(after).take_while(same).count();
        let (before, after) = (&before[front..], &after[front..]);
        let back = before.iter().rev().zip(after.iter().rev()).take_while(same).count();
        let (before, after) = (&before[..before.len() - back], &after[..after.len() - back]);
        let mut gone: Vec<&[u8]> = before.to_vec();
        let mut new = Vec::new();
        for row in after {
            match gone.iter().position(|old| old == row) {
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
