//! Interval joins: each record of one keyed stream with those of another one whose timestamps lie within an interval around its own.

use super::interval_operator::{Bounds, IntervalJoinOperator, JoinContext, JoinFn, ProcessJoinFunction};
use crate::data_stream::{DataStream, boxed};
use crate::key_selector::KeySelector;
use crate::keyed_stream::KeyedStream;
use crate::window::Outcome;
use brisk_base::Millis;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::operator::{PerSubtask, RuntimeContext};
use brisk_core::types::Record;

/// Two keyed streams to be joined by time (Flink's `IntervalJoin`). Made by [`KeyedStream::interval_join`].
pub struct IntervalJoin<A: Record, B: Record, S1, S2> {
    left: KeyedStream<A, S1>,
    right: KeyedStream<B, S2>,
}

/// With the interval (Flink's `IntervalJoined`).
pub struct IntervalJoined<A: Record, B: Record, S1, S2> {
    join: IntervalJoin<A, B, S1, S2>,
    /// Lowest difference, right less left; inclusive.
    lower: Millis,
    /// Highest difference; inclusive.
    upper: Millis,
    /// Where late records of the left stream go.
    left_late: Option<OutputTag<A>>,
    /// Where late records of the right stream go.
    right_late: Option<OutputTag<B>>,
}

impl<A: Record, S1: KeySelector<A>> KeyedStream<A, S1> {
    /// Joins each record of this stream with the records of another one of the same key whose timestamps lie within an interval around its
    /// own. Event time only.
    ///
    /// ```
    /// # use brisk_base::{Millis, Timestamp};
    /// # use brisk_core::function::{Collector, watermark::WatermarkStrategy};
    /// # use brisk_stream::{StreamEnvironment, join::JoinContext};
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// # let numbers = |n| env.from_sequence(1, n).assign_timestamps_and_watermarks(
    /// #     WatermarkStrategy::monotonous_timestamps().with_timestamp(|n: &i64| Timestamp(*n))).key_by(|n| n % 2);
    /// # let (orange, green) = (numbers(10), numbers(20));
    /// orange.interval_join(&green).between(Millis(-2), Millis(1)).process(
    ///     |orange: &i64, green: &i64, _ctx: &mut JoinContext<'_>, out: &mut Collector<String>| out.collect(format!("{orange},{green}")));
    /// # env.stream_graph("colours")?;
    /// # brisk_base::Result::Ok(())
    /// ```
    pub fn interval_join<B: Record, S2: KeySelector<B, Key = S1::Key>>(&self, other: &KeyedStream<B, S2>) -> IntervalJoin<A, B, S1, S2> {
        IntervalJoin { left: self.clone(), right: other.clone() }
    }
}

impl<A: Record, B: Record, S1: KeySelector<A>, S2: KeySelector<B, Key = S1::Key>> IntervalJoin<A, B, S1, S2> {
    /// The interval: `left + lower <= right <= left + upper`, in timestamps.
    pub fn between(self, lower: Millis, upper: Millis) -> IntervalJoined<A, B, S1, S2> {
        let env = self.left.environment();
        if lower > upper {
            env.fail(format!("interval_join between {lower} and {upper}: the lower bound must not be above the upper one"));
        }
        for (stream, event_time) in [("left", self.left.has_event_time()), ("right", self.right.has_event_time())] {
            if !event_time {
                env.fail(format!(
                    "interval_join needs event time, but its {stream} stream has no timestamps and watermarks; \
                     call assign_timestamps_and_watermarks on it before key_by"
                ));
            }
        }
        IntervalJoined { join: self, lower, upper, left_late: None, right_late: None }
    }
}

impl<A: Record, B: Record, S1: KeySelector<A>, S2: KeySelector<B, Key = S1::Key>> IntervalJoined<A, B, S1, S2> {
    /// Leaves the lower bound out of the interval.
    #[must_use]
    pub fn lower_bound_exclusive(self) -> Self {
        Self { lower: self.lower + Millis(1), ..self }
    }

    /// Leaves the upper bound out of the interval.
    #[must_use]
    pub fn upper_bound_exclusive(self) -> Self {
        Self { upper: self.upper - Millis(1), ..self }
    }

    /// Sends late records of the left stream to a side output. Without this they are counted and dropped.
    #[must_use]
    pub fn side_output_left_late_data(self, tag: &OutputTag<A>) -> Self {
        Self { left_late: Some(tag.clone()), ..self }
    }

    /// Sends late records of the right stream to a side output. Without this they are counted and dropped.
    #[must_use]
    pub fn side_output_right_late_data(self, tag: &OutputTag<B>) -> Self {
        Self { right_late: Some(tag.clone()), ..self }
    }

    /// Calls `function(left, right, ctx, out)` with each pair. `function` may return nothing or a `Result<()>`. Results carry the later
    /// timestamp of the two.
    pub fn process<O: Record, R: Outcome + 'static>(
        &self,
        function: impl FnMut(&A, &B, &mut JoinContext<'_>, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.process_with(JoinFn::new(function))
    }

    /// Calls a [`ProcessJoinFunction`] with each pair.
    pub fn process_with<F: ProcessJoinFunction<Left = A, Right = B>>(&self, function: F) -> DataStream<F::Out> {
        let IntervalJoin { left, right } = &self.join;
        let function = PerSubtask::new(function);
        let selectors = (left.selector.clone(), right.selector.clone());
        let bounds = Bounds { lower: self.lower, upper: self.upper };
        let late = (self.left_late.clone(), self.right_late.clone());
        left.connect(right).transform("Interval Join", move |cx: &RuntimeContext| {
            boxed(IntervalJoinOperator::new(selectors.clone(), bounds, late.clone(), function.instance(), cx)?)
        })
    }
}
