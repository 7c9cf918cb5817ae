//! Where streams end.

use super::{DataStream, DataStreamSink};
use crate::data_stream::transform::boxed;
use crate::graph::NewNode;
use crate::operators::{CollectFactory, GlobalCommitOperator, Handoff, SinkOperator};
use crate::sink::{Collected, FnSink, PrintSink};
use brisk_base::Result;
use brisk_core::job_graph::NodeKind;
use brisk_core::operator::{OperatorFactory, OperatorSpec, RuntimeContext};
use brisk_core::sink::Sink;
use brisk_core::types::Record;
use std::fmt::Debug;
use std::sync::Arc;

impl<T: Record> DataStream<T> {
    /// Adds a sink. One with a global committer has a second operator, which has parallelism 1.
    pub fn sink_to<S: Sink<In = T>>(&self, sink: S) -> DataStreamSink {
        if !sink.has_global_committer() {
            let make = move |cx: &RuntimeContext| boxed(SinkOperator::new(sink.create_writer(cx)?, sink.create_committer(cx)?));
            return self.add_sink_node("Writer", make);
        }
        let sink = Arc::new(sink);
        let writers = Arc::clone(&sink);
        let make = move |cx: &RuntimeContext| boxed(SinkOperator::with_global_committer(writers.create_writer(cx)?));
        let prepared = self.transform::<Vec<u8>>("Sink: Writer", make);
        let committer = move |cx: &RuntimeContext| boxed(GlobalCommitOperator::new(sink.create_global_committer(cx)?));
        prepared.global().add_sink_node("Global Committer", committer).set_parallelism(1);
        DataStreamSink { env: self.env.clone(), node: prepared.upstreams[0].from }
    }

    /// Calls `f` for each record.
    pub fn add_sink(&self, mut f: impl FnMut(T) + Clone + Send + 'static) -> DataStreamSink {
        self.try_add_sink(move |value| {
            f(value);
            Ok(())
        })
    }

    /// Calls `f` for each record; it may fail the job.
    pub fn try_add_sink(&self, f: impl FnMut(T) -> Result<()> + Clone + Send + 'static) -> DataStreamSink {
        self.sink_to(FnSink::new(f)).name("Sink: Unnamed")
    }

    /// Prints each record to standard output.
    pub fn print(&self) -> DataStreamSink
    where
        T: Debug,
    {
        self.sink_to(PrintSink::stdout()).name("Sink: Print to Std. Out")
    }

    /// Prints each record to standard error.
    pub fn print_to_err(&self) -> DataStreamSink
    where
        T: Debug,
    {
        self.sink_to(PrintSink::stderr()).name("Sink: Print to Std. Err")
    }

    /// Runs the job and gives this stream's records while it runs. The job must run in this process.
    ///
    /// # Errors
    /// The first mistake in the graph, or what hinders the job's start; the job's failure comes from the iterator.
    pub fn execute_and_collect(&self, name: &str) -> Result<Collected<T>> {
        let collected = self.collect_async();
        let client = self.env.execute_async(name)?;
        Ok(collected.of_job(client))
    }

    /// Runs the job and gives all of this stream's records, in the order in which they arrive.
    ///
    /// # Errors
    /// The first mistake in the graph, or the job's failure.
    pub fn collect(&self) -> Result<Vec<T>> {
        self.execute_and_collect("Collect")?.collect()
    }

    /// This stream's records, to be read once the job was started: see [`Collected::of_job`].
    pub fn collect_async(&self) -> Collected<T> {
        let handoff = Handoff::new();
        let collected = Collected::new(Arc::clone(&handoff));
        self.add_sink_node("Collect", CollectFactory(handoff));
        collected
    }

    /// Adds an operator that emits nothing.
    pub(crate) fn add_sink_node(&self, name: &str, factory: impl OperatorFactory + 'static) -> DataStreamSink {
        let node = self.env.add_node(NewNode {
            name: format!("Sink: {name}"),
            kind: NodeKind::Sink,
            spec: OperatorSpec::Factory(Arc::new(factory)),
            inputs: vec![self.upstreams.clone()],
            keyed: false,
        });
        DataStreamSink { env: self.env.clone(), node }
    }
}
