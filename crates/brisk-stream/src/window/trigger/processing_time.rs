//! Fires when processing time passes the end of the window. The default of processing-time windows.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use brisk_base::{Result, Timestamp};

/// Fires once processing time passes the end of the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProcessingTimeTrigger;

impl<T: 'static, W: Window> Trigger<T, W> for ProcessingTimeTrigger {
    type State = ();

    fn on_element(
        &mut self,
        _element: &T,
        _timestamp: Timestamp,
        window: &W,
        _state: &mut Option<()>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        cx.register_processing_time_timer(window.max_timestamp());
        Ok(TriggerResult::Continue)
    }

    fn on_processing_time(
        &mut self,
        _time: Timestamp,
        _window: &W,
        _state: &mut Option<()>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        Ok(TriggerResult::Fire)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, window: &W, _state: &mut Option<()>, _merged: Vec<()>, cx: &mut TriggerContext<'_>) -> Result<()> {
        if window.max_timestamp() > cx.current_processing_time() {
            cx.register_processing_time_timer(window.max_timestamp());
        }
        Ok(())
    }

    fn clear(&mut self, window: &W, _state: &mut Option<()>, cx: &mut TriggerContext<'_>) -> Result<()> {
        cx.delete_processing_time_timer(window.max_timestamp());
        Ok(())
    }
}
