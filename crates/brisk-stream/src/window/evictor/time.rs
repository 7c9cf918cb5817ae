//! Keeps the elements of the most recent span of time.

use super::{Evictor, EvictorContext, Window, WindowElements};
use brisk_base::{Millis, Result, Timestamp};

/// Keeps the elements less than `window_size` older than the newest. Elements without timestamps are all kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeEvictor {
    window_size: Millis,
    after: bool,
}

impl TimeEvictor {
    /// Evicts before the window function.
    pub const fn of(window_size: Millis) -> Self {
        Self { window_size, after: false }
    }

    /// Evicts after the window function instead.
    #[must_use]
    pub const fn do_evict_after(self, after: bool) -> Self {
        Self { after, ..self }
    }

    fn evict<T>(self, elements: &mut WindowElements<T>) {
        if !elements.timestamps().first().is_some_and(|first| first.is_set()) {
            return;
        }
        let newest = elements.timestamps().iter().copied().max().unwrap_or(Timestamp::MIN);
        let cutoff = newest - self.window_size;
        elements.retain(|_, timestamp| timestamp > cutoff);
    }
}

impl<T: 'static, W: Window> Evictor<T, W> for TimeEvictor {
    fn evict_before(&mut self, elements: &mut WindowElements<T>, _window: &W, _cx: EvictorContext) -> Result<()> {
        if !self.after {
            self.evict(elements);
        }
        Ok(())
    }

    fn evict_after(&mut self, elements: &mut WindowElements<T>, _window: &W, _cx: EvictorContext) -> Result<()> {
        if self.after {
            self.evict(elements);
        }
        Ok(())
    }
}
