//! The store against a tree, through checkpoints, restores and overlays.

use super::{RocksDbConfig, RocksDbStateBackend};
use crate::mock::OrderedStore;
use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::state::{
    ByteStore, FileRef, FrozenBytes, KeyGroups, KeyedStateMeta, Layout, LocalNativeState, NativeFiles, NativeSnapshot, NativeState,
    OperatorRestore, StateBackend, StateBackendContext, StateDescriptor, StateId, StateKind, Store, Write,
};
use brisk_core::types::{KeyGroupRange, Schema};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

const MAX_PARALLELISM: u32 = 4;
const ALL: KeyGroupRange = KeyGroupRange::new(0, MAX_PARALLELISM as u16);
const STATES: [&str; 2] = ["a", "b"];

/// Stores files in a folder, as a checkpoint storage does.
pub(super) struct Files {
    folder: PathBuf,
    stored: BTreeSet<String>,
}

impl NativeFiles for Files {
    fn store(&mut self, local: &Path, shared: bool) -> Result<FileRef> {
        let path = format!("{}{}", if shared { "shared-" } else { "" }, self.stored.len());
        let size = std::fs::copy(local, self.folder.join(&path))?;
        self.stored.insert(path.clone());
        Ok(FileRef { path, size, checksum: 0 })
    }
}

impl Files {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_path_buf(), stored: BTreeSet::new() }
    }

    /// Brings the files of a checkpoint into a folder, under the database's names.
    pub(super) fn fetch(&self, state: &NativeState, into: &Path) -> LocalNativeState {
        std::fs::create_dir_all(into).expect("there is room");
        for file in &state.files {
            std::fs::copy(self.folder.join(&file.file.path), into.join(&file.name)).expect("it was stored");
        }
        LocalNativeState { state: state.clone(), states: metas(), folder: into.to_path_buf() }
    }
}

fn metas() -> Vec<KeyedStateMeta> {
    descriptors(&STATES).iter().map(|state| KeyedStateMeta::new(state, Schema::Bytes, Schema::Unit)).collect()
}

pub(super) fn descriptors(names: &[&str]) -> Vec<StateDescriptor> {
    let descriptor = |(id, name): (u16, &&str)| StateDescriptor {
        id: StateId(id),
        name: (*name).into(),
        // One of those with a table of recent values, and one without.
        kind: if id == 0 { StateKind::Value } else { StateKind::List },
        layout: Layout::KeyMajor,
        value: Schema::Bytes,
        map_key: None,
        ttl: None,
        migrations: Vec::new(),
    };
    (0..).zip(names).map(descriptor).collect()
}

pub(super) fn open(backend: &RocksDbStateBackend, range: KeyGroupRange, names: &[&str], left: Vec<LocalNativeState>) -> Box<dyn ByteStore> {
    let restored = OperatorRestore { native: left, own_files: true, watermark: Timestamp::MIN, ..OperatorRestore::default() };
    let cx = StateBackendContext {
        states: descriptors(names).into(),
        restored: Some(Arc::new(restored)),
        ..StateBackendContext::new("operator 'test' (1/1)", KeyGroups { max_parallelism: MAX_PARALLELISM, range })
    };
    match backend.open(&cx).expect("the folder can be written to") {
        Store::Bytes(store) => store,
        Store::Heap => panic!("it stores bytes"),
    }
}

pub(super) fn rows(store: &mut dyn ByteStore) -> Rows {
    let mut rows = Rows::new();
    store
        .scan(&[], None, &mut |key, value| {
            assert!(rows.insert(key.to_vec(), value.to_vec()).is_none(), "a key came twice");
            Ok(ControlFlow::Continue(()))
        })
        .expect("scanning never fails here");
    rows
}

fn frozen_rows(frozen: &dyn FrozenBytes) -> Rows {
    let mut rows = Rows::new();
    let add = &mut |key: &[u8], value: &[u8]| {
        rows.insert(key.to_vec(), value.to_vec());
        Ok(ControlFlow::Continue(()))
    };
    frozen.scan(&[], None, add).expect("scanning never fails here");
    rows
}

