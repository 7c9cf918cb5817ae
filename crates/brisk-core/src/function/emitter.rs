//! Main and side outputs of one operator.

use super::Collector;
use crate::batch::Rows;
use crate::operator::{MAIN_PORT, OperatorContext, Port, RuntimeContext, SideOutputPort};
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
    fn mark(&mut self, watermark: Timestamp);
    fn flush(&mut self, port: Port, cx: &mut OperatorContext<'_>);
    fn as_any(&mut self) -> &mut dyn Any;
}

impl<T: Record> SideBuffer for Collector<T> {
    fn mark(&mut self, watermark: Timestamp) {
        Self::mark(self, watermark);
    }

    fn flush(&mut self, port: Port, cx: &mut OperatorContext<'_>) {
        emit(self.take(), port, cx);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}

/// Emits rows, or a watermark where there is no row.
fn emit<T: Record>(rows: Rows<T>, port: Port, cx: &mut OperatorContext<'_>) {
    if !rows.values.is_empty() {
        cx.emit(port, Box::new(rows));
    } else if let Some(last) = rows.marks.last() {
        cx.emit_watermark_to(port, last.watermark);
    }
}

/// One side output that somebody reads.
struct Side {
    port: SideOutputPort,
    /// Made with the first record, which fixes the type.
    buffer: Option<Box<dyn SideBuffer>>,
    /// A watermark that came while there was no buffer.
    watermark: Option<Timestamp>,
}

/// The side outputs of an operator: records for tags that nobody reads are dropped.
#[derive(Default)]
pub struct SideOutputs {
    sides: Vec<Side>,
    /// Records gathered since the last flush.
    gathered: usize,
}

impl SideOutputs {
    /// The side outputs of this operator that somebody reads.
    pub fn new(runtime: &RuntimeContext) -> Self {
        let side = |port: &SideOutputPort| Side { port: port.clone(), buffer: None, watermark: None };
        Self { sides: runtime.side_outputs.iter().map(side).collect(), gathered: 0 }
    }

    /// Whether nobody reads any.
    pub fn is_empty(&self) -> bool {
        self.sides.is_empty()
    }

    /// Emits a record to the side output of this tag.
    ///
    /// # Errors
    /// When the tag was used with another type before.
    pub fn collect<T: Record>(&mut self, tag: &OutputTag<T>, value: T, timestamp: Timestamp) -> Result<()> {
        let Some(side) = self.sides.iter_mut().find(|side| side.port.tag == tag.id) else { return Ok(()) };
        let watermark = &mut side.watermark;
        let buffer = side.buffer.get_or_insert_with(|| {
            let mut collector = Collector::<T>::default();
            watermark.take().into_iter().for_each(|watermark| collector.mark(watermark));
            Box::new(collector)
        });
        let Some(collector) = buffer.as_any().downcast_mut::<Collector<T>>() else {
            return Err(Error::user(format!(
                "the output tag '{}' is used with two types of records; give each type a tag of its own",
                tag.id
            )));
        };
        collector.collect_with_timestamp(value, timestamp);
        self.gathered += 1;
        Ok(())
    }

    fn mark(&mut self, watermark: Timestamp) {
        for side in &mut self.sides {
            match &mut side.buffer {
                Some(buffer) => buffer.mark(watermark),
                None => side.watermark = side.watermark.max(Some(watermark)),
            }
        }
    }

    fn flush(&mut self, cx: &mut OperatorContext<'_>) {
        self.gathered = 0;
        for Side { port, buffer, watermark } in &mut self.sides {
            if let Some(watermark) = watermark.take() {
                cx.emit_watermark_to(port.port, watermark);
            }
            if let Some(buffer) = buffer {
                buffer.flush(port.port, cx);
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

    /// Makes room for a batch like the last one, so that it need not grow row by row. To be called where a batch begins to be processed;
    /// an operator that waits holds no memory.
    #[inline]
    pub fn reserve(&mut self) {
        self.collector.reserve();
    }

    /// The watermark advances after what has been emitted so far, on all outputs. Costs no element of its own.
    #[inline]
    pub fn mark(&mut self, watermark: Timestamp) {
        self.collector.mark(watermark);
        if !self.sides.is_empty() {
            self.sides.mark(watermark);
        }
    }

    /// Whether an output has gathered a full batch: time to flush and return.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.collector.is_full() || self.sides.gathered >= Rows::<T>::FULL
    }

    /// Hands over everything that has been gathered. To be called at the end of each call of the operator.
    pub fn flush(&mut self, cx: &mut OperatorContext<'_>) {
        emit::<T>(self.collector.take(), MAIN_PORT, cx);
        self.sides.flush(cx);
    }
}
