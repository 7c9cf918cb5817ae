//! The general window operator: any assigner, trigger and evictor, windows that merge, lateness.
//!
//! It follows Flink's `WindowOperator` step by step. Contents lie in state by key and window; each window of each key has timers of its
//! own. Windows of fixed length with the default trigger take [`AlignedWindowOperator`](super::aligned::AlignedWindowOperator) instead.
//!
//! Invariants: a window is cleaned up once the watermark passes its last timestamp plus the allowed lateness, and nothing of it is left
//! then; a batch is split at its marks, so results depend on the order of records and watermarks alone.

use super::AssignerContext;
use super::contents::{Contents, Firing};
use super::erased::{Assign, ErasedTrigger};
use super::merging::{Windows, add_window, merged_too_late, state_window};
use super::time_window::Window;
use super::timers::{Domain, Timers};
use super::trigger::{TriggerContext, TriggerResult};
use crate::key_selector::KeySelector;
use crate::keyed_state::{Store, open_store};
use brisk_base::ids::CheckpointId;
use brisk_base::metrics::Counter;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Mark, Rows};
use brisk_core::function::{Emitter, FunctionInitializationContext, FunctionSnapshotContext, OutputTag};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{Layout, OperatorSnapshot, Slot, StateDeclarations, StateId, StateStore};
use brisk_core::types::{Key, Record};
use std::sync::Arc;

/// What the API knows of a window operator besides its function.
pub(crate) struct WindowSettings<T> {
    /// How long windows stay for late records after the watermark has passed them.
    pub(crate) allowed_lateness: Millis,
    /// Where records go that are too late; without it they are counted and dropped.
    pub(crate) late: Option<OutputTag<T>>,
}

impl<T> Clone for WindowSettings<T> {
    fn clone(&self) -> Self {
        Self { allowed_lateness: self.allowed_lateness, late: self.late.clone() }
    }
}

impl<T> WindowSettings<T> {
    /// When a window is cleaned up: its last timestamp, plus the lateness for event time.
    pub(crate) fn cleanup_time(&self, window: &impl Window, event_time: bool) -> Timestamp {
        if event_time { window.max_timestamp() + self.allowed_lateness } else { window.max_timestamp() }
    }
}

/// See the module.
pub(crate) struct WindowOperator<T, S, W, C>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    C: Contents<T, S::Key, W>,
{
    selector: S,
    assigner: Box<dyn Assign<T, W>>,
    trigger: Box<dyn ErasedTrigger<T, S::Key, W>>,
    contents: C,
    settings: WindowSettings<T>,
    /// All keyed state.
    store: Store<S::Key>,
    /// Timers by key and window.
    timers: Timers<S::Key, W>,
    /// The windows of each key, where windows merge.
    merging: Option<StateId>,
    emitter: Emitter<C::Out>,
    /// The watermark, up to the row that is being processed.
    watermark: Timestamp,
    /// Processing time of the call that is under way.
    now: Timestamp,
    /// Windows of the element that is being processed.
    windows: Vec<W>,
    /// The key that was processed last.
    key: Option<S::Key>,
    /// Records that came too late and went nowhere (Flink's `numLateRecordsDropped`).
    dropped: Counter,
    /// Entries of state after the last call, where counting them is cheap.
    entries: usize,
}

impl<T, S, W, C> WindowOperator<T, S, W, C>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    C: Contents<T, S::Key, W>,
{
    /// `state` has what the window function declared.
    pub(crate) fn new(
        selector: S,
        assigner: Box<dyn Assign<T, W>>,
        mut trigger: Box<dyn ErasedTrigger<T, S::Key, W>>,
        mut contents: C,
        settings: WindowSettings<T>,
        mut state: StateDeclarations,
        cx: &RuntimeContext,
    ) -> Result<Self> {
        contents.declare(&mut state);
        trigger.declare(&mut state);
        let merging = assigner.merging().map(|_| state.engine_value::<Windows<W>>("merging-windows", Layout::KeyMajor));
        let store = open_store(cx, state)?;
        Ok(Self {
            selector,
            assigner,
            trigger,
            contents,
            settings,
            timers: Timers::restored(cx, store.key_groups())?,
            store,
            merging,
            emitter: Emitter::new(cx),
            watermark: Timestamp::MIN,
            now: Timestamp::MIN,
            windows: Vec::new(),
            key: None,
            dropped: cx.metrics.counter("numLateRecordsDropped"),
            entries: 0,
        })
    }

    fn cleanup_time(&self, window: &W) -> Timestamp {
        self.settings.cleanup_time(window, self.assigner.is_event_time())
    }

