//! Fires at every n-th element.

use super::{Trigger, TriggerContext, TriggerResult, Window};
use brisk_base::{Error, Result, Timestamp};

/// Fires when a window has got `max_count` elements since it last fired.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CountTrigger {
    max_count: u64,
}

impl CountTrigger {
    /// Fires at every `max_count` elements.
    pub const fn of(max_count: u64) -> Self {
        Self { max_count }
    }
}

impl<T: 'static, W: Window> Trigger<T, W> for CountTrigger {
    type State = u64;

    fn on_element(
        &mut self,
        _element: &T,
        _timestamp: Timestamp,
        _window: &W,
        count: &mut Option<u64>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        let seen = count.unwrap_or(0) + 1;
        if seen >= self.max_count {
            *count = None;
            return Ok(TriggerResult::Fire);
        }
        *count = Some(seen);
        Ok(TriggerResult::Continue)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, _window: &W, count: &mut Option<u64>, merged: Vec<u64>, _cx: &mut TriggerContext<'_>) -> Result<()> {
        let sum = count.unwrap_or(0) + merged.into_iter().sum::<u64>();
        *count = (sum > 0).then_some(sum);
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        if self.max_count == 0 { Err(Error::user("CountTrigger: the count must be at least 1")) } else { Ok(()) }
    }
}
