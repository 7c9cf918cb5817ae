//! Typed batches: a vector of values with optional timestamps, key hashes and marks.
//!
//! Invariants: `timestamps` and `hashes` are empty or as long as `values`; marks ascend in row and strictly in watermark.

use super::{AnyBatch, BatchType, Mark, RowScatter, Scatter, rows_per_batch, scattered_rows};
use crate::types::{Decoder, Record};
use brisk_base::{Error, Result, Timestamp};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

/// A typed batch. The fields are public because operators loop over them; keep the module's invariants.
pub struct Rows<T> {
    /// The records.
    pub values: Vec<T>,
    /// Empty when no record has a timestamp; [`Timestamp::MIN`] for a record without one.
    pub timestamps: Vec<Timestamp>,
    /// Frozen key hash of each record, or empty.
    pub hashes: Vec<u64>,
    /// Watermarks between the records.
    pub marks: Vec<Mark>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { values: Vec::new(), timestamps: Vec::new(), hashes: Vec::new(), marks: Vec::new() }
    }
}

impl<T> From<Vec<T>> for Rows<T> {
    fn from(values: Vec<T>) -> Self {
        Self { values, ..Self::default() }
    }
}

impl<T> fmt::Debug for Rows<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows of {}, {} marks", self.values.len(), std::any::type_name::<T>(), self.marks.len())
    }
}

impl<T> Rows<T> {
    /// Rows of a full batch of `T`.
    pub const FULL: usize = rows_per_batch(size_of::<T>() + 8);

    /// Room for a full batch.
    pub fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), ..Self::default() }
    }

    /// Whether there is neither a row nor a mark.
    pub fn is_blank(&self) -> bool {
        self.values.is_empty() && self.marks.is_empty()
    }

    /// Timestamp of a row; [`Timestamp::MIN`] if it has none.
    #[inline]
    pub fn timestamp(&self, row: usize) -> Timestamp {
        self.timestamps.get(row).copied().unwrap_or(Timestamp::MIN)
    }

    /// Appends a row; `timestamp` is [`Timestamp::MIN`] for none.
    #[inline]
    pub fn push(&mut self, value: T, timestamp: Timestamp) {
        self.values.push(value);
        if timestamp.is_set() || !self.timestamps.is_empty() {
            self.push_timestamp(timestamp);
        }
    }

    /// The timestamp of the last row.
    #[inline]
    fn push_timestamp(&mut self, timestamp: Timestamp) {
        let before = self.values.len() - 1;
        if self.timestamps.len() < before {
            self.timestamps.resize(before, Timestamp::MIN);
        }
        self.timestamps.push(timestamp);
    }

    /// Notes that the watermark advances after the last row.
    pub fn mark(&mut self, watermark: Timestamp) {
        let row = self.values.len() as u32;
        match self.marks.last_mut() {
            Some(last) if last.row == row => last.watermark = last.watermark.max(watermark),
            Some(last) if last.watermark >= watermark => {}
            _ => self.marks.push(Mark { row, watermark }),
        }
    }

    /// The same timestamps, hashes and marks over other values, one for each row.
    pub fn with_values<U>(self, values: Vec<U>) -> Rows<U> {
        debug_assert_eq!(values.len(), self.timestamps.len().max(values.len()));
        Rows { values, timestamps: self.timestamps, hashes: Vec::new(), marks: self.marks }
    }

    /// Reads the batch from the front, watermarks in their places.
    pub fn into_cursor(self) -> Cursor<T> {
        Cursor {
            values: self.values.into_iter(),
            timestamps: self.timestamps,
            hashes: self.hashes,
            marks: self.marks,
            row: 0,
            next_mark: 0,
        }
    }

    fn split(&mut self, rows: usize) -> Self {
        let rows = rows.min(self.values.len());
        let cut = |marks: &mut Vec<Mark>| {
            let keep = marks.iter().take_while(|mark| mark.row as usize <= rows).count();
            let rest = marks.split_off(keep);
            std::mem::replace(marks, rest.into_iter().map(|mark| Mark { row: mark.row - rows as u32, ..mark }).collect())
        };
        let front = |all: &mut Vec<Timestamp>| if all.is_empty() { Vec::new() } else { split_vec(all, rows) };
        Self {
            values: split_vec(&mut self.values, rows),
            timestamps: front(&mut self.timestamps),
            hashes: if self.hashes.is_empty() { Vec::new() } else { split_vec(&mut self.hashes, rows) },
            marks: cut(&mut self.marks),
        }
    }
}

