//! The byte store of one operator: its database, and the overlay while a checkpoint is made.

use super::cursor::DbCursor;
use super::families::{Families, HEAD, stored_key};
use super::frozen::FrozenDb;
use super::instance::{Instance, write_options};
use super::merged::{self, Cursor};
use super::native::{DbSnapshot, Pending, StoredFiles};
use super::newest::Newest;
use super::overlay::{Entry, LayerView, Overlay, Resolved, resolve};
use super::recent::InOrder;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::state::{ByteStore, ByteVisitor, FoundVisitor, FrozenBytes, NativeSnapshot, StateId, Write};
use brisk_core::types::KeyGroupRange;
use rocksdb::WriteBatch;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ranges with fewer entries than this are deleted one by one: marks of deleted ranges make all later reads slower.
const FEW: usize = 64;
/// Changes that are merged from the overlay with every call that makes changes, besides a multiple of those.
const MERGED_AT_ONCE: usize = 128;
/// How many changes are merged for each new one, so that the overlay shrinks.
const MERGED_FOR_EACH: usize = 4;

/// See the module.
pub(super) struct RocksDbStore {
    instance: Arc<Instance>,
    /// The newest values of the states with one value per key.
    newest: Newest,
    /// Changes of the other states that the database does not have yet.
    overlay: Overlay,
    /// The checkpoint for which the database must not change.
    pending: Option<Arc<Pending>>,
    /// Files that are stored already.
    stored: Arc<Mutex<StoredFiles>>,
    /// Key groups of the subtask.
    range: KeyGroupRange,
    /// Whether checkpoints are made of files.
    incremental: bool,
    /// Bytes of the overlay beyond which the task makes the files itself.
    overlay_bytes: usize,
    /// Name of the backend.
    backend: &'static str,
    /// Numbers the folders of checkpoints.
    next_link: u64,
}

impl RocksDbStore {
    pub(super) fn new(
        instance: Instance,
        stored: StoredFiles,
        range: KeyGroupRange,
        incremental: bool,
        overlay_bytes: usize,
        backend: &'static str,
    ) -> Self {
        let instance = Arc::new(instance);
        Self {
            newest: Newest::new(Arc::clone(&instance)),
            instance,
            overlay: Overlay::default(),
            pending: None,
            stored: Arc::new(Mutex::new(stored)),
            range,
            incremental,
            overlay_bytes,
            backend,
            next_link: 0,
        }
    }

    /// Compacts everything at once.
    #[cfg(test)]
    pub(super) fn compact(&mut self) -> Result<()> {
        self.newest.write_all(None)?;
        for name in self.instance.families.names() {
            if let Some(family) = self.instance.db.cf_handle(name) {
                self.instance.db.flush_cf(family).map_err(|error| self.instance.failed(&error))?;
                self.instance.db.compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
            }
        }
        Ok(())
    }

    fn stored(&self) -> MutexGuard<'_, StoredFiles> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Merges some of the overlay into the database, if that may change. Returns whether it has everything.
    fn catch_up(&mut self, changes: usize) -> Result<bool> {
        if self.pending.as_ref().is_some_and(|pending| pending.is_settled()) {
            self.pending = None;
        }
        if self.pending.is_none() && !self.overlay.is_empty() {
            self.merge(changes.saturating_mul(MERGED_FOR_EACH).saturating_add(MERGED_AT_ONCE))?;
        }
        Ok(self.pending.is_none() && self.overlay.is_empty())
    }

    fn merge(&mut self, count: usize) -> Result<()> {
        let drained = self.overlay.drain(count);
        let mut batch = WriteBatch::default();
        for (from, to) in &drained.gone {
            self.delete_range(&mut batch, from, to.as_deref())?;
        }
        for (key, entry) in &drained.entries {
            let family = self.instance.family(Families::state_of(key)?)?;
            match entry {
                Entry::Put(value) => batch.put_cf(family, stored_key(key), value),
                Entry::Append(bytes) => batch.merge_cf(family, stored_key(key), bytes),
                Entry::Delete => batch.delete_cf(family, stored_key(key)),
            }
        }
        self.write(batch)
    }

    /// Merges everything; waits for the files of a checkpoint that is still being made.
    fn merge_all(&mut self) -> Result<()> {
        if let Some(pending) = self.pending.take() {
            // Whoever stores the checkpoint is told if this fails.
            let _ = pending.settle();
        }
        while !self.overlay.is_empty() {
            self.merge(usize::MAX)?;
        }
        Ok(())
    }

    fn write(&self, batch: WriteBatch) -> Result<()> {
        self.instance.db.write_opt(batch, &write_options()).map_err(|error| self.instance.failed(&error))
    }

