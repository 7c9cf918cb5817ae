//! Which column family a key belongs to.
//!
//! The engine's keys begin with key group and number of the state. In the database the number is left out: the column family stands for it.

use crate::ttl;
use brisk_base::world::Clock;
use brisk_base::{Error, Result};
use brisk_core::state::{Layout, StateDescriptor, StateId, StateKind, StateTtlConfig};
use brisk_core::types::{KeyGroup, KeyGroupRange};
use rocksdb::CompactionDecision as Decision;
use std::sync::Arc;

/// Length of the key group.
pub(super) const GROUP: usize = 2;
/// Length of the key group and the number of the state.
pub(super) const HEAD: usize = 4;
/// What the names of column families begin with, which keeps them apart from RocksDB's own.
const PREFIX: &str = "state:";

/// The column families of one database, by number of the state.
#[derive(Clone)]
pub(super) struct Families {
    /// Their names.
    names: Vec<String>,
    /// Of those whose values expire: by which clock, and how.
    expiring: Vec<Option<Expiring>>,
    /// Those with one value per key, which are read and written key by key.
    single: Arc<[StateId]>,
    /// Key groups of the subtask.
    range: KeyGroupRange,
}

/// How the values of a column family expire.
#[derive(Clone)]
pub(super) struct Expiring {
    /// Value, list or map.
    kind: StateKind,
    /// When they expire.
    ttl: Arc<StateTtlConfig>,
    /// Processing time.
    clock: Arc<dyn Clock>,
}

impl Expiring {
    /// What is done with a value when files are compacted. One that cannot be read is kept, so that whoever reads it sees that.
    pub(super) fn decide(&self, value: &[u8]) -> Decision {
        match ttl::has_expired(self.kind, value, &self.ttl, self.clock.now()) {
            Ok(true) => Decision::Remove,
            Ok(false) | Err(_) => Decision::Keep,
        }
    }
}

/// A range of keys within one key group and state.
pub(super) struct Segment {
    /// Number of the state.
    pub(super) state: StateId,
    /// First key, as the engine writes it.
    pub(super) from: Vec<u8>,
    /// The key after the last.
    pub(super) to: Option<Vec<u8>>,
}

/// Name of a state's column family.
pub(super) fn family_name(state: &str) -> String {
    format!("{PREFIX}{state}")
}

/// A key as it is in the database.
pub(super) fn stored_key(key: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(key.len());
    stored_key_into(key, &mut stored);
    stored
}

/// A key as it is in the database, in the place of what `stored` has.
pub(super) fn stored_key_into(key: &[u8], stored: &mut Vec<u8>) {
    stored.clear();
    stored.extend_from_slice(&key[..GROUP]);
    stored.extend_from_slice(&key[HEAD..]);
}

/// A key as the engine writes it.
pub(super) fn engine_key(state: StateId, stored: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&stored[..GROUP]);
    out.extend_from_slice(&state.0.to_be_bytes());
    out.extend_from_slice(&stored[GROUP..]);
}

/// The first bytes after all that begin with `prefix`; none if there are none.
pub(super) fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < 0xFF)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

impl Families {
    pub(super) fn new(states: &[StateDescriptor], range: KeyGroupRange, clock: &Arc<dyn Clock>) -> Self {
        let expiring = |state: &StateDescriptor| {
            let ttl = state.ttl.clone().filter(|ttl| ttl.compaction_cleanup())?;
            Some(Expiring { kind: state.kind, ttl, clock: Arc::clone(clock) })
        };
        let names = states.iter().map(|state| family_name(&state.name)).collect();
        let single = states.iter().filter(|state| state.kind == StateKind::Value && state.layout == Layout::KeyMajor);
        let single = single.map(|state| state.id).collect();
        Self { names, expiring: states.iter().map(expiring).collect(), single, range }
    }

    /// The states with one value per key, which are read and written key by key.
    pub(super) const fn single(&self) -> &Arc<[StateId]> {
        &self.single
    }

    /// Whether a range of keys has any of such a state.
    pub(super) fn touches_single(&self, from: &[u8], to: Option<&[u8]>) -> bool {
        !self.single.is_empty() && self.segments(from, to).iter().any(|segment| self.single.contains(&segment.state))
    }

    /// How the values of a column family expire.
    pub(super) fn expiring(&self, name: &str) -> Option<&Expiring> {
        let index = self.names.iter().position(|other| other == name)?;
        self.expiring.get(index)?.as_ref()
    }

    /// Names of all column families.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Name of a state's column family.
    pub(super) fn name(&self, state: StateId) -> Result<&str> {
        let name = self.names.get(usize::from(state.0)).map(String::as_str);
        name.ok_or_else(|| Error::bug(format!("a key of state {} was given to a store that has {} states", state.0, self.names.len())))
    }

    /// The state that a key belongs to.
    pub(super) fn state_of(key: &[u8]) -> Result<StateId> {
        match key {
            [_, _, high, low, ..] => Ok(StateId(u16::from_be_bytes([*high, *low]))),
            _ => Err(Error::bug("a key of a store begins with key group and number of the state")),
        }
    }

    /// A range of keys, cut where a key group or a state ends. Ranges are mostly within one.
    pub(super) fn segments(&self, from: &[u8], to: Option<&[u8]>) -> Vec<Segment> {
        if to.is_some_and(|to| to <= from) {
            return Vec::new();
        }
        if let (Some(head), Some(to)) = (from.get(..HEAD), to)
            && successor(head).is_none_or(|end| to <= end.as_slice())
            && let Ok(state) = Self::state_of(from)
        {
            return vec![Segment { state, from: from.to_vec(), to: Some(to.to_vec()) }];
        }
        let heads = self.range.iter().flat_map(|group| (0..self.names.len() as u16).map(move |state| (group, StateId(state))));
        let segment = |(group, state): (KeyGroup, StateId)| {
            let head = [group.0.to_be_bytes(), state.0.to_be_bytes()].concat();
            let end = successor(&head);
            if end.as_deref().is_some_and(|end| end <= from) || to.is_some_and(|to| to <= head.as_slice()) {
                return None;
            }
            let start = if from > head.as_slice() { from.to_vec() } else { head };
            let end = match (end, to) {
                (Some(end), Some(to)) if to < end.as_slice() => Some(to.to_vec()),
                (None, Some(to)) => Some(to.to_vec()),
                (end, _) => end,
            };
            Some(Segment { state, from: start, to: end })
        };
        heads.filter_map(segment).collect()
    }
}

impl Segment {
    /// The range as it is in the database.
    pub(super) fn stored(&self) -> (Vec<u8>, Vec<u8>) {
        let to = match self.to.as_deref() {
            // An end within the same key group and state.
            Some(to) if to.len() >= HEAD && to[..HEAD] == self.from[..HEAD] => stored_key(to),
            // There are 32768 key groups at most, so that there always is a key after those of one.
            _ => successor(&self.from[..GROUP]).unwrap_or_else(|| vec![0xFF; GROUP + 1]),
        };
        (stored_key(&self.from), to)
    }
}
