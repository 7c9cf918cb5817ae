//! Fires again and again at an interval, in event time or in processing time.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use brisk_base::{Error, Millis, Result, Timestamp};

/// Fires at each multiple of an interval that the watermark passes, and at the end of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContinuousEventTimeTrigger {
    interval: Millis,
}

impl ContinuousEventTimeTrigger {
    /// Fires at this interval.
    pub const fn of(interval: Millis) -> Self {
        Self { interval }
    }
}

/// Fires at each multiple of an interval of processing time, up to the end of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ContinuousProcessingTimeTrigger {
    interval: Millis,
}

impl ContinuousProcessingTimeTrigger {
    /// Fires at this interval.
    pub const fn of(interval: Millis) -> Self {
        Self { interval }
    }
}

/// The multiple of the interval at or before `time` (before zero: at or after it, as in Flink).
fn truncated(time: Timestamp, interval: Millis) -> Timestamp {
    Timestamp(time.0 - time.0 % interval.0)
}

fn check_interval(trigger: &str, interval: Millis) -> Result<()> {
    if interval.0 > 0 { Ok(()) } else { Err(Error::user(format!("{trigger}: the interval ({interval}) must be positive"))) }
}

fn earliest(state: &mut Option<Timestamp>, merged: Vec<Timestamp>) -> Option<Timestamp> {
    *state = merged.into_iter().chain(*state).min();
    *state
}

impl ContinuousEventTimeTrigger {
    /// At the end of the stream, a window without an end fires just once more: its intervals would never end.
    fn register_next(self, after: Timestamp, window: &impl Window, next: &mut Option<Timestamp>, cx: &mut TriggerContext<'_>) {
        let endless = window.max_timestamp() == Timestamp::MAX && cx.current_watermark() == Timestamp::MAX;
        let time = if endless { Timestamp::MAX } else { (after + self.interval).min(window.max_timestamp()) };
        *next = Some(time);
        cx.register_event_time_timer(time);
    }
}

impl<T: 'static, W: Window> Trigger<T, W> for ContinuousEventTimeTrigger {
    /// When it fires next.
    type State = Timestamp;

    fn on_element(
        &mut self,
        _element: &T,
        timestamp: Timestamp,
        window: &W,
        next: &mut Option<Timestamp>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        if window.max_timestamp() <= cx.current_watermark() {
            return Ok(TriggerResult::Fire);
        }
        cx.register_event_time_timer(window.max_timestamp());
        if next.is_none() {
            self.register_next(truncated(timestamp, self.interval), window, next, cx);
        }
        Ok(TriggerResult::Continue)
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        window: &W,
        next: &mut Option<Timestamp>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        if time == window.max_timestamp() {
            return Ok(TriggerResult::Fire);
        }
        if *next != Some(time) {
            return Ok(TriggerResult::Continue);
        }
        self.register_next(time, window, next, cx);
        Ok(TriggerResult::Fire)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, _window: &W, next: &mut Option<Timestamp>, merged: Vec<Timestamp>, cx: &mut TriggerContext<'_>) -> Result<()> {
        if let Some(time) = earliest(next, merged) {
            cx.register_event_time_timer(time);
        }
        Ok(())
    }

    fn clear(&mut self, _window: &W, next: &mut Option<Timestamp>, cx: &mut TriggerContext<'_>) -> Result<()> {
        if let Some(time) = next.take() {
            cx.delete_event_time_timer(time);
        }
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        check_interval("ContinuousEventTimeTrigger", self.interval)
    }
}

impl ContinuousProcessingTimeTrigger {
    /// The end of the window comes in between, unless `now` is past it: windows of event time may stay open for longer.
    fn register_next(
        self,
        after: Timestamp,
        now: Timestamp,
        window: &impl Window,
        next: &mut Option<Timestamp>,
        cx: &mut TriggerContext<'_>,
    ) {
        let (time, end) = (after + self.interval, window.max_timestamp());
        let time = if now < end { time.min(end) } else { time };
        *next = Some(time);
        cx.register_processing_time_timer(time);
    }
}

impl<T: 'static, W: Window> Trigger<T, W> for ContinuousProcessingTimeTrigger {
    /// When it fires next.
    type State = Timestamp;

    fn on_element(
        &mut self,
        _element: &T,
        _timestamp: Timestamp,
        window: &W,
        next: &mut Option<Timestamp>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        if next.is_none() {
            let now = cx.current_processing_time();
            self.register_next(truncated(now, self.interval), now, window, next, cx);
        }
        Ok(TriggerResult::Continue)
    }

    fn on_processing_time(
        &mut self,
        time: Timestamp,
        window: &W,
        next: &mut Option<Timestamp>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        if *next != Some(time) {
            return Ok(TriggerResult::Continue);
        }
        self.register_next(time, time, window, next, cx);
        Ok(TriggerResult::Fire)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, _window: &W, next: &mut Option<Timestamp>, merged: Vec<Timestamp>, cx: &mut TriggerContext<'_>) -> Result<()> {
        if let Some(time) = earliest(next, merged) {
            cx.register_processing_time_timer(time);
        }
        Ok(())
    }

    fn clear(&mut self, _window: &W, next: &mut Option<Timestamp>, cx: &mut TriggerContext<'_>) -> Result<()> {
        if let Some(time) = next.take() {
            cx.delete_processing_time_timer(time);
        }
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        check_interval("ContinuousProcessingTimeTrigger", self.interval)
    }
}
