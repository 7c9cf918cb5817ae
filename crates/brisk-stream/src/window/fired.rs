//! Which windows of a restored [aligned operator](super::aligned) have fired, where contents stay for late records: the table does not say.
//!
//! An operator that has always run needs one timestamp for this. One that is restored may take over key groups of several old subtasks,
//! whose watermarks stood at different times, and windows that had fired for some of their keys.
//!
//! Invariant: what is here is above what the operator itself knows to have fired, and dropped once it is not.

use super::time_window::Window;
use brisk_base::{Result, Timestamp};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{KeyGroups, OperatorSnapshot, Redistribution};
use brisk_core::types::{Key, KeyGroupRange, Record};

/// Name of the operator state.
const NAME: &str = "$fired";

/// How far the windows of some key groups have fired.
#[derive(Clone, Record)]
pub(super) struct FiredUpTo<K, W> {
    /// The first of the key groups.
    pub(super) from: u16,
    /// The one after the last.
    pub(super) to: u16,
    /// Windows up to this last timestamp have fired for all keys.
    pub(super) fired: Timestamp,
    /// The window that is being fired.
    pub(super) window: Option<W>,
    /// The keys for which that window has not fired, ascending.
    pub(super) keys: Vec<K>,
}

impl<K: Key, W: Window> FiredUpTo<K, W> {
    const fn range(&self) -> KeyGroupRange {
        KeyGroupRange::new(self.from, self.to)
    }

    /// The highest last timestamp of a window that it says anything about.
    fn highest(&self) -> Timestamp {
        self.window.as_ref().map_or(self.fired, |window| self.fired.max(window.max_timestamp()))
    }

    fn has_fired(&self, key: &K, window: &W) -> bool {
        window.max_timestamp() <= self.fired || (self.window.as_ref() == Some(window) && self.keys.binary_search(key).is_err())
    }
}

/// See the module.
pub(super) struct FiredBefore<K, W> {
    key_groups: KeyGroups,
    parts: Vec<FiredUpTo<K, W>>,
}

impl<K: Key, W: Window> FiredBefore<K, W> {
    /// What a checkpoint left.
    pub(super) fn restored(cx: &RuntimeContext, key_groups: KeyGroups) -> Result<Self> {
        let mut parts: Vec<FiredUpTo<K, W>> = cx.state.operator_state(NAME)?;
        parts.retain(|part| !part.range().intersection(key_groups.range).is_empty());
        Ok(Self { key_groups, parts })
    }

    /// Whether a window has fired for a key before the operator was restored.
    pub(super) fn has_fired(&self, hash: u64, key: &K, window: &W) -> bool {
        let group = self.key_groups.of(hash);
        self.parts.iter().any(|part| part.range().contains(group) && part.has_fired(key, window))
    }

    /// Windows with a last timestamp above this one have not fired.
    pub(super) fn highest(&self) -> Timestamp {
        self.parts.iter().map(FiredUpTo::highest).max().unwrap_or(Timestamp::MIN)
    }

    /// All windows up to this last timestamp have fired.
    pub(super) fn forget_up_to(&mut self, fired: Timestamp) {
        self.parts.retain(|part| part.highest() > fired);
    }

    /// Adds what is known to a snapshot: `fired`, `window` and `keys` are the operator's own.
    pub(super) fn snapshot(&self, fired: Timestamp, window: Option<W>, mut keys: Vec<K>, snapshot: &mut OperatorSnapshot) {
        keys.sort_unstable();
        let groups = self.key_groups.range.numbers();
        let own = FiredUpTo { from: groups.start, to: groups.end, fired, window, keys };
        let others = self.parts.iter().map(|part| {
            let range = part.range().intersection(self.key_groups.range).numbers();
            FiredUpTo { from: range.start, to: range.end, ..part.clone() }
        });
        let items: Vec<_> = std::iter::once(own).chain(others).collect();
        snapshot.add_operator_state(NAME, Redistribution::Union, &items);
    }
}
