//! Triggers of global windows: never, or when the stream ends.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use crate::window::time_window::GlobalWindow;
use brisk_base::{Result, Timestamp};

/// Never fires. The default of global windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct NeverTrigger;

impl<T: 'static, W: Window> Trigger<T, W> for NeverTrigger {
    type State = ();

    fn on_element(
        &mut self,
        _element: &T,
        _timestamp: Timestamp,
        _window: &W,
        _state: &mut Option<()>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        Ok(TriggerResult::Continue)
    }
}

/// Fires when the stream has ended (Flink's `GlobalWindows.createWithEndOfStreamTrigger`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EndOfStreamTrigger;

impl<T: 'static> Trigger<T, GlobalWindow> for EndOfStreamTrigger {
    type State = ();

    fn on_element(
        &mut self,
        _element: &T,
        _timestamp: Timestamp,
        _window: &GlobalWindow,
        _state: &mut Option<()>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        cx.register_event_time_timer(Timestamp::MAX);
        Ok(TriggerResult::Continue)
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        _window: &GlobalWindow,
        _state: &mut Option<()>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        Ok(if time == Timestamp::MAX { TriggerResult::Fire } else { TriggerResult::Continue })
    }
}