    /// Adds a change to a batch for the database.
    fn add(&self, batch: &mut WriteBatch, write: Write<'_>) -> Result<()> {
        match write {
            Write::Put { key, value } => batch.put_cf(self.instance.family(Families::state_of(key)?)?, stored_key(key), value),
            Write::Append { key, bytes } => batch.merge_cf(self.instance.family(Families::state_of(key)?)?, stored_key(key), bytes),
            Write::Delete { key } => batch.delete_cf(self.instance.family(Families::state_of(key)?)?, stored_key(key)),
            Write::DeleteRange { from, to } => {
                if !batch.is_empty() {
                    // The entries of the range are counted in the database.
                    self.write(std::mem::take(batch))?;
                }
                self.delete_range(batch, from, to)?;
            }
        }
        Ok(())
    }

    fn delete_range(&self, batch: &mut WriteBatch, from: &[u8], to: Option<&[u8]>) -> Result<()> {
        if to.is_some_and(|to| to <= from) {
            return Ok(());
        }
        for segment in self.instance.families.segments(from, to) {
            let family = self.instance.family(segment.state)?;
            let mut cursor = DbCursor::new(&self.instance, &segment, None)?;
            let mut keys = Vec::new();
            while keys.len() < FEW
                && let Some((key, _)) = cursor.entry()
            {
                keys.push(stored_key(key));
                cursor.advance()?;
            }
            if keys.len() < FEW {
                keys.iter().for_each(|key| batch.delete_cf(family, key));
            } else {
                let (from, to) = segment.stored();
                batch.delete_range_cf(family, from, to);
            }
        }
        Ok(())
    }

