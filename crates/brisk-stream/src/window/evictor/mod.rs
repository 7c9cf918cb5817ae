//! Evictors: which elements of a window are removed when it fires, before or after the window function.
//!
//! With an evictor a window keeps all of its elements, with their timestamps. Source for names and semantics: Flink, "Windows", section
//! "Evictors".

mod count;
mod delta;
mod elements;
mod time;

pub use count::CountEvictor;
pub use delta::DeltaEvictor;
pub use elements::WindowElements;
pub use time::TimeEvictor;

use super::time_window::Window;
use brisk_base::{Result, Timestamp};

/// Removes elements of a window when it fires (Flink's `Evictor`). What is removed is gone for later firings too.
pub trait Evictor<T, W: Window>: Clone + Send + 'static {
    /// Called before the window function.
    ///
    /// # Errors
    /// Fails the task.
    fn evict_before(&mut self, elements: &mut WindowElements<T>, window: &W, cx: EvictorContext) -> Result<()>;

    /// Called after the window function.
    ///
    /// # Errors
    /// Fails the task.
    fn evict_after(&mut self, elements: &mut WindowElements<T>, window: &W, cx: EvictorContext) -> Result<()>;
}

/// What an evictor may know besides the elements.
#[derive(Clone, Copy, Debug)]
pub struct EvictorContext {
    /// The current watermark.
    pub current_watermark: Timestamp,
    /// Processing time.
    pub current_processing_time: Timestamp,
}
