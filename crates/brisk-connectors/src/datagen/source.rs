//! Hands each subtask its indices, and makes their records when they are due.

use super::config::Generator;
use brisk_base::Result;
use brisk_base::world::MonoTime;
use brisk_core::operator::SourcePoll;
use brisk_core::source::{EnumeratorContext, ReaderContext, SourceOutput, SourceReader, SourceSplit, SplitEnumerator};
use brisk_core::types::Record;
use std::collections::VecDeque;
use std::time::Duration;

/// Every `step`-th index from `next` on.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub struct GeneratorSplit {
    /// The first index; names the split.
    pub first: u64,
    /// The next index to make.
    pub next: u64,
    /// Distance between indices.
    pub step: u64,
    /// All indices are below.
    pub end: u64,
}

impl SourceSplit for GeneratorSplit {
    fn split_id(&self) -> String {
        self.first.to_string()
    }
}

/// Gives each subtask one split.
pub(super) struct GeneratorEnumerator {
    /// Number of indices; `None` for an enumerator that goes on from a checkpoint.
    count: Option<u64>,
    /// Splits by subtask; `None` when it has been handed out.
    splits: Vec<Option<GeneratorSplit>>,
    /// Splits that came back.
    returned: Vec<GeneratorSplit>,
}

impl GeneratorEnumerator {
    pub(super) const fn new(count: u64) -> Self {
        Self { count: Some(count), splits: Vec::new(), returned: Vec::new() }
    }

    pub(super) const fn restored(unassigned: Vec<GeneratorSplit>) -> Self {
        Self { count: None, splits: Vec::new(), returned: unassigned }
    }
}

impl SplitEnumerator<GeneratorSplit, Vec<GeneratorSplit>> for GeneratorEnumerator {
    fn start(&mut self, cx: &mut EnumeratorContext<'_, GeneratorSplit>) -> Result<()> {
        let Some(end) = self.count else { return Ok(()) };
        let step = u64::from(cx.parallelism);
        self.splits = (0..step).map(|first| Some(GeneratorSplit { first, next: first, step, end })).collect();
        Ok(())
    }

    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, GeneratorSplit>) -> Result<()> {
        let own = self.splits.get_mut(subtask as usize).and_then(Option::take);
        for split in own.into_iter().chain(self.returned.drain(..)) {
            cx.assign_split(split, subtask);
        }
        cx.signal_no_more_splits(subtask);
        Ok(())
    }

    fn add_splits_back(&mut self, splits: Vec<GeneratorSplit>, _subtask: u32) {
        self.returned.extend(splits);
    }

    fn snapshot(&mut self) -> Result<Vec<GeneratorSplit>> {
        Ok(self.splits.iter().flatten().chain(&self.returned).cloned().collect())
    }
}

/// Makes the records of one subtask.
pub(super) struct GeneratorReader<T> {
    generator: Generator<T>,
    per_second: Option<f64>,
    /// When index `base` was due: the beginning of the rate.
    start: Option<(MonoTime, u64)>,
    splits: VecDeque<GeneratorSplit>,
    no_more: bool,
}

impl<T> GeneratorReader<T> {
    pub(super) const fn new(generator: Generator<T>, per_second: Option<f64>) -> Self {
        Self { generator, per_second, start: None, splits: VecDeque::new(), no_more: false }
    }
}

/// How long after the start the index is due.
fn due_after(index: u64, base: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(index.saturating_sub(base) as f64 / rate).unwrap_or(Duration::MAX)
}

impl<T: Record> SourceReader<T, GeneratorSplit> for GeneratorReader<T> {
    fn poll_next(&mut self, cx: &mut ReaderContext<'_>, out: &mut SourceOutput<T>) -> Result<SourcePoll> {
        let Some(split) = self.splits.front_mut() else {
            return Ok(if self.no_more { SourcePoll::Finished } else { SourcePoll::Waiting });
        };
        let now = cx.runtime.world.mono();
        // Indices of a split that is restored count from where it goes on; all subtasks of a new one from 0.
        let (start, base) = *self.start.get_or_insert((now, split.next - split.first));
        out.select_split(&split.split_id());
        while !out.is_full() && split.next < split.end {
            let due = match self.per_second {
                None => now,
                Some(rate) => start.after(due_after(split.next, base, rate)),
            };
            if due > now {
                cx.wake_after(due.since(now));
                return Ok(SourcePoll::Waiting);
            }
            out.collect((self.generator)(split.next, due));
            split.next = split.next.saturating_add(split.step);
        }
        if split.next >= split.end {
            out.release_split(&split.split_id());
            self.splits.pop_front();
        }
        Ok(SourcePoll::More)
    }

    fn add_splits(&mut self, splits: Vec<GeneratorSplit>) -> Result<()> {
        self.splits.extend(splits);
        Ok(())
    }

    fn no_more_splits(&mut self) {
        self.no_more = true;
    }

    fn snapshot(&self) -> Vec<GeneratorSplit> {
        self.splits.iter().cloned().collect()
    }
}
