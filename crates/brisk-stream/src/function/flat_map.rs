//! One record in, any number out.

use super::hooks::checkpointed_hooks;
use super::map::closure_wrapper;
use brisk_base::Result;
use brisk_core::function::Collector;
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::marker::PhantomData;

/// Makes any number of records of each (Flink's `RichFlatMapFunction`); for [`flat_map_with`](crate::DataStream::flat_map_with).
pub trait FlatMapFunction: Clone + Send + 'static {
    /// What it takes.
    type In: Record;
    /// What it makes.
    type Out: Record;

    /// Called once per subtask, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called for each record.
    ///
    /// # Errors
    /// Fails the task.
    fn flat_map(&mut self, value: Self::In, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A closure as a [`FlatMapFunction`].
pub(crate) struct FlatMapFn<F, T, U>(F, PhantomData<fn(T) -> U>);

/// A closure that may fail as a [`FlatMapFunction`].
pub(crate) struct TryFlatMapFn<F, T, U>(F, PhantomData<fn(T) -> U>);

closure_wrapper!(FlatMapFn<T, U>);
closure_wrapper!(TryFlatMapFn<T, U>);

impl<T: Record, U: Record, F: FnMut(T, &mut Collector<U>) + Clone + Send + 'static> FlatMapFunction for FlatMapFn<F, T, U> {
    type In = T;
    type Out = U;

    #[inline]
    fn flat_map(&mut self, value: T, out: &mut Collector<U>) -> Result<()> {
        (self.0)(value, out);
        Ok(())
    }
}

impl<T: Record, U: Record, F: FnMut(T, &mut Collector<U>) -> Result<()> + Clone + Send + 'static> FlatMapFunction
    for TryFlatMapFn<F, T, U>
{
    type In = T;
    type Out = U;

    #[inline]
    fn flat_map(&mut self, value: T, out: &mut Collector<U>) -> Result<()> {
        (self.0)(value, out)
    }
}
