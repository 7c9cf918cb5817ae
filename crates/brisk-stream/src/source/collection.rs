//! A bounded source of records that the program holds.

use super::range::{RangeEnumerator, RangeSplit};
use brisk_base::Result;
use brisk_core::operator::{RuntimeContext, SourcePoll};
use brisk_core::source::{Boundedness, ReaderContext, Source, SourceOutput, SourceReader, SplitEnumerator};
use brisk_core::types::{Decoder, Record};
use std::marker::PhantomData;
use std::sync::Arc;

/// Records of the program, encoded once and read by any number of subtasks.
pub struct CollectionSource<T> {
    records: Arc<Encoded>,
    record: PhantomData<fn() -> T>,
}

/// Encoded records.
struct Encoded {
    bytes: Vec<u8>,
    /// Where each record begins, and the end of the last.
    offsets: Vec<usize>,
}

impl<T: Record> CollectionSource<T> {
    /// A source of these records.
    pub fn new(records: &[T]) -> Self {
        let mut encoded = Encoded { bytes: Vec::new(), offsets: Vec::with_capacity(records.len() + 1) };
        for record in records {
            encoded.offsets.push(encoded.bytes.len());
            record.encode(&mut encoded.bytes);
        }
        encoded.offsets.push(encoded.bytes.len());
        Self { records: Arc::new(encoded), record: PhantomData }
    }
}

impl<T: Record> Source for CollectionSource<T> {
    type Out = T;
    type Split = RangeSplit;
    type EnumeratorState = Vec<RangeSplit>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<RangeSplit, Vec<RangeSplit>>>> {
        Ok(Box::new(RangeEnumerator::new(self.records.offsets.len() as u64 - 1)))
    }

    fn restore_enumerator(&self, unassigned: Vec<RangeSplit>) -> Result<Box<dyn SplitEnumerator<RangeSplit, Vec<RangeSplit>>>> {
        Ok(Box::new(RangeEnumerator::restored(unassigned)))
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<T, RangeSplit>>> {
        Ok(Box::new(CollectionReader { records: Arc::clone(&self.records), splits: Vec::new(), no_more: false }))
    }
}

/// Decodes the records of its splits.
struct CollectionReader {
    records: Arc<Encoded>,
    /// What is still to be read.
    splits: Vec<RangeSplit>,
    /// Whether no more splits come.
    no_more: bool,
}

impl<T: Record> SourceReader<T, RangeSplit> for CollectionReader {
    fn poll_next(&mut self, _cx: &mut ReaderContext<'_>, out: &mut SourceOutput<T>) -> Result<SourcePoll> {
        let Some(split) = self.splits.first_mut() else {
            return Ok(if self.no_more { SourcePoll::Finished } else { SourcePoll::Waiting });
        };
        let id = split.number.to_string();
        out.select_split(&id);
        let offset = self.records.offsets[split.next as usize];
        let mut input = Decoder::new(&self.records.bytes[offset..]);
        while split.next < split.end && !out.is_full() {
            out.collect(T::decode(&mut input)?);
            split.next += 1;
        }
        if split.next == split.end {
            out.release_split(&id);
            self.splits.remove(0);
        }
        Ok(SourcePoll::More)
    }

    fn add_splits(&mut self, splits: Vec<RangeSplit>) -> Result<()> {
        self.splits.extend(splits);
        Ok(())
    }

    fn no_more_splits(&mut self) {
        self.no_more = true;
    }

    fn snapshot(&self) -> Vec<RangeSplit> {
        self.splits.clone()
    }
}
