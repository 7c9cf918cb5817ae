//! Joins the rows of windows, key by key, in batches of the usual size.

use crate::operators::calc::{emit, evaluate, record_batch};
use crate::operators::join::{Join, JoinKind};
use crate::operators::row::RowBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array};
use brisk_base::{Error, Result};
use brisk_core::batch::{Columns, take_rows};
use brisk_core::operator::OperatorContext;
use brisk_core::state::ListView;
use std::sync::Arc;

/// Rows of some keys, and which of them are partners.
pub(super) struct WindowPairs<'j> {
    join: &'j Join,
    /// Rows of both sides that are at hand.
    rows: [Vec<Vec<u8>>; 2],
    /// Whether each has a partner.
    has_partner: [Vec<bool>; 2],
    /// Rows that may be partners, as numbers in `rows`.
    candidates: [Vec<u32>; 2],
    /// Rows as columns, once they have been built.
    columns: Option<[Vec<ArrayRef>; 2]>,
}

impl<'j> WindowPairs<'j> {
    pub(super) fn new(join: &'j Join) -> Self {
        Self { join, rows: Default::default(), has_partner: Default::default(), candidates: Default::default(), columns: None }
    }

    /// Adds all rows of one key. Gives rows once there are enough of them.
    pub(super) fn add(
        &mut self,
        left: ListView<'_, Vec<u8>>,
        right: ListView<'_, Vec<u8>>,
        may_be_partners: bool,
        cx: &mut OperatorContext<'_>,
    ) -> Result<()> {
        self.columns = None;
        let first = [self.rows[0].len() as u32, self.rows[1].len() as u32];
        for (side, rows) in [left, right].into_iter().enumerate() {
            self.rows[side].extend(rows.iter().cloned());
            self.has_partner[side].resize(self.rows[side].len(), false);
        }
        if may_be_partners {
            for left in first[0]..self.rows[0].len() as u32 {
                for right in first[1]..self.rows[1].len() as u32 {
                    self.candidates[0].push(left);
                    self.candidates[1].push(right);
                    if self.candidates[0].len() == Columns::MAX_ROWS {
                        self.join_candidates(cx)?;
                    }
                }
            }
        }
        if self.rows[0].len() + self.rows[1].len() >= Columns::MAX_ROWS { self.flush(cx) } else { Ok(()) }
    }

    /// Gives what is at hand.
    pub(super) fn flush(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.join_candidates(cx)?;
        let with = |side: usize, wanted: bool| -> Vec<u32> {
            (0..).zip(&self.has_partner[side]).filter(|(_, has)| **has == wanted).map(|(row, _)| row).collect()
        };
        match self.join.kind {
            JoinKind::Pairs { keep } => {
                let alone = [0, 1].map(|side: usize| if keep[side] { with(side, false) } else { Vec::new() });
                let numbers = |side: usize| -> UInt32Array {
                    let own = alone[side].iter().copied().map(Some);
                    let nothing = std::iter::repeat_n(None, alone[1 - side].len());
                    if side == 0 { own.chain(nothing).collect() } else { nothing.chain(own).collect() }
                };
                let (left, right) = (numbers(0), numbers(1));
                self.give([&left, &right], cx)?;
            }
            JoinKind::Semi | JoinKind::Anti => {
                let rows = with(0, self.join.kind == JoinKind::Semi);
                let columns = self.columns()?[0].iter().map(|column| take_rows(column, &rows)).collect::<Result<_>>()?;
                emit(Columns { columns, rows: rows.len(), ..Columns::default() }, cx);
            }
            JoinKind::Mark => {
                let marks: ArrayRef = Arc::new(BooleanArray::from(self.has_partner[0].clone()));
                let mut columns = self.columns()?[0].clone();
                columns.push(marks);
                emit(Columns { columns, rows: self.rows[0].len(), ..Columns::default() }, cx);
            }
        }
        self.columns = None;
        self.rows.iter_mut().for_each(Vec::clear);
        self.has_partner.iter_mut().for_each(Vec::clear);
        Ok(())
    }

    /// Finds out which candidates are partners, and gives the pairs.
    fn join_candidates(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut candidates = std::mem::take(&mut self.candidates);
        if let Some(condition) = self.join.condition.as_ref().filter(|_| !candidates[0].is_empty()) {
            let sides = self.columns()?.iter().zip(&candidates);
            let columns =
                sides.flat_map(|(columns, rows)| columns.iter().map(|column| take_rows(column, rows))).collect::<Result<Vec<_>>>()?;
            let met = evaluate(&condition.condition, &record_batch(&condition.schema, columns, candidates[0].len())?)?;
            let met = met.as_boolean_opt().ok_or_else(|| Error::bug("the condition of a join is no truth value"))?;
            for rows in &mut candidates {
                let partners = rows.iter().enumerate().filter(|(at, _)| met.is_valid(*at) && met.value(*at));
                *rows = partners.map(|(_, row)| *row).collect();
            }
        }
        for (has_partner, rows) in self.has_partner.iter_mut().zip(&candidates) {
            rows.iter().for_each(|row| has_partner[*row as usize] = true);
        }
        if matches!(self.join.kind, JoinKind::Pairs { .. }) {
            let [left, right] = candidates.map(UInt32Array::from);
            self.give([&left, &right], cx)?;
        }
        Ok(())
    }

    /// Gives pairs of rows; a null number is a row of nulls.
    fn give(&mut self, numbers: [&UInt32Array; 2], cx: &mut OperatorContext<'_>) -> Result<()> {
        let rows = numbers[0].len();
        if rows == 0 {
            return Ok(());
        }
        let take = |column: &ArrayRef, rows: &UInt32Array| {
            let taken = arrow_select::take::take(column, rows, None);
            taken.map_err(|error| Error::bug(format!("rows of a join cannot be taken: {error}")))
        };
        let sides = self.columns()?.iter().zip(numbers);
        let columns = sides.flat_map(|(columns, rows)| columns.iter().map(|column| take(column, rows))).collect::<Result<_>>()?;
        emit(Columns { columns, rows, ..Columns::default() }, cx);
        Ok(())
    }

    /// The rows at hand as columns.
    fn columns(&mut self) -> Result<&[Vec<ArrayRef>; 2]> {
        let columns = match self.columns.take() {
            Some(columns) => columns,
            None => [self.built(0)?, self.built(1)?],
        };
        Ok(self.columns.insert(columns))
    }

    fn built(&self, side: usize) -> Result<Vec<ArrayRef>> {
        let mut builder = RowBuilder::new(&self.join.sides[side].types);
        self.rows[side].iter().try_for_each(|row| builder.push(row))?;
        Ok(builder.finish())
    }
}
