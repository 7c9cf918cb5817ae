//! Hands batches to the writer of a sink, and what the writer has prepared to the committer: its own, or one behind it.
//!
//! With checkpoints, what was prepared for one is committed when it is complete. Without, and at the end of the input, it is committed then;
//! with checkpoints the end waits for the last one.

use super::partial::Stride;
use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::function::{FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Progress, Rest, SnapshotContext};
use brisk_core::sink::{AnyCommitter, Commits, Committable, SinkWriter};
use brisk_core::state::OperatorSnapshot;
use brisk_core::types::Record;
use std::sync::Arc;

/// Who commits.
enum Commit {
    /// Nobody: the writer prepares nothing.
    Nobody,
    /// The sink's committer; the operator is not open yet.
    Unopened(AnyCommitter),
    /// The sink's committer.
    Here(Commits),
    /// An operator behind this one.
    Behind,
}

/// See the module.
pub(crate) struct SinkOperator<T> {
    writer: Box<dyn SinkWriter<T>>,
    commit: Commit,
    /// Whether the input has ended.
    ended: bool,
    /// Rows that are written at once.
    stride: Stride,
}

impl<T: Record> SinkOperator<T> {
    /// A sink that commits by itself, if it commits at all.
    pub(crate) fn new(writer: Box<dyn SinkWriter<T>>, committer: Option<AnyCommitter>) -> Self {
        Self { writer, commit: committer.map_or(Commit::Nobody, Commit::Unopened), ended: false, stride: Stride::default() }
    }

    /// A sink whose commits are made by an operator behind it.
    pub(crate) fn with_global_committer(writer: Box<dyn SinkWriter<T>>) -> Self {
        Self { writer, commit: Commit::Behind, ended: false, stride: Stride::default() }
    }

    /// Has the writer prepare what it has written; to be committed with a checkpoint, or at once.
    fn prepare(&mut self, checkpoint: Option<CheckpointId>, cx: &mut OperatorContext<'_>) -> Result<()> {
        let prepared = self.writer.prepare_commit()?;
        if prepared.is_empty() {
            return Ok(());
        }
        match (&mut self.commit, checkpoint) {
            (Commit::Here(commits), Some(checkpoint)) => commits.add(checkpoint, prepared),
            (Commit::Here(commits), None) => commits.commit(&prepared)?,
            (Commit::Behind, _) => {
                let rows: Vec<Vec<u8>> = prepared.into_iter().map(Committable::into_bytes).collect();
                cx.emit(MAIN_PORT, Box::new(Rows::from(rows)));
            }
            (Commit::Nobody | Commit::Unopened(_), _) => {
                return Err(Error::bug("the writer has prepared something to be committed, but the sink has no committer"));
            }
        }
        Ok(())
    }

    /// Writes rows, then the watermark that they carry.
    fn write(&mut self, rows: Rows<T>) -> Result<()> {
        let watermark = rows.marks.last().map(|last| last.watermark);
        if !rows.values.is_empty() {
            self.writer.write_batch(rows)?;
        }
        watermark.map_or(Ok(()), |watermark| self.writer.write_watermark(watermark))
    }
}

impl<T: Record> Operator for SinkOperator<T> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.commit = match std::mem::replace(&mut self.commit, Commit::Nobody) {
            Commit::Unopened(committer) => Commit::Here(Commits::restored(committer, cx.runtime)?),
            other => other,
        };
        self.writer.initialize_state(&FunctionInitializationContext::new(cx.runtime))
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut rows = Rows::<T>::from_any(batch)?;
        while rows.values.len() > self.stride.rows() {
            let front = Rows::from_any(rows.split_front(self.stride.rows()))?;
            self.write(front)?;
            if self.stride.is_over(cx.budget) {
                return Ok(Rest::More(Box::new(rows)));
            }
        }
        self.write(rows)?;
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.writer.write_watermark(watermark)?;
        Ok(Progress::Done)
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.writer.next_processing_time()
    }

    fn on_processing_time(&mut self, now: Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.writer.on_processing_time(now)?;
        Ok(Progress::Done)
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.writer.flush(true)?;
        self.ended = true;
        // Behind the end of the input nothing can be emitted; a committer of its own waits for the last checkpoint.
        if matches!(self.commit, Commit::Behind) || !cx.runtime.state.checkpointing {
            self.prepare(None, cx)?;
        }
        Ok(Progress::Done)
    }

    fn prepare_snapshot(&mut self, checkpoint: CheckpointId, cx: &mut OperatorContext<'_>) -> Result<()> {
        if !self.ended {
            self.writer.flush(false)?;
        }
        if self.ended && matches!(self.commit, Commit::Behind) { Ok(()) } else { self.prepare(Some(checkpoint), cx) }
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        if let Commit::Here(commits) = &self.commit {
            commits.snapshot(snapshot);
        }
        self.writer.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Commit::Here(commits) = &mut self.commit {
            commits.complete(checkpoint)?;
        }
        self.writer.checkpoint_complete(checkpoint)
    }

    fn close(&mut self) -> Result<()> {
        self.writer.close()
    }
}
