//! State that is snapshotted and restored: onto other backends, other key groups, and by other programs.

use crate::support::{GROUPS, K, Kept, backends, barrier, ready, restored};
use brisk_base::ids::{CheckpointId, OperatorId};
use brisk_base::{Result, ResultExt, Timestamp};
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::state::{
    KeyGroups, Layout, OperatorRestore, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations, StateId, StateStore,
};
use brisk_core::types::{Key, KeyGroupRange, Record};
use brisk_state::KeyedStateStore;
use brisk_state::checkpoint_storage::{CheckpointStorage, MemoryStorage};
use brisk_state::snapshot::{CheckpointLocation, NewParallelism, assign, read_operator, write_task};
use brisk_state::timers::{EVENT_TIMERS, TimerQueue};
use std::collections::BTreeMap;
use std::sync::Arc;

const PLACE: &str = "operator 'test' (1/1)";

fn open(
    backend: &dyn StateBackend,
    range: KeyGroupRange,
    left: Option<OperatorRestore>,
    declare: impl FnOnce(&mut StateDeclarations),
) -> Result<KeyedStateStore<K>> {
    let mut declared = StateDeclarations::new(PLACE);
    declare(&mut declared);
    let cx = StateBackendContext { restored: left.map(Arc::new), ..StateBackendContext::new(PLACE, KeyGroups { range, ..GROUPS }) };
    KeyedStateStore::open(backend, cx, declared)
}

fn snapshot(store: &mut KeyedStateStore<K>) -> OperatorSnapshot {
    snapshot_of(store, SnapshotKind::Checkpoint)
}

fn snapshot_of(store: &mut KeyedStateStore<K>, kind: SnapshotKind) -> OperatorSnapshot {
    let mut snapshot = OperatorSnapshot::default();
    store.snapshot_at(&mut snapshot, barrier(kind)).expect("snapshots never fail here");
    snapshot
}

/// Two user states and, in both layouts, a table of the operator's own.
fn declare(declared: &mut StateDeclarations) {
    declared.value::<u64>("sum");
    declared.map::<i64, String>("seen");
    declared.engine_list::<u32>("keys", Layout::KeyMajor);
    declared.engine_list::<u32>("windows", Layout::NamespaceMajor);
}

const SUM: StateId = StateId(0);
const SEEN: StateId = StateId(1);
const TABLES: [StateId; 2] = [StateId(2), StateId(3)];

fn keys() -> impl Iterator<Item = (u32, K)> {
    (0..200).map(|number| (number, if number % 5 == 0 { format!("k\0{number}") } else { format!("{number}") }))
}

/// The state of one subtask.
fn fill(backend: &dyn StateBackend, range: KeyGroupRange) -> OperatorSnapshot {
    let mut store = open(backend, range, None, declare).expect("the declarations are right");
    let mut timers = TimerQueue::default();
    let mut tables = TABLES.map(|id| store.take_list::<i64, u32>(id).expect("it was declared"));
    for (number, key) in keys().filter(|(_, key)| range.contains(GROUPS.of(key.key_hash()))) {
        ready(|cx| store.prefetch(cx, &[Slot::new(&key, &())]));
        let slot = Slot::new(&key, &());
        store.value(SUM).expect("it was declared").put(slot, u64::from(number)).expect("putting never fails here");
        let seen = store.map(SEEN).expect("it was declared");
        seen.put(slot, i64::from(number % 3), key.clone()).expect("putting never fails here");
        timers.register(Timestamp(i64::from(number % 7)), key.key_hash(), &key, &()).expect("there is room");
        for table in &mut tables {
            table.append_all(Slot::new(&key, &i64::from(number % 4)), vec![number, 7]).expect("appending never fails here");
        }
    }
    let mut snapshot = snapshot(&mut store);
    tables.iter_mut().for_each(|table| snapshot.freeze(&mut **table).expect("freezing never fails here"));
    timers.snapshot(EVENT_TIMERS, GROUPS, &mut snapshot);
    snapshot
}

#[test]
fn what_one_backend_wrote_all_read_in_other_key_groups() -> Result<()> {
    for (from, writer) in backends() {
        let kept = Kept::of(fill(&*writer, GROUPS.range));
        for (to, reader) in backends() {
            for range in [KeyGroupRange::new(0, 6), KeyGroupRange::new(6, 16)] {
                check(&*reader, range, restored(&kept)).context(|| format!("{from} to {to}"))?;
            }
        }
    }
    Ok(())
}

