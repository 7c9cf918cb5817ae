//! Windows of fixed length that begin at regular intervals and may overlap.

use super::{AlignedWindows, AssignerContext, TimeWindow, WindowAssigner, check_sizes, no_timestamp, sliding};
use crate::window::trigger::{EventTimeTrigger, ProcessingTimeTrigger};
use brisk_base::{Millis, Result, Timestamp};

/// Windows of length `size` of event time, one every `slide`. A slide larger than the size leaves gaps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlidingEventTimeWindows {
    size: Millis,
    slide: Millis,
    offset: Millis,
}

impl SlidingEventTimeWindows {
    /// Windows of this length, one every `slide`.
    pub const fn of(size: Millis, slide: Millis) -> Self {
        Self { size, slide, offset: Millis(0) }
    }

    /// Shifts the windows; less than the slide.
    #[must_use]
    pub const fn offset(self, offset: Millis) -> Self {
        Self { offset, ..self }
    }
}

impl<T: 'static> WindowAssigner<T> for SlidingEventTimeWindows {
    type Window = TimeWindow;
    type DefaultTrigger = EventTimeTrigger;

    fn assign_windows(&mut self, _element: &T, timestamp: Timestamp, _cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        if !timestamp.is_set() {
            return Err(no_timestamp("SlidingEventTimeWindows"));
        }
        sliding(timestamp, self.size, self.slide, self.offset, windows);
        Ok(())
    }

    fn default_trigger(&self) -> EventTimeTrigger {
        EventTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        true
    }

    fn aligned(&self) -> Option<AlignedWindows<TimeWindow>> {
        Some(AlignedWindows { size: self.size, slide: self.slide, offset: self.offset, window: TimeWindow::new })
    }

    fn validate(&self) -> Result<()> {
        check_sizes("SlidingEventTimeWindows", self.size, self.slide, self.offset)
    }
}

/// Windows of length `size` of processing time, one every `slide`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlidingProcessingTimeWindows {
    size: Millis,
    slide: Millis,
    offset: Millis,
}

impl SlidingProcessingTimeWindows {
    /// Windows of this length, one every `slide`.
    pub const fn of(size: Millis, slide: Millis) -> Self {
        Self { size, slide, offset: Millis(0) }
    }

    /// Shifts the windows; less than the slide.
    #[must_use]
    pub const fn offset(self, offset: Millis) -> Self {
        Self { offset, ..self }
    }
}

impl<T: 'static> WindowAssigner<T> for SlidingProcessingTimeWindows {
    type Window = TimeWindow;
    type DefaultTrigger = ProcessingTimeTrigger;

    fn assign_windows(&mut self, _element: &T, _timestamp: Timestamp, cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        sliding(cx.current_processing_time, self.size, self.slide, self.offset, windows);
        Ok(())
    }

    fn default_trigger(&self) -> ProcessingTimeTrigger {
        ProcessingTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        false
    }

    fn validate(&self) -> Result<()> {
        check_sizes("SlidingProcessingTimeWindows", self.size, self.slide, self.offset)
    }
}