fn values(store: &mut dyn ByteStore, keys: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut values = Vec::new();
    let found = &mut |index: usize, value: Option<&[u8]>| {
        assert_eq!(index, values.len());
        values.push(value.map(<[u8]>::to_vec));
        Ok(())
    };
    store.multi_get(keys, found).expect("reading never fails here");
    values
}

/// The first rows of a range.
fn first_rows(store: &mut dyn ByteStore, from: &[u8], to: Option<&[u8]>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut rows = Vec::new();
    let add = &mut |key: &[u8], value: &[u8]| {
        rows.push((key.to_vec(), value.to_vec()));
        Ok(if rows.len() == 15 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    store.scan(from, to, add).expect("scanning never fails here");
    rows
}

/// A key of one of the states.
pub(super) fn key(group: u16, state: u16, rest: u8) -> Vec<u8> {
    [group.to_be_bytes().as_slice(), &state.to_be_bytes(), &[rest]].concat()
}

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, Vec<u8>),
    Append(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    DeleteRange(Vec<u8>, Option<Vec<u8>>),
    DeleteState(u16, u16),
    Many(u16, u8),
    Get(Vec<Vec<u8>>),
    Scan(Vec<u8>, Option<Vec<u8>>),
    Freeze,
    Barrier,
    Settle,
    Store,
    GiveUp,
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    (0u16..4, 0u16..2, 0u8..20).prop_map(|(group, state, rest)| key(group, state, rest))
}

fn op() -> impl Strategy<Value = Op> {
    let value = || prop::collection::vec(any::<u8>(), 1..5);
    let end = || prop::option::of(prop_oneof![any_key(), (0u16..5).prop_map(|group| group.to_be_bytes().to_vec())]);
    prop_oneof![
        8 => (any_key(), value()).prop_map(|(key, value)| Op::Put(key, value)),
        8 => (any_key(), value()).prop_map(|(key, value)| Op::Append(key, value)),
        4 => any_key().prop_map(Op::Delete),
        2 => (any_key(), end()).prop_map(|(from, to)| Op::DeleteRange(from, to)),
        1 => (0u16..4, 0u16..2).prop_map(|(group, state)| Op::DeleteState(group, state)),
        1 => (0u16..4, any::<u8>()).prop_map(|(group, value)| Op::Many(group, value)),
        4 => prop::collection::vec(any_key(), 1..12).prop_map(Op::Get),
        2 => (any_key(), end()).prop_map(|(from, to)| Op::Scan(from, to)),
        2 => Just(Op::Freeze),
        3 => Just(Op::Barrier),
        3 => Just(Op::Settle),
        3 => Just(Op::Store),
        1 => Just(Op::GiveUp),
    ]
}

/// A checkpoint under way, and what it has to hold.
type UnderWay = (CheckpointId, Box<dyn NativeSnapshot>, Rows);

/// Runs the changes against both, and returns the stored checkpoints with what they have to hold.
fn run(store: &mut dyn ByteStore, files: &mut Files, ops: &[Op]) -> Vec<(NativeState, Rows)> {
    let mut model = OrderedStore::default();
    let mut frozen = Vec::new();
    let mut under_way: Option<UnderWay> = None;
    let (mut done, mut next) = (Vec::new(), 1);
    for op in ops {
        let mut both = |writes: &[Write<'_>]| {
            store.apply(writes).expect("writing never fails here");
            model.apply(writes).expect("writing never fails here");
        };
        match op {
            Op::Put(key, value) => both(&[Write::Put { key, value }]),
            Op::Append(key, bytes) => both(&[Write::Append { key, bytes }]),
            Op::Delete(key) => both(&[Write::Delete { key }]),
            Op::DeleteRange(from, to) => both(&[Write::DeleteRange { from, to: to.as_deref() }, Write::Append { key: from, bytes: b"x" }]),
            Op::DeleteState(group, state) => {
                let (from, to) =
                    ([group.to_be_bytes(), state.to_be_bytes()].concat(), [group.to_be_bytes(), (state + 1).to_be_bytes()].concat());
                both(&[Write::DeleteRange { from: &from, to: Some(&to) }]);
            }
            Op::Many(group, value) => {
                let keys: Vec<Vec<u8>> = (0..200).map(|rest| key(*group, u16::from(value % 2), rest)).collect();
                both(&keys.iter().map(|key| Write::Put { key, value: std::slice::from_ref(value) }).collect::<Vec<_>>());
            }
            Op::Get(keys) => {
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                assert_eq!(values(store, &keys), values(&mut model, &keys));
            }
            Op::Scan(from, to) => assert_eq!(first_rows(store, from, to.as_deref()), first_rows(&mut model, from, to.as_deref())),
            Op::Freeze => frozen.push((store.freeze().expect("freezing never fails here"), rows(&mut model))),
            Op::Barrier => {
                let snapshot = store.native_snapshot(CheckpointId(next)).expect("it never fails here").expect("it is incremental");
                if let Some((checkpoint, ..)) = under_way.replace((CheckpointId(next), snapshot, rows(&mut model))) {
                    store.checkpoint_aborted(checkpoint).expect("it never fails here");
                }
                next += 1;
            }
            Op::Settle => {
                if let Some((_, snapshot, _)) = &mut under_way {
                    snapshot.prepare().expect("there is room");
                }
            }
            Op::Store => {
                if let Some((checkpoint, snapshot, rows)) = under_way.take() {
                    done.push((snapshot.write(files).expect("there is room"), rows));
                    store.checkpoint_complete(checkpoint).expect("it never fails here");
                }
            }
            Op::GiveUp => under_way = None,
        }
    }
    assert_eq!(rows(store), rows(&mut model));
    for (frozen, expected) in frozen {
        assert_eq!(frozen_rows(&*frozen), expected);
    }
    done
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_tree_and_its_checkpoints_hold_the_state_at_the_barrier(ops in prop::collection::vec(op(), 1..120), small in any::<bool>()) {
        let folder = tempfile::tempdir().expect("there is room");
        let config = RocksDbConfig::in_folder(folder.path());
        let config = if small { RocksDbConfig { overlay_bytes: 1000, memory_bytes: 64 << 10, ..config } } else { config };
        let backend = RocksDbStateBackend::new(config);
        let stored = tempfile::tempdir().expect("there is room");
        let mut files = Files::new(stored.path());
        let mut store = open(&backend, ALL, &STATES, vec![]);
        let checkpoints = run(&mut *store, &mut files, &ops);
        drop(store);
        for (index, (state, expected)) in checkpoints.iter().enumerate().rev().take(2) {
            let part = |name: &str| files.fetch(state, &stored.path().join(format!("part-{index}-{name}")));
            let mut restored = open(&backend, ALL, &STATES, vec![part("all")]);
            prop_assert_eq!(&rows(&mut *restored), expected);
            for range in [KeyGroupRange::new(0, 1), KeyGroupRange::new(1, 4)] {
                let mut restored = open(&backend, range, &STATES, vec![part("some")]);
                let expected: Rows = expected.iter().filter(|(key, _)| range.numbers().contains(&u16::from(key[1]))).map(|(key, value)| (key.clone(), value.clone())).collect();
                prop_assert_eq!(rows(&mut *restored), expected);
            }
        }
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "databases delete their folders");
    }
}

