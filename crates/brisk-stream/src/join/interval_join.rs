//! Joins of two keyed streams by time.

use super::function::{JoinContext, ProcessJoinFn, ProcessJoinFunction};
use super::interval_operator::{IntervalJoinOperator, IntervalSettings};
use crate::data_stream::{DataStream, boxed};
use crate::key_selector::KeySelector;
use crate::keyed_connected_streams::KeyedConnectedStreams;
use crate::keyed_stream::KeyedStream;
use crate::window::Outcome;
use brisk_base::Millis;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::operator::{PerSubtask, RuntimeContext};
use brisk_core::types::Record;

/// Two keyed streams to be joined by time (Flink's `KeyedStream.IntervalJoin`); [`between`](Self::between) says how.
#[derive(Clone)]
pub struct IntervalJoin<A, B, S1, S2> {
    /// Left and right.
    streams: KeyedConnectedStreams<A, B, S1, S2>,
}

/// A join of each record of the left stream with those of the right that have the same key and a timestamp within bounds of its own
/// (Flink's `KeyedStream.IntervalJoined`). Made by [`IntervalJoin::between`].
///
/// A record that comes behind the watermark is late: it joins nothing. Records are kept for as long as a partner that is not late can
/// come.
pub struct IntervalJoined<A, B, S1, S2> {
    /// Left and right.
    streams: KeyedConnectedStreams<A, B, S1, S2>,
    /// Lowest distance of a right timestamp from its left one.
    lower: Millis,
    /// Highest distance.
    upper: Millis,
    /// Whether a partner at just the lower bound counts.
    lower_inclusive: bool,
    /// Whether a partner at just the upper bound counts.
    upper_inclusive: bool,
    /// Where late records of the left stream go.
    left_late: Option<OutputTag<A>>,
    /// Where late records of the right stream go.
    right_late: Option<OutputTag<B>>,
}

impl<A: Record, S1: KeySelector<A>> KeyedStream<A, S1> {
    /// Joins the records of this stream (the left one) with those of another (the right one) that have the same key and a timestamp
    /// near to theirs. Both need event time.
    ///
    /// ```
    /// # use brisk_base::{Millis, Timestamp};
    /// # use brisk_core::function::watermark::WatermarkStrategy;
    /// # use brisk_core::function::Collector;
    /// # use brisk_stream::{DataStream, StreamEnvironment};
    /// # use brisk_stream::join::JoinContext;
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), brisk_base::options::Configuration::new());
    /// # let timed = |stream: DataStream<(String, u64, i64)>| stream.assign_timestamps_and_watermarks(
    /// #     WatermarkStrategy::monotonous_timestamps().with_timestamp(|record: &(String, u64, i64)| Timestamp(record.2)));
    /// # let orders = timed(env.from_elements([("ada".to_owned(), 1, 5)]));
    /// # let payments = timed(env.from_elements([("ada".to_owned(), 1, 6)]));
    /// // Each order with the payments of the same customer within the hour after it.
    /// let paid = orders
    ///     .key_by_ref(|order| &order.0)
    ///     .interval_join(&payments.key_by_ref(|payment| &payment.0))
    ///     .between(Millis(0), Millis(3_600_000))
    ///     .process_fn(|order, payment, _ctx: &mut JoinContext<'_>, out: &mut Collector<(u64, u64)>| out.collect((order.1, payment.1)));
    /// # env.stream_graph("orders")?;
    /// # Ok::<(), brisk_base::Error>(())
    /// ```
    pub fn interval_join<B: Record, S2: KeySelector<B, Key = S1::Key>>(&self, other: &KeyedStream<B, S2>) -> IntervalJoin<A, B, S1, S2> {
        for (side, has_event_time) in [("left", self.has_event_time()), ("right", other.has_event_time())] {
            if !has_event_time {
                self.environment().fail(format!(
                    "interval_join needs event time on both sides, but its {side} stream has no timestamps and watermarks; \
                     call assign_timestamps_and_watermarks on it before key_by"
                ));
            }
        }
        IntervalJoin { streams: self.connect(other) }
    }
}

impl<A: Record, B: Record, S1, S2> IntervalJoin<A, B, S1, S2>
where
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
{
    /// Joins where `left + lower <= right <= left + upper` holds for the timestamps. Either bound may be negative.
    pub fn between(&self, lower: Millis, upper: Millis) -> IntervalJoined<A, B, S1, S2> {
        if lower > upper {
            self.streams.first().environment().fail(format!(
                "interval_join: the lower bound ({lower}) is above the upper bound ({upper}), so that nothing could be joined; \
                 give between(lower, upper) the lower one first"
            ));
        }
        let streams = self.streams.clone();
        IntervalJoined { streams, lower, upper, lower_inclusive: true, upper_inclusive: true, left_late: None, right_late: None }
    }
}

impl<A: Record, B: Record, S1, S2> IntervalJoined<A, B, S1, S2>
where
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
{
    /// A right record at just the lower bound is not joined.
    #[must_use]
    pub fn lower_bound_exclusive(self) -> Self {
        Self { lower_inclusive: false, ..self }
    }

    /// A right record at just the upper bound is not joined.
    #[must_use]
    pub fn upper_bound_exclusive(self) -> Self {
        Self { upper_inclusive: false, ..self }
    }

    /// Sends left records that come behind the watermark to a side output, with their timestamps; without this they are dropped.
    #[must_use]
    pub fn side_output_left_late_data(self, tag: &OutputTag<A>) -> Self {
        Self { left_late: Some(tag.clone()), ..self }
    }

    /// Sends right records that come behind the watermark to a side output, with their timestamps; without this they are dropped.
    #[must_use]
    pub fn side_output_right_late_data(self, tag: &OutputTag<B>) -> Self {
        Self { right_late: Some(tag.clone()), ..self }
    }

    /// Calls `function(left, right, ctx, out)` for each pair. It may return nothing or a `Result<()>`.
    pub fn process_fn<O: Record, R: Outcome + 'static>(
        &self,
        function: impl FnMut(&A, &B, &mut JoinContext<'_>, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.process(ProcessJoinFn::new(function))
    }

    /// Calls a [`ProcessJoinFunction`] for each pair.
    pub fn process<F: ProcessJoinFunction<In1 = A, In2 = B>>(&self, function: F) -> DataStream<F::Out> {
        let function = PerSubtask::new(function);
        let selectors = (self.streams.first_key.clone(), self.streams.second_key.clone());
        let (lower, upper) = self.inclusive_bounds();
        let (left_late, right_late) = (self.left_late.clone(), self.right_late.clone());
        self.streams.transform("Interval Join", move |cx: &RuntimeContext| {
            let settings = IntervalSettings { lower, upper, left_late: left_late.clone(), right_late: right_late.clone() };
            boxed(IntervalJoinOperator::new(selectors.clone(), settings, function.instance(), cx)?)
        })
    }

    const fn inclusive_bounds(&self) -> (Millis, Millis) {
        let lower = self.lower.0.saturating_add(if self.lower_inclusive { 0 } else { 1 });
        let upper = self.upper.0.saturating_sub(if self.upper_inclusive { 0 } else { 1 });
        (Millis(lower), Millis(upper))
    }
}
