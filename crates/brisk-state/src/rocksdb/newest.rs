//! The tables of recent values of one store: the one that changes, and those that are on their way into the database.
//!
//! Invariant: reading the tables, the newest first, and then the database gives the last value of every key of the states they are for.

use super::instance::Instance;
use super::memory::{RecentBytes, RecentShare};
use super::native::Pending;
use super::recent::{Recent, hash_of};
use super::sealed::Sealed;
use brisk_base::Result;
use brisk_core::state::StateId;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Builder, JoinHandle};

/// Written tables that are kept for reads at most: each costs every read a look. Checkpoints seal tables before they are large, which must not make
/// reads slower.
const MOST_SEALED: usize = 2;
/// Sealed tables at most; with more, the task waits until the oldest is written.
const MOST_UNWRITTEN: usize = 8;
/// A table is freed by a thread of its own if it has this many bytes: the task does not wait for that.
const LARGE: usize = 8 * 1024 * 1024;

/// See the module.
pub(super) struct Newest {
    instance: Arc<Instance>,
    /// The states whose values go through here.
    states: Arc<[StateId]>,
    /// Where changes go.
    active: Recent,
    account: RecentBytes,
    /// The others, the oldest first.
    sealed: Vec<Arc<Sealed>>,
    share: RecentShare,
    /// Numbers the tables.
    next: u64,
    writers: Vec<JoinHandle<()>>,
    /// Held by whoever else needs the tables written.
    needed: Arc<()>,
    /// Tells the writers that nobody needs what they write.
    abandoned: Arc<AtomicBool>,
}

impl Newest {
    pub(super) fn new(instance: Arc<Instance>) -> Self {
        let share = RecentShare::of(&instance.memory.recent);
        Self {
            states: Arc::clone(instance.families.single()),
            active: Recent::default(),
            account: share.account(),
            sealed: Vec::new(),
            share,
            next: 0,
            writers: Vec::new(),
            needed: Arc::new(()),
            abandoned: Arc::new(AtomicBool::new(false)),
            instance,
        }
    }

    /// Whether the values of a state go through here.
    pub(super) fn is_for(&self, state: StateId) -> bool {
        self.states.contains(&state)
    }

    /// What is known of a key; nothing if the database has to be asked.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let sealed = self.sealed.iter().rev().map(|sealed| sealed.recent());
        let hash = hash_of(key);
        std::iter::once(&self.active).chain(sealed).find_map(|recent| recent.get_hashed(hash, key))
    }

    /// Sets the value of a key, or that it has none.
    pub(super) fn set(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let set = self.active.set(key, value);
        self.account.set(self.active.bytes());
        set
    }

    /// Bytes of all tables.
    pub(super) fn bytes(&self) -> usize {
        self.account.get() + self.sealed.iter().map(|sealed| sealed.recent().bytes()).sum::<usize>()
    }

    /// Lets the present table change no more, and has it written, after the files of `barrier` are linked.
    pub(super) fn seal(&mut self, barrier: Option<&Arc<Pending>>) -> Result<()> {
        if self.active.len() == 0 {
            return Ok(());
        }
        let previous = match self.sealed.last() {
            Some(last) if !last.is_written()? => Some(Arc::clone(last)),
            _ => None,
        };
        let recent = std::mem::take(&mut self.active);
        let account = std::mem::replace(&mut self.account, self.share.account());
        let barrier = barrier.filter(|barrier| !barrier.is_settled()).cloned();
        let sealed = Arc::new(Sealed::new(recent, self, account, previous, barrier));
        self.next += 1;
        self.sealed.push(Arc::clone(&sealed));
        self.writers.retain(|writer| !writer.is_finished());
        if self.instance.folder.is_none() {
            // In memory, for the simulator: there is one thread.
            return sealed.write();
        }
        let own = Arc::clone(&sealed);
        // Who needs it written is told if it fails.
        match Builder::new().name("brisk-recent".to_owned()).spawn(move || drop(own.write())) {
            Ok(writer) => {
                self.writers.push(writer);
                Ok(())
            }
            Err(_) => sealed.write(),
        }
    }

    /// The sealed tables that the database may not have yet, the newest first; and what keeps them needed.
    pub(super) fn unwritten(&self) -> Result<(Vec<Arc<Sealed>>, Arc<()>)> {
        let mut tables = Vec::new();
        for sealed in self.sealed.iter().rev() {
            if !sealed.is_written()? {
                tables.push(Arc::clone(sealed));
            }
        }
        Ok((tables, Arc::clone(&self.needed)))
    }

    /// All sealed tables, the newest first.
    pub(super) fn sealed(&self) -> impl Iterator<Item = &Arc<Sealed>> {
        self.sealed.iter().rev()
    }

    /// Waits until the database has everything, and forgets it here.
    pub(super) fn write_all(&mut self, barrier: Option<&Arc<Pending>>) -> Result<()> {
        self.seal(barrier)?;
        self.sealed.last().map_or(Ok(()), |last| last.write())?;
        self.sealed.clear();
        Ok(())
    }

    /// Keeps to the budget: forgets tables that are written, seals the present one when it is large, and waits if more comes than is written.
    pub(super) fn make_room(&mut self, barrier: Option<&Arc<Pending>>) -> Result<()> {
        let allowance = self.share.allowance(self.bytes());
        let mut all_written = true;
        while let Some(oldest) = self.sealed.first() {
            all_written = oldest.is_written()?;
            if !all_written || (self.bytes() <= allowance && self.sealed.len() <= MOST_SEALED) {
                break;
            }
            self.forget_oldest();
        }
        if self.account.get() / 3 > allowance / 4 && all_written {
            self.seal(barrier)?;
        }
        while (self.bytes() / 5 > allowance / 4 || self.sealed.len() > MOST_UNWRITTEN)
            && let Some(oldest) = self.sealed.first()
        {
            oldest.write()?;
            self.forget_oldest();
        }
        Ok(())
    }

    fn forget_oldest(&mut self) {
        let oldest = self.sealed.remove(0);
        if oldest.recent().bytes() > LARGE {
            // Dropped by the closure, which is dropped here if there is no thread.
            drop(Builder::new().name("brisk-recent".to_owned()).spawn(move || drop(oldest)));
        }
    }

    /// Parts of a new table.
    pub(super) fn parts(&self) -> (Arc<Instance>, Arc<[StateId]>, u64, Arc<AtomicBool>) {
        (Arc::clone(&self.instance), Arc::clone(&self.states), self.next, Arc::clone(&self.abandoned))
    }
}

impl Drop for Newest {
    fn drop(&mut self) {
        if Arc::strong_count(&self.needed) == 1 {
            self.abandoned.store(true, Ordering::Relaxed);
            self.writers.drain(..).for_each(|writer| drop(writer.join()));
        }
    }
}
