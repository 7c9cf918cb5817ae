//! Where a reader puts its records: assigns timestamps and makes watermarks, per split.
//!
//! Invariants: the combined watermark is the minimum over the active splits and never goes back; it is emitted as marks at the rows that
//! caused it.

use crate::batch::{Mark, Rows};
use crate::function::watermark::{TimestampAssigner, WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use crate::types::Record;
use brisk_base::Timestamp;

/// Event time of one split.
struct SplitTime<T> {
    id: String,
    generator: Box<dyn WatermarkGenerator<T>>,
    watermark: Timestamp,
    /// Processing time at which it last gave a record.
    last_active: Timestamp,
    idle: bool,
}

/// Takes the records of a reader (Flink's `ReaderOutput`).
pub struct SourceOutput<T> {
    rows: Rows<T>,
    strategy: WatermarkStrategy<T>,
    assigner: Option<Box<dyn TimestampAssigner<T>>>,
    splits: Vec<SplitTime<T>>,
    /// Index of the split that gives the records to come.
    current: usize,
    /// First row of the present split in `rows`.
    segment: usize,
    /// The combined watermark that was emitted last.
    watermark: Timestamp,
    /// Whether all splits are idle.
    idle: bool,
    /// Processing time, as of the last poll.
    now: Timestamp,
    marks: Vec<Mark>,
    scratch: Vec<Timestamp>,
}

/// Records that came before any split was named.
const NO_SPLIT: &str = "";

impl<T: Record> SourceOutput<T> {
    /// Timestamps and watermarks by `strategy`.
    pub fn new(strategy: WatermarkStrategy<T>) -> Self {
        Self {
            rows: Rows::default(),
            assigner: strategy.create_assigner(),
            strategy,
            splits: Vec::new(),
            current: 0,
            segment: 0,
            watermark: Timestamp::MIN,
            idle: false,
            now: Timestamp::MIN,
            marks: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Emits a record without a timestamp of the source's own.
    #[inline]
    pub fn collect(&mut self, value: T) {
        self.rows.push(value, Timestamp::MIN);
    }

    /// Emits a record with the timestamp that the source knows.
    #[inline]
    pub fn collect_with_timestamp(&mut self, value: T, timestamp: Timestamp) {
        self.rows.push(value, timestamp);
    }

    /// Whether a full batch has been gathered: the reader returns.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.rows.values.len() >= Rows::<T>::FULL
    }

    /// Rows of a full batch.
    pub const fn full_batch(&self) -> usize {
        Rows::<T>::FULL
    }

    /// The rows gathered so far, for readers that fill them in bulk.
    pub fn rows_mut(&mut self) -> &mut Rows<T> {
        &mut self.rows
    }

    /// The records to come are of this split. A split that is known but gives nothing holds the watermark back.
    pub fn select_split(&mut self, id: &str) {
        if self.splits.get(self.current).is_some_and(|split| split.id == id) {
            return;
        }
        self.close_segment();
        self.current = match self.splits.iter().position(|split| split.id == id) {
            Some(at) => at,
            None => {
                let generator = self.strategy.create_generator();
                let split = SplitTime { id: id.to_owned(), generator, watermark: Timestamp::MIN, last_active: self.now, idle: false };
                self.splits.push(split);
                self.splits.len() - 1
            }
        };
    }

    /// The split is read to its end and no longer holds the watermark back.
    pub fn release_split(&mut self, id: &str) {
        self.close_segment();
        self.splits.retain(|split| split.id != id);
        self.current = usize::MAX;
        if !self.splits.is_empty() {
            self.combine(self.rows.values.len() as u32);
        }
    }

    /// Assigns timestamps and watermarks to the rows since the last change of split.
    fn close_segment(&mut self) {
        let (from, to) = (self.segment, self.rows.values.len());
        if from == to {
            return;
        }
        if self.splits.get(self.current).is_none() {
            self.segment = to;
            self.select_split(NO_SPLIT);
            self.segment = from;
        }
        self.assign(from);
        let split = &mut self.splits[self.current];
        split.last_active = self.now;
        let revived = std::mem::replace(&mut split.idle, false);
        if self.rows.timestamps.len() == to {
            split.generator.on_batch(&self.rows.values[from..], &self.rows.timestamps[from..], from as u32, &mut self.marks);
        }
        if revived {
            self.combine(from as u32);
        }
        self.take_marks();
        self.segment = to;
    }

    fn assign(&mut self, from: usize) {
        let Some(assigner) = &mut self.assigner else { return };
        if from == 0 {
            return assigner.assign(&self.rows.values, &mut self.rows.timestamps);
        }
        self.scratch.clear();
        self.scratch.extend(self.rows.timestamps.get(from..).unwrap_or_default());
        assigner.assign(&self.rows.values[from..], &mut self.scratch);
        self.rows.timestamps.resize(from, Timestamp::MIN);
        self.rows.timestamps.append(&mut self.scratch);
    }

    /// Turns the present split's marks into marks of the combined watermark.
    fn take_marks(&mut self) {
        let marks = std::mem::take(&mut self.marks);
        let alone = self.splits.len() == 1;
        for mark in &marks {
            let split = &mut self.splits[self.current];
            split.watermark = split.watermark.max(mark.watermark);
            if alone {
                self.advance(mark.row, mark.watermark);
            } else {
                self.combine(mark.row);
            }
        }
        self.marks = marks;
        self.marks.clear();
    }

    #[inline]
    fn advance(&mut self, row: u32, watermark: Timestamp) {
        if watermark > self.watermark {
            self.watermark = watermark;
            WatermarkOutput::new(&mut self.rows.marks, row).emit(watermark);
        }
    }

    fn combine(&mut self, row: u32) {
        if let Some(lowest) = self.splits.iter().filter(|split| !split.idle).map(|split| split.watermark).min() {
            self.advance(row, lowest);
        }
    }

    /// Begins a poll at this processing time.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The batch gathered since the last call.
    pub(crate) fn take(&mut self) -> Rows<T> {
        self.close_segment();
        self.segment = 0;
        std::mem::take(&mut self.rows)
    }

    /// Asks periodic generators for watermarks; the new combined one lies in the batch that [`take`](Self::take) gives.
    pub(crate) fn periodic(&mut self) {
        self.close_segment();
        let row = self.rows.values.len() as u32;
        for at in 0..self.splits.len() {
            self.splits[at].generator.on_periodic_emit(&mut WatermarkOutput::new(&mut self.marks, row));
            let current = std::mem::replace(&mut self.current, at);
            self.take_marks();
            self.current = current;
        }
    }

    /// Whether a generator wants [`periodic`](Self::periodic).
    pub(crate) fn is_periodic(&self) -> bool {
        self.strategy.create_generator().is_periodic()
    }

    /// Marks splits idle that gave nothing for the timeout. True when the status of the whole changed to idle.
    pub(crate) fn check_idleness(&mut self, now: Timestamp) -> bool {
        let Some(timeout) = self.strategy.idleness() else { return false };
        self.splits.iter_mut().for_each(|split| split.idle |= now - split.last_active >= timeout);
        if self.splits.iter().any(|split| !split.idle) {
            self.combine(self.rows.values.len() as u32);
            return false;
        }
        !std::mem::replace(&mut self.idle, true)
    }

    /// When idleness is to be checked next.
    pub(crate) fn next_idleness_check(&self) -> Option<Timestamp> {
        let timeout = self.strategy.idleness()?;
        self.splits.iter().filter(|split| !split.idle).map(|split| split.last_active + timeout).min()
    }

    /// True when the whole was idle and is active again because there are records.
    pub(crate) fn wake_up(&mut self) -> bool {
        !self.rows.values.is_empty() && std::mem::replace(&mut self.idle, false)
    }

    /// The combined watermark.
    pub(crate) fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Splits whose watermark is above the limit.
    pub(crate) fn splits_above(&self, limit: Timestamp) -> Vec<String> {
        self.splits.iter().filter(|split| split.watermark > limit).map(|split| split.id.clone()).collect()
    }

    /// The highest watermark of a split; what alignment compares with the limit when a reader cannot pause single splits.
    pub(crate) fn highest(&self) -> Timestamp {
        self.splits.iter().map(|split| split.watermark).max().unwrap_or(Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::Millis;

    fn output() -> SourceOutput<i64> {
        SourceOutput::new(WatermarkStrategy::monotonous_timestamps().with_timestamp(|t: &i64| Timestamp(*t)).with_idleness(Millis(100)))
    }

    #[test]
    fn the_watermark_is_the_minimum_over_the_splits() {
        let mut output = output();
        output.begin(Timestamp(0));
        for (split, value) in [("a", 10), ("b", 5), ("a", 20), ("b", 15), ("b", 30)] {
            output.select_split(split);
            output.collect(value);
        }
        let rows = output.take();
        assert_eq!(rows.values, [10, 5, 20, 15, 30]);
        let marks: Vec<_> = rows.marks.iter().map(|mark| (mark.row, mark.watermark.0)).collect();
        assert_eq!(marks, [(1, 9), (4, 14), (5, 19)], "the first split alone, then both");
    }

    #[test]
    fn an_idle_split_is_left_out_until_it_gives_again() {
        let mut output = output();
        output.begin(Timestamp(0));
        output.select_split("a");
        output.collect(10);
        output.select_split("b");
        output.collect(50);
        output.take();
        output.begin(Timestamp(60));
        output.collect(60);
        output.take();
        assert!(!output.check_idleness(Timestamp(120)), "only one of two is idle");
        assert_eq!(output.take().marks, [Mark { row: 0, watermark: Timestamp(59) }]);
        assert!(output.check_idleness(Timestamp(160)), "now both are");
        output.select_split("a");
        output.collect(11);
        output.take();
        assert_eq!(output.watermark(), Timestamp(59), "never back");
    }

    #[test]
    fn a_released_split_no_longer_holds_back() {
        let mut output = output();
        output.begin(Timestamp(0));
        output.select_split("a");
        output.collect(10);
        output.select_split("b");
        output.collect(50);
        output.release_split("a");
        let rows = output.take();
        assert_eq!(rows.marks.last(), Some(&Mark { row: 2, watermark: Timestamp(49) }));
    }
}
