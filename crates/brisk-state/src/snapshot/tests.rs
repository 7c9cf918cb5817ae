//! Frozen tables into storage and back; handles spread over other parallelisms.

use super::*;
use crate::checkpoint_storage::{CheckpointStorage, FileSystemStorage, MemoryStorage};
use brisk_base::ids::{CheckpointId, OperatorId};
use brisk_base::{ErrorKind, Result, Timestamp};
use brisk_core::state::{
    EntryVisitor, FileRef, FrozenState, FrozenTable, KeyedStateMeta, Layout, NativeFile, NativeFiles, NativeSnapshot, NativeState,
    OperatorRestore, OperatorSnapshot, OperatorStateSnapshot, Redistribution, StateKind,
};
use brisk_core::types::{KeyGroup, KeyGroupRange, Schema};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type Row = (KeyGroup, Vec<u8>, Vec<u8>);

/// Rows of a table, by key group in order.
#[derive(Clone)]
struct Table(Vec<Row>);

impl FrozenTable for Table {
    fn scan(&self, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        self.0.iter().filter(|row| groups.contains(row.0)).try_for_each(|(group, key, value)| visit(*group, key, value))
    }
}

fn meta(name: &str) -> KeyedStateMeta {
    KeyedStateMeta {
        name: name.into(),
        kind: StateKind::Value,
        layout: Layout::KeyMajor,
        key: Schema::String,
        namespace: Schema::Unit,
        value: Schema::Bytes,
        map_key: None,
    }
}

const MAX_PARALLELISM: u32 = 16;
const OPERATOR: OperatorId = OperatorId(5);

fn tables(tables: &[(&str, Vec<Row>)], range: KeyGroupRange) -> OperatorSnapshot {
    let keyed = tables.iter().map(|(name, rows)| {
        let rows = rows.iter().filter(|row| range.contains(row.0)).cloned().collect();
        FrozenState { meta: meta(name), table: Box::new(Table(rows)) as Box<dyn FrozenTable> }
    });
    OperatorSnapshot { keyed: keyed.collect(), ..OperatorSnapshot::default() }
}

fn store(storage: &dyn CheckpointStorage, name: &str, inline_below: usize, snapshot: OperatorSnapshot) -> OperatorSubtaskState {
    let at = CheckpointLocation { inline_below, ..CheckpointLocation::checkpoint(CheckpointId(3)) };
    let (handle, sizes) = write_task(storage, &at, name, vec![(OPERATOR, snapshot)]).expect("storing never fails here");
    let again = TaskStateHandle::decode(&handle.encode()).expect("it was just encoded");
    assert_eq!(again, handle);
    let referred: u64 = handle.files().map(|file| file.size).max().unwrap_or(0);
    assert!(sizes.full_bytes >= referred.saturating_sub(8), "{sizes:?}");
    again.operators.into_iter().next().expect("there is one operator").1
}

fn load(storage: &Arc<dyn CheckpointStorage>, state: &OperatorSubtaskState) -> Result<OperatorRestore> {
    read_operator(storage, CheckpointId(3), state, &PathBuf::from("/nowhere"))
}

fn rows_of(restore: &OperatorRestore, name: &str, range: KeyGroupRange) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if let Some(keyed) = &restore.keyed {
        keyed.scan(name, range, &mut |group, key, value| {
            rows.push((group, key.to_vec(), value.to_vec()));
            Ok(())
        })?;
    }
    Ok(rows)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20),
        1 => (any::<u8>(), 0usize..70_000).prop_map(|(byte, len)| vec![byte; len]),
    ];
    prop::collection::vec((0u16..16, prop::collection::vec(any::<u8>(), 0..12), value), 0..60).prop_map(|mut rows| {
        rows.sort();
        rows.into_iter().map(|(group, key, value)| (KeyGroup(group), key, value)).collect()
    })
}

