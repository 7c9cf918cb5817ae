//! Records with their time, watermark and side outputs, but without state.

use super::hooks::checkpointed_hooks;
use brisk_base::{Result, Timestamp};
use brisk_core::function::{Collector, OutputTag, SideOutputs};
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;

/// Takes records one by one with all that is known about them (Flink's `ProcessFunction`); for
/// [`process`](crate::DataStream::process). Timers and keyed state need [`KeyedProcessFunction`](super::KeyedProcessFunction).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `ProcessFunction`",
    note = "a `KeyedProcessFunction` needs a keyed stream: call `key_by` first, then `.process::<F>()`"
)]
pub trait ProcessFunction: Clone + Send + 'static {
    /// What it takes.
    type In: Record;
    /// What it makes.
    type Out: Record;

    /// Called once per subtask, before the first record.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called for each record.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(&mut self, value: Self::In, ctx: &mut ProcessContext<'_>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What is known about the record that is being processed.
pub struct ProcessContext<'a> {
    /// Timestamp of the record, or [`Timestamp::MIN`].
    pub(crate) timestamp: Timestamp,
    /// The operator's watermark before the record.
    pub(crate) watermark: Timestamp,
    /// Where records for side outputs go.
    pub(crate) sides: &'a mut SideOutputs,
    /// The subtask.
    pub(crate) runtime: &'a RuntimeContext,
}

impl ProcessContext<'_> {
    /// The record's timestamp, if it has one.
    pub fn timestamp(&self) -> Option<Timestamp> {
        Some(self.timestamp).filter(|timestamp| timestamp.is_set())
    }

    /// The watermark; [`Timestamp::MIN`] before the first.
    pub const fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The wall clock.
    pub fn current_processing_time(&self) -> Timestamp {
        self.runtime.world.now()
    }

    /// Emits a record to a side output, with the timestamp of the record that is being processed.
    ///
    /// # Errors
    /// When another tag of the same id has another type.
    pub fn output<T: Record>(&mut self, tag: &OutputTag<T>, value: T) -> Result<()> {
        self.sides.collect(tag, value, self.timestamp)
    }

    /// The subtask, its metrics, accumulators and the job's parameters.
    pub const fn runtime(&self) -> &RuntimeContext {
        self.runtime
    }
}
