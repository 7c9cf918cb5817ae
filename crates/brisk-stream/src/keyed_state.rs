//! Keyed state and timers of one operator: where `brisk-state` meets the operators of this crate.

use brisk_base::{Error, Result, Timestamp};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{KeyGroups, OperatorSnapshot, Slot, StateBackendContext, StateDeclarations};
use brisk_core::types::Key;
use brisk_state::timers::{EVENT_TIMERS, PROCESSING_TIMERS, Timer, TimerQueue};
use brisk_state::{HashMapStateBackend, KeyedStateStore};

/// All keyed state of one operator of one subtask.
pub(crate) type Store<K> = KeyedStateStore<K>;

/// Opens the declared states of an operator in the worker's state backend.
pub(crate) fn open_store<K: Key>(cx: &RuntimeContext, declared: StateDeclarations) -> Result<Store<K>> {
    let backend_cx = StateBackendContext::of(cx)?;
    #[cfg(test)]
    if let Some(backend) = test_backend::current() {
        return KeyedStateStore::open(&*backend, backend_cx, declared);
    }
    KeyedStateStore::open(cx.state.backend.as_deref().unwrap_or(&HashMapStateBackend), backend_cx, declared)
}

/// Event-time and processing-time timers of process functions. Registering never fails for the user: the one way in which it can, too many
/// timers, is kept until [`check`](Self::check).
pub(crate) struct Timers<K> {
    event: TimerQueue<K, ()>,
    processing: TimerQueue<K, ()>,
    /// The first registration that failed.
    error: Option<Error>,
}

impl<K: Key> Timers<K> {
    /// The timers that a checkpoint left for the operator; none for a fresh start.
    pub(crate) fn restored(cx: &RuntimeContext, key_groups: KeyGroups) -> Result<Self> {
        let mut timers = Self { event: TimerQueue::default(), processing: TimerQueue::default(), error: None };
        if let Some(restored) = &cx.state.restored {
            timers.event.restore_from(restored, EVENT_TIMERS, key_groups.range)?;
            timers.processing.restore_from(restored, PROCESSING_TIMERS, key_groups.range)?;
        }
        Ok(timers)
    }

    /// Adds the timers to a snapshot.
    pub(crate) fn snapshot(&self, key_groups: KeyGroups, snapshot: &mut OperatorSnapshot) {
        self.event.snapshot(EVENT_TIMERS, key_groups, snapshot);
        self.processing.snapshot(PROCESSING_TIMERS, key_groups, snapshot);
    }

    fn keep_error(&mut self, registered: Result<bool>) {
        if let Err(error) = registered {
            self.error.get_or_insert(error);
        }
    }

    pub(crate) fn register_event_time(&mut self, slot: Slot<'_, K, ()>, time: Timestamp) {
        let registered = self.event.register(time, slot.hash, slot.key, &());
        self.keep_error(registered);
    }

    pub(crate) fn register_processing_time(&mut self, slot: Slot<'_, K, ()>, time: Timestamp) {
        let registered = self.processing.register(time, slot.hash, slot.key, &());
        self.keep_error(registered);
    }

    pub(crate) fn delete_event_time(&mut self, slot: Slot<'_, K, ()>, time: Timestamp) {
        self.event.delete(time, slot.hash, slot.key, &());
    }

    pub(crate) fn delete_processing_time(&mut self, slot: Slot<'_, K, ()>, time: Timestamp) {
        self.processing.delete(time, slot.hash, slot.key, &());
    }

    /// Takes the first event-time timer at or before `until`.
    #[inline]
    pub(crate) fn pop_event_time(&mut self, until: Timestamp) -> Option<Timer<K, ()>> {
        self.event.pop_due(until)
    }

    /// Takes the first processing-time timer at or before `until`.
    pub(crate) fn pop_processing_time(&mut self, until: Timestamp) -> Option<Timer<K, ()>> {
        self.processing.pop_due(until)
    }

    /// When the first processing-time timer fires.
    pub(crate) const fn next_processing_time(&self) -> Option<Timestamp> {
        self.processing.peek()
    }

    /// Whether all registrations have worked.
    #[inline]
    pub(crate) fn check(&mut self) -> Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Timers of both kinds.
    pub(crate) const fn len(&self) -> usize {
        self.event.len() + self.processing.len()
    }
}

/// Another state backend in the place of the worker's, for unit tests that are to pass with any.
#[cfg(test)]
pub(crate) mod test_backend {
    use brisk_core::state::StateBackend;
    use std::cell::RefCell;
    use std::rc::Rc;

    thread_local! {
        static BACKEND: RefCell<Option<Rc<dyn StateBackend>>> = const { RefCell::new(None) };
    }

    pub(super) fn current() -> Option<Rc<dyn StateBackend>> {
        BACKEND.with_borrow(Clone::clone)
    }

    /// Operators that `make` makes on this thread have their state in `backend`.
    pub(crate) fn with<R>(backend: Box<dyn StateBackend>, make: impl FnOnce() -> R) -> R {
        BACKEND.set(Some(Rc::from(backend)));
        let made = make();
        BACKEND.set(None);
        made
    }
}
