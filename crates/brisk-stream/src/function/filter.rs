//! Keeps some of the records.

use super::hooks::checkpointed_hooks;
use super::map::closure_wrapper;
use brisk_base::Result;
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::marker::PhantomData;

/// Says which records stay (Flink's `RichFilterFunction`); for [`filter_with`](crate::DataStream::filter_with).
pub trait FilterFunction: Clone + Send + 'static {
    /// What it looks at.
    type In: Record;

    /// Called once per subtask, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Whether the record stays.
    ///
    /// # Errors
    /// Fails the task.
    fn filter(&mut self, value: &Self::In) -> Result<bool>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A closure as a [`FilterFunction`].
pub(crate) struct FilterFn<F, T>(F, PhantomData<fn(T)>);

/// A closure that may fail as a [`FilterFunction`].
pub(crate) struct TryFilterFn<F, T>(F, PhantomData<fn(T)>);

closure_wrapper!(FilterFn<T>);
closure_wrapper!(TryFilterFn<T>);

impl<T: Record, F: FnMut(&T) -> bool + Clone + Send + 'static> FilterFunction for FilterFn<F, T> {
    type In = T;

    #[inline]
    fn filter(&mut self, value: &T) -> Result<bool> {
        Ok((self.0)(value))
    }
}

impl<T: Record, F: FnMut(&T) -> Result<bool> + Clone + Send + 'static> FilterFunction for TryFilterFn<F, T> {
    type In = T;

    #[inline]
    fn filter(&mut self, value: &T) -> Result<bool> {
        (self.0)(value)
    }
}
