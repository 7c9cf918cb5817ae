//! Splits of an indexed range: one stretch per subtask, the same ones each time.

use brisk_base::{Error, Result};
use brisk_core::source::{EnumeratorContext, SourceSplit, SplitEnumerator};
use brisk_core::types::{Decoder, Field, Record, Schema};

/// The indexes `next..end`, of which those before `next` have been read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeSplit {
    /// Number of the split.
    pub(crate) number: u32,
    /// The next index to read.
    pub(crate) next: u64,
    /// The index after the last.
    pub(crate) end: u64,
}

impl Record for RangeSplit {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.number, self.next, self.end).encode(out);
    }

    fn decode(input: &mut Decoder<'_>) -> Result<Self> {
        let (number, next, end) = Record::decode(input)?;
        if next > end {
            return Err(Error::corrupt(format!("split {number} goes from {next} to {end}")));
        }
        Ok(Self { number, next, end })
    }

    fn schema() -> Schema {
        let fields = vec![Field::new("number", u32::schema()), Field::new("next", u64::schema()), Field::new("end", u64::schema())];
        Schema::Struct { name: "RangeSplit".to_owned(), fields }
    }
}

impl SourceSplit for RangeSplit {
    fn split_id(&self) -> String {
        self.number.to_string()
    }
}

/// Cuts a range into one split per reader; reader i gets split i.
pub(crate) struct RangeEnumerator {
    /// Where it begins.
    begin: Begin,
    /// What waits for each reader.
    waiting: Vec<Vec<RangeSplit>>,
}

/// Where an enumerator begins.
enum Begin {
    /// With this many indexes.
    Fresh(u64),
    /// With the splits that nobody had when the checkpoint was taken.
    Restored(Vec<RangeSplit>),
}

impl RangeEnumerator {
    pub(crate) const fn new(len: u64) -> Self {
        Self { begin: Begin::Fresh(len), waiting: Vec::new() }
    }

    pub(crate) const fn restored(unassigned: Vec<RangeSplit>) -> Self {
        Self { begin: Begin::Restored(unassigned), waiting: Vec::new() }
    }
}

impl SplitEnumerator<RangeSplit, Vec<RangeSplit>> for RangeEnumerator {
    fn start(&mut self, cx: &mut EnumeratorContext<'_, RangeSplit>) -> Result<()> {
        let readers = u128::from(cx.parallelism);
        let splits = match &mut self.begin {
            Begin::Restored(unassigned) => std::mem::take(unassigned),
            Begin::Fresh(len) => {
                let bound = |number: u32| (u128::from(*len) * u128::from(number) / readers) as u64;
                let split = |number| RangeSplit { number, next: bound(number), end: bound(number + 1) };
                (0..cx.parallelism).map(split).filter(|split| split.next < split.end).collect()
            }
        };
        self.waiting = vec![Vec::new(); cx.parallelism as usize];
        for split in splits {
            self.waiting[(split.number % cx.parallelism) as usize].push(split);
        }
        Ok(())
    }

    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, RangeSplit>) -> Result<()> {
        for split in self.waiting.get_mut(subtask as usize).map(std::mem::take).unwrap_or_default() {
            cx.assign_split(split, subtask);
        }
        cx.signal_no_more_splits(subtask);
        Ok(())
    }

    fn add_splits_back(&mut self, splits: Vec<RangeSplit>, subtask: u32) {
        if let Some(waiting) = self.waiting.get_mut(subtask as usize) {
            waiting.extend(splits);
        }
    }

    fn snapshot(&mut self) -> Result<Vec<RangeSplit>> {
        Ok(self.waiting.concat())
    }
}