/// Restores a subtask and compares everything with what was filled in.
fn check(backend: &dyn StateBackend, range: KeyGroupRange, left: OperatorRestore) -> Result<()> {
    let mut timers = TimerQueue::<K, ()>::default();
    timers.restore_from(&left, EVENT_TIMERS, range)?;
    let mut store = open(backend, range, Some(left), declare)?;
    let mut tables = TABLES.map(|id| store.take_list::<i64, u32>(id).expect("it was declared"));
    let expected: BTreeMap<K, u32> = keys().filter(|(_, key)| range.contains(GROUPS.of(key.key_hash()))).map(|(a, b)| (b, a)).collect();
    assert_eq!(store.entries()?, expected.len() * 2);
    assert_eq!(timers.len(), expected.len());
    for (key, number) in &expected {
        let slot = Slot::new(key, &());
        ready(|cx| store.prefetch(cx, &[slot]));
        assert_eq!(store.value::<(), u64>(SUM)?.get(slot)?, Some(&u64::from(*number)));
        assert_eq!(store.map::<(), i64, String>(SEEN)?.get(slot, &i64::from(number % 3))?, Some(key));
        for table in &mut tables {
            let window = i64::from(number % 4);
            let slot = Slot::new(key, &window);
            ready(|cx| table.prefetch(cx, &[slot]));
            assert_eq!(table.get(slot)?.iter().copied().collect::<Vec<_>>(), [*number, 7]);
        }
    }
    assert_eq!(store.value::<(), u64>(SUM)?.len()?, expected.len());
    assert_eq!(tables[1].len()?, expected.len());
    Ok(())
}

/// Writes the state of three subtasks, and restores it with other parallelisms.
fn rescale(backend: &dyn StateBackend, at: &CheckpointLocation) -> Result<()> {
    const OPERATOR: OperatorId = OperatorId(3);
    let memory: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
    let local = tempfile::tempdir()?;
    let mut old = Vec::new();
    for subtask in 0..3 {
        let snapshot = fill(backend, KeyGroupRange::of_subtask(16, 3, subtask)?);
        let (handle, _) = write_task(&*memory, at, &format!("task-{subtask}"), vec![(OPERATOR, snapshot)])?;
        old.extend(handle.operators.into_iter().map(|(_, state)| state));
    }
    for parallelism in [1, 2, 3, 5] {
        let new = assign(&old, 16, NewParallelism { parallelism, max_parallelism: 16 })?;
        for (subtask, state) in (0..).zip(&new) {
            let folder = local.path().join(format!("{parallelism}-{subtask}"));
            let left = read_operator(&memory, CheckpointId(7), state, &folder)?;
            check(backend, KeyGroupRange::of_subtask(16, parallelism, subtask)?, left)?;
        }
    }
    Ok(())
}

#[test]
fn checkpoints_in_storage_are_restored_with_other_parallelisms() -> Result<()> {
    for (name, backend) in backends() {
        rescale(&*backend, &CheckpointLocation::checkpoint(CheckpointId(7))).context(|| name)?;
    }
    Ok(())
}

#[cfg(feature = "rocksdb")]
#[test]
fn files_of_rocksdb_are_restored_with_other_parallelisms_and_by_rocksdb_alone() -> Result<()> {
    use brisk_state::rocksdb::{RocksDbConfig, RocksDbStateBackend};
    let folder = tempfile::tempdir()?;
    let backend = RocksDbStateBackend::new(RocksDbConfig::in_folder(folder.path()));
    rescale(&backend, &CheckpointLocation::checkpoint(CheckpointId(7)))?;

    let snapshot = fill(&backend, GROUPS.range);
    let names = ["sum", "seen", "$keys", "$windows"];
    assert_eq!(snapshot.native_states.iter().map(|meta| &*meta.name).collect::<Vec<_>>(), names);
    assert_eq!(snapshot.keyed.iter().map(|state| &*state.meta.name).collect::<Vec<_>>(), [EVENT_TIMERS]);
    let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
    let at = CheckpointLocation::checkpoint(CheckpointId(8));
    let (handle, sizes) = write_task(&*storage, &at, "task", vec![(OperatorId(3), snapshot)])?;
    assert!(sizes.full_bytes == sizes.stored_bytes && sizes.full_bytes > 1000, "{sizes:?}");
    let read = |name: &str| read_operator(&storage, CheckpointId(8), &handle.operators[0].1, &folder.path().join(name));
    let error = open(&brisk_state::HashMapStateBackend, GROUPS.range, Some(read("heap")?), declare)
        .err()
        .expect("it is another backend")
        .to_string();
    assert!(error.starts_with("operator 'test' (1/1): the checkpoint is in the form of state backend 'rocksdb'"), "{error}");

    // A program without the states carries them on, in files and in savepoints.
    let mut store = open(&backend, GROUPS.range, Some(read("other")?), |declared| {
        declared.value::<u64>("another");
    })?;
    let again = snapshot_of(&mut store, SnapshotKind::Checkpoint);
    assert_eq!(again.native_states.len(), 4);
    drop(again);
    let savepoint = Kept::of(snapshot_of(&mut store, SnapshotKind::Savepoint));
    let expected = Kept::of(fill(&brisk_state::HashMapStateBackend, GROUPS.range));
    for state in names {
        assert_eq!(savepoint.rows(state), expected.rows(state), "{state}");
    }
    Ok(())
}

