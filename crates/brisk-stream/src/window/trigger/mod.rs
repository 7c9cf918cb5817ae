//! Triggers: when the contents of a window are given to the window function, and when they are thrown away.
//!
//! A trigger is asked for each element and each timer of a window. What it remembers between two calls lies in keyed state, one
//! [`State`](Trigger::State) per key and window, and reaches it as an argument; the trigger object itself is shared by all keys of a
//! subtask and must not remember anything of a key. Source for names and semantics: Flink, "Windows", section "Triggers".

mod continuous;
mod count;
mod delta;
mod event_time;
mod never;
mod processing_time;
mod processing_timeout;
mod purging;

pub use continuous::{ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger};
pub use count::CountTrigger;
pub use delta::DeltaTrigger;
pub use event_time::EventTimeTrigger;
pub use never::{EndOfStreamTrigger, NeverTrigger};
pub use processing_time::ProcessingTimeTrigger;
pub use processing_timeout::ProcessingTimeoutTrigger;
pub use purging::PurgingTrigger;

use super::time_window::Window;
use brisk_base::{Result, Timestamp};
use brisk_core::types::Record;

/// What becomes of a window after a call of its trigger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// The window function is called; the contents stay.
    Fire,
    /// The contents are dropped without calling the window function.
    Purge,
    /// The window function is called, then the contents are dropped.
    FireAndPurge,
}

impl TriggerResult {
    /// Whether the window function is called.
    pub const fn is_fire(self) -> bool {
        matches!(self, Self::Fire | Self::FireAndPurge)
    }

    /// Whether the contents are dropped.
    pub const fn is_purge(self) -> bool {
        matches!(self, Self::Purge | Self::FireAndPurge)
    }
}

/// Decides when a window fires (Flink's `Trigger`).
///
/// ```
/// use brisk_base::{Result, Timestamp};
/// use brisk_stream::window::{Trigger, TriggerContext, TriggerResult, Window};
///
/// /// Fires when the amounts of a window add up to more than a limit, and begins again.
/// #[derive(Clone)]
/// struct Over(u64);
///
/// impl<W: Window> Trigger<u64, W> for Over {
///     type State = u64;
///
///     fn on_element(
///         &mut self,
///         amount: &u64,
///         _at: Timestamp,
///         _window: &W,
///         total: &mut Option<u64>,
///         _cx: &mut TriggerContext<'_>,
///     ) -> Result<TriggerResult> {
///         let sum = total.unwrap_or(0) + amount;
///         *total = Some(sum).filter(|sum| *sum <= self.0);
///         Ok(if total.is_none() { TriggerResult::FireAndPurge } else { TriggerResult::Continue })
///     }
/// }
/// ```
pub trait Trigger<T, W: Window>: Clone + Send + 'static {
    /// What it remembers of one window of one key; `()` for nothing. `None` is "nothing yet" and takes no space.
    type State: Record;

    /// An element was added to the window.
    ///
    /// # Errors
    /// Fails the task.
    fn on_element(
        &mut self,
        element: &T,
        timestamp: Timestamp,
        window: &W,
        state: &mut Option<Self::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult>;

    /// The watermark has reached a timer that was registered for the window.
    ///
    /// # Errors
    /// Fails the task.
    fn on_event_time(
        &mut self,
        _time: Timestamp,
        _window: &W,
        _state: &mut Option<Self::State>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        Ok(TriggerResult::Continue)
    }

    /// Processing time has reached a timer that was registered for the window.
    ///
    /// # Errors
    /// Fails the task.
    fn on_processing_time(
        &mut self,
        _time: Timestamp,
        _window: &W,
        _state: &mut Option<Self::State>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        Ok(TriggerResult::Continue)
    }

    /// Whether it may be used with windows that merge: then it has an [`on_merge`](Self::on_merge).
    fn can_merge(&self) -> bool {
        false
    }

    /// Windows were merged into `window`. `merged` holds what was remembered of them (where there was anything), and `state` is to become
    /// that of the result; timers must be registered anew. The windows are [cleared](Self::clear) afterwards.
    ///
    /// # Errors
    /// Fails the task.
    fn on_merge(
        &mut self,
        _window: &W,
        _state: &mut Option<Self::State>,
        _merged: Vec<Self::State>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// The window is gone: delete its timers. Its state is dropped afterwards.
    ///
    /// # Errors
    /// Fails the task.
    fn clear(&mut self, _window: &W, _state: &mut Option<Self::State>, _cx: &mut TriggerContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Checks the parameters when the graph is built.
    ///
    /// # Errors
    /// With a message that names the parameter.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// Timers of one window of one key.
pub(crate) trait WindowTimers {
    /// Registers a timer; a second one for the same time has no effect.
    fn register_event_time(&mut self, time: Timestamp);
    /// Deletes a timer, if there is one.
    fn delete_event_time(&mut self, time: Timestamp);
    /// Registers a timer; a second one for the same time has no effect.
    fn register_processing_time(&mut self, time: Timestamp);
    /// Deletes a timer, if there is one.
    fn delete_processing_time(&mut self, time: Timestamp);
}

/// Time and timers, for a trigger (Flink's `TriggerContext`).
pub struct TriggerContext<'a> {
    watermark: Timestamp,
    processing_time: Timestamp,
    timers: &'a mut dyn WindowTimers,
}

impl<'a> TriggerContext<'a> {
    pub(crate) fn new(watermark: Timestamp, processing_time: Timestamp, timers: &'a mut dyn WindowTimers) -> Self {
        Self { watermark, processing_time, timers }
    }

    /// The current watermark; [`Timestamp::MIN`] before the first.
    pub fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The current processing time.
    pub fn current_processing_time(&self) -> Timestamp {
        self.processing_time
    }

    /// Asks for [`Trigger::on_event_time`] when the watermark reaches `time`. Registering a time twice is the same as once.
    pub fn register_event_time_timer(&mut self, time: Timestamp) {
        self.timers.register_event_time(time);
    }

    /// Takes a registration back.
    pub fn delete_event_time_timer(&mut self, time: Timestamp) {
        self.timers.delete_event_time(time);
    }

    /// Asks for [`Trigger::on_processing_time`] at `time`. Registering a time twice is the same as once.
    pub fn register_processing_time_timer(&mut self, time: Timestamp) {
        self.timers.register_processing_time(time);
    }

    /// Takes a registration back.
    pub fn delete_processing_time_timer(&mut self, time: Timestamp) {
        self.timers.delete_processing_time(time);
    }
}
