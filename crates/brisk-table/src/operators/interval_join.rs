//! Joins rows whose event times are not far apart: `left - right` lies between two bounds.
//!
//! Rows are never taken back. A row is kept until the watermark says that no partner can come any more; one that has had none is given
//! then, with nulls, where its side is kept (outer joins). A row that comes too late to be kept still finds partners that are.
//! Since a row may be given long after its time, the watermark is passed on with a delay, as in Flink.

use super::calc::emit;
use super::join::{Candidates, Join, JoinKind, JoinOutput};
use super::keyed::{KeyedFunction, KeyedOperator, open_store};
use super::row::{KeyedRows, RowBuilder, RowKey};
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, ArrayRef};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, RuntimeContext};
use brisk_core::state::{AnyTable, KeyedMapTable, KeyedTable, Layout, Slot, StateDeclarations};
use brisk_core::types::Key;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Which rows may be partners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Interval {
    /// The event-time columns of both sides.
    pub(crate) times: [usize; 2],
    /// The least that the time of the left side minus that of the right may be, in milliseconds.
    pub(crate) lower: i64,
    /// The most.
    pub(crate) upper: i64,
}

impl Interval {
    /// The times of the other side that a row of this side and time may be joined with.
    const fn partners(self, side: usize, time: i64) -> (i64, i64) {
        match side {
            0 => (time.saturating_sub(self.upper), time.saturating_sub(self.lower)),
            _ => (time.saturating_add(self.lower), time.saturating_add(self.upper)),
        }
    }

    /// The watermark from which no partner can come any more.
    const fn expiry(self, side: usize, time: i64) -> i64 {
        self.partners(side, time).1
    }

    /// How long after its time a row may be given.
    fn delay(self) -> i64 {
        self.upper.max(self.lower.saturating_neg()).max(0)
    }
}

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct IntervalJoin {
    /// Sides, kind and condition, that of the interval among it.
    pub(crate) join: Join,
    pub(crate) interval: Interval,
}

/// How often a row is there, and how many of them have had no partner: one that comes later may find partners gone that the first has had.
type Kept = (i64, i64);

/// Rows of a side, by their time and columns.
type RowTable = Box<dyn KeyedMapTable<RowKey, (), RowKey, Kept>>;

/// When a key has rows that expire.
type Expiries = Box<dyn KeyedTable<RowKey, i64, bool>>;

impl OperatorFactory for IntervalJoin {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        if !matches!(self.join.kind, JoinKind::Pairs { .. }) {
            return Err(Error::bug("an interval join gives pairs"));
        }
        let mut declared = StateDeclarations::new(cx.place());
        let rows = ["left", "right"].map(|name| declared.engine_map::<RowKey, Kept>(name, Layout::KeyMajor));
        let expiries = ["left-expiry", "right-expiry"].map(|name| declared.engine_value::<bool>(name, Layout::NamespaceMajor));
        let mut store = open_store::<RowKey>(cx, declared)?;
        let function = IntervalJoinFunction {
            config: self.clone(),
            rows: [store.take_map(rows[0])?, store.take_map(rows[1])?],
            expiries: [store.take_value(expiries[0])?, store.take_value(expiries[1])?],
            watermark: Timestamp::MIN,
            input: Input::default(),
        };
        Ok(KeyedOperator::boxed(store, function))
    }
}

/// The batch at hand.
#[derive(Default)]
struct Input {
    keys: KeyedRows,
    /// Time and columns of each row.
    rows: Vec<RowKey>,
    /// Times; none of rows that have no partner, since time or key are null.
    times: Vec<Option<i64>>,
}

struct IntervalJoinFunction {
    config: IntervalJoin,
    rows: [RowTable; 2],
    expiries: [Expiries; 2],
    watermark: Timestamp,
    input: Input,
}

/// The place of rows of a time, in front of all of them.
fn from_time(time: i64) -> RowKey {
    let mut place = RowKey::new();
    place.push_i64(time);
    place
}

