//! A byte store that is far away.

use brisk_base::{Error, Result};
use brisk_core::state::{ByteStore, ByteVisitor, FoundVisitor, FrozenBytes, Write};
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Context, Poll};

/// Wraps a store. `prefetch` is pending when it is first called for some keys, and wakes the task; reads of keys that were not in the last
/// prefetch of their state fail. Writes and scans are let through.
pub struct DelayedStore {
    /// The store itself.
    inner: Box<dyn ByteStore>,
    /// What was asked for last, by state; all of it has arrived when it is asked for again.
    asked: BTreeMap<State, BTreeSet<Vec<u8>>>,
    /// What has arrived.
    arrived: BTreeMap<State, BTreeSet<Vec<u8>>>,
}

/// The bytes of a key that name its state.
type State = Vec<u8>;

fn state_of(key: &[u8]) -> State {
    key.get(2..4).unwrap_or_default().to_vec()
}

impl DelayedStore {
    /// Delays `inner`.
    pub fn new(inner: Box<dyn ByteStore>) -> Self {
        Self { inner, asked: BTreeMap::new(), arrived: BTreeMap::new() }
    }

    /// Whether a key was prefetched.
    fn is_near(&self, key: &[u8]) -> bool {
        self.arrived.get(&state_of(key)).is_some_and(|arrived| (0..=key.len()).any(|len| arrived.contains(&key[..len])))
    }
}

impl ByteStore for DelayedStore {
    fn prefetch(&mut self, cx: &mut Context<'_>, prefixes: &[&[u8]]) -> Poll<Result<()>> {
        let mut wanted: BTreeMap<State, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for prefix in prefixes {
            wanted.entry(state_of(prefix)).or_default().insert(prefix.to_vec());
        }
        if wanted.iter().all(|(state, keys)| self.asked.get(state) == Some(keys)) {
            self.arrived.extend(wanted);
            return Poll::Ready(Ok(()));
        }
        wanted.keys().for_each(|state| drop(self.arrived.remove(state)));
        self.asked.extend(wanted);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn multi_get(&mut self, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()> {
        if let Some(key) = keys.iter().find(|key| !self.is_near(key)) {
            return Err(Error::bug(format!("key {key:?} is read, but was not prefetched")));
        }
        self.inner.multi_get(keys, found)
    }

    fn apply(&mut self, writes: &[Write<'_>]) -> Result<()> {
        self.inner.apply(writes)
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        self.inner.scan(from, to, visit)
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenBytes>> {
        self.inner.freeze()
    }

    fn heap_bytes(&self) -> usize {
        self.inner.heap_bytes()
    }
}
