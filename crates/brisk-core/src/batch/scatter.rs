//! Splits typed batches over the targets of an exchange.
//!
//! Cost: one push per row and one comparison for the watermark; nothing per target unless something waits for it. Long runs of rows between
//! two watermarks are moved with less, but with a look at each target before and after. A buffer holds no memory until its first row, and
//! then makes room for as many rows as the last batch had.

use super::{AnyBatch, Rows, Scatter, Scattered};
use crate::types::Record;
use brisk_base::{Result, Timestamp};
use std::ops::Range;

/// The scatter of typed batches.
pub struct RowScatter<T> {
    /// What waits for each target.
    buffers: Vec<Rows<T>>,
    /// The newest watermark that each target has been given, or that lies in its buffer.
    marked: Vec<Timestamp>,
    /// The newest watermark of the stream.
    watermark: Timestamp,
    /// Rows that make a buffer full.
    full_at: usize,
    /// Targets that became full and have not been reported.
    full: Vec<u32>,
    /// Rows in all buffers.
    rows: usize,
    /// Rows of the largest of the last batches: a guess at the next.
    guess: usize,
}

impl<T: Record> RowScatter<T> {
    pub(super) fn new(targets: usize, full_at: usize) -> Self {
        let buffers = (0..targets).map(|_| Rows::default()).collect();
        Self {
            buffers,
            marked: vec![Timestamp::MIN; targets],
            watermark: Timestamp::MIN,
            full_at: full_at.max(1),
            full: Vec::new(),
            rows: 0,
            guess: 0,
        }
    }

    #[inline]
    fn push(&mut self, target: usize, value: T, timestamp: Timestamp, hash: Option<u64>) {
        let buffer = &mut self.buffers[target];
        if buffer.values.capacity() == 0 {
            make_room(buffer, self.guess, timestamp.is_set(), hash.is_some());
        }
        if self.marked[target] != self.watermark {
            buffer.mark(self.watermark);
            self.marked[target] = self.watermark;
        }
        buffer.push(value, timestamp);
        if let Some(hash) = hash {
            buffer.hashes.push(hash);
        }
        if buffer.values.len() == self.full_at {
            self.full.push(target as u32);
        }
    }

    /// Adds the rows `run`, the next ones of `values`, between which there is no watermark.
    fn push_run(&mut self, values: &mut std::vec::IntoIter<T>, run: Range<usize>, of: &Columns<'_>) {
        let (timestamped, hashed) = (!of.timestamps.is_empty(), !of.hashes.is_empty());
        for (buffer, marked) in self.buffers.iter_mut().zip(&mut self.marked) {
            if buffer.values.capacity() == 0 {
                make_room(buffer, self.guess + CHUNK, timestamped, hashed);
            }
            if *marked != self.watermark {
                buffer.mark(self.watermark);
                *marked = self.watermark;
            }
        }
        let mut row = run.start;
        while row < run.end {
            let chunk = row..run.end.min(row + CHUNK);
            row = chunk.end;
            let timestamps = of.timestamps.get(chunk.clone()).unwrap_or_default();
            let hashes = of.hashes.get(chunk.clone()).unwrap_or_default();
            push_chunk(&mut self.buffers, values, &of.targets[chunk], timestamps, hashes);
        }
        for (target, buffer) in (0..).zip(&mut self.buffers) {
            if !timestamped && !buffer.timestamps.is_empty() {
                buffer.timestamps.resize(buffer.values.len(), Timestamp::MIN);
            }
            if buffer.values.len() >= self.full_at && !self.full.contains(&target) {
                self.full.push(target);
            }
        }
    }
}

/// Where the next row of one target goes.
struct Lane<T> {
    values: *mut T,
    timestamps: *mut Timestamp,
    hashes: *mut u64,
    len: usize,
}