fn of_subtask(parallelism: u32, subtask: u32) -> KeyGroupRange {
    KeyGroupRange::of_subtask(MAX_PARALLELISM, parallelism, subtask).expect("it is in bounds")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn keyed_state_survives_rescaling(a in rows(), b in rows(), inline in any::<bool>(), old in 1u32..17, new in 1u32..17) {
        let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
        let limit = if inline { usize::MAX } else { 0 };
        let all = [("a", a), ("b", b)];
        let handles: Vec<OperatorSubtaskState> = (0..old)
            .map(|subtask| store(&*storage, &format!("task-{subtask}"), limit, tables(&all, of_subtask(old, subtask))))
            .collect();
        let assigned = assign(&handles, MAX_PARALLELISM, NewParallelism { parallelism: new, max_parallelism: MAX_PARALLELISM }).expect("it fits");
        prop_assert_eq!(assigned.len(), new as usize);
        for (subtask, state) in (0..).zip(&assigned) {
            let range = of_subtask(new, subtask);
            let restore = load(&storage, state).expect("the files are good");
            for (name, rows) in &all {
                let expected: Vec<Row> = rows.iter().filter(|row| range.contains(row.0)).cloned().collect();
                prop_assert_eq!(rows_of(&restore, name, KeyGroupRange::new(0, 16)).expect("the files are good"), expected);
            }
        }
    }

    #[test]
    fn items_of_operator_state_survive_rescaling(
        items in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5), 0..9), 1..6),
        new in 1usize..9,
        inline in any::<bool>(),
    ) {
        let storage: Arc<dyn CheckpointStorage> = Arc::new(MemoryStorage::new());
        let limit = if inline { usize::MAX } else { 0 };
        let handles: Vec<OperatorSubtaskState> = items.iter().enumerate().map(|(subtask, items)| {
            let state = |name: &str, redistribution| OperatorStateSnapshot { name: name.into(), redistribution, schema: Schema::Bytes, items: items.clone() };
            let operator = vec![state("split", Redistribution::Split), state("union", Redistribution::Union), state("broadcast", Redistribution::Broadcast)];
            store(&*storage, &format!("task-{subtask}"), limit, OperatorSnapshot { operator, ..OperatorSnapshot::default() })
        }).collect();
        let new = NewParallelism { parallelism: new as u32, max_parallelism: 7 };
        let states = assign(&handles, 9, new).expect("there is no keyed state");
        let restored: Vec<OperatorRestore> = states.iter().map(|state| load(&storage, state).expect("the files are good")).collect();
        let found = |restore: &OperatorRestore, name: &str| {
            restore.operator.iter().filter(|state| &*state.name == name).flat_map(|state| state.items.clone()).collect::<Vec<_>>()
        };
        let split: Vec<Vec<Vec<u8>>> = restored.iter().map(|restore| found(restore, "split")).collect();
        prop_assert_eq!(split.concat(), items.concat(), "every item once");
        if items.len() == split.len() {
            prop_assert_eq!(&split, &items);
        } else {
            let lens: Vec<usize> = split.iter().map(Vec::len).collect();
            prop_assert!(lens.iter().max().unwrap() - lens.iter().min().unwrap() <= 1, "{:?}", lens);
        }
        for (index, restore) in restored.iter().enumerate() {
            prop_assert_eq!(found(restore, "union"), items.concat());
            prop_assert_eq!(&found(restore, "broadcast"), &items[index % items.len()]);
        }
    }

    #[test]
    fn a_flipped_bit_or_a_cut_is_found(rows in rows(), flip in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), bit in 0u8..8) {
        let memory = MemoryStorage::new();
        let storage: Arc<dyn CheckpointStorage> = Arc::new(memory.clone());
        let state = store(&*storage, "task-0", 0, tables(&[("a", rows.clone())], KeyGroupRange::new(0, 16)));
        prop_assume!(state.files().count() == 1);
        let check = |change: &dyn Fn(&mut Vec<u8>)| {
            let before = storage.read("chk-3/task-0", u64::MAX).unwrap();
            memory.damage("chk-3/task-0", change);
            let read = load(&storage, &state).and_then(|restore| rows_of(&restore, "a", KeyGroupRange::new(0, 16)));
            memory.damage("chk-3/task-0", |bytes| *bytes = before);
            match read {
                Ok(found) => assert_eq!(found, rows),
                Err(error) => assert!(error.to_string().contains("file 'memory:/chk-3/task-0'"), "{error}"),
            }
        };
        check(&|bytes| {
            let at = flip.index(bytes.len());
            bytes[at] ^= 1 << bit;
        });
        check(&|bytes| bytes.truncate(cut.index(bytes.len())));
    }
}

