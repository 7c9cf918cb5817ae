//! How a stream's records are spread over the subtasks of what reads it.

use super::DataStream;
use crate::key_selector::{CustomSelector, KeyBy, KeyByRef, KeySelector};
use crate::keyed_stream::KeyedStream;
use brisk_core::job_graph::Partitioner;
use brisk_core::types::{Key, Record};
use std::marker::PhantomData;
use std::sync::Arc;

impl<T: Record> DataStream<T> {
    /// Brings the records of each key together in one subtask.
    pub fn key_by<K: Key, F: Fn(&T) -> K + Clone + Send + Sync + 'static>(&self, key: F) -> KeyedStream<T, KeyBy<F>> {
        KeyedStream::new(self, KeyBy(key))
    }

    /// As [`key_by`](Self::key_by), for a key that is part of the record: it is copied only where state keeps it.
    pub fn key_by_ref<K: Key, F: Fn(&T) -> &K + Clone + Send + Sync + 'static>(&self, key: F) -> KeyedStream<T, KeyByRef<F>> {
        KeyedStream::new(self, KeyByRef(key))
    }

    /// As [`key_by`](Self::key_by), with a selector of a named type.
    pub fn key_by_selector<S: KeySelector<T>>(&self, selector: S) -> KeyedStream<T, S> {
        KeyedStream::new(self, selector)
    }

    /// The same records, spread in another way.
    pub(crate) fn with_partitioner(&self, partitioner: &Partitioner) -> Self {
        let mut stream = self.clone();
        stream.upstreams.iter_mut().for_each(|upstream| upstream.partitioner = Some(partitioner.clone()));
        stream
    }

    /// Each record to a random subtask.
    pub fn shuffle(&self) -> Self {
        self.with_partitioner(&Partitioner::Shuffle)
    }

    /// Each record to the next subtask in turn.
    pub fn rebalance(&self) -> Self {
        self.with_partitioner(&Partitioner::Rebalance)
    }

    /// As [`rebalance`](Self::rebalance), but each subtask serves only some of the next ones, those near to it.
    pub fn rescale(&self) -> Self {
        self.with_partitioner(&Partitioner::Rescale)
    }

    /// Each record to every subtask.
    pub fn broadcast(&self) -> Self {
        self.with_partitioner(&Partitioner::Broadcast)
    }

    /// All records to the first subtask.
    pub fn global(&self) -> Self {
        self.with_partitioner(&Partitioner::Global)
    }

    /// Subtask i to subtask i: both operators must have the same parallelism.
    pub fn forward(&self) -> Self {
        self.with_partitioner(&Partitioner::Forward)
    }

    /// Each record to the subtask that `partitioner(key, number of subtasks)` says.
    ///
    /// ```
    /// # let env = brisk_stream::StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// env.from_sequence(1, 100).partition_custom(|key, subtasks| *key % subtasks, |number| *number as u32).print();
    /// ```
    pub fn partition_custom<K: 'static>(
        &self,
        partitioner: impl Fn(&K, u32) -> u32 + Send + Sync + 'static,
        key: impl Fn(&T) -> K + Send + Sync + 'static,
    ) -> Self {
        self.with_partitioner(&Partitioner::Custom(Arc::new(CustomSelector { partitioner, key, record: PhantomData })))
    }
}