/// Moves the next values to the buffers that `targets` names, with their timestamps and hashes, where there are any: then there is one for
/// each. One pass with one length per target: three lengths, as pushes have, are three chains of stores and loads, and take twice the time
/// (3.9 against 8 ns a row of 24 bytes for two targets on two cores, with the misses of the caches).
fn push_chunk<T>(buffers: &mut [Rows<T>], values: &mut std::vec::IntoIter<T>, targets: &[u32], timestamps: &[Timestamp], hashes: &[u64]) {
    let count = targets.len().min(values.len());
    let (timestamped, hashed) = (!timestamps.is_empty(), !hashes.is_empty());
    assert!((!timestamped || timestamps.len() >= count) && (!hashed || hashes.len() >= count), "a column is shorter than the batch");
    let lane = |buffer: &mut Rows<T>| {
        let len = buffer.values.len();
        buffer.values.reserve(count);
        if timestamped {
            buffer.timestamps.resize(len, Timestamp::MIN);
            buffer.timestamps.reserve(count);
        }
        if hashed {
            buffer.hashes.resize(len, 0);
            buffer.hashes.reserve(count);
        }
        Lane { values: buffer.values.as_mut_ptr(), timestamps: buffer.timestamps.as_mut_ptr(), hashes: buffer.hashes.as_mut_ptr(), len }
    };
    let mut lanes: Vec<_> = buffers.iter_mut().map(lane).collect();
    for (row, (value, target)) in values.take(count).zip(targets).enumerate() {
        let lane = &mut lanes[*target as usize];
        // SAFETY: all vectors of a lane had `len` items and room for `count` more, and this happens at most `count` times; the vectors
        // are not touched in between, so they do not move.
        unsafe {
            lane.values.add(lane.len).write(value);
            if timestamped {
                lane.timestamps.add(lane.len).write(timestamps[row]);
            }
            if hashed {
                lane.hashes.add(lane.len).write(hashes[row]);
            }
        }
        lane.len += 1;
    }
    for (buffer, lane) in buffers.iter_mut().zip(lanes) {
        // SAFETY: the loop above has written every item up to `lane.len`. Had it panicked, the values written would leak.
        unsafe {
            buffer.values.set_len(lane.len);
            if timestamped {
                buffer.timestamps.set_len(lane.len);
            }
            if hashed {
                buffer.hashes.set_len(lane.len);
            }
        }
    }
}

/// What a batch says of its rows.
struct Columns<'a> {
    targets: &'a [u32],
    timestamps: &'a [Timestamp],
    hashes: &'a [u64],
}

/// A run of rows is long when it has this many per target.
const LONG_RUN: usize = 8;
/// Rows of a long run that are moved at a time: each target must have room for all of them.
const CHUNK: usize = 256;

/// Makes room for a first row and those that will follow it.
#[cold]
fn make_room<T>(buffer: &mut Rows<T>, rows: usize, timestamps: bool, hashes: bool) {
    buffer.values.reserve_exact(rows);
    buffer.timestamps.reserve_exact(if timestamps { rows } else { 0 });
    buffer.hashes.reserve_exact(if hashes { rows } else { 0 });
}

impl<T: Record> Scatter for RowScatter<T> {
    fn scatter(&mut self, batch: Box<dyn AnyBatch>, targets: &[u32]) -> Result<()> {
        let rows = Rows::<T>::from_any(batch)?;
        debug_assert_eq!(rows.values.len(), targets.len());
        self.rows += targets.len();
        let Rows { values, timestamps, hashes, marks } = rows;
        let of = Columns { targets, timestamps: &timestamps, hashes: &hashes };
        let mut values = values.into_iter();
        let mut row = 0;
        let ends = marks.iter().map(|mark| (mark.row as usize, Some(mark.watermark)));
        for (end, watermark) in ends.chain([(targets.len(), None)]) {
            if end - row >= LONG_RUN * self.buffers.len() {
                self.push_run(&mut values, row..end, &of);
            } else {
                for (row, value) in (row..end).zip(values.by_ref()) {
                    let timestamp = timestamps.get(row).copied().unwrap_or(Timestamp::MIN);
                    self.push(targets[row] as usize, value, timestamp, hashes.get(row).copied());
                }
            }
            row = end;
            watermark.into_iter().for_each(|watermark| self.advance(watermark));
        }
        Ok(())
    }

    fn advance(&mut self, watermark: Timestamp) {
        self.watermark = self.watermark.max(watermark);
    }

    fn drain_full(&mut self, full: &mut Vec<u32>) {
        full.append(&mut self.full);
    }

