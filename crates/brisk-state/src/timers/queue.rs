//! The queue of timers of one operator.

use super::chunks::{self, Chunks};
use crate::entry;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::state::{EntryVisitor, FrozenTable, KeyGroups, Namespace};
use brisk_core::types::{Decoder, Key, KeyGroup, KeyGroupRange, hash, table_hash};
use hashbrown::HashTable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A timer that fires.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timer<K, N> {
    /// When it was to fire.
    pub timestamp: Timestamp,
    /// The key that registered it.
    pub key: K,
    /// The namespace in which it was registered.
    pub namespace: N,
}

/// The timers of one operator of one subtask, all in event time or all in processing time.
///
/// Registering and deleting cost one hash probe and one search for the timestamp. A timer takes its key and namespace, 16 to 24 bytes, and 5
/// to 10 bytes of index; a timestamp about 25 bytes.
pub struct TimerQueue<K, N> {
    /// The earliest timestamp; `None` without timers.
    next: Option<Timestamp>,
    /// The timers, and free entries between them.
    entries: Chunks<Entry<K, N>>,
    /// The first free entry; the others follow through `next`.
    free: u32,
    /// Number of timers.
    len: usize,
    /// Finds a timer by timestamp, key and namespace.
    index: HashTable<u32>,
    /// The timers of each timestamp, in the order in which they were registered.
    times: BTreeMap<Timestamp, List>,
    /// Where event time stood when the queue was restored. Timers that were registered behind it fire once it has passed on, as they would have
    /// without the restart, and not when the operator is told again where it stands.
    told: Timestamp,
}

/// A timer in its list, or a free entry.
#[derive(Clone)]
struct Entry<K, N> {
    /// When the timer fires.
    timestamp: Timestamp,
    /// Key and namespace; none in a free entry.
    at: Option<(K, N)>,
    /// The timer before it in its list.
    previous: u32,
    /// The timer after it in its list, or the next free entry.
    next: u32,
}

/// First and last timer of a timestamp.
struct List {
    first: u32,
    last: u32,
}

/// No entry.
const NONE: u32 = u32::MAX;

impl<K, N> Default for TimerQueue<K, N> {
    fn default() -> Self {
        Self {
            next: None,
            entries: Chunks::default(),
            free: NONE,
            len: 0,
            index: HashTable::new(),
            times: BTreeMap::new(),
            told: Timestamp::MIN,
        }
    }
}

#[inline]
fn index_hash(timestamp: Timestamp, key_hash: u64) -> u64 {
    table_hash(hash::combine(key_hash, timestamp.0 as u64))
}

impl<K: Key, N: Namespace> Entry<K, N> {
    fn is(&self, timestamp: Timestamp, key: &K, namespace: &N) -> bool {
        self.timestamp == timestamp && self.at.as_ref().is_some_and(|at| at.0 == *key && at.1 == *namespace)
    }

    fn index_hash(&self) -> u64 {
        self.at.as_ref().map_or(0, |at| index_hash(self.timestamp, at.0.key_hash()))
    }
}

impl<K: Key, N: Namespace> TimerQueue<K, N> {
    /// Registers a timer. `hash` is the key's [`key_hash`](Key::key_hash). Returns whether it was not there already.
    ///
    /// # Errors
    /// When the queue holds as many timers as it can: 4,294,967,295.
    pub fn register(&mut self, timestamp: Timestamp, hash: u64, key: &K, namespace: &N) -> Result<bool> {
        let hash = index_hash(timestamp, hash);
        if self.index.find(hash, |entry| self.entries.get(*entry).is(timestamp, key, namespace)).is_some() {
            return Ok(false);
        }
        let entry = self.allocate()?;
        let list = self.times.entry(timestamp).or_insert(List { first: entry, last: NONE });
        let previous = std::mem::replace(&mut list.last, entry);
        if previous != NONE {
            self.entries.get_mut(previous).next = entry;
        }
        *self.entries.get_mut(entry) = Entry { timestamp, at: Some((key.clone(), namespace.clone())), previous, next: NONE };
        self.index.insert_unique(hash, entry, |entry| self.entries.get(*entry).index_hash());
        self.len += 1;
        if self.next.is_none_or(|next| timestamp < next) {
            self.next = Some(timestamp);
        }
        Ok(true)
    }

    /// Deletes a timer. Returns whether it was there.
    pub fn delete(&mut self, timestamp: Timestamp, hash: u64, key: &K, namespace: &N) -> bool {
        let found = self.index.find_entry(index_hash(timestamp, hash), |entry| self.entries.get(*entry).is(timestamp, key, namespace));
        let Ok(found) = found else { return false };
        let (entry, _) = found.remove();
        self.unlink(entry);
        true
    }

    /// The timestamp of the timer that fires next.
    #[inline]
    pub const fn peek(&self) -> Option<Timestamp> {
        self.next
    }

