//! Assigners and triggers with their own types erased, as the general operator holds them.
//!
//! A trigger is erased together with the table of what it remembers; triggers that remember nothing have no table.

use super::assigner::{AlignedWindows, AssignerContext, MergeWindows, WindowAssigner};
use super::time_window::Window;
use super::trigger::{Trigger, TriggerContext, TriggerResult};
use crate::keyed_state::Store;
use brisk_base::{Result, Timestamp};
use brisk_core::operator::PerSubtask;
use brisk_core::state::{Layout, Slot, StateDeclarations, StateId, StateStore};
use brisk_core::types::Key;
use std::marker::PhantomData;
use std::sync::Arc;

/// A [`WindowAssigner`] of some type.
pub(crate) trait Assign<T, W>: Send {
    fn assign(&mut self, element: &T, timestamp: Timestamp, cx: AssignerContext, windows: &mut Vec<W>) -> Result<()>;
    fn is_event_time(&self) -> bool;
    fn merging(&self) -> Option<&dyn MergeWindows<W>>;
    fn aligned(&self) -> Option<AlignedWindows<W>>;
}

impl<T, W: Window, A: WindowAssigner<T, Window = W>> Assign<T, W> for A {
    fn assign(&mut self, element: &T, timestamp: Timestamp, cx: AssignerContext, windows: &mut Vec<W>) -> Result<()> {
        self.assign_windows(element, timestamp, cx, windows)
    }

    fn is_event_time(&self) -> bool {
        WindowAssigner::is_event_time(self)
    }

    fn merging(&self) -> Option<&dyn MergeWindows<W>> {
        WindowAssigner::merging(self)
    }

    fn aligned(&self) -> Option<AlignedWindows<W>> {
        WindowAssigner::aligned(self)
    }
}

/// A [`Trigger`] of some type, with its state.
pub(crate) trait ErasedTrigger<T, K: Key, W>: Send {
    /// Declares its state.
    fn declare(&mut self, state: &mut StateDeclarations);

    /// Takes over what a checkpoint left.
    fn claim(&mut self, store: &mut Store<K>) -> Result<()>;

    fn on_element(
        &mut self,
        element: &T,
        timestamp: Timestamp,
        slot: Slot<'_, K, W>,
        store: &mut Store<K>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult>;

    fn on_event_time(
        &mut self,
        time: Timestamp,
        slot: Slot<'_, K, W>,
        store: &mut Store<K>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult>;

    fn on_processing_time(
        &mut self,
        time: Timestamp,
        slot: Slot<'_, K, W>,
        store: &mut Store<K>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult>;

    /// The windows `merged` have become the slot's window.
    fn on_merge(&mut self, slot: Slot<'_, K, W>, merged: &[W], store: &mut Store<K>, cx: &mut TriggerContext<'_>) -> Result<()>;

    /// The window is gone.
    fn clear(&mut self, slot: Slot<'_, K, W>, store: &mut Store<K>, cx: &mut TriggerContext<'_>) -> Result<()>;
}

/// A trigger and the table of its state.
struct Hosted<T, W: Window, G: Trigger<T, W>> {
    trigger: G,
    /// Set by `declare`, unless the trigger remembers nothing.
    state: Option<StateId>,
    types: PhantomData<fn(T, W)>,
}

impl<T: 'static, W: Window, G: Trigger<T, W>> Hosted<T, W, G> {
    /// Calls the trigger with what it remembers of the window.
    fn with<K: Key, R>(
        &mut self,
        slot: Slot<'_, K, W>,
        store: &mut Store<K>,
        mut call: impl FnMut(&mut G, &mut Option<G::State>) -> Result<R>,
    ) -> Result<R> {
        let Some(id) = self.state else { return call(&mut self.trigger, &mut None) };
        let trigger = &mut self.trigger;
        let mut result = None;
        store.value::<W, G::State>(id)?.update(slot, &mut |state| {
            result = Some(call(trigger, state)?);
            Ok(())
        })?;
        Ok(result.expect("a table calls its update once per slot"))
    }
}

impl<T: 'static, K: Key, W: Window, G: Trigger<T, W>> ErasedTrigger<T, K, W> for Hosted<T, W, G> {
    fn declare(&mut self, state: &mut StateDeclarations) {
        if size_of::<G::State>() > 0 {
            self.state = Some(state.engine_value::<G::State>("trigger", Layout::KeyMajor));
        }
    }

    fn claim(&mut self, store: &mut Store<K>) -> Result<()> {
        self.state.map_or(Ok(()), |id| store.value::<W, G::State>(id).map(drop))
    }

    fn on_element(
        &mut self,
        element: &T,
        timestamp: Timestamp,
        slot: Slot<'_, K, W>,
        store: &mut Store<K>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        self.with(slot, store, |trigger, state| trigger.on_element(element, timestamp, slot.namespace, state, cx))
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        slot: Slot<'_, K, W>,
        store: &mut Store<K>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        self.with(slot, store, |trigger, state| trigger.on_event_time(time, slot.namespace, state, cx))
    }

    fn on_processing_time(
        &mut self,
        time: Timestamp,
        slot: Slot<'_, K, W>,
        store: &mut Store<K>,
        cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        self.with(slot, store, |trigger, state| trigger.on_processing_time(time, slot.namespace, state, cx))
    }

    fn on_merge(&mut self, slot: Slot<'_, K, W>, merged: &[W], store: &mut Store<K>, cx: &mut TriggerContext<'_>) -> Result<()> {
        let mut remembered = Vec::new();
        if let Some(id) = self.state {
            let table = store.value::<W, G::State>(id)?;
            for window in merged {
                // They go when the window is cleared, which may need them to delete its timers.
                remembered.extend(table.get(slot.at(window))?.cloned());
            }
        }
        let mut remembered = Some(remembered);
        self.with(slot, store, |trigger, state| trigger.on_merge(slot.namespace, state, remembered.take().unwrap_or_default(), cx))
    }

    fn clear(&mut self, slot: Slot<'_, K, W>, store: &mut Store<K>, cx: &mut TriggerContext<'_>) -> Result<()> {
        self.with(slot, store, |trigger, state| {
            trigger.clear(slot.namespace, state, cx)?;
            *state = None;
            Ok(())
        })
    }
}

/// Makes the assigner of a subtask.
pub(crate) type AssignerFactory<T, W> = Arc<dyn Fn() -> Box<dyn Assign<T, W>> + Send + Sync>;

/// Makes the trigger of a subtask.
pub(crate) type TriggerFactory<T, K, W> = Arc<dyn Fn() -> Box<dyn ErasedTrigger<T, K, W>> + Send + Sync>;

/// A factory that clones this assigner.
pub(crate) fn assigner_factory<T: 'static, A: WindowAssigner<T>>(assigner: A) -> AssignerFactory<T, A::Window> {
    let assigner = PerSubtask::new(assigner);
    Arc::new(move || Box::new(assigner.instance()))
}

/// A factory that clones this trigger.
pub(crate) fn trigger_factory<T: 'static, K: Key, W: Window, G: Trigger<T, W>>(trigger: G) -> TriggerFactory<T, K, W> {
    let trigger = PerSubtask::new(trigger);
    Arc::new(move || Box::new(Hosted { trigger: trigger.instance(), state: None, types: PhantomData }))
}