    fn take(&mut self, target: usize) -> Scattered {
        let behind = std::mem::replace(&mut self.marked[target], self.watermark) != self.watermark;
        let buffer = &mut self.buffers[target];
        if buffer.values.is_empty() {
            // A long run of rows, none of them for this target, may have left the watermark here.
            let behind = behind || !buffer.marks.is_empty();
            buffer.marks.clear();
            return if behind { Scattered::Watermark(self.watermark) } else { Scattered::Nothing };
        }
        if behind {
            buffer.mark(self.watermark);
        }
        let taken = std::mem::take(buffer);
        self.guess = taken.values.len().max(self.guess - self.guess / 16);
        self.rows -= taken.values.len();
        Scattered::Batch(Box::new(taken))
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && (0..self.buffers.len()).all(|target| !self.is_behind(target))
    }

    fn rows(&self, target: usize) -> usize {
        self.buffers[target].values.len()
    }

    fn is_behind(&self, target: usize) -> bool {
        let buffer = &self.buffers[target];
        self.marked[target] != self.watermark || (buffer.values.is_empty() && !buffer.marks.is_empty())
    }

    fn is_worth_sending(&self, batch: &dyn AnyBatch) -> bool {
        batch.len() * 2 >= self.full_at
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mark, Step};
    use super::*;
    use proptest::prelude::*;

    fn taken(scatter: &mut dyn Scatter, target: usize) -> Vec<Step<i64>> {
        match scatter.take(target) {
            Scattered::Batch(batch) => Rows::from_any(batch).expect("same type").into_cursor().collect(),
            Scattered::Watermark(watermark) => vec![Step::Watermark(watermark)],
            Scattered::Nothing => Vec::new(),
        }
    }

    proptest! {
        /// Each target sees its rows in order, and before each row the newest watermark of the whole stream.
        #[test]
        fn targets_see_their_rows_under_the_right_watermark(targets in proptest::collection::vec(0u32..4, 0..200), cut in 1usize..100, at in proptest::collection::btree_set(0u32..200, 0..20), timestamped in proptest::collection::vec(any::<bool>(), 4)) {
            let mut scatter = RowScatter::<i64>::new(4, 7);
            let mut seen: Vec<Vec<Step<i64>>> = vec![Vec::new(); 4];
            let mut full = Vec::new();
            for (chunk, part) in targets.chunks(cut).enumerate() {
                let mut rows = Rows::default();
                for row in (0..part.len()).map(|i| (chunk * cut + i) as i64) {
                    rows.push(row, if timestamped[chunk % 4] { Timestamp(row) } else { Timestamp::MIN });
                    rows.hashes.push(row as u64);
                }
                for row in 0..part.len() {
                    if at.contains(&((chunk * cut + row) as u32)) {
                        rows.marks.push(Mark { row: row as u32, watermark: Timestamp((chunk * cut + row) as i64) });
                    }
                }
                scatter.scatter(Box::new(rows), part).expect("same type");
                scatter.drain_full(&mut full);
                for target in full.drain(..) {
                    let mut more = taken(&mut scatter, target as usize);
                    seen[target as usize].append(&mut more);
                }
            }
            for (target, seen) in seen.iter_mut().enumerate() {
                seen.append(&mut taken(&mut scatter, target));
                let mut watermark = Timestamp::MIN;
                let mut rows = Vec::new();
                for step in seen.iter() {
                    match step {
                        Step::Watermark(next) => { prop_assert!(*next > watermark); watermark = *next; }
                        Step::Row(row, timestamp, hash) => {
                            prop_assert!(!timestamp.is_set() || timestamp.0 == *row);
                            prop_assert_eq!(timestamp.is_set(), timestamped[(*row as usize / cut) % 4]);
                            prop_assert_eq!(*hash, *row as u64);
                            let newest = at.iter().filter(|mark| i64::from(**mark) <= *row).max().map_or(Timestamp::MIN, |mark| Timestamp(i64::from(*mark)));
                            prop_assert_eq!(watermark, newest);
                            rows.push(*row as usize);
                        }
                    }
                }
                let expected: Vec<_> = (0..targets.len()).filter(|row| targets[*row] as usize == target).collect();
                prop_assert_eq!(rows, expected);
            }
            prop_assert!(scatter.is_empty());
        }
    }
}
