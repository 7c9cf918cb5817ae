//! Records that are looked up elsewhere, many at a time: functions that return futures.
//!
//! Futures are polled by the task itself, between batches. They must not block; a future that needs an executor of its own (a client of a
//! database, say) is spawned there by the function, which returns the handle.

use super::hooks::checkpointed_hooks;
use brisk_base::{Error, Millis, Result};
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

/// What an asynchronous function returns: any number of records, later.
pub type AsyncResult<U> = Pin<Box<dyn Future<Output = Result<Vec<U>>> + Send>>;

/// Looks records up elsewhere (Flink's `AsyncFunction`); for [`async_wait`](crate::DataStream::async_wait).
pub trait AsyncFunction: Clone + Send + 'static {
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

    /// Begins the request for one record; again for each retry.
    fn async_invoke(&mut self, input: Self::In) -> AsyncResult<Self::Out>;

    /// What stands in for the result of a request that took too long. Without this, the job fails.
    ///
    /// # Errors
    /// Fails the task.
    fn timeout(&mut self, _input: Self::In) -> Result<Vec<Self::Out>> {
        Err(Error::transient("an asynchronous request timed out; allow more time, retry, or implement AsyncFunction::timeout"))
    }

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A closure as an [`AsyncFunction`] with one result per record.
pub(crate) struct AsyncFn<F, T, U>(F, PhantomData<fn(T) -> U>);

super::map::closure_wrapper!(AsyncFn<T, U>);

impl<T, U, Fut, F> AsyncFunction for AsyncFn<F, T, U>
where
    T: Record,
    U: Record,
    Fut: Future<Output = Result<U>> + Send + 'static,
    F: FnMut(T) -> Fut + Clone + Send + 'static,
{
    type In = T;
    type Out = U;

    fn async_invoke(&mut self, input: T) -> AsyncResult<U> {
        let future = (self.0)(input);
        Box::pin(async move { Ok(vec![future.await?]) })
    }
}

/// Which order results come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AsyncOrder {
    /// That of the records they belong to.
    Ordered,
    /// As they are ready; but no result passes a watermark, in either direction.
    Unordered,
}

type ResultPredicate<U> = Arc<dyn Fn(&[U]) -> bool + Send + Sync>;
type ErrorPredicate = Arc<dyn Fn(&Error) -> bool + Send + Sync>;

/// When and how often a request is made again (Flink's `AsyncRetryStrategy`).
pub struct AsyncRetry<U> {
    max_attempts: u32,
    delay: Millis,
    multiplier: f64,
    max_delay: Millis,
    on_result: ResultPredicate<U>,
    on_error: ErrorPredicate,
}

impl<U> Clone for AsyncRetry<U> {
    fn clone(&self) -> Self {
        Self { on_result: Arc::clone(&self.on_result), on_error: Arc::clone(&self.on_error), ..*self }
    }
}

impl<U> AsyncRetry<U> {
    /// At most `max_attempts` requests in all, this long apart. Every error is retried, unless [`if_error`](Self::if_error) says otherwise.
    pub fn fixed_delay(max_attempts: u32, delay: Millis) -> Self {
        Self::exponential_backoff(max_attempts, delay, delay, 1.0)
    }

    /// As [`fixed_delay`](Self::fixed_delay), but each wait is `multiplier` times the one before, up to `max_delay`.
    pub fn exponential_backoff(max_attempts: u32, delay: Millis, max_delay: Millis, multiplier: f64) -> Self {
        Self { max_attempts, delay, multiplier, max_delay, on_result: Arc::new(|_| false), on_error: Arc::new(|_| true) }
    }

    /// Results for which this is true are asked for again, too: such as none at all.
    #[must_use]
    pub fn if_result(mut self, predicate: impl Fn(&[U]) -> bool + Send + Sync + 'static) -> Self {
        self.on_result = Arc::new(predicate);
        self
    }

    /// Only errors for which this is true are retried.
    #[must_use]
    pub fn if_error(mut self, predicate: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.on_error = Arc::new(predicate);
        self
    }

    /// How long to wait before the next request after `attempts` of them; `None` when this outcome stands.
    pub(crate) fn delay_after(&self, attempts: u32, outcome: &Result<Vec<U>>) -> Option<Millis> {
        let again = match outcome {
            Ok(results) => (self.on_result)(results),
            Err(error) => (self.on_error)(error),
        };
        let factor = self.multiplier.powi(attempts.saturating_sub(1).min(i32::MAX as u32) as i32);
        let delay = Millis((self.delay.0 as f64 * factor) as i64);
        (again && attempts < self.max_attempts).then(|| delay.min(self.max_delay))
    }
}

/// Limits of asynchronous requests.
pub struct AsyncOptions<U> {
    /// How long one record may take, retries included.
    pub(crate) timeout: Option<Millis>,
    /// How many records may be under way.
    pub(crate) capacity: usize,
    /// Whether requests are made again.
    pub(crate) retry: Option<AsyncRetry<U>>,
}

impl<U> Clone for AsyncOptions<U> {
    fn clone(&self) -> Self {
        Self { retry: self.retry.clone(), ..*self }
    }
}

impl<U> Default for AsyncOptions<U> {
    /// No timeout, 100 records under way, no retry.
    fn default() -> Self {
        Self { timeout: None, capacity: 100, retry: None }
    }
}

impl<U> AsyncOptions<U> {
    /// How long one record may take, retries included.
    pub fn timeout(timeout: Millis) -> Self {
        Self { timeout: Some(timeout), ..Self::default() }
    }

    /// How many records may be under way per subtask; the stream waits when there are as many.
    #[must_use]
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity;
        self
    }

    /// Makes requests again.
    #[must_use]
    pub fn retry(mut self, retry: AsyncRetry<U>) -> Self {
        self.retry = Some(retry);
        self
    }
}
