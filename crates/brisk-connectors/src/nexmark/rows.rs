//! Columns of events of one kind in the making, a block of events at a time and column after column.
//!
//! Only the columns that somebody wants are filled. The numbers of a block's bids come first and their texts then: those lie all over a
//! memory that is larger than a cache, so many are fetched at once before they are copied.

use super::event::{Bid, EPOCH, Scratch, Stream};
use super::text::Texts;
use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use std::ops::Range;
use std::sync::Arc;

/// Bids whose texts are fetched at once: they fit the first cache.
const FETCHED_AT_ONCE: usize = 64;

/// What kind of event a table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Person,
    Auction,
    Bid,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Person, Self::Auction, Self::Bid];

    /// Which of each 50 events are of this kind.
    const fn offsets(self) -> Range<u64> {
        match self {
            Self::Person => 0..1,
            Self::Auction => 1..4,
            Self::Bid => 4..EPOCH,
        }
    }

    /// The events of this kind within a block, as runs.
    fn runs(self, block: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let Range { start, end } = *block;
        let offsets = self.offsets();
        let epochs = start / EPOCH..end.div_ceil(EPOCH);
        epochs.map(move |epoch| {
            let from = (epoch * EPOCH + offsets.start).max(start);
            from..(epoch * EPOCH + offsets.end).min(end).max(from)
        })
    }
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

/// The values of a column in the making.
enum Values {
    Numbers(Vec<i64>),
    Times(Vec<i64>),
    Texts(StringBuilder),
}

/// A column in the making.
struct Column {
    values: Values,
    /// Whether somebody reads it; else it stays empty.
    is_wanted: bool,
}

impl Column {
    fn new(column_type: ColumnType, is_wanted: bool) -> Self {
        let values = match column_type {
            ColumnType::Number => Values::Numbers(Vec::new()),
            ColumnType::Time => Values::Times(Vec::new()),
            ColumnType::Text => Values::Texts(StringBuilder::new()),
        };
        Self { values, is_wanted }
    }

    /// Adds numbers or times.
    fn numbers(&mut self, more: impl IntoIterator<Item = i64>) {
        if let (true, Values::Numbers(values) | Values::Times(values)) = (self.is_wanted, &mut self.values) {
            values.extend(more);
        }
    }

    fn texts<'t>(&mut self, more: impl IntoIterator<Item = &'t str>) {
        if let (true, Values::Texts(values)) = (self.is_wanted, &mut self.values) {
            more.into_iter().for_each(|text| values.append_value(text));
        }
    }

    /// The column; what comes next has the memory for about as much.
    fn finish(&mut self) -> ArrayRef {
        let taken = |values: &mut Vec<i64>| {
            let next = Vec::with_capacity(values.len() + values.len() / 8);
            std::mem::replace(values, next)
        };
        match &mut self.values {
            Values::Numbers(values) => Arc::new(Int64Array::from(taken(values))),
            Values::Times(values) => Arc::new(TimestampMillisecondArray::from(taken(values))),
            Values::Texts(values) => {
                let (rows, bytes) = (values.offsets_slice().len(), values.values_slice().len());
                let next = StringBuilder::with_capacity(rows + rows / 8, bytes + bytes / 8);
                Arc::new(std::mem::replace(values, next).finish())
            }
        }
    }
}

/// See the module.
pub(super) struct Rows {
    kind: Kind,
    stream: Stream,
    /// In the order of the kind.
    columns: Vec<Column>,
    len: usize,
    /// The bids of the block at hand.
    bids: Vec<Bid>,
    scratch: Scratch,
}

impl Rows {
    /// With these columns, or with all.
    pub(super) fn new(kind: Kind, stream: Stream, wanted: Option<&[usize]>) -> Self {
        let is_wanted = |index: usize| wanted.is_none_or(|wanted| wanted.contains(&index));
        let columns = columns_of(kind).iter().enumerate();
        let columns = columns.map(|(index, (_, column_type))| Column::new(*column_type, is_wanted(index))).collect();
        Self { kind, stream, columns, len: 0, bids: Vec::new(), scratch: Scratch::default() }
    }

    /// Number of rows.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Adds the events of a block that are of this kind.
    pub(super) fn add(&mut self, block: &Range<u64>) {
        let events = self.kind.runs(block).flatten();
        match self.kind {
            Kind::Person => events.for_each(|n| self.add_person(n)),
            Kind::Auction => events.for_each(|n| self.add_auction(n)),
            Kind::Bid => self.add_bids(block),
        }
    }

    fn add_person(&mut self, n: u64) {
        let [id, name, email, card, city, state, ts, extra] = &mut *self.columns else { return };
        let person = self.stream.person(n, &mut self.scratch);
        id.numbers([person.id]);
        name.texts([person.name]);
        email.texts([person.email]);
        card.texts([person.card]);
        city.texts([person.city]);
        state.texts([person.state]);
        ts.numbers([self.stream.time_of(n)]);
        extra.texts([&Texts::get().pool[person.extra]]);
        self.len += 1;
    }

    fn add_auction(&mut self, n: u64) {
        let [id, item, description, initial_bid, reserve, ts, expires, seller, category, extra] = &mut *self.columns else { return };
        let auction = self.stream.auction(n, &mut self.scratch);
        id.numbers([auction.id]);
        item.texts([auction.item]);
        description.texts([auction.description]);
        initial_bid.numbers([auction.initial_bid]);
        reserve.numbers([auction.reserve]);
        ts.numbers([self.stream.time_of(n)]);
        expires.numbers([auction.expires]);
        seller.numbers([auction.seller]);
        category.numbers([auction.category]);
        extra.texts([&Texts::get().pool[auction.extra]]);
        self.len += 1;
    }

    fn add_bids(&mut self, block: &Range<u64>) {
        let [auction, bidder, price, channel, url, ts, extra] = &mut *self.columns else { return };
        let (texts, stream, bids) = (Texts::get(), &self.stream, &mut self.bids);
        bids.clear();
        for run in Kind::Bid.runs(block) {
            ts.numbers(stream.times(run.clone()));
            bids.extend(run.map(|n| stream.bid(n, texts)));
        }
        auction.numbers(bids.iter().map(|bid| bid.auction));
        bidder.numbers(bids.iter().map(|bid| bid.bidder));
        price.numbers(bids.iter().map(|bid| bid.price));
        let reads_texts = channel.is_wanted || url.is_wanted || extra.is_wanted;
        for bids in bids.chunks(FETCHED_AT_ONCE).filter(|_| reads_texts) {
            bids.iter().for_each(|bid| texts.fetch(bid));
            channel.texts(bids.iter().map(|bid| texts.channel(bid.channel)));
            url.texts(bids.iter().map(|bid| texts.url(bid.channel)));
            extra.texts(bids.iter().map(|bid| &texts.pool[bid.extra.clone()]));
        }
        self.len += bids.len();
    }

    /// The columns of the kind, those that nobody wants empty, and the number of rows; begins anew.
    pub(super) fn finish(&mut self) -> (Vec<ArrayRef>, usize) {
        (self.columns.iter_mut().map(Column::finish).collect(), std::mem::take(&mut self.len))
    }
}
