//! Keyed streams cut into windows, and what can be done with them.

use super::aligned::AlignedWindowOperator;
use super::assigner::{GlobalWindows, WindowAssigner};
use super::contents::{Contents, Evict, Evicted, Folded, Listed};
use super::erased::{AssignerFactory, TriggerFactory, assigner_factory, trigger_factory};
use super::evictor::{CountEvictor, Evictor};
use super::fold::{Aggregating, Fold, FoldThen, InPlace, Reducing};
use super::function::{Outcome, PassThrough, ProcessWindowFunction, WindowFn, WindowFunction};
use super::operator::{WindowOperator, WindowSettings};
use super::session_operator::SessionOperator;
use super::time_window::{GlobalWindow, Window};
use super::trigger::{CountTrigger, EventTimeTrigger, PurgingTrigger, Trigger};
use crate::data_stream::{DataStream, boxed};
use crate::key_selector::KeySelector;
use crate::keyed_stream::{KeyedStream, Number};
use brisk_base::{Millis, Result};
use brisk_core::function::{AggregateFunction, Collector, OutputTag, ReduceFunction};
use brisk_core::operator::{Operator, PerSubtask, RuntimeContext};
use brisk_core::state::StateDeclarations;
use brisk_core::types::Record;
use std::any::TypeId;
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
    /// Whether windows fire once the watermark has passed them: the default of event time, and no other trigger has been set.
    fires_at_end: bool,
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
            fires_at_end: self.fires_at_end,
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
    /// # Ok::<(), brisk_base::Error>(())
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
        let default_trigger = TypeId::of::<A::DefaultTrigger>();
        let assigner_fires_at_end = assigner.is_event_time() && default_trigger == TypeId::of::<EventTimeTrigger>();
        WindowedStream {
            keyed: self.clone(),
            name,
            merging: assigner.merging().is_some(),
            trigger: trigger_factory(assigner.default_trigger()),
            assigner: assigner_factory(assigner),
            fires_at_end: assigner_fires_at_end,
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
        Self { trigger: trigger_factory(trigger), fires_at_end: false, ..self }
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
        self.reduce_with(infallible(f))
    }

    /// As [`reduce`](Self::reduce), with a function that may fail the job.
    pub fn try_reduce(&self, f: impl Fn(T, T) -> Result<T> + Send + Sync + 'static) -> DataStream<T> {
        self.reduce_with(f)
    }

    /// As [`reduce`](Self::reduce), with a function of a named type.
    pub fn reduce_with(&self, f: impl ReduceFunction<T>) -> DataStream<T> {
        self.folded(Reducing::new(Arc::new(f)), |_| PassThrough::new())
    }

    /// Combines the elements of a window two by two, and calls `function(key, window, combined, out)` with the result. `function` may
    /// return nothing or a `Result<()>`.
    pub fn reduce_then<O: Record, R: Outcome + 'static>(
        &self,
        f: impl Fn(T, T) -> T + Send + Sync + 'static,
        function: impl FnMut(&S::Key, &W, T, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        let function = PerSubtask::new(function);
        self.folded(Reducing::new(Arc::new(move |first, second| Ok(f(first, second)))), move |_| WindowFn::new(function.instance()))
    }

    /// Combines the elements of a window two by two, and calls a [`ProcessWindowFunction`] with the result; `declare` makes it, and is
    /// `G::declare` for a function without settings.
    pub fn reduce_process<G>(
        &self,
        f: impl Fn(T, T) -> T + Send + Sync + 'static,
        declare: impl Fn(&mut StateDeclarations) -> G + Send + Sync + 'static,
    ) -> DataStream<G::Out>
    where
        G: ProcessWindowFunction<Key = S::Key, Window = W, In = T>,
    {
        self.folded(Reducing::new(Arc::new(infallible(f))), declare)
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
        let function = PerSubtask::new(function);
        self.folded(Aggregating::new(Arc::new(aggregate)), move |_| WindowFn::new(function.instance()))
    }

    /// Folds the elements of a window into an accumulator, and emits the result.
    pub fn aggregate_result<A: AggregateFunction<In = T, Out: Record>>(&self, aggregate: A) -> DataStream<A::Out> {
        self.folded(Aggregating::new(Arc::new(aggregate)), |_| PassThrough::new())
    }

    /// Folds the elements of a window into an accumulator, and calls a [`ProcessWindowFunction`] with the result; `declare` makes it, and
    /// is `G::declare` for a function without settings.
    pub fn aggregate_process<A, G>(
        &self,
        aggregate: A,
        declare: impl Fn(&mut StateDeclarations) -> G + Send + Sync + 'static,
    ) -> DataStream<G::Out>
    where
        A: AggregateFunction<In = T>,
        G: ProcessWindowFunction<Key = S::Key, Window = W, In = A::Out>,
    {
        self.folded(Aggregating::new(Arc::new(aggregate)), declare)
    }

    /// Adds one field up; the other fields are those of the first element.
    pub fn sum<N: Number>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |sum, mut value| *field(sum) += *field(&mut value))
    }

    /// The lowest value of one field; the other fields are those of the first element.
    pub fn min<N: PartialOrd + Clone + 'static>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |lowest, mut value| {
            if *field(&mut value) < *field(lowest) {
                field(lowest).clone_from(field(&mut value));
            }
        })
    }

    /// The highest value of one field; the other fields are those of the first element.
    pub fn max<N: PartialOrd + Clone + 'static>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |highest, mut value| {
            if *field(&mut value) > *field(highest) {
                field(highest).clone_from(field(&mut value));
            }
        })
    }

    /// The element with the lowest value of a field; of several, the first.
    pub fn min_by<N: PartialOrd>(&self, field: impl Fn(&T) -> N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |lowest, value| {
            if field(&value) < field(lowest) {
                *lowest = value;
            }
        })
    }

    /// The element with the highest value of a field; of several, the first.
    pub fn max_by<N: PartialOrd>(&self, field: impl Fn(&T) -> N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.in_place(move |highest, value| {
            if field(&value) > field(highest) {
                *highest = value;
            }
        })
    }

    /// Calls `function(key, window, elements, out)` with all elements of a window. `function` may return nothing or a `Result<()>`.
    pub fn apply<O: Record, R: Outcome + 'static>(
        &self,
        function: impl FnMut(&S::Key, &W, Vec<T>, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        let function = PerSubtask::new(function);
        self.listed(move |_| WindowFn::new(function.instance()))
    }

    /// Calls a [`ProcessWindowFunction`] with all elements of a window.
    pub fn process<G: ProcessWindowFunction<Key = S::Key, Window = W, In = Vec<T>>>(&self) -> DataStream<G::Out> {
        self.listed(G::declare)
    }

    /// As [`process`](Self::process), for a function with settings: `|state| Top { n: 3, ..Top::declare(state) }`. The closure is called
    /// once per subtask.
    pub fn process_with<G>(&self, declare: impl Fn(&mut StateDeclarations) -> G + Send + Sync + 'static) -> DataStream<G::Out>
    where
        G: ProcessWindowFunction<Key = S::Key, Window = W, In = Vec<T>>,
    {
        self.listed(declare)
    }

    fn in_place(&self, f: impl FnMut(&mut T, T) + Clone + Send + 'static) -> DataStream<T> {
        self.folded(InPlace::new(f), |_| PassThrough::new())
    }

    /// An operator that keeps all elements.
    fn listed<G>(&self, declare: impl Fn(&mut StateDeclarations) -> G + Send + Sync + 'static) -> DataStream<G::Out>
    where
        G: WindowFunction<Key = S::Key, Window = W, In = Vec<T>>,
    {
        let this = self.recipe();
        self.operator(move |cx| {
            let mut state = StateDeclarations::new(cx.place());
            let function = declare(&mut state);
            match &this.evictor {
                Some(evictor) => this.general(Evicted::new(evictor(), function), state, cx),
                None => this.general(Listed::new(function), state, cx),
            }
        })
    }

    /// An operator that folds elements as they come, if it can: the fast one for aligned windows, the general one for everything else.
    fn folded<F, G>(&self, fold: F, declare: impl Fn(&mut StateDeclarations) -> G + Send + Sync + 'static) -> DataStream<G::Out>
    where
        F: Fold<T>,
        G: WindowFunction<Key = S::Key, Window = W, In = F::Out>,
    {
        let (this, fold) = (self.recipe(), PerSubtask::new(fold));
        self.operator(move |cx| {
            let mut state = StateDeclarations::new(cx.place());
            let (fold, function) = (fold.instance(), declare(&mut state));
            if let Some(evictor) = &this.evictor {
                return this.general(Evicted::new(evictor(), FoldThen::new(fold, function)), state, cx);
            }
            match (this.assigner)().aligned() {
                Some(windows) if this.fires_at_end && windows.slide <= windows.size => {
                    let (selector, settings) = (this.selector.clone(), this.settings.clone());
                    boxed(AlignedWindowOperator::new(selector, windows, fold, function, settings, state, cx)?)
                }
                _ => this.general(Folded::new(fold, function), state, cx),
            }
        })
    }

    /// What the operator is made from.
    fn recipe(&self) -> Recipe<T, S, W> {
        Recipe {
            selector: self.keyed.selector.clone(),
            assigner: Arc::clone(&self.assigner),
            trigger: Arc::clone(&self.trigger),
            fires_at_end: self.fires_at_end,
            evictor: self.evictor.clone(),
            settings: self.settings.clone(),
            merging: self.merging,
        }
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

/// What a window operator is made from: everything but the stream. The graph holds the operators' factories, so one that held the stream,
/// and with it the environment and the graph, would never be freed.
struct Recipe<T, S: KeySelector<T>, W> {
    selector: S,
    assigner: AssignerFactory<T, W>,
    trigger: TriggerFactory<T, S::Key, W>,
    fires_at_end: bool,
    evictor: Option<EvictorFactory<T, W>>,
    settings: WindowSettings<T>,
    merging: bool,
}

impl<T: Record, S: KeySelector<T>, W: Window> Recipe<T, S, W> {
    /// An operator with these contents: that of sessions, or the general one.
    fn general<C>(&self, contents: C, state: StateDeclarations, cx: &RuntimeContext) -> Result<Box<dyn Operator>>
    where
        C: Contents<T, S::Key, W> + 'static,
    {
        let (selector, settings) = (self.selector.clone(), self.settings.clone());
        if self.merging && self.fires_at_end {
            return boxed(SessionOperator::new(selector, (self.assigner)(), contents, settings, state, cx)?);
        }
        boxed(WindowOperator::new(selector, (self.assigner)(), (self.trigger)(), contents, settings, state, cx)?)
    }
}

/// A closure that cannot fail as a [`ReduceFunction`].
fn infallible<T>(f: impl Fn(T, T) -> T + Send + Sync + 'static) -> impl Fn(T, T) -> Result<T> + Send + Sync + 'static {
    move |first, second| Ok(f(first, second))
}
