//! Which rows come into a frame, and which leave it.

use super::Frame;
use crate::operators::row::{Field, RowKey, fields};
use brisk_base::{Error, Result};
use brisk_core::state::{KeyedMapTable, Slot};
use std::ops::{Bound, ControlFlow};

/// The rows of each key that may still leave its frame, by time and number within it.
pub(super) type History = Box<dyn KeyedMapTable<RowKey, (), RowKey, Vec<u8>>>;

/// What happens to one key.
#[derive(Default)]
pub(super) struct Steps {
    /// Bytes of rows, and whether they come or go.
    pub(super) rows: Vec<(Vec<u8>, i64)>,
    /// The results behind so many rows are those of these rows, which are numbers in `rows`.
    pub(super) results: Vec<(usize, Vec<usize>)>,
}

fn place(time: i64, number: u64) -> RowKey {
    let mut place = RowKey::new();
    place.push_i64(time);
    place.push_u64(number);
    place
}

/// Adds rows of one key and one time, the first with this number. `count` is the number of rows in the frame.
pub(super) fn advance(
    frame: Frame,
    (time, number): (i64, u64),
    rows: Vec<Vec<u8>>,
    history: &mut Option<History>,
    slot: Slot<'_, RowKey, ()>,
    count: &mut i64,
    steps: &mut Steps,
) -> Result<()> {
    if let (Frame::Range(Some(span)), Some(history)) = (frame, &mut *history) {
        let first = place(time.saturating_sub(span), 0);
        let range = (Bound::Unbounded, Bound::Excluded(&first));
        history.range(slot, range, &mut |_, row| {
            steps.rows.push((row.clone(), -1));
            *count -= 1;
            Ok(ControlFlow::Continue(()))
        })?;
        history.remove_range(slot, range)?;
    }
    let mut peers = Vec::new();
    for (number, row) in (number..).zip(rows) {
        if let (Frame::Rows(Some(before)), Some(history)) = (frame, &mut *history) {
            let most = i64::try_from(before).unwrap_or(i64::MAX);
            while *count > most {
                steps.rows.push((first(history, slot)?, -1));
                *count -= 1;
            }
        }
        if let Some(history) = history {
            history.put(slot, place(time, number), row.clone())?;
        }
        *count += 1;
        let at = steps.rows.len();
        steps.rows.push((row, 1));
        match frame {
            Frame::Rows(_) => steps.results.push((at + 1, vec![at])),
            Frame::Range(_) => peers.push(at),
        }
    }
    if !peers.is_empty() {
        steps.results.push((steps.rows.len(), peers));
    }
    Ok(())
}

/// Takes the first row out of the history.
fn first(history: &mut History, slot: Slot<'_, RowKey, ()>) -> Result<Vec<u8>> {
    let mut first = None;
    history.range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |place, _| {
        first = Some(place.clone());
        Ok(ControlFlow::Break(()))
    })?;
    let row = first.map(|place| history.remove(slot, &place)).transpose()?.flatten();
    row.ok_or_else(|| Error::corrupt("the state of an OVER aggregation has fewer rows than it counts"))
}

/// The number that the next row of a time has.
pub(super) fn next_number(history: &mut History, slot: Slot<'_, RowKey, ()>, time: i64) -> Result<u64> {
    let (from, to) = (place(time, 0), place(time.saturating_add(1), 0));
    let mut next = 0;
    history.range(slot, (Bound::Included(&from), Bound::Excluded(&to)), &mut |place, _| {
        next = match fields(place.as_bytes()).nth(1).transpose()? {
            Some(Field::Integer(number)) => number as u64 + 1,
            _ => return Err(Error::corrupt("a row in the state of an OVER aggregation has no number")),
        };
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(next)
}
