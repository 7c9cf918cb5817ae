//! The numbers 0..count in blocks that the readers take in turn, so that the stream is the same for each parallelism and the readers keep
//! step in event time: what the peer's benchmark reads, too.

use brisk::operator::SourcePoll;
use brisk::prelude::*;
use brisk::source::{Boundedness, EnumeratorContext, ReaderContext, Source, SourceOutput, SourceReader, SourceSplit, SplitEnumerator};
use std::collections::BTreeSet;

/// Numbers of one block.
const BLOCK: u64 = 500;

/// See the module.
pub(crate) struct BlockSource {
    pub(crate) count: u64,
}

/// Every `of`-th block, from block `first` on.
#[derive(Clone, Debug, Record)]
pub(crate) struct Blocks {
    next_block: u64,
    of: u64,
}

impl SourceSplit for Blocks {
    fn split_id(&self) -> String {
        (self.next_block % self.of).to_string()
    }
}

/// Gives each reader its blocks, once.
struct InTurn {
    /// Readers that have got theirs.
    given: BTreeSet<u32>,
}

impl SplitEnumerator<Blocks, BTreeSet<u32>> for InTurn {
    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, Blocks>) -> Result<()> {
        if self.given.insert(subtask) {
            cx.assign_split(Blocks { next_block: u64::from(subtask), of: u64::from(cx.parallelism) }, subtask);
        }
        cx.signal_no_more_splits(subtask);
        Ok(())
    }

    fn add_splits_back(&mut self, _splits: Vec<Blocks>, subtask: u32) {
        self.given.remove(&subtask);
    }

    fn snapshot(&mut self) -> Result<BTreeSet<u32>> {
        Ok(self.given.clone())
    }
}

struct Reader {
    count: u64,
    blocks: Option<Blocks>,
}

impl SourceReader<u64, Blocks> for Reader {
    fn poll_next(&mut self, _cx: &mut ReaderContext<'_>, out: &mut SourceOutput<u64>) -> Result<SourcePoll> {
        let Some(blocks) = &mut self.blocks else { return Ok(SourcePoll::Waiting) };
        while !out.is_full() {
            let first = blocks.next_block * BLOCK;
            if first >= self.count {
                return Ok(SourcePoll::Finished);
            }
            out.rows_mut().values.extend(first..(first + BLOCK).min(self.count));
            blocks.next_block += blocks.of;
        }
        Ok(SourcePoll::More)
    }

    fn add_splits(&mut self, splits: Vec<Blocks>) -> Result<()> {
        self.blocks = splits.into_iter().next();
        Ok(())
    }

    fn no_more_splits(&mut self) {}

    fn snapshot(&self) -> Vec<Blocks> {
        self.blocks.iter().cloned().collect()
    }
}

impl Source for BlockSource {
    type Out = u64;
    type Split = Blocks;
    type EnumeratorState = BTreeSet<u32>;

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<Blocks, BTreeSet<u32>>>> {
        self.restore_enumerator(BTreeSet::new())
    }

    fn restore_enumerator(&self, given: BTreeSet<u32>) -> Result<Box<dyn SplitEnumerator<Blocks, BTreeSet<u32>>>> {
        Ok(Box::new(InTurn { given }))
    }

    fn create_reader(&self, _cx: &RuntimeContext) -> Result<Box<dyn SourceReader<u64, Blocks>>> {
        Ok(Box::new(Reader { count: self.count, blocks: None }))
    }
}