    fn is_late(&self, window: &W) -> bool {
        self.assigner.is_event_time() && self.cleanup_time(window) <= self.watermark
    }

    /// Takes one record.
    fn process_row(&mut self, value: T, timestamp: Timestamp, hash: Option<u64>, cx: &OperatorContext<'_>) -> Result<()> {
        let key = self.take_key(&value);
        let hash = hash.unwrap_or_else(|| key.key_hash());
        let mut windows = std::mem::take(&mut self.windows);
        windows.clear();
        self.assigner.assign(&value, timestamp, AssignerContext { current_processing_time: self.now }, &mut windows)?;
        let taken = match self.merging {
            Some(id) => self.add_merging(id, value, timestamp, hash, &key, &mut windows, cx)?,
            None => self.add_to_all(value, timestamp, hash, &key, &windows, cx)?,
        };
        if let Some(skipped) = taken {
            self.skip(skipped, timestamp)?;
        }
        self.windows = windows;
        self.key = Some(key);
        self.timers.check()
    }

    /// The key of a record; that of the last record is used again if it is the same.
    fn take_key(&mut self, value: &T) -> S::Key {
        let key = self.selector.key(value);
        match self.key.take() {
            Some(last) if last == *key => last,
            _ => key.into_owned(),
        }
    }

    /// Adds the record to its windows. Gives it back if all of them were late.
    fn add_to_all(
        &mut self,
        value: T,
        timestamp: Timestamp,
        hash: u64,
        key: &S::Key,
        windows: &[W],
        cx: &OperatorContext<'_>,
    ) -> Result<Option<T>> {
        let mut value = Some(value);
        let mut open = windows.iter().filter(|window| !self.is_late(window)).count();
        for window in windows {
            if self.is_late(window) {
                continue;
            }
            open -= 1;
            let element = if open == 0 { value.take() } else { value.clone() };
            let element = element.expect("the value is taken for the last window only");
            self.add(element, timestamp, Slot { hash, key, namespace: window }, window, cx)?;
        }
        Ok(value)
    }

    /// Adds the record to windows that merge. Gives it back if they are late.
    #[expect(clippy::too_many_arguments, reason = "one record with its address")]
    fn add_merging(
        &mut self,
        id: StateId,
        value: T,
        timestamp: Timestamp,
        hash: u64,
        key: &S::Key,
        windows: &mut Vec<W>,
        cx: &OperatorContext<'_>,
    ) -> Result<Option<T>> {
        let all = Slot { hash, key, namespace: &() };
        let before = self.store.value::<(), Windows<W>>(id)?.get(all)?.cloned().unwrap_or_default();
        let mut set = before.clone();
        let mut left = windows.len();
        let (mut value, mut skipped) = (Some(value), true);
        for window in windows.drain(..) {
            left -= 1;
            let actual = self.merge_into(&mut set, window, hash, key)?;
            if self.is_late(&actual) {
                set.retain(|(window, _)| *window != actual);
                continue;
            }
            skipped = false;
            let element = if left == 0 { value.take() } else { value.clone() };
            let element = element.expect("the value is taken for the last window only");
            let state_window = state_window(&set, &actual).expect("the window was added above").clone();
            self.add(element, timestamp, Slot { hash, key, namespace: &actual }, &state_window, cx)?;
        }
        if set != before {
            self.put_windows(id, all, set)?;
        }
        Ok(if skipped { value } else { None })
    }

    /// Adds a window to the key's windows and merges state and timers of those it joins.
    fn merge_into(&mut self, set: &mut Windows<W>, window: W, hash: u64, key: &S::Key) -> Result<W> {
        let merger = self.assigner.merging().expect("only called for assigners that merge");
        let (actual, merges) = add_window(set, window, merger);
        for merge in merges {
            self.check_merged(&merge.result)?;
            let slot = Slot { hash, key, namespace: &merge.result };
            let Self { trigger, timers, store, .. } = self;
            let mut of_result = timers.of(slot);
            trigger.on_merge(slot, &merge.merged, store, &mut TriggerContext::new(self.watermark, self.now, &mut of_result))?;
            for merged in &merge.merged {
                let slot = slot.at(merged);
                let mut of_merged = self.timers.of(slot);
                self.trigger.clear(slot, &mut self.store, &mut TriggerContext::new(self.watermark, self.now, &mut of_merged))?;
                self.delete_cleanup_timer(slot);
            }
            self.contents.merge(slot.at(&merge.state_window), &merge.from, &mut self.store)?;
        }
        Ok(actual)
    }

