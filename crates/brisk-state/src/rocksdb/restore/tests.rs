//! Restores at other parallelisms against a tree, and through which door the entries come into the database.

use super::super::backend::RocksDbStateBackend;
use super::super::memory::SharedMemory;
use super::super::options::RocksDbConfig;
use super::super::tests::{Files, Rows, checkpoint, key, open, rows};
use super::*;
use crate::mock::OrderedStore;
use brisk_base::Timestamp;
use brisk_base::world::{Clock, MonoTime};
use brisk_core::state::{ByteStore, Expiring, StateDescriptor, StateTtlConfig, Write};
use brisk_core::types::Record;
use proptest::prelude::*;
use std::time::Duration;

/// Key groups of the tests.
const GROUPS: u16 = 4;
const STATES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Op {
    Put(Vec<u8>, Vec<u8>),
    Append(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
    /// Everything so far is flushed, so that later changes of a key lie in another file.
    Checkpoint,
}

fn op() -> impl Strategy<Value = Op> {
    let any_key = || (0..GROUPS, 0u16..2, 0u8..20).prop_map(|(group, state, rest)| key(group, state, rest));
    let value = || prop::collection::vec(any::<u8>(), 1..60);
    prop_oneof![
        6 => (any_key(), value()).prop_map(|(key, value)| Op::Put(key, value)),
        12 => (any_key(), value()).prop_map(|(key, value)| Op::Append(key, value)),
        3 => any_key().prop_map(Op::Delete),
        1 => Just(Op::Checkpoint),
    ]
}

fn group(key: &[u8]) -> u16 {
    u16::from_be_bytes([key[0], key[1]])
}

/// Ranges of key groups that begin at these.
fn ranges(cuts: &[u16]) -> Vec<KeyGroupRange> {
    let mut cuts: Vec<u16> = cuts.iter().copied().chain([0, GROUPS]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|cut| KeyGroupRange::new(cut[0], cut[1])).collect()
}

/// The entries that a database holds in files and in write buffers, tombstones included.
fn held(instance: &Instance) -> (u64, u64) {
    let files = instance.db.live_files().expect("it has files");
    let sum = |name: &String| {
        let family = instance.db.cf_handle(name).expect("it is there");
        let property = |name| instance.db.property_int_value_cf(family, name).expect("it is known").expect("it is a number");
        property("rocksdb.num-entries-active-mem-table") + property("rocksdb.num-entries-imm-mem-tables")
    };
    (files.iter().map(|file| file.num_entries).sum(), instance.families.names().iter().map(sum).sum())
}

fn instance(parts: &[LocalNativeState], range: KeyGroupRange, config: &RocksDbConfig, folder: &Path) -> Instance {
    let states = super::super::tests::descriptors(&STATES);
    let families = Families::new(&states, range, &(Arc::new(At(0)) as Arc<dyn Clock>));
    let folder = Folder::create(folder, "test").expect("there is room");
    let memory = SharedMemory::new(config);
    open_database(parts, range, families, folder, &memory)
}

fn open_database(parts: &[LocalNativeState], range: KeyGroupRange, families: Families, folder: Folder, memory: &SharedMemory) -> Instance {
    super::open(parts, range, families, &"operator 'test' (1/1)".into(), folder, memory, true).expect("the files are whole").instance
}

struct At(i64);

impl Clock for At {
    fn now(&self) -> Timestamp {
        Timestamp(self.0)
    }

    fn mono(&self) -> MonoTime {
        MonoTime::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_ranges_become_any_others(
        ops in prop::collection::vec(op(), 1..200),
        before in prop::collection::vec(0..GROUPS, 0..4),
        after in prop::collection::vec(0..GROUPS, 0..4),
        small in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().expect("there is room");
        let config = RocksDbConfig::in_folder(folder.path());
        let config = if small { RocksDbConfig { memory_bytes: 64 << 10, ..config } } else { config };
        let backend = RocksDbStateBackend::new(config);
        let stored = tempfile::tempdir().expect("there is room");
        let files = &mut Files::new(stored.path());
        let mut model = OrderedStore::default();
        let before = ranges(&before);
        let mut stores: Vec<Box<dyn ByteStore>> = before.iter().map(|range| open(&backend, *range, &STATES, vec![])).collect();
        for op in &ops {
            let write = match op {
                Op::Put(key, value) => Write::Put { key, value },
                Op::Append(key, bytes) => Write::Append { key, bytes },
                Op::Delete(key) => Write::Delete { key },
                Op::Checkpoint => {
                    stores.iter_mut().for_each(|store| drop(checkpoint(&mut **store, files, 1)));
                    continue;
                }
            };
            let (Write::Put { key, .. } | Write::Append { key, .. } | Write::Delete { key }) = write else { continue };
            let at = before.iter().position(|range| range.numbers().contains(&group(key))).expect("they cover all");
            stores[at].apply(&[write]).expect("writing never fails here");
            model.apply(&[write]).expect("writing never fails here");
        }
        let parts: Vec<LocalNativeState> = (0..).zip(&mut stores).map(|(index, store)| {
            let state = checkpoint(&mut **store, files, 2);
            files.fetch(&state, &stored.path().join(format!("part-{index}")))
        }).collect();
        drop(stores);
        let all = rows(&mut model);
        for range in ranges(&after) {
            let overlapping = parts.iter().filter(|part| !part.state.range.intersection(range).is_empty()).cloned().collect();
            let mut restored = open(&backend, range, &STATES, overlapping);
            let expected: Rows =
                all.iter().filter(|(key, _)| range.numbers().contains(&group(key))).map(|(key, value)| (key.clone(), value.clone())).collect();
            prop_assert_eq!(rows(&mut *restored), expected);
        }
    }
}

/// Two subtasks with some files' worth of values and of lists that were appended to, before and after a checkpoint.
fn halves(backend: &RocksDbStateBackend, stored: &Path) -> (Vec<LocalNativeState>, Rows) {
    let files = &mut Files::new(stored);
    let mut expected = Rows::new();
    let parts = [KeyGroupRange::new(0, 3), KeyGroupRange::new(3, 4)].map(|range| {
        let mut store = open(backend, range, &STATES, vec![]);
        for round in 0..2_u8 {
            for (group, rest) in range.numbers().flat_map(|group| (0..200).map(move |rest| (group, rest))) {
                let (value, list, bytes) = (key(group, 0, rest), key(group, 1, rest), [round; 50]);
                let writes = [Write::Put { key: &value, value: &bytes }, Write::Append { key: &list, bytes: &bytes }];
                store.apply(&writes).expect("writing never fails here");
            }
            drop(checkpoint(&mut *store, files, u64::from(round)));
        }
        expected.extend(rows(&mut *store));
        let state = checkpoint(&mut *store, files, 3);
        files.fetch(&state, &stored.join(format!("part-{}", range.numbers().start)))
    });
    (parts.to_vec(), expected)
}

#[test]
fn what_is_not_linked_is_ingested() {
    let folder = tempfile::tempdir().expect("there is room");
    let config = RocksDbConfig::in_folder(folder.path());
    let backend = RocksDbStateBackend::new(config.clone());
    let stored = tempfile::tempdir().expect("there is room");
    let (parts, expected) = halves(&backend, stored.path());
    let linked = held(&instance(&parts[..1], KeyGroupRange::new(0, 3), &config, folder.path())).0;
    let both = instance(&parts, KeyGroupRange::new(0, 4), &config, folder.path());
    // 200 values and 200 lists, each as one entry.
    assert_eq!(held(&both), (linked + 400, 0), "nothing came through the write buffers");
    let (first, third) = (3_u16.to_be_bytes().to_vec(), 4_u16.to_be_bytes().to_vec());
    let live = both.db.live_files().expect("it has files");
    let of_second = live.iter().filter(|file| file.start_key >= Some(first.clone()) && file.end_key < Some(third.clone()));
    assert!(of_second.clone().count() > 4, "several files of each state: {:?}", of_second.map(|file| file.num_entries).collect::<Vec<_>>());
    assert!(!database_path(both.folder.as_ref().expect("it has one").path()).with_file_name("restored.sst").exists(), "files are moved");
    drop(both);

    let mut all = open(&backend, KeyGroupRange::new(0, 4), &STATES, parts.clone());
    assert_eq!(rows(&mut *all), expected);
    // Foreign groups of the linked part are deleted, and so is what was foreign in the other.
    let mut middle = open(&backend, KeyGroupRange::new(2, 4), &STATES, parts);
    assert_eq!(rows(&mut *middle), expected.into_iter().filter(|(key, _)| group(key) >= 2).collect::<Rows>());
    drop((all, middle));
    assert_eq!(std::fs::read_dir(folder.path()).expect("it is there").count(), 0, "databases delete their folders");
}

#[test]
fn ingested_values_expire_in_their_time() {
    let folder = tempfile::tempdir().expect("there is room");
    let config = RocksDbConfig::in_folder(folder.path());
    let backend = RocksDbStateBackend::new(config.clone());
    let stored = tempfile::tempdir().expect("there is room");
    let files = &mut Files::new(stored.path());
    let timed = |at: i64| {
        let mut bytes = Vec::new();
        Expiring { at: Timestamp(at), value: 7u8 }.encode(&mut bytes);
        bytes
    };
    let parts = [KeyGroupRange::new(0, 2), KeyGroupRange::new(2, 4)].map(|range| {
        let mut store = open(&backend, range, &STATES, vec![]);
        for group in range.numbers() {
            let (old, new) = (key(group, 0, 1), key(group, 0, 2));
            let writes = [Write::Put { key: &old, value: &timed(900) }, Write::Put { key: &new, value: &timed(950) }];
            store.apply(&writes).expect("writing never fails here");
        }
        let state = checkpoint(&mut *store, files, 1);
        files.fetch(&state, &stored.path().join(format!("part-{}", range.numbers().start)))
    });
    let mut states: Vec<StateDescriptor> = super::super::tests::descriptors(&STATES);
    let ttl = Arc::new(StateTtlConfig::builder(Duration::from_millis(100)).build());
    states.iter_mut().for_each(|state| state.ttl = Some(Arc::clone(&ttl)));
    let range = KeyGroupRange::new(0, 4);
    let families = Families::new(&states, range, &(Arc::new(At(1000)) as Arc<dyn Clock>));
    let own = Folder::create(folder.path(), "test").expect("there is room");
    let instance = open_database(&parts, range, families, own, &SharedMemory::new(&config));
    let mut store =
        super::super::store::RocksDbStore::new(instance, super::super::native::StoredFiles::default(), range, true, 1 << 20, "rocksdb");
    assert_eq!(rows(&mut store).len(), 8);
    store.compact().expect("it never fails here");
    assert_eq!(rows(&mut store).into_keys().collect::<Vec<_>>(), (0..4).map(|group| key(group, 0, 2)).collect::<Vec<_>>());
}
