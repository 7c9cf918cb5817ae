//! What an interval join calls for each pair.

use crate::function::hooks::checkpointed_hooks;
use crate::window::Outcome;
use brisk_base::{Result, Timestamp};
use brisk_core::function::{Collector, OutputTag, SideOutputs};
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::marker::PhantomData;

/// Called for each pair of an interval join (Flink's `ProcessJoinFunction`); for [`IntervalJoined::process`](super::IntervalJoined::process).
pub trait ProcessJoinFunction: Clone + Send + 'static {
    /// Records of the left stream.
    type In1: Record;
    /// Records of the right stream.
    type In2: Record;
    /// What it makes.
    type Out: Record;

    /// Called once per subtask, before the first pair.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called for each pair. What `out` collects carries the greater of the two timestamps.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(
        &mut self,
        left: &Self::In1,
        right: &Self::In2,
        ctx: &mut JoinContext<'_>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What is known about a pair (Flink's `ProcessJoinFunction.Context`).
pub struct JoinContext<'a> {
    /// Timestamp of the left record.
    pub(super) left: Timestamp,
    /// Timestamp of the right record.
    pub(super) right: Timestamp,
    /// The operator's watermark.
    pub(super) watermark: Timestamp,
    /// Where records for side outputs go.
    pub(super) sides: &'a mut SideOutputs,
    /// The subtask.
    pub(super) runtime: &'a RuntimeContext,
}

impl JoinContext<'_> {
    /// The left record's timestamp.
    pub const fn left_timestamp(&self) -> Timestamp {
        self.left
    }

    /// The right record's timestamp.
    pub const fn right_timestamp(&self) -> Timestamp {
        self.right
    }

    /// The pair's timestamp: the greater of the two.
    pub fn timestamp(&self) -> Timestamp {
        self.left.max(self.right)
    }

    /// The watermark; [`Timestamp::MIN`] before the first.
    pub const fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Emits a record to a side output, with the pair's timestamp.
    ///
    /// # Errors
    /// When another tag of the same id has another type.
    pub fn output<T: Record>(&mut self, tag: &OutputTag<T>, value: T) -> Result<()> {
        let timestamp = self.timestamp();
        self.sides.collect(tag, value, timestamp)
    }

    /// The subtask, its metrics, accumulators and the job's parameters.
    pub const fn runtime(&self) -> &RuntimeContext {
        self.runtime
    }
}

/// A closure `(left, right, ctx, out)` as a [`ProcessJoinFunction`].
pub(super) struct ProcessJoinFn<F, A, B, O, R> {
    function: F,
    types: PhantomData<fn(A, B, O, R)>,
}

impl<F, A, B, O, R> ProcessJoinFn<F, A, B, O, R> {
    pub(super) const fn new(function: F) -> Self {
        Self { function, types: PhantomData }
    }
}

impl<F: Clone, A, B, O, R> Clone for ProcessJoinFn<F, A, B, O, R> {
    fn clone(&self) -> Self {
        Self::new(self.function.clone())
    }
}

impl<F, A, B, O, R> ProcessJoinFunction for ProcessJoinFn<F, A, B, O, R>
where
    F: FnMut(&A, &B, &mut JoinContext<'_>, &mut Collector<O>) -> R + Clone + Send + 'static,
    A: Record,
    B: Record,
    O: Record,
    R: Outcome + 'static,
{
    type In1 = A;
    type In2 = B;
    type Out = O;

    #[inline]
    fn process_element(&mut self, left: &A, right: &B, ctx: &mut JoinContext<'_>, out: &mut Collector<O>) -> Result<()> {
        (self.function)(left, right, ctx, out).outcome()
    }
}
