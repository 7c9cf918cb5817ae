//! Reads the splits of one subtask in turn, a batch at a time.
//!
//! The watermark is the minimum over the splits that are not read to their end; it is marked at the row after which it advances. A
//! checkpoint holds the splits with how far they have been read.

use super::{ChangelogGeneratorConfig, GeneratorSplit, OrderChange, OrderChanges};
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMillisecondArray};
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::batch::{AnyBatch, Columns, RowKind};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Rest, SnapshotContext, SourcePoll};
use brisk_core::source::{SourceEvent, SourceSplit};
use brisk_core::state::{EventTimeStanding, OperatorSnapshot, Redistribution};
use brisk_core::types::{Decoder, Record};
use std::sync::Arc;

/// Name of the operator state with the splits.
const SPLITS: &str = "$splits";

/// A split that is being read.
struct ReadSplit {
    split: GeneratorSplit,
    changes: OrderChanges,
    /// Its own watermark.
    watermark: Timestamp,
}

/// See the module.
pub(super) struct ChangelogReader {
    config: ChangelogGeneratorConfig,
    /// Splits that are not read to their end.
    splits: Vec<ReadSplit>,
    /// No further splits will come.
    no_more_splits: bool,
    /// The combined watermark that was given last.
    watermark: Timestamp,
}

impl ChangelogReader {
    pub(super) fn new(config: ChangelogGeneratorConfig) -> Self {
        Self { config, splits: Vec::new(), no_more_splits: false, watermark: Timestamp::MIN }
    }

    fn add_split(&mut self, split: GeneratorSplit) -> Result<()> {
        let mut changes = OrderChanges::new(&self.config, split.index);
        let skipped = (0..split.read).map_while(|_| changes.next());
        let watermark = skipped.map(|change| change.watermark).max().unwrap_or(Timestamp::MIN);
        if self.splits.iter().any(|other| other.split.index == split.index) {
            return Err(Error::bug(format!("{} is assigned twice", split.split_id())));
        }
        self.splits.push(ReadSplit { split, changes, watermark });
        Ok(())
    }

    /// The next batch of the split that is furthest behind.
    fn read(&mut self) -> Result<Option<Columns>> {
        let behind = |at: &usize| (self.splits[*at].split.read, self.splits[*at].split.index);
        let Some(at) = (0..self.splits.len()).min_by_key(behind) else { return Ok(None) };
        let others = self.splits.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, split)| split.watermark).min();
        let others = others.unwrap_or(Timestamp::MAX);
        let split = &mut self.splits[at];
        let mut rows = OrderRows::default();
        for change in split.changes.by_ref().take(self.config.batch_rows as usize) {
            rows.push(&change);
            split.watermark = split.watermark.max(change.watermark);
            let combined = split.watermark.min(others);
            if combined > self.watermark {
                self.watermark = combined;
                rows.batch.mark(combined);
            }
        }
        split.split.read += rows.batch.rows as u64;
        if rows.batch.rows < self.config.batch_rows as usize {
            self.splits.swap_remove(at);
            if others > self.watermark && others < Timestamp::MAX {
                self.watermark = others;
                rows.batch.mark(others);
            }
        }
        rows.finish(&self.config).map(Some)
    }
}

impl Operator for ChangelogReader {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(standing) = EventTimeStanding::restored(cx.runtime)? {
            self.watermark = standing.watermark;
        }
        let splits: Vec<GeneratorSplit> = cx.runtime.state.operator_state(SPLITS)?;
        splits.into_iter().try_for_each(|split| self.add_split(split))
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        snapshot.add_operator_state(SPLITS, Redistribution::Split, self.splits.iter().map(|split| &split.split));
        EventTimeStanding { watermark: self.watermark, generator: None, idle: false }.snapshot(cx.runtime, snapshot);
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, _batch: Box<dyn AnyBatch>, _cx: &mut OperatorContext<'_>) -> Result<Rest> {
        Err(Error::bug("a source has no input"))
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        match self.read()? {
            Some(batch) if batch.rows > 0 => cx.emit(MAIN_PORT, Box::new(batch)),
            Some(batch) => batch.marks.iter().for_each(|mark| cx.emit_watermark(mark.watermark)),
            None if self.no_more_splits => {
                cx.emit_watermark(Timestamp::MAX);
                return Ok(SourcePoll::Finished);
            }
            None => return Ok(SourcePoll::Waiting),
        }
        Ok(SourcePoll::More)
    }

    fn handle_event(&mut self, event: SourceEvent, _cx: &mut OperatorContext<'_>) -> Result<()> {
        match event {
            SourceEvent::AddSplits(splits) => splits.iter().try_for_each(|bytes| {
                let split = GeneratorSplit::decode(&mut Decoder::new(bytes)).context(|| "source split")?;
                self.add_split(split)
            }),
            SourceEvent::NoMoreSplits => {
                self.no_more_splits = true;
                Ok(())
            }
            other => Err(Error::bug(format!("a coordinator sent {other:?}, which this source does not know"))),
        }
    }
}

/// A batch in the making.
#[derive(Default)]
struct OrderRows {
    /// Everything but the columns.
    batch: Columns,
    keys: Vec<u64>,
    quantities: Vec<Option<i64>>,
    prices: Vec<f64>,
    placed: Vec<i64>,
}

impl OrderRows {
    fn push(&mut self, change: &OrderChange) {
        self.batch.rows += 1;
        self.batch.kinds.push(change.kind);
        self.batch.timestamps.push(change.at);
        self.keys.push(change.order.key);
        self.quantities.push(change.order.quantity);
        self.prices.push(change.order.price);
        self.placed.push(change.order.placed.0);
    }

    fn finish(mut self, config: &ChangelogGeneratorConfig) -> Result<Columns> {
        let keys: ArrayRef = if config.text_keys {
            Arc::new(StringArray::from_iter_values(self.keys.iter().map(|key| format!("key-{key}"))))
        } else {
            Arc::new(Int64Array::from_iter_values(self.keys.iter().map(|key| *key as i64)))
        };
        let (quantities, prices) = (Int64Array::from(self.quantities), Float64Array::from(self.prices));
        self.batch.columns = vec![keys, Arc::new(quantities), Arc::new(prices), Arc::new(TimestampMillisecondArray::from(self.placed))];
        if self.batch.kinds.iter().all(|kind| *kind == RowKind::Insert) {
            self.batch.kinds.clear();
        }
        Ok(self.batch)
    }
}
