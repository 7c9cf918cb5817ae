//! The contract of a sink: one writer per subtask, and, for sinks that are exactly-once, a committer (Flink's `SinkV2`).
//!
//! A plain writer writes what it gets; after a failure some of it comes again. A writer that commits writes where nobody looks, and gives
//! what it has prepared with each checkpoint ([`SinkWriter::prepare_commit`]); the committer makes it visible when the checkpoint is
//! complete. Where there are no checkpoints, everything is committed at the end of the input.

mod commit;
mod held_back;

pub use commit::{AnyCommitter, Commits, Committable, Committer};
pub use held_back::{GivenOut, HeldBack, Sealed};

use crate::batch::Rows;
use crate::function::{FunctionInitializationContext, FunctionSnapshotContext};
use crate::operator::RuntimeContext;
use crate::types::Record;
use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};

/// A sink (Flink's `Sink`).
pub trait Sink: Send + Sync + 'static {
    /// The records that it takes.
    type In: Record;

    /// The writer of one subtask.
    ///
    /// # Errors
    /// When the target cannot be opened.
    fn create_writer(&self, cx: &RuntimeContext) -> Result<Box<dyn SinkWriter<Self::In>>>;

    /// The committer of one subtask, for writers that prepare commits.
    ///
    /// # Errors
    /// When the target cannot be reached.
    fn create_committer(&self, _cx: &RuntimeContext) -> Result<Option<AnyCommitter>> {
        Ok(None)
    }

    /// Whether one committer commits for all subtasks, in the place of one for each.
    fn has_global_committer(&self) -> bool {
        false
    }

    /// The committer of all subtasks: it commits once per checkpoint.
    ///
    /// # Errors
    /// When the target cannot be reached.
    fn create_global_committer(&self, _cx: &RuntimeContext) -> Result<Option<AnyCommitter>> {
        Ok(None)
    }
}

/// Writes the records of one subtask (Flink's `SinkWriter`).
pub trait SinkWriter<T>: Send {
    /// Called once, before the first record: takes back what [`snapshot_state`](Self::snapshot_state) stored.
    ///
    /// # Errors
    /// Fails the task.
    fn initialize_state(&mut self, _state: &FunctionInitializationContext<'_>) -> Result<()> {
        Ok(())
    }

    /// Writes one record.
    ///
    /// # Errors
    /// Fails the task.
    fn write(&mut self, value: T, timestamp: Timestamp) -> Result<()>;

    /// Writes a batch; the marks say where the watermark advances. One record after another, unless overridden.
    ///
    /// # Errors
    /// Fails the task.
    fn write_batch(&mut self, rows: Rows<T>) -> Result<()> {
        let mut cursor = rows.into_cursor();
        while let Some((value, timestamp, _)) = cursor.next_row() {
            self.write(value, timestamp)?;
        }
        Ok(())
    }

    /// The watermark has advanced.
    ///
    /// # Errors
    /// Fails the task.
    fn write_watermark(&mut self, _watermark: Timestamp) -> Result<()> {
        Ok(())
    }

    /// Hands everything written so far to the target; called at each checkpoint, and at the end of the input, where a writer that does not
    /// prepare commits makes everything visible.
    ///
    /// # Errors
    /// Fails the task.
    fn flush(&mut self, _end_of_input: bool) -> Result<()> {
        Ok(())
    }

    /// Gives what has been prepared since the last call. Called at each checkpoint, after [`flush`](Self::flush), and at the end of the
    /// input.
    ///
    /// # Errors
    /// Fails the task.
    fn prepare_commit(&mut self) -> Result<Vec<Committable>> {
        Ok(Vec::new())
    }

    /// Stores what the writer has to remember, at each checkpoint after [`prepare_commit`](Self::prepare_commit).
    ///
    /// # Errors
    /// Fails the checkpoint, and the task.
    fn snapshot_state(&mut self, _state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        Ok(())
    }

    /// A checkpoint is complete. May be left out for a checkpoint when a later one is complete.
    ///
    /// # Errors
    /// Fails the task.
    fn checkpoint_complete(&mut self, _checkpoint: CheckpointId) -> Result<()> {
        Ok(())
    }

    /// The next processing time at which [`on_processing_time`](Self::on_processing_time) is wanted.
    fn next_processing_time(&self) -> Option<Timestamp> {
        None
    }

    /// Processing time has reached [`next_processing_time`](Self::next_processing_time).
    ///
    /// # Errors
    /// Fails the task.
    fn on_processing_time(&mut self, _now: Timestamp) -> Result<()> {
        Ok(())
    }

    /// Releases the target; called in any case, after [`flush`](Self::flush) when the input ended.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}