    /// Whether a timer is to fire when time has reached `now`.
    #[inline]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.next.is_some_and(|next| next <= now) && now > self.told
    }

    /// Removes and returns the next timer that is to fire when time has reached `now`. Timers that are registered between two calls are seen.
    #[inline]
    pub fn pop_due(&mut self, now: Timestamp) -> Option<Timer<K, N>> {
        if self.is_due(now) { self.pop() } else { None }
    }

    /// The timers that are to fire when time has reached `now`, in order: to prefetch their state before they are popped.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, &K, &N)> {
        let times = if now > self.told { Some(self.times.range(..=now)) } else { None };
        times.into_iter().flatten().flat_map(|(_, list)| self.list(list.first))
    }

    /// All timers in the order in which they fire.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &K, &N)> {
        self.times.values().flat_map(|list| self.list(list.first))
    }

    /// Number of timers.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no timer.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory the queue takes, approximately, without what keys and namespaces hold outside of themselves.
    pub fn heap_bytes(&self) -> usize {
        self.entries.allocated_bytes() + self.index.allocation_size() + self.times.len() * size_of::<(Timestamp, List)>() * 3 / 2
    }

    /// The timers as they are now, as rows whose key is key, namespace and timestamp (in ordered encodings) and whose value is empty. The
    /// task pays one pointer per 256 timers, and later one copy of 256 timers for those of them that it changes first.
    pub fn freeze(&self, key_groups: KeyGroups) -> Box<dyn FrozenTable> {
        Box::new(FrozenTimers { key_groups, chunks: self.entries.freeze() })
    }

    /// Registers a timer that [`freeze`](Self::freeze) showed.
    ///
    /// # Errors
    /// When the bytes are damaged.
    pub fn restore(&mut self, row: &[u8]) -> Result<()> {
        let mut input = Decoder::new(row);
        let (key, namespace): (K, N) = entry::decode_slot(&mut input)?;
        let timestamp = Timestamp::decode_ordered(&mut input)?;
        input.finish()?;
        self.register(timestamp, key.key_hash(), &key, &namespace).map(drop)
    }

    /// Event time stands here; the operator will be told so again.
    pub(super) fn stand_at(&mut self, watermark: Timestamp) {
        // The end of event time comes once, if at all.
        self.told = if watermark < Timestamp::MAX { watermark } else { Timestamp::MIN };
    }

    fn pop(&mut self) -> Option<Timer<K, N>> {
        let (_, list) = self.times.first_key_value()?;
        let entry = list.first;
        let hash = self.entries.get(entry).index_hash();
        if let Ok(found) = self.index.find_entry(hash, |other| *other == entry) {
            found.remove();
        }
        self.unlink(entry)
    }

    /// Takes a timer that is no longer in the index out of its list, and frees its entry.
    fn unlink(&mut self, index: u32) -> Option<Timer<K, N>> {
        let free = std::mem::replace(&mut self.free, index);
        let entry = self.entries.get_mut(index);
        let (timestamp, previous, next) = (entry.timestamp, entry.previous, std::mem::replace(&mut entry.next, free));
        let at = entry.at.take();
        if previous != NONE {
            self.entries.get_mut(previous).next = next;
        }
        if next != NONE {
            self.entries.get_mut(next).previous = previous;
        }
        if previous == NONE && next == NONE {
            self.times.remove(&timestamp);
            self.next = self.times.first_key_value().map(|(timestamp, _)| *timestamp);
        } else if let Some(list) = self.times.get_mut(&timestamp) {
            if previous == NONE {
                list.first = next;
            }
            if next == NONE {
                list.last = previous;
            }
        }
        self.len -= 1;
        if self.len == 0 {
            self.release_memory();
        }
        at.map(|(key, namespace)| Timer { timestamp, key, namespace })
    }

    /// Gives back the memory of a queue that has become empty after having been large.
    fn release_memory(&mut self) {
        const LARGE: usize = 4096;
        if self.entries.len() > LARGE {
            *self = Self { told: self.told, ..Self::default() };
        }
    }

    /// A free entry.
    fn allocate(&mut self) -> Result<u32> {
        if self.free != NONE {
            let entry = self.free;
            self.free = self.entries.get(entry).next;
            return Ok(entry);
        }
        let entry = u32::try_from(self.entries.len()).ok().filter(|entry| *entry != NONE);
        let entry =
            entry.ok_or_else(|| Error::user(format!("an operator holds {NONE} timers and can hold no more; raise its parallelism")))?;
        self.entries.push(Entry { timestamp: Timestamp::MIN, at: None, previous: NONE, next: NONE });
        Ok(entry)
    }

    /// The timers of one list.
    fn list(&self, first: u32) -> impl Iterator<Item = (Timestamp, &K, &N)> {
        let mut next = first;
        std::iter::from_fn(move || {
            if next == NONE {
                return None;
            }
            let entry = self.entries.get(next);
            next = entry.next;
            entry.at.as_ref().map(|at| (entry.timestamp, &at.0, &at.1))
        })
    }
}

/// Timers as they were when they were frozen.
struct FrozenTimers<K, N> {
    /// Key groups of the operator.
    key_groups: KeyGroups,
    /// The timers, and free entries between them.
    chunks: Vec<Arc<Vec<Entry<K, N>>>>,
}

impl<K: Key, N: Namespace> FrozenTable for FrozenTimers<K, N> {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let mut timers: Vec<(KeyGroup, &Entry<K, N>)> = Vec::new();
        // From the first timer of each timestamp on, so that those of one timestamp come in the order in which they were registered.
        for first in self.chunks.iter().flat_map(|chunk| chunk.iter()).filter(|entry| entry.at.is_some() && entry.previous == NONE) {
            let mut at = Some(first);
            while let Some(entry) = at {
                let group = entry.at.as_ref().map(|(key, _)| self.key_groups.of(key.key_hash()));
                timers.extend(group.filter(|group| groups.contains(*group)).map(|group| (group, entry)));
                at = (entry.next != NONE).then(|| chunks::in_frozen(&self.chunks, entry.next));
            }
        }
        timers.sort_by_key(|(group, entry)| (*group, entry.timestamp));
        let mut row = Vec::new();
        for (group, entry) in timers {
            row.clear();
            if let Some((key, namespace)) = &entry.at {
                key.encode_ordered(&mut row);
                namespace.encode_ordered(&mut row);
                entry.timestamp.encode_ordered(&mut row);
                visit(group, &row, &[])?;
            }
        }
        Ok(())
    }
}