/// A backend with its folder.
fn backend() -> (RocksDbStateBackend, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("there is room");
    (RocksDbStateBackend::new(RocksDbConfig::in_folder(folder.path())), folder)
}

pub(super) fn checkpoint(store: &mut dyn ByteStore, files: &mut Files, number: u64) -> NativeState {
    let snapshot = store.native_snapshot(CheckpointId(number)).expect("it never fails here").expect("it is incremental");
    snapshot.write(files).expect("there is room")
}

fn put(store: &mut dyn ByteStore, groups: std::ops::Range<u16>, value: &[u8]) {
    for group in groups {
        for rest in 0..100 {
            let (a, b) = (key(group, 0, rest), key(group, 1, rest));
            store.apply(&[Write::Put { key: &a, value }, Write::Append { key: &b, bytes: value }]).expect("writing never fails here");
        }
    }
}

#[test]
fn files_are_stored_once_and_only_those_of_completed_checkpoints_are_referred_to() {
    let (backend, _folder) = backend();
    let stored = tempfile::tempdir().expect("there is room");
    let files = &mut Files::new(stored.path());
    let mut store = open(&backend, ALL, &STATES, vec![]);
    let shared = |state: &NativeState| -> BTreeSet<String> {
        state.files.iter().filter(|file| file.shared).map(|file| file.file.path.clone()).collect()
    };
    put(&mut *store, 0..4, b"first");
    let first = shared(&checkpoint(&mut *store, files, 1));
    let second = shared(&checkpoint(&mut *store, files, 2));
    assert!(!first.is_empty() && first.is_disjoint(&second), "the first has not completed: {first:?}, {second:?}");
    store.checkpoint_complete(CheckpointId(2)).expect("it never fails here");
    put(&mut *store, 0..1, b"second");
    let third = shared(&checkpoint(&mut *store, files, 3));
    assert!(third.is_superset(&second) && third.len() > second.len(), "{second:?}, {third:?}");
    store.checkpoint_aborted(CheckpointId(3)).expect("it never fails here");
    let fourth = shared(&checkpoint(&mut *store, files, 4));
    assert_eq!(fourth.intersection(&third).cloned().collect::<BTreeSet<_>>(), second);

    // The word that one has completed comes late: the next has stored its files anew by then, and may or may not have completed, too.
    store.checkpoint_complete(CheckpointId(4)).expect("it never fails here");
    put(&mut *store, 0..1, b"third");
    let fifth = shared(&checkpoint(&mut *store, files, 5));
    let sixth = shared(&checkpoint(&mut *store, files, 6));
    store.checkpoint_complete(CheckpointId(5)).expect("it never fails here");
    let seventh = shared(&checkpoint(&mut *store, files, 7));
    let lost_with: Vec<&String> = seventh.iter().filter(|file| fifth.contains(*file) != sixth.contains(*file)).collect();
    assert!(lost_with.is_empty(), "{lost_with:?} are gone when the sixth completes, or when it does not");
    drop(store);

    let last = checkpoint(&mut *open(&backend, ALL, &STATES, vec![]), files, 1);
    let mut store = open(&backend, ALL, &STATES, vec![files.fetch(&last, &stored.path().join("again"))]);
    let after = shared(&checkpoint(&mut *store, files, 2));
    assert!(after.is_superset(&shared(&last)), "files of a restored checkpoint are referred to");
}

