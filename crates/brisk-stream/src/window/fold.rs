//! How elements are folded into the one value that a window keeps of a key: reduce, aggregate, sum, min and max.
//!
//! Invariant: a fold remembers nothing of a key; one instance serves all windows of a subtask.

use super::function::{ProcessWindowContext, WindowFunction};
use brisk_base::Result;
use brisk_core::function::{AggregateFunction, Collector, ReduceFunction};
use brisk_core::operator::RuntimeContext;
use brisk_core::types::Record;
use std::marker::PhantomData;
use std::sync::Arc;

/// Folds elements of type `T` into an accumulator, and makes the result of it.
pub(crate) trait Fold<T>: Clone + Send + 'static {
    /// What is kept in state.
    type Acc: Record;
    /// The result.
    type Out;

    /// The accumulator of a first element.
    fn create(&mut self, value: T) -> Result<Self::Acc>;

    /// Folds in a further element.
    fn add(&mut self, acc: &mut Self::Acc, value: T) -> Result<()>;

    /// Folds one accumulator into another.
    fn merge(&mut self, into: &mut Self::Acc, from: Self::Acc) -> Result<()>;

    /// The result so far.
    fn result(&mut self, acc: &Self::Acc) -> Result<Self::Out>;

    /// The result, when the accumulator is used no more.
    fn last_result(&mut self, acc: Self::Acc) -> Result<Self::Out> {
        self.result(&acc)
    }
}

/// Folds with a user's [`AggregateFunction`].
pub(crate) struct Aggregating<A>(Arc<A>);

impl<A> Aggregating<A> {
    pub(crate) const fn new(function: Arc<A>) -> Self {
        Self(function)
    }
}

impl<A> Clone for Aggregating<A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<A: AggregateFunction> Fold<A::In> for Aggregating<A> {
    type Acc = A::Acc;
    type Out = A::Out;

    #[inline]
    fn create(&mut self, value: A::In) -> Result<A::Acc> {
        let mut acc = self.0.create_accumulator();
        self.0.add(&mut acc, value)?;
        Ok(acc)
    }

    #[inline]
    fn add(&mut self, acc: &mut A::Acc, value: A::In) -> Result<()> {
        self.0.add(acc, value)
    }

    fn merge(&mut self, into: &mut A::Acc, from: A::Acc) -> Result<()> {
        self.0.merge(into, from)
    }

    #[inline]
    fn result(&mut self, acc: &A::Acc) -> Result<A::Out> {
        self.0.get_result(acc)
    }
}

/// Folds with a user's [`ReduceFunction`].
pub(crate) struct Reducing<T, F> {
    function: Arc<F>,
    /// Stands in an accumulator's place while the function has its value, so that no value is cloned per element.
    spare: Option<T>,
}

impl<T, F> Reducing<T, F> {
    pub(crate) const fn new(function: Arc<F>) -> Self {
        Self { function, spare: None }
    }
}

impl<T, F> Clone for Reducing<T, F> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.function))
    }
}

impl<T: Record, F: ReduceFunction<T>> Fold<T> for Reducing<T, F> {
    type Acc = T;
    type Out = T;

    #[inline]
    fn create(&mut self, value: T) -> Result<T> {
        Ok(value)
    }

    #[inline]
    fn add(&mut self, acc: &mut T, value: T) -> Result<()> {
        if !std::mem::needs_drop::<T>() {
            // Plain data is copied faster than it is exchanged.
            *acc = self.function.reduce(acc.clone(), value)?;
            return Ok(());
        }
        let spare = self.spare.take().unwrap_or_else(|| acc.clone());
        let first = std::mem::replace(acc, spare);
        let sum = self.function.reduce(first, value)?;
        self.spare = Some(std::mem::replace(acc, sum));
        Ok(())
    }

    fn merge(&mut self, into: &mut T, from: T) -> Result<()> {
        self.add(into, from)
    }

    fn result(&mut self, acc: &T) -> Result<T> {
        Ok(acc.clone())
    }

    #[inline]
    fn last_result(&mut self, acc: T) -> Result<T> {
        Ok(acc)
    }
}

/// Folds with a closure that changes the first element in place: sum, min, max, `min_by`, `max_by`.
pub(crate) struct InPlace<T, F> {
    fold: F,
    element: PhantomData<fn(T)>,
}

impl<T, F> InPlace<T, F> {
    pub(crate) const fn new(fold: F) -> Self {
        Self { fold, element: PhantomData }
    }
}

impl<T, F: Clone> Clone for InPlace<T, F> {
    fn clone(&self) -> Self {
        Self::new(self.fold.clone())
    }
}

impl<T: Record, F: FnMut(&mut T, T) + Clone + Send + 'static> Fold<T> for InPlace<T, F> {
    type Acc = T;
    type Out = T;

    #[inline]
    fn create(&mut self, value: T) -> Result<T> {
        Ok(value)
    }

    #[inline]
    fn add(&mut self, acc: &mut T, value: T) -> Result<()> {
        (self.fold)(acc, value);
        Ok(())
    }

    fn merge(&mut self, into: &mut T, from: T) -> Result<()> {
        (self.fold)(into, from);
        Ok(())
    }

    fn result(&mut self, acc: &T) -> Result<T> {
        Ok(acc.clone())
    }

    #[inline]
    fn last_result(&mut self, acc: T) -> Result<T> {
        Ok(acc)
    }
}

/// Folds the elements that an evictor has left, and calls a function with the result.
pub(crate) struct FoldThen<T, F, G> {
    fold: F,
    function: G,
    element: PhantomData<fn(T)>,
}

impl<T, F, G> FoldThen<T, F, G> {
    pub(crate) const fn new(fold: F, function: G) -> Self {
        Self { fold, function, element: PhantomData }
    }
}

impl<T, F, G> WindowFunction for FoldThen<T, F, G>
where
    T: Record,
    F: Fold<T>,
    G: WindowFunction<In = F::Out>,
{
    type Key = G::Key;
    type Window = G::Window;
    type In = Vec<T>;
    type Out = G::Out;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.function.open(cx)
    }

    /// Nothing is called when the evictor has left nothing: there is no result then.
    fn process(
        &mut self,
        key: &G::Key,
        window: &G::Window,
        elements: Vec<T>,
        ctx: &mut ProcessWindowContext<'_, G::Key, G::Window>,
        out: &mut Collector<G::Out>,
    ) -> Result<()> {
        let mut elements = elements.into_iter();
        let Some(first) = elements.next() else { return Ok(()) };
        let mut acc = self.fold.create(first)?;
        elements.try_for_each(|element| self.fold.add(&mut acc, element))?;
        let result = self.fold.last_result(acc)?;
        self.function.process(key, window, result, ctx, out)
    }

    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, G::Key, G::Window>) -> Result<()> {
        self.function.clear(ctx)
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
