//! A stream whose records of one key are together.

use crate::data_stream::{DataStream, boxed};
use crate::function::KeyedProcessFunction;
use crate::graph::{NewNode, Upstream};
use crate::key_selector::{KeySelector, SelectorHasher};
use crate::operators::{ByReduce, FlatMapWithState, InPlace, KeyedOperator, KeyedProcess, RollingOperator};
use brisk_base::Result;
use brisk_core::function::{Collector, ReduceFunction};
use brisk_core::job_graph::{NodeKind, Partitioner};
use brisk_core::operator::{OperatorFactory, OperatorSpec, PerSubtask, RuntimeContext};
use brisk_core::state::StateDeclarations;
use brisk_core::types::Record;
use std::ops::{AddAssign, Deref};
use std::sync::Arc;

/// A stream whose records of one key are processed by one subtask, with state and timers per key. What needs no state (`map`, `print`,
/// ...) it has from [`DataStream`].
#[derive(Clone)]
pub struct KeyedStream<T, S> {
    /// The records, hashed by key.
    pub(crate) stream: DataStream<T>,
    /// Finds the key.
    pub(crate) selector: S,
}

impl<T, S> Deref for KeyedStream<T, S> {
    type Target = DataStream<T>;

    fn deref(&self) -> &DataStream<T> {
        &self.stream
    }
}

/// What can be summed up.
pub trait Number: AddAssign + Copy + Send + Sync + 'static {}

macro_rules! numbers {
    ($($type:ty)*) => { $(impl Number for $type {})* };
}