#[test]
fn parts_of_several_subtasks_become_one() {
    let (backend, _folder) = backend();
    let stored = tempfile::tempdir().expect("there is room");
    let files = &mut Files::new(stored.path());
    let ranges = [KeyGroupRange::new(0, 1), KeyGroupRange::new(1, 3), KeyGroupRange::new(3, 4)];
    let mut expected = Rows::new();
    let mut parts = Vec::new();
    for (index, range) in ranges.into_iter().enumerate() {
        let mut store = open(&backend, range, &STATES, vec![]);
        put(&mut *store, range.numbers(), index.to_string().as_bytes());
        expected.extend(rows(&mut *store));
        let state = checkpoint(&mut *store, files, 1);
        parts.push(files.fetch(&state, &stored.path().join(format!("part-{index}"))));
    }
    assert_eq!(expected.len(), 800);
    assert_eq!(rows(&mut *open(&backend, ALL, &STATES, parts.clone())), expected);
    let half = KeyGroupRange::new(2, 4);
    expected.retain(|key, _| half.numbers().contains(&u16::from(key[1])));
    assert_eq!(rows(&mut *open(&backend, half, &STATES, parts[1..].to_vec())), expected);
}

#[test]
fn checkpoints_outlive_a_database_that_is_closed_with_full_write_buffers() {
    let (backend, folder) = backend();
    let stored = tempfile::tempdir().expect("there is room");
    let files = &mut Files::new(stored.path());
    let mut store = open(&backend, ALL, &STATES, vec![]);
    put(&mut *store, 0..4, b"small");
    let before = rows(&mut *store);
    let state = checkpoint(&mut *store, files, 1);
    let frozen = store.freeze().expect("freezing never fails here");
    put(&mut *store, 0..4, &[7; 20_000]);
    assert!(store.heap_bytes() > 8_000_000);
    drop(store);
    assert_eq!(frozen_rows(&*frozen), before, "a view keeps the database open");
    drop(frozen);
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0);
    assert_eq!(rows(&mut *open(&backend, ALL, &STATES, vec![files.fetch(&state, &stored.path().join("part"))])), before);
}

