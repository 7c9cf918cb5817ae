//! Builds the rows that a join gives.

use super::{Join, JoinKind};
use crate::operators::row::RowBuilder;
use arrow_array::builder::BooleanBuilder;
use arrow_array::{ArrayRef, UInt32Array};
use brisk_base::{Error, Result};
use brisk_core::batch::{Columns, RowKind};
use std::sync::Arc;

/// Joined rows in the making; the batch at hand is of one side, its rows are called own.
pub(crate) struct JoinOutput {
    kind: JoinKind,
    /// Which side the batch is of.
    side: usize,
    /// The own row that each comes from, if any.
    own: Vec<Option<u32>>,
    /// The columns of the other side.
    other: RowBuilder,
    /// Whether a row has a partner, where that is a column.
    marks: BooleanBuilder,
    kinds: Vec<RowKind>,
    /// Everything but the columns.
    pub(crate) batch: Columns,
}

const fn kind_of(sign: i64) -> RowKind {
    if sign > 0 { RowKind::Insert } else { RowKind::Delete }
}

impl JoinOutput {
    pub(crate) fn new(join: &Join, side: usize) -> Self {
        Self {
            kind: join.kind,
            side,
            own: Vec::new(),
            other: RowBuilder::new(&join.sides[1 - side].types),
            marks: BooleanBuilder::new(),
            kinds: Vec::new(),
            batch: Columns::default(),
        }
    }

    /// Adds an own row with its partner, so many times; a negative number takes it back.
    pub(crate) fn pair(&mut self, own: u32, kind: RowKind, other: &[u8], times: i64) -> Result<()> {
        if !matches!(self.kind, JoinKind::Pairs { .. }) {
            return Ok(());
        }
        let kind = if (times > 0) == (kind.sign() > 0) { kind } else { kind_of(times) };
        for _ in 0..times.unsigned_abs() {
            self.push(Some(own), Some(other), kind)?;
        }
        Ok(())
    }

    /// Adds an own row that is told how many partners it has, or takes it back.
    pub(crate) fn own_row(&mut self, own: u32, sign: i64, has_partner: bool) -> Result<()> {
        match self.kind {
            JoinKind::Pairs { .. } | JoinKind::Anti if has_partner => {}
            JoinKind::Semi if !has_partner => {}
            _ => {
                self.marks.append_value(has_partner);
                self.push(Some(own), None, kind_of(sign))?;
            }
        }
        Ok(())
    }

    /// A row of the other side, which is there so many times, has got its first partner, or has lost its last.
    pub(crate) fn partner_changed(&mut self, other: &[u8], times: i64, has_partner: bool) -> Result<()> {
        for _ in 0..times.max(0) {
            match self.kind {
                JoinKind::Pairs { .. } | JoinKind::Anti => self.push(None, Some(other), kind_of(if has_partner { -1 } else { 1 }))?,
                JoinKind::Semi => self.push(None, Some(other), kind_of(if has_partner { 1 } else { -1 }))?,
                JoinKind::Mark => {
                    for (kind, mark) in [(RowKind::UpdateBefore, !has_partner), (RowKind::UpdateAfter, has_partner)] {
                        self.marks.append_value(mark);
                        self.push(None, Some(other), kind)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, own: Option<u32>, other: Option<&[u8]>, kind: RowKind) -> Result<()> {
        self.own.push(own);
        match other {
            Some(other) => self.other.push(other)?,
            None => self.other.push_nulls(),
        }
        self.kinds.push(kind);
        self.batch.rows += 1;
        Ok(())
    }

    /// The rows so far; empty again.
    pub(crate) fn finish(&mut self, batch: &Columns) -> Result<Columns> {
        let mut finished = std::mem::take(&mut self.batch);
        let (own_rows, other) = (UInt32Array::from(std::mem::take(&mut self.own)), self.other.finish());
        let marks = self.marks.finish();
        let take = |column: &ArrayRef| {
            let taken = arrow_select::take::take(column, &own_rows, None);
            taken.map_err(|error| Error::bug(format!("rows of a join cannot be taken: {error}")))
        };
        let own = || batch.columns.iter().map(take).collect::<Result<Vec<_>>>();
        finished.columns = match (self.kind, self.side) {
            (JoinKind::Pairs { .. }, 0) => own()?.into_iter().chain(other).collect(),
            (JoinKind::Pairs { .. }, _) => other.into_iter().chain(own()?).collect(),
            // These give the left side alone: own rows, or rows whose partners have changed.
            (_, 0) => own()?,
            _ => other,
        };
        if self.kind == JoinKind::Mark {
            finished.columns.push(Arc::new(marks));
        }
        finished.kinds = std::mem::take(&mut self.kinds);
        if finished.kinds.iter().all(|kind| *kind == RowKind::Insert) {
            finished.kinds.clear();
        }
        Ok(finished)
    }
}
