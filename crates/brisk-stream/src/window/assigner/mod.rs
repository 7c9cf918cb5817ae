//! Window assigners: which windows an element belongs to.
//!
//! An assigner holds no state between elements. Source for names and semantics: Flink, "Windows", section "Window Assigners".

mod global;
mod session;
mod sliding;
mod tumbling;

pub use global::GlobalWindows;
pub use session::{
    DynamicEventTimeSessionWindows, DynamicProcessingTimeSessionWindows, EventTimeSessionWindows, ProcessingTimeSessionWindows,
};
pub use sliding::{SlidingEventTimeWindows, SlidingProcessingTimeWindows};
pub use tumbling::{TumblingEventTimeWindows, TumblingProcessingTimeWindows};

use super::time_window::{TimeWindow, Window};
use super::trigger::Trigger;
use brisk_base::{Error, Millis, Result, Timestamp};

/// Assigns elements to windows (Flink's `WindowAssigner`).
///
/// A custom assigner needs `assign_windows`, `default_trigger` and `is_event_time`; one whose windows merge gives a
/// [`MergeWindows`] as well (Flink's `MergingWindowAssigner`).
pub trait WindowAssigner<T>: Clone + Send + 'static {
    /// The type of its windows.
    type Window: Window;

    /// The trigger that is used unless `.trigger(..)` sets another.
    type DefaultTrigger: Trigger<T, Self::Window>;

    /// Appends the windows of an element to `windows`. `timestamp` is [`Timestamp::MIN`] when the element has none.
    ///
    /// # Errors
    /// Fails the task, for example when the element lacks a timestamp.
    fn assign_windows(&mut self, element: &T, timestamp: Timestamp, cx: AssignerContext, windows: &mut Vec<Self::Window>) -> Result<()>;

    /// The trigger that is used unless `.trigger(..)` sets another.
    fn default_trigger(&self) -> Self::DefaultTrigger;

    /// Whether its windows are intervals of event time.
    fn is_event_time(&self) -> bool;

    /// How windows merge, for assigners of sessions.
    fn merging(&self) -> Option<&dyn MergeWindows<Self::Window>> {
        None
    }

    /// Says that the windows are intervals of *event time*, all of one length, beginning at regular intervals, and that `assign_windows`
    /// gives just those that hold the timestamp. The engine then picks a faster operator; the results are the same.
    fn aligned(&self) -> Option<AlignedWindows<Self::Window>> {
        None
    }

    /// Checks the assigner's parameters when the graph is built.
    ///
    /// # Errors
    /// With a message that names the parameter.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// What an assigner may know besides the element.
#[derive(Clone, Copy, Debug)]
pub struct AssignerContext {
    /// Processing time.
    pub current_processing_time: Timestamp,
}

/// How windows merge (Flink's `MergingWindowAssigner.mergeWindows`).
pub trait MergeWindows<W>: Send {
    /// Groups the windows that have to become one: each merged window with the windows (two or more) it is made of.
    fn merge_windows(&self, windows: &[W]) -> Vec<(W, Vec<W>)>;

    /// Where comparing windows two by two is all there is to merging: says what two windows become, if they have to be one. The engine then
    /// takes a shorter way; the results are the same.
    fn pairwise(&self) -> Option<fn(&W, &W) -> Option<W>> {
        None
    }
}

/// Merges intervals that overlap or touch.
#[derive(Clone, Copy, Debug)]
pub struct MergeTimeWindows;

impl MergeWindows<TimeWindow> for MergeTimeWindows {
    fn merge_windows(&self, windows: &[TimeWindow]) -> Vec<(TimeWindow, Vec<TimeWindow>)> {
        TimeWindow::merge(windows)
    }

    fn pairwise(&self) -> Option<fn(&TimeWindow, &TimeWindow) -> Option<TimeWindow>> {
        Some(|a, b| a.intersects(b).then(|| a.cover(b)))
    }
}

/// Windows of one length at regular intervals of event time.
#[derive(Clone, Copy, Debug)]
pub struct AlignedWindows<W> {
    /// Length of each window.
    pub size: Millis,
    /// From the start of one window to the start of the next.
    pub slide: Millis,
    /// Start of one of the windows.
    pub offset: Millis,
    /// Makes the window from its start and end.
    pub window: fn(Timestamp, Timestamp) -> W,
}

/// The error for an element without a timestamp in an event-time window.
#[cold]
pub(crate) fn no_timestamp(assigner: &str) -> Error {
    Error::user(format!(
        "{assigner} got a record without a timestamp; give the watermark strategy with_timestamp(..), or use a processing-time window"
    ))
}

/// Checks length, slide and offset of time windows.
fn check_sizes(assigner: &str, size: Millis, slide: Millis, offset: Millis) -> Result<()> {
    if size.0 <= 0 || slide.0 <= 0 {
        return Err(Error::user(format!("{assigner}: size ({size}) and slide ({slide}) must be positive")));
    }
    if offset.0.unsigned_abs() >= slide.0.unsigned_abs() {
        return Err(Error::user(format!("{assigner}: the offset ({offset}) must be smaller than the distance of the windows ({slide})")));
    }
    Ok(())
}

/// The windows of a sliding assigner that hold `timestamp`, the latest first.
fn sliding(timestamp: Timestamp, size: Millis, slide: Millis, offset: Millis, windows: &mut Vec<TimeWindow>) {
    let mut start = timestamp.window_start(offset, slide);
    while start > timestamp - size {
        windows.push(TimeWindow::starting_at(start, size));
        start = start - slide;
    }
}
