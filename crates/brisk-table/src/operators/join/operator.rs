//! Drives a join: a batch of one side in, its joined rows out.

use super::candidates::Candidates;
use super::output::JoinOutput;
use super::side_rows::{Keeping, SideRows};
use super::{Join, JoinKind, JoinSide};
use crate::operators::calc::emit;
use crate::operators::keyed::{KeyedFunction, KeyedOperator, StateRetention, counted, open_store};
use crate::operators::row::{KeyedRows, RowKey};
use arrow_array::Array;
use brisk_base::{Error, Result};
use brisk_core::batch::{Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, RuntimeContext};
use brisk_core::state::{AnyTable, StateDeclarations};
use std::task::{Context, Poll, ready};

/// Rows whose keys are brought into the processor's cache together.
const TOUCHED_AT_ONCE: usize = 32;

/// See the module.
pub(super) struct JoinFunction {
    join: Join,
    /// Rows of both sides by key.
    tables: [SideRows; 2],
    /// Whether rows of a side may have expired that are taken back.
    may_expire: [bool; 2],
    /// Keys of the batch at hand, its rows, and which of them have a key that can be equal to another.
    keys: KeyedRows,
    rows: Vec<RowKey>,
    valid: Vec<bool>,
}

impl Join {
    /// How the rows of a side are kept.
    const fn keeping(&self, side: usize, retention: &StateRetention) -> Keeping {
        let JoinSide { one_row, appends, .. } = self.sides[side];
        match (one_row, appends && !retention.is_limited() && !self.kind.counts_partners(side)) {
            (true, _) => Keeping::One,
            (false, true) => Keeping::Appended,
            (false, false) => Keeping::Many,
        }
    }
}

impl JoinFunction {
    pub(super) fn create(join: Join, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        let [left, right] = [0, 1].map(|side: usize| StateRetention::of(join.sides[side].state_ttl, cx));
        let mut declared = StateDeclarations::new(cx.place());
        let [keep_left, keep_right] = [(0, &left), (1, &right)].map(|(side, retention)| join.keeping(side, retention));
        let left_id = SideRows::declare(keep_left, &left, &mut declared, "left");
        let right_id = SideRows::declare(keep_right, &right, &mut declared, "right");
        let mut store = open_store::<RowKey>(cx, declared)?;
        let tables = [SideRows::take(keep_left, &left, &mut store, left_id)?, SideRows::take(keep_right, &right, &mut store, right_id)?];
        let may_expire = [left.is_limited(), right.is_limited()];
        let function = Self { join, tables, may_expire, keys: KeyedRows::default(), rows: Vec::new(), valid: Vec::new() };
        Ok(KeyedOperator::boxed(store, function))
    }

    /// Reads keys and rows of a batch.
    fn read(&mut self, input: usize, batch: &Columns) -> Result<()> {
        let side = &self.join.sides[input];
        if batch.columns.len() != side.types.len() {
            let (expected, given) = (side.types.len(), batch.columns.len());
            return Err(Error::bug(format!("a side of a join has {expected} columns, but its batch has {given}")));
        }
        let key = self.keys.read(batch, side.key.iter().copied())?;
        RowKey::read_plain(&batch.columns, batch.rows, &mut self.rows)?;
        self.valid.clear();
        let nulls_are_equal = self.join.nulls_are_equal;
        self.valid.extend((0..batch.rows).map(|row| nulls_are_equal || key.iter().all(|column| column.is_valid(row))));
        Ok(())
    }

