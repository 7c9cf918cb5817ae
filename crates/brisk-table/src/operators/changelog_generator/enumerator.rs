//! Deals the splits out: split i to reader i modulo their number, so that who reads what does not depend on time.

use brisk_base::Result;
use brisk_core::source::{EnumeratorContext, SourceSplit, SplitEnumerator};
use brisk_core::types::Record;

/// A part of the changelog.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct GeneratorSplit {
    /// Its number.
    pub index: u32,
    /// Rows of it that have been read.
    pub read: u64,
}

impl SourceSplit for GeneratorSplit {
    fn split_id(&self) -> String {
        format!("split-{}", self.index)
    }
}

/// See the module.
pub(super) struct SplitAssigner {
    /// Splits that no reader has.
    unassigned: Vec<GeneratorSplit>,
}

impl SplitAssigner {
    pub(super) fn new(splits: u32) -> Self {
        Self { unassigned: (0..splits).map(|index| GeneratorSplit { index, read: 0 }).collect() }
    }
}

impl From<Vec<GeneratorSplit>> for SplitAssigner {
    fn from(unassigned: Vec<GeneratorSplit>) -> Self {
        Self { unassigned }
    }
}

impl SplitEnumerator<GeneratorSplit, Vec<GeneratorSplit>> for SplitAssigner {
    fn add_reader(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, GeneratorSplit>) -> Result<()> {
        let parallelism = cx.parallelism;
        for split in self.unassigned.extract_if(.., |split| split.index % parallelism == subtask) {
            cx.assign_split(split, subtask);
        }
        cx.signal_no_more_splits(subtask);
        Ok(())
    }

    /// Readers need not ask.
    fn handle_split_request(&mut self, _subtask: u32, _cx: &mut EnumeratorContext<'_, GeneratorSplit>) -> Result<()> {
        Ok(())
    }

    fn add_splits_back(&mut self, splits: Vec<GeneratorSplit>, _subtask: u32) {
        self.unassigned.extend(splits);
    }

    fn snapshot(&mut self) -> Result<Vec<GeneratorSplit>> {
        Ok(self.unassigned.clone())
    }
}
