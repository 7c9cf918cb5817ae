//! One record in, one record out.

use super::hooks::checkpointed_hooks;
use brisk_base::Result;
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::marker::PhantomData;

/// Makes one record of each (Flink's `RichMapFunction`); for [`map_with`](crate::DataStream::map_with). Closures do for most.
pub trait MapFunction: Clone + Send + 'static {
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
    fn map(&mut self, value: Self::In) -> Result<Self::Out>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A closure as a [`MapFunction`].
pub(crate) struct MapFn<F, T, U>(F, PhantomData<fn(T) -> U>);

/// A closure that may fail as a [`MapFunction`].
pub(crate) struct TryMapFn<F, T, U>(F, PhantomData<fn(T) -> U>);

/// Constructor and `Clone` of a closure's wrapper, whatever its record types are.
macro_rules! closure_wrapper {
    ($name:ident<$($parameter:ident),*>) => {
        impl<F, $($parameter),*> $name<F, $($parameter),*> {
            pub(crate) const fn new(function: F) -> Self {
                Self(function, std::marker::PhantomData)
            }
        }

        impl<F: Clone, $($parameter),*> Clone for $name<F, $($parameter),*> {
            fn clone(&self) -> Self {
                Self::new(self.0.clone())
            }
        }
    };
}
pub(crate) use closure_wrapper;

closure_wrapper!(MapFn<T, U>);
closure_wrapper!(TryMapFn<T, U>);

impl<T: Record, U: Record, F: FnMut(T) -> U + Clone + Send + 'static> MapFunction for MapFn<F, T, U> {
    type In = T;
    type Out = U;

    #[inline]
    fn map(&mut self, value: T) -> Result<U> {
        Ok((self.0)(value))
    }
}

impl<T: Record, U: Record, F: FnMut(T) -> Result<U> + Clone + Send + 'static> MapFunction for TryMapFn<F, T, U> {
    type In = T;
    type Out = U;

    #[inline]
    fn map(&mut self, value: T) -> Result<U> {
        (self.0)(value)
    }
}
