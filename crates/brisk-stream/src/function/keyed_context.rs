//! What functions on keyed streams are given: key, time, state, timers, side outputs.

use crate::keyed_state::{Store, Timers};
use brisk_base::{Result, Timestamp};
use brisk_core::function::{OutputTag, SideOutputs};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{CurrentState, Slot, StateAccess};
use brisk_core::types::{Key, Record};

/// Which clock a timer went by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeDomain {
    /// The watermark.
    EventTime,
    /// The wall clock.
    ProcessingTime,
}

/// What is known about the record or timer that is being processed. State handles are used with it.
pub struct KeyedContext<'a, K: Key> {
    /// The current key and its hash.
    pub(crate) slot: Slot<'a, K, ()>,
    /// Timestamp of the record or timer, or [`Timestamp::MIN`].
    pub(crate) timestamp: Timestamp,
    /// Which clock called, for timers.
    pub(crate) domain: Option<TimeDomain>,
    /// The operator's watermark.
    pub(crate) watermark: Timestamp,
    /// The operator's state.
    pub(crate) store: &'a mut Store<K>,
    /// The operator's timers.
    pub(crate) timers: &'a mut Timers<K>,
    /// Where records for side outputs go.
    pub(crate) sides: &'a mut SideOutputs,
    /// The subtask.
    pub(crate) runtime: &'a RuntimeContext,
}

impl<'a, K: Key> KeyedContext<'a, K> {
    /// The same for a shorter time.
    pub(crate) const fn reborrow(&mut self) -> KeyedContext<'_, K> {
        KeyedContext {
            slot: self.slot,
            timestamp: self.timestamp,
            domain: self.domain,
            watermark: self.watermark,
            store: self.store,
            timers: self.timers,
            sides: self.sides,
            runtime: self.runtime,
        }
    }

    /// The key of the record or timer.
    pub const fn key(&self) -> &'a K {
        self.slot.key
    }

    /// The record's timestamp, if it has one; the timer's time.
    pub fn timestamp(&self) -> Option<Timestamp> {
        Some(self.timestamp).filter(|timestamp| timestamp.is_set())
    }

    /// Which clock the timer went by; `None` while a record is processed.
    pub const fn time_domain(&self) -> Option<TimeDomain> {
        self.domain
    }

    /// The watermark; [`Timestamp::MIN`] before the first.
    pub const fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The wall clock.
    pub fn current_processing_time(&self) -> Timestamp {
        self.runtime.world.now()
    }

    /// The timers of the current key.
    pub const fn timers(&mut self) -> TimerService<'_, K> {
        TimerService { slot: self.slot, watermark: self.watermark, timers: self.timers, runtime: self.runtime }
    }

    /// Emits a record to a side output, with the timestamp of the record or timer that is being processed.
    ///
    /// # Errors
    /// When another tag of the same id has another type.
    pub fn output<T: Record>(&mut self, tag: &OutputTag<T>, value: T) -> Result<()> {
        self.sides.collect(tag, value, self.timestamp)
    }

    /// The subtask, its metrics, accumulators and the job's parameters.
    pub const fn runtime(&self) -> &'a RuntimeContext {
        self.runtime
    }
}

impl<K: Key> StateAccess for KeyedContext<'_, K> {
    type Key = K;
    type Namespace = ();
    type Store = Store<K>;

    #[inline]
    fn current_state(&mut self) -> Result<CurrentState<'_, Store<K>, K, ()>> {
        Ok(CurrentState { store: self.store, slot: self.slot })
    }
}

/// The timers of one key (Flink's `TimerService`). A timer set twice for one time fires once.
pub struct TimerService<'a, K> {
    slot: Slot<'a, K, ()>,
    watermark: Timestamp,
    timers: &'a mut Timers<K>,
    runtime: &'a RuntimeContext,
}

impl<K: Key> TimerService<'_, K> {
    /// Calls the function for this key when the watermark passes `time`; at the next watermark when it has passed already.
    pub fn register_event_time(&mut self, time: Timestamp) {
        self.timers.register_event_time(self.slot, time);
    }

    /// Calls the function for this key when the wall clock reaches `time`. Timers that are open when the input ends are dropped.
    pub fn register_processing_time(&mut self, time: Timestamp) {
        self.timers.register_processing_time(self.slot, time);
    }

    /// Takes an event-time timer back.
    pub fn delete_event_time(&mut self, time: Timestamp) {
        self.timers.delete_event_time(self.slot, time);
    }

    /// Takes a processing-time timer back.
    pub fn delete_processing_time(&mut self, time: Timestamp) {
        self.timers.delete_processing_time(self.slot, time);
    }

    /// The watermark; [`Timestamp::MIN`] before the first.
    pub const fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The wall clock.
    pub fn current_processing_time(&self) -> Timestamp {
        self.runtime.world.now()
    }
}