    /// Reads keys of one state out of the database.
    fn read(&self, state: StateId, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()> {
        let family = self.instance.family(state)?;
        if let [key] = keys {
            let value = self.instance.db.get_pinned_cf(family, stored_key(key)).map_err(|error| self.instance.failed(&error))?;
            return found(0, value.as_deref());
        }
        let stored: Vec<Vec<u8>> = keys.iter().map(|key| stored_key(key)).collect();
        let values = self.instance.db.batched_multi_get_cf(family, stored.iter(), false);
        values.into_iter().enumerate().try_for_each(|(index, value)| {
            let value = value.map_err(|error| self.instance.failed(&error))?;
            found(index, value.as_deref())
        })
    }

    /// Reads keys of a state with one value per key.
    fn get_newest(&self, state: StateId, first: usize, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()> {
        let known: Vec<_> = keys.iter().map(|key| self.newest.get(key)).collect();
        let below: Vec<usize> = (0..keys.len()).filter(|index| known[*index].is_none()).collect();
        if below.len() == keys.len() {
            return self.read(state, keys, &mut |index, value| found(first + index, value));
        }
        let wanted: Vec<&[u8]> = below.iter().map(|index| keys[*index]).collect();
        let mut read = Vec::with_capacity(wanted.len());
        if !wanted.is_empty() {
            self.read(state, &wanted, &mut |_, value| {
                read.push(value.map(<[u8]>::to_vec));
                Ok(())
            })?;
        }
        let mut read = read.iter();
        known.into_iter().enumerate().try_for_each(|(index, known)| match known {
            Some(value) => found(first + index, value),
            None => found(first + index, read.next().and_then(Option::as_deref)),
        })
    }

    /// Changes the value of a key of a state with one value per key.
    fn set_newest(&mut self, write: Write<'_>) -> Result<()> {
        match write {
            Write::Put { key, value } => self.newest.set(key, Some(value)),
            Write::Delete { key } => self.newest.set(key, None),
            Write::Append { key, bytes } => {
                let mut value = Vec::new();
                self.get_newest(Families::state_of(key)?, 0, &[key], &mut |_, before| {
                    value.extend_from_slice(before.unwrap_or_default());
                    Ok(())
                })?;
                value.extend_from_slice(bytes);
                self.newest.set(key, Some(&value))
            }
            Write::DeleteRange { from, to } => {
                // Seldom: a whole state is cleared. The database must have everything before.
                self.merge_all()?;
                self.newest.write_all(None)?;
                let mut batch = WriteBatch::default();
                self.delete_range(&mut batch, from, to)?;
                self.write(batch)
            }
        }
    }

    /// Whether a change is one of a state with one value per key.
    fn is_newest(&self, write: &Write<'_>) -> Result<bool> {
        match write {
            Write::Put { key, .. } | Write::Append { key, .. } | Write::Delete { key } => Ok(self.newest.is_for(Families::state_of(key)?)),
            Write::DeleteRange { from, to } => Ok(self.instance.families.touches_single(from, *to)),
        }
    }

    /// Makes changes of the other states.
    fn apply_others(&mut self, writes: &[Write<'_>]) -> Result<()> {
        if self.catch_up(writes.len())? {
            let mut batch = WriteBatch::default();
            writes.iter().try_for_each(|write| self.add(&mut batch, *write))?;
            return self.write(batch);
        }
        writes.iter().for_each(|write| self.overlay.apply(*write));
        if self.overlay.bytes() > self.overlay_bytes { self.merge_all() } else { Ok(()) }
    }

    /// Reads keys of one state.
    fn get_of_state(&self, state: StateId, first: usize, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()> {
        if self.newest.is_for(state) {
            return self.get_newest(state, first, keys, found);
        }
        if self.overlay.is_empty() {
            return self.read(state, keys, &mut |index, value| found(first + index, value));
        }
        let layers = self.overlay.layers();
        let mut resolved: Vec<Resolved> = keys.iter().map(|key| resolve(layers.iter().copied(), key)).collect();
        let below: Vec<usize> = (0..keys.len()).filter(|index| matches!(resolved[*index], Resolved::Below(_))).collect();
        let wanted: Vec<&[u8]> = below.iter().map(|index| keys[*index]).collect();
        if !wanted.is_empty() {
            self.read(state, &wanted, &mut |index, value| {
                let resolved = &mut resolved[below[index]];
                if let Resolved::Below(suffix) = resolved {
                    let known = match value {
                        Some(value) => Some([value, suffix].concat()),
                        None => (!suffix.is_empty()).then(|| std::mem::take(suffix)),
                    };
                    *resolved = Resolved::Known(known);
                }
                Ok(())
            })?;
        }
        resolved.iter().enumerate().try_for_each(|(index, resolved)| match resolved {
            Resolved::Known(value) => found(first + index, value.as_deref()),
            Resolved::Below(_) => Err(Error::bug("the database has not answered for a key")),
        })
    }
}

impl ByteStore for RocksDbStore {
    fn prefetches(&self) -> bool {
        // The disk is local.
        false
    }

    fn multi_get(&mut self, keys: &[&[u8]], found: &mut FoundVisitor<'_>) -> Result<()> {
        let mut first = 0;
        for run in keys.chunk_by(|a, b| a.get(2..HEAD) == b.get(2..HEAD)) {
            let Some(key) = run.first() else { continue };
            self.get_of_state(Families::state_of(key)?, first, run, found)?;
            first += run.len();
        }
        Ok(())
    }

    fn apply(&mut self, writes: &[Write<'_>]) -> Result<()> {
        let mut rest = writes;
        while let Some(first) = rest.first() {
            let newest = self.is_newest(first)?;
            let mut count = 1;
            while let Some(next) = rest.get(count)
                && self.is_newest(next)? == newest
            {
                count += 1;
            }
            let (run, after) = rest.split_at(count);
            rest = after;
            if newest {
                run.iter().try_for_each(|write| self.set_newest(*write))?;
            } else {
                self.apply_others(run)?;
            }
        }
        self.newest.make_room(self.pending.as_ref())
    }

    fn scan(&mut self, from: &[u8], to: Option<&[u8]>, visit: &mut ByteVisitor<'_>) -> Result<()> {
        let touches = self.instance.families.touches_single(from, to);
        if touches {
            self.newest.seal(self.pending.as_ref())?;
        }
        let newest: Vec<InOrder<'_>> = self.newest.sealed().filter(|_| touches).map(|sealed| sealed.in_order()).collect();
        let overlay = self.overlay.layers();
        let newest = newest.iter().map(|sealed| sealed as &dyn LayerView);
        let layers: Vec<&dyn LayerView> = newest.chain(overlay.iter().map(|layer| *layer as &dyn LayerView)).collect();
        for segment in self.instance.families.segments(from, to) {
            let mut below = DbCursor::new(&self.instance, &segment, None)?;
            if merged::scan(&layers, &mut below, &segment.from, segment.to.as_deref(), visit)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn freeze(&mut self) -> Result<Box<dyn FrozenBytes>> {
        self.newest.seal(self.pending.as_ref())?;
        let newest = self.newest.unwritten()?;
        Ok(Box::new(FrozenDb::new(Arc::clone(&self.instance), self.overlay.freeze(), newest)))
    }

    fn native_snapshot(&mut self, checkpoint: CheckpointId) -> Result<Option<Box<dyn NativeSnapshot>>> {
        let Some(folder) = self.instance.folder.as_ref().filter(|_| self.incremental) else { return Ok(None) };
        let links = folder.path().join(format!("chk-{checkpoint}-{}", self.next_link));
        self.next_link += 1;
        self.merge_all()?;
        self.newest.seal(None)?;
        let (newest, needed) = self.newest.unwritten()?;
        let newest = newest.into_iter().next().map(|newest| (newest, needed));
        let pending = Arc::new(Pending::new(Arc::clone(&self.instance), links, newest));
        self.pending = Some(Arc::clone(&pending));
        let stored = Arc::clone(&self.stored);
        Ok(Some(Box::new(DbSnapshot { pending, checkpoint, range: self.range, stored, backend: self.backend.to_owned() })))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.stored().complete(checkpoint);
        Ok(())
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId) -> Result<()> {
        self.stored().abort(checkpoint);
        Ok(())
    }

    fn heap_bytes(&self) -> usize {
        self.newest.bytes() + self.overlay.bytes() + self.instance.write_buffer_bytes()
    }
}
