//! A byte store that is far away.

use brisk_base::{Error, Result};
use brisk_core::state::{ByteStore, ByteVisitor, FoundVisitor, FrozenBytes, Write};
use std::collections::BTreeSet;
use std::task::{Context, Poll};

/// Wraps a store. `prefetch` is pending when it is first called for some keys, and wakes the task; reads of keys that were not in the last
/// prefetch fail. Writes and scans are let through.
pub struct DelayedStore {
    /// The store itself.
    inner: Box<dyn ByteStore>,
    /// What was asked for last.
    asked: BTreeSet<Vec<u8>>,
    /// Whether it has arrived.
    arrived: bool,
}

impl DelayedStore {
    /// Delays `inner`.
    pub fn new(inner: Box<dyn ByteStore>) -> Self {
        Self { inner, asked: BTreeSet::new(), arrived: false }
    }

    /// Whether a key was prefetched.
    fn is_near(&self, key: &[u8]) -> bool {
        self.arrived && (0..=key.len()).any(|len| self.asked.contains(&key[..len]))
    }
}

impl ByteStore for DelayedStore {
    fn prefetch(&mut self, cx: &mut Context<'_>, prefixes: &[&[u8]]) -> Poll<Result<()>> {
        let asked: BTreeSet<Vec<u8>> = prefixes.iter().map(|prefix| prefix.to_vec()).collect();
        self.arrived = self.asked == asked;
        self.asked = asked;
        if self.arrived {
            return Poll::Ready(Ok(()));
        }
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
