//! Where a reader puts its records: assigns timestamps and makes watermarks, per split.
//!
//! Invariants: the combined watermark is the minimum over the active splits, those that have been assigned and not yet read among them, and
//! never goes back; it is emitted as marks at the rows that caused it. Records of no split have event time of their own, beside the splits',
//! as with Flink's main output. Silence is counted in running time: the clock stands still while the source may not run.

use crate::batch::{Mark, Rows};
use crate::function::watermark::{TimestampAssigner, WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use crate::state::EventTimeStanding;
use crate::types::Record;
use brisk_base::{Millis, Timestamp};
use std::time::Duration;

/// Event time of one split.
struct SplitTime<T> {
    /// Empty for the records of no split.
    id: String,
    generator: Box<dyn WatermarkGenerator<T>>,
    watermark: Timestamp,
    /// Running time at which it last gave a record, or could not because it was paused.
    last_active: Timestamp,
    idle: bool,
    /// Alignment pauses it.
    paused: bool,
}

/// Event time of one split, as a checkpoint keeps it: id, watermark, what the generator remembers, whether the split is idle.
pub(crate) type StoredSplitTime = (String, Timestamp, Option<Timestamp>, bool);

/// Takes the records of a reader (Flink's `ReaderOutput`).
pub struct SourceOutput<T> {
    rows: Rows<T>,
    strategy: WatermarkStrategy<T>,
    assigner: Option<Box<dyn TimestampAssigner<T>>>,
    splits: Vec<SplitTime<T>>,
    /// Event time of the records of no split, if there were any.
    main: Option<SplitTime<T>>,
    /// Index of the split that gives the records to come; `None` for no split.
    current: Option<usize>,
    /// First row of the present split in `rows`.
    segment: usize,
    /// The combined watermark that was emitted last.
    watermark: Timestamp,
    /// Whether the whole has been declared idle.
    idle: bool,
    /// Running time, as of the last poll.
    now: Timestamp,
    /// Whether there was a poll.
    begun: bool,
    /// How long the source could not run.
    paused_for: Duration,
    /// Running time at which there was a record or a split last.
    last_active: Timestamp,
    /// Rows of the last batch, and whether they had timestamps: a guess at the next.
    last_batch: (usize, bool),
    marks: Vec<Mark>,
    scratch: Vec<Timestamp>,
    /// Event time of splits that a checkpoint left and that have not been added.
    restored: Vec<StoredSplitTime>,
    /// What the generator of the records of no split remembered, if there were any.
    restored_main: Option<Timestamp>,
}

impl<T: Record> SourceOutput<T> {
    /// Timestamps and watermarks by `strategy`.
    pub fn new(strategy: WatermarkStrategy<T>) -> Self {
        Self {
            rows: Rows::default(),
            assigner: strategy.create_assigner(),
            strategy,
            splits: Vec::new(),
            main: None,
            current: None,
            segment: 0,
            watermark: Timestamp::MIN,
            idle: false,
            now: Timestamp::MIN,
            begun: false,
            paused_for: Duration::ZERO,
            last_active: Timestamp::MIN,
            last_batch: (0, false),
            marks: Vec::new(),
            scratch: Vec::new(),
            restored: Vec::new(),
            restored_main: None,
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
        if self.current.is_some_and(|at| self.splits[at].id == id) {
            return;
        }
        self.close_segment();
        self.current = Some(self.register_split(id));
    }

    /// The split is read to its end and no longer holds the watermark back.
    pub fn release_split(&mut self, id: &str) {
        self.close_segment();
        self.splits.retain(|split| split.id != id);
        self.current = None;
        self.last_active = self.now;
        self.combine(self.rows.values.len() as u32);
    }

    /// A split that has been assigned holds the watermark back until it is read. Gives its index.
    pub(crate) fn register_split(&mut self, id: &str) -> usize {
        if let Some(at) = self.splits.iter().position(|split| split.id == id) {
            return at;
        }
        let mut time = self.split_time(id);
        if let Some(at) = self.restored.iter().position(|stored| stored.0 == id) {
            let (_, watermark, generator, idle) = self.restored.swap_remove(at);
            (time.watermark, time.idle) = (watermark, idle);
            generator.into_iter().for_each(|remembered| time.generator.restore(remembered));
        }
        self.splits.push(time);
        self.splits.len() - 1
    }

    /// Where event time stands in all.
    pub(crate) fn standing(&self) -> EventTimeStanding {
        let generator = self.main.as_ref().map_or(self.restored_main, |main| main.generator.snapshot());
        EventTimeStanding { watermark: self.watermark, generator, idle: self.idle }
    }

    /// Where event time stands in each split.
    pub(crate) fn split_times(&self) -> Vec<StoredSplitTime> {
        let stored = |split: &SplitTime<T>| (split.id.clone(), split.watermark, split.generator.snapshot(), split.idle);
        self.splits.iter().map(stored).collect()
    }

    /// Goes on from a checkpoint. To be called before any split is added.
    pub(crate) fn restore(&mut self, standing: EventTimeStanding, splits: Vec<StoredSplitTime>) {
        self.watermark = standing.watermark;
        self.idle = standing.idle;
        self.restored_main = standing.generator;
        self.restored = splits;
    }

    fn split_time(&self, id: &str) -> SplitTime<T> {
        SplitTime {
            id: id.to_owned(),
            generator: self.strategy.create_generator(),
            watermark: Timestamp::MIN,
            last_active: self.now,
            idle: false,
            paused: false,
        }
    }

    /// Event time of the records to come.
    fn current(&mut self) -> &mut SplitTime<T> {
        match self.current {
            Some(at) => &mut self.splits[at],
            None => {
                if self.main.is_none() {
                    let mut main = self.split_time("");
                    main.watermark = self.watermark;
                    self.restored_main.take().into_iter().for_each(|remembered| main.generator.restore(remembered));
                    self.main = Some(main);
                }
                self.main.as_mut().expect("made above")
            }
        }
    }

    /// Assigns timestamps and watermarks to the rows since the last change of split.
    fn close_segment(&mut self) {
        let (from, to) = (self.segment, self.rows.values.len());
        if from == to {
            return;
        }
        self.segment = to;
        self.last_active = self.now;
        self.assign(from);
        let now = self.now;
        let split = self.current();
        split.last_active = now;
        if std::mem::replace(&mut split.idle, false) {
            self.combine(from as u32);
        }
        self.generate(from);
        self.take_marks();
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

    /// Shows the rows to the present split's generator.
    fn generate(&mut self, from: usize) {
        if !self.strategy.emits_watermarks() {
            return;
        }
        let mut marks = std::mem::take(&mut self.marks);
        let mut none = std::mem::take(&mut self.scratch);
        let rows = std::mem::take(&mut self.rows);
        let values = &rows.values[from..];
        let timestamps = match rows.timestamps.get(from..) {
            Some(timestamps) if timestamps.len() == values.len() => timestamps,
            _ => {
                none.clear();
                none.resize(values.len(), Timestamp::MIN);
                &none
            }
        };
        self.current().generator.on_batch(values, timestamps, from as u32, &mut marks);
        (self.marks, self.scratch, self.rows) = (marks, none, rows);
    }

    /// Turns the present split's marks into marks of the combined watermark.
    fn take_marks(&mut self) {
        let marks = std::mem::take(&mut self.marks);
        let direct = self.current.is_none() || self.splits.len() == 1;
        for mark in &marks {
            let split = self.current();
            let before = split.watermark;
            split.watermark = before.max(mark.watermark);
            if direct {
                self.advance(mark.row, mark.watermark);
            } else if before <= self.watermark {
                // Else the minimum is another one's.
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
        self.now = self.running(now);
        if !std::mem::replace(&mut self.begun, true) {
            self.last_active = self.now;
        }
    }

    /// The source could not run for this long.
    pub(crate) fn pause(&mut self, span: Duration) {
        self.paused_for += span;
    }

    fn paused_millis(&self) -> Millis {
        Millis(i64::try_from(self.paused_for.as_millis()).unwrap_or(i64::MAX))
    }

    fn running(&self, now: Timestamp) -> Timestamp {
        now - self.paused_millis()
    }

    /// The batch gathered since the last call.
    pub(crate) fn take(&mut self) -> Rows<T> {
        self.close_segment();
        self.segment = 0;
        if !self.rows.values.is_empty() {
            self.last_batch = (self.rows.values.len(), !self.rows.timestamps.is_empty());
        }
        std::mem::take(&mut self.rows)
    }

    /// Makes room for a batch like the last one. To be called when there may well be one.
    pub(crate) fn reserve(&mut self) {
        let (rows, timestamps) = self.last_batch;
        if self.rows.values.capacity() == 0 && rows > 0 {
            self.rows.values.reserve(rows);
            self.rows.timestamps.reserve(if timestamps { rows } else { 0 });
        }
    }

    /// Asks periodic generators for watermarks; the new combined one lies in the batch that [`take`](Self::take) gives.
    pub(crate) fn periodic(&mut self) {
        self.close_segment();
        let row = self.rows.values.len() as u32;
        let current = self.current;
        for at in (0..self.splits.len()).map(Some).chain(self.main.is_some().then_some(None)) {
            self.current = at;
            if !self.current().idle {
                let mut marks = std::mem::take(&mut self.marks);
                self.current().generator.on_periodic_emit(&mut WatermarkOutput::new(&mut marks, row));
                self.marks = marks;
                self.take_marks();
            }
        }
        self.current = current;
    }

    /// Whether a generator wants [`periodic`](Self::periodic).
    pub(crate) fn is_periodic(&self) -> bool {
        self.strategy.create_generator().is_periodic()
    }

    /// Marks splits idle that gave nothing for the timeout. True when the status of the whole changed to idle.
    pub(crate) fn check_idleness(&mut self, now: Timestamp) -> bool {
        let Some(timeout) = self.strategy.idleness() else { return false };
        let now = self.running(now);
        for split in self.splits.iter_mut().chain(&mut self.main) {
            if split.paused {
                split.last_active = now;
            }
            split.idle |= now - split.last_active >= timeout;
        }
        self.combine(self.rows.values.len() as u32);
        let active = self.splits.iter().chain(&self.main).any(|split| !split.idle);
        let waits_for_splits = self.splits.is_empty() && now - self.last_active < timeout;
        if active || waits_for_splits {
            return false;
        }
        !std::mem::replace(&mut self.idle, true)
    }

    /// When idleness is to be checked next, in processing time.
    pub(crate) fn next_idleness_check(&self) -> Option<Timestamp> {
        let timeout = self.strategy.idleness()?;
        let splits = self.splits.iter().chain(&self.main).filter(|split| !split.idle).map(|split| split.last_active).min();
        let at = match splits {
            Some(since) => since + timeout,
            None if self.idle => return None,
            None if self.splits.is_empty() => self.last_active + timeout,
            // All that are left are idle: at once.
            None => self.last_active,
        };
        Some(at + self.paused_millis())
    }

    /// True when the whole was idle and is active again because there are records.
    pub(crate) fn wake_up(&mut self) -> bool {
        !self.rows.values.is_empty() && self.revive()
    }

    /// Makes the whole active. True when it was idle.
    pub(crate) fn revive(&mut self) -> bool {
        std::mem::replace(&mut self.idle, false)
    }

    /// The watermark to report for alignment: the final one when idle, and none before there is one.
    pub(crate) fn reported_watermark(&self) -> Option<Timestamp> {
        if self.idle { Some(Timestamp::MAX) } else { Some(self.watermark).filter(|watermark| watermark.is_set()) }
    }

    /// Pauses the splits whose watermark is above the limit. Gives them if they are not the same as before.
    pub(crate) fn pause_above(&mut self, limit: Timestamp) -> Option<Vec<String>> {
        let mut changed = false;
        for split in &mut self.splits {
            let ahead = split.watermark > limit;
            changed |= std::mem::replace(&mut split.paused, ahead) != ahead;
        }
        changed.then(|| self.splits.iter().filter(|split| split.paused).map(|split| split.id.clone()).collect())
    }

    /// Whether everything that could be read is above the limit.
    pub(crate) fn is_above(&self, limit: Timestamp) -> bool {
        match &self.main {
            Some(main) => !main.idle && self.watermark > limit,
            None => self.splits.iter().filter(|split| !split.idle).map(|split| split.watermark).min() > Some(limit),
        }
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
        assert_eq!(output.watermark, Timestamp(59), "never back");
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
