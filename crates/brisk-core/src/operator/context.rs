//! What an operator is given with each call.

use super::{Budget, RuntimeContext};
use crate::batch::AnyBatch;
use crate::element::{Element, StreamStatus};
use crate::source::SourceEvent;
use brisk_base::Timestamp;
use std::task::Waker;

/// An output of an operator: 0 is the main one, others are side outputs.
pub type Port = usize;

/// The main output.
pub const MAIN_PORT: Port = 0;

/// Takes what operators emit. Filled in by the runtime and by test harnesses.
pub trait Output {
    /// Takes an element for one port.
    fn emit(&mut self, port: Port, element: Element);

    /// Number of ports, the main one included.
    fn ports(&self) -> usize;

    /// Sends a message to this operator's coordinator.
    fn send_event(&mut self, event: SourceEvent);

    /// Asks for the task to be polled again after this time at the latest. Harnesses that poll by hand need not do anything.
    fn wake_after(&mut self, _span: std::time::Duration) {}
}

/// Output, time and budget of one call.
pub struct OperatorContext<'a> {
    /// Who and where the operator is.
    pub runtime: &'a RuntimeContext,
    /// The time this call may take.
    pub budget: &'a mut Budget,
    /// Wakes the task.
    pub waker: &'a Waker,
    output: &'a mut dyn Output,
}

impl<'a> OperatorContext<'a> {
    /// Made by the runtime for each call.
    pub fn new(runtime: &'a RuntimeContext, budget: &'a mut Budget, waker: &'a Waker, output: &'a mut dyn Output) -> Self {
        Self { runtime, budget, waker, output }
    }

    /// Asks for the task to be polled again after this time at the latest, more finely than processing-time timers can.
    pub fn wake_after(&mut self, span: std::time::Duration) {
        self.output.wake_after(span);
    }

    /// Emits a batch to one output.
    pub fn emit(&mut self, port: Port, batch: Box<dyn AnyBatch>) {
        self.output.emit(port, Element::Batch(batch));
    }

    /// Emits a watermark to all outputs.
    pub fn emit_watermark(&mut self, watermark: Timestamp) {
        (0..self.output.ports()).for_each(|port| self.output.emit(port, Element::Watermark(watermark)));
    }

    /// Emits a watermark to one output.
    pub fn emit_watermark_to(&mut self, port: Port, watermark: Timestamp) {
        self.output.emit(port, Element::Watermark(watermark));
    }

    /// Emits a status to all outputs.
    pub fn emit_status(&mut self, status: StreamStatus) {
        (0..self.output.ports()).for_each(|port| self.output.emit(port, Element::Status(status)));
    }

    /// Number of outputs, the main one included.
    pub fn ports(&self) -> usize {
        self.output.ports()
    }

    /// Sends a message to this operator's coordinator on the JobMaster.
    pub fn send_event(&mut self, event: SourceEvent) {
        self.output.send_event(event);
    }

    /// Processing time.
    pub fn now(&self) -> Timestamp {
        self.runtime.world.now()
    }
}
