//! Two streams of different types processed by one function, which may keep what it knows of both in its fields.

use super::ProcessContext;
use super::hooks::{checkpointed_hooks, delegate_hooks};
use super::map::closure_wrapper;
use brisk_base::Result;
use brisk_core::function::Collector;
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::marker::PhantomData;

/// Takes the records of two streams with all that is known about them (Flink's `CoProcessFunction`); for
/// [`ConnectedStreams::process`](crate::ConnectedStreams::process).
pub trait CoProcessFunction: Clone + Send + 'static {
    /// Records of the first stream.
    type In1: Record;
    /// Records of the second stream.
    type In2: Record;
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

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element1(&mut self, value: Self::In1, ctx: &mut ProcessContext<'_>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element2(&mut self, value: Self::In2, ctx: &mut ProcessContext<'_>, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Makes one record of each record of two streams (Flink's `RichCoMapFunction`).
pub trait CoMapFunction: Clone + Send + 'static {
    /// Records of the first stream.
    type In1: Record;
    /// Records of the second stream.
    type In2: Record;
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

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Fails the task.
    fn map1(&mut self, value: Self::In1) -> Result<Self::Out>;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Fails the task.
    fn map2(&mut self, value: Self::In2) -> Result<Self::Out>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// Makes any number of records of each record of two streams (Flink's `RichCoFlatMapFunction`).
pub trait CoFlatMapFunction: Clone + Send + 'static {
    /// Records of the first stream.
    type In1: Record;
    /// Records of the second stream.
    type In2: Record;
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

    /// Called for each record of the first stream.
    ///
    /// # Errors
    /// Fails the task.
    fn flat_map1(&mut self, value: Self::In1, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called for each record of the second stream.
    ///
    /// # Errors
    /// Fails the task.
    fn flat_map2(&mut self, value: Self::In2, out: &mut Collector<Self::Out>) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// A [`CoMapFunction`] as a [`CoProcessFunction`].
#[derive(Clone)]
pub(crate) struct CoMap<F>(pub(crate) F);

impl<F: CoMapFunction> CoProcessFunction for CoMap<F> {
    type In1 = F::In1;
    type In2 = F::In2;
    type Out = F::Out;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.0.open(cx)
    }

    delegate_hooks!(0);

    fn process_element1(&mut self, value: F::In1, _ctx: &mut ProcessContext<'_>, out: &mut Collector<F::Out>) -> Result<()> {
        out.collect(self.0.map1(value)?);
        Ok(())
    }

    fn process_element2(&mut self, value: F::In2, _ctx: &mut ProcessContext<'_>, out: &mut Collector<F::Out>) -> Result<()> {
        out.collect(self.0.map2(value)?);
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.0.close()
    }
}

/// A [`CoFlatMapFunction`] as a [`CoProcessFunction`].
#[derive(Clone)]
pub(crate) struct CoFlatMap<F>(pub(crate) F);

impl<F: CoFlatMapFunction> CoProcessFunction for CoFlatMap<F> {
    type In1 = F::In1;
    type In2 = F::In2;
    type Out = F::Out;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.0.open(cx)
    }

    delegate_hooks!(0);

    fn process_element1(&mut self, value: F::In1, _ctx: &mut ProcessContext<'_>, out: &mut Collector<F::Out>) -> Result<()> {
        self.0.flat_map1(value, out)
    }

    fn process_element2(&mut self, value: F::In2, _ctx: &mut ProcessContext<'_>, out: &mut Collector<F::Out>) -> Result<()> {
        self.0.flat_map2(value, out)
    }

    fn close(&mut self) -> Result<()> {
        self.0.close()
    }
}

/// Two closures that map, as a [`CoMapFunction`].
pub(crate) struct CoMapFn<F, A, B, U>(F, PhantomData<fn(A, B) -> U>);

closure_wrapper!(CoMapFn<A, B, U>);

impl<A, B, U, F1, F2> CoMapFunction for CoMapFn<(F1, F2), A, B, U>
where
    A: Record,
    B: Record,
    U: Record,
    F1: FnMut(A) -> U + Clone + Send + 'static,
    F2: FnMut(B) -> U + Clone + Send + 'static,
{
    type In1 = A;
    type In2 = B;
    type Out = U;

    fn map1(&mut self, value: A) -> Result<U> {
        Ok((self.0.0)(value))
    }

    fn map2(&mut self, value: B) -> Result<U> {
        Ok((self.0.1)(value))
    }
}

/// Two closures that make any number of records, as a [`CoFlatMapFunction`].
pub(crate) struct CoFlatMapFn<F, A, B, U>(F, PhantomData<fn(A, B) -> U>);

closure_wrapper!(CoFlatMapFn<A, B, U>);

impl<A, B, U, F1, F2> CoFlatMapFunction for CoFlatMapFn<(F1, F2), A, B, U>
where
    A: Record,
    B: Record,
    U: Record,
    F1: FnMut(A, &mut Collector<U>) + Clone + Send + 'static,
    F2: FnMut(B, &mut Collector<U>) + Clone + Send + 'static,
{
    type In1 = A;
    type In2 = B;
    type Out = U;

    fn flat_map1(&mut self, value: A, out: &mut Collector<U>) -> Result<()> {
        (self.0.0)(value, out);
        Ok(())
    }

    fn flat_map2(&mut self, value: B, out: &mut Collector<U>) -> Result<()> {
        (self.0.1)(value, out);
        Ok(())
    }
}
