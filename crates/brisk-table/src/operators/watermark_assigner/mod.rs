//! Makes watermarks from rows: the expression of `WATERMARK FOR`, as a mark behind the row that it comes from.
//!
//! A mark costs something at every exchange, so the watermark is given only when it has advanced by 1/64 of how far it lies behind the
//! time of the row (at most a second): what a plan can notice of that is small beside what the user allows for rows out of order. Which
//! rows are marked depends on the rows and their order alone, never on where batches are cut.

use super::calc::{emit, evaluate, record_batch};
use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_schema::SchemaRef;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Columns, Mark};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{EventTimeStanding, OperatorSnapshot};
use datafusion_physical_expr::PhysicalExpr;
use std::sync::Arc;

/// Makes the operator.
#[derive(Clone, Debug)]
pub(crate) struct WatermarkAssigner {
    /// Names and types of the columns.
    pub(crate) schema: SchemaRef,
    /// The event-time column.
    pub(crate) time: usize,
    /// The watermark of each row.
    pub(crate) watermark: Arc<dyn PhysicalExpr>,
}

impl OperatorFactory for WatermarkAssigner {
    fn create(&self, _cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(AssignerOperator { config: self.clone(), watermark: Timestamp::MIN }))
    }
}

struct AssignerOperator {
    config: WatermarkAssigner,
    /// The watermark that was given last.
    watermark: Timestamp,
}

impl AssignerOperator {
    fn assign(&mut self, mut batch: Columns) -> Result<Columns> {
        let input = record_batch(&self.config.schema, batch.columns.clone(), batch.rows)?;
        let watermarks = evaluate(&self.config.watermark, &input)?;
        let times = &batch.columns[self.config.time];
        let millis = |array: &dyn Array| {
            let array = array.as_primitive_opt::<TimestampMillisecondType>().cloned();
            array.ok_or_else(|| Error::user("a watermark and its column have to be of the type TIMESTAMP(3)"))
        };
        let (watermarks, times) = (millis(&watermarks)?, millis(times)?);
        batch.marks.clear();
        for row in 0..batch.rows {
            if watermarks.is_null(row) || times.is_null(row) {
                continue;
            }
            let watermark = Timestamp(watermarks.value(row));
            let step = (times.value(row).saturating_sub(watermark.0) / 64).clamp(1, 1000);
            if watermark.0 >= self.watermark.0.saturating_add(step) {
                self.watermark = watermark;
                // Behind the row: a row is not late because of its own watermark.
                batch.marks.push(Mark { row: row as u32 + 1, watermark });
            }
        }
        Ok(batch)
    }
}

impl Operator for AssignerOperator {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        if let Some(standing) = EventTimeStanding::restored(cx.runtime)? {
            self.watermark = standing.watermark;
        }
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let batch = self.assign(Columns::from_any(batch)?)?;
        emit(batch, cx);
        cx.budget.check();
        Ok(Rest::Consumed)
    }

    /// Watermarks of the input are none of this operator's, but for the end of event time.
    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        if watermark == Timestamp::MAX {
            self.watermark = watermark;
            cx.emit_watermark(watermark);
        }
        Ok(Progress::Done)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Columns::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        EventTimeStanding { watermark: self.watermark, generator: None, idle: false }.snapshot(cx.runtime, snapshot);
        Ok(())
    }
}