#[test]
fn watermarks_stay_or_are_the_lowest_and_all_have_to_be_finished() {
    let state = |watermark, finished| OperatorSubtaskState { watermark: Timestamp(watermark), finished, ..OperatorSubtaskState::default() };
    let new = NewParallelism { parallelism: 3, max_parallelism: 8 };
    let states = assign(&[state(7, true), state(5, false)], 8, new).expect("it fits");
    assert_eq!(states, vec![state(5, false); 3]);
    let same = NewParallelism { parallelism: 2, max_parallelism: 8 };
    let states = assign(&[state(7, true), state(5, false)], 8, same).expect("it fits");
    assert_eq!(states, [state(7, false), state(5, false)]);
    assert!(assign(&[state(7, true), state(9, true)], 8, new).expect("it fits").iter().all(|state| state.finished));
    assert!(!assign(&[], 8, new).expect("it fits")[0].finished);
}

#[test]
fn another_max_parallelism_is_refused_where_there_is_keyed_state() {
    let storage = MemoryStorage::new();
    let state = store(&storage, "task", 0, tables(&[("a", vec![(KeyGroup(1), vec![], vec![])])], KeyGroupRange::new(0, 16)));
    let error = assign(&[state], 16, NewParallelism { parallelism: 2, max_parallelism: 32 }).expect_err("it is refused");
    assert!(error.to_string().starts_with("the checkpoint was taken with max parallelism 16 and cannot be restored with 32"), "{error}");
}

#[test]
fn few_bytes_stay_in_the_handle() {
    let storage = MemoryStorage::new();
    let rows = vec![(KeyGroup(1), b"key".to_vec(), vec![7; 100])];
    let small = store(&storage, "small", CheckpointLocation::INLINE_BELOW, tables(&[("a", rows.clone())], KeyGroupRange::new(0, 16)));
    assert_eq!((small.files().count(), storage.list("").expect("it is in memory").len()), (0, 0));
    let mut rng = brisk_base::world::Rng::seeded(1);
    let random: Vec<u8> = (0..30_000).map(|_| rng.next_u64() as u8).collect();
    let large = vec![(KeyGroup(1), b"key".to_vec(), random)];
    let large = store(&storage, "large", CheckpointLocation::INLINE_BELOW, tables(&[("a", large)], KeyGroupRange::new(0, 16)));
    assert_eq!(large.files().next().map(|file| file.path.as_str()), Some("chk-3/large"));
}

/// Files of a backend.
struct Files(PathBuf, bool);

impl NativeSnapshot for Files {
    fn write(self: Box<Self>, files: &mut dyn NativeFiles) -> Result<NativeState> {
        let mut stored = Vec::new();
        for (name, shared) in [("data.sst", true), ("MANIFEST", false)] {
            let local = self.0.join(name);
            std::fs::write(&local, name.repeat(1000)).expect("the folder is there");
            stored.push(NativeFile { name: name.to_owned(), file: files.store(&local, shared)?, shared });
        }
        if self.1 {
            files.store(&self.0.join("missing"), false)?;
        }
        Ok(NativeState { backend: "test".to_owned(), range: KeyGroupRange::new(0, 16), files: stored, meta: vec![1, 2] })
    }
}

