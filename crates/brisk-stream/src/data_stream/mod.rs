//! A stream of records of one type, and what can be done with it.

mod async_io;
mod partition;
mod settings;
mod sinks;
mod transform;

pub(crate) use transform::boxed;

use crate::StreamEnvironment;
use crate::graph::Upstream;
use brisk_core::job_graph::NodeId;
use brisk_core::types::Record;
use std::marker::PhantomData;

/// A stream of records (Flink's `DataStream` and `SingleOutputStreamOperator`). Cheap to clone: it is a place in the graph.
///
/// Methods add operators to the graph and give the stream behind them. Settings (`name`, `uid`, `set_parallelism`, ...) are those of the
/// operator that makes the stream. A mistake is reported by [`execute`](StreamEnvironment::execute).
pub struct DataStream<T> {
    /// Whose graph this is a place in.
    pub(crate) env: StreamEnvironment,
    /// Where the records come from: several for a union.
    pub(crate) upstreams: Vec<Upstream>,
    record: PhantomData<fn() -> T>,
}

impl<T> Clone for DataStream<T> {
    fn clone(&self) -> Self {
        Self { env: self.env.clone(), upstreams: self.upstreams.clone(), record: PhantomData }
    }
}

/// A sink in the graph, for its settings.
pub struct DataStreamSink {
    /// Whose graph it is in.
    env: StreamEnvironment,
    /// The sink.
    node: NodeId,
}

impl<T: Record> DataStream<T> {
    pub(crate) const fn new(env: StreamEnvironment, upstreams: Vec<Upstream>) -> Self {
        Self { env, upstreams, record: PhantomData }
    }

    /// The environment that the stream belongs to.
    pub const fn environment(&self) -> &StreamEnvironment {
        &self.env
    }

    /// Whether records of this stream have timestamps and watermarks.
    pub(crate) fn has_event_time(&self) -> bool {
        let builder = self.env.builder();
        self.upstreams.iter().any(|upstream| builder.node(upstream.from).event_time)
    }
}
