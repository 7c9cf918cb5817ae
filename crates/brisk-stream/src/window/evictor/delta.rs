//! Keeps the elements that are close to the last one.

use super::{Evictor, EvictorContext, Window, WindowElements};
use brisk_base::Result;

/// Removes the elements for which `delta(element, last)` reaches a threshold.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct DeltaEvictor<F> {
    threshold: f64,
    delta: F,
    after: bool,
}

impl<F> DeltaEvictor<F> {
    /// Removes elements with `delta(element, last) >= threshold`, before the window function.
    pub const fn of<T>(threshold: f64, delta: F) -> Self
    where
        F: FnMut(&T, &T) -> f64,
    {
        Self { threshold, delta, after: false }
    }

    /// Evicts after the window function instead.
    #[must_use]
    pub fn do_evict_after(self, after: bool) -> Self {
        Self { after, ..self }
    }

    fn evict<T: Clone>(&mut self, elements: &mut WindowElements<T>)
    where
        F: FnMut(&T, &T) -> f64,
    {
        let Some(last) = elements.values().last().cloned() else { return };
        elements.retain(|value, _| {
            let evicted = (self.delta)(value, &last) >= self.threshold;
            !evicted
        });
    }
}

impl<T: Clone + 'static, W: Window, F: FnMut(&T, &T) -> f64 + Clone + Send + 'static> Evictor<T, W> for DeltaEvictor<F> {
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
