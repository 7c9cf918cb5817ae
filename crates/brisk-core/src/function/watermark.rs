//! Timestamps and watermarks: how a stream learns its event time.
//!
//! The built-in strategies follow the data alone: the watermark advances with each record that carries a new highest timestamp, as a mark
//! behind that record. So results depend neither on where batches are cut nor on the wall clock. Custom generators may also emit
//! periodically (`pipeline.auto-watermark-interval`), as Flink's do. Source: Flink, "Generating Watermarks".

use crate::batch::Mark;
use brisk_base::{Millis, Timestamp};
use std::sync::Arc;

/// Gives each record its timestamp, a batch at a time.
pub trait TimestampAssigner<T>: Send {
    /// Replaces `timestamps` (empty or one per value) by the assigned ones.
    fn assign(&mut self, values: &[T], timestamps: &mut Vec<Timestamp>);
}

/// Gathers the watermarks of a generator while it looks at the rows of a batch.
pub struct WatermarkOutput<'a> {
    marks: &'a mut Vec<Mark>,
    row: u32,
}

impl<'a> WatermarkOutput<'a> {
    /// Watermarks go to `marks`, before row `row`.
    pub fn new(marks: &'a mut Vec<Mark>, row: u32) -> Self {
        Self { marks, row }
    }

    /// Emits a watermark; one that is not higher than the last has no effect.
    #[inline]
    pub fn emit(&mut self, watermark: Timestamp) {
        match self.marks.last_mut() {
            Some(last) if last.watermark >= watermark => {}
            Some(last) if last.row == self.row => last.watermark = watermark,
            _ => self.marks.push(Mark { row: self.row, watermark }),
        }
    }
}

/// Makes watermarks from records (Flink's `WatermarkGenerator`).
pub trait WatermarkGenerator<T>: Send {
    /// Looks at one record; may emit a watermark that holds after it.
    fn on_event(&mut self, event: &T, timestamp: Timestamp, output: &mut WatermarkOutput<'_>);

    /// Called every `pipeline.auto-watermark-interval` if [`is_periodic`](Self::is_periodic).
    fn on_periodic_emit(&mut self, _output: &mut WatermarkOutput<'_>) {}

    /// Whether [`on_periodic_emit`](Self::on_periodic_emit) does anything.
    fn is_periodic(&self) -> bool {
        false
    }

    /// What the generator has to remember when the job is restored, such as the highest timestamp; `None` for nothing.
    fn snapshot(&self) -> Option<Timestamp> {
        None
    }

    /// Takes back what [`snapshot`](Self::snapshot) gave; of several generators that have become one, the lowest.
    fn restore(&mut self, _remembered: Timestamp) {}

    /// Looks at the rows `first..` of a batch in turn. Compiled for each generator, so that the inner loop has no virtual call.
    fn on_batch(&mut self, values: &[T], timestamps: &[Timestamp], first: u32, marks: &mut Vec<Mark>) {
        for (row, (value, timestamp)) in (first..).zip(values.iter().zip(timestamps)) {
            self.on_event(value, *timestamp, &mut WatermarkOutput::new(marks, row + 1));
        }
    }
}

/// Highest timestamp seen, less a bound, less 1 ms.
#[derive(Clone, Debug)]
struct BoundedOutOfOrderness {
    bound: Millis,
    highest: Timestamp,
}

impl<T> WatermarkGenerator<T> for BoundedOutOfOrderness {
    #[inline]
    fn on_event(&mut self, _event: &T, timestamp: Timestamp, output: &mut WatermarkOutput<'_>) {
        if timestamp > self.highest {
            self.highest = timestamp;
            output.emit(timestamp - self.bound - Millis(1));
        }
    }

    fn snapshot(&self) -> Option<Timestamp> {
        Some(self.highest)
    }

    fn restore(&mut self, remembered: Timestamp) {
        self.highest = remembered;
    }
}

/// Emits nothing.
struct NoWatermarks;

impl<T> WatermarkGenerator<T> for NoWatermarks {
    fn on_event(&mut self, _event: &T, _timestamp: Timestamp, _output: &mut WatermarkOutput<'_>) {}
    fn on_batch(&mut self, _values: &[T], _timestamps: &[Timestamp], _first: u32, _marks: &mut Vec<Mark>) {}
}

/// Emits what a function makes of each record.
struct Punctuated<F>(F);

impl<T, F: FnMut(&T, Timestamp) -> Option<Timestamp> + Send> WatermarkGenerator<T> for Punctuated<F> {
    fn on_event(&mut self, event: &T, timestamp: Timestamp, output: &mut WatermarkOutput<'_>) {
        if let Some(watermark) = (self.0)(event, timestamp) {
            output.emit(watermark);
        }
    }
}

/// Assigns what a function reads from the record.
struct FromRecord<F>(F);

impl<T, F: FnMut(&T) -> Timestamp + Send> TimestampAssigner<T> for FromRecord<F> {
    fn assign(&mut self, values: &[T], timestamps: &mut Vec<Timestamp>) {
        timestamps.clear();
        timestamps.extend(values.iter().map(&mut self.0));
    }
}

/// Keeps sources that share a group together in event time (Flink's watermark alignment).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alignment {
    /// Sources of the same group wait for each other.
    pub group: String,
    /// How far one may be ahead of the slowest.
    pub max_drift: Millis,
    /// How often they compare.
    pub update_interval: Millis,
}

type GeneratorFactory<T> = Arc<dyn Fn() -> Box<dyn WatermarkGenerator<T>> + Send + Sync>;
type AssignerFactory<T> = Arc<dyn Fn() -> Box<dyn TimestampAssigner<T>> + Send + Sync>;

/// How a stream gets timestamps and watermarks (Flink's `WatermarkStrategy`).
pub struct WatermarkStrategy<T> {
    generator: GeneratorFactory<T>,
    assigner: Option<AssignerFactory<T>>,
    idleness: Option<Millis>,
    alignment: Option<Alignment>,
    emits: bool,
}

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        Self {
            generator: Arc::clone(&self.generator),
            assigner: self.assigner.clone(),
            idleness: self.idleness,
            alignment: self.alignment.clone(),
            emits: self.emits,
        }
    }
}

