//! Hands batches to the writer of a sink.

use super::partial::Stride;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest};
use brisk_core::sink::SinkWriter;
use brisk_core::types::Record;

/// See the module.
pub(crate) struct SinkOperator<T> {
    writer: Box<dyn SinkWriter<T>>,
    /// Rows that are written at once.
    stride: Stride,
}

impl<T: Record> SinkOperator<T> {
    pub(crate) fn new(writer: Box<dyn SinkWriter<T>>) -> Self {
        Self { writer, stride: Stride::default() }
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

    fn finish(&mut self, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.writer.flush(true)?;
        Ok(Progress::Done)
    }

    fn close(&mut self) -> Result<()> {
        self.writer.close()
    }
}
