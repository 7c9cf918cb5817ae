//! Co-groups: all records of two streams with one key in one window, together.

use super::tagged_union::{EitherKey, TaggedUnion};
use crate::data_stream::DataStream;
use crate::keyed_stream::KeyedStream;
use crate::window::{Evictor, Outcome, Trigger, Window, WindowAssigner, WindowedStream};
use brisk_base::Millis;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::types::{Key, Record};

/// Two streams to be grouped together (Flink's `CoGroupedStreams`). Made by [`DataStream::co_group`].
pub struct CoGroupedStreams<A, B> {
    first: DataStream<A>,
    second: DataStream<B>,
}

/// With the key of the first stream.
pub struct CoGroupedWhere<A, B, F> {
    streams: CoGroupedStreams<A, B>,
    first_key: F,
}

/// With both keys.
pub struct CoGroupedWithKeys<A, B, F, G> {
    streams: CoGroupedStreams<A, B>,
    keys: EitherKey<F, G>,
}

/// With both keys and a window.
pub struct CoGroupedWindows<A: Record, B: Record, K, F, G, W>
where
    K: Key,
    F: Fn(&A) -> K + Clone + Send + Sync + 'static,
    G: Fn(&B) -> K + Clone + Send + Sync + 'static,
{
    /// The records of both streams, keyed and cut into windows.
    windowed: WindowedStream<TaggedUnion<A, B>, EitherKey<F, G>, W>,
}

impl<A: Record> DataStream<A> {
    /// Groups the records of this stream and another one by key and window, for a function that sees both groups, of which one may be
    /// empty.
    ///
    /// ```
    /// # use brisk_base::{Millis, Timestamp};
    /// # use brisk_core::function::{Collector, watermark::WatermarkStrategy};
    /// # use brisk_stream::{StreamEnvironment, window::TumblingEventTimeWindows};
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// # let numbers = |n| env.from_sequence(1, n).assign_timestamps_and_watermarks(
    /// #     WatermarkStrategy::monotonous_timestamps().with_timestamp(|n: &i64| Timestamp(*n)));
    /// # let (orders, shipments) = (numbers(10), numbers(20));
    /// orders
    ///     .co_group(&shipments)
    ///     .where_key(|order| *order)
    ///     .equal_to(|shipment| *shipment)
    ///     .window(TumblingEventTimeWindows::of(Millis(1000)))
    ///     .apply(|orders: Vec<i64>, shipments: Vec<i64>, out: &mut Collector<(u64, u64)>| {
    ///         out.collect((orders.len() as u64, shipments.len() as u64));
    ///     });
    /// # env.stream_graph("orders")?;
    /// # brisk_base::Result::Ok(())
    /// ```
    pub fn co_group<B: Record>(&self, other: &DataStream<B>) -> CoGroupedStreams<A, B> {
        self.check_same_environment(other);
        CoGroupedStreams { first: self.clone(), second: other.clone() }
    }
}

impl<A: Record, B: Record> CoGroupedStreams<A, B> {
    /// The key of the first stream (Flink's `where`, which is a word of Rust).
    pub fn where_key<K: Key, F: Fn(&A) -> K + Clone + Send + Sync + 'static>(self, key: F) -> CoGroupedWhere<A, B, F> {
        CoGroupedWhere { streams: self, first_key: key }
    }

    /// Both streams as one.
    fn union(&self) -> DataStream<TaggedUnion<A, B>> {
        let first = tagged(&self.first, TaggedUnion::First);
        let second = tagged(&self.second, TaggedUnion::Second);
        first.union([&second])
    }
}

/// A stream with its records marked, by an operator that can be chained to the one before.
fn tagged<T: Record, U: Record>(stream: &DataStream<T>, tag: fn(T) -> U) -> DataStream<U> {
    let before = stream.own_node().map(|node| stream.environment().builder().node(node).parallelism);
    stream.map(tag).name("Tag").with_node(|node| node.parallelism = before.flatten())
}

impl<A: Record, B: Record, F> CoGroupedWhere<A, B, F> {
    /// The key of the second stream.
    pub fn equal_to<K, G>(self, key: G) -> CoGroupedWithKeys<A, B, F, G>
    where
        K: Key,
        F: Fn(&A) -> K,
        G: Fn(&B) -> K + Clone + Send + Sync + 'static,
    {
        CoGroupedWithKeys { streams: self.streams, keys: EitherKey { first: self.first_key, second: key } }
    }
}

impl<A: Record, B: Record, F, G> CoGroupedWithKeys<A, B, F, G> {
    /// The windows.
    pub fn window<K, X>(self, assigner: X) -> CoGroupedWindows<A, B, K, F, G, X::Window>
    where
        K: Key,
        F: Fn(&A) -> K + Clone + Send + Sync + 'static,
        G: Fn(&B) -> K + Clone + Send + Sync + 'static,
        X: WindowAssigner<TaggedUnion<A, B>>,
    {
        let CoGroupedStreams { first, second } = &self.streams;
        if assigner.is_event_time() && first.has_event_time() != second.has_event_time() {
            let which = if first.has_event_time() { "second" } else { "first" };
            first.environment().fail(format!(
                "a join in windows of event time needs timestamps on both streams, but the {which} one has none; \
                 call assign_timestamps_and_watermarks on it before the join"
            ));
        }
        CoGroupedWindows { windowed: KeyedStream::new(&self.streams.union(), self.keys).window(assigner) }
    }
}

impl<A, B, K, F, G, W> CoGroupedWindows<A, B, K, F, G, W>
where
    A: Record,
    B: Record,
    K: Key,
    F: Fn(&A) -> K + Clone + Send + Sync + 'static,
    G: Fn(&B) -> K + Clone + Send + Sync + 'static,
    W: Window,
{
    /// As [`WindowedStream::trigger`].
    #[must_use]
    pub fn trigger<X: Trigger<TaggedUnion<A, B>, W>>(self, trigger: X) -> Self {
        Self { windowed: self.windowed.trigger(trigger) }
    }

    /// As [`WindowedStream::evictor`].
    #[must_use]
    pub fn evictor<X: Evictor<TaggedUnion<A, B>, W>>(self, evictor: X) -> Self {
        Self { windowed: self.windowed.evictor(evictor) }
    }

    /// As [`WindowedStream::allowed_lateness`].
    #[must_use]
    pub fn allowed_lateness(self, lateness: Millis) -> Self {
        Self { windowed: self.windowed.allowed_lateness(lateness) }
    }

    /// As [`WindowedStream::side_output_late_data`].
    #[must_use]
    pub fn side_output_late_data(self, tag: &OutputTag<TaggedUnion<A, B>>) -> Self {
        Self { windowed: self.windowed.side_output_late_data(tag) }
    }

    /// Calls `function(first, second, out)` with the records of both streams, each in the order of arrival. `function` may return nothing
    /// or a `Result<()>`.
    pub fn apply<O: Record, R: Outcome + 'static>(
        &self,
        mut function: impl FnMut(Vec<A>, Vec<B>, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.windowed.apply(move |_key, _window, records, out| {
            let (first, second) = TaggedUnion::split(records);
            function(first, second, out)
        })
    }
}
