//! Makes a trigger drop the contents of the window whenever it fires.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use brisk_base::{Result, Timestamp};

/// Wraps another trigger: what was `Fire` becomes `FireAndPurge`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PurgingTrigger<G> {
    nested: G,
}

impl<G> PurgingTrigger<G> {
    /// Makes `nested` purge.
    pub const fn of(nested: G) -> Self {
        Self { nested }
    }
}

const fn purging(result: TriggerResult) -> TriggerResult {
    if result.is_fire() { TriggerResult::FireAndPurge } else { result }
}

impl<T: 'static, W: Window, G: Trigger<T, W>> Trigger<T, W> for PurgingTrigger<G> {
    type State = G::State;

    fn on_element(
        &mut self,
        element: &T,
        timestamp: Timestamp,
        window: &W,
        state: &mut Option<G::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        self.nested.on_element(element, timestamp, window, state, cx).map(purging)
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        window: &W,
        state: &mut Option<G::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        self.nested.on_event_time(time, window, state, cx).map(purging)
    }

    fn on_processing_time(
        &mut self,
        time: Timestamp,
        window: &W,
        state: &mut Option<G::State>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        self.nested.on_processing_time(time, window, state, cx).map(purging)
    }

    fn can_merge(&self) -> bool {
        self.nested.can_merge()
    }

    fn on_merge(&mut self, window: &W, state: &mut Option<G::State>, merged: Vec<G::State>, cx: &mut TriggerContext<'_>) -> Result<()> {
        self.nested.on_merge(window, state, merged, cx)
    }

    fn clear(&mut self, window: &W, state: &mut Option<G::State>, cx: &mut TriggerContext<'_>) -> Result<()> {
        self.nested.clear(window, state, cx)
    }

    fn validate(&self) -> Result<()> {
        self.nested.validate()
    }
}