#[test]
fn states_are_found_by_name() {
    let (backend, _folder) = backend();
    let stored = tempfile::tempdir().expect("there is room");
    let files = &mut Files::new(stored.path());
    let mut store = open(&backend, ALL, &STATES, vec![]);
    put(&mut *store, 0..4, b"value");
    let before = rows(&mut *store);
    let state = checkpoint(&mut *store, files, 1);
    let mut turned = open(&backend, ALL, &["new", "b", "a"], vec![files.fetch(&state, &stored.path().join("part"))]);
    let number = |key: &[u8]| key[3];
    let after: Rows = rows(&mut *turned)
        .into_iter()
        .map(|(mut key, value)| {
            key[3] = 2 - number(&key);
            (key, value)
        })
        .collect();
    assert_eq!(after, before);
}

#[test]
fn the_task_goes_on_while_files_are_made() {
    let (backend, _folder) = backend();
    let stored = tempfile::tempdir().expect("there is room");
    let mut store = open(&backend, ALL, &STATES, vec![]);
    put(&mut *store, 0..4, b"before");
    let before = rows(&mut *store);
    let snapshot = store.native_snapshot(CheckpointId(1)).expect("it never fails here").expect("it is incremental");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut files = Files::new(stored.path());
            let state = snapshot.write(&mut files).expect("there is room");
            files.fetch(&state, &stored.path().join("part"))
        });
        for round in 0..50 {
            put(&mut *store, 0..4, format!("after {round}").as_bytes());
        }
        let part = writer.join().expect("it does not panic");
        assert_eq!(rows(&mut *open(&backend, ALL, &STATES, vec![part])), before);
    });
    assert!(rows(&mut *store).iter().all(|(key, value)| key[3] == 1 || value == b"after 49"));
}

#[test]
fn compaction_drops_what_has_expired() {
    use brisk_base::world::{Clock, MonoTime};
    use brisk_core::state::{Expiring, StateTtlConfig};
    use brisk_core::types::{Record, put_bytes};

    struct Later;
    impl Clock for Later {
        fn now(&self) -> Timestamp {
            Timestamp(1000)
        }
        fn mono(&self) -> MonoTime {
            MonoTime::default()
        }
    }

    let folder = tempfile::tempdir().expect("there is room");
    let memory = super::memory::SharedMemory::new(&RocksDbConfig::in_folder(folder.path()));
    let mut states = descriptors(&STATES);
    states[1].kind = StateKind::List;
    states.iter_mut().for_each(|state| state.ttl = Some(Arc::new(StateTtlConfig::builder(std::time::Duration::from_millis(100)).build())));
    let families = super::families::Families::new(&states, ALL, &(Arc::new(Later) as Arc<dyn Clock>));
    let folder = super::folder::Folder::create(folder.path(), "test").expect("there is room");
    let instance = super::instance::Instance::open(families, "operator 'test' (1/1)".into(), Some(folder), &memory).expect("it is new");
    let mut store = super::store::RocksDbStore::new(instance, super::native::StoredFiles::default(), ALL, true, 1 << 20, "rocksdb");
    let timed = |at: i64| {
        let mut bytes = Vec::new();
        Expiring { at: Timestamp(at), value: 7u8 }.encode(&mut bytes);
        bytes
    };
    let list = |times: &[i64]| {
        let mut bytes = Vec::new();
        times.iter().for_each(|at| put_bytes(&mut bytes, &timed(*at)));
        bytes
    };
    let entries = [
        (key(0, 0, 1), timed(900)),
        (key(0, 0, 2), timed(901)),
        (key(0, 1, 1), list(&[1, 2])),
        (key(0, 1, 2), list(&[1, 950])),
        (key(0, 1, 3), vec![3]),
    ];
    for (key, value) in &entries {
        store.apply(&[Write::Put { key, value }]).expect("writing never fails here");
    }
    store.compact().expect("it never fails here");
    let left: Vec<Vec<u8>> = rows(&mut store).into_keys().collect();
    assert_eq!(left, [key(0, 0, 2), key(0, 1, 2), key(0, 1, 3)], "what has expired is gone, what cannot be read stays");
}

