//! Keyed streams cut into windows, and what can be done with them.

use super::aligned::AlignedWindowOperator;
use super::assigner::{GlobalWindows, WindowAssigner};
use super::contents::{Evict, Evicted, Folded, Listed};
use super::erased::{AssignerFactory, TriggerFactory, assigner_factory, trigger_factory};
use super::evictor::{CountEvictor, Evictor};
use super::fold::{Aggregating, Fold, FoldThen, InPlace, Reducing};
use super::function::{Outcome, PassThrough, ProcessWindowFunction, WindowFn};
use super::operator::{WindowOperator, WindowSettings};
use super::time_window::{GlobalWindow, Window};
use super::trigger::{CountTrigger, PurgingTrigger, Trigger};
use crate::data_stream::DataStream;
use crate::key_selector::KeySelector;
use crate::keyed_stream::KeyedStream;
use brisk_base::{Millis, Result};
use brisk_core::function::{AggregateFunction, Collector, OutputTag, ReduceFunction};
use brisk_core::operator::{Operator, PerSubtask, RuntimeContext};
use brisk_core::types::Record;
use std::ops::AddAssign;
use std::sync::Arc;

/// Makes the evictor of a subtask.
type EvictorFactory<T, W> = Arc<dyn Fn() -> Box<dyn Evict<T, W>> + Send + Sync>;

/// A keyed stream cut into windows (Flink's `WindowedStream`). Made by [`KeyedStream::window`].
///
/// Settings come first ([`trigger`](Self::trigger), [`evictor`](Self::evictor), [`allowed_lateness`](Self::allowed_lateness),
/// [`side_output_late_data`](Self::side_output_late_data)), then one function. Results carry the last timestamp of their window.
pub struct WindowedStream<T, S: KeySelector<T>, W> {
    /// What is cut.
    keyed: KeyedStream<T, S>,
    /// Name of the assigner, for plans and messages.
    name: String,
    /// Makes the assigner of a subtask.
    assigner: AssignerFactory<T, W>,
    /// Makes the trigger of a subtask.
    trigger: TriggerFactory<T, S::Key, W>,
    /// Whether `.trigger(..)` has set another trigger than the assigner's default.
    own_trigger: bool,
    /// Makes the evictor of a subtask.
    evictor: Option<EvictorFactory<T, W>>,
    /// Lateness and late data.
    settings: WindowSettings<T>,
    /// Whether windows merge.
    merging: bool,
    /// Whether the operator runs as one subtask.
    non_parallel: bool,
}

impl<T: Clone, S: KeySelector<T>, W> Clone for WindowedStream<T, S, W> {
    fn clone(&self) -> Self {
        Self {
            keyed: self.keyed.clone(),
            name: self.name.clone(),
            assigner: Arc::clone(&self.assigner),
            trigger: Arc::clone(&self.trigger),
            own_trigger: self.own_trigger,
            evictor: self.evictor.clone(),
            settings: self.settings.clone(),
            merging: self.merging,
            non_parallel: self.non_parallel,
        }
    }
}

/// The last part of a type's path, without its parameters.
fn short_name<A>() -> String {
    let full = std::any::type_name::<A>();
    let path = full.split('<').next().unwrap_or(full);
    path.rsplit("::").next().unwrap_or(path).to_owned()
}

impl<T: Record, S: KeySelector<T>> KeyedStream<T, S> {
    /// Cuts the stream into windows, each key for itself.
    ///
    /// ```
    /// # use brisk_base::{Millis, Timestamp};
    /// # use brisk_core::function::watermark::WatermarkStrategy;
    /// # use brisk_stream::StreamEnvironment;
    /// use brisk_stream::window::TumblingEventTimeWindows;
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), brisk_base::options::Configuration::new());
    /// # let clicks = env.from_elements([("ada".to_owned(), 1u64, 5i64)]).assign_timestamps_and_watermarks(
    /// #     WatermarkStrategy::monotonous_timestamps().with_timestamp(|click: &(String, u64, i64)| Timestamp(click.2)));
    /// let per_minute = clicks.key_by_ref(|click| &click.0).window(TumblingEventTimeWindows::of(Millis(60_000))).sum(|click| &mut click.1);
    /// # env.stream_graph("clicks")?;
    /// # brisk_base::Result::Ok(())
    /// ```
    pub fn window<A: WindowAssigner<T>>(&self, assigner: A) -> WindowedStream<T, S, A::Window> {
        let name = short_name::<A>();
        if let Err(error) = assigner.validate() {
            self.stream.environment().fail(error.to_string());
        }
        if assigner.is_event_time() && !self.stream.has_event_time() {
            self.stream.environment().fail(format!(
                "window({name}) needs event time, but its input has no timestamps and watermarks; \
                 call assign_timestamps_and_watermarks before window(..), or use windows of processing time"
            ));
        }
        WindowedStream {
            keyed: self.clone(),
            name,
            merging: assigner.merging().is_some(),
            trigger: trigger_factory(assigner.default_trigger()),
            assigner: assigner_factory(assigner),
            own_trigger: false,
            evictor: None,
            settings: WindowSettings { allowed_lateness: Millis::ZERO, late: None },
            non_parallel: false,
        }
    }

    /// Windows of `size` elements of one key.
    pub fn count_window(&self, size: u64) -> WindowedStream<T, S, GlobalWindow> {
        self.window(GlobalWindows::create()).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// The last `size` elements of a key, at each `slide` elements.
    pub fn count_window_sliding(&self, size: u64, slide: u64) -> WindowedStream<T, S, GlobalWindow> {
        self.window(GlobalWindows::create()).evictor(CountEvictor::of(size)).trigger(CountTrigger::of(slide))
    }
}