/// Removes and returns the first `n` items.
fn split_vec<T>(all: &mut Vec<T>, n: usize) -> Vec<T> {
    let rest = all.split_off(n);
    std::mem::replace(all, rest)
}

impl<T: Record> AnyBatch for Rows<T> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn bytes_held(&self) -> usize {
        let heap = match self.values.first() {
            Some(first) if first.heap_bytes() > 0 => self.values.iter().map(Record::heap_bytes).sum(),
            _ => 0,
        };
        heap + self.values.len() * size_of::<T>() + self.timestamps.len() * 8 + self.hashes.len() * 8 + self.marks.len() * size_of::<Mark>()
    }

    fn marks(&self) -> &[Mark] {
        &self.marks
    }

    fn marks_mut(&mut self) -> &mut Vec<Mark> {
        &mut self.marks
    }

    fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    fn set_hashes(&mut self, hashes: Vec<u64>) {
        self.hashes = hashes;
    }

    fn split_front(&mut self, rows: usize) -> Box<dyn AnyBatch> {
        Box::new(self.split(rows))
    }

    fn clone_batch(&self) -> Box<dyn AnyBatch> {
        Box::new(Self {
            values: self.values.clone(),
            timestamps: self.timestamps.clone(),
            hashes: self.hashes.clone(),
            marks: self.marks.clone(),
        })
    }

    fn new_scatter(&self, targets: usize) -> Box<dyn Scatter> {
        Box::new(RowScatter::<T>::new(targets, scattered_rows(Self::FULL, targets)))
    }

    /// Layout: rows u32, flags u8 (1 timestamps, 2 hashes), timestamps i64 each, hashes u64 each, marks u32 count then (u32, i64) each,
    /// then the records one after another; all numbers little-endian.
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.values.len() as u32).to_le_bytes());
        out.push(u8::from(!self.timestamps.is_empty()) | u8::from(!self.hashes.is_empty()) << 1);
        self.timestamps.iter().for_each(|timestamp| out.extend_from_slice(&timestamp.0.to_le_bytes()));
        self.hashes.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
        out.extend_from_slice(&(self.marks.len() as u32).to_le_bytes());
        for mark in &self.marks {
            out.extend_from_slice(&mark.row.to_le_bytes());
            out.extend_from_slice(&mark.watermark.0.to_le_bytes());
        }
        self.values.iter().for_each(|value| value.encode(out));
    }

    fn type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl<T: Record> Rows<T> {
    /// Takes a batch back as the type it was made with.
    ///
    /// # Errors
    /// A defect of the graph: the batch holds another type.
    pub fn from_any(batch: Box<dyn AnyBatch>) -> Result<Self> {
        let found = batch.type_name();
        match batch.into_any().downcast::<Self>() {
            Ok(rows) => Ok(*rows),
            Err(_) => Err(Error::bug(format!("expected a batch of {}, got one of {found}", std::any::type_name::<T>()))),
        }
    }

    /// How batches of this type are read from bytes.
    pub fn batch_type() -> std::sync::Arc<dyn BatchType> {
        std::sync::Arc::new(RowsType::<T>(PhantomData))
    }
}

/// Decodes batches of `T`.
struct RowsType<T>(PhantomData<fn() -> T>);

impl<T> fmt::Debug for RowsType<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rows<{}>", std::any::type_name::<T>())
    }
}