    /// Joins a batch whose state is near.
    fn join(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut output = JoinOutput::new(&self.join, input);
        let mut marks = batch.marks.iter().peekable();
        let mut from = 0;
        if self.join.kind == JoinKind::INNER && self.join.condition.is_none() {
            from = batch.rows;
            for row in 0..batch.rows {
                if row % TOUCHED_AT_ONCE == 0 {
                    let hashes = &self.keys.hashes()[row..batch.rows.min(row + TOUCHED_AT_ONCE)];
                    self.tables.iter_mut().for_each(|table| table.table().touch(hashes));
                }
                if !self.valid[row] {
                    continue;
                }
                while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                    output.batch.mark(mark.watermark);
                }
                self.join_plainly(input, row, batch.kind(row), &mut output)?;
                if output.batch.rows >= Columns::MAX_ROWS {
                    emit(output.finish(batch)?, cx);
                }
            }
        }
        while from < batch.rows {
            let candidates = self.candidates(1 - input, from..batch.rows)?;
            let partners = candidates.partners(&self.join, input, batch, from)?;
            let mut others = candidates.others.into_iter().enumerate();
            for (row, count) in (from..).zip(&candidates.counts) {
                while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                    output.batch.mark(mark.watermark);
                }
                let of_row = others.by_ref().take(*count);
                let is_partner = |at: usize| partners.as_ref().is_none_or(|partners| partners.value(at));
                let of_row = of_row.filter(|(at, _)| is_partner(*at)).map(|(_, other)| other);
                self.join_row(input, batch, row, of_row, &mut output)?;
            }
            from += candidates.counts.len();
            if output.batch.rows >= Columns::MAX_ROWS {
                emit(output.finish(batch)?, cx);
            }
        }
        marks.for_each(|mark| output.batch.mark(mark.watermark));
        emit(output.finish(batch)?, cx);
        Ok(())
    }

    /// Joins one row with all that have its key, of which nothing else is asked, and keeps it.
    fn join_plainly(&mut self, input: usize, row: usize, kind: RowKind, output: &mut JoinOutput) -> Result<()> {
        let slot = self.keys.slot(row);
        self.tables[1 - input].for_each(slot, &mut |other, (times, _)| output.pair(row as u32, kind, other, times * kind.sign()))?;
        let may_expire = self.may_expire[input];
        self.tables[input].update(slot, &self.rows[row], &mut |state| {
            *state = counted(state.map(|(times, _)| times), kind.sign(), may_expire).map(|times| (times, 0));
            Ok(())
        })
    }

    /// The rows of the other side for the first of these rows: for as many as make up about a batch. They stay the same while a batch is
    /// joined.
    fn candidates(&mut self, other: usize, rows: std::ops::Range<usize>) -> Result<Candidates> {
        let mut candidates = Candidates::default();
        for row in rows {
            let before = candidates.others.len();
            if self.valid[row] {
                let slot = self.keys.slot(row);
                self.tables[other].for_each(slot, &mut |other, (count, _)| {
                    let mut partner = RowKey::new();
                    partner.push_fields(other);
                    candidates.others.push((partner, count));
                    Ok(())
                })?;
            }
            candidates.counts.push(candidates.others.len() - before);
            if candidates.others.len() >= Columns::MAX_ROWS {
                break;
            }
        }
        Ok(candidates)
    }

    /// Joins one row with its partners, and keeps it.
    fn join_row(
        &mut self,
        input: usize,
        batch: &Columns,
        row: usize,
        partners: impl Iterator<Item = (RowKey, i64)>,
        output: &mut JoinOutput,
    ) -> Result<()> {
        let (kind, own_row) = (batch.kind(row), row as u32);
        let sign = kind.sign();
        let [counts_own, counts_other] = [input, 1 - input].map(|side| self.join.kind.counts_partners(side));
        let slot = self.keys.slot(row);
        let [left, right] = &mut self.tables;
        let (own, other) = if input == 0 { (left, right) } else { (right, left) };
        let mut number = 0;
        for (partner, times) in partners {
            number += times.max(0);
            let (mut had, mut has) = (false, false);
            if counts_other {
                other.update(slot, &partner, &mut |state| {
                    if let Some((_, partners)) = state {
                        had = *partners > 0;
                        *partners += sign;
                        has = *partners > 0;
                    }
                    Ok(())
                })?;
            }
            if has && !had {
                output.partner_changed(partner.as_bytes(), times, true)?;
            }
            output.pair(own_row, kind, partner.as_bytes(), times * sign)?;
            if had && !has {
                output.partner_changed(partner.as_bytes(), times, false)?;
            }
        }
        if counts_own {
            output.own_row(own_row, sign, number > 0)?;
        }
        if !self.valid[row] {
            return Ok(());
        }
        let may_expire = self.may_expire[input];
        own.update(slot, &self.rows[row], &mut |state| {
            let partners = if counts_own { number } else { 0 };
            *state = counted(state.map(|(times, _)| times), sign, may_expire).map(|times| (times, partners));
            Ok(())
        })
    }
}

impl KeyedFunction for JoinFunction {
    fn process(&mut self, input: usize, batch: &Columns, cx: &mut OperatorContext<'_>) -> Poll<Result<()>> {
        self.read(input, batch)?;
        let slots: Vec<_> = (0..batch.rows).filter(|row| self.valid[*row]).map(|row| self.keys.slot(row)).collect();
        for table in &mut self.tables {
            ready!(table.prefetch(&mut Context::from_waker(cx.waker), &slots))?;
        }
        Poll::Ready(self.join(input, batch, cx))
    }

    fn tables(&mut self) -> Vec<&mut dyn AnyTable> {
        self.tables.iter_mut().map(SideRows::table).collect()
    }
}
