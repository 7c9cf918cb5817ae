//! Whole lives of an operator: changes, checkpoints, crashes, restores onto other parallelisms and backends.

use crate::support::{GROUPS, K, barrier, ready};
use brisk_base::Result;
use brisk_base::ids::{CheckpointId, OperatorId};
use brisk_core::checkpoint::{Barrier, SnapshotKind};
use brisk_core::state::{KeyGroups, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations, StateId, StateStore};
use brisk_core::types::{Key, KeyGroupRange};
use brisk_state::KeyedStateStore;
use brisk_state::checkpoint_storage::{CheckpointStorage, MemoryStorage};
use brisk_state::snapshot::{CheckpointLocation, NewParallelism, OperatorSubtaskState, assign, read_operator, write_task};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const OPERATOR: OperatorId = OperatorId(1);
const NUMBER: StateId = StateId(0);
const LIST: StateId = StateId(1);
const MAP: StateId = StateId(2);

#[derive(Clone, Debug)]
enum Op {
    /// Sets the number; 0 removes it.
    Put(K, u64),
    Append(K, u32),
    Insert(K, i64, u64),
    RemoveEntries(K, i64, i64),
    Clear(K),
    Checkpoint,
    /// Of which the operator hears late, or never.
    CheckpointUnheard,
    Savepoint,
    /// The checkpoint's files are never stored.
    Abort,
    /// They are stored, but the checkpoint does not complete.
    AbortStored,
    /// Goes on from the last checkpoint with this parallelism and, if it can be, backend.
    Crash(u32, usize),
}

fn op() -> impl Strategy<Value = Op> {
    let key = || (0u32..40).prop_map(|number| format!("key {number}"));
    prop_oneof![
        8 => (key(), 0u64..5).prop_map(|(key, value)| Op::Put(key, value)),
        8 => (key(), any::<u32>()).prop_map(|(key, value)| Op::Append(key, value)),
        8 => (key(), 0i64..6, any::<u64>()).prop_map(|(key, entry, value)| Op::Insert(key, entry, value)),
        2 => (key(), 0i64..6, 0i64..7).prop_map(|(key, from, to)| Op::RemoveEntries(key, from, to)),
        2 => key().prop_map(Op::Clear),
        3 => Just(Op::Checkpoint),
        2 => Just(Op::CheckpointUnheard),
        1 => Just(Op::Savepoint),
        1 => Just(Op::Abort),
        1 => Just(Op::AbortStored),
        3 => (1u32..5, any::<usize>()).prop_map(|(parallelism, backend)| Op::Crash(parallelism, backend)),
    ]
}

/// What a key has.
type Model = BTreeMap<K, (Option<u64>, Vec<u32>, BTreeMap<i64, u64>)>;

/// A stored checkpoint.
struct Stored {
    number: CheckpointId,
    subtasks: Vec<OperatorSubtaskState>,
    model: Model,
    /// Whether any backend can read it.
    savepoint: bool,
}

impl Stored {
    fn files(&self) -> BTreeSet<String> {
        self.subtasks.iter().flat_map(OperatorSubtaskState::files).map(|file| file.path.clone()).collect()
    }
}

/// A job of one operator.
struct Job {
    backends: Vec<Arc<dyn StateBackend>>,
    backend: usize,
    subtasks: Vec<KeyedStateStore<K>>,
    storage: Arc<dyn CheckpointStorage>,
    model: Model,
    last: Option<Stored>,
    /// Files of the last checkpoint that is no savepoint: savepoints let no checkpoint's files be deleted.
    checkpoint_files: BTreeSet<String>,
    next: u64,
    local: tempfile::TempDir,
}

