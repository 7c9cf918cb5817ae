//! What a window keeps of its elements, in state, and how the window function gets it: one folded value, all elements, or all elements
//! with an evictor.

use super::evictor::{Evictor, EvictorContext, WindowElements};
use super::fold::Fold;
use super::function::{ProcessWindowContext, WindowFunction};
use super::time_window::Window;
use crate::function::hooks::{checkpointed_hooks, delegate_hooks};
use crate::keyed_state::Store;
use brisk_base::{Result, Timestamp};
use brisk_core::function::Emitter;
use brisk_core::operator::{OperatorContext, RuntimeContext};
use brisk_core::state::{Layout, Slot, StateDeclarations, StateId, StateStore};
use brisk_core::types::{Key, Record};
use std::marker::PhantomData;

/// Where and when a window fires.
pub(crate) struct Firing<'a, K, W> {
    /// The key and the window.
    pub(crate) slot: Slot<'a, K, W>,
    /// The namespace that holds the contents: the window, unless windows merge.
    pub(crate) state_window: &'a W,
    /// Whether windows merge.
    pub(crate) merging: bool,
    /// Whether the contents are dropped afterwards in any case.
    pub(crate) last: bool,
    /// The operator's watermark.
    pub(crate) watermark: Timestamp,
    /// Processing time.
    pub(crate) now: Timestamp,
}

impl<K: Key, W: Window> Firing<'_, K, W> {
    /// Where the contents lie.
    fn contents(&self) -> Slot<'_, K, W> {
        self.slot.at(self.state_window)
    }

    /// Calls the window function.
    pub(crate) fn call<G: WindowFunction<Key = K, Window = W>>(
        &self,
        function: &mut G,
        contents: G::In,
        store: &mut Store<K>,
        emitter: &mut Emitter<G::Out>,
        runtime: &RuntimeContext,
    ) -> Result<()> {
        let Emitter { collector, sides } = emitter;
        collector.set_timestamp(self.slot.namespace.max_timestamp());
        let mut ctx = ProcessWindowContext {
            store,
            slot: self.slot,
            merging: self.merging,
            watermark: self.watermark,
            now: self.now,
            sides,
            runtime,
        };
        function.process(self.slot.key, self.slot.namespace, contents, &mut ctx, collector)
    }
}

/// The contents of windows and the function that is called with them.
pub(crate) trait Contents<T, K: Key, W: Window>: Send {
    /// What the window function makes.
    type Out: Record;

    /// Declares the state of the contents.
    fn declare(&mut self, state: &mut StateDeclarations);

    /// Takes over what a checkpoint left, before the window function is opened.
    fn claim(&mut self, store: &mut Store<K>) -> Result<()>;

    /// Opens the window function.
    fn open(&mut self, runtime: &RuntimeContext) -> Result<()>;

    checkpointed_hooks!();

