//! Deals the splits out.

use brisk_base::Result;
use brisk_core::source::{EnumeratorContext, SourceSplit, SplitEnumerator};

/// Splits with their numbers that no reader has.
pub(super) struct Dealer<S> {
    unassigned: Vec<(u32, S)>,
}

impl<S> Dealer<S> {
    pub(super) fn new(splits: Vec<S>) -> Self {
        Self { unassigned: (0..).zip(splits).collect() }
    }

    pub(super) const fn restored(unassigned: Vec<(u32, S)>) -> Self {
        Self { unassigned }
    }
}

impl<S: SourceSplit> SplitEnumerator<S, Vec<(u32, S)>> for Dealer<S> {
    fn add_reader(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, S>) -> Result<()> {
        let parallelism = cx.parallelism;
        for (_, split) in self.unassigned.extract_if(.., |(index, _)| *index % parallelism == subtask) {
            cx.assign_split(split, subtask);
        }
        cx.signal_no_more_splits(subtask);
        Ok(())
    }

    /// Readers need not ask.
    fn handle_split_request(&mut self, _subtask: u32, _cx: &mut EnumeratorContext<'_, S>) -> Result<()> {
        Ok(())
    }

    fn add_splits_back(&mut self, splits: Vec<S>, subtask: u32) {
        self.unassigned.extend(splits.into_iter().map(|split| (subtask, split)));
    }

    fn snapshot(&mut self) -> Result<Vec<(u32, S)>> {
        Ok(self.unassigned.clone())
    }
}
