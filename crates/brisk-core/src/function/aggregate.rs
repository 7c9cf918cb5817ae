//! Functions that fold records together: reduce and aggregate.

use crate::types::Record;
use brisk_base::Result;

/// Combines two records into one of the same type (Flink's `ReduceFunction`). Every closure `Fn(T, T) -> Result<T>` is one.
///
/// It should be associative: the engine may combine records in groups.
pub trait ReduceFunction<T>: Send + Sync + 'static {
    /// Combines what has been gathered so far with the next record.
    ///
    /// # Errors
    /// Fails the job.
    fn reduce(&self, first: T, second: T) -> Result<T>;
}

impl<T, F: Fn(T, T) -> Result<T> + Send + Sync + 'static> ReduceFunction<T> for F {
    #[inline]
    fn reduce(&self, first: T, second: T) -> Result<T> {
        self(first, second)
    }
}

/// Folds records into an accumulator, from which the result is made (Flink's `AggregateFunction`).
///
/// One instance serves all keys of a subtask: everything that differs from key to key belongs into the accumulator.
pub trait AggregateFunction: Send + Sync + 'static {
    /// What is folded in.
    type In;
    /// What is kept in state.
    type Acc: Record;
    /// The result.
    type Out;

    /// An accumulator into which nothing has been folded yet.
    fn create_accumulator(&self) -> Self::Acc;

    /// Folds in one record.
    ///
    /// # Errors
    /// Fails the job.
    fn add(&self, accumulator: &mut Self::Acc, value: Self::In) -> Result<()>;

    /// The result so far. The accumulator may go on being used.
    ///
    /// # Errors
    /// Fails the job.
    fn get_result(&self, accumulator: &Self::Acc) -> Result<Self::Out>;

    /// Folds one accumulator into another: needed where windows merge (sessions).
    ///
    /// # Errors
    /// Fails the job.
    fn merge(&self, into: &mut Self::Acc, from: Self::Acc) -> Result<()>;
}
