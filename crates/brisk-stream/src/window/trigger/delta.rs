//! Fires when an element differs enough from the one that fired last.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use brisk_base::{Result, Timestamp};
use brisk_core::types::Record;

/// Fires when `delta(last, current)` exceeds a threshold; `last` is the element that fired last, or the first one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DeltaTrigger<F> {
    threshold: f64,
    delta: F,
}

impl<F> DeltaTrigger<F> {
    /// Fires when `delta(last, current)` is larger than `threshold`.
    pub const fn of<T>(threshold: f64, delta: F) -> Self
    where
        F: FnMut(&T, &T) -> f64,
    {
        Self { threshold, delta }
    }
}

impl<T: Record, W: Window, F: FnMut(&T, &T) -> f64 + Clone + Send + 'static> Trigger<T, W> for DeltaTrigger<F> {
    type State = T;

    fn on_element(
        &mut self,
        element: &T,
        _timestamp: Timestamp,
        _window: &W,
        last: &mut Option<T>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        let fires = match last {
            Some(last) if (self.delta)(last, element) > self.threshold => true,
            Some(_) => return Ok(TriggerResult::Continue),
            None => false,
        };
        *last = Some(element.clone());
        Ok(if fires { TriggerResult::Fire } else { TriggerResult::Continue })
    }
}
