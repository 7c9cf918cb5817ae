//! Drives a join: a batch of one side in, its joined rows out.

use super::candidates::Candidates;
use super::output::JoinOutput;
use super::{Join, JoinKind};
use crate::operators::calc::emit;
use crate::operators::row::{ColumnKey, RowKey};
use arrow_array::{Array, ArrayRef};
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Columns, RowKind};
use brisk_core::operator::{Operator, OperatorContext, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedMapTable, Layout, OperatorSnapshot, Slot, StateBackend, StateBackendContext, StateDeclarations};
use brisk_core::types::{hash, hash_columns};
use brisk_state::KeyedStateStore;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// How often a row is there, and how many partners it has, where that is counted.
type Times = (i64, i64);

/// Rows of a side.
type RowTable = Box<dyn KeyedMapTable<RowKey, (), RowKey, Times>>;

/// See the module.
pub(super) struct JoinOperator {
    join: Join,
    store: KeyedStateStore<RowKey>,
    /// Rows of both sides by key.
    tables: [RowTable; 2],
    /// Keys and hashes of the batch at hand, its rows, and which of them have a key that can be equal to another.
    keys: Vec<RowKey>,
    hashes: Vec<u64>,
    rows: Vec<RowKey>,
    valid: Vec<bool>,
}

impl JoinOperator {
    pub(super) fn new(join: Join, backend: &dyn StateBackend, cx: &RuntimeContext) -> Result<Self> {
        let mut declared = StateDeclarations::new(cx.place());
        let ids = ["left", "right"].map(|name| declared.engine_map::<RowKey, Times>(name, Layout::KeyMajor));
        let mut store = KeyedStateStore::open(backend, StateBackendContext::of(cx)?, declared)?;
        let tables = [store.take_map(ids[0])?, store.take_map(ids[1])?];
        Ok(Self { join, store, tables, keys: Vec::new(), hashes: Vec::new(), rows: Vec::new(), valid: Vec::new() })
    }

    /// Reads keys, hashes and rows of a batch.
    fn read(&mut self, input: usize, batch: &Columns) -> Result<()> {
        let side = &self.join.sides[input];
        if batch.columns.len() != side.types.len() {
            let (expected, given) = (side.types.len(), batch.columns.len());
            return Err(Error::bug(format!("a side of a join has {expected} columns, but its batch has {given}")));
        }
        let key: Vec<ArrayRef> = side.key.iter().map(|column| Arc::clone(&batch.columns[*column])).collect();
        RowKey::read(&key, batch.rows, &mut self.keys)?;
        RowKey::read(&batch.columns, batch.rows, &mut self.rows)?;
        self.hashes.clear();
        if batch.hashes.len() == batch.rows {
            self.hashes.extend_from_slice(&batch.hashes);
        } else if key.is_empty() {
            self.hashes.resize(batch.rows, hash::hash_null());
        } else {
            hash_columns(&key, &mut self.hashes)?;
        }
        self.valid.clear();
        let nulls_are_equal = self.join.nulls_are_equal;
        self.valid.extend((0..batch.rows).map(|row| nulls_are_equal || key.iter().all(|column| column.is_valid(row))));
        Ok(())
    }

    /// Whether the state of the rows is near.
    fn fetch(&mut self, waker: &Waker) -> Result<bool> {
        let rows = (0..self.hashes.len()).filter(|row| self.valid[*row]);
        let slots: Vec<_> = rows.map(|row| Slot { hash: self.hashes[row], key: &self.keys[row], namespace: &() }).collect();
        for table in &mut self.tables {
            match table.prefetch(&mut Context::from_waker(waker), &slots) {
                Poll::Pending => return Ok(false),
                Poll::Ready(ready) => ready?,
            }
        }
        Ok(true)
    }

    /// Joins a batch; `None` when the state is not near yet.
    fn join(&mut self, input: usize, batch: &Columns, waker: &Waker, done: &mut dyn FnMut(Columns)) -> Result<Option<()>> {
        self.read(input, batch)?;
        if !self.fetch(waker)? {
            return Ok(None);
        }
        let mut output = JoinOutput::new(&self.join, input);
        let mut marks = batch.marks.iter().peekable();
        let mut from = 0;
        if self.join.kind == JoinKind::INNER && self.join.condition.is_none() {
            from = batch.rows;
            for row in 0..batch.rows {
                if !self.valid[row] {
                    continue;
                }
                while let Some(mark) = marks.next_if(|mark| mark.row as usize <= row) {
                    output.batch.mark(mark.watermark);
                }
                self.join_plainly(input, row, batch.kind(row), &mut output)?;
                if output.batch.rows >= Columns::MAX_ROWS {
                    done(output.finish(batch)?);
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
                done(output.finish(batch)?);
            }
        }
        marks.for_each(|mark| output.batch.mark(mark.watermark));
        done(output.finish(batch)?);
        Ok(Some(()))
    }

    /// Joins one row with all that have its key, of which nothing else is asked, and keeps it.
    fn join_plainly(&mut self, input: usize, row: usize, kind: RowKind, output: &mut JoinOutput) -> Result<()> {
        let slot = Slot { hash: self.hashes[row], key: &self.keys[row], namespace: &() };
        self.tables[1 - input].range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |other, (times, _)| {
            output.pair(row as u32, kind, other.as_bytes(), times * kind.sign())?;
            Ok(ControlFlow::Continue(()))
        })?;
        self.tables[input].update(slot, &self.rows[row], &mut |state| {
            let times = state.map_or(0, |(times, _)| times) + kind.sign();
            *state = (times != 0).then_some((times, 0));
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
                let slot = Slot { hash: self.hashes[row], key: &self.keys[row], namespace: &() };
                self.tables[other].range(slot, (Bound::Unbounded, Bound::Unbounded), &mut |other, (count, _)| {
                    candidates.others.push((other.clone(), *count));
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
        let slot = Slot { hash: self.hashes[row], key: &self.keys[row], namespace: &() };
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
        own.update(slot, &self.rows[row], &mut |state| {
            // A row that is taken back before it is added is kept in mind as a debt.
            let times = state.map_or(0, |(times, _)| times) + sign;
            *state = (times != 0).then_some((times, if counts_own { number } else { 0 }));
            Ok(())
        })
    }
}

impl Operator for JoinOperator {
    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = Columns::from_any(batch)?;
        let mut finished = Vec::new();
        let waker = cx.waker;
        if self.join(input, &batch, waker, &mut |joined| finished.push(joined))?.is_none() {
            return Ok(Rest::Blocked(Box::new(batch)));
        }
        finished.into_iter().for_each(|joined| emit(joined, cx));
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        self.tables.iter_mut().try_for_each(|table| snapshot.freeze(&mut **table))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }
}
