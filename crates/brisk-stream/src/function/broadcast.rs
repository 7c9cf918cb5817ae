//! A stream processed together with a broadcast one, such as records and the rules for them.

use super::KeyedContext;
use super::broadcast_state::{BroadcastState, BroadcastStates, MapStateDescriptor};
use super::hooks::checkpointed_hooks;
use brisk_base::{Result, Timestamp};
use brisk_core::function::{Collector, OutputTag, SideOutputs};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{CurrentState, StateAccess, StateDeclarations};
use brisk_core::types::{Key, Record};
use std::ops::{Deref, DerefMut};

/// Takes the records of a stream and of a broadcast stream (Flink's `BroadcastProcessFunction`); for
/// [`BroadcastConnectedStream::process`](crate::BroadcastConnectedStream::process).
pub trait BroadcastProcessFunction: Clone + Send + 'static {
    /// Records of the stream.
    type In: Record;
    /// Records of the broadcast stream.
    type BroadcastIn: Record;
    /// What it makes.
    type Out: Record;

    /// Called once per subtask, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called for each record of the stream; the broadcast state can be read.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(&mut self, value: Self::In, ctx: &mut ReadOnlyContext<'_>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called for each record of the broadcast stream, in every subtask; the broadcast state can be changed.
    ///
    /// # Errors
    /// Fails the task.
    fn process_broadcast_element(
        &mut self,
        value: Self::BroadcastIn,
        ctx: &mut BroadcastContext<'_>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Takes the records of a keyed stream, with state and timers per key, and of a broadcast stream (Flink's
/// `KeyedBroadcastProcessFunction`); for [`KeyedBroadcastConnectedStream::process`](crate::KeyedBroadcastConnectedStream::process).
pub trait KeyedBroadcastProcessFunction: Sized + Send + 'static {
    /// The key of the stream.
    type Key: Key;
    /// Records of the keyed stream.
    type In: Record;
    /// Records of the broadcast stream.
    type BroadcastIn: Record;
    /// What it makes.
    type Out: Record;

    /// Makes the function of one subtask, with the handles of its keyed states.
    fn declare(state: &mut StateDeclarations) -> Self;

    /// Called once per subtask, before the first record. There is no current key.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called for each record of the keyed stream; the broadcast state can be read.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(
        &mut self,
        value: Self::In,
        ctx: &mut KeyedReadOnlyContext<'_, Self::Key>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()>;

    /// Called for each record of the broadcast stream, in every subtask; the broadcast state can be changed. There is no current key.
    ///
    /// # Errors
    /// Fails the task.
    fn process_broadcast_element(
        &mut self,
        value: Self::BroadcastIn,
        ctx: &mut BroadcastContext<'_>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()>;

    /// Called when a timer is due that this key has set.
    ///
    /// # Errors
    /// Fails the task.
    fn on_timer(&mut self, _at: Timestamp, _ctx: &mut KeyedReadOnlyContext<'_, Self::Key>, _out: &mut Collector<Self::Out>) -> Result<()> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What both contexts without a key have in common.
macro_rules! plain_context {
    ($name:ident) => {
        impl $name<'_> {
            /// The record's timestamp, if it has one.
            pub fn timestamp(&self) -> Option<Timestamp> {
                Some(self.timestamp).filter(|timestamp| timestamp.is_set())
            }

            /// The watermark; [`Timestamp::MIN`] before the first.
            pub const fn current_watermark(&self) -> Timestamp {
                self.watermark
            }

            /// The wall clock.
            pub fn current_processing_time(&self) -> Timestamp {
                self.runtime.world.now()
            }

            /// Emits a record to a side output, with the timestamp of the record that is being processed.
            ///
            /// # Errors
            /// When another tag of the same id has another type.
            pub fn output<T: Record>(&mut self, tag: &OutputTag<T>, value: T) -> Result<()> {
                self.sides.collect(tag, value, self.timestamp)
            }

            /// The subtask, its metrics, accumulators and the job's parameters.
            pub const fn runtime(&self) -> &RuntimeContext {
                self.runtime
            }
        }
    };
}

/// What is known about a record that may read the broadcast state.
pub struct ReadOnlyContext<'a> {
    pub(crate) timestamp: Timestamp,
    pub(crate) watermark: Timestamp,
    pub(crate) states: &'a BroadcastStates,
    pub(crate) sides: &'a mut SideOutputs,
    pub(crate) runtime: &'a RuntimeContext,
}

plain_context!(ReadOnlyContext);

impl<'a> ReadOnlyContext<'a> {
    /// A broadcast state, to be read.
    ///
    /// # Errors
    /// When the broadcast stream was made without it, or with other types.
    pub fn broadcast_state<K: Key, V: Record>(&self, descriptor: &MapStateDescriptor<K, V>) -> Result<&'a BroadcastState<K, V>> {
        self.states.get(descriptor)
    }
}

/// What is known about a broadcast record, which may change the broadcast state.
pub struct BroadcastContext<'a> {
    pub(crate) timestamp: Timestamp,
    pub(crate) watermark: Timestamp,
    pub(crate) states: &'a mut BroadcastStates,
    pub(crate) sides: &'a mut SideOutputs,
    pub(crate) runtime: &'a RuntimeContext,
}

plain_context!(BroadcastContext);

impl BroadcastContext<'_> {
    /// A broadcast state, to be read and changed.
    ///
    /// # Errors
    /// When the broadcast stream was made without it, or with other types.
    pub fn broadcast_state<K: Key, V: Record>(&mut self, descriptor: &MapStateDescriptor<K, V>) -> Result<&mut BroadcastState<K, V>> {
        self.states.get_mut(descriptor)
    }
}

/// A [`KeyedContext`] that may also read the broadcast state.
pub struct KeyedReadOnlyContext<'a, K: Key> {
    keyed: KeyedContext<'a, K>,
    states: &'a BroadcastStates,
}

impl<'a, K: Key> KeyedReadOnlyContext<'a, K> {
    pub(crate) const fn new(keyed: &'a mut KeyedContext<'_, K>, states: &'a BroadcastStates) -> Self {
        Self { keyed: keyed.reborrow(), states }
    }

    /// A broadcast state, to be read.
    ///
    /// # Errors
    /// When the broadcast stream was made without it, or with other types.
    pub fn broadcast_state<UK: Key, V: Record>(&self, descriptor: &MapStateDescriptor<UK, V>) -> Result<&'a BroadcastState<UK, V>> {
        self.states.get(descriptor)
    }
}

impl<'a, K: Key> Deref for KeyedReadOnlyContext<'a, K> {
    type Target = KeyedContext<'a, K>;

    fn deref(&self) -> &Self::Target {
        &self.keyed
    }
}

impl<K: Key> DerefMut for KeyedReadOnlyContext<'_, K> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.keyed
    }
}

impl<'a, K: Key> StateAccess for KeyedReadOnlyContext<'a, K> {
    type Key = K;
    type Namespace = ();
    type Store = <KeyedContext<'a, K> as StateAccess>::Store;

    fn current_state(&mut self) -> Result<CurrentState<'_, Self::Store, K, ()>> {
        self.keyed.current_state()
    }
}
