//! Main and side outputs of one operator.

use super::Collector;
use crate::batch::{AnyBatch, Rows};
use crate::operator::{MAIN_PORT, OperatorContext, RuntimeContext, SideOutputPort};
use crate::types::Record;
use brisk_base::{Error, Result, Timestamp};
use std::any::Any;
use std::marker::PhantomData;

/// Names a side output and fixes the type of its records (Flink's `OutputTag`).
pub struct OutputTag<T> {
    id: String,
    record: PhantomData<fn() -> T>,
}

impl<T> OutputTag<T> {
    /// The tag of this id. Two tags of one id on one operator must have the same type.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), record: PhantomData }
    }

    /// The id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        Self::new(self.id.clone())
    }
}

/// A side output's gathered batch, its type erased.
trait SideBuffer: Send {
    fn take(&mut self) -> Option<Box<dyn AnyBatch>>;
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Record> SideBuffer for Collector<T> {
    fn take(&mut self) -> Option<Box<dyn AnyBatch>> {
        let rows = Self::take(self);
        (!rows.is_blank()).then(|| Box::new(rows) as Box<dyn AnyBatch>)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// The side outputs of an operator: records for tags that nobody reads are dropped.
#[derive(Default)]
pub struct SideOutputs {
    ports: Vec<(SideOutputPort, Option<Box<dyn SideBuffer>>)>,
}

impl SideOutputs {
    /// The side outputs of this operator that somebody reads.
    pub fn new(runtime: &RuntimeContext) -> Self {
        Self { ports: runtime.side_outputs.iter().map(|side| (side.clone(), None)).collect() }
    }

    /// Whether nobody reads any.
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// Emits a record to the side output of this tag.
    ///
    /// # Errors
    /// When the tag was used with another type before.
    pub fn collect<T: Record>(&mut self, tag: &OutputTag<T>, value: T, timestamp: Timestamp) -> Result<()> {
        let Some((_, buffer)) = self.ports.iter_mut().find(|(side, _)| side.tag == tag.id) else { return Ok(()) };
        let buffer = buffer.get_or_insert_with(|| Box::<Collector<T>>::default());
        let Some(collector) = buffer.as_any().downcast_mut::<Collector<T>>() else {
            return Err(Error::user(format!(
                "the output tag '{}' is used with two types of records; give each type a tag of its own",
                tag.id
            )));
        };
        collector.collect_with_timestamp(value, timestamp);
        Ok(())
    }

    fn flush(&mut self, cx: &mut OperatorContext<'_>) {
        for (side, buffer) in &mut self.ports {
            if let Some(batch) = buffer.as_mut().and_then(|buffer| buffer.take()) {
                cx.emit(side.port, batch);
            }
        }
    }
}

/// Main and side outputs of an operator, and the watermarks between their records.
pub struct Emitter<T> {
    /// The main output.
    pub collector: Collector<T>,
    /// The side outputs.
    pub sides: SideOutputs,
}

impl<T: Record> Emitter<T> {
    /// The outputs of this operator.
    pub fn new(runtime: &RuntimeContext) -> Self {
        Self { collector: Collector::default(), sides: SideOutputs::new(runtime) }
    }

    /// The watermark advances after what has been emitted so far.
    pub fn mark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) {
        if self.sides.is_empty() && !self.collector.is_empty() {
            self.collector.mark(watermark);
        } else {
            self.flush(cx);
            cx.emit_watermark(watermark);
        }
    }

    /// Hands over everything that has been gathered. To be called at the end of each call of the operator.
    pub fn flush(&mut self, cx: &mut OperatorContext<'_>) {
        let rows: Rows<T> = self.collector.take();
        if !rows.is_blank() {
            cx.emit(MAIN_PORT, Box::new(rows));
        }
        self.sides.flush(cx);
    }
}