    /// Adds an element to the window at `slot`.
    fn add(&mut self, slot: Slot<'_, K, W>, value: T, timestamp: Timestamp, store: &mut Store<K>) -> Result<()>;

    /// Calls the window function with the contents, if there are any.
    fn fire(
        &mut self,
        firing: &Firing<'_, K, W>,
        store: &mut Store<K>,
        emitter: &mut Emitter<Self::Out>,
        cx: &OperatorContext<'_>,
    ) -> Result<()>;

    /// Drops the contents at `slot`.
    fn purge(&mut self, slot: Slot<'_, K, W>, store: &mut Store<K>) -> Result<()>;

    /// Moves the contents of the windows `from` to `into`, in this order.
    fn merge(&mut self, into: Slot<'_, K, W>, from: &[W], store: &mut Store<K>) -> Result<()>;

    /// The window is gone: clears the window function's state.
    fn clear(
        &mut self,
        firing: &Firing<'_, K, W>,
        store: &mut Store<K>,
        emitter: &mut Emitter<Self::Out>,
        cx: &OperatorContext<'_>,
    ) -> Result<()>;

    /// Closes the window function.
    fn close(&mut self) -> Result<()>;
}

/// What all kinds of contents do in the same way with their window function.
macro_rules! delegate_to_function {
    ($K:ident, $W:ident) => {
        fn open(&mut self, runtime: &RuntimeContext) -> Result<()> {
            self.function.open(runtime)
        }

        delegate_hooks!(function);

        fn clear(
            &mut self,
            firing: &Firing<'_, $K, $W>,
            store: &mut Store<$K>,
            emitter: &mut Emitter<Self::Out>,
            cx: &OperatorContext<'_>,
        ) -> Result<()> {
            let (slot, merging, watermark, now) = (firing.slot, firing.merging, firing.watermark, firing.now);
            let sides = &mut emitter.sides;
            self.function.clear(&mut ProcessWindowContext { store, slot, merging, watermark, now, sides, runtime: cx.runtime })
        }

        fn close(&mut self) -> Result<()> {
            self.function.close()
        }
    };
}

/// The state of contents before it has been declared.
const UNDECLARED: StateId = StateId(u16::MAX);

/// Elements folded into one value.
pub(crate) struct Folded<F, G> {
    fold: F,
    function: G,
    state: StateId,
}

impl<F, G> Folded<F, G> {
    pub(crate) const fn new(fold: F, function: G) -> Self {
        Self { fold, function, state: UNDECLARED }
    }
}

impl<T, K, W, F, G> Contents<T, K, W> for Folded<F, G>
where
    K: Key,
    W: Window,
    F: Fold<T>,
    G: WindowFunction<Key = K, Window = W, In = F::Out>,
{
    type Out = G::Out;

    delegate_to_function!(K, W);

    fn declare(&mut self, state: &mut StateDeclarations) {
        self.state = state.engine_value::<F::Acc>("window-contents", Layout::KeyMajor);
    }

    fn claim(&mut self, store: &mut Store<K>) -> Result<()> {
        store.value::<W, F::Acc>(self.state).map(drop)
    }

    fn add(&mut self, slot: Slot<'_, K, W>, value: T, _timestamp: Timestamp, store: &mut Store<K>) -> Result<()> {
        let Self { fold, state, .. } = self;
        let mut value = Some(value);
        store.value::<W, F::Acc>(*state)?.update(slot, &mut |acc| {
            match (acc.as_mut(), value.take()) {
                (Some(acc), Some(value)) => fold.add(acc, value)?,
                (None, Some(value)) => *acc = Some(fold.create(value)?),
                (_, None) => {}
            }
            Ok(())
        })
    }

    fn fire(
        &mut self,
        firing: &Firing<'_, K, W>,
        store: &mut Store<K>,
        emitter: &mut Emitter<G::Out>,
        cx: &OperatorContext<'_>,
    ) -> Result<()> {
        let table = store.value::<W, F::Acc>(self.state)?;
        let result = if firing.last {
            table.remove(firing.contents())?.map(|acc| self.fold.last_result(acc))
        } else {
            table.get(firing.contents())?.map(|acc| self.fold.result(acc))
        };
        match result {
            Some(result) => firing.call(&mut self.function, result?, store, emitter, cx.runtime),
            None => Ok(()),
        }
    }

    fn purge(&mut self, slot: Slot<'_, K, W>, store: &mut Store<K>) -> Result<()> {
        store.value::<W, F::Acc>(self.state)?.remove(slot).map(drop)
    }

    fn merge(&mut self, into: Slot<'_, K, W>, from: &[W], store: &mut Store<K>) -> Result<()> {
        let Self { fold, state, .. } = self;
        store.value::<W, F::Acc>(*state)?.merge_namespaces(into, from, &mut |into, from| fold.merge(into, from))
    }
}

/// All elements.
pub(crate) struct Listed<T, G> {
    function: G,
    state: StateId,
    element: PhantomData<fn(T)>,
}

impl<T, G> Listed<T, G> {
    pub(crate) const fn new(function: G) -> Self {
        Self { function, state: UNDECLARED, element: PhantomData }
    }
}

impl<T, K, W, G> Contents<T, K, W> for Listed<T, G>
where
    T: Record,
    K: Key,
    W: Window,
    G: WindowFunction<Key = K, Window = W, In = Vec<T>>,
{
    type Out = G::Out;

    delegate_to_function!(K, W);

    fn declare(&mut self, state: &mut StateDeclarations) {
        self.state = state.engine_list::<T>("window-contents", Layout::KeyMajor);
    }

    fn claim(&mut self, store: &mut Store<K>) -> Result<()> {
        store.list::<W, T>(self.state).map(drop)
    }

    fn add(&mut self, slot: Slot<'_, K, W>, value: T, _timestamp: Timestamp, store: &mut Store<K>) -> Result<()> {
        store.list::<W, T>(self.state)?.append(slot, value)
    }

    fn fire(
        &mut self,
        firing: &Firing<'_, K, W>,
        store: &mut Store<K>,
        emitter: &mut Emitter<G::Out>,
        cx: &OperatorContext<'_>,
    ) -> Result<()> {
        let table = store.list::<W, T>(self.state)?;
        let elements = if firing.last { table.take(firing.contents())? } else { table.get(firing.contents())?.to_vec() };
        if elements.is_empty() {
            return Ok(());
        }
        firing.call(&mut self.function, elements, store, emitter, cx.runtime)
    }

    fn purge(&mut self, slot: Slot<'_, K, W>, store: &mut Store<K>) -> Result<()> {
        store.list::<W, T>(self.state)?.remove(slot)
    }

    fn merge(&mut self, into: Slot<'_, K, W>, from: &[W], store: &mut Store<K>) -> Result<()> {
        store.list::<W, T>(self.state)?.merge_namespaces(into, from)
    }
}

/// An evictor of some type.
pub(crate) trait Evict<T, W>: Send {
    fn before(&mut self, elements: &mut WindowElements<T>, window: &W, cx: EvictorContext) -> Result<()>;
    fn after(&mut self, elements: &mut WindowElements<T>, window: &W, cx: EvictorContext) -> Result<()>;
}

impl<T, W: Window, E: Evictor<T, W>> Evict<T, W> for E {
    fn before(&mut self, elements: &mut WindowElements<T>, window: &W, cx: EvictorContext) -> Result<()> {
        self.evict_before(elements, window, cx)
    }

    fn after(&mut self, elements: &mut WindowElements<T>, window: &W, cx: EvictorContext) -> Result<()> {
        self.evict_after(elements, window, cx)
    }
}

/// All elements with their timestamps, and the evictor.
pub(crate) struct Evicted<T, W, G> {
    evictor: Box<dyn Evict<T, W>>,
    function: G,
    state: StateId,
}

impl<T, W, G> Evicted<T, W, G> {
    pub(crate) fn new(evictor: Box<dyn Evict<T, W>>, function: G) -> Self {
        Self { evictor, function, state: UNDECLARED }
    }
}

impl<T, K, W, G> Contents<T, K, W> for Evicted<T, W, G>
where
    T: Record,
    K: Key,
    W: Window,
    G: WindowFunction<Key = K, Window = W, In = Vec<T>>,
{
    type Out = G::Out;

    delegate_to_function!(K, W);

    fn declare(&mut self, state: &mut StateDeclarations) {
        self.state = state.engine_list::<(T, Timestamp)>("window-contents", Layout::KeyMajor);
    }

    fn claim(&mut self, store: &mut Store<K>) -> Result<()> {
        store.list::<W, (T, Timestamp)>(self.state).map(drop)
    }

    fn add(&mut self, slot: Slot<'_, K, W>, value: T, timestamp: Timestamp, store: &mut Store<K>) -> Result<()> {
        store.list::<W, (T, Timestamp)>(self.state)?.append(slot, (value, timestamp))
    }

    fn fire(
        &mut self,
        firing: &Firing<'_, K, W>,
        store: &mut Store<K>,
        emitter: &mut Emitter<G::Out>,
        cx: &OperatorContext<'_>,
    ) -> Result<()> {
        let mut elements = WindowElements::from(store.list::<W, (T, Timestamp)>(self.state)?.take(firing.contents())?);
        if elements.is_empty() {
            return Ok(());
        }
        let window = firing.slot.namespace;
        let context = EvictorContext { current_watermark: firing.watermark, current_processing_time: firing.now };
        self.evictor.before(&mut elements, window, context)?;
        firing.call(&mut self.function, elements.values().to_vec(), store, emitter, cx.runtime)?;
        self.evictor.after(&mut elements, window, context)?;
        if firing.last {
            return Ok(());
        }
        store.list::<W, (T, Timestamp)>(self.state)?.replace(firing.contents(), elements.into_pairs())
    }

    fn purge(&mut self, slot: Slot<'_, K, W>, store: &mut Store<K>) -> Result<()> {
        store.list::<W, (T, Timestamp)>(self.state)?.remove(slot)
    }

    fn merge(&mut self, into: Slot<'_, K, W>, from: &[W], store: &mut Store<K>) -> Result<()> {
        store.list::<W, (T, Timestamp)>(self.state)?.merge_namespaces(into, from)
    }
}
