//! What is called with the contents of a window when it fires.

use super::time_window::Window;
use crate::function::hooks::checkpointed_hooks;
use crate::keyed_state::Store;
use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::function::{Collector, FunctionInitializationContext, FunctionSnapshotContext, OutputTag, SideOutputs};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::{CurrentState, Slot, StateAccess, StateDeclarations};
use brisk_core::types::{Key, Record};
use std::marker::PhantomData;

/// Called with the contents of a window, its key, and all that is known about it (Flink's `ProcessWindowFunction`).
///
/// `In` is `Vec<T>`, the elements in the order of arrival, for [`process`](super::WindowedStream::process); it is the result of the
/// aggregation for [`aggregate_process`](super::WindowedStream::aggregate_process).
pub trait ProcessWindowFunction: Sized + Send + 'static {
    /// The key; `()` for windows over all records.
    type Key: Key;
    /// The window.
    type Window: Window;
    /// The contents.
    type In;
    /// What it makes.
    type Out: Record;

    /// Makes the function of one subtask, with the handles of its states. A handle belongs either to
    /// [`window_state`](ProcessWindowContext::window_state) or to [`global_state`](ProcessWindowContext::global_state).
    fn declare(state: &mut StateDeclarations) -> Self;

    /// Called once per subtask, before the first window.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    /// Called each time a window fires. What `out` collects carries the last timestamp of the window.
    ///
    /// # Errors
    /// Fails the task.
    fn process(
        &mut self,
        key: &Self::Key,
        window: &Self::Window,
        contents: Self::In,
        ctx: &mut ProcessWindowContext<'_, Self::Key, Self::Window>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()>;

    /// Called when the window is gone: clear what is in its [`window_state`](ProcessWindowContext::window_state).
    ///
    /// # Errors
    /// Fails the task.
    fn clear(&mut self, _ctx: &mut ProcessWindowContext<'_, Self::Key, Self::Window>) -> Result<()> {
        Ok(())
    }

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What is known about the window that fires.
pub struct ProcessWindowContext<'a, K: Key, W> {
    /// All state of the operator.
    pub(crate) store: &'a mut Store<K>,
    /// The key and the window.
    pub(crate) slot: Slot<'a, K, W>,
    /// Whether the windows merge: then they have no state of their own.
    pub(crate) merging: bool,
    /// The operator's watermark.
    pub(crate) watermark: Timestamp,
    /// Processing time.
    pub(crate) now: Timestamp,
    /// Where records for side outputs go.
    pub(crate) sides: &'a mut SideOutputs,
    /// The subtask.
    pub(crate) runtime: &'a RuntimeContext,
}

impl<K: Key, W: Window> ProcessWindowContext<'_, K, W> {
    /// The window.
    pub const fn window(&self) -> &W {
        self.slot.namespace
    }

    /// The watermark; [`Timestamp::MIN`] before the first.
    pub const fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Processing time.
    pub const fn current_processing_time(&self) -> Timestamp {
        self.now
    }

    /// State of this key in this window alone. Handles used with it give an error where windows merge (sessions).
    pub const fn window_state(&mut self) -> WindowState<'_, K, W> {
        WindowState { store: self.store, slot: self.slot, merging: self.merging }
    }

    /// State of this key in all windows.
    pub const fn global_state(&mut self) -> GlobalState<'_, K> {
        GlobalState { store: self.store, hash: self.slot.hash, key: self.slot.key }
    }

    /// Emits a record to a side output, with the last timestamp of the window.
    ///
    /// # Errors
    /// When another tag of the same id has another type.
    pub fn output<T: Record>(&mut self, tag: &OutputTag<T>, value: T) -> Result<()> {
        self.sides.collect(tag, value, self.slot.namespace.max_timestamp())
    }

    /// The subtask, its metrics, accumulators and the job's parameters.
    pub const fn runtime(&self) -> &RuntimeContext {
        self.runtime
    }
}

/// State of one key in one window: a context for state handles.
pub struct WindowState<'a, K: Key, W> {
    store: &'a mut Store<K>,
    slot: Slot<'a, K, W>,
    merging: bool,
}

impl<K: Key, W: Window> StateAccess for WindowState<'_, K, W> {
    type Key = K;
    type Namespace = W;
    type Store = Store<K>;

    fn current_state(&mut self) -> Result<CurrentState<'_, Store<K>, K, W>> {
        if self.merging {
            return Err(brisk_base::Error::user(
                "per-window state is not possible where windows merge (sessions), since two windows may become one; use global_state()",
            ));
        }
        Ok(CurrentState { store: self.store, slot: self.slot })
    }
}