/// The budget of write buffers has them flushed at any time, also while a checkpoint waits for its own flush.
#[test]
fn a_checkpoint_has_what_another_flush_is_about_to_write() {
    for round in 0..60 {
        let folder = tempfile::tempdir().expect("there is room");
        let backend = RocksDbStateBackend::new(RocksDbConfig { memory_bytes: 64 << 10, ..RocksDbConfig::in_folder(folder.path()) });
        let stored = tempfile::tempdir().expect("there is room");
        let files = &mut Files::new(stored.path());
        let mut store = open(&backend, ALL, &STATES, vec![]);
        for key in [key(3, 0, 1), key(0, 1, 2)] {
            store.apply(&[Write::Put { key: &key, value: b"x" }]).expect("writing never fails here");
        }
        let state = checkpoint(&mut *store, files, 1);
        let mut restored = open(&backend, ALL, &STATES, vec![files.fetch(&state, &stored.path().join("restored"))]);
        assert_eq!(rows(&mut *restored), rows(&mut *store), "round {round}");
    }
}

/// Tables that become files, with keys that are gone and a checkpoint in between.
#[test]
fn tables_of_recent_values_become_files() {
    let folder = tempfile::tempdir().expect("there is room");
    // Room for some thousand values at a time.
    let backend = RocksDbStateBackend::new(RocksDbConfig { memory_bytes: 512 << 10, ..RocksDbConfig::in_folder(folder.path()) });
    let stored = tempfile::tempdir().expect("there is room");
    let files = &mut Files::new(stored.path());
    let (mut store, mut model) = (open(&backend, ALL, &STATES, vec![]), OrderedStore::default());
    let mut checkpoints = Vec::new();
    for round in 0_u32..60_000 {
        let mixed = round.wrapping_mul(0x9E37_79B9);
        let key = [key((mixed >> 30) as u16, 0, (mixed >> 8) as u8), (mixed >> 16).to_be_bytes()[2..].to_vec()].concat();
        let value = round.to_string();
        let write = if round % 5 == 4 { Write::Delete { key: &key } } else { Write::Put { key: &key, value: value.as_bytes() } };
        store.apply(&[write]).expect("writing never fails here");
        model.apply(&[write]).expect("writing never fails here");
        if round % 25_000 == 24_999 {
            let number = u64::from(round);
            let snapshot = store.native_snapshot(CheckpointId(number)).expect("it never fails here").expect("it is incremental");
            checkpoints.push((snapshot, rows(&mut model)));
        }
    }
    assert_eq!(rows(&mut *store), rows(&mut model));
    drop(store);
    let (snapshot, expected) = checkpoints.pop().expect("two were made");
    let state = snapshot.write(files).expect("there is room");
    let mut restored = open(&backend, ALL, &STATES, vec![files.fetch(&state, &stored.path().join("restored"))]);
    assert_eq!(rows(&mut *restored), expected);
}

/// Each column family has a write buffer, and takes memory for it before anything is in it: that must not use the budget up, or every write
/// makes a file.
#[test]
fn many_empty_write_buffers_leave_room_for_what_is_written() {
    const FAMILIES: u16 = 60;
    let folder = tempfile::tempdir().expect("there is room");
    let backend = RocksDbStateBackend::new(RocksDbConfig { memory_bytes: 16 << 20, ..RocksDbConfig::in_folder(folder.path()) });
    let names: Vec<String> = (0..=FAMILIES).map(|number| format!("state {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut store = open(&backend, ALL, &names, vec![]);
    for round in 0..20_000_u32 {
        // The first state does not go through write buffers.
        let family = 1 + (round % u32::from(FAMILIES)) as u16;
        let key = [key(0, family, 0), round.to_be_bytes().to_vec()].concat();
        store.apply(&[Write::Put { key: &key, value: b"value" }]).expect("writing never fails here");
    }
    let database = std::fs::read_dir(folder.path()).expect("it is there").next().expect("there is one").expect("it can be read").path();
    let number = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("it can be read").file_name().into_string().expect("it is text");
        name.strip_suffix(".sst")?.parse::<u64>().ok()
    };
    let made = std::fs::read_dir(super::instance::database_path(&database)).expect("it is there").filter_map(number).max().unwrap_or(0);
    assert_eq!(made, 0, "the budget has room for 20,000 small values");
    drop(store);
}
