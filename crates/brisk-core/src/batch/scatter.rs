//! Splits typed batches over the targets of an exchange.
//!
//! Cost: one push per row and one comparison for the watermark; nothing per target unless something waits for it. Long runs of rows between
//! two watermarks are moved column by column, but with a look at each target before and after. A buffer holds no memory until its first
//! row, and then makes room for as many rows as the last batch had.
//!
//! Rows for the home target, which is probably read by the same core, stay in the memory of their batch where they are many: it is in that
//! core's cache, and only the others are written to memory that another core has used.

use super::{AnyBatch, Mark, Rows, Scatter, Scattered};
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
    /// Rows of the largest of the last batches, those for the home target left out: a guess at the next.
    guess: usize,
    /// The target whose rows may stay where they are.
    home: Option<usize>,
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
            home: None,
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

    /// Adds rows one by one.
    fn scatter_rows(&mut self, rows: Rows<T>, targets: &[u32], marks: &[Mark]) {
        let mut marks = marks.iter().peekable();
        for (row, (value, target)) in rows.values.into_iter().zip(targets).enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                self.advance(mark.watermark);
            }
            let timestamp = rows.timestamps.get(row).copied().unwrap_or(Timestamp::MIN);
            self.push(*target as usize, value, timestamp, rows.hashes.get(row).copied());
        }
        marks.for_each(|mark| self.advance(mark.watermark));
    }

    /// Adds the runs of rows between the marks.
    fn scatter_runs(&mut self, mut rows: Rows<T>, targets: &[u32], marks: &[Mark]) {
        let source = Source {
            values: rows.values.as_ptr(),
            timestamps: (!rows.timestamps.is_empty()).then_some(rows.timestamps.as_ptr()),
            hashes: (!rows.hashes.is_empty()).then_some(rows.hashes.as_ptr()),
        };
        assert!(source.timestamps.is_none() || rows.timestamps.len() == targets.len(), "a timestamp for each row");
        assert!(source.hashes.is_none() || rows.hashes.len() == targets.len(), "a hash for each row");
        let home = self.stays_home(targets);
        // SAFETY: no length is less than nothing. What is not moved out below, should that panic, leaks.
        unsafe { rows.values.set_len(0) };
        rows.timestamps.clear();
        rows.hashes.clear();
        if let Some(home) = home {
            // A watermark may wait there.
            rows.marks = std::mem::take(&mut self.buffers[home].marks);
            std::mem::swap(&mut self.buffers[home], &mut rows);
        }
        let mut row = 0;
        for (end, watermark) in marks.iter().map(|mark| (mark.row as usize, Some(mark.watermark))).chain([(targets.len(), None)]) {
            // SAFETY: the source lives in `rows` or in the buffer of the home target, which has room for all of its rows and so does not
            // move. The runs follow one another.
            unsafe { self.push_run(row..end, targets, &source, home) };
            row = end;
            watermark.into_iter().for_each(|watermark| self.advance(watermark));
        }
        let home = home.filter(|home| !self.full.contains(&(*home as u32)));
        self.full.extend(home.map(|home| home as u32));
    }

    /// Whether the rows of a batch for the home target are to stay in its memory: they are so many that they are worth sending on their own, and
    /// nothing waits there before them.
    fn stays_home(&self, targets: &[u32]) -> Option<usize> {
        let home = self.home.filter(|home| self.buffers[*home].values.is_empty())?;
        let enough = self.full_at / HOME_SHARE;
        (targets.len() >= enough && targets.iter().filter(|target| **target as usize == home).count() >= enough).then_some(home)
    }

    /// Adds the rows `run`, between which there is no watermark.
    ///
    /// # Safety
    /// As of [`push_chunk`]; the columns are those of the whole batch.
    unsafe fn push_run(&mut self, run: Range<usize>, targets: &[u32], of: &Source<T>, home: Option<usize>) {
        if run.is_empty() {
            return;
        }
        let (timestamped, hashed) = (of.timestamps.is_some(), of.hashes.is_some());
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
            // SAFETY: as the caller promises; each row is in one chunk.
            unsafe { push_chunk(&mut self.buffers, chunk, targets, of, home) };
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

/// The columns of a batch that is being moved row by row. The vectors they lie in have been emptied, so that no row is dropped twice, and
/// live for as long as this; one of them may be the buffer of the home target, which never has more rows than were taken before.
struct Source<T> {
    values: *const T,
    timestamps: Option<*const Timestamp>,
    hashes: Option<*const u64>,
}

/// Moves `rows` of a batch, at most [`CHUNK`], to the buffers that `targets` names: first finds the rows of each target, then copies column
/// by column. Nothing is counted in memory per row, and what a target gets is written in one go: a pass that puts each row into its buffer
/// at once takes three times as long.
///
/// # Safety
/// `rows` are rows of the source that have not been taken; they are taken in order. A buffer that lies in the source's own memory is that
/// of `home`.
unsafe fn push_chunk<T>(buffers: &mut [Rows<T>], rows: Range<usize>, targets: &[u32], source: &Source<T>, home: Option<usize>) {
    let first = rows.start;
    let targets = &targets[rows];
    let order = Order::of(targets, buffers.len());
    // What goes home may overwrite what others get, so it is last.
    let others = (0..buffers.len()).filter(|target| Some(*target) != home);
    let (mut picked, mut moved) = ([0; CHUNK], 0);
    for target in others.chain(home) {
        let picked = order.rows(targets, target as u32, &mut picked);
        if picked.is_empty() {
            continue;
        }
        moved += picked.len();
        let buffer = &mut buffers[target];
        let len = buffer.values.len();
        // SAFETY: the source has these rows. Where the buffer lies in the source's own memory, row `i` of it is not ahead of the row that
        // is read for it, and all rows of other targets in this chunk and before are gone.
        unsafe {
            gather(&mut buffer.values, source.values.add(first), picked);
            if let Some(timestamps) = source.timestamps {
                buffer.timestamps.resize(len, Timestamp::MIN);
                gather(&mut buffer.timestamps, timestamps.add(first), picked);
            }
            if let Some(hashes) = source.hashes {
                buffer.hashes.resize(len, 0);
                gather(&mut buffer.hashes, hashes.add(first), picked);
            }
        }
    }
    assert_eq!(moved, targets.len(), "each target exists");
}

/// Moves the items `picked` of `from` to the end of a column.
///
/// # Safety
/// `from` has these items, and nobody takes them again.
unsafe fn gather<C>(column: &mut Vec<C>, from: *const C, picked: &[u16]) {
    column.reserve(picked.len());
    let len = column.len();
    // SAFETY: there is room for all of them; the column's length grows when they are written.
    unsafe {
        let end = column.as_mut_ptr().add(len);
        for (place, row) in picked.iter().enumerate() {
            end.add(place).write(from.add(usize::from(*row)).read());
        }
        column.set_len(len + picked.len());
    }
}

/// Which rows of a chunk go to which target.
enum Order {
    /// Few targets: each finds its rows by comparing.
    Compared,
    /// Rows sorted by target, and where each target's begin; the last entry is the number of rows.
    Sorted { rows: Box<[u16; CHUNK]>, starts: Vec<u16> },
}

impl Order {
    fn of(targets: &[u32], count: usize) -> Self {
        if count <= FEW {
            return Self::Compared;
        }
        let mut next = vec![0; count + 1];
        targets.iter().for_each(|target| next[*target as usize] += 1);
        let mut sum = 0;
        for start in &mut next {
            sum += std::mem::replace(start, sum);
        }
        let starts = next.clone();
        let mut rows = Box::new([0; CHUNK]);
        for (row, target) in (0..).zip(targets) {
            let place = &mut next[*target as usize];
            rows[usize::from(*place)] = row;
            *place += 1;
        }
        Self::Sorted { rows, starts }
    }

    /// The rows of a target, ascending.
    fn rows<'a>(&'a self, targets: &[u32], target: u32, picked: &'a mut [u16; CHUNK]) -> &'a [u16] {
        match self {
            Self::Compared => {
                let mut count = 0;
                for (row, of) in (0..).zip(targets) {
                    picked[count % CHUNK] = row;
                    count += usize::from(*of == target);
                }
                &picked[..count]
            }
            Self::Sorted { rows, starts } => {
                let target = target as usize;
                &rows[usize::from(starts[target])..usize::from(starts[target + 1])]
            }
        }
    }
}

/// Targets are few if there are no more than this.
const FEW: usize = 8;
/// Rows for the home target that are this part of a full batch are sent on their own.
const HOME_SHARE: usize = 4;
/// Runs of rows are long when they have this many per target.
const LONG_RUN: usize = 8;
/// Rows of a long run that are moved at a time.
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
        let mut rows = Rows::<T>::from_any(batch)?;
        assert_eq!(rows.values.len(), targets.len(), "one target for each row");
        self.rows += targets.len();
        let marks = std::mem::take(&mut rows.marks);
        if targets.len() >= LONG_RUN * self.buffers.len() * (marks.len() + 1) {
            self.scatter_runs(rows, targets, &marks);
        } else {
            self.scatter_rows(rows, targets, &marks);
        }
        Ok(())
    }

    fn set_home(&mut self, target: usize) {
        self.home = Some(target);
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
        if self.home != Some(target) {
            self.guess = taken.values.len().max(self.guess - self.guess / 16);
        }
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
    use super::super::Step;
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
        fn targets_see_their_rows_under_the_right_watermark(targets in proptest::collection::vec(0u32..4, 0..200), cut in 1usize..100, at in proptest::collection::btree_set(0u32..200, 0..20), timestamped in proptest::collection::vec(any::<bool>(), 4), home in proptest::option::of(0usize..4)) {
            let mut scatter = RowScatter::<i64>::new(4, 7);
            home.into_iter().for_each(|home| scatter.set_home(home));
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

        /// Rows that own memory arrive once each, in order, over as many targets as are found by comparing and over more.
        #[test]
        fn long_runs_are_moved_in_order(count in 1u32..20, rows in 0u32..1500, seed in any::<u32>(), home in proptest::option::of(0usize..20)) {
            let targets: Vec<_> = (0..rows).map(|row| (row ^ seed).wrapping_mul(0x9E37_79B9) >> 16).map(|mixed| mixed % count).collect();
            let mut scatter = RowScatter::<String>::new(count as usize, 400);
            home.filter(|home| *home < count as usize).into_iter().for_each(|home| scatter.set_home(home));
            let mut batch = Rows::default();
            (0..rows).for_each(|row| batch.push(row.to_string(), Timestamp(i64::from(row))));
            scatter.scatter(Box::new(batch), &targets).expect("same type");
            for target in 0..count {
                let expected: Vec<_> = (0..rows).filter(|row| targets[*row as usize] == target).collect();
                let Scattered::Batch(batch) = scatter.take(target as usize) else {
                    prop_assert!(expected.is_empty());
                    continue;
                };
                let batch = Rows::<String>::from_any(batch).expect("same type");
                prop_assert_eq!(batch.timestamps, expected.iter().map(|row| Timestamp(i64::from(*row))).collect::<Vec<_>>());
                prop_assert_eq!(batch.values, expected.iter().map(u32::to_string).collect::<Vec<_>>());
            }
        }
    }
}
