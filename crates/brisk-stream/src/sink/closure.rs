//! A sink that calls a closure for each record.

use brisk_base::{Result, Timestamp};
use brisk_core::operator::{PerSubtask, RuntimeContext};
use brisk_core::sink::{Sink, SinkWriter};
use brisk_core::types::Record;
use std::marker::PhantomData;

/// Calls a closure for each record, one clone of it per subtask.
pub struct FnSink<T, F> {
    function: PerSubtask<F>,
    record: PhantomData<fn(T)>,
}

impl<T: Record, F: FnMut(T) -> Result<()> + Clone + Send + 'static> FnSink<T, F> {
    /// A sink that calls `function`.
    pub const fn new(function: F) -> Self {
        Self { function: PerSubtask::new(function), record: PhantomData }
    }
}

impl<T: Record, F: FnMut(T) -> Result<()> + Clone + Send + 'static> Sink for FnSink<T, F> {
    type In = T;

    fn create_writer(&self, _cx: &RuntimeContext) -> Result<Box<dyn SinkWriter<T>>> {
        Ok(Box::new(FnWriter(self.function.instance())))
    }
}

struct FnWriter<F>(F);

impl<T: Record, F: FnMut(T) -> Result<()> + Send> SinkWriter<T> for FnWriter<F> {
    fn write(&mut self, value: T, _timestamp: Timestamp) -> Result<()> {
        (self.0)(value)
    }
}
