//! Joins of two streams within windows: `join(..).where_(..).equal_to(..).window(..).apply(..)`, and `co_group` in the same way.
//!
//! As in Flink, both streams become one of [`TaggedUnion`]s, which a window operator takes.

use super::group_operator::{GroupFunction, GroupOperator, Groups, Pairs, Whole};
use super::tagged_union::{TaggedUnion, UnionKeySelector};
use super::window_function::{Closure, CoGroupFunction, Flat, FlatJoinFunction, JoinFunction};
use crate::data_stream::{DataStream, boxed};
use crate::key_selector::{KeyBy, KeyByRef, KeySelector};
use crate::window::{Evictor, Outcome, Trigger, Window, WindowAssigner, WindowedStream};
use brisk_base::Millis;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::operator::{OperatorFactory, OperatorSpec, PerSubtask, RuntimeContext};
use brisk_core::registry::OperatorRegistry;
use brisk_core::types::{Key, Record};
use std::marker::PhantomData;
use std::sync::Arc;

/// Says of a [`WithWindow`] that its function is called for each pair.
#[derive(Clone, Copy, Debug)]
pub struct Join;

/// Says of a [`WithWindow`] that its function is called with both sides of a window.
#[derive(Clone, Copy, Debug)]
pub struct CoGroup;

/// Two streams to be joined within windows (Flink's `JoinedStreams`). Made by [`DataStream::join`].
pub type JoinedStreams<A, B> = Windowless<A, B, Join>;

/// Two streams whose windows are to be taken together (Flink's `CoGroupedStreams`). Made by [`DataStream::co_group`].
pub type CoGroupedStreams<A, B> = Windowless<A, B, CoGroup>;

/// Two streams to be brought together within windows; [`where_`](Self::where_) comes next.
#[derive(Clone)]
pub struct Windowless<A, B, M> {
    first: DataStream<A>,
    second: DataStream<B>,
    mode: PhantomData<fn() -> M>,
}

/// The first stream has its key; [`equal_to`](Self::equal_to) comes next.
#[derive(Clone)]
pub struct Where<A, B, S1, M> {
    streams: Windowless<A, B, M>,
    key: S1,
}

/// Both streams have their keys; [`window`](Self::window) comes next.
#[derive(Clone)]
pub struct EqualTo<A, B, S1, S2, M> {
    streams: Windowless<A, B, M>,
    keys: UnionKeySelector<S1, S2>,
}

/// Two streams cut into windows (Flink's `WithWindow`): settings first, then `apply`. Results carry the last timestamp of their window.
pub struct WithWindow<A: Record, B: Record, S1: KeySelector<A>, S2: KeySelector<B, Key = S1::Key>, W, M> {
    windowed: WindowedStream<TaggedUnion<A, B>, UnionKeySelector<S1, S2>, W>,
    mode: PhantomData<fn() -> M>,
}

impl<A: Record> DataStream<A> {
    /// Pairs the records of two streams that have one key and lie in one window: an inner join.
    ///
    /// ```
    /// # use brisk_base::{Millis, Timestamp};
    /// # use brisk_core::function::watermark::WatermarkStrategy;
    /// # use brisk_stream::{DataStream, StreamEnvironment};
    /// use brisk_stream::window::TumblingEventTimeWindows;
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), brisk_base::options::Configuration::new());
    /// # let timed = |stream: DataStream<(u64, i64)>| stream.assign_timestamps_and_watermarks(
    /// #     WatermarkStrategy::monotonous_timestamps().with_timestamp(|record: &(u64, i64)| Timestamp(record.1)));
    /// # let clicks = timed(env.from_elements([(1, 5)]));
    /// # let views = timed(env.from_elements([(1, 6)]));
    /// let pairs = clicks
    ///     .join(&views)
    ///     .where_(|click| click.0)
    ///     .equal_to(|view| view.0)
    ///     .window(TumblingEventTimeWindows::of(Millis(60_000)))
    ///     .apply(|click, view| (click.0, click.1, view.1));
    /// # env.stream_graph("clicks")?;
    /// # Ok::<(), brisk_base::Error>(())
    /// ```
    pub fn join<B: Record>(&self, other: &DataStream<B>) -> JoinedStreams<A, B> {
        Windowless::new(self, other)
    }

    /// Brings the records of two streams that have one key and lie in one window together, those of each stream as a list.
    pub fn co_group<B: Record>(&self, other: &DataStream<B>) -> CoGroupedStreams<A, B> {
        Windowless::new(self, other)
    }
}