impl<T: Record> BatchType for RowsType<T> {
    fn decode(&self, bytes: &[u8]) -> Result<Box<dyn AnyBatch>> {
        let mut input = Decoder::new(bytes);
        let rows = u32::from_le_bytes(input.take_array()?) as usize;
        let [flags] = input.take_array()?;
        let mut batch = Rows::<T>::default();
        if flags & 1 != 0 {
            for _ in 0..rows {
                batch.timestamps.push(Timestamp(i64::from_le_bytes(input.take_array()?)));
            }
        }
        if flags & 2 != 0 {
            for _ in 0..rows {
                batch.hashes.push(u64::from_le_bytes(input.take_array()?));
            }
        }
        for _ in 0..u32::from_le_bytes(input.take_array()?) {
            let row = u32::from_le_bytes(input.take_array()?);
            let watermark = Timestamp(i64::from_le_bytes(input.take_array()?));
            let ordered = batch.marks.last().is_none_or(|last: &Mark| last.row <= row && last.watermark < watermark);
            if row as usize > rows || !ordered {
                return Err(Error::corrupt(format!("mark at row {row} of a batch of {rows} rows is out of order")));
            }
            batch.marks.push(Mark { row, watermark });
        }
        for _ in 0..rows {
            batch.values.push(T::decode(&mut input)?);
        }
        Ok(Box::new(batch))
    }

    fn name(&self) -> &'static str {
        std::any::type_name::<T>()
    }
}

/// Reads a batch from the front: rows and watermarks in order.
pub struct Cursor<T> {
    values: std::vec::IntoIter<T>,
    timestamps: Vec<Timestamp>,
    hashes: Vec<u64>,
    marks: Vec<Mark>,
    row: usize,
    next_mark: usize,
}

/// What a [`Cursor`] gives.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<T> {
    /// A record with its timestamp ([`Timestamp::MIN`] for none) and its key hash (0 for none).
    Row(T, Timestamp, u64),
    /// The watermark advances.
    Watermark(Timestamp),
}

impl<T> Cursor<T> {
    /// The key hashes of the next rows, at most `rows` of them; none where they are not known.
    #[inline]
    pub fn hashes_ahead(&self, rows: usize) -> &[u64] {
        let ahead = self.hashes.get(self.row..).unwrap_or_default();
        &ahead[..rows.min(ahead.len())]
    }

    /// The watermark that lies before the next row, if there is one; moves past it.
    #[inline]
    pub fn next_mark(&mut self) -> Option<Timestamp> {
        let mark = self.marks.get(self.next_mark)?;
        (mark.row as usize <= self.row).then(|| {
            self.next_mark += 1;
            mark.watermark
        })
    }

    /// Whether a watermark lies before the next row.
    #[inline]
    pub fn is_at_mark(&self) -> bool {
        self.marks.get(self.next_mark).is_some_and(|mark| mark.row as usize <= self.row)
    }

    /// Timestamp of the row that comes next; [`Timestamp::MIN`] if it has none, or there is no such row.
    #[inline]
    pub fn peek_timestamp(&self) -> Timestamp {
        self.timestamps.get(self.row).copied().unwrap_or(Timestamp::MIN)
    }

    /// Rows that are left.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no row is left.
    pub fn is_empty(&self) -> bool {
        self.values.len() == 0
    }

    /// Key hash of the row that comes next; 0 if none.
    #[inline]
    pub fn peek_hash(&self) -> u64 {
        self.hashes.get(self.row).copied().unwrap_or(0)
    }

    /// The next row, without looking at marks.
    #[inline]
    pub fn next_row(&mut self) -> Option<(T, Timestamp, u64)> {
        let value = self.values.next()?;
        let timestamp = self.timestamps.get(self.row).copied().unwrap_or(Timestamp::MIN);
        let hash = self.peek_hash();
        self.row += 1;
        Some((value, timestamp, hash))
    }

