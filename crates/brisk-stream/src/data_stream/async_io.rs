//! Looking records up elsewhere, many at a time.

use super::DataStream;
use super::transform::boxed;
use crate::function::{AsyncFn, AsyncFunction, AsyncOptions, AsyncOrder};
use crate::operators::AsyncWaitOperator;
use brisk_base::Result;
use brisk_core::operator::{PerSubtask, RuntimeContext};
use brisk_core::types::Record;
use std::future::Future;
use std::sync::Mutex;

impl<T: Record> DataStream<T> {
    /// Makes one record of each by a future; results come in the order of the records (Flink's `orderedWait`).
    ///
    /// ```
    /// # use brisk_stream::StreamEnvironment;
    /// use brisk_base::time::seconds;
    /// use brisk_stream::function::{AsyncOptions, AsyncRetry};
    ///
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// async fn look_up(id: i64) -> brisk_base::Result<String> {
    ///     Ok(format!("customer {id}"))
    /// }
    /// let options = AsyncOptions::timeout(seconds(5)).capacity(100).retry(AsyncRetry::fixed_delay(3, seconds(1)));
    /// env.from_sequence(1, 10).map_async_ordered(look_up, options).print();
    /// ```
    pub fn map_async_ordered<U, Fut, F>(&self, f: F, options: AsyncOptions<U>) -> DataStream<U>
    where
        U: Record,
        Fut: Future<Output = Result<U>> + Send + 'static,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
    {
        self.async_wait(AsyncFn::new(f), AsyncOrder::Ordered, options)
    }

    /// Makes one record of each by a future; results come as they are ready, but none passes a watermark (Flink's `unorderedWait`).
    pub fn map_async_unordered<U, Fut, F>(&self, f: F, options: AsyncOptions<U>) -> DataStream<U>
    where
        U: Record,
        Fut: Future<Output = Result<U>> + Send + 'static,
        F: FnMut(T) -> Fut + Clone + Send + 'static,
    {
        self.async_wait(AsyncFn::new(f), AsyncOrder::Unordered, options)
    }

    /// Makes any number of records of each by a future, with a function that is opened and closed and has a say in timeouts.
    pub fn async_wait<F: AsyncFunction<In = T>>(
        &self,
        function: F,
        order: AsyncOrder,
        options: AsyncOptions<F::Out>,
    ) -> DataStream<F::Out> {
        if options.capacity == 0 {
            self.env.fail("asynchronous requests with a capacity of 0 never begin; allow 1 or more");
        }
        let shared = Mutex::new(options);
        let function = PerSubtask::new(function);
        self.transform("async wait operator", move |cx: &RuntimeContext| {
            let options = shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
            boxed(AsyncWaitOperator::new(function.instance(), order, options, cx))
        })
    }
}
