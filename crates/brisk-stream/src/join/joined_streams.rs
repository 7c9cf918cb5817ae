//! Window joins: each pair of records of two streams with one key in one window.

use super::co_grouped_streams::{CoGroupedStreams, CoGroupedWhere, CoGroupedWindows, CoGroupedWithKeys};
use super::tagged_union::TaggedUnion;
use crate::data_stream::DataStream;
use crate::window::{Evictor, Outcome, Trigger, Window, WindowAssigner};
use brisk_base::{Millis, Result};
use brisk_core::function::{Collector, OutputTag};
use brisk_core::types::{Key, Record};

/// Two streams to be joined (Flink's `JoinedStreams`). Made by [`DataStream::join`].
pub struct JoinedStreams<A, B>(CoGroupedStreams<A, B>);

/// With the key of the first stream.
pub struct JoinedWhere<A, B, F>(CoGroupedWhere<A, B, F>);

/// With both keys.
pub struct JoinedWithKeys<A, B, F, G>(CoGroupedWithKeys<A, B, F, G>);

/// With both keys and a window.
pub struct JoinedWindows<A: Record, B: Record, K, F, G, W>(CoGroupedWindows<A, B, K, F, G, W>)
where
    K: Key,
    F: Fn(&A) -> K + Clone + Send + Sync + 'static,
    G: Fn(&B) -> K + Clone + Send + Sync + 'static;

impl<A: Record> DataStream<A> {
    /// Joins the records of this stream with those of another one that have the same key and lie in the same window. A record without a
    /// partner gives nothing. Results carry the last timestamp of the window.
    ///
    /// ```
    /// # use brisk_base::{Millis, Timestamp};
    /// # use brisk_core::function::watermark::WatermarkStrategy;
    /// # use brisk_stream::{StreamEnvironment, window::TumblingEventTimeWindows};
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// # let numbers = |n| env.from_sequence(1, n).assign_timestamps_and_watermarks(
    /// #     WatermarkStrategy::monotonous_timestamps().with_timestamp(|n: &i64| Timestamp(*n)));
    /// # let (orange, green) = (numbers(10), numbers(20));
    /// orange
    ///     .join(&green)
    ///     .where_key(|orange| orange % 2)
    ///     .equal_to(|green| green % 2)
    ///     .window(TumblingEventTimeWindows::of(Millis(2)))
    ///     .apply(|orange, green| format!("{orange},{green}"));
    /// # env.stream_graph("colours")?;
    /// # brisk_base::Result::Ok(())
    /// ```
    pub fn join<B: Record>(&self, other: &DataStream<B>) -> JoinedStreams<A, B> {
        JoinedStreams(self.co_group(other))
    }
}

impl<A: Record, B: Record> JoinedStreams<A, B> {
    /// The key of the first stream (Flink's `where`, which is a word of Rust).
    pub fn where_key<K: Key, F: Fn(&A) -> K + Clone + Send + Sync + 'static>(self, key: F) -> JoinedWhere<A, B, F> {
        JoinedWhere(self.0.where_key(key))
    }
}

impl<A: Record, B: Record, F> JoinedWhere<A, B, F> {
    /// The key of the second stream.
    pub fn equal_to<K, G>(self, key: G) -> JoinedWithKeys<A, B, F, G>
    where
        K: Key,
        F: Fn(&A) -> K,
        G: Fn(&B) -> K + Clone + Send + Sync + 'static,
    {
        JoinedWithKeys(self.0.equal_to(key))
    }
}

impl<A: Record, B: Record, F, G> JoinedWithKeys<A, B, F, G> {
    /// The windows.
    pub fn window<K, X>(self, assigner: X) -> JoinedWindows<A, B, K, F, G, X::Window>
    where
        K: Key,
        F: Fn(&A) -> K + Clone + Send + Sync + 'static,
        G: Fn(&B) -> K + Clone + Send + Sync + 'static,
        X: WindowAssigner<TaggedUnion<A, B>>,
    {
        JoinedWindows(self.0.window(assigner))
    }
}

impl<A, B, K, F, G, W> JoinedWindows<A, B, K, F, G, W>
where
    A: Record,
    B: Record,
    K: Key,
    F: Fn(&A) -> K + Clone + Send + Sync + 'static,
    G: Fn(&B) -> K + Clone + Send + Sync + 'static,
    W: Window,
{
    /// As [`WindowedStream::trigger`](crate::window::WindowedStream::trigger).
    #[must_use]
    pub fn trigger<X: Trigger<TaggedUnion<A, B>, W>>(self, trigger: X) -> Self {
        Self(self.0.trigger(trigger))
    }

    /// As [`WindowedStream::evictor`](crate::window::WindowedStream::evictor).
    #[must_use]
    pub fn evictor<X: Evictor<TaggedUnion<A, B>, W>>(self, evictor: X) -> Self {
        Self(self.0.evictor(evictor))
    }

    /// As [`WindowedStream::allowed_lateness`](crate::window::WindowedStream::allowed_lateness).
    #[must_use]
    pub fn allowed_lateness(self, lateness: Millis) -> Self {
        Self(self.0.allowed_lateness(lateness))
    }

    /// As [`WindowedStream::side_output_late_data`](crate::window::WindowedStream::side_output_late_data).
    #[must_use]
    pub fn side_output_late_data(self, tag: &OutputTag<TaggedUnion<A, B>>) -> Self {
        Self(self.0.side_output_late_data(tag))
    }

    /// Makes one record of each pair.
    pub fn apply<O: Record>(&self, mut function: impl FnMut(&A, &B) -> O + Clone + Send + 'static) -> DataStream<O> {
        self.flat_apply(move |first, second, out| out.collect(function(first, second)))
    }

    /// Makes any number of records of each pair: `function(first, second, out)` may return nothing or a `Result<()>`.
    pub fn flat_apply<O: Record, R: Outcome + 'static>(
        &self,
        mut function: impl FnMut(&A, &B, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.0.apply(move |first: Vec<A>, second: Vec<B>, out: &mut Collector<O>| -> Result<()> {
            first.iter().try_for_each(|first| second.iter().try_for_each(|second| function(first, second, out).outcome()))
        })
    }
}
