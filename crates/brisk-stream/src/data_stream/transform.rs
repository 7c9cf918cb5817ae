//! Transformations of one stream.

use super::DataStream;
use crate::function::{
    FilterFn, FilterFunction, FlatMapFn, FlatMapFunction, MapFn, MapFunction, ProcessFunction, TryFilterFn, TryFlatMapFn, TryMapFn,
};
use crate::graph::{NewNode, Upstream};
use crate::operators::{FilterOperator, FlatMapOperator, MapOperator, ProcessOperator, TimestampsOperator};
use brisk_base::Result;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::job_graph::NodeKind;
use brisk_core::operator::{Operator, OperatorFactory, OperatorSpec, PerSubtask, RuntimeContext};
use brisk_core::types::Record;
use std::sync::{Arc, Mutex, PoisonError};

impl<T: Record> DataStream<T> {
    /// Makes one record of each.
    pub fn map<U: Record>(&self, f: impl FnMut(T) -> U + Clone + Send + 'static) -> DataStream<U> {
        self.map_with(MapFn::new(f))
    }

    /// Makes one record of each, or fails the job.
    pub fn try_map<U: Record>(&self, f: impl FnMut(T) -> Result<U> + Clone + Send + 'static) -> DataStream<U> {
        self.map_with(TryMapFn::new(f))
    }

    /// Makes one record of each, with a function that is opened and closed.
    pub fn map_with<F: MapFunction<In = T>>(&self, function: F) -> DataStream<F::Out> {
        let function = PerSubtask::new(function);
        self.transform("Map", move |_: &RuntimeContext| boxed(MapOperator::new(function.instance())))
    }

    /// Keeps the records for which `f` is true.
    pub fn filter(&self, f: impl FnMut(&T) -> bool + Clone + Send + 'static) -> Self {
        self.filter_with(FilterFn::new(f))
    }

    /// Keeps the records for which `f` is true; it may fail the job.
    pub fn try_filter(&self, f: impl FnMut(&T) -> Result<bool> + Clone + Send + 'static) -> Self {
        self.filter_with(TryFilterFn::new(f))
    }

    /// Keeps some records, with a function that is opened and closed.
    pub fn filter_with<F: FilterFunction<In = T>>(&self, function: F) -> Self {
        let function = PerSubtask::new(function);
        self.transform("Filter", move |_: &RuntimeContext| boxed(FilterOperator::new(function.instance())))
    }

    /// Makes any number of records of each.
    ///
    /// ```
    /// # use brisk_stream::StreamEnvironment;
    /// use brisk_core::function::Collector;
    /// # let env = StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), brisk_base::options::Configuration::new());
    /// let words = env.from_elements(["to be".to_owned()]).flat_map(|line: String, out: &mut Collector<String>| {
    ///     for word in line.split_whitespace() {
    ///         out.collect(word.to_owned());
    ///     }
    /// });
    /// ```
    pub fn flat_map<U: Record>(&self, f: impl FnMut(T, &mut Collector<U>) + Clone + Send + 'static) -> DataStream<U> {
        self.flat_map_with(FlatMapFn::new(f))
    }

    /// Makes any number of records of each, or fails the job.
    pub fn try_flat_map<U: Record>(&self, f: impl FnMut(T, &mut Collector<U>) -> Result<()> + Clone + Send + 'static) -> DataStream<U> {
        self.flat_map_with(TryFlatMapFn::new(f))
    }

    /// Makes any number of records of each, with a function that is opened and closed.
    pub fn flat_map_with<F: FlatMapFunction<In = T>>(&self, function: F) -> DataStream<F::Out> {
        let function = PerSubtask::new(function);
        self.transform("Flat Map", move |cx: &RuntimeContext| boxed(FlatMapOperator::new(function.instance(), cx)))
    }

    /// Calls a function with each record, its timestamp, the watermark, and side outputs.
    pub fn process<F: ProcessFunction<In = T>>(&self, function: F) -> DataStream<F::Out> {
        let function = PerSubtask::new(function);
        self.transform("Process", move |cx: &RuntimeContext| boxed(ProcessOperator::new(function.instance(), cx)))
    }

    /// Gives the records event time: timestamps and watermarks. Those of earlier operators are replaced.
    pub fn assign_timestamps_and_watermarks(&self, strategy: WatermarkStrategy<T>) -> Self {
        let event_time = strategy.emits_watermarks();
        if strategy.alignment().is_some() {
            self.env.fail(
                "watermark alignment holds sources back, so assign_timestamps_and_watermarks cannot do it; \
                 give the strategy with with_watermark_alignment to from_source",
            );
        }
        let strategy = Mutex::new(strategy);
        let factory = move |_: &RuntimeContext| boxed(TimestampsOperator::new(&strategy.lock().unwrap_or_else(PoisonError::into_inner)));
        self.transform("Timestamps/Watermarks", factory).with_node(|node| node.event_time = event_time)
    }

    /// The records of this stream and of others, in no particular order. The watermark is the minimum of theirs.
    pub fn union<'a>(&self, others: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut union = self.clone();
        for other in others {
            self.check_same_environment(other);
            union.upstreams.extend(other.upstreams.iter().cloned());
        }
        union
    }

    /// The records that the operator before emits to a side output.
    pub fn side_output<U: Record>(&self, tag: &OutputTag<U>) -> DataStream<U> {
        match self.own_node() {
            Some(node) => {
                DataStream::new(self.env.clone(), vec![Upstream { from: node, tag: Some(tag.id().to_owned()), partitioner: None }])
            }
            None => {
                self.env.fail(format!(
                    "side_output('{}') was called on a union, a side output, or a stream with a partitioner; call it on the operator's own output",
                    tag.id()
                ));
                DataStream::new(self.env.clone(), self.upstreams.clone())
            }
        }
    }

    /// Adds an operator of any kind that reads this stream. It must emit batches of `Rows<U>`.
    pub fn transform<U: Record>(&self, name: &str, factory: impl OperatorFactory + 'static) -> DataStream<U> {
        self.transform_spec(name, OperatorSpec::Factory(Arc::new(factory)))
    }

    /// As [`transform`](Self::transform), for operators of the registry, too.
    pub fn transform_spec<U: Record>(&self, name: &str, spec: OperatorSpec) -> DataStream<U> {
        let inputs = vec![self.upstreams.clone()];
        let node = self.env.add_node(NewNode { name: name.to_owned(), kind: NodeKind::Operator, spec, inputs, keyed: false });
        DataStream::new(self.env.clone(), vec![Upstream::main(node)])
    }

    /// Adds an operator that reads this stream as input 0 and another one as input 1.
    pub fn transform_two<U: Record, V: Record>(
        &self,
        other: &DataStream<U>,
        name: &str,
        factory: impl OperatorFactory + 'static,
    ) -> DataStream<V> {
        self.check_same_environment(other);
        let node = self.env.add_node(NewNode {
            name: name.to_owned(),
            kind: NodeKind::Operator,
            spec: OperatorSpec::Factory(Arc::new(factory)),
            inputs: vec![self.upstreams.clone(), other.upstreams.clone()],
            keyed: false,
        });
        DataStream::new(self.env.clone(), vec![Upstream::main(node)])
    }

    pub(crate) fn check_same_environment<U>(&self, other: &DataStream<U>) {
        if !self.env.is_same(&other.env) {
            self.env.fail("streams of two environments were brought together; build both with the same one");
        }
    }
}

/// An operator as factories give it.
pub(crate) fn boxed(operator: impl Operator + 'static) -> Result<Box<dyn Operator>> {
    Ok(Box::new(operator))
}