    /// A window must not become one that is over by merging.
    fn check_merged(&self, window: &W) -> Result<()> {
        let over = if self.assigner.is_event_time() { self.is_late(window) } else { window.max_timestamp() <= self.now };
        if over {
            return Err(merged_too_late(window, self.watermark, self.now));
        }
        Ok(())
    }

    fn put_windows(&mut self, id: StateId, slot: Slot<'_, S::Key, ()>, windows: Windows<W>) -> Result<()> {
        let table = self.store.value::<(), Windows<W>>(id)?;
        if windows.is_empty() { table.remove(slot).map(drop) } else { table.put(slot, windows) }
    }

    /// Adds an element to one window and does what the trigger says.
    fn add(&mut self, value: T, timestamp: Timestamp, slot: Slot<'_, S::Key, W>, state_window: &W, cx: &OperatorContext<'_>) -> Result<()> {
        let Self { trigger, timers, store, .. } = self;
        let mut timers = timers.of(slot);
        let result = trigger.on_element(&value, timestamp, slot, store, &mut TriggerContext::new(self.watermark, self.now, &mut timers))?;
        let domain = if self.assigner.is_event_time() { Domain::Event } else { Domain::Processing };
        let has_cleanup_timer = timers.has(domain, self.settings.cleanup_time(slot.namespace, domain == Domain::Event));
        self.contents.add(slot.at(state_window), value, timestamp, &mut self.store)?;
        self.act(result, slot, state_window, false, cx)?;
        if !has_cleanup_timer {
            self.register_cleanup_timer(slot);
        }
        Ok(())
    }

    /// Fires and purges. `ends`: the window is cleaned up afterwards.
    fn act(
        &mut self,
        result: TriggerResult,
        slot: Slot<'_, S::Key, W>,
        state_window: &W,
        ends: bool,
        cx: &OperatorContext<'_>,
    ) -> Result<()> {
        if result.is_fire() {
            let firing = self.firing(slot, state_window, ends || result.is_purge());
            self.contents.fire(&firing, &mut self.store, &mut self.emitter, cx)?;
        }
        if result.is_purge() {
            self.contents.purge(slot.at(state_window), &mut self.store)?;
        }
        Ok(())
    }

    const fn firing<'a>(&self, slot: Slot<'a, S::Key, W>, state_window: &'a W, last: bool) -> Firing<'a, S::Key, W> {
        Firing { slot, state_window, merging: self.merging.is_some(), last, watermark: self.watermark, now: self.now }
    }

    /// The clock that the windows are intervals of.
    fn domain(&self) -> Domain {
        if self.assigner.is_event_time() { Domain::Event } else { Domain::Processing }
    }

    fn register_cleanup_timer(&mut self, slot: Slot<'_, S::Key, W>) {
        let time = self.cleanup_time(slot.namespace);
        if time == Timestamp::MAX {
            return;
        }
        let domain = self.domain();
        self.timers.register(domain, slot, time);
    }

    fn delete_cleanup_timer(&mut self, slot: Slot<'_, S::Key, W>) {
        let time = self.cleanup_time(slot.namespace);
        if time == Timestamp::MAX {
            return;
        }
        let domain = self.domain();
        self.timers.delete(domain, slot, time);
    }

    /// A record that no window took: late, unless the assigner gave it none.
    fn skip(&mut self, value: T, timestamp: Timestamp) -> Result<()> {
        if !self.assigner.is_event_time() || timestamp + self.settings.allowed_lateness > self.watermark {
            return Ok(());
        }
        match &self.settings.late {
            Some(tag) => self.emitter.sides.collect(tag, value, timestamp),
            None => {
                self.dropped.inc();
                Ok(())
            }
        }
    }

    /// A timer has fired.
    fn on_timer(&mut self, domain: Domain, time: Timestamp, slot: Slot<'_, S::Key, W>, cx: &OperatorContext<'_>) -> Result<()> {
        let all = slot.at(&());
        let set = match self.merging {
            Some(id) => self.store.value::<(), Windows<W>>(id)?.get(all)?.cloned().unwrap_or_default(),
            None => Windows::new(),
        };
        let state_window = match self.merging {
            // The window has been merged away or cleaned up, and its trigger left a timer behind.
            Some(_) if state_window(&set, slot.namespace).is_none() => return Ok(()),
            Some(_) => state_window(&set, slot.namespace).expect("checked above").clone(),
            None => slot.namespace.clone(),
        };
        let ends = domain == self.domain() && time == self.cleanup_time(slot.namespace);
        let Self { trigger, timers, store, .. } = self;
        let mut timers = timers.of(slot);
        let mut trigger_cx = TriggerContext::new(self.watermark, self.now, &mut timers);
        let result = match domain {
            Domain::Event => trigger.on_event_time(time, slot, store, &mut trigger_cx)?,
            Domain::Processing => trigger.on_processing_time(time, slot, store, &mut trigger_cx)?,
        };
        self.act(result, slot, &state_window, ends, cx)?;
        if ends {
            return self.clean_up(slot, &state_window, set, cx);
        }
        // A trigger that clears itself (ProcessingTimeoutTrigger) may have deleted the timer that ends the window, if it fires at its end too.
        self.register_cleanup_timer(slot);
        Ok(())
    }

