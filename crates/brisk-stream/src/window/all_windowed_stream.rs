//! Whole streams cut into windows: all records of a window are together, in one subtask.

use super::assigner::{GlobalWindows, WindowAssigner};
use super::evictor::{CountEvictor, Evictor};
use super::function::{Outcome, ProcessWindowFunction};
use super::time_window::{GlobalWindow, Window};
use super::trigger::{CountTrigger, PurgingTrigger, Trigger};
use super::windowed_stream::WindowedStream;
use crate::data_stream::DataStream;
use crate::key_selector::KeySelector;
use crate::keyed_stream::{KeyedStream, Number};
use brisk_base::{Millis, Result};
use brisk_core::function::{AggregateFunction, Collector, OutputTag};
use brisk_core::state::StateDeclarations;
use brisk_core::types::Record;
use std::borrow::Cow;

/// Gives all records one key.
#[derive(Clone, Copy, Debug)]
struct Everything;

impl<T> KeySelector<T> for Everything {
    type Key = ();

    #[inline]
    fn key<'a>(&self, _value: &'a T) -> Cow<'a, ()> {
        Cow::Owned(())
    }
}

/// A stream cut into windows, all keys together (Flink's `AllWindowedStream`). Made by [`DataStream::window_all`]. Its operator runs as one
/// subtask.
pub struct AllWindowedStream<T: Record, W> {
    /// The same, keyed by nothing.
    windowed: WindowedStream<T, Everything, W>,
}

impl<T: Record> DataStream<T> {
    /// Cuts the stream into windows that hold the records of all keys. The operator runs as one subtask; where that is too slow, use
    /// [`key_by`](Self::key_by) and [`window`](KeyedStream::window).
    pub fn window_all<A: WindowAssigner<T>>(&self, assigner: A) -> AllWindowedStream<T, A::Window> {
        AllWindowedStream { windowed: KeyedStream::new(self, Everything).window(assigner).non_parallel() }
    }

    /// Windows of `size` records, whatever their keys.
    pub fn count_window_all(&self, size: u64) -> AllWindowedStream<T, GlobalWindow> {
        self.window_all(GlobalWindows::create()).trigger(PurgingTrigger::of(CountTrigger::of(size)))
    }

    /// The last `size` records, at each `slide` records, whatever their keys.
    pub fn count_window_all_sliding(&self, size: u64, slide: u64) -> AllWindowedStream<T, GlobalWindow> {
        self.window_all(GlobalWindows::create()).evictor(CountEvictor::of(size)).trigger(CountTrigger::of(slide))
    }
}

impl<T: Record, W: Window> AllWindowedStream<T, W> {
    /// As [`WindowedStream::trigger`].
    #[must_use]
    pub fn trigger<G: Trigger<T, W>>(self, trigger: G) -> Self {
        Self { windowed: self.windowed.trigger(trigger) }
    }

    /// As [`WindowedStream::evictor`].
    #[must_use]
    pub fn evictor<E: Evictor<T, W>>(self, evictor: E) -> Self {
        Self { windowed: self.windowed.evictor(evictor) }
    }

    /// As [`WindowedStream::allowed_lateness`].
    #[must_use]
    pub fn allowed_lateness(self, lateness: Millis) -> Self {
        Self { windowed: self.windowed.allowed_lateness(lateness) }
    }

    /// As [`WindowedStream::side_output_late_data`].
    #[must_use]
    pub fn side_output_late_data(self, tag: &OutputTag<T>) -> Self {
        Self { windowed: self.windowed.side_output_late_data(tag) }
    }

    /// As [`WindowedStream::reduce`].
    pub fn reduce(&self, f: impl Fn(T, T) -> T + Send + Sync + 'static) -> DataStream<T> {
        self.windowed.reduce(f)
    }

    /// As [`WindowedStream::try_reduce`].
    pub fn try_reduce(&self, f: impl Fn(T, T) -> Result<T> + Send + Sync + 'static) -> DataStream<T> {
        self.windowed.try_reduce(f)
    }

    /// As [`WindowedStream::reduce_then`], without the key: `function(window, combined, out)`.
    pub fn reduce_then<O: Record, R: Outcome + 'static>(
        &self,
        f: impl Fn(T, T) -> T + Send + Sync + 'static,
        mut function: impl FnMut(&W, T, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.windowed.reduce_then(f, move |(), window, combined, out| function(window, combined, out))
    }

    /// As [`WindowedStream::aggregate`], without the key: `function(window, result, out)`.
    pub fn aggregate<A, O, R>(
        &self,
        aggregate: A,
        mut function: impl FnMut(&W, A::Out, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O>
    where
        A: AggregateFunction<In = T, Out: 'static>,
        O: Record,
        R: Outcome + 'static,
    {
        self.windowed.aggregate(aggregate, move |(), window, result, out| function(window, result, out))
    }

    /// As [`WindowedStream::aggregate_result`].
    pub fn aggregate_result<A: AggregateFunction<In = T, Out: Record>>(&self, aggregate: A) -> DataStream<A::Out> {
        self.windowed.aggregate_result(aggregate)
    }

    /// As [`WindowedStream::aggregate_process`]; the key is `()`.
    pub fn aggregate_process<A, G>(
        &self,
        aggregate: A,
        declare: impl Fn(&mut StateDeclarations) -> G + Send + Sync + 'static,
    ) -> DataStream<G::Out>
    where
        A: AggregateFunction<In = T>,
        G: ProcessWindowFunction<Key = (), Window = W, In = A::Out>,
    {
        self.windowed.aggregate_process(aggregate, declare)
    }

    /// As [`WindowedStream::sum`].
    pub fn sum<N: Number>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.windowed.sum(field)
    }

    /// As [`WindowedStream::min`].
    pub fn min<N: PartialOrd + Clone + 'static>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.windowed.min(field)
    }

    /// As [`WindowedStream::max`].
    pub fn max<N: PartialOrd + Clone + 'static>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.windowed.max(field)
    }

    /// As [`WindowedStream::min_by`].
    pub fn min_by<N: PartialOrd>(&self, field: impl Fn(&T) -> N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.windowed.min_by(field)
    }

    /// As [`WindowedStream::max_by`].
    pub fn max_by<N: PartialOrd>(&self, field: impl Fn(&T) -> N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.windowed.max_by(field)
    }

    /// As [`WindowedStream::apply`], without the key: `function(window, elements, out)`.
    pub fn apply<O: Record, R: Outcome + 'static>(
        &self,
        mut function: impl FnMut(&W, Vec<T>, &mut Collector<O>) -> R + Clone + Send + 'static,
    ) -> DataStream<O> {
        self.windowed.apply(move |(), window, elements, out| function(window, elements, out))
    }

    /// As [`WindowedStream::process`]; the key is `()`.
    pub fn process<G: ProcessWindowFunction<Key = (), Window = W, In = Vec<T>>>(&self) -> DataStream<G::Out> {
        self.windowed.process::<G>()
    }

    /// As [`WindowedStream::process_with`]; the key is `()`.
    pub fn process_with<G>(&self, declare: impl Fn(&mut StateDeclarations) -> G + Send + Sync + 'static) -> DataStream<G::Out>
    where
        G: ProcessWindowFunction<Key = (), Window = W, In = Vec<T>>,
    {
        self.windowed.process_with(declare)
    }
}