impl<T: Record, S: KeySelector<T>, W: Window> WindowedStream<T, S, W> {
    /// Runs as one subtask, for windows over all records.
    pub(crate) fn non_parallel(self) -> Self {
        Self { non_parallel: true, ..self }
    }

    /// Decides when a window fires, in the place of the assigner's default.
    #[must_use]
    pub fn trigger<G: Trigger<T, W>>(self, trigger: G) -> Self {
        let env = self.keyed.stream.environment();
        if let Err(error) = trigger.validate() {
            env.fail(error.to_string());
        }
        if self.merging && !trigger.can_merge() {
            env.fail(format!(
                "the windows of {} merge, but {} does not support merging; use another trigger, or give it can_merge and on_merge",
                self.name,
                short_name::<G>()
            ));
        }
        Self { trigger: trigger_factory(trigger), own_trigger: true, ..self }
    }

    /// Removes elements when a window fires. All elements are kept then, also for reduce and aggregate.
    #[must_use]
    pub fn evictor<E: Evictor<T, W>>(self, evictor: E) -> Self {
        let evictor = PerSubtask::new(evictor);
        Self { evictor: Some(Arc::new(move || Box::new(evictor.instance()))), ..self }
    }

    /// Windows of event time stay for so long after the watermark has passed them, and fire again for late records. 0 without this.
    #[must_use]
    pub fn allowed_lateness(mut self, lateness: Millis) -> Self {
        if lateness < Millis::ZERO {
            self.keyed
                .stream
                .environment()
                .fail(format!("the allowed lateness of {} is negative ({lateness}); set it to 0 or more", self.name));
        }
        self.settings.allowed_lateness = lateness;
        self
    }

    /// Sends records that come too late for all of their windows to a side output, with their timestamps.
    #[must_use]
    pub fn side_output_late_data(mut self, tag: &OutputTag<T>) -> Self {
        self.settings.late = Some(tag.clone());
        self
    }

    /// Combines the elements of a window, two by two.
    pub fn reduce(&self, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> DataStream<T> {
        self.try_reduce(move |first, second| Ok(f(first, second)))
    }

    /// Combines the elements of a window, two by two; may fail the job.
    pub fn try_reduce(&self, f: impl ReduceFunction<T>) -> DataStream<T> {
        self.folded(Reducing::new(Arc::new(f)), PassThrough::new())
    }

    /// Combines the elements of a window two by two, and calls `function(key, window, combined, out)` with the result.
    pub fn reduce_then<O: Record, R: Outcome + 'static>(
        &self,
        f: impl Fn(T, T) -> T + Send + Sync + 'static,
        function: impl FnMut(&S::Key, &W, T, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.reduce_process(f, WindowFn::new(function))
    }

    /// Combines the elements of a window two by two, and calls a [`ProcessWindowFunction`] with the result.
    pub fn reduce_process<G>(&self, f: impl Fn(T, T) -> T + Send + Sync + 'static, function: G) -> DataStream<G::Out>
    where
        G: ProcessWindowFunction<Key = S::Key, Window = W, In = T>,
    {
        self.folded(Reducing::new(Arc::new(move |first, second| Ok(f(first, second)))), function)
    }

    /// Folds the elements of a window into an accumulator, and calls `function(key, window, result, out)` when it fires. `function` may
    /// return nothing or a `Result<()>`.
    pub fn aggregate<A, O, R>(
        &self,
        aggregate: A,
        function: impl FnMut(&S::Key, &W, A::Out, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O>
    where
        A: AggregateFunction<In = T, Out: 'static>,
        O: Record,
        R: Outcome + 'static,
    {
        self.aggregate_process(aggregate, WindowFn::new(function))
    }

    /// Folds the elements of a window into an accumulator, and emits the result.
    pub fn aggregate_result<A: AggregateFunction<In = T, Out: Record>>(&self, aggregate: A) -> DataStream<A::Out> {
        self.aggregate_process(aggregate, PassThrough::new())
    }

    /// Folds the elements of a window into an accumulator, and calls a [`ProcessWindowFunction`] with the result.
    pub fn aggregate_process<A, G>(&self, aggregate: A, function: G) -> DataStream<G::Out>
    where
        A: AggregateFunction<In = T>,
        G: ProcessWindowFunction<Key = S::Key, Window = W, In = A::Out>,
    {
        self.folded(Aggregating::new(Arc::new(aggregate)), function)
    }

    /// Adds one field up; the other fields are those of the first element.
    pub fn sum<V: AddAssign + Clone>(&self, field: impl Fn(&mut T) -> &mut V + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |acc: &mut T, mut value: T| *field(acc) += field(&mut value).clone())
    }

    /// The lowest value of one field; the other fields are those of the first element.
    pub fn min<V: PartialOrd + Clone>(&self, field: impl Fn(&mut T) -> &mut V + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |acc: &mut T, mut value: T| {
            if *field(&mut value) < *field(acc) {
                *field(acc) = field(&mut value).clone();
            }
        })
    }

    /// The highest value of one field; the other fields are those of the first element.
    pub fn max<V: PartialOrd + Clone>(&self, field: impl Fn(&mut T) -> &mut V + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |acc: &mut T, mut value: T| {
            if *field(&mut value) > *field(acc) {
                *field(acc) = field(&mut value).clone();
            }
        })
    }

    /// The element with the lowest value of a field; of several, the first.
    pub fn min_by<V: PartialOrd>(&self, field: impl Fn(&T) -> V + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |acc: &mut T, value: T| {
            if field(&value) < field(acc) {
                *acc = value;
            }
        })
    }