impl Input {
    fn read(&mut self, config: &IntervalJoin, side: usize, batch: &Columns) -> Result<()> {
        let join_side = &config.join.sides[side];
        let key = self.keys.read(batch, join_side.key.iter().copied())?;
        let Some(times) = batch.columns[config.interval.times[side]].as_primitive_opt::<TimestampMillisecondType>() else {
            return Err(Error::bug("an interval join has no time in milliseconds"));
        };
        let mut columns: Vec<ArrayRef> = vec![Arc::new(times.clone())];
        columns.extend(batch.columns.iter().cloned());
        RowKey::read_plain(&columns, batch.rows, &mut self.rows)?;
        let nulls_are_equal = config.join.nulls_are_equal;
        let time = |row: usize| (nulls_are_equal || key.iter().all(|column| column.is_valid(row))).then(|| times.value(row));
        self.times.clear();
        self.times.extend((0..batch.rows).map(|row| if times.is_valid(row) { time(row) } else { None }));
        Ok(())
    }

    fn slot(&self, row: usize) -> Slot<'_, RowKey, ()> {
        self.keys.slot(row)
    }
}

impl IntervalJoinFunction {
    /// Joins a batch whose state is near.
    fn join(&mut self, side: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut output = JoinOutput::new(&self.config.join, side);
        let mut marks = batch.marks.iter().peekable();
        let mut from = 0;
        while from < batch.rows {
            let candidates = self.candidates(side, batch, from)?;
            let partners = candidates.partners(&self.config.join, side, batch, from)?;
            let mut others = candidates.others.into_iter().enumerate();
            for (row, count) in (from..).zip(&candidates.counts) {
                while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                    self.advance(mark.watermark, batch, &mut output, cx)?;
                }
                let is_partner = |at: usize| partners.as_ref().is_none_or(|partners| partners.value(at));
                let of_row = others.by_ref().take(*count).filter(|(at, _)| is_partner(*at)).map(|(_, other)| other);
                self.join_row(side, row, of_row, &mut output)?;
            }
            from += candidates.counts.len();
            if output.batch.rows >= Columns::MAX_ROWS {
                emit(output.finish(batch)?, cx);
            }
        }
        for mark in marks {
            self.advance(mark.watermark, batch, &mut output, cx)?;
        }
        emit(output.finish(batch)?, cx);
        Ok(())
    }

    /// The rows of the other side that are kept when a row comes: of about a batch.
    fn candidates(&mut self, side: usize, batch: &Columns, from: usize) -> Result<Candidates> {
        let (mut candidates, interval) = (Candidates::default(), self.config.interval);
        let mut marks = batch.marks.iter().peekable();
        let mut watermark = self.watermark;
        for row in from..batch.rows {
            while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                watermark = watermark.max(mark.watermark);
            }
            let before = candidates.others.len();
            if let Some(time) = self.input.times[row] {
                let (least, most) = interval.partners(side, time);
                // No time lies in an interval whose bounds are crossed.
                let most = most.max(least.saturating_sub(1));
                let (least, most) = (from_time(least), from_time(most.saturating_add(1)));
                let range = (Bound::Included(&least), Bound::Excluded(&most));
                self.rows[1 - side].range(self.input.slot(row), range, &mut |other, (times, _)| {
                    if interval.expiry(1 - side, time_of(other)?) > watermark.0 {
                        let mut row = RowKey::new();
                        row.push_fields(other.behind_first()?);
                        candidates.others.push((row, *times));
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
            }
            candidates.counts.push(candidates.others.len() - before);
            if candidates.others.len() >= Columns::MAX_ROWS {
                break;
            }
        }
        Ok(candidates)
    }

    /// Joins one row with its partners, and keeps it if more can come.
    fn join_row(&mut self, side: usize, row: usize, partners: impl Iterator<Item = (RowKey, i64)>, output: &mut JoinOutput) -> Result<()> {
        let kind = self.config.join.kind;
        let (counts_own, counts_other) = (kind.counts_partners(side), kind.counts_partners(1 - side));
        let other_time = self.config.interval.times[1 - side];
        let mut has_partner = false;
        let slot = self.input.slot(row);
        for (partner, times) in partners {
            has_partner = true;
            output.pair(row as u32, RowKind::Insert, partner.as_bytes(), times)?;
            if counts_other {
                let time = super::row::fields(partner.as_bytes()).nth(other_time);
                let Some(super::row::Field::Integer(time)) = time.transpose()? else {
                    return Err(Error::corrupt("a row of an interval join has no time in the state"));
                };
                let mut place = from_time(time);
                place.push_fields(partner.as_bytes());
                self.rows[1 - side].update(slot, &place, &mut |state| {
                    if let Some((_, alone)) = state {
                        *alone = 0;
                    }
                    Ok(())
                })?;
            }
        }
        let expiry = self.input.times[row].map(|time| self.config.interval.expiry(side, time));
        let Some(expiry) = expiry.filter(|expiry| *expiry > self.watermark.0) else {
            return if counts_own { output.own_row(row as u32, 1, has_partner) } else { Ok(()) };
        };
        self.rows[side].update(slot, &self.input.rows[row], &mut |state| {
            let (times, alone) = state.unwrap_or((0, 0));
            *state = Some((times + 1, alone + i64::from(!has_partner)));
            Ok(())
        })?;
        self.expiries[side].put(slot.at(&expiry), true)
    }

    /// The watermark advances.
    fn advance(&mut self, watermark: Timestamp, batch: &Columns, output: &mut JoinOutput, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.watermark = self.watermark.max(watermark);
        for side in 0..2 {
            if let Some(alone) = self.expire(side)? {
                emit(output.finish(batch)?, cx);
                emit(alone, cx);
            }
        }
        output.batch.mark(self.passed_on(watermark));
        Ok(())
    }

    /// The watermark for those behind.
    fn passed_on(&self, watermark: Timestamp) -> Timestamp {
        match watermark {
            Timestamp::MAX => watermark,
            Timestamp(time) => Timestamp(time.saturating_sub(self.config.interval.delay())),
        }
    }

    /// Forgets the rows of a side that have expired. Gives those that had no partner, if their side is kept and there are any.
    fn expire(&mut self, side: usize) -> Result<Option<Columns>> {
        let keeps_side = self.config.join.kind.counts_partners(side);
        // To the output these are rows of the other side, since there is no batch that they are of.
        let mut alone = JoinOutput::new(&self.config.join, 1 - side);
        let (rows, interval) = (&mut self.rows[side], self.config.interval);
        while let Some(expiry) = self.expiries[side].next_namespace(None)?.filter(|expiry| *expiry <= self.watermark.0) {
            // The time whose rows expire then.
            let time = expiry.saturating_sub(interval.expiry(side, 0));
            let behind = from_time(time.saturating_add(1));
            self.expiries[side].drain_namespace(&expiry, &mut |key, _| {
                let slot = Slot { hash: key.key_hash(), key: &key, namespace: &() };
                let range = (Bound::Unbounded, Bound::Excluded(&behind));
                if keeps_side {
                    rows.range(slot, range, &mut |row, (_, without_partner)| {
                        if *without_partner > 0 {
                            alone.partner_changed(row.behind_first()?, *without_partner, false)?;
                        }
                        Ok(ControlFlow::Continue(()))
                    })?;
                }
                rows.remove_range(slot, range)
            })?;
        }
        if alone.batch.rows == 0 {
            return Ok(None);
        }
        let mut nothing = RowBuilder::new(&self.config.join.sides[1 - side].types);
        nothing.push_nulls();
        alone.finish(&Columns { columns: nothing.finish(), rows: 1, ..Columns::default() }).map(Some)
    }
}

/// The time of a row that is kept.
fn time_of(row: &RowKey) -> Result<i64> {
    match super::row::fields(row.as_bytes()).next().transpose()? {
        Some(super::row::Field::Integer(time)) => Ok(time),
        _ => Err(Error::corrupt("a row of an interval join has no time in the state")),
    }
}

impl KeyedFunction for IntervalJoinFunction {
    fn process(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        self.input.read(&self.config, input, batch)?;
        let slots: Vec<_> = (0..batch.rows).map(|row| self.input.slot(row)).collect();
        for table in &mut self.rows {
            ready!(table.prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        }
        Poll::Ready(self.join(input, batch, cx))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.watermark = self.watermark.max(watermark);
        for side in 0..2 {
            if let Some(alone) = self.expire(side)? {
                emit(alone, cx);
            }
        }
        cx.emit_watermark(self.passed_on(watermark));
        Ok(())
    }

    fn time(&mut self) -> Option<&mut Timestamp> {
        Some(&mut self.watermark)
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        let rows = self.rows.iter_mut().map(|table| &mut **table as &mut dyn AnyTable);
        rows.chain(self.expiries.iter_mut().map(|table| &mut **table as &mut dyn AnyTable)).collect()
    }
}