/// State of one key in all windows: a context for state handles.
pub struct GlobalState<'a, K: Key> {
    store: &'a mut Store<K>,
    hash: u64,
    key: &'a K,
}

impl<K: Key> StateAccess for GlobalState<'_, K> {
    type Key = K;
    type Namespace = ();
    type Store = Store<K>;

    fn current_state(&mut self) -> Result<CurrentState<'_, Store<K>, K, ()>> {
        Ok(CurrentState { store: self.store, slot: Slot { hash: self.hash, key: self.key, namespace: &() } })
    }
}

/// The result of a closure that may fail or not: `()` or `Result<()>`.
pub trait Outcome {
    /// As a result.
    ///
    /// # Errors
    /// That of `self`.
    fn outcome(self) -> Result<()>;
}

impl Outcome for () {
    #[inline]
    fn outcome(self) -> Result<()> {
        Ok(())
    }
}

impl Outcome for Result<()> {
    #[inline]
    fn outcome(self) -> Result<()> {
        self
    }
}

/// What operators call with the contents of a window: a [`ProcessWindowFunction`], or a closure.
pub(crate) trait WindowFunction: Send + 'static {
    type Key: Key;
    type Window: Window;
    type In;
    type Out: Record;

    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    checkpointed_hooks!();

    fn process(
        &mut self,
        key: &Self::Key,
        window: &Self::Window,
        contents: Self::In,
        ctx: &mut ProcessWindowContext<'_, Self::Key, Self::Window>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()>;

    fn clear(&mut self, _ctx: &mut ProcessWindowContext<'_, Self::Key, Self::Window>) -> Result<()> {
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

impl<G: ProcessWindowFunction> WindowFunction for G {
    type Key = G::Key;
    type Window = G::Window;
    type In = G::In;
    type Out = G::Out;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        ProcessWindowFunction::open(self, cx)
    }

    fn initialize_state(&mut self, state: &FunctionInitializationContext<'_>) -> Result<()> {
        ProcessWindowFunction::initialize_state(self, state)
    }

    fn snapshot_state(&mut self, state: &mut FunctionSnapshotContext<'_>) -> Result<()> {
        ProcessWindowFunction::snapshot_state(self, state)
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId) -> Result<()> {
        ProcessWindowFunction::checkpoint_complete(self, checkpoint)
    }

    fn process(
        &mut self,
        key: &G::Key,
        window: &G::Window,
        contents: G::In,
        ctx: &mut ProcessWindowContext<'_, G::Key, G::Window>,
        out: &mut Collector<G::Out>,
    ) -> Result<()> {
        ProcessWindowFunction::process(self, key, window, contents, ctx, out)
    }

    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, G::Key, G::Window>) -> Result<()> {
        ProcessWindowFunction::clear(self, ctx)
    }

    fn close(&mut self) -> Result<()> {
        ProcessWindowFunction::close(self)
    }
}

/// What a window function takes and gives.
type Signature<K, W, I, O, R> = PhantomData<fn(K, W, I) -> (O, R)>;

/// A closure `(key, window, contents, out)` as a [`WindowFunction`].
pub(crate) struct WindowFn<F, K, W, I, O, R> {
    function: F,
    types: Signature<K, W, I, O, R>,
}

impl<F, K, W, I, O, R> WindowFn<F, K, W, I, O, R> {
    pub(crate) const fn new(function: F) -> Self {
        Self { function, types: PhantomData }
    }
}

impl<F, K, W, I, O, R> WindowFunction for WindowFn<F, K, W, I, O, R>
where
    F: FnMut(&K, &W, I, &mut Collector<O>) -> R + Send + 'static,
    K: Key,
    W: Window,
    I: 'static,
    O: Record,
    R: Outcome + 'static,
{
    type Key = K;
    type Window = W;
    type In = I;
    type Out = O;

    #[inline]
    fn process(
        &mut self,
        key: &K,
        window: &W,
        contents: I,
        _ctx: &mut ProcessWindowContext<'_, K, W>,
        out: &mut Collector<O>,
    ) -> Result<()> {
        (self.function)(key, window, contents, out).outcome()
    }
}

/// Emits the contents as they are.
pub(crate) struct PassThrough<K, W, I>(PhantomData<fn(K, W, I)>);

impl<K, W, I> PassThrough<K, W, I> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<K: Key, W: Window, I: Record> WindowFunction for PassThrough<K, W, I> {
    type Key = K;
    type Window = W;
    type In = I;
    type Out = I;

    #[inline]
    fn process(
        &mut self,
        _key: &K,
        _window: &W,
        contents: I,
        _ctx: &mut ProcessWindowContext<'_, K, W>,
        out: &mut Collector<I>,
    ) -> Result<()> {
        out.collect(contents);
        Ok(())
    }
}
