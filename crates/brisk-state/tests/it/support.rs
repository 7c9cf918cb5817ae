//! What the tests of tables share.

use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::state::{
    EntryVisitor, FrozenTable, KeyGroups, KeyedStateMeta, Layout, OperatorRestore, OperatorSnapshot, RestoredKeyedState, Slot,
    StateBackend, StateBackendContext, StateDeclarations, StateId,
};
use brisk_core::types::{Key, KeyGroup, KeyGroupRange};
use brisk_state::{HashMapStateBackend, KeyedStateStore, mock};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Keys of the tests.
pub(crate) type K = String;
/// Namespaces of the tests.
pub(crate) type N = i64;
/// Rows of a frozen table.
pub(crate) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) const GROUPS: KeyGroups = KeyGroups { max_parallelism: 16, range: KeyGroupRange::new(0, 16) };

/// All backends: that of the heap first.
pub(crate) fn backends() -> Vec<(&'static str, Box<dyn StateBackend>)> {
    let mut all: Vec<(&'static str, Box<dyn StateBackend>)> = vec![("hashmap", Box::new(HashMapStateBackend))];
    all.extend(mock::backends());
    #[cfg(feature = "rocksdb")]
    {
        use brisk_state::rocksdb::{RocksDbConfig, RocksDbPlace, RocksDbStateBackend};
        let config = RocksDbConfig { place: RocksDbPlace::Memory, ..RocksDbConfig::in_folder("") };
        all.push(("rocksdb", Box::new(RocksDbStateBackend::new(config))));
    }
    all
}

/// A store with one state, declared by `declare`.
pub(crate) fn store(backend: &dyn StateBackend, declare: impl FnOnce(&mut StateDeclarations) -> StateId) -> (KeyedStateStore<K>, StateId) {
    let mut declarations = StateDeclarations::new("operator 'test' (1/1)");
    let id = declare(&mut declarations);
    let cx = StateBackendContext::new("operator 'test' (1/1)", GROUPS);
    (KeyedStateStore::open(backend, cx, declarations).expect("the declarations are right"), id)
}

/// Waits for what becomes ready when it is polled a second time.
pub(crate) fn ready(mut poll: impl FnMut(&mut Context<'_>) -> Poll<Result<()>>) {
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..2 {
        if let Poll::Ready(result) = poll(&mut cx) {
            return result.expect("prefetching never fails here");
        }
    }
    panic!("still pending when polled again");
}

/// The slots of these keys and namespaces.
pub(crate) fn slots(pairs: &[(K, N)]) -> Vec<Slot<'_, K, N>> {
    pairs.iter().map(|(key, namespace)| Slot::new(key, namespace)).collect()
}

pub(crate) fn layout() -> impl Strategy<Value = Layout> {
    prop_oneof![Just(Layout::KeyMajor), Just(Layout::NamespaceMajor)]
}

/// A key out of `count`; some hold zeros, which are escaped in ordered encodings.
pub(crate) fn key(count: u32) -> impl Strategy<Value = K> {
    (0..count).prop_map(|number| if number % 5 == 0 { format!("k\0{number}") } else { format!("{number}") })
}

pub(crate) fn pair(keys: u32) -> impl Strategy<Value = (K, N)> {
    (key(keys), -3i64..4)
}

/// Reads a frozen table in two steps, checking that each row comes with its key group, in order.
pub(crate) fn rows(frozen: &dyn FrozenTable) -> Rows {
    let mut rows = Rows::new();
    let mut last = None;
    for range in [KeyGroupRange::new(0, 5), KeyGroupRange::new(5, 16)] {
        frozen
            .scan(range, &mut |group, key, value| {
                assert!(range.contains(group) && last <= Some(group), "{group} within {range} after {last:?}");
                last = Some(group);
                let found = K::decode_ordered(&mut brisk_core::types::Decoder::new(key)).expect("keys begin with the key");
                assert_eq!(GROUPS.of(found.key_hash()), group);
                assert!(rows.insert(key.to_vec(), value.to_vec()).is_none(), "a row came twice");
                Ok(())
            })
            .expect("scanning never fails here");
    }
    rows
}

/// The bytes of a slot in a frozen table.
pub(crate) fn slot_bytes((key, namespace): &(K, N)) -> Vec<u8> {
    let mut out = Vec::new();
    key.encode_ordered(&mut out);
    namespace.encode_ordered(&mut out);
    out
}

/// Frozen tables, each with what it has to show for as long as it lives.
#[derive(Default)]
pub(crate) struct Generations(Vec<(Box<dyn FrozenTable>, Rows)>);

impl Generations {
    pub(crate) fn push(&mut self, frozen: Box<dyn FrozenTable>, expected: Rows) {
        self.0.push((frozen, expected));
    }

    /// Checks and drops one of them.
    pub(crate) fn drop_one(&mut self, number: usize) {
        if !self.0.is_empty() {
            let (frozen, expected) = self.0.remove(number % self.0.len());
            assert_eq!(rows(&*frozen), expected);
        }
    }

    /// Checks all on another thread, as a snapshot would read them.
    pub(crate) fn check(self) {
        std::thread::scope(|scope| {
            scope.spawn(move || self.0.iter().for_each(|(frozen, expected)| assert_eq!(rows(&**frozen), *expected)));
        });
    }
}

/// A barrier of this kind.
pub(crate) fn barrier(kind: SnapshotKind) -> Barrier {
    Barrier { checkpoint: CheckpointId(7), timestamp: Timestamp(0), kind, alignment: Alignment::Aligned }
}

/// Key group, key and value.
type Row = (KeyGroup, Vec<u8>, Vec<u8>);

/// The keyed states of a snapshot, in memory.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    metas: Vec<KeyedStateMeta>,
    rows: BTreeMap<String, Vec<Row>>,
}

impl Kept {
    pub(crate) fn of(snapshot: OperatorSnapshot) -> Self {
        let mut kept = Self::default();
        for state in snapshot.keyed {
            let mut rows = Vec::new();
            let add = &mut |group, key: &[u8], value: &[u8]| {
                rows.push((group, key.to_vec(), value.to_vec()));
                Ok(())
            };
            state.table.scan(GROUPS.range, add).expect("scanning never fails here");
            assert!(kept.rows.insert(state.meta.name.to_string(), rows).is_none(), "state '{}' came twice", state.meta.name);
            kept.metas.push(state.meta);
        }
        kept
    }

    pub(crate) fn rows(&self, state: &str) -> Rows {
        self.rows.get(state).into_iter().flatten().map(|(_, key, value)| (key.clone(), value.clone())).collect()
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

/// What a checkpoint of these states leaves.
pub(crate) fn restored(kept: &Kept) -> OperatorRestore {
    OperatorRestore { keyed: Some(Arc::new(kept.clone())), ..OperatorRestore::default() }
}
