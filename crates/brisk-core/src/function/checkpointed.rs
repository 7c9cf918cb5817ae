//! State of user functions beside keyed state: lists and maps that belong to a subtask (Flink's `CheckpointedFunction`).
//!
//! A function keeps such state in fields of its own. It gives a copy of them at each checkpoint, and reads what a checkpoint left before it
//! is opened. How the items are spread when the job is restored with another parallelism is part of how they are stored.

use crate::checkpoint::Barrier;
use crate::operator::{RuntimeContext, SnapshotContext};
use crate::state::{OperatorSnapshot, OperatorStateSnapshot, Redistribution};
use crate::types::{Key, Record};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, Timestamp};
use std::collections::BTreeMap;

/// Names of the engine's own states begin with this.
const RESERVED: char = '$';

/// What a checkpoint left for a function (Flink's `FunctionInitializationContext`).
pub struct FunctionInitializationContext<'a> {
    runtime: &'a RuntimeContext,
}

impl<'a> FunctionInitializationContext<'a> {
    /// For the function of an operator.
    pub const fn new(runtime: &'a RuntimeContext) -> Self {
        Self { runtime }
    }

    /// Whether the job goes on from a checkpoint that knows this operator.
    pub const fn is_restored(&self) -> bool {
        self.runtime.state.is_restored()
    }

    /// The checkpoint that the job goes on from.
    pub fn restored_checkpoint(&self) -> Option<CheckpointId> {
        self.runtime.state.restored.as_ref().map(|restored| restored.checkpoint)
    }

    /// This subtask's share of a list stored by [`put_list_state`](FunctionSnapshotContext::put_list_state); empty for a fresh start.
    ///
    /// # Errors
    /// When it was stored with another type or another kind of state, or its bytes are damaged.
    pub fn list_state<T: Record>(&self, name: &str) -> Result<Vec<T>> {
        self.items(name, Redistribution::Split)
    }

    /// The items of all subtasks, stored by [`put_union_list_state`](FunctionSnapshotContext::put_union_list_state).
    ///
    /// # Errors
    /// As [`list_state`](Self::list_state).
    pub fn union_list_state<T: Record>(&self, name: &str) -> Result<Vec<T>> {
        self.items(name, Redistribution::Union)
    }

    /// The map that all subtasks have in common, stored by [`put_broadcast_state`](FunctionSnapshotContext::put_broadcast_state).
    ///
    /// # Errors
    /// As [`list_state`](Self::list_state).
    pub fn broadcast_state<K: Key, V: Record>(&self, name: &str) -> Result<BTreeMap<K, V>> {
        Ok(self.items::<(K, V)>(name, Redistribution::Broadcast)?.into_iter().collect())
    }

    /// The subtask, its metrics, accumulators and the job's parameters.
    pub const fn runtime(&self) -> &'a RuntimeContext {
        self.runtime
    }

    fn items<T: Record>(&self, name: &str, redistribution: Redistribution) -> Result<Vec<T>> {
        let Some(restored) = &self.runtime.state.restored else { return Ok(Vec::new()) };
        if let Some(state) = restored.operator.iter().find(|state| &*state.name == name) {
            let is_same = state.schema == T::schema() && state.redistribution == redistribution;
            if !is_same {
                return Err(Error::user(format!(
                    "operator state '{name}' was stored as {:?} of {} and is read as {redistribution:?} of {}: read it as it was stored, \
                     or give the new state another name",
                    state.redistribution,
                    state.schema,
                    T::schema()
                )));
            }
        }
        restored.operator_state(name)
    }
}

/// Where a function puts its state at a checkpoint (Flink's `FunctionSnapshotContext`).
pub struct FunctionSnapshotContext<'a> {
    snapshot: &'a mut OperatorSnapshot,
    barrier: Barrier,
    runtime: &'a RuntimeContext,
}

impl<'a> FunctionSnapshotContext<'a> {
    /// For the function of an operator.
    pub const fn new(snapshot: &'a mut OperatorSnapshot, cx: &SnapshotContext<'a>) -> Self {
        Self { snapshot, barrier: cx.barrier, runtime: cx.runtime }
    }

    /// The checkpoint.
    pub const fn checkpoint(&self) -> CheckpointId {
        self.barrier.checkpoint
    }

    /// Processing time at which it was triggered.
    pub const fn timestamp(&self) -> Timestamp {
        self.barrier.timestamp
    }

    /// The subtask, its metrics, accumulators and the job's parameters.
    pub const fn runtime(&self) -> &'a RuntimeContext {
        self.runtime
    }

    /// Stores a list whose items are spread evenly over the subtasks of the restored job. A list of `Vec<u8>` is raw state, in a format of
    /// the function's own.
    ///
    /// # Errors
    /// When the name is not allowed, or was used before.
    pub fn put_list_state<T: Record>(&mut self, name: &str, items: &[T]) -> Result<()> {
        self.check(name)?;
        self.snapshot.add_operator_state(name, Redistribution::Split, items);
        Ok(())
    }

    /// Stores a list of which each subtask of the restored job gets the items of all.
    ///
    /// # Errors
    /// As [`put_list_state`](Self::put_list_state).
    pub fn put_union_list_state<T: Record>(&mut self, name: &str, items: &[T]) -> Result<()> {
        self.check(name)?;
        self.snapshot.add_operator_state(name, Redistribution::Union, items);
        Ok(())
    }

    /// Stores a map that is the same in all subtasks.
    ///
    /// # Errors
    /// As [`put_list_state`](Self::put_list_state).
    pub fn put_broadcast_state<K: Key, V: Record>(&mut self, name: &str, map: &BTreeMap<K, V>) -> Result<()> {
        self.check(name)?;
        self.snapshot.operator.push(broadcast_snapshot(name, map));
        Ok(())
    }

    fn check(&self, name: &str) -> Result<()> {
        if name.is_empty() || name.starts_with(RESERVED) {
            return Err(Error::user(format!(
                "'{name}' cannot be the name of a state: names are not empty and do not begin with '{RESERVED}'"
            )));
        }
        if self.snapshot.operator.iter().any(|state| &*state.name == name) {
            return Err(Error::user(format!("operator state '{name}' is stored twice; give each state of a function a name of its own")));
        }
        Ok(())
    }
}

/// A map that all subtasks have in common, as an operator state: a pair per entry.
pub fn broadcast_snapshot<K: Key, V: Record>(name: &str, map: &BTreeMap<K, V>) -> OperatorStateSnapshot {
    let encode = |(key, value): (&K, &V)| {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        value.encode(&mut bytes);
        bytes
    };
    OperatorStateSnapshot {
        name: name.into(),
        redistribution: Redistribution::Broadcast,
        schema: <(K, V)>::schema(),
        items: map.iter().map(encode).collect(),
    }
}
