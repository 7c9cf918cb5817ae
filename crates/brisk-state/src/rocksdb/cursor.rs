//! Walks through a range of one column family.

use super::families::{Segment, engine_key};
use super::instance::{Db, Instance};
use super::merged::Cursor;
use brisk_base::Result;
use brisk_core::state::StateId;
use rocksdb::{DBRawIteratorWithThreadMode, ReadOptions, SnapshotWithThreadMode};

/// A place in a column family. Keys are shown as the engine writes them.
pub(super) struct DbCursor<'a> {
    instance: &'a Instance,
    iterator: DBRawIteratorWithThreadMode<'a, Db>,
    state: StateId,
    /// The key it stands at.
    key: Vec<u8>,
}

impl<'a> DbCursor<'a> {
    /// The first entry of a segment, of the database as it is, or as it was at a snapshot.
    pub(super) fn new(instance: &'a Instance, segment: &Segment, snapshot: Option<&SnapshotWithThreadMode<'_, Db>>) -> Result<Self> {
        let (from, to) = segment.stored();
        let mut options = ReadOptions::default();
        if let Some(snapshot) = snapshot {
            options.set_snapshot(snapshot);
        }
        options.set_iterate_upper_bound(to);
        options.set_prefix_same_as_start(true);
        let mut iterator = instance.db.raw_iterator_cf_opt(instance.family(segment.state)?, options);
        iterator.seek(from);
        let mut cursor = Self { instance, iterator, state: segment.state, key: Vec::new() };
        cursor.arrive().map(|()| cursor)
    }

    fn arrive(&mut self) -> Result<()> {
        match self.iterator.key() {
            Some(key) => {
                engine_key(self.state, key, &mut self.key);
                Ok(())
            }
            None => self.iterator.status().map_err(|error| self.instance.failed(&error)),
        }
    }
}

impl Cursor for DbCursor<'_> {
    fn entry(&self) -> Option<(&[u8], &[u8])> {
        Some((&self.key, self.iterator.value()?))
    }

    fn advance(&mut self) -> Result<()> {
        self.iterator.next();
        self.arrive()
    }
}
