//! Values that have not expired.

use crate::entry;
use brisk_base::{Result, Timestamp};
use brisk_core::state::{EntryVisitor, FrozenTable, StateKind, StateTtlConfig};
use brisk_core::types::{Decoder, KeyGroup, KeyGroupRange, put_bytes};
use std::sync::Arc;

/// A frozen table without what has expired.
pub(crate) struct LiveTable {
    /// All entries.
    pub(crate) all: Box<dyn FrozenTable>,
    /// Whether values are lists, of which each element expires.
    pub(crate) kind: StateKind,
    /// When they expire.
    pub(crate) ttl: Arc<StateTtlConfig>,
    /// The time of the snapshot.
    pub(crate) now: Timestamp,
}

impl FrozenTable for LiveTable {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        self.all.scan(groups, &mut live_only(self.kind, &self.ttl, self.now, visit))
    }

    fn scan_and_drop(self: Box<Self>, visit: &mut EntryVisitor<'_>) -> Result<()> {
        self.all.scan_and_drop(&mut live_only(self.kind, &self.ttl, self.now, visit))
    }
}

/// Lets `visit` see what has not expired.
fn live_only(
    kind: StateKind,
    ttl: &StateTtlConfig,
    now: Timestamp,
    visit: &mut EntryVisitor<'_>,
) -> impl FnMut(KeyGroup, &[u8], &[u8]) -> Result<()> {
    let mut place = Vec::new();
    move |group, key, value| match live_part(kind, value, &mut place, ttl, now)? {
        Some(value) => visit(group, key, value),
        None => Ok(()),
    }
}

/// The time of last use of a value that expires.
fn time_of(value: &[u8]) -> Result<Timestamp> {
    Decoder::new(value).zigzag().map(Timestamp)
}

/// What has not expired of the value of an entry, as snapshots show it; nothing when all of it has.
fn live_part<'a>(
    kind: StateKind,
    value: &'a [u8],
    place: &'a mut Vec<u8>,
    ttl: &StateTtlConfig,
    now: Timestamp,
) -> Result<Option<&'a [u8]>> {
    if kind != StateKind::List {
        return Ok(if ttl.is_expired(time_of(value)?, now) { None } else { Some(value) });
    }
    place.clear();
    entry::for_each_element(value, |element| {
        if !ttl.is_expired(time_of(element)?, now) {
            put_bytes(place, element);
        }
        Ok(())
    })?;
    Ok((!place.is_empty()).then_some(place.as_slice()))
}

/// Whether all of a value has expired.
#[cfg(feature = "rocksdb")]
pub(crate) fn has_expired(kind: StateKind, value: &[u8], ttl: &StateTtlConfig, now: Timestamp) -> Result<bool> {
    live_part(kind, value, &mut Vec::new(), ttl, now).map(|live| live.is_none())
}