    /// Drops everything that belongs to a window.
    fn clean_up(&mut self, slot: Slot<'_, S::Key, W>, state_window: &W, mut set: Windows<W>, cx: &OperatorContext<'_>) -> Result<()> {
        self.contents.purge(slot.at(state_window), &mut self.store)?;
        let Self { trigger, timers, store, .. } = self;
        let mut timers = timers.of(slot);
        trigger.clear(slot, store, &mut TriggerContext::new(self.watermark, self.now, &mut timers))?;
        let firing = self.firing(slot, state_window, true);
        self.contents.clear(&firing, &mut self.store, &mut self.emitter, cx)?;
        if let Some(id) = self.merging {
            set.retain(|(window, _)| window != slot.namespace);
            self.put_windows(id, slot.at(&()), set)?;
        }
        Ok(())
    }

    /// Fires the timers of one clock up to `until`; false when it had to stop because the output is full or the time is used up.
    fn fire_timers(&mut self, domain: Domain, until: Timestamp, cx: &mut OperatorContext<'_>) -> Result<bool> {
        loop {
            let Some(timer) = self.timers.pop_due(domain, until) else { return Ok(true) };
            self.on_timer(domain, timer.timestamp, Slot::new(&timer.key, &timer.namespace), cx)?;
            self.timers.check()?;
            if cx.budget.row() || self.emitter.is_full() {
                return Ok(false);
            }
        }
    }

    /// Fires what a watermark brings, then passes it on; false as in [`fire_timers`](Self::fire_timers).
    fn advance(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<bool> {
        self.watermark = self.watermark.max(watermark);
        let done = self.fire_timers(Domain::Event, self.watermark, cx)?;
        if done {
            self.emitter.mark(watermark);
        }
        Ok(done)
    }

    /// Passes on what the call has made.
    fn end_call(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.emitter.flush(cx);
        self.count_entries()
    }

    fn count_entries(&mut self) -> Result<()> {
        if self.store.on_heap() {
            self.entries = self.store.entries()?;
        }
        Ok(())
    }
}

impl<T, S, W, C> Operator for WindowOperator<T, S, W, C>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    C: Contents<T, S::Key, W>,
{
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.contents.claim(&mut self.store)?;
        self.trigger.claim(&mut self.store)?;
        if let Some(id) = self.merging {
            self.store.value::<(), Windows<W>>(id)?;
        }
        self.count_entries()?;
        self.contents.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.contents.open(cx.runtime)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        self.now = cx.now();
        let rows = Rows::<T>::from_any(batch)?;
        let hashed = !rows.hashes.is_empty();
        let mut cursor = rows.into_cursor();
        loop {
            while let Some(mark) = cursor.next_mark() {
                if !self.advance(mark, cx)? {
                    self.end_call(cx)?;
                    let mut rest = cursor.into_rest().unwrap_or_default();
                    rest.marks.insert(0, Mark { row: 0, watermark: mark });
                    return Ok(Rest::More(Box::new(rest)));
                }
            }
            let Some((value, timestamp, hash)) = cursor.next_row() else { break };
            self.process_row(value, timestamp, hashed.then_some(hash), cx)?;
            if cx.budget.row() || self.emitter.is_full() {
                break;
            }
        }
        self.end_call(cx)?;
        Ok(crate::operators::rest_of(cursor))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.now = cx.now();
        let done = self.advance(watermark, cx)?;
        self.end_call(cx)?;
        Ok(if done { Progress::Done } else { Progress::More })
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.timers.next_processing_time()
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.now = now;
        let done = self.fire_timers(Domain::Processing, now, cx)?;
        self.end_call(cx)?;
        Ok(if done { Progress::Done } else { Progress::More })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        self.timers.snapshot(self.store.key_groups(), snapshot);
        self.contents.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)?;
        self.contents.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }

    fn state_entries(&self) -> usize {
        self.timers.len() + self.entries
    }

    fn close(&mut self) -> Result<()> {
        self.contents.close()
    }
}
