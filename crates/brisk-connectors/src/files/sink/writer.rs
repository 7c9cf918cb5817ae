//! Writes the records of one subtask into part files, one in progress per bucket.

use super::bucket::{self, BucketAssigner, BucketContext};
use super::committer::PendingPart;
use super::names::PartNames;
use super::part::{Part, PartState};
use super::rolling::RollingPolicy;
use brisk_base::world::World;
use brisk_base::{Result, ResultExt, Timestamp};
use brisk_core::batch::Rows;
use brisk_core::function::{FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::sink::{Committable, SinkWriter};
use brisk_core::types::Record;
use brisk_formats::WriteFormat;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Names of the writer's states.
const PARTS: &str = "parts-in-progress";
const NUMBERS: &str = "part-numbers";

/// What is the same for all writers of a sink.
pub(super) struct Settings<T> {
    /// The sink's folder.
    pub(super) folder: PathBuf,
    pub(super) format: Arc<dyn WriteFormat<T>>,
    pub(super) buckets: Arc<dyn BucketAssigner<T>>,
    pub(super) rolling: RollingPolicy,
    /// Whether there is a file even if there are no records.
    pub(super) always: bool,
}

/// See the module.
pub(super) struct FileWriter<T> {
    settings: Settings<T>,
    names: PartNames,
    world: World,
    /// The parts in progress.
    parts: BTreeMap<String, Part<T>>,
    /// Parts that were closed since the last commit was prepared, with their numbers.
    pending: Vec<(Option<u64>, PendingPart)>,
    /// Number of the next part.
    next: u64,
    /// Parts below this number may be known to a checkpoint.
    known: u64,
    watermark: Timestamp,
}

impl<T: Record> FileWriter<T> {
    pub(super) fn new(settings: Settings<T>, names: PartNames, world: World) -> Self {
        let (parts, pending) = (BTreeMap::new(), Vec::new());
        Self { settings, names, world, parts, pending, next: 0, known: 0, watermark: Timestamp::MIN }
    }

    /// The part in progress of a bucket.
    fn part(&mut self, bucket: String, now: Timestamp) -> Result<&mut Part<T>> {
        match self.parts.entry(bucket) {
            std::collections::btree_map::Entry::Occupied(part) => Ok(part.into_mut()),
            std::collections::btree_map::Entry::Vacant(place) => {
                bucket::check(place.key())?;
                let folder = self.settings.folder.join(place.key());
                let (unfinished, finished) = (folder.join(self.names.unfinished(self.next)), folder.join(self.names.finished(self.next)));
                let part = Part::create(unfinished, finished, self.next, &*self.settings.format, now)?;
                self.next += 1;
                Ok(place.insert(part))
            }
        }
    }

    /// Writes a record into its part.
    fn put(&mut self, value: &T, timestamp: Timestamp, now: Timestamp) -> Result<()> {
        let cx = BucketContext { timestamp: Some(timestamp).filter(|timestamp| timestamp.is_set()), watermark: self.watermark, now };
        let bucket = self.settings.buckets.bucket(value, &cx)?;
        self.put_into(bucket, value, now)
    }

    fn put_into(&mut self, bucket: String, value: &T, now: Timestamp) -> Result<()> {
        let rolling = self.settings.rolling;
        if self.parts.get(&bucket).is_some_and(|part| rolling.is_full(part.bytes())) {
            self.close_part(&bucket)?;
        }
        self.part(bucket, now)?.write(value, now)
    }

    fn close_part(&mut self, bucket: &str) -> Result<()> {
        let Some(mut part) = self.parts.remove(bucket) else { return Ok(()) };
        self.pending.push((part.number, part.persist()?));
        Ok(())
    }

    fn close_where(&mut self, is_due: impl Fn(&Part<T>) -> bool) -> Result<()> {
        let due: Vec<_> = self.parts.iter().filter(|(_, part)| is_due(part)).map(|(bucket, _)| bucket.clone()).collect();
        due.iter().try_for_each(|bucket| self.close_part(bucket))
    }

    /// Takes over parts in progress; of two in one bucket the second is closed.
    fn take_over(&mut self, states: &[PartState]) -> Result<()> {
        for state in states {
            let mut part = Part::restore(state, &*self.settings.format)?;
            if self.parts.contains_key(&state.bucket) {
                self.pending.push((None, part.persist()?));
            } else {
                self.parts.insert(state.bucket.clone(), part);
            }
        }
        Ok(())
    }
}

impl FileWriter<Vec<u8>> {
    /// Writes encoded rows into a folder below the sink's.
    pub(super) fn write_bytes(&mut self, bucket: String, bytes: &Vec<u8>) -> Result<()> {
        let now = self.world.now();
        self.put_into(bucket, bytes, now)
    }
}

impl<T: Record> SinkWriter<T> for FileWriter<T> {
    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        let numbers: Vec<(String, u64)> = state.union_list_state(NUMBERS)?;
        if let Some((token, _)) = numbers.iter().min() {
            self.names.token.clone_from(token);
        }
        self.next = numbers.iter().map(|(_, next)| *next).max().unwrap_or(0);
        self.known = self.next;
        let folder = self.settings.folder.clone();
        self.names.clean(&folder, self.next, !state.is_restored()).context(|| format!("folder '{}'", folder.display()))?;
        self.take_over(&state.list_state::<PartState>(PARTS)?)
    }

    fn write(&mut self, value: T, timestamp: Timestamp) -> Result<()> {
        let now = self.world.now();
        self.put(&value, timestamp, now)
    }

    /// Reads the clock once.
    fn write_batch(&mut self, rows: Rows<T>) -> Result<()> {
        let now = self.world.now();
        rows.values.iter().enumerate().try_for_each(|(row, value)| self.put(value, rows.timestamp(row), now))
    }

    fn write_watermark(&mut self, watermark: Timestamp) -> Result<()> {
        self.watermark = watermark;
        Ok(())
    }

    fn flush(&mut self, end_of_input: bool) -> Result<()> {
        if !end_of_input {
            return self.parts.values_mut().try_for_each(Part::flush);
        }
        if self.settings.always && self.parts.is_empty() {
            let now = self.world.now();
            self.part(String::new(), now)?;
        }
        self.close_where(|_| true)
    }

    fn prepare_commit(&mut self) -> Result<Vec<Committable>> {
        if self.settings.rolling.rolls_on_checkpoint() {
            self.close_where(|_| true)?;
        }
        Ok(self.pending.drain(..).map(|(_, part)| Committable::new(&part)).collect())
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        let stored = |(bucket, part): (&String, &mut Part<T>)| -> Result<PartState> {
            Ok(PartState { bucket: bucket.clone(), part: part.persist()?, began: part.began, written: part.written })
        };
        let parts = self.parts.iter_mut().map(stored).collect::<Result<Vec<_>>>()?;
        self.known = self.next;
        state.put_list_state(PARTS, &parts)?;
        state.put_union_list_state(NUMBERS, &[(self.names.token.clone(), self.next)])
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.parts.values().filter_map(|part| self.settings.rolling.due(part.began, part.written)).min()
    }

    fn on_processing_time(&mut self, now: Timestamp) -> Result<()> {
        let rolling = self.settings.rolling;
        self.close_where(|part| rolling.due(part.began, part.written).is_some_and(|at| at <= now))
    }

    /// Removes what no checkpoint can know.
    fn close(&mut self) -> Result<()> {
        let is_unknown = |number: Option<u64>| number.is_some_and(|number| number >= self.known);
        let mut result = Ok(());
        for part in std::mem::take(&mut self.parts).into_values().filter(|part| is_unknown(part.number)) {
            result = result.and(part.discard());
        }
        for (_, part) in self.pending.drain(..).filter(|(number, _)| is_unknown(*number)) {
            result = result.and(super::part::remove(part.unfinished.as_ref()));
        }
        result
    }
}
