//! A table of recent values that does not change any more, on its way into the database.
//!
//! Whoever needs it written writes it, or waits for who is at it: mostly a thread of its own. Tables reach the database in the order in which they
//! were sealed, and those that were sealed after a barrier only once the files of that checkpoint are linked. Once it is written a table
//! still answers reads, until its memory is needed.

use super::families::{Families, stored_key_into};
use super::instance::{Instance, family_options, write_options};
use super::memory::RecentBytes;
use super::native::Pending;
use super::newest::Newest;
use super::recent::{At, InOrder, Recent};
use brisk_base::{Error, Result};
use brisk_core::state::StateId;
use rocksdb::{IngestExternalFileOptions, SstFileWriter, WriteBatch};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Fewer entries of a state than this go through the database's write buffer; more become a file at once.
const FILE_FROM: usize = if cfg!(test) { 100 } else { 4096 };
/// Bytes of entries that are given to the write buffer at once.
const BATCH_BYTES: usize = 1024 * 1024;

/// See the module.
pub(super) struct Sealed {
    recent: Recent,
    instance: Arc<Instance>,
    /// The states that may be in it.
    states: Arc<[StateId]>,
    /// Its number among those of the store.
    number: u64,
    /// Whether nobody needs it any more.
    abandoned: Arc<AtomicBool>,
    sorted: OnceLock<Vec<At>>,
    progress: Mutex<Progress>,
    /// Whether the database has it: what is asked with each change.
    written: AtomicBool,
    /// Gives its memory back to the budget when it is dropped.
    _accounted: RecentBytes,
}

/// How far a sealed table is.
enum Progress {
    /// It is to be written after these.
    Waiting {
        previous: Option<Arc<Sealed>>,
        barrier: Option<Arc<Pending>>,
    },
    Written,
    /// It cannot be written, for this reason.
    Failed(String),
}

impl Sealed {
    pub(super) fn new(
        recent: Recent,
        of: &Newest,
        accounted: RecentBytes,
        previous: Option<Arc<Self>>,
        barrier: Option<Arc<Pending>>,
    ) -> Self {
        let (instance, states, number, abandoned) = of.parts();
        let progress = Mutex::new(Progress::Waiting { previous, barrier });
        Self {
            recent,
            instance,
            states,
            number,
            abandoned,
            sorted: OnceLock::new(),
            progress,
            written: AtomicBool::new(false),
            _accounted: accounted,
        }
    }

    pub(super) const fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The entries in order.
    pub(super) fn in_order(&self) -> InOrder<'_> {
        InOrder { recent: &self.recent, sorted: self.sorted.get_or_init(|| self.recent.sorted()) }
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the database has it; an error if it cannot be written. Never waits.
    pub(super) fn is_written(&self) -> Result<bool> {
        if self.written.load(Ordering::Acquire) {
            return Ok(true);
        }
        match self.progress.try_lock().as_deref() {
            Ok(Progress::Written) => Ok(true),
            Ok(Progress::Failed(reason)) => Err(self.failed(reason)),
            Ok(Progress::Waiting { .. }) | Err(_) => Ok(false),
        }
    }

    /// Writes it, if nobody has done so.
    pub(super) fn write(&self) -> Result<()> {
        let mut progress = self.lock();
        if let Progress::Waiting { previous, barrier } = &mut *progress {
            let (previous, barrier) = (previous.take(), barrier.take());
            let earlier = previous.map_or(Ok(()), |previous| previous.write());
            if let Some(barrier) = barrier {
                // Whoever stores the checkpoint is told if this fails.
                let _ = barrier.settle();
            }
            let written = earlier.and_then(|()| self.write_all());
            self.written.store(written.is_ok(), Ordering::Release);
            *progress = written.map_or_else(|error| Progress::Failed(error.to_string()), |()| Progress::Written);
        }
        match &*progress {
            Progress::Failed(reason) => Err(self.failed(reason)),
            _ => Ok(()),
        }
    }

    fn failed(&self, reason: &str) -> Error {
        Error::transient(format!("recent values cannot be written into the database: {reason}")).context(&*self.instance.place)
    }

    fn write_all(&self) -> Result<()> {
        let here;
        let sorted = match self.sorted.get() {
            Some(sorted) => sorted,
            None => {
                here = self.recent.sorted();
                &here
            }
        };
        self.states.iter().try_for_each(|state| self.write_state(*state, sorted))?;
        if self.abandoned.load(Ordering::Relaxed) { Err(Error::transient("the store is gone")) } else { Ok(()) }
    }

    /// Key in the database and value of the entries of a state, until nobody needs them.
    fn stored<'a>(&'a self, state: StateId, sorted: &'a [At]) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        let entries = sorted.iter().map(|at| self.recent.at(*at));
        let entries = entries.filter(move |(key, _)| Families::state_of(key).is_ok_and(|of| of == state));
        entries.take_while(|_| !self.abandoned.load(Ordering::Relaxed))
    }

    fn write_state(&self, state: StateId, sorted: &[At]) -> Result<()> {
        match self.instance.folder.as_ref() {
            Some(folder) if sorted.len() >= FILE_FROM && self.stored(state, sorted).nth(FILE_FROM).is_some() => {
                self.write_file(state, sorted, &folder.path().join(format!("recent-{}-{}.sst", self.number, state.0)))
            }
            _ => self.write_buffered(state, sorted),
        }
    }

    fn write_file(&self, state: StateId, sorted: &[At], file: &Path) -> Result<()> {
        let failed = |error: rocksdb::Error| self.instance.failed(&error);
        let options = family_options(&self.instance.memory, None);
        let mut writer = SstFileWriter::create(&options);
        writer.open(file).map_err(failed)?;
        let mut stored = Vec::new();
        for (key, value) in self.stored(state, sorted) {
            stored_key_into(key, &mut stored);
            match value {
                Some(value) => writer.put(&stored, value),
                None => writer.delete(&stored),
            }
            .map_err(failed)?;
        }
        if self.abandoned.load(Ordering::Relaxed) {
            return Ok(());
        }
        writer.finish().map_err(failed)?;
        let mut ingest = IngestExternalFileOptions::default();
        ingest.set_move_files(true);
        let family = self.instance.family(state)?;
        self.instance.db.ingest_external_file_cf_opts(family, &ingest, vec![file]).map_err(failed)
    }

    fn write_buffered(&self, state: StateId, sorted: &[At]) -> Result<()> {
        let failed = |error: rocksdb::Error| self.instance.failed(&error);
        let family = self.instance.family(state)?;
        let (mut batch, mut stored) = (WriteBatch::default(), Vec::new());
        for (key, value) in self.stored(state, sorted) {
            stored_key_into(key, &mut stored);
            match value {
                Some(value) => batch.put_cf(family, &stored, value),
                None => batch.delete_cf(family, &stored),
            }
            if batch.size_in_bytes() >= BATCH_BYTES {
                self.instance.db.write_opt(std::mem::take(&mut batch), &write_options()).map_err(failed)?;
            }
        }
        self.instance.db.write_opt(batch, &write_options()).map_err(failed)
    }
}
