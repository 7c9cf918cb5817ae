//! Reads the events of one kind, block by block.

use super::event::Stream;
use super::rows::{Kind, Rows};
use crate::columns::{ColumnReader, Read};
use brisk_base::{Result, Timestamp};
use brisk_core::batch::Columns;
use brisk_core::operator::RuntimeContext;
use brisk_core::source::SourceSplit;
use brisk_core::types::Record;
use std::sync::Arc;
use std::time::Duration;

/// Events that follow each other in one split.
pub(super) const BLOCK: u64 = 500;
/// Parts that may be read in parallel: blocks go to them in turn.
pub(super) const SPLITS: u64 = 32;
/// Rows after which a batch is given.
const BATCH_ROWS: usize = 2048;
/// Blocks after which a batch is given, however few rows it has.
const BATCH_BLOCKS: usize = 64;

/// Every 32nd block of events.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
pub(super) struct NexmarkSplit {
    /// Its number.
    pub(super) index: u32,
    /// The event that begins its next block.
    pub(super) next: u64,
}

impl SourceSplit for NexmarkSplit {
    fn split_id(&self) -> String {
        format!("events-{}", self.index)
    }
}

/// What a table of events is made of.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) kind: Kind,
    pub(super) stream: Stream,
    /// The first event.
    pub(super) first: u64,
    /// One past the last event; `u64::MAX` for a stream without end.
    pub(super) end: u64,
    /// Events per second of wall time, of all subtasks.
    pub(super) rows_per_second: Option<u64>,
    /// Whether events of the other kinds are made too, and dropped.
    pub(super) all_kinds: bool,
    /// Which of the kind's columns are wanted, in the table's order.
    pub(super) columns: Vec<usize>,
}

/// See the module.
pub(super) struct NexmarkReader {
    config: Config,
    /// Splits that are not read to their end.
    splits: Vec<NexmarkSplit>,
    /// Rows in the making.
    rows: Rows,
    /// Events of the other kinds, where they are made too.
    others: Vec<Rows>,
    /// When the first event was made, and how many have been since: for the rate limit.
    started: Option<Timestamp>,
    made: u64,
}

impl NexmarkReader {
    pub(super) fn new(config: Config) -> Self {
        let Config { kind, stream, all_kinds, .. } = config;
        let others = Kind::ALL.into_iter().filter(|other| all_kinds && *other != kind);
        let others = others.map(|other| Rows::new(other, stream, None)).collect();
        // A source that makes all events makes all of their fields.
        let rows = Rows::new(kind, stream, (!all_kinds).then_some(&*config.columns));
        Self { config, splits: Vec::new(), rows, others, started: None, made: 0 }
    }

    /// How long to wait for the rate limit.
    fn wait(&mut self, cx: &RuntimeContext) -> Option<Duration> {
        let rate = self.config.rows_per_second? as f64 / f64::from(cx.task.parallelism);
        let now = cx.world.now();
        let started = *self.started.get_or_insert(now);
        let due_ms = self.made as f64 * 1000.0 / rate;
        let early_ms = due_ms - (now.0 - started.0) as f64;
        (early_ms > 0.0).then(|| Duration::from_micros((early_ms * 1000.0) as u64 + 1))
    }

    /// Adds the next block of the split that is furthest behind; false when there is none.
    fn add_block(&mut self) -> bool {
        let Some(at) = (0..self.splits.len()).min_by_key(|at| self.splits[*at].next) else { return false };
        let end = self.config.end;
        let split = &mut self.splits[at];
        let block = split.next..(split.next + BLOCK).min(end);
        self.made += block.end - block.start;
        split.next = split.next.saturating_add(BLOCK * SPLITS);
        if split.next >= end {
            self.splits.swap_remove(at);
        }
        self.rows.add(&block);
        self.others.iter_mut().for_each(|rows| rows.add(&block));
        true
    }
}

impl ColumnReader for NexmarkReader {
    type Split = NexmarkSplit;

    fn add_split(&mut self, split: NexmarkSplit) -> Result<()> {
        if split.next < self.config.end {
            self.splits.push(split);
        }
        Ok(())
    }

    fn read(&mut self, cx: &RuntimeContext) -> Result<Read> {
        if self.splits.is_empty() {
            return Ok(Read::End);
        }
        if let Some(span) = self.wait(cx) {
            return Ok(Read::Later(span));
        }
        let blocks = if self.config.rows_per_second.is_some() { 1 } else { BATCH_BLOCKS };
        for _ in 0..blocks {
            if !self.add_block() || self.rows.len() >= BATCH_ROWS {
                break;
            }
        }
        for rows in &mut self.others {
            std::hint::black_box(rows.finish());
        }
        let (columns, rows) = self.rows.finish();
        let wanted = self.config.columns.iter().map(|column| Arc::clone(&columns[*column])).collect();
        Ok(Read::Batch(Columns { columns: wanted, rows, ..Columns::default() }))
    }

    fn splits(&self) -> Vec<NexmarkSplit> {
        self.splits.clone()
    }
}
