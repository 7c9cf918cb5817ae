//! Timers in snapshots: a map of timestamps without values, for each key and namespace.

use super::{PROCESSING_TIMERS, TimerQueue};
use crate::schema;
use brisk_base::{Result, ResultExt, Timestamp};
use brisk_core::state::{FrozenState, KeyGroups, KeyedStateMeta, Layout, Namespace, OperatorRestore, OperatorSnapshot, StateKind};
use brisk_core::types::{Key, KeyGroupRange, Record};

impl<K: Key, N: Namespace> TimerQueue<K, N> {
    /// Adds the timers to a snapshot, under [`EVENT_TIMERS`](super::EVENT_TIMERS) or [`PROCESSING_TIMERS`](super::PROCESSING_TIMERS).
    pub fn snapshot(&self, name: &str, key_groups: KeyGroups, snapshot: &mut OperatorSnapshot) {
        snapshot.keyed.push(FrozenState { meta: Self::meta(name), table: self.freeze(key_groups) });
    }

    /// Registers the timers of these key groups that a checkpoint left under this name. Those of event time (all names but
    /// [`PROCESSING_TIMERS`](super::PROCESSING_TIMERS)) fire once the watermark is beyond that of the checkpoint.
    ///
    /// # Errors
    /// When they have keys or namespaces of other types, or their bytes are damaged.
    pub fn restore_from(&mut self, restored: &OperatorRestore, name: &str, range: KeyGroupRange) -> Result<()> {
        if name != PROCESSING_TIMERS {
            self.stand_at(restored.watermark);
        }
        let Some(keyed) = &restored.keyed else { return Ok(()) };
        let Some(meta) = keyed.states().iter().find(|meta| &*meta.name == name) else { return Ok(()) };
        let place = || format!("state '{name}'");
        schema::compare(meta, &Self::meta(name)).context(place)?;
        keyed.scan(name, range, &mut |_, row, _| self.restore(row)).context(place)
    }

    fn meta(name: &str) -> KeyedStateMeta {
        KeyedStateMeta {
            name: name.into(),
            kind: StateKind::Map,
            layout: Layout::KeyMajor,
            key: K::schema(),
            namespace: N::schema(),
            value: <()>::schema(),
            map_key: Some(Timestamp::schema()),
        }
    }
}
