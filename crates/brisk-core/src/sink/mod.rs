//! The contract of a sink: one writer per subtask.

use crate::batch::Rows;
use crate::operator::RuntimeContext;
use crate::types::Record;
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
}

/// Writes the records of one subtask (Flink's `SinkWriter`).
pub trait SinkWriter<T>: Send {
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

    /// Makes everything written so far visible; at the end of input it also commits.
    ///
    /// # Errors
    /// Fails the task.
    fn flush(&mut self, _end_of_input: bool) -> Result<()> {
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