#[test]
fn states_that_nobody_asks_for_are_carried_on() -> Result<()> {
    for (name, backend) in backends() {
        let kept = Kept::of(fill(&*backend, GROUPS.range));
        let mut store = open(&*backend, GROUPS.range, Some(restored(&kept)), |declared| {
            declared.value::<u64>("another");
            declared.value::<u64>("sum");
        })?;
        let again = Kept::of(snapshot(&mut store));
        for state in ["sum", "seen", "$keys"] {
            assert_eq!(again.rows(state), kept.rows(state), "{name}, {state}");
        }
        assert_eq!(again.rows("another").len() + again.rows(EVENT_TIMERS).len(), 0);
        let key = keys().next().expect("there is one").1;
        ready(|cx| store.prefetch(cx, &[Slot::new(&key, &())]));
        store.value::<(), u64>(StateId(1))?.put(Slot::new(&key, &()), 1000)?;
        let later = Kept::of(snapshot(&mut store));
        assert_eq!(again.rows("sum").len(), later.rows("sum").len());
        assert_ne!(again.rows("sum"), later.rows("sum"));
        assert_eq!(again.rows("seen"), later.rows("seen"));
    }
    Ok(())
}

#[test]
fn states_of_other_types_are_refused() {
    #[derive(Clone, Record)]
    struct Old {
        id: u64,
        tag: String,
    }
    #[derive(Clone, Record)]
    struct New {
        id: u64,
        label: String,
    }
    let key = "key".to_owned();
    for (name, backend) in backends() {
        let mut store = open(&*backend, GROUPS.range, None, |declared| {
            declared.value::<Old>("state");
        })
        .expect("it is right");
        let value = Old { id: 1, tag: "a".to_owned() };
        store.value::<(), Old>(StateId(0)).expect("it is right").put(Slot::new(&key, &()), value).expect("it is right");
        let kept = Kept::of(snapshot(&mut store));
        let refused = |declare: &dyn Fn(&mut StateDeclarations)| {
            let error = open(&*backend, GROUPS.range, Some(restored(&kept)), declare).err().expect("it is refused");
            let error = error.to_string();
            let start = "operator 'test' (1/1): state 'state': the checkpoint's state does not fit the program: ";
            error.strip_prefix(start).unwrap_or_else(|| panic!("{name}: {error}")).split_once(". Give").expect("it says more").0.to_owned()
        };
        assert_eq!(
            refused(&|declared| {
                declared.list::<Old>("state");
            }),
            "it was a value and is declared as a list"
        );
        assert_eq!(
            refused(&|declared| {
                declared.value::<New>("state");
            }),
            "its value has changed: field 'label' of struct New is new and has no default: mark it with #[record(default)]"
        );
        assert_eq!(
            refused(&|declared| {
                declared.value::<u64>("state");
            }),
            format!("its value has changed: it was {} and is u64", Old::schema())
        );
        let mut store = open(&*backend, GROUPS.range, Some(restored(&kept)), |declared| {
            declared.value::<Old>("state");
        })
        .expect("it fits");
        let error = store.value::<i64, Old>(StateId(0)).err().expect("the namespace has changed").to_string();
        assert!(
            error.starts_with("operator 'test' (1/1): state 'state': the checkpoint's state does not fit the program: its namespace"),
            "{error}"
        );
    }
}