    /// What is left, as a batch; `None` when nothing is.
    pub fn into_rest(self) -> Option<Rows<T>> {
        let row = self.row;
        let tail = |all: Vec<Timestamp>| if all.is_empty() { all } else { all[row..].to_vec() };
        let rest = Rows {
            values: self.values.collect(),
            timestamps: tail(self.timestamps),
            hashes: if self.hashes.is_empty() { Vec::new() } else { self.hashes[row..].to_vec() },
            marks: self.marks[self.next_mark..].iter().map(|mark| Mark { row: mark.row - row as u32, ..*mark }).collect(),
        };
        (!rest.is_blank()).then_some(rest)
    }
}

impl<T> Iterator for Cursor<T> {
    type Item = Step<T>;

    #[inline]
    fn next(&mut self) -> Option<Step<T>> {
        if let Some(watermark) = self.next_mark() {
            return Some(Step::Watermark(watermark));
        }
        let (value, timestamp, hash) = self.next_row()?;
        Some(Step::Row(value, timestamp, hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn batch(rows: usize, marks: &[(u32, i64)]) -> Rows<i64> {
        let mut batch = Rows::default();
        (0..rows).for_each(|row| batch.push(row as i64, Timestamp(row as i64 * 10)));
        batch.marks = marks.iter().map(|&(row, watermark)| Mark { row, watermark: Timestamp(watermark) }).collect();
        batch
    }

    fn steps(rows: Rows<i64>) -> Vec<Step<i64>> {
        rows.into_cursor().collect()
    }

    #[test]
    fn a_late_first_timestamp_leaves_earlier_rows_without() {
        let mut rows = Rows::default();
        rows.push(1, Timestamp::MIN);
        rows.push(2, Timestamp(5));
        assert_eq!(rows.timestamps, [Timestamp::MIN, Timestamp(5)]);
    }

    #[test]
    fn marks_keep_the_highest_watermark_of_a_place() {
        let mut rows = batch(2, &[]);
        for watermark in [5, 7, 6] {
            rows.mark(Timestamp(watermark));
        }
        assert_eq!(rows.marks, [Mark { row: 2, watermark: Timestamp(7) }]);
    }

    proptest! {
        #[test]
        fn cutting_and_reading_partly_change_nothing(rows in 0usize..20, cut in 0usize..20, read in 0usize..30, at in proptest::collection::btree_set(0u32..20, 0..6)) {
            let marks: Vec<_> = at.iter().filter(|row| **row as usize <= rows).map(|row| (*row, i64::from(*row) + 100)).collect();
            let whole = steps(batch(rows, &marks));
            let mut back = batch(rows, &marks);
            let front = Rows::<i64>::from_any(back.split_front(cut)).expect("same type");
            prop_assert_eq!(steps(front).into_iter().chain(steps(back)).collect::<Vec<_>>(), whole);

            let whole = steps(batch(rows, &marks));
            let mut cursor = batch(rows, &marks).into_cursor();
            let mut seen: Vec<_> = cursor.by_ref().take(read).collect();
            seen.extend(cursor.into_rest().into_iter().flat_map(steps));
            prop_assert_eq!(seen, whole);
        }

        #[test]
        fn bytes_round_trip(rows in 0usize..20, at in proptest::collection::btree_set(0u32..20, 0..6)) {
            let marks: Vec<_> = at.iter().filter(|row| **row as usize <= rows).map(|row| (*row, i64::from(*row) + 100)).collect();
            let mut bytes = Vec::new();
            batch(rows, &marks).encode(&mut bytes);
            let back = Rows::<i64>::from_any(Rows::<i64>::batch_type().decode(&bytes).expect("own bytes")).expect("same type");
            prop_assert_eq!(steps(back), steps(batch(rows, &marks)));
            for short in 0..bytes.len() {
                let _ = Rows::<i64>::batch_type().decode(&bytes[..short]);
            }
        }
    }
}
