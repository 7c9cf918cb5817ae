//! A stream that every subtask gets in full, with the state that is made of it.

use crate::data_stream::{DataStream, boxed};
use crate::function::{
    BroadcastDeclarations, BroadcastProcessFunction, BroadcastStates, KeyedBroadcastProcessFunction, MapStateDescriptor,
};
use crate::graph::{NewNode, Upstream};
use crate::key_selector::KeySelector;
use crate::keyed_stream::KeyedStream;
use crate::operators::{BroadcastProcessOperator, KeyedBroadcastProcess, KeyedOperator};
use brisk_core::job_graph::{NodeKind, Partitioner};
use brisk_core::operator::{OperatorSpec, PerSubtask, RuntimeContext};
use brisk_core::state::StateDeclarations;
use brisk_core::types::{Key, Record};
use std::sync::Arc;

/// A stream that goes to every subtask, and the states that functions make of it (Flink's `BroadcastStream`). Made by
/// [`DataStream::broadcast_state`].
#[derive(Clone)]
pub struct BroadcastStream<B> {
    stream: DataStream<B>,
    states: BroadcastDeclarations,
}

impl<B: Record> BroadcastStream<B> {
    /// Adds another state.
    #[must_use]
    pub fn with_state<K: Key, V: Record>(mut self, descriptor: &MapStateDescriptor<K, V>) -> Self {
        if !self.states.add(descriptor) {
            self.stream
                .env
                .fail(format!("the broadcast state '{}' is declared twice; give each state a name of its own", descriptor.name()));
        }
        self
    }
}

/// A stream beside a broadcast one. Made by [`DataStream::connect_broadcast`].
#[derive(Clone)]
pub struct BroadcastConnectedStream<T, B> {
    stream: DataStream<T>,
    broadcast: BroadcastStream<B>,
}

impl<T: Record, B: Record> BroadcastConnectedStream<T, B> {
    /// Calls a function with each record of either stream. It can change the broadcast state with the broadcast records, and read it with
    /// the others.
    pub fn process<F: BroadcastProcessFunction<In = T, BroadcastIn = B>>(&self, function: F) -> DataStream<F::Out> {
        let (function, states) = (PerSubtask::new(function), self.broadcast.states.clone());
        let factory = move |cx: &RuntimeContext| boxed(BroadcastProcessOperator::new(function.instance(), &states, cx)?);
        self.stream.transform_two(&self.broadcast.stream, "Co-Process-Broadcast", factory)
    }
}

/// A keyed stream beside a broadcast one. Made by [`KeyedStream::connect_broadcast`].
#[derive(Clone)]
pub struct KeyedBroadcastConnectedStream<T, S, B> {
    keyed: KeyedStream<T, S>,
    broadcast: BroadcastStream<B>,
}

impl<T: Record, S: KeySelector<T>, B: Record> KeyedBroadcastConnectedStream<T, S, B> {
    /// Calls a function with each record of either stream, and with the timers of each key.
    pub fn process<F>(&self) -> DataStream<F::Out>
    where
        F: KeyedBroadcastProcessFunction<Key = S::Key, In = T, BroadcastIn = B>,
    {
        self.process_with(F::declare)
    }

    /// As [`process`](Self::process), for a function with settings: `|state| Rules { limit: 5, ..Rules::declare(state) }`.
    pub fn process_with<F>(&self, declare: impl Fn(&mut StateDeclarations) -> F + Send + Sync + 'static) -> DataStream<F::Out>
    where
        F: KeyedBroadcastProcessFunction<Key = S::Key, In = T, BroadcastIn = B>,
    {
        let (selector, states) = (self.keyed.selector.clone(), self.broadcast.states.clone());
        let factory = move |cx: &RuntimeContext| {
            let broadcast = BroadcastStates::new(&states, cx)?;
            let logic = |state: &mut StateDeclarations| KeyedBroadcastProcess::new(declare(state), broadcast);
            boxed(KeyedOperator::<KeyedBroadcastProcess<F, S>>::new(selector.clone(), cx, logic)?)
        };
        let env = &self.keyed.stream.env;
        let node = env.add_node(NewNode {
            name: "Co-Process-Broadcast-Keyed".to_owned(),
            kind: NodeKind::Operator,
            spec: OperatorSpec::Factory(Arc::new(factory)),
            inputs: vec![self.keyed.stream.upstreams.clone(), self.broadcast.stream.upstreams.clone()],
            keyed: true,
        });
        DataStream::new(env.clone(), vec![Upstream::main(node)])
    }
}

impl<T: Record> DataStream<T> {
    /// Sends every record to every subtask, where a function makes broadcast state of it.
    ///
    /// ```
    /// use brisk_stream::function::MapStateDescriptor;
    ///
    /// # let env = brisk_stream::StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// let rules = MapStateDescriptor::<String, u64>::new("rules");
    /// let changes = env.from_elements([("limit".to_owned(), 10u64)]).broadcast_state(&rules);
    /// let guarded = env.from_sequence(1, 100).connect_broadcast(&changes);
    /// ```
    pub fn broadcast_state<K: Key, V: Record>(&self, descriptor: &MapStateDescriptor<K, V>) -> BroadcastStream<T> {
        let stream = self.with_partitioner(&Partitioner::Broadcast);
        BroadcastStream { stream, states: BroadcastDeclarations::default() }.with_state(descriptor)
    }

    /// Puts a broadcast stream beside this one.
    pub fn connect_broadcast<B: Record>(&self, broadcast: &BroadcastStream<B>) -> BroadcastConnectedStream<T, B> {
        self.check_same_environment(&broadcast.stream);
        BroadcastConnectedStream { stream: self.clone(), broadcast: broadcast.clone() }
    }
}

impl<T: Record, S: KeySelector<T>> KeyedStream<T, S> {
    /// Puts a broadcast stream beside this one.
    pub fn connect_broadcast<B: Record>(&self, broadcast: &BroadcastStream<B>) -> KeyedBroadcastConnectedStream<T, S, B> {
        self.stream.check_same_environment(&broadcast.stream);
        KeyedBroadcastConnectedStream { keyed: self.clone(), broadcast: broadcast.clone() }
    }
}
