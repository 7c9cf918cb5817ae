//! The rows of a batch between its marks, for operators whose result depends on the watermark.

use crate::batch::Mark;
use brisk_base::Timestamp;
use std::ops::Range;

/// A part of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Segment {
    /// Rows without a watermark between them; never none.
    Rows(Range<usize>),
    /// The watermark advances.
    Watermark(Timestamp),
}

/// Iterates over [`Segment`]s in order.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    /// Rows that have been given.
    next_row: usize,
    /// Rows of the batch.
    rows: usize,
    /// Marks that have not been given.
    marks: &'a [Mark],
}

impl<'a> Segments<'a> {
    pub(super) fn new(rows: usize, marks: &'a [Mark]) -> Self {
        Self { next_row: 0, rows, marks }
    }
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        let until = match self.marks.split_first() {
            Some((mark, rest)) if mark.row as usize <= self.next_row => {
                self.marks = rest;
                return Some(Segment::Watermark(mark.watermark));
            }
            Some((mark, _)) => (mark.row as usize).min(self.rows),
            None => self.rows,
        };
        (self.next_row < until).then(|| Segment::Rows(std::mem::replace(&mut self.next_row, until)..until))
    }
}