fn native(folder: &Path, fails: bool) -> OperatorSnapshot {
    OperatorSnapshot {
        native: Some(Box::new(Files(folder.to_path_buf(), fails))),
        native_states: vec![meta("a")],
        ..OperatorSnapshot::default()
    }
}

#[test]
fn files_of_backends_are_stored_fetched_and_verified() -> Result<()> {
    let local = tempfile::tempdir().expect("there is room");
    let root = tempfile::tempdir().expect("there is room");
    let storage: Arc<dyn CheckpointStorage> = Arc::new(FileSystemStorage::new(root.path()));
    let state = store(&*storage, "task", 0, native(local.path(), false));
    let paths: Vec<&FileRef> = state.files().collect();
    assert_eq!(paths[0].path, "shared/chk-3-task-0");
    assert_eq!(paths[1].path, "chk-3/task-1");
    let [KeyedHandle::Native(handle)] = &*state.keyed else { panic!("it is native") };
    assert_eq!((handle.states.as_slice(), handle.range), ([meta("a")].as_slice(), KeyGroupRange::new(0, 16)));

    let restore = read_operator(&storage, CheckpointId(3), &state, &local.path().join("restored"))?;
    let folder = &restore.native[0].folder;
    assert_eq!(std::fs::read_to_string(folder.join("data.sst")).expect("it was fetched"), "data.sst".repeat(1000));

    let path = root.path().join("shared/chk-3-task-0");
    let mut bytes = std::fs::read(&path).expect("it is there");
    bytes[17] ^= 4;
    std::fs::write(&path, bytes).expect("there is room");
    let error = read_operator(&storage, CheckpointId(3), &state, &local.path().join("again")).err().expect("a bit has flipped");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("shared/chk-3-task-0': the file is damaged"), "{error}");

    let at = CheckpointLocation::checkpoint(CheckpointId(4));
    write_task(&*storage, &at, "task", vec![(OPERATOR, native(local.path(), true))]).expect_err("a file is missing");
    assert_eq!(storage.list("chk-4")?, [], "what was stored is gone");
    Ok(())
}

/// Files that never change are linked on the same file system, both ways; the others are copied. Linked files are verified as well.
#[cfg(unix)]
#[test]
fn shared_files_are_linked_where_that_can_be() -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let inode = |path: &Path| std::fs::metadata(path).map(|file| file.ino()).expect("it is there");
    let folder = tempfile::tempdir().expect("there is room");
    let (local, root, restored) = (folder.path().join("local"), folder.path().join("root"), folder.path().join("restored"));
    std::fs::create_dir(&local).expect("there is room");
    let storage: Arc<dyn CheckpointStorage> = Arc::new(FileSystemStorage::new(&root));
    let state = store(&*storage, "task", 0, native(&local, false));
    read_operator(&storage, CheckpointId(3), &state, &restored)?;
    let table = inode(&local.join("data.sst"));
    assert_eq!(inode(&root.join("shared/chk-3-task-0")), table);
    assert_eq!(inode(&restored.join("part-0/data.sst")), table);
    let other = inode(&local.join("MANIFEST"));
    assert_ne!(inode(&root.join("chk-3/task-1")), other);
    assert_ne!(inode(&restored.join("part-0/MANIFEST")), inode(&root.join("chk-3/task-1")));

    // The database may delete its file, and a file that is linked again leaves no second name behind.
    assert!(storage.link_in("shared/chk-3-task-0", &local.join("data.sst"))?);
    std::fs::remove_file(local.join("data.sst")).expect("it is there");
    assert_eq!(std::fs::read_dir(root.join("shared")).expect("it is there").count(), 1);
    assert_eq!(storage.read("shared/chk-3-task-0", 8000)?, "data.sst".repeat(1000).into_bytes());

    let damaged = root.join("shared/chk-3-task-0");
    std::fs::write(&damaged, "data.ssT".repeat(1000)).expect("there is room");
    let error = read_operator(&storage, CheckpointId(3), &state, &folder.path().join("again")).err().expect("it is damaged");
    assert!(error.to_string().contains("the file is damaged"), "{error}");

    // Nothing there: copying says what is wrong.
    assert!(!storage.link_in("shared/none", &local.join("none"))?);
    assert!(!storage.link_out("shared/none", &folder.path().join("none")));
    assert!(!MemoryStorage::new().link_in("any", &damaged)?);
    Ok(())
}

