//! A snapshot of one operator in memory, for unit tests: what a checkpoint storage would give back.

use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::state::{
    EntryVisitor, KeyedStateMeta, OperatorRestore, OperatorSnapshot, OperatorStateSnapshot, RestoredKeyedState, RestoredOperatorState,
};
use brisk_core::types::{KeyGroup, KeyGroupRange};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key groups of the tests.
const ALL: KeyGroupRange = KeyGroupRange::new(0, 128);

/// An entry of a state: key group, key and value.
type Entry = (KeyGroup, Vec<u8>, Vec<u8>);

/// The keyed states of a snapshot.
pub(crate) struct Kept {
    metas: Vec<KeyedStateMeta>,
    /// By name of the state.
    rows: BTreeMap<Arc<str>, Vec<Entry>>,
}

impl Kept {
    /// What is left of a snapshot.
    pub(crate) fn restore(snapshot: OperatorSnapshot, checkpoint: CheckpointId, watermark: Timestamp) -> OperatorRestore {
        let mut kept = Self { metas: Vec::new(), rows: BTreeMap::new() };
        for state in snapshot.keyed {
            let mut rows = Vec::new();
            let add = &mut |group, key: &[u8], value: &[u8]| {
                rows.push((group, key.to_vec(), value.to_vec()));
                Ok(())
            };
            state.table.scan(ALL, add).expect("scanning never fails here");
            assert!(kept.rows.insert(Arc::clone(&state.meta.name), rows).is_none(), "state '{}' came twice", state.meta.name);
            kept.metas.push(state.meta);
        }
        let operator = |state: OperatorStateSnapshot| {
            let OperatorStateSnapshot { name, redistribution, schema, items } = state;
            RestoredOperatorState { name, redistribution, schema, items }
        };
        OperatorRestore {
            checkpoint,
            keyed: Some(Arc::new(kept)),
            operator: snapshot.operator.into_iter().map(operator).collect(),
            watermark,
            ..OperatorRestore::default()
        }
    }
}

impl RestoredKeyedState for Kept {
    fn states(&self) -> &[KeyedStateMeta] {
        &self.metas
    }

    fn scan(&self, state: &str, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let rows = self.rows.get(state).into_iter().flatten();
        rows.filter(|(group, ..)| groups.contains(*group)).try_for_each(|(group, key, value)| visit(*group, key, value))
    }
}
