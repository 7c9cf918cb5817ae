//! Splits columnar batches over the targets of an exchange.
//!
//! Each batch is read twice: once row by row to build an index list per target (with the same watermark rule as the scatter of typed
//! batches), once column by column to gather the rows of each list. Only targets that get rows cost anything.

use super::gather::{ColumnBuilder, Selection, builder_of};
use super::{Columns, RowKind, mark_at};
use crate::batch::{AnyBatch, Mark, Scatter, Scattered};
use arrow_array::Array;
use arrow_schema::DataType;
use brisk_base::{Error, Result, Timestamp};
use std::collections::VecDeque;

/// What gathers for one target.
#[derive(Default)]
struct Lane {
    /// One per column; made when the target gets its first row.
    builders: Vec<Box<dyn ColumnBuilder>>,
    /// The part of the batch that needs no builder: `columns` is empty, `rows` counts.
    batch: Columns,
    /// Share of the bytes of the batches that rows came from.
    bytes: usize,
    /// Batches that were closed because the next rows did not fit.
    closed: VecDeque<Columns>,
    /// Rows of the batch at hand for this target.
    picked: Vec<u32>,
}

/// The scatter of columnar batches.
pub struct ColumnScatter {
    /// What gathers for each target.
    lanes: Vec<Lane>,
    /// Types of the columns, once a batch has told them.
    types: Option<Vec<DataType>>,
    /// The newest watermark that each target has been given, or that lies in its buffer.
    marked: Vec<Timestamp>,
    /// The newest watermark of the stream.
    watermark: Timestamp,
    /// Rows that make a buffer full.
    full_at: usize,
    /// Targets with a full batch that has not been reported; once per batch.
    full: Vec<u32>,
    /// Targets that get rows of the batch at hand.
    touched: Vec<u32>,
    /// Rows in all buffers.
    rows: usize,
}

impl ColumnScatter {
    pub(super) fn new(targets: usize, full_at: usize) -> Self {
        Self {
            lanes: (0..targets).map(|_| Lane::default()).collect(),
            types: None,
            marked: vec![Timestamp::MIN; targets],
            watermark: Timestamp::MIN,
            full_at: full_at.clamp(1, Columns::MAX_ROWS),
            full: Vec::new(),
            touched: Vec::new(),
            rows: 0,
        }
    }

    /// Checks that a batch has the columns of those before.
    fn check_types(&mut self, batch: &Columns) -> Result<()> {
        let types = batch.columns.iter().map(|column| column.data_type());
        match &self.types {
            Some(known) if known.iter().eq(types.clone()) => Ok(()),
            Some(known) => {
                let (known, new) = (list(known.iter()), list(types));
                Err(Error::bug(format!("a stream of columns [{known}] goes on with columns [{new}]: one stream has one schema")))
            }
            None => {
                types.clone().try_for_each(super::gather::check_type)?;
                self.types = Some(types.cloned().collect());
                Ok(())
            }
        }
    }

    /// Notes which targets get rows, and closes buffers that these would overfill.
    fn make_room(&mut self, targets: &[u32]) {
        for target in targets {
            let lane = &mut self.lanes[*target as usize];
            if lane.picked.is_empty() {
                self.touched.push(*target);
            }
            lane.picked.push(0);
        }
        for target in &self.touched {
            let lane = &mut self.lanes[*target as usize];
            if lane.batch.rows > 0 && lane.batch.rows + lane.picked.len() > Columns::MAX_ROWS {
                let closed = lane.close();
                lane.closed.push_back(closed);
                self.full.push(*target);
            }
            lane.picked.clear();
        }
    }

    /// Lists the rows of each target, and marks watermarks where they stand between them.
    fn pick(&mut self, marks: &[Mark], targets: &[u32]) {
        let mut marks = marks.iter().peekable();
        for (row, target) in targets.iter().enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                self.watermark = self.watermark.max(mark.watermark);
            }
            let target = *target as usize;
            let lane = &mut self.lanes[target];
            if self.marked[target] != self.watermark {
                mark_at(&mut lane.batch.marks, lane.batch.rows + lane.picked.len(), self.watermark);
                self.marked[target] = self.watermark;
            }
            lane.picked.push(row as u32);
        }
        marks.for_each(|mark| self.watermark = self.watermark.max(mark.watermark));
    }
}