impl<A: Record, B: Record, M> Windowless<A, B, M> {
    fn new(first: &DataStream<A>, second: &DataStream<B>) -> Self {
        first.check_same_environment(second);
        Self { first: first.clone(), second: second.clone(), mode: PhantomData }
    }

    /// Makes the key of the first stream's records.
    pub fn where_<K: Key>(self, key: impl Fn(&A) -> K + Clone + Send + Sync + 'static) -> Where<A, B, impl KeySelector<A, Key = K>, M> {
        Where { streams: self, key: KeyBy(key) }
    }

    /// As [`where_`](Self::where_), for a key that is part of the record.
    pub fn where_ref<K: Key>(self, key: impl Fn(&A) -> &K + Clone + Send + Sync + 'static) -> Where<A, B, impl KeySelector<A, Key = K>, M> {
        Where { streams: self, key: KeyByRef(key) }
    }
}

impl<A: Record, B: Record, S1: KeySelector<A>, M> Where<A, B, S1, M> {
    /// Makes the key of the second stream's records.
    pub fn equal_to(
        self,
        key: impl Fn(&B) -> S1::Key + Clone + Send + Sync + 'static,
    ) -> EqualTo<A, B, S1, impl KeySelector<B, Key = S1::Key>, M> {
        EqualTo { streams: self.streams, keys: UnionKeySelector { first: self.key, second: KeyBy(key) } }
    }

    /// As [`equal_to`](Self::equal_to), for a key that is part of the record.
    pub fn equal_to_ref(
        self,
        key: impl Fn(&B) -> &S1::Key + Clone + Send + Sync + 'static,
    ) -> EqualTo<A, B, S1, impl KeySelector<B, Key = S1::Key>, M> {
        EqualTo { streams: self.streams, keys: UnionKeySelector { first: self.key, second: KeyByRef(key) } }
    }
}

/// A stream as one side of a union, as parallel as it is itself.
fn tagged<T: Record, U: Record>(stream: &DataStream<T>, tag: fn(T) -> U) -> DataStream<U> {
    let parallelism = match stream.upstreams.as_slice() {
        [only] => stream.env.builder().node(only.from).parallelism,
        _ => None,
    };
    stream.map(tag).with_node(|node| {
        "Tag".clone_into(&mut node.name);
        node.parallelism = parallelism;
    })
}

impl<A: Record, B: Record, S1: KeySelector<A>, S2: KeySelector<B, Key = S1::Key>, M> EqualTo<A, B, S1, S2, M> {
    /// Cuts both streams into windows, each key for itself. One window holds records of both.
    pub fn window<G: WindowAssigner<TaggedUnion<A, B>>>(self, assigner: G) -> WithWindow<A, B, S1, S2, G::Window, M> {
        let Windowless { first, second, .. } = &self.streams;
        for (side, has_event_time) in [("first", first.has_event_time()), ("second", second.has_event_time())] {
            if assigner.is_event_time() && !has_event_time {
                first.environment().fail(format!(
                    "a join in windows of event time needs it on both sides, but its {side} stream has no timestamps and watermarks; \
                     call assign_timestamps_and_watermarks on that stream before the join, or use windows of processing time"
                ));
            }
        }
        let union = tagged(first, TaggedUnion::One).union([&tagged(second, TaggedUnion::Two)]);
        WithWindow { windowed: union.key_by_selector(self.keys).window(assigner), mode: PhantomData }
    }
}

