//! Two streams of different types that one operator reads.

use crate::data_stream::{DataStream, boxed};
use crate::function::{CoFlatMap, CoFlatMapFn, CoFlatMapFunction, CoMap, CoMapFn, CoMapFunction, CoProcessFunction};
use crate::operators::CoProcessOperator;
use brisk_core::function::Collector;
use brisk_core::operator::{PerSubtask, RuntimeContext};
use brisk_core::types::Record;

/// Two streams that one operator reads (Flink's `ConnectedStreams`). Made by [`DataStream::connect`].
#[derive(Clone)]
pub struct ConnectedStreams<A, B> {
    /// Input 0.
    pub(crate) first: DataStream<A>,
    /// Input 1.
    pub(crate) second: DataStream<B>,
}

impl<A: Record, B: Record> ConnectedStreams<A, B> {
    pub(crate) fn new(first: DataStream<A>, second: DataStream<B>) -> Self {
        first.check_same_environment(&second);
        Self { first, second }
    }

    /// The first of the two.
    pub const fn first(&self) -> &DataStream<A> {
        &self.first
    }

    /// The second of the two.
    pub const fn second(&self) -> &DataStream<B> {
        &self.second
    }

    /// Makes one record of each, by one closure for each stream.
    pub fn map<U: Record>(
        &self,
        map1: impl FnMut(A) -> U + Clone + Send + 'static,
        map2: impl FnMut(B) -> U + Clone + Send + 'static,
    ) -> DataStream<U> {
        self.map_with(CoMapFn::new((map1, map2)))
    }

    /// Makes one record of each, with a function that is opened and closed.
    pub fn map_with<F: CoMapFunction<In1 = A, In2 = B>>(&self, function: F) -> DataStream<F::Out> {
        self.process_as("Co-Map", CoMap(function))
    }

    /// Makes any number of records of each, by one closure for each stream.
    pub fn flat_map<U: Record>(
        &self,
        flat_map1: impl FnMut(A, &mut Collector<U>) + Clone + Send + 'static,
        flat_map2: impl FnMut(B, &mut Collector<U>) + Clone + Send + 'static,
    ) -> DataStream<U> {
        self.flat_map_with(CoFlatMapFn::new((flat_map1, flat_map2)))
    }

    /// Makes any number of records of each, with a function that is opened and closed.
    pub fn flat_map_with<F: CoFlatMapFunction<In1 = A, In2 = B>>(&self, function: F) -> DataStream<F::Out> {
        self.process_as("Co-Flat Map", CoFlatMap(function))
    }

    /// Calls a function with each record of either stream, its timestamp, the watermark, and side outputs.
    pub fn process<F: CoProcessFunction<In1 = A, In2 = B>>(&self, function: F) -> DataStream<F::Out> {
        self.process_as("Co-Process", function)
    }

    fn process_as<F: CoProcessFunction<In1 = A, In2 = B>>(&self, name: &str, function: F) -> DataStream<F::Out> {
        let function = PerSubtask::new(function);
        let factory = move |cx: &RuntimeContext| boxed(CoProcessOperator::new(function.instance(), cx));
        self.first.transform_two(&self.second, name, factory)
    }
}

impl<A: Record> DataStream<A> {
    /// Puts two streams side by side, for operators that know both.
    pub fn connect<B: Record>(&self, other: &DataStream<B>) -> ConnectedStreams<A, B> {
        ConnectedStreams::new(self.clone(), other.clone())
    }
}
