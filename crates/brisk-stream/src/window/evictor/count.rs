//! Keeps the last n elements.

use super::{Evictor, EvictorContext, Window, WindowElements};
use brisk_base::Result;

/// Keeps up to `max_count` elements: the last ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CountEvictor {
    max_count: u64,
    after: bool,
}

impl CountEvictor {
    /// Evicts before the window function.
    pub const fn of(max_count: u64) -> Self {
        Self { max_count, after: false }
    }

    /// Evicts after the window function instead.
    #[must_use]
    pub const fn do_evict_after(self, after: bool) -> Self {
        Self { after, ..self }
    }

    fn evict<T>(self, elements: &mut WindowElements<T>) {
        let keep = usize::try_from(self.max_count).unwrap_or(usize::MAX);
        elements.remove_first(elements.len().saturating_sub(keep));
    }
}

impl<T: 'static, W: Window> Evictor<T, W> for CountEvictor {
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