numbers!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64);

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

    /// Calls a function with each record, and with the timers of each key. See [`KeyedProcessFunction`].
    pub fn process<F: KeyedProcessFunction<Key = S::Key, In = T>>(&self) -> DataStream<F::Out> {
        self.process_with(F::declare)
    }

    /// As [`process`](Self::process), for a function with settings: `|state| Limit { limit: 10, ..Limit::declare(state) }`. The closure is
    /// called once per subtask.
    pub fn process_with<F>(&self, declare: impl Fn(&mut StateDeclarations) -> F + Send + Sync + 'static) -> DataStream<F::Out>
    where
        F: KeyedProcessFunction<Key = S::Key, In = T>,
    {
        let selector = self.selector.clone();
        self.transform("KeyedProcess", move |cx: &RuntimeContext| {
            boxed(KeyedOperator::<KeyedProcess<F, S>>::new(selector.clone(), cx, |state| KeyedProcess::new(declare(state)))?)
        })
    }

    /// Makes one record of each and of the state of its key, which the closure may change; `None` is no state.
    ///
    /// ```
    /// # let env = brisk_stream::StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// // The distance of each number to the one before it with the same last digit.
    /// env.from_sequence(1, 100)
    ///     .key_by(|n| n % 10)
    ///     .map_with_state(|n, before: &mut Option<i64>| before.replace(n).map_or(0, |before| n - before))
    ///     .print();
    /// ```
    pub fn map_with_state<St: Record, U: Record>(
        &self,
        mut f: impl FnMut(T, &mut Option<St>) -> U + Clone + Send + 'static,
    ) -> DataStream<U> {
        self.flat_map_with_state(move |value, state, out| out.collect(f(value, state)))
    }

    /// Keeps the records for which `f` is true, given the record and the state of its key.
    pub fn filter_with_state<St: Record>(&self, mut f: impl FnMut(&T, &mut Option<St>) -> bool + Clone + Send + 'static) -> DataStream<T> {
        self.flat_map_with_state(move |value, state, out| {
            if f(&value, state) {
                out.collect(value);
            }
        })
    }

    /// Makes any number of records of each and of the state of its key.
    pub fn flat_map_with_state<St: Record, U: Record>(
        &self,
        mut f: impl FnMut(T, &mut Option<St>, &mut Collector<U>) + Clone + Send + 'static,
    ) -> DataStream<U> {
        self.try_flat_map_with_state(move |value, state, out| {
            f(value, state, out);
            Ok(())
        })
    }

    /// As [`flat_map_with_state`](Self::flat_map_with_state), with a closure that may fail the job.
    pub fn try_flat_map_with_state<St: Record, U: Record, F>(&self, f: F) -> DataStream<U>
    where
        F: FnMut(T, &mut Option<St>, &mut Collector<U>) -> Result<()> + Clone + Send + 'static,
    {
        let (selector, function) = (self.selector.clone(), PerSubtask::new(f));
        self.transform("Stateful Flat Map", move |cx: &RuntimeContext| {
            let logic = |state: &mut StateDeclarations| FlatMapWithState::<F, T, St, U, S>::new(function.instance(), state);
            boxed(KeyedOperator::new(selector.clone(), cx, logic)?)
        })
    }

    /// Combines each record with what its key has so far, and gives the result.
    ///
    /// ```
    /// # let env = brisk_stream::StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// env.from_sequence(1, 100).key_by(|n| n % 2 == 0).reduce(|longest, n| longest.max(n)).print();
    /// ```
    pub fn reduce(&self, f: impl Fn(T, T) -> T + Send + Sync + Clone + 'static) -> DataStream<T> {
        self.reduce_with(move |first, second| Ok(f(first, second)))
    }

    /// As [`reduce`](Self::reduce), with a function that may fail the job.
    pub fn try_reduce(&self, f: impl Fn(T, T) -> Result<T> + Send + Sync + Clone + 'static) -> DataStream<T> {
        self.reduce_with(f)
    }

    /// As [`reduce`](Self::reduce), with a function of a named type.
    pub fn reduce_with(&self, f: impl ReduceFunction<T> + Clone) -> DataStream<T> {
        let selector = self.selector.clone();
        self.transform("Keyed Reduce", move |cx: &RuntimeContext| {
            boxed(RollingOperator::new(selector.clone(), ByReduce::new(f.clone()), cx)?)
        })
    }

    /// Gives, for each record, the first record of its key with one field summed up over all of them.
    ///
    /// ```
    /// # let env = brisk_stream::StreamEnvironment::new(std::sync::Arc::new(brisk_core::job::NoExecutor), Default::default());
    /// env.from_elements([("a", 1u64), ("b", 2), ("a", 3)].map(|(key, n)| (key.to_owned(), n)))
    ///     .key_by_ref(|pair| &pair.0)
    ///     .sum(|pair| &mut pair.1)
    ///     .print();
    /// ```
    pub fn sum<N: Number>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.fold_in_place(move |sum, value| *field(sum) += *field(value))
    }

    /// Gives, for each record, the first record of its key with one field set to the lowest of all.
    pub fn min<N: PartialOrd + Clone + 'static>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.fold_in_place(move |lowest, value| {
            if *field(value) < *field(lowest) {
                std::mem::swap(field(lowest), field(value));
            }
        })
    }

    /// Gives, for each record, the first record of its key with one field set to the highest of all.
    pub fn max<N: PartialOrd + Clone + 'static>(&self, field: impl Fn(&mut T) -> &mut N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.fold_in_place(move |highest, value| {
            if *field(value) > *field(highest) {
                std::mem::swap(field(highest), field(value));
            }
        })
    }

    /// Gives, for each record, that record of its key in which the field is lowest; of equal ones the first.
    pub fn min_by<N: PartialOrd>(&self, field: impl Fn(&T) -> N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.fold_in_place(move |lowest, value| {
            if field(value) < field(lowest) {
                std::mem::swap(lowest, value);
            }
        })
    }

    /// Gives, for each record, that record of its key in which the field is highest; of equal ones the first.
    pub fn max_by<N: PartialOrd>(&self, field: impl Fn(&T) -> N + Clone + Send + Sync + 'static) -> DataStream<T> {
        self.fold_in_place(move |highest, value| {
            if field(value) > field(highest) {
                std::mem::swap(highest, value);
            }
        })
    }

    fn fold_in_place(&self, fold: impl Fn(&mut T, &mut T) + Clone + Send + Sync + 'static) -> DataStream<T> {
        let selector = self.selector.clone();
        self.transform("Keyed Aggregation", move |cx: &RuntimeContext| {
            boxed(RollingOperator::new(selector.clone(), InPlace(fold.clone()), cx)?)
        })
    }
}
