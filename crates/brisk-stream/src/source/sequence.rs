//! A bounded source of consecutive numbers.

use super::range::{RangeEnumerator, RangeSplit};
use brisk_base::Result;
use brisk_core::operator::{RuntimeContext, SourcePoll};
use brisk_core::source::{Boundedness, ReaderContext, Source, SourceOutput, SourceReader, SplitEnumerator};

/// The numbers of a range in order, each subtask a stretch of them (Flink's `NumberSequenceSource`).
#[derive(Clone, Copy, Debug)]
pub struct SequenceSource {
    from: i64,
    to: i64,
}

impl SequenceSource {
    /// From `from` to `to`, both included; nothing when `to` is lower. The last number of a range of 2^64 is left out.
    pub const fn new(from: i64, to: i64) -> Self {
        Self { from, to }
    }

    fn len(self) -> u64 {
        u64::try_from(i128::from(self.to) - i128::from(self.from) + 1).unwrap_or(if self.to < self.from { 0 } else { u64::MAX })
    }
}

impl Source for SequenceSource {
    type Out = i64;
    type Split = RangeSplit;
    type EnumeratorState = Vec<RangeSplit>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<RangeSplit, Vec<RangeSplit>>>> {
        Ok(Box::new(RangeEnumerator::new(self.len())))
    }

    fn restore_enumerator(&self, unassigned: Vec<RangeSplit>) -> Result<Box<dyn SplitEnumerator<RangeSplit, Vec<RangeSplit>>>> {
        Ok(Box::new(RangeEnumerator::restored(unassigned)))
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<i64, RangeSplit>>> {
        Ok(Box::new(SequenceReader { from: self.from, splits: Vec::new(), no_more: false }))
    }
}

/// Counts through its splits.
struct SequenceReader {
    /// The number of index 0.
    from: i64,
    /// What is still to be read.
    splits: Vec<RangeSplit>,
    /// Whether no more splits come.
    no_more: bool,
}

impl SourceReader<i64, RangeSplit> for SequenceReader {
    fn poll_next(&mut self, _cx: &mut ReaderContext<'_>, out: &mut SourceOutput<i64>) -> Result<SourcePoll> {
        let Some(split) = self.splits.first_mut() else {
            return Ok(if self.no_more { SourcePoll::Finished } else { SourcePoll::Waiting });
        };
        let id = split.number.to_string();
        out.select_split(&id);
        let end = split.end.min(split.next.saturating_add(out.full_batch() as u64));
        (split.next..end).for_each(|index| out.collect(self.from.wrapping_add_unsigned(index)));
        split.next = end;
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