fn list<'a>(types: impl Iterator<Item = &'a DataType>) -> String {
    types.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Lane {
    /// Appends the picked rows of a batch.
    fn append(&mut self, from: &Columns, batch_bytes: usize) -> Result<()> {
        if self.builders.is_empty() {
            self.builders = from.columns.iter().map(|column| builder_of(column.data_type())).collect::<Result<_>>()?;
        }
        let picked = &self.picked;
        // Rows are picked in their order, so as many as there are means all.
        let selection = if picked.len() == from.rows { Selection::All } else { Selection::Rows(picked) };
        for (builder, column) in self.builders.iter_mut().zip(&from.columns) {
            builder.append(column.as_ref(), selection);
        }
        let rows = self.batch.rows;
        extend(&mut self.batch.kinds, rows, &from.kinds, picked, RowKind::Insert);
        extend(&mut self.batch.timestamps, rows, &from.timestamps, picked, Timestamp::MIN);
        if self.batch.hashes.len() == rows && !from.hashes.is_empty() {
            self.batch.hashes.extend(picked.iter().map(|row| from.hashes[*row as usize]));
        } else {
            // A batch has a hash for each of its rows, or none.
            self.batch.hashes.clear();
        }
        self.batch.rows += picked.len();
        self.bytes += batch_bytes * picked.len() / from.rows.max(1);
        self.picked.clear();
        Ok(())
    }

    /// Takes the batch that gathers.
    fn close(&mut self) -> Columns {
        self.bytes = 0;
        let mut batch = std::mem::take(&mut self.batch);
        batch.columns = self.builders.iter_mut().map(|builder| builder.finish()).collect();
        batch
    }
}

/// Appends an entry per picked row to what is empty while all its entries are `usual`.
fn extend<T: Copy>(to: &mut Vec<T>, rows: usize, from: &[T], picked: &[u32], usual: T) {
    if from.is_empty() {
        if !to.is_empty() {
            to.resize(rows + picked.len(), usual);
        }
        return;
    }
    to.resize(rows, usual);
    to.extend(picked.iter().map(|row| from[*row as usize]));
}

impl Scatter for ColumnScatter {
    fn scatter(&mut self, batch: Box<dyn AnyBatch>, targets: &[u32]) -> Result<()> {
        let batch = Columns::from_any(batch)?;
        debug_assert_eq!(batch.rows, targets.len());
        self.check_types(&batch)?;
        self.make_room(targets);
        self.pick(&batch.marks, targets);
        self.rows += batch.rows;
        let bytes = batch.bytes_held();
        for target in self.touched.drain(..) {
            let lane = &mut self.lanes[target as usize];
            let was_full = lane.is_full(self.full_at);
            lane.append(&batch, bytes)?;
            if lane.is_full(self.full_at) && !was_full {
                self.full.push(target);
            }
        }
        Ok(())
    }

    fn advance(&mut self, watermark: Timestamp) {
        self.watermark = self.watermark.max(watermark);
    }

    fn drain_full(&mut self, full: &mut Vec<u32>) {
        full.append(&mut self.full);
    }

    fn take(&mut self, target: usize) -> Scattered {
        let lane = &mut self.lanes[target];
        if let Some(closed) = lane.closed.pop_front() {
            self.rows -= closed.rows;
            return Scattered::Batch(Box::new(closed));
        }
        let behind = std::mem::replace(&mut self.marked[target], self.watermark) != self.watermark;
        if lane.batch.rows == 0 {
            return if behind { Scattered::Watermark(self.watermark) } else { Scattered::Nothing };
        }
        if behind {
            lane.batch.mark(self.watermark);
        }
        let batch = lane.close();
        self.rows -= batch.rows;
        Scattered::Batch(Box::new(batch))
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && self.marked.iter().all(|marked| *marked == self.watermark)
    }

    fn rows(&self, target: usize) -> usize {
        let lane = &self.lanes[target];
        lane.batch.rows + lane.closed.iter().map(|batch| batch.rows).sum::<usize>()
    }

    fn is_behind(&self, target: usize) -> bool {
        self.marked[target] != self.watermark
    }

    fn is_worth_sending(&self, batch: &dyn AnyBatch) -> bool {
        batch.len() * 2 >= self.full_at || batch.bytes_held() * 2 >= Columns::MAX_BYTES
    }
}

impl Lane {
    fn is_full(&self, full_at: usize) -> bool {
        self.batch.rows >= full_at || self.bytes >= Columns::MAX_BYTES
    }
}
