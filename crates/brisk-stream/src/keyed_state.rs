//! Keyed state and timers of one operator: where `brisk-state` meets the operators of this crate.

use brisk_base::{Result, Timestamp};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{Namespace, Slot, StateBackendContext, StateDeclarations};
use brisk_core::types::Key;
use brisk_state::{HashMapStateBackend, KeyedStateStore};
use std::collections::BTreeMap;

/// All keyed state of one operator of one subtask.
pub(crate) type Store<K> = KeyedStateStore<K>;

/// Opens the declared states of an operator in the worker's state backend.
pub(crate) fn open_store<K: Key>(cx: &RuntimeContext, declared: StateDeclarations) -> Result<Store<K>> {
    KeyedStateStore::open(&HashMapStateBackend, &StateBackendContext::of(cx)?, declared)
}

/// A timer that is due.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DueTimer<K, N> {
    /// When it was set to.
    pub(crate) time: Timestamp,
    /// Frozen hash of the key.
    pub(crate) hash: u64,
    /// Whose timer it is.
    pub(crate) key: K,
    /// In which namespace.
    pub(crate) namespace: N,
}

/// Timers of one kind, in the order in which they fire: by time, key and namespace. The value is the key's hash.
type Queue<K, N> = BTreeMap<(Timestamp, K, N), u64>;

/// Event-time and processing-time timers by key and namespace. A timer set twice fires once.
pub(crate) struct Timers<K, N> {
    event: Queue<K, N>,
    processing: Queue<K, N>,
}

impl<K: Key, N: Namespace> Timers<K, N> {
    pub(crate) const fn new() -> Self {
        Self { event: BTreeMap::new(), processing: BTreeMap::new() }
    }

    pub(crate) fn register_event_time(&mut self, slot: Slot<'_, K, N>, time: Timestamp) {
        self.event.insert((time, slot.key.clone(), slot.namespace.clone()), slot.hash);
    }

    pub(crate) fn register_processing_time(&mut self, slot: Slot<'_, K, N>, time: Timestamp) {
        self.processing.insert((time, slot.key.clone(), slot.namespace.clone()), slot.hash);
    }

    pub(crate) fn delete_event_time(&mut self, slot: Slot<'_, K, N>, time: Timestamp) {
        self.event.remove(&(time, slot.key.clone(), slot.namespace.clone()));
    }

    pub(crate) fn delete_processing_time(&mut self, slot: Slot<'_, K, N>, time: Timestamp) {
        self.processing.remove(&(time, slot.key.clone(), slot.namespace.clone()));
    }

    /// Takes the first event-time timer at or before `until`.
    #[inline]
    pub(crate) fn pop_event_time(&mut self, until: Timestamp) -> Option<DueTimer<K, N>> {
        pop(&mut self.event, until)
    }

    /// Takes the first processing-time timer at or before `until`.
    pub(crate) fn pop_processing_time(&mut self, until: Timestamp) -> Option<DueTimer<K, N>> {
        pop(&mut self.processing, until)
    }

    /// When the first processing-time timer fires.
    pub(crate) fn next_processing_time(&self) -> Option<Timestamp> {
        self.processing.first_key_value().map(|((time, ..), _)| *time)
    }

    /// Timers of both kinds.
    pub(crate) fn len(&self) -> usize {
        self.event.len() + self.processing.len()
    }
}

fn pop<K: Key, N: Namespace>(queue: &mut Queue<K, N>, until: Timestamp) -> Option<DueTimer<K, N>> {
    let first = queue.first_entry().filter(|first| first.key().0 <= until)?;
    let ((time, key, namespace), hash) = first.remove_entry();
    Some(DueTimer { time, hash, key, namespace })
}