    /// The element with the highest value of a field; of several, the first.
    pub fn max_by<V: PartialOrd>(&self, field: impl Fn(&T) -> V + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |acc: &mut T, value: T| {
            if field(&value) > field(acc) {
                *acc = value;
            }
        })
    }

    /// Calls `function(key, window, elements, out)` with all elements of a window. `function` may return nothing or a `Result<()>`.
    pub fn apply<O: Record, R: Outcome + 'static>(
        &self,
        function: impl FnMut(&S::Key, &W, Vec<T>, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.process(WindowFn::new(function))
    }

    /// Calls a [`ProcessWindowFunction`] with all elements of a window.
    pub fn process<G>(&self, function: G) -> DataStream<G::Out>
    where
        G: ProcessWindowFunction<Key = S::Key, Window = W, In = Vec<T>>,
    {
        let (this, function, selector) = (self.clone(), PerSubtask::new(function), PerSubtask::new(self.keyed.selector.clone()));
        self.operator(move |cx| {
            let (assigner, trigger, settings) = ((this.assigner)(), (this.trigger)(), this.settings.clone());
            match &this.evictor {
                Some(evictor) => {
                    let contents = Evicted::new(evictor(), function.instance());
                    boxed(WindowOperator::new(selector.instance(), assigner, trigger, contents, settings, cx)?)
                }
                None => {
                    let contents = Listed::new(function.instance());
                    boxed(WindowOperator::new(selector.instance(), assigner, trigger, contents, settings, cx)?)
                }
            }
        })
    }

    fn in_place(&self, f: impl FnMut(&mut T, T) + Clone + Send + 'static) -> DataStream<T> {
        self.folded(InPlace::new(f), PassThrough::new())
    }

    /// Picks the operator: the fast one for aligned windows, the general one for everything else.
    fn folded<F, G>(&self, fold: F, function: G) -> DataStream<G::Out>
    where
        F: Fold<T>,
        G: ProcessWindowFunction<Key = S::Key, Window = W, In = F::Out>,
    {
        let (this, parts, selector) = (self.clone(), PerSubtask::new((fold, function)), PerSubtask::new(self.keyed.selector.clone()));
        self.operator(move |cx| {
            let (assigner, settings, (fold, function)) = ((this.assigner)(), this.settings.clone(), parts.instance());
            if let Some(evictor) = &this.evictor {
                let contents = Evicted::new(evictor(), FoldThen::new(fold, function));
                return boxed(WindowOperator::new(selector.instance(), assigner, (this.trigger)(), contents, settings, cx)?);
            }
            match assigner.aligned() {
                Some(windows) if !this.own_trigger && windows.slide <= windows.size => {
                    boxed(AlignedWindowOperator::new(selector.instance(), windows, fold, function, settings, cx)?)
                }
                _ => {
                    let contents = Folded::new(fold, function);
                    boxed(WindowOperator::new(selector.instance(), assigner, (this.trigger)(), contents, settings, cx)?)
                }
            }
        })
    }

    fn operator<O: Record>(&self, factory: impl Fn(&RuntimeContext) -> Result<Box<dyn Operator>> + Send + Sync + 'static) -> DataStream<O> {
        let stream = self.keyed.transform(&format!("Window({})", self.name), factory);
        if !self.non_parallel {
            return stream;
        }
        stream.with_node(|node| {
            node.parallelism = Some(1);
            node.fixed_parallelism = true;
        })
    }
}

fn boxed(operator: impl Operator + 'static) -> Result<Box<dyn Operator>> {
    Ok(Box::new(operator))
}