#[test]
fn storages_do_the_same() -> Result<()> {
    let root = tempfile::tempdir().expect("there is room");
    let on_disk = FileSystemStorage::new(root.path().join("new/folder"));
    for storage in [Arc::new(MemoryStorage::new()) as Arc<dyn CheckpointStorage>, Arc::new(on_disk)] {
        assert_eq!(storage.list("")?, []);
        storage.publish("chk-1/a/b", b"hello")?;
        storage.publish("chk-1/a", b"no").err();
        storage.publish("chk-1/c", b"world")?;
        drop(storage.create("chk-1/unfinished")?);
        let job = storage.folder("chk-1");
        let listed: BTreeMap<String, u64> =
            job.list("")?.into_iter().map(|file| (file.path, file.size)).filter(|file| file.0 != "a").collect();
        assert_eq!(listed, BTreeMap::from([("a/b".to_owned(), 5), ("c".to_owned(), 5)]));
        let mut bytes = [0; 3];
        let mut file = job.open("a/b")?;
        file.read_at(2, &mut bytes)?;
        assert_eq!(&bytes, b"llo");
        assert_eq!(file.read_at(3, &mut bytes).expect_err("it ends before").kind(), ErrorKind::Corrupt);
        job.publish("c", b"again")?;
        assert_eq!(storage.read("chk-1/c", 5)?, b"again");
        assert_eq!(storage.read("chk-1/c", 4).expect_err("it is longer").kind(), ErrorKind::Corrupt);
        for wrong in ["../x", "/etc/passwd", "a//b", "a/./b"] {
            assert_eq!(storage.open(wrong).err().expect("it is outside").kind(), ErrorKind::Corrupt, "{wrong}");
        }
        let error = storage.open("chk-1/missing").err().expect("it is missing");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("chk-1/missing': the file is missing"), "{error}");
        storage.delete("chk-1/c")?;
        storage.delete("chk-1/c")?;
        storage.delete_folder("chk-1")?;
        storage.delete_folder("chk-1")?;
        assert_eq!(storage.list("")?, []);
    }
    Ok(())
}

/// As for the metadata: written anew, with `BRISK_WRITE_GOLDEN=1`, only for a new version.
#[test]
fn the_golden_state_file_of_version_1_is_read() -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let rows = vec![(KeyGroup(2), b"plain".to_vec(), b"value".to_vec()), (KeyGroup(9), b"compressed".to_vec(), vec![7; 1000])];
    let at = CheckpointLocation { inline_below: 0, ..CheckpointLocation::savepoint() };
    let written = MemoryStorage::new();
    let (handle, _) =
        write_task(&written, &at, "state-1.bin", vec![(OPERATOR, tables(&[("a", rows.clone())], KeyGroupRange::new(0, 16)))])?;
    if std::env::var_os("BRISK_WRITE_GOLDEN").is_some() {
        std::fs::write(folder.join("state-1.bin"), written.read("state-1.bin", 10_000)?)?;
        std::fs::write(folder.join("state-1.handle"), handle.encode())?;
    }
    let stored: Arc<dyn CheckpointStorage> = Arc::new(FileSystemStorage::new(&folder));
    let golden = TaskStateHandle::decode(&stored.read("state-1.handle", 10_000)?)?;
    assert_eq!(rows_of(&load(&stored, &golden.operators[0].1)?, "a", KeyGroupRange::new(0, 16))?, rows);
    assert_eq!(written.read("state-1.bin", 10_000)?, stored.read("state-1.bin", 10_000)?);
    assert_eq!(golden, handle);
    Ok(())
}