impl<A, B, S1, S2, W, M> WithWindow<A, B, S1, S2, W, M>
where
    A: Record,
    B: Record,
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    W: Window,
{
    /// Decides when a window fires, in the place of the assigner's default.
    #[must_use]
    pub fn trigger(self, trigger: impl Trigger<TaggedUnion<A, B>, W>) -> Self {
        Self { windowed: self.windowed.trigger(trigger), ..self }
    }

    /// Removes elements when a window fires.
    #[must_use]
    pub fn evictor(self, evictor: impl Evictor<TaggedUnion<A, B>, W>) -> Self {
        Self { windowed: self.windowed.evictor(evictor), ..self }
    }

    /// Windows of event time stay for so long after the watermark has passed them, and fire again, as a whole, for late records.
    #[must_use]
    pub fn allowed_lateness(self, lateness: Millis) -> Self {
        Self { windowed: self.windowed.allowed_lateness(lateness), ..self }
    }

    /// Sends records that come too late for all of their windows to a side output, with their timestamps.
    #[must_use]
    pub fn side_output_late_data(self, tag: &OutputTag<TaggedUnion<A, B>>) -> Self {
        Self { windowed: self.windowed.side_output_late_data(tag), ..self }
    }

    /// The window operator with a function behind it. Windows in which a stream has no record are left out unless `one_sided`.
    fn grouped<G: GroupFunction<A, B>>(
        &self,
        name: &str,
        one_sided: bool,
        function: impl Fn() -> G + Send + Sync + 'static,
    ) -> DataStream<G::Out> {
        let groups: DataStream<Groups<A, B>> =
            self.windowed.apply(move |_key: &S1::Key, _window: &W, elements, out: &mut Collector<Groups<A, B>>| {
                let mut groups = Groups { first: Vec::new(), second: Vec::new() };
                for element in elements {
                    match element {
                        TaggedUnion::One(value) => groups.first.push(value),
                        TaggedUnion::Two(value) => groups.second.push(value),
                    }
                }
                if one_sided || !(groups.first.is_empty() || groups.second.is_empty()) {
                    out.collect(groups);
                }
            });
        let (env, upstreams) = (groups.env.clone(), groups.upstreams.clone());
        groups.with_node(move |node| {
            node.name = node.name.replacen("Window", name, 1);
            node.spec = OperatorSpec::Factory(Arc::new(behind(node.spec.clone(), function)));
        });
        DataStream::new(env, upstreams)
    }
}

/// Makes the operator of `spec`, which emits groups, with a function behind it.
fn behind<A: Record, B: Record, G: GroupFunction<A, B>>(
    spec: OperatorSpec,
    function: impl Fn() -> G + Send + Sync + 'static,
) -> impl OperatorFactory {
    move |cx: &RuntimeContext| {
        let window = OperatorRegistry::default().resolve(&spec)?.create(cx)?;
        boxed(GroupOperator::new(window, function()))
    }
}

impl<A, B, S1, S2, W> WithWindow<A, B, S1, S2, W, Join>
where
    A: Record,
    B: Record,
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    W: Window,
{
    /// Makes one record of each pair of a window.
    pub fn apply<O: Record>(&self, function: impl FnMut(&A, &B) -> O + Clone + Send + 'static) -> DataStream<O> {
        self.apply_with(Closure::new(function))
    }

    /// Makes one record of each pair of a window, with a function that is opened and closed.
    pub fn apply_with<F: JoinFunction<In1 = A, In2 = B>>(&self, function: F) -> DataStream<F::Out> {
        self.flat_apply_with(Flat(function))
    }

    /// Makes any number of records of each pair of a window. `function` may return nothing or a `Result<()>`.
    pub fn flat_apply<O: Record, R: Outcome + 'static>(
        &self,
        function: impl FnMut(&A, &B, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.flat_apply_with(Closure::new(function))
    }

    /// Makes any number of records of each pair of a window, with a function that is opened and closed.
    pub fn flat_apply_with<F: FlatJoinFunction<In1 = A, In2 = B>>(&self, function: F) -> DataStream<F::Out> {
        let function = PerSubtask::new(function);
        self.grouped("Join", false, move || Pairs(function.instance()))
    }
}

impl<A, B, S1, S2, W> WithWindow<A, B, S1, S2, W, CoGroup>
where
    A: Record,
    B: Record,
    S1: KeySelector<A>,
    S2: KeySelector<B, Key = S1::Key>,
    W: Window,
{
    /// Calls `function(first, second, out)` with the records of a window, each side in the order of arrival; one of them may be empty.
    /// `function` may return nothing or a `Result<()>`.
    pub fn apply<O: Record, R: Outcome + 'static>(
        &self,
        function: impl FnMut(Vec<A>, Vec<B>, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.apply_with(Closure::new(function))
    }

    /// As [`apply`](Self::apply), with a function that is opened and closed.
    pub fn apply_with<F: CoGroupFunction<In1 = A, In2 = B>>(&self, function: F) -> DataStream<F::Out> {
        let function = PerSubtask::new(function);
        self.grouped("CoGroup", true, move || Whole(function.instance()))
    }
}
