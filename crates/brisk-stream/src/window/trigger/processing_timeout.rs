//! Fires, besides what another trigger does, when a window has waited too long in processing time.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use brisk_base::{Error, Millis, Result, Timestamp};

/// Wraps another trigger and fires as well `timeout` after the first element (or the latest one, on request) since it last fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessingTimeoutTrigger<G> {
    nested: G,
    timeout: Millis,
    reset_timer_on_new_record: bool,
    should_clear_on_timeout: bool,
}

impl<G> ProcessingTimeoutTrigger<G> {
    /// Fires at the timeout after the first element, and then forgets what `nested` remembers.
    pub const fn of(nested: G, timeout: Millis) -> Self {
        Self { nested, timeout, reset_timer_on_new_record: false, should_clear_on_timeout: true }
    }

    /// Whether each element starts the timeout again.
    #[must_use]
    pub const fn reset_timer_on_new_record(mut self, reset: bool) -> Self {
        self.reset_timer_on_new_record = reset;
        self
    }

    /// Whether what `nested` remembers is forgotten at the timeout.
    #[must_use]
    pub const fn should_clear_on_timeout(mut self, clear: bool) -> Self {
        self.should_clear_on_timeout = clear;
        self
    }

    /// Calls the nested trigger with its part of the state, leaving the rest in place.
    fn nested<S, R>(&mut self, state: &mut Option<(Option<Timestamp>, Option<S>)>, call: impl FnOnce(&mut G, &mut Option<S>) -> R) -> R {
        let (timeout, mut nested) = state.take().unwrap_or((None, None));
        let result = call(&mut self.nested, &mut nested);
        *state = (timeout.is_some() || nested.is_some()).then_some((timeout, nested));
        result
    }

    fn fired<T, W: Window>(
        &mut self,
        result: TriggerResult,
        window: &W,
        state: &mut Option<<Self as Trigger<T, W>>::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult>
    where
        T: 'static,
        G: Trigger<T, W>,
    {
        if self.should_clear_on_timeout {
            Trigger::<T, W>::clear(self, window, state, cx)?;
        }
        Ok(if result.is_purge() { TriggerResult::FireAndPurge } else { TriggerResult::Fire })
    }
}

impl<T: 'static, W: Window, G: Trigger<T, W>> Trigger<T, W> for ProcessingTimeoutTrigger<G> {
    /// When the timeout is over, and what the nested trigger remembers.
    type State = (Option<Timestamp>, Option<G::State>);

    fn on_element(
        &mut self,
        element: &T,
        timestamp: Timestamp,
        window: &W,
        state: &mut Option<Self::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        let result = self.nested(state, |trigger, nested| trigger.on_element(element, timestamp, window, nested, cx))?;
        if result.is_fire() {
            Trigger::<T, W>::clear(self, window, state, cx)?;
            return Ok(result);
        }
        let (timeout, _) = state.get_or_insert((None, None));
        if self.reset_timer_on_new_record
            && let Some(old) = timeout.take()
        {
            cx.delete_processing_time_timer(old);
        }
        if timeout.is_none() {
            let at = cx.current_processing_time() + self.timeout;
            *timeout = Some(at);
            cx.register_processing_time_timer(at);
        }
        Ok(result)
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        window: &W,
        state: &mut Option<Self::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        let result = self.nested(state, |trigger, nested| trigger.on_event_time(time, window, nested, cx))?;
        self.fired(result, window, state, cx)
    }

    fn on_processing_time(
        &mut self,
        time: Timestamp,
        window: &W,
        state: &mut Option<Self::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        let result = self.nested(state, |trigger, nested| trigger.on_processing_time(time, window, nested, cx))?;
        self.fired(result, window, state, cx)
    }

    fn clear(&mut self, window: &W, state: &mut Option<Self::State>, cx: &mut TriggerContext<'_>) -> Result<()> {
        if let Some(at) = state.as_mut().and_then(|(timeout, _)| timeout.take()) {
            cx.delete_processing_time_timer(at);
        }
        self.nested(state, |trigger, nested| {
            trigger.clear(window, nested, cx)?;
            *nested = None;
            Ok(())
        })
    }

    fn validate(&self) -> Result<()> {
        if self.timeout.0 <= 0 {
            return Err(Error::user(format!("ProcessingTimeoutTrigger: the timeout ({}) must be positive", self.timeout)));
        }
        self.nested.validate()
    }
}
