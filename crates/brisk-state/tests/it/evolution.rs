//! States whose types have changed since the checkpoint, on all backends.

use crate::support::{GROUPS, K, Kept, backends, barrier, ready, restored};
use brisk_base::Result;
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::state::{
    Layout, OperatorRestore, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations, StateId, StateStore,
};
use brisk_core::types::Record;
use brisk_state::KeyedStateStore;
use std::sync::Arc;

const PLACE: &str = "operator 'test' (1/1)";
const VALUE: StateId = StateId(0);
const LIST: StateId = StateId(1);
const MAP: StateId = StateId(2);
const WINDOWS: StateId = StateId(3);

#[derive(Clone, PartialEq, Debug, Record)]
struct Old {
    id: u32,
    gone: String,
}

#[derive(Clone, PartialEq, Debug, Record)]
struct New {
    #[record(default)]
    added: Option<String>,
    id: u64,
}

fn open(
    backend: &dyn StateBackend,
    left: Option<OperatorRestore>,
    declare: impl FnOnce(&mut StateDeclarations),
) -> Result<KeyedStateStore<K>> {
    let mut declared = StateDeclarations::new(PLACE);
    declare(&mut declared);
    let cx = StateBackendContext { restored: left.map(Arc::new), ..StateBackendContext::new(PLACE, GROUPS) };
    KeyedStateStore::open(backend, cx, declared)
}

fn declare<V: Record>(declared: &mut StateDeclarations) {
    declared.value::<V>("value");
    declared.list::<V>("list");
    declared.map::<i64, V>("map");
    declared.engine_value::<V>("windows", Layout::NamespaceMajor);
}

fn snapshot(store: &mut KeyedStateStore<K>) -> OperatorSnapshot {
    let mut snapshot = OperatorSnapshot::default();
    store.snapshot_at(&mut snapshot, barrier(SnapshotKind::Checkpoint)).expect("snapshots never fail here");
    snapshot
}

fn keys() -> Vec<(u32, K)> {
    (0..60).map(|number| (number, format!("key {number}"))).collect()
}

fn fill(backend: &dyn StateBackend) -> Result<OperatorSnapshot> {
    let mut store = open(backend, None, declare::<Old>)?;
    let mut windows = store.take_value::<i64, Old>(WINDOWS)?;
    for (id, key) in keys() {
        let (slot, value) = (Slot::new(&key, &()), Old { id, gone: key.clone() });
        ready(|cx| store.prefetch(cx, &[slot]));
        store.value(VALUE)?.put(slot, value.clone())?;
        store.list(LIST)?.append_all(slot, vec![value.clone(), value.clone()])?;
        store.map(MAP)?.put(slot, 7i64, value.clone())?;
        windows.put(Slot::new(&key, &3), value)?;
    }
    let mut snapshot = snapshot(&mut store);
    snapshot.freeze(&mut *windows)?;
    Ok(snapshot)
}

/// Compares everything with what it has to have become.
fn check(store: &mut KeyedStateStore<K>) -> Result<()> {
    let mut windows = store.take_value::<i64, New>(WINDOWS)?;
    for (id, key) in keys() {
        let (slot, value) = (Slot::new(&key, &()), New { added: None, id: u64::from(id) });
        ready(|cx| store.prefetch(cx, &[slot]));
        assert_eq!(store.value::<(), New>(VALUE)?.get(slot)?, Some(&value));
        assert_eq!(store.list::<(), New>(LIST)?.get(slot)?.to_vec(), [value.clone(), value.clone()]);
        assert_eq!(store.map::<(), i64, New>(MAP)?.get(slot, &7)?, Some(&value));
        ready(|cx| windows.prefetch(cx, &[Slot::new(&key, &3)]));
        assert_eq!(windows.get(Slot::new(&key, &3))?, Some(&value));
    }
    Ok(())
}

#[test]
fn fields_are_gained_lost_and_widened() -> Result<()> {
    for (_, backend) in backends() {
        let kept = Kept::of(fill(&*backend)?);
        check(&mut open(&*backend, Some(restored(&kept)), declare::<New>)?)?;
        // What nobody has asked for yet is carried on as the program declares it.
        let mut store = open(&*backend, Some(restored(&kept)), declare::<New>)?;
        let carried = Kept::of(snapshot(&mut store));
        check(&mut open(&*backend, Some(restored(&carried)), declare::<New>)?)?;
    }
    Ok(())
}

#[cfg(feature = "rocksdb")]
#[test]
fn files_of_rocksdb_are_evolved() -> Result<()> {
    use brisk_base::ids::{CheckpointId, OperatorId};
    use brisk_state::checkpoint_storage::{CheckpointStorage, MemoryStorage};
    use brisk_state::rocksdb::{RocksDbConfig, RocksDbStateBackend};
    use brisk_state::snapshot::{CheckpointLocation, read_operator, write_task};
    let folder = tempfile::tempdir()?;
    let backend = RocksDbStateBackend::new(RocksDbConfig::in_folder(folder.path()));
    let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
    let at = CheckpointLocation::checkpoint(CheckpointId(1));
    let (handle, _) = write_task(&*storage, &at, "task", vec![(OperatorId(1), fill(&backend)?)])?;
    let left = read_operator(&storage, CheckpointId(1), &handle.operators[0].1, &folder.path().join("left"))?;
    check(&mut open(&backend, Some(left), declare::<New>)?)
}

#[test]
fn a_program_migrates_what_names_do_not_say() -> Result<()> {
    for (_, backend) in backends() {
        let kept = Kept::of(fill(&*backend)?);
        let mut store = open(&*backend, Some(restored(&kept)), |declared| {
            declared.value::<String>("value");
            declared.list::<String>("list");
            for state in ["value", "list"] {
                declared.migrate(state, |old: Old| Ok(format!("{} was {}", old.gone, old.id)));
            }
        })?;
        let key = "key 5".to_owned();
        let slot = Slot::new(&key, &());
        ready(|cx| store.prefetch(cx, &[slot]));
        assert_eq!(store.value::<(), String>(VALUE)?.get(slot)?.map(String::as_str), Some("key 5 was 5"));
        assert_eq!(store.list::<(), String>(LIST)?.get(slot)?.to_vec(), ["key 5 was 5", "key 5 was 5"]);

        let error = open(&*backend, Some(restored(&kept)), |declared| {
            declared.value::<String>("value");
            declared.migrate("value", |_: Old| Err::<String, _>(brisk_base::Error::user("not this one")));
        });
        let error = error.err().expect("the migration fails").to_string();
        assert_eq!(error, "operator 'test' (1/1): state 'value': not this one");
    }
    let mut declared = StateDeclarations::new(PLACE);
    declared.migrate("other", |old: u32| Ok(u64::from(old)));
    let error = declared.finish().expect_err("there is no such state").to_string();
    assert_eq!(error, "operator 'test' (1/1): state 'other' has a migration, but is not declared");
    Ok(())
}