impl<T: 'static> WatermarkStrategy<T> {
    /// Records are at most `bound` behind the highest timestamp before them.
    pub fn bounded_out_of_orderness(bound: Millis) -> Self {
        Self::for_generator(move || Box::new(BoundedOutOfOrderness { bound, highest: Timestamp::MIN }))
    }

    /// Timestamps never decrease.
    pub fn monotonous_timestamps() -> Self {
        Self::bounded_out_of_orderness(Millis::ZERO)
    }

    /// No event time at all.
    pub fn no_watermarks() -> Self {
        Self { emits: false, ..Self::for_generator(|| Box::new(NoWatermarks)) }
    }

    /// A watermark wherever `f(record, timestamp)` gives one.
    pub fn punctuated(f: impl Fn(&T, Timestamp) -> Option<Timestamp> + Clone + Send + Sync + 'static) -> Self {
        Self::for_generator(move || Box::new(Punctuated(f.clone())))
    }

    /// A generator of the user's own; `make` is called for each source split or subtask.
    pub fn for_generator(make: impl Fn() -> Box<dyn WatermarkGenerator<T>> + Send + Sync + 'static) -> Self {
        Self { generator: Arc::new(make), assigner: None, idleness: None, alignment: None, emits: true }
    }

    /// Reads the timestamp from the record. Without this, the timestamps of the source are kept.
    #[must_use]
    pub fn with_timestamp(mut self, f: impl Fn(&T) -> Timestamp + Clone + Send + Sync + 'static) -> Self {
        self.assigner = Some(Arc::new(move || Box::new(FromRecord(f.clone()))));
        self
    }

    /// A timestamp assigner of the user's own.
    #[must_use]
    pub fn with_timestamp_assigner(mut self, make: impl Fn() -> Box<dyn TimestampAssigner<T>> + Send + Sync + 'static) -> Self {
        self.assigner = Some(Arc::new(make));
        self
    }

    /// A split without records for this long (processing time) is idle: the others' watermarks go on without it.
    #[must_use]
    pub fn with_idleness(mut self, timeout: Millis) -> Self {
        self.idleness = Some(timeout);
        self
    }

    /// Sources of one group read on only while at most `max_drift` ahead of the slowest.
    #[must_use]
    pub fn with_watermark_alignment(mut self, group: impl Into<String>, max_drift: Millis, update_interval: Millis) -> Self {
        self.alignment = Some(Alignment { group: group.into(), max_drift, update_interval });
        self
    }

    /// A generator for one split or subtask.
    pub fn create_generator(&self) -> Box<dyn WatermarkGenerator<T>> {
        (self.generator)()
    }

    /// A timestamp assigner for one subtask, if records carry their own time.
    pub fn create_assigner(&self) -> Option<Box<dyn TimestampAssigner<T>>> {
        self.assigner.as_ref().map(|make| make())
    }

    /// See [`with_idleness`](Self::with_idleness).
    pub fn idleness(&self) -> Option<Millis> {
        self.idleness
    }

    /// See [`with_watermark_alignment`](Self::with_watermark_alignment).
    pub fn alignment(&self) -> Option<&Alignment> {
        self.alignment.as_ref()
    }

    /// Whether the stream has event time (is not [`no_watermarks`](Self::no_watermarks)).
    pub fn emits_watermarks(&self) -> bool {
        self.emits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_out_of_orderness_marks_each_new_highest_timestamp() {
        let strategy = WatermarkStrategy::bounded_out_of_orderness(Millis(10)).with_timestamp(|t: &i64| Timestamp(*t));
        let values = [100, 90, 120, 120, 119];
        let (mut timestamps, mut marks) = (Vec::new(), Vec::new());
        strategy.create_assigner().expect("set above").assign(&values, &mut timestamps);
        strategy.create_generator().on_batch(&values, &timestamps, 0, &mut marks);
        assert_eq!(marks, [Mark { row: 1, watermark: Timestamp(89) }, Mark { row: 3, watermark: Timestamp(109) }]);
    }
}
