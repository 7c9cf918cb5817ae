//! Fills columns with events of one kind.

use super::event::{EPOCH, Stream};
use super::text::Texts;
use crate::columns::{ColumnReader, Read};
use arrow_array::ArrayRef;
use arrow_array::builder::{Int64Builder, StringBuilder, TimestampMillisecondBuilder};
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

/// What kind of event a table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Person,
    Auction,
    Bid,
}

impl Kind {
    /// Which of each 50 events are of this kind.
    const fn holds(self, n: u64) -> bool {
        match self {
            Self::Person => n.is_multiple_of(EPOCH),
            Self::Auction => matches!(n % EPOCH, 1..4),
            Self::Bid => n % EPOCH >= 4,
        }
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
    /// When the first event was made, and how many have been since: for the rate limit.
    started: Option<Timestamp>,
    made: u64,
}

impl NexmarkReader {
    pub(super) const fn new(config: Config) -> Self {
        Self { config, splits: Vec::new(), started: None, made: 0 }
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
    fn add_block(&mut self, rows: &mut Rows, others: &mut [(Kind, Rows)]) -> bool {
        let Some(at) = (0..self.splits.len()).min_by_key(|at| self.splits[*at].next) else { return false };
        let Config { kind, stream, end, .. } = self.config;
        let split = &mut self.splits[at];
        let block = split.next..(split.next + BLOCK).min(end);
        self.made += block.end - block.start;
        split.next = split.next.saturating_add(BLOCK * SPLITS);
        if split.next >= end {
            self.splits.swap_remove(at);
        }
        for n in block {
            if kind.holds(n) {
                rows.add(kind, &stream, n);
            } else if let Some((kind, rows)) = others.iter_mut().find(|(kind, _)| kind.holds(n)) {
                rows.add(*kind, &stream, n);
            }
        }
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
        let mut rows = Rows::default();
        let mut others = Vec::new();
        if self.config.all_kinds {
            let kinds = [Kind::Person, Kind::Auction, Kind::Bid];
            others.extend(kinds.into_iter().filter(|kind| *kind != self.config.kind).map(|kind| (kind, Rows::default())));
        }
        let blocks = if self.config.rows_per_second.is_some() { 1 } else { BATCH_BLOCKS };
        for _ in 0..blocks {
            if !self.add_block(&mut rows, &mut others) || rows.count >= BATCH_ROWS {
                break;
            }
        }
        for (kind, rows) in &mut others {
            std::hint::black_box(rows.finish(*kind, &[])?);
        }
        rows.finish(self.config.kind, &self.config.columns).map(Read::Batch)
    }

    fn splits(&self) -> Vec<NexmarkSplit> {
        self.splits.clone()
    }
}

/// Columns in the making: numbers, times and texts of a kind, each in their order.
#[derive(Default)]
struct Rows {
    count: usize,
    numbers: [Int64Builder; 6],
    times: [TimestampMillisecondBuilder; 2],
    texts: [StringBuilder; 6],
}

impl Rows {
    fn add(&mut self, kind: Kind, stream: &Stream, n: u64) {
        let texts = Texts::get();
        let time = stream.time_of(n);
        self.count += 1;
        self.times[0].append_value(time);
        match kind {
            Kind::Person => {
                let person = stream.person(n);
                self.numbers[0].append_value(person.id);
                let texts = [&*person.name, &person.email, &person.card, person.city, person.state, &texts.pool[person.extra]];
                self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_value(text));
            }
            Kind::Auction => {
                let auction = stream.auction(n);
                let numbers = [auction.id, auction.initial_bid, auction.reserve, auction.seller, auction.category];
                self.numbers.iter_mut().zip(numbers).for_each(|(column, number)| column.append_value(number));
                self.times[1].append_value(auction.expires);
                let texts = [&*auction.item, &auction.description, &texts.pool[auction.extra]];
                self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_value(text));
            }
            Kind::Bid => {
                let bid = stream.bid(n);
                let numbers = [bid.auction, bid.bidder, bid.price];
                self.numbers.iter_mut().zip(numbers).for_each(|(column, number)| column.append_value(number));
                let texts = [&*texts.channels[bid.channel], &texts.urls[bid.channel], &texts.pool[bid.extra]];
                self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_value(text));
            }
        }
    }

    fn finish(&mut self, kind: Kind, wanted: &[usize]) -> Result<Columns> {
        let rows = self.count;
        let [mut numbers, mut times] = [0, 0];
        let mut texts = 0;
        let mut columns: Vec<ArrayRef> = Vec::new();
        for (_, column_type) in columns_of(kind) {
            columns.push(match column_type {
                ColumnType::Number => Arc::new(self.numbers[post_increment(&mut numbers)].finish()),
                ColumnType::Time => Arc::new(self.times[post_increment(&mut times)].finish()),
                ColumnType::Text => Arc::new(self.texts[post_increment(&mut texts)].finish()),
            });
        }
        let columns = wanted.iter().map(|column| Arc::clone(&columns[*column])).collect();
        Ok(Columns { columns, rows, ..Columns::default() })
    }
}

const fn post_increment(index: &mut usize) -> usize {
    *index += 1;
    *index - 1
}

/// Type of a column of a kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ColumnType {
    Number,
    Time,
    Text,
}

/// Names and types of the columns of a kind.
pub(super) const fn columns_of(kind: Kind) -> &'static [(&'static str, ColumnType)] {
    use ColumnType::{Number, Text, Time};
    match kind {
        Kind::Person => &[
            ("id", Number),
            ("name", Text),
            ("email", Text),
            ("card", Text),
            ("city", Text),
            ("state", Text),
            ("ts", Time),
            ("extra", Text),
        ],
        Kind::Auction => &[
            ("id", Number),
            ("item", Text),
            ("description", Text),
            ("initial_bid", Number),
            ("reserve", Number),
            ("ts", Time),
            ("expires", Time),
            ("seller", Number),
            ("category", Number),
            ("extra", Text),
        ],
        Kind::Bid => {
            &[("auction", Number), ("bidder", Number), ("price", Number), ("channel", Text), ("url", Text), ("ts", Time), ("extra", Text)]
        }
    }
}
