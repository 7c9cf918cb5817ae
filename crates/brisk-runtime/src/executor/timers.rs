//! When to wake which task: at most one deadline per task, in one ordered map.
//!
//! A deadline that moves later, or away, leaves the map as it is: the entry finds out when it comes up. So a task that is polled often and
//! pushes its deadline forward each time costs nothing here.
//!
//! Invariant: while a task wants a deadline, the map holds an entry for it that is not later.

use super::cell::TaskCell;
use super::registry::locked;
use brisk_base::world::MonoTime;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Wake;

/// A task's part of its deadline.
pub(super) struct Deadline {
    /// What the last poll asked for, in nanoseconds; `NEVER` for nothing.
    wanted: AtomicU64,
    /// Key of the task's entry in the map; `NEVER` for no entry. Changed only under the map's lock.
    armed: AtomicU64,
}

impl Deadline {
    /// None.
    pub(super) const fn none() -> Self {
        Self { wanted: AtomicU64::new(MonoTime::NEVER.0), armed: AtomicU64::new(MonoTime::NEVER.0) }
    }
}

/// Time, then task.
type Key = (u64, u64);

/// The deadlines of an executor's tasks.
pub(super) struct Timers {
    /// Time of the first entry; `NEVER` when there is none. Lets busy workers pass by without the lock.
    next: AtomicU64,
    /// One entry per task at most.
    entries: Mutex<BTreeMap<Key, Arc<TaskCell>>>,
}

impl Timers {
    /// No deadlines.
    pub(super) const fn new() -> Self {
        Self { next: AtomicU64::new(MonoTime::NEVER.0), entries: Mutex::new(BTreeMap::new()) }
    }

    /// When the first entry comes up, which may be earlier than the first deadline.
    pub(super) fn next(&self) -> MonoTime {
        MonoTime(self.next.load(Ordering::SeqCst))
    }

    /// Replaces the task's deadline. Called by the thread that polls it, before the poll is finished.
    pub(super) fn set(&self, cell: &Arc<TaskCell>, at: MonoTime) {
        let deadline = &cell.deadline;
        if deadline.wanted.load(Ordering::Acquire) == at.0 {
            return;
        }
        if at == MonoTime::NEVER {
            deadline.wanted.store(at.0, Ordering::Release);
            return;
        }
        let mut entries = locked(&self.entries);
        deadline.wanted.store(at.0, Ordering::Release);
        let armed = deadline.armed.load(Ordering::Relaxed);
        if at.0 >= armed {
            return;
        }
        let cell = entries.remove(&(armed, cell.id)).unwrap_or_else(|| Arc::clone(cell));
        self.insert(&mut entries, at.0, cell);
        self.publish(&entries);
    }

    /// Forgets the task's deadline.
    pub(super) fn cancel(&self, cell: &TaskCell) {
        if cell.deadline.armed.load(Ordering::Acquire) == MonoTime::NEVER.0 {
            return;
        }
        let mut entries = locked(&self.entries);
        let armed = cell.deadline.armed.swap(MonoTime::NEVER.0, Ordering::Release);
        let removed = entries.remove(&(armed, cell.id));
        self.publish(&entries);
        drop(entries);
        drop(removed);
    }

    /// Wakes the tasks whose deadline has come, earliest first. True if there was one.
    pub(super) fn fire(&self, now: MonoTime) -> bool {
        if self.next() > now {
            return false;
        }
        let mut due = Vec::new();
        let mut entries = locked(&self.entries);
        while let Some(first) = entries.first_entry().filter(|e| e.key().0 <= now.0) {
            let cell = first.remove();
            cell.deadline.armed.store(MonoTime::NEVER.0, Ordering::Release);
            let wanted = cell.deadline.wanted.load(Ordering::Acquire);
            if wanted <= now.0 {
                cell.deadline.wanted.store(MonoTime::NEVER.0, Ordering::Release);
                due.push(cell);
            } else if wanted != MonoTime::NEVER.0 {
                self.insert(&mut entries, wanted, cell);
            }
        }
        self.publish(&entries);
        drop(entries);
        let any = !due.is_empty();
        due.into_iter().for_each(Wake::wake);
        any
    }

    fn insert(&self, entries: &mut BTreeMap<Key, Arc<TaskCell>>, at: u64, cell: Arc<TaskCell>) {
        cell.deadline.armed.store(at, Ordering::Release);
        entries.insert((at, cell.id), cell);
    }

    fn publish(&self, entries: &BTreeMap<Key, Arc<TaskCell>>) {
        let next = entries.first_key_value().map_or(MonoTime::NEVER.0, |(key, _)| key.0);
        self.next.store(next, Ordering::SeqCst);
    }
}
