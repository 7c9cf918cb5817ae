//! The tasks an executor has taken and not yet dropped.
//!
//! Wakers keep a task's cell alive, and tasks keep each other's wakers, so dropping an executor's queues does not drop its tasks. The
//! registry does: closing it abandons every task.

use super::cell::TaskCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks; code that panics while holding one of the executor's locks has changed nothing.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Live tasks by number.
pub(super) struct Registry {
    inner: Mutex<Inner>,
}

struct Inner {
    /// Whether tasks are still taken.
    open: bool,
    /// Number of the next task.
    next_id: u64,
    /// Tasks that have not been released.
    tasks: BTreeMap<u64, Arc<TaskCell>>,
}

impl Registry {
    /// Open and empty.
    pub(super) const fn new() -> Self {
        Self { inner: Mutex::new(Inner { open: true, next_id: 0, tasks: BTreeMap::new() }) }
    }

    /// Makes a cell with the next number and keeps it. False if the registry has been closed: the cell is the caller's to release.
    pub(super) fn add(&self, make: impl FnOnce(u64) -> Arc<TaskCell>) -> (Arc<TaskCell>, bool) {
        let mut inner = locked(&self.inner);
        let id = inner.next_id;
        inner.next_id += 1;
        let cell = make(id);
        if inner.open {
            inner.tasks.insert(id, Arc::clone(&cell));
        }
        (cell, inner.open)
    }

    /// The task of this number, if it lives.
    pub(super) fn get(&self, id: u64) -> Option<Arc<TaskCell>> {
        locked(&self.inner).tasks.get(&id).cloned()
    }

    /// Forgets a task that has been released.
    pub(super) fn remove(&self, id: u64) {
        let removed = locked(&self.inner).tasks.remove(&id);
        drop(removed);
    }

    /// Takes no more tasks.
    pub(super) fn close(&self) {
        locked(&self.inner).open = false;
    }

    /// All live tasks, oldest first.
    pub(super) fn live(&self) -> Vec<Arc<TaskCell>> {
        locked(&self.inner).tasks.values().cloned().collect()
    }

    /// How many tasks live.
    pub(super) fn len(&self) -> usize {
        locked(&self.inner).tasks.len()
    }
}
