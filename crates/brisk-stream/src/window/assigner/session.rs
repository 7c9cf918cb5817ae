//! Sessions: windows that end after a gap without elements. Each element opens a window of the gap's length; windows that overlap merge.

use super::{AssignerContext, MergeTimeWindows, MergeWindows, TimeWindow, WindowAssigner, no_timestamp};
use crate::window::trigger::{EventTimeTrigger, ProcessingTimeTrigger};
use brisk_base::{Error, Millis, Result, Timestamp};
use std::marker::PhantomData;

/// Sessions of event time, with one gap for all or a gap of each element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EventTimeSessionWindows {
    gap: Millis,
}

impl EventTimeSessionWindows {
    /// Sessions end when there is no element for this long.
    pub const fn with_gap(gap: Millis) -> Self {
        Self { gap }
    }

    /// Sessions whose gap is computed from each element; it must be positive.
    pub const fn with_dynamic_gap<T, F: FnMut(&T) -> Millis>(gap: F) -> DynamicEventTimeSessionWindows<T, F> {
        DynamicEventTimeSessionWindows { gap, element: PhantomData }
    }
}

/// Sessions of processing time, with one gap for all or a gap of each element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessingTimeSessionWindows {
    gap: Millis,
}

impl ProcessingTimeSessionWindows {
    /// Sessions end when there is no element for this long.
    pub const fn with_gap(gap: Millis) -> Self {
        Self { gap }
    }

    /// Sessions whose gap is computed from each element; it must be positive.
    pub const fn with_dynamic_gap<T, F: FnMut(&T) -> Millis>(gap: F) -> DynamicProcessingTimeSessionWindows<T, F> {
        DynamicProcessingTimeSessionWindows { gap, element: PhantomData }
    }
}

/// See [`EventTimeSessionWindows::with_dynamic_gap`].
pub struct DynamicEventTimeSessionWindows<T, F> {
    gap: F,
    element: PhantomData<fn(&T)>,
}

impl<T, F: Clone> Clone for DynamicEventTimeSessionWindows<T, F> {
    fn clone(&self) -> Self {
        Self { gap: self.gap.clone(), element: PhantomData }
    }
}

/// See [`ProcessingTimeSessionWindows::with_dynamic_gap`].
pub struct DynamicProcessingTimeSessionWindows<T, F> {
    gap: F,
    element: PhantomData<fn(&T)>,
}

impl<T, F: Clone> Clone for DynamicProcessingTimeSessionWindows<T, F> {
    fn clone(&self) -> Self {
        Self { gap: self.gap.clone(), element: PhantomData }
    }
}

fn check_gap(assigner: &str, gap: Millis) -> Result<Millis> {
    if gap.0 > 0 { Ok(gap) } else { Err(Error::user(format!("{assigner}: the gap ({gap}) must be positive"))) }
}

/// The window that an element opens by itself.
fn opened(assigner: &str, timestamp: Timestamp, gap: Millis) -> Result<TimeWindow> {
    if timestamp.is_set() { Ok(TimeWindow::starting_at(timestamp, gap)) } else { Err(no_timestamp(assigner)) }
}

impl<T: 'static> WindowAssigner<T> for EventTimeSessionWindows {
    type Window = TimeWindow;
    type DefaultTrigger = EventTimeTrigger;

    fn assign_windows(&mut self, _element: &T, timestamp: Timestamp, _cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        windows.push(opened("EventTimeSessionWindows", timestamp, self.gap)?);
        Ok(())
    }

    fn default_trigger(&self) -> EventTimeTrigger {
        EventTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        true
    }

    fn merging(&self) -> Option<&dyn MergeWindows<TimeWindow>> {
        Some(&MergeTimeWindows)
    }

    fn validate(&self) -> Result<()> {
        check_gap("EventTimeSessionWindows", self.gap).map(drop)
    }
}

impl<T: 'static> WindowAssigner<T> for ProcessingTimeSessionWindows {
    type Window = TimeWindow;
    type DefaultTrigger = ProcessingTimeTrigger;

    fn assign_windows(&mut self, _element: &T, _timestamp: Timestamp, cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        windows.push(TimeWindow::starting_at(cx.current_processing_time, self.gap));
        Ok(())
    }

    fn default_trigger(&self) -> ProcessingTimeTrigger {
        ProcessingTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        false
    }

    fn merging(&self) -> Option<&dyn MergeWindows<TimeWindow>> {
        Some(&MergeTimeWindows)
    }

    fn validate(&self) -> Result<()> {
        check_gap("ProcessingTimeSessionWindows", self.gap).map(drop)
    }
}

impl<T: 'static, F: FnMut(&T) -> Millis + Clone + Send + 'static> WindowAssigner<T> for DynamicEventTimeSessionWindows<T, F> {
    type Window = TimeWindow;
    type DefaultTrigger = EventTimeTrigger;

    fn assign_windows(&mut self, element: &T, timestamp: Timestamp, _cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        let gap = check_gap("EventTimeSessionWindows with a dynamic gap", (self.gap)(element))?;
        windows.push(opened("EventTimeSessionWindows", timestamp, gap)?);
        Ok(())
    }

    fn default_trigger(&self) -> EventTimeTrigger {
        EventTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        true
    }

    fn merging(&self) -> Option<&dyn MergeWindows<TimeWindow>> {
        Some(&MergeTimeWindows)
    }
}

impl<T: 'static, F: FnMut(&T) -> Millis + Clone + Send + 'static> WindowAssigner<T> for DynamicProcessingTimeSessionWindows<T, F> {
    type Window = TimeWindow;
    type DefaultTrigger = ProcessingTimeTrigger;

    fn assign_windows(&mut self, element: &T, _timestamp: Timestamp, cx: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        let gap = check_gap("ProcessingTimeSessionWindows with a dynamic gap", (self.gap)(element))?;
        windows.push(TimeWindow::starting_at(cx.current_processing_time, gap));
        Ok(())
    }

    fn default_trigger(&self) -> ProcessingTimeTrigger {
        ProcessingTimeTrigger
    }

    fn is_event_time(&self) -> bool {
        false
    }

    fn merging(&self) -> Option<&dyn MergeWindows<TimeWindow>> {
        Some(&MergeTimeWindows)
    }
}
