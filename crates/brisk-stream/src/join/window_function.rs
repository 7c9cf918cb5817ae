//! What joins of windows call: for each pair, or for the two sides of a window as a whole.

use crate::function::hooks::{checkpointed_hooks, delegate_hooks};
use crate::window::Outcome;
use brisk_base::Result;
use brisk_core::function::Collector;
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::marker::PhantomData;

/// Makes one record of each pair of a window (Flink's `JoinFunction`); for [`WithWindow::apply_with`](super::WithWindow::apply_with).
pub trait JoinFunction: Clone + Send + 'static {
    /// Records of the first stream.
    type In1: Record;
    /// Records of the second stream.
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

    /// Called for each pair.
    ///
    /// # Errors
    /// Fails the task.
    fn join(&mut self, first: &Self::In1, second: &Self::In2) -> Result<Self::Out>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Makes any number of records of each pair of a window (Flink's `FlatJoinFunction`); for
/// [`WithWindow::flat_apply_with`](super::WithWindow::flat_apply_with).
pub trait FlatJoinFunction: Clone + Send + 'static {
    /// Records of the first stream.
    type In1: Record;
    /// Records of the second stream.
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

    /// Called for each pair.
    ///
    /// # Errors
    /// Fails the task.
    fn join(&mut self, first: &Self::In1, second: &Self::In2, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Called with all records of a key and window, those of either stream apart (Flink's `CoGroupFunction`); for
/// [`WithWindow::apply_with`](super::WithWindow::apply_with).
pub trait CoGroupFunction: Clone + Send + 'static {
    /// Records of the first stream.
    type In1: Record;
    /// Records of the second stream.
    type In2: Record;
    /// What it makes.
    type Out: Record;

    /// Called once per subtask, before the first window.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called each time a window fires, each side in the order of arrival. One of the sides may be empty.
    ///
    /// # Errors
    /// Fails the task.
    fn co_group(&mut self, first: Vec<Self::In1>, second: Vec<Self::In2>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A [`JoinFunction`] as a [`FlatJoinFunction`].
#[derive(Clone)]
pub(super) struct Flat<F>(pub(super) F);

impl<F: JoinFunction> FlatJoinFunction for Flat<F> {
    type In1 = F::In1;
    type In2 = F::In2;
    type Out = F::Out;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.0.open(cx)
    }

    delegate_hooks!(0);

    fn join(&mut self, first: &F::In1, second: &F::In2, out: &mut Collector<F::Out>) -> Result<()> {
        out.collect(self.0.join(first, second)?);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.0.close()
    }
}

/// A closure as one of the functions above: which, depends on its parameters.
pub(super) struct Closure<F, A, B, O, R> {
    function: F,
    types: PhantomData<fn(A, B, O, R)>,
}

impl<F, A, B, O, R> Closure<F, A, B, O, R> {
    pub(super) const fn new(function: F) -> Self {
        Self { function, types: PhantomData }
    }
}

impl<F: Clone, A, B, O, R> Clone for Closure<F, A, B, O, R> {
    fn clone(&self) -> Self {
        Self::new(self.function.clone())
    }
}

impl<F, A: Record, B: Record, O: Record> JoinFunction for Closure<F, A, B, O, O>
where
    F: FnMut(&A, &B) -> O + Clone + Send + 'static,
{
    type In1 = A;
    type In2 = B;
    type Out = O;

    fn join(&mut self, first: &A, second: &B) -> Result<O> {
        Ok((self.function)(first, second))
    }
}

impl<F, A: Record, B: Record, O: Record, R: Outcome + 'static> FlatJoinFunction for Closure<F, A, B, O, R>
where
    F: FnMut(&A, &B, &mut Collector<O>) -> R + Clone + Send + 'static,
{
    type In1 = A;
    type In2 = B;
    type Out = O;

    fn join(&mut self, first: &A, second: &B, out: &mut Collector<O>) -> Result<()> {
        (self.function)(first, second, out).outcome()
    }
}

impl<F, A: Record, B: Record, O: Record, R: Outcome + 'static> CoGroupFunction for Closure<F, A, B, O, R>
where
    F: FnMut(Vec<A>, Vec<B>, &mut Collector<O>) -> R + Clone + Send + 'static,
{
    type In1 = A;
    type In2 = B;
    type Out = O;

    fn co_group(&mut self, first: Vec<A>, second: Vec<B>, out: &mut Collector<O>) -> Result<()> {
        (self.function)(first, second, out).outcome()
    }
}
