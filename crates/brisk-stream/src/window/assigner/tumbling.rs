//! Windows of fixed length that neither overlap nor leave gaps.

use super::{AlignedWindows, AssignerContext, TimeWindow, WindowAssigner, check_sizes, no_timestamp};
use crate::window::trigger::{EventTimeTrigger, ProcessingTimeTrigger};
use brisk_base::{Millis, Result, Timestamp};

/// Fixed windows of event time, aligned to the epoch.
///
/// `TumblingEventTimeWindows::of(hours(1))` are the hours of UTC; `.offset(hours(-8))` makes days (of `of(hours(24))`) begin at midnight in China.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TumblingEventTimeWindows {
    size: Millis,
    offset: Millis,
}

impl TumblingEventTimeWindows {
    /// Windows of this length.
    pub const fn of(size: Millis) -> Self {
        Self { size, offset: Millis(0) }
    }

    /// Shifts the windows; less than their length.
    #[must_use]
    pub const fn offset(self, offset: Millis) -> Self {
        Self { offset, ..self }
    }
}

impl<T: 'static> WindowAssigner<T> for TumblingEventTimeWindows {
    type Window = TimeWindow;
    type DefaultTrigger = EventTimeTrigger;

    fn assign_windows(&mut self, _element: &T, timestamp: Timestamp, _cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        if !timestamp.is_set() {
            return Err(no_timestamp("TumblingEventTimeWindows"));
        }
        windows.push(TimeWindow::starting_at(timestamp.window_start(self.offset, self.size), self.size));
        Ok(())
    }

    fn default_trigger(&self) -> EventTimeTrigger {
        EventTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        true
    }

    fn aligned(&self) -> Option<AlignedWindows<TimeWindow>> {
        Some(AlignedWindows { size: self.size, slide: self.size, offset: self.offset, window: TimeWindow::new })
    }

    fn validate(&self) -> Result<()> {
        check_sizes("TumblingEventTimeWindows", self.size, self.size, self.offset)
    }
}

/// Fixed windows of processing time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TumblingProcessingTimeWindows {
    size: Millis,
    offset: Millis,
}

impl TumblingProcessingTimeWindows {
    /// Windows of this length.
    pub const fn of(size: Millis) -> Self {
        Self { size, offset: Millis(0) }
    }

    /// Shifts the windows; less than their length.
    #[must_use]
    pub const fn offset(self, offset: Millis) -> Self {
        Self { offset, ..self }
    }
}

impl<T: 'static> WindowAssigner<T> for TumblingProcessingTimeWindows {
    type Window = TimeWindow;
    type DefaultTrigger = ProcessingTimeTrigger;

    fn assign_windows(&mut self, _element: &T, _timestamp: Timestamp, cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        windows.push(TimeWindow::starting_at(cx.current_processing_time.window_start(self.offset, self.size), self.size));
        Ok(())
    }

    fn default_trigger(&self) -> ProcessingTimeTrigger {
        ProcessingTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        false
    }

    fn validate(&self) -> Result<()> {
        check_sizes("TumblingProcessingTimeWindows", self.size, self.size, self.offset)
    }
}
