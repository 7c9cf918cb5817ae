//! A stream whose records of one key are together.

use crate::data_stream::DataStream;
use crate::graph::Upstream;
use crate::graph::NewNode;
use crate::key_selector::{KeySelector, SelectorHasher};
use brisk_core::job_graph::{NodeKind, Partitioner};
use brisk_core::operator::{OperatorFactory, OperatorSpec};
use brisk_core::types::Record;
use std::sync::Arc;

/// A stream whose records of one key are processed by one subtask, with state and timers per key.
#[derive(Clone)]
pub struct KeyedStream<T, S> {
    /// The records, hashed by key.
    pub(crate) stream: DataStream<T>,
    /// Finds the key.
    pub(crate) selector: S,
}

impl<T: Record, S: KeySelector<T>> KeyedStream<T, S> {
    pub(crate) fn new(stream: &DataStream<T>, selector: S) -> Self {
        let partitioner = Partitioner::Hash(Arc::new(SelectorHasher::new(selector.clone())));
        Self { stream: stream.with_partitioner(&partitioner), selector }
    }

    /// Adds an operator with keyed state that reads this stream. It must emit batches of `Rows<U>`.
    pub fn transform<U: Record>(&self, name: &str, factory: impl OperatorFactory + 'static) -> DataStream<U> {
        let node = self.stream.env.add_node(NewNode {
            name: name.to_owned(),
            kind: NodeKind::Operator,
            spec: OperatorSpec::Factory(Arc::new(factory)),
            inputs: vec![self.stream.upstreams.clone()],
            keyed: true,
        });
        DataStream::new(self.stream.env.clone(), vec![Upstream::main(node)])
    }
}
