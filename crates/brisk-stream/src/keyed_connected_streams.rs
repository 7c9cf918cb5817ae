//! Two streams whose records of one key are together.

use crate::connected_streams::ConnectedStreams;
use crate::data_stream::{DataStream, boxed};
use crate::function::KeyedCoProcessFunction;
use crate::graph::{NewNode, Upstream};
use crate::key_selector::{KeyBy, KeySelector};
use crate::keyed_stream::KeyedStream;
use crate::operators::{KeyedCoProcess, KeyedOperator};
use brisk_core::job_graph::NodeKind;
use brisk_core::operator::{OperatorFactory, OperatorSpec, RuntimeContext};
use brisk_core::state::StateDeclarations;
use brisk_core::types::{Key, Record};
use std::ops::Deref;
use std::sync::Arc;

/// Two streams keyed alike, that one operator reads with state per key. Made by [`KeyedStream::connect`] or
/// [`ConnectedStreams::key_by`]. What needs no state (`map`, `flat_map`) it has from [`ConnectedStreams`].
#[derive(Clone)]
pub struct KeyedConnectedStreams<A, B, S1, S2> {
    /// The streams, hashed by key.
    streams: ConnectedStreams<A, B>,
    /// Finds the key of the first stream's records.
    pub(crate) first_key: S1,
    /// Finds the key of the second stream's records.
    pub(crate) second_key: S2,
}

impl<A, B, S1, S2> Deref for KeyedConnectedStreams<A, B, S1, S2> {
    type Target = ConnectedStreams<A, B>;

    fn deref(&self) -> &ConnectedStreams<A, B> {
        &self.streams
    }
}

impl<A: Record, B: Record, S1: KeySelector<A>, S2: KeySelector<B, Key = S1::Key>> KeyedConnectedStreams<A, B, S1, S2> {
    /// Calls a function with each record of either stream, and with the timers of each key.
    pub fn process<F: KeyedCoProcessFunction<Key = S1::Key, In1 = A, In2 = B>>(&self) -> DataStream<F::Out> {
        self.process_with(F::declare)
    }

    /// As [`process`](Self::process), for a function with settings: `|state| Match { limit: 5, ..Match::declare(state) }`.
    pub fn process_with<F>(&self, declare: impl Fn(&mut StateDeclarations) -> F + Send + Sync + 'static) -> DataStream<F::Out>
    where
        F: KeyedCoProcessFunction<Key = S1::Key, In1 = A, In2 = B>,
    {
        let selectors = (self.first_key.clone(), self.second_key.clone());
        self.transform("Co-Keyed-Process", move |cx: &RuntimeContext| {
            boxed(KeyedOperator::<KeyedCoProcess<F, S1, S2>>::new(selectors.clone(), cx, |state| KeyedCoProcess::new(declare(state)))?)
        })
    }

    /// Adds an operator with keyed state that reads both streams. It must emit batches of `Rows<U>`.
    pub fn transform<U: Record>(&self, name: &str, factory: impl OperatorFactory + 'static) -> DataStream<U> {
        let ConnectedStreams { first, second } = &self.streams;
        let node = first.env.add_node(NewNode {
            name: name.to_owned(),
            kind: NodeKind::Operator,
            spec: OperatorSpec::Factory(Arc::new(factory)),
            inputs: vec![first.upstreams.clone(), second.upstreams.clone()],
            keyed: true,
        });
        DataStream::new(first.env.clone(), vec![Upstream::main(node)])
    }
}

impl<A: Record, B: Record> ConnectedStreams<A, B> {
    /// Brings the records of each key together, from both streams. To borrow the keys, connect two keyed streams instead.
    pub fn key_by<K: Key>(
        &self,
        first: impl Fn(&A) -> K + Clone + Send + Sync + 'static,
        second: impl Fn(&B) -> K + Clone + Send + Sync + 'static,
    ) -> KeyedConnectedStreams<A, B, impl KeySelector<A, Key = K>, impl KeySelector<B, Key = K>> {
        KeyedStream::new(&self.first, KeyBy(first)).connect(&KeyedStream::new(&self.second, KeyBy(second)))
    }
}

impl<A: Record, S1: KeySelector<A>> KeyedStream<A, S1> {
    /// Puts two keyed streams side by side, for operators that know both and share state per key.
    pub fn connect<B: Record, S2: KeySelector<B, Key = S1::Key>>(&self, other: &KeyedStream<B, S2>) -> KeyedConnectedStreams<A, B, S1, S2> {
        KeyedConnectedStreams {
            streams: ConnectedStreams::new(self.stream.clone(), other.stream.clone()),
            first_key: self.selector.clone(),
            second_key: other.selector.clone(),
        }
    }
}
