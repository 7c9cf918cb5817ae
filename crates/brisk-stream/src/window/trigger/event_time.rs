//! Fires when the watermark passes the end of the window. The default of event-time windows.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use brisk_base::{Result, Timestamp};

/// Fires once the watermark passes the end of the window, and again for each late element within the allowed lateness.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventTimeTrigger;

impl<T: 'static, W: Window> Trigger<T, W> for EventTimeTrigger {
    type State = ();

    fn on_element(
        &mut self,
        _element: &T,
        _timestamp: Timestamp,
        window: &W,
        _state: &mut Option<()>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        if window.max_timestamp() <= cx.current_watermark() {
            return Ok(TriggerResult::Fire);
        }
        cx.register_event_time_timer(window.max_timestamp());
        Ok(TriggerResult::Continue)
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        window: &W,
        _state: &mut Option<()>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        Ok(if time == window.max_timestamp() { TriggerResult::Fire } else { TriggerResult::Continue })
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, window: &W, _state: &mut Option<()>, _merged: Vec<()>, cx: &mut TriggerContext<'_>) -> Result<()> {
        // A merged window that is past the watermark is fired by the element that follows.
        if window.max_timestamp() > cx.current_watermark() {
            cx.register_event_time_timer(window.max_timestamp());
        }
        Ok(())
    }

    fn clear(&mut self, window: &W, _state: &mut Option<()>, cx: &mut TriggerContext<'_>) -> Result<()> {
        cx.delete_event_time_timer(window.max_timestamp());
        Ok(())
    }
}