impl Job {
    fn new(backends: Vec<Arc<dyn StateBackend>>, local: tempfile::TempDir) -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let mut job = Self {
            backends,
            backend: 0,
            subtasks: vec![],
            storage,
            model: Model::new(),
            last: None,
            checkpoint_files: BTreeSet::new(),
            next: 1,
            local,
        };
        job.start(2, 0).expect("there is nothing to restore");
        job
    }

    /// Starts all subtasks from the last checkpoint.
    fn start(&mut self, parallelism: u32, backend: usize) -> Result<()> {
        let any = self.last.as_ref().is_none_or(|last| last.savepoint);
        self.backend = if any { backend % self.backends.len() } else { self.backend };
        self.subtasks.clear();
        self.model = self.last.as_ref().map(|last| last.model.clone()).unwrap_or_default();
        let restored = match &self.last {
            None => vec![],
            Some(last) => {
                assign(&last.subtasks, GROUPS.max_parallelism, NewParallelism { parallelism, max_parallelism: GROUPS.max_parallelism })?
            }
        };
        for subtask in 0..parallelism {
            let left = match (&self.last, restored.get(subtask as usize)) {
                (Some(last), Some(state)) => {
                    let folder = self.local.path().join(format!("restore-{}-{subtask}", self.next));
                    let mut left = read_operator(&self.storage, last.number, state, &folder)?;
                    left.own_files = true;
                    Some(Arc::new(left))
                }
                _ => None,
            };
            let mut declared = StateDeclarations::new("operator 'test'");
            declared.value::<u64>("number");
            declared.list::<u32>("list");
            declared.map::<i64, u64>("map");
            let range = KeyGroupRange::of_subtask(GROUPS.max_parallelism, parallelism, subtask)?;
            let cx = StateBackendContext { restored: left, ..StateBackendContext::new("operator 'test'", KeyGroups { range, ..GROUPS }) };
            self.subtasks.push(KeyedStateStore::open(&*self.backends[self.backend], cx, declared)?);
        }
        self.next += 1;
        Ok(())
    }

    fn subtask(&mut self, key: &K) -> &mut KeyedStateStore<K> {
        let subtask = GROUPS.of(key.key_hash()).subtask(GROUPS.max_parallelism, self.subtasks.len() as u32);
        let store = &mut self.subtasks[subtask as usize];
        ready(|cx| store.prefetch(cx, &[Slot::new(key, &())]));
        store
    }

    fn snapshot(&mut self, kind: SnapshotKind) -> Vec<OperatorSnapshot> {
        let barrier = Barrier { checkpoint: CheckpointId(self.next), ..barrier(kind) };
        let snapshot = |store: &mut KeyedStateStore<K>| {
            let mut snapshot = OperatorSnapshot::default();
            store.snapshot_at(&mut snapshot, barrier).map(|()| snapshot)
        };
        self.subtasks.iter_mut().map(|store| snapshot(store).expect("snapshots never fail here")).collect()
    }

    /// Stores a checkpoint.
    fn store(&mut self, kind: SnapshotKind) -> Result<Stored> {
        let number = CheckpointId(self.next);
        let (snapshots, model) = (self.snapshot(kind), self.model.clone());
        // What comes after the barrier is not part of it.
        self.apply(&Op::Append("key 1".to_owned(), 77))?;
        self.apply(&Op::Put("key 2".to_owned(), 77))?;
        let at = CheckpointLocation { inline_below: 200, ..CheckpointLocation::checkpoint(number) };
        let mut subtasks = Vec::new();
        for (subtask, snapshot) in snapshots.into_iter().enumerate() {
            let (handle, _) = write_task(&*self.storage, &at, &format!("task-{subtask}"), vec![(OPERATOR, snapshot)])?;
            subtasks.extend(handle.operators.into_iter().map(|(_, state)| state));
        }
        self.next += 1;
        Ok(Stored { number, subtasks, model, savepoint: kind.is_savepoint() })
    }

    /// Stores a checkpoint, which takes the place of the last one.
    fn complete(&mut self, kind: SnapshotKind) -> Result<CheckpointId> {
        let stored = self.store(kind)?;
        let number = stored.number;
        if !stored.savepoint {
            self.checkpoint_files = stored.files();
        }
        self.last = Some(stored);
        self.clean_up()?;
        Ok(number)
    }

    /// Deletes all files that the last checkpoint does not refer to, as soon as that can be.
    fn clean_up(&self) -> Result<()> {
        let kept = self.last.as_ref().map(Stored::files).unwrap_or_default();
        let files = self.storage.list("")?;
        let gone = files.iter().filter(|file| !kept.contains(&file.path) && !self.checkpoint_files.contains(&file.path));
        gone.into_iter().try_for_each(|file| self.storage.delete(&file.path))
    }

    fn each(&mut self, tell: impl Fn(&mut KeyedStateStore<K>) -> Result<()>) -> Result<()> {
        self.subtasks.iter_mut().try_for_each(tell)
    }

    fn apply(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Put(key, value) => {
                let slot = Slot::new(key, &());
                let value = (*value != 0).then_some(*value);
                self.subtask(key).value::<(), u64>(NUMBER)?.update(slot, &mut |current| {
                    *current = value;
                    Ok(())
                })?;
                self.model.entry(key.clone()).or_default().0 = value;
            }
            Op::Append(key, value) => {
                self.subtask(key).list(LIST)?.append(Slot::new(key, &()), *value)?;
                self.model.entry(key.clone()).or_default().1.push(*value);
            }
            Op::Insert(key, entry, value) => {
                self.subtask(key).map(MAP)?.put(Slot::new(key, &()), *entry, *value)?;
                self.model.entry(key.clone()).or_default().2.insert(*entry, *value);
            }
            Op::RemoveEntries(key, from, to) => {
                let range = (std::ops::Bound::Included(from), std::ops::Bound::Excluded(to));
                self.subtask(key).map::<(), i64, u64>(MAP)?.remove_range(Slot::new(key, &()), range)?;
                self.model.entry(key.clone()).or_default().2.retain(|entry, _| entry < from || entry >= to);
            }
            Op::Clear(key) => {
                let slot = Slot::new(key, &());
                let store = self.subtask(key);
                store.value::<(), u64>(NUMBER)?.remove(slot)?;
                store.list::<(), u32>(LIST)?.remove(slot)?;
                store.map::<(), i64, u64>(MAP)?.remove_all(slot)?;
                self.model.remove(key);
            }
            Op::Checkpoint | Op::Savepoint => {
                let kind = if matches!(op, Op::Checkpoint) { SnapshotKind::Checkpoint } else { SnapshotKind::Savepoint };
                let number = self.complete(kind)?;
                self.each(|store| store.checkpoint_complete(number))?;
            }
            Op::CheckpointUnheard => drop(self.complete(SnapshotKind::Checkpoint)?),
            Op::Abort => {
                let number = CheckpointId(self.next);
                drop(self.snapshot(SnapshotKind::Checkpoint));
                self.next += 1;
                self.each(|store| store.checkpoint_aborted(number))?;
            }
            Op::AbortStored => {
                let number = self.store(SnapshotKind::Checkpoint)?.number;
                self.clean_up()?;
                self.each(|store| store.checkpoint_aborted(number))?;
            }
            Op::Crash(parallelism, backend) => self.start(*parallelism, *backend)?,
        }
        Ok(())
    }

    fn check(&mut self) -> Result<()> {
        for number in 0..40 {
            let key = format!("key {number}");
            let expected = self.model.get(&key).cloned().unwrap_or_default();
            let (slot, store) = (Slot::new(&key, &()), self.subtask(&key));
            let mut map = BTreeMap::new();
            store.map::<(), i64, u64>(MAP)?.range(
                slot,
                (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded),
                &mut |entry, value| {
                    map.insert(*entry, *value);
                    Ok(std::ops::ControlFlow::Continue(()))
                },
            )?;
            let number = store.value::<(), u64>(NUMBER)?.get(slot)?.copied();
            assert_eq!((number, store.list::<(), u32>(LIST)?.get(slot)?.to_vec(), map), expected, "{key}");
        }
        let entries =
            self.model.values().map(|(number, list, map)| usize::from(number.is_some()) + usize::from(!list.is_empty()) + map.len());
        assert_eq!(self.subtasks.iter_mut().map(|store| store.entries()).sum::<Result<usize>>()?, entries.sum::<usize>());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_or_repeated(ops in prop::collection::vec(op(), 1..150)) {
        let local = tempfile::tempdir().expect("there is room");
        let mut backends: Vec<Arc<dyn StateBackend>> = crate::support::backends().into_iter().map(|(_, backend)| backend.into()).collect();
        #[cfg(feature = "rocksdb")]
        {
            use brisk_state::rocksdb::{RocksDbConfig, RocksDbStateBackend};
            let backend = || Arc::new(RocksDbStateBackend::new(RocksDbConfig::in_folder(local.path())));
            backends.extend([backend() as Arc<dyn StateBackend>, backend()]);
        }
        backends.rotate_right(2);
        let mut job = Job::new(backends, local);
        for op in &ops {
            job.apply(op).expect("nothing fails here");
            if matches!(op, Op::Crash(..)) {
                job.check().expect("nothing fails here");
            }
        }
        job.check().expect("nothing fails here");
    }
}
