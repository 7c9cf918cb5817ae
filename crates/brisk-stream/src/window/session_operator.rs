//! The window operator of event-time sessions with the default trigger.
//!
//! A session that grows with each of its elements touches neither timers nor trigger: a session has one timer, in the namespace of its state
//! window, which stays the same while the session grows. A timer that comes up before the session's end is set again. The results are those
//! of the [general operator](super::operator).
//!
//! Invariants: each session of a set has a timer, at its last timestamp or before, or, once it has fired, at its cleanup time or before;
//! timers whose state window is in no set mean nothing.

use super::assigner::AssignerContext;
use super::contents::{Contents, Firing};
use super::erased::Assign;
use super::merging::{Placed, Windows, add_window, merged_too_late, place_window, state_window};
use super::operator::WindowSettings;
use super::time_window::Window;
use super::timers::{Domain, Timers};
use crate::key_selector::KeySelector;
use crate::keyed_state::{Store, open_store};
use brisk_base::ids::CheckpointId;
use brisk_base::metrics::Counter;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Mark, Rows};
use brisk_core::function::{Emitter, FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyedTable, Layout, OperatorSnapshot, Slot, StateDeclarations};
use brisk_core::types::{Key, Record};
use std::sync::Arc;

/// See the module.
pub(crate) struct SessionOperator<T, S, W, C>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    C: Contents<T, S::Key, W>,
{
    selector: S,
    assigner: Box<dyn Assign<T, W>>,
    contents: C,
    settings: WindowSettings<T>,
    /// State of the contents and of the window function.
    store: Store<S::Key>,
    /// The sessions of each key.
    sessions: Box<dyn KeyedTable<S::Key, (), Windows<W>>>,
    /// Timers by key and state window.
    timers: Timers<S::Key, W>,
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

/// The session that an element goes to.
struct Session<W> {
    window: W,
    state_window: W,
    /// Whether a timer has to be registered for it.
    wants_timer: bool,
}

impl<T, S, W, C> SessionOperator<T, S, W, C>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    C: Contents<T, S::Key, W>,
{
    /// `state` has what the window function declared. The assigner is one of event time whose windows merge.
    pub(crate) fn new(
        selector: S,
        assigner: Box<dyn Assign<T, W>>,
        mut contents: C,
        settings: WindowSettings<T>,
        mut state: StateDeclarations,
        cx: &RuntimeContext,
    ) -> Result<Self> {
        contents.declare(&mut state);
        let sessions = state.engine_value::<Windows<W>>("merging-windows", Layout::KeyMajor);
        let mut store = open_store(cx, state)?;
        Ok(Self {
            selector,
            assigner,
            contents,
            settings,
            sessions: store.take_value(sessions)?,
            timers: Timers::restored(cx, store.key_groups())?,
            store,
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
        self.settings.cleanup_time(window, true)
    }

    fn is_late(&self, window: &W) -> bool {
        self.cleanup_time(window) <= self.watermark
    }

    /// Takes one record.
    fn process_row(&mut self, value: T, timestamp: Timestamp, hash: Option<u64>, cx: &OperatorContext<'_>) -> Result<()> {
        let key = self.selector.key(&value);
        let key = match self.key.take() {
            Some(last) if last == *key => last,
            _ => key.into_owned(),
        };
        let hash = hash.unwrap_or_else(|| key.key_hash());
        let mut windows = std::mem::take(&mut self.windows);
        self.assigner.assign(&value, timestamp, AssignerContext { current_processing_time: self.now }, &mut windows)?;
        let (mut left, mut value, mut taken) = (windows.len(), Some(value), false);
        for window in windows.drain(..) {
            left -= 1;
            let session = self.place(Slot { hash, key: &key, namespace: &() }, window)?;
            if self.is_late(&session.window) {
                self.forget(Slot { hash, key: &key, namespace: &() }, &session.window)?;
                continue;
            }
            taken = true;
            let element = if left == 0 { value.take() } else { value.clone() };
            let element = element.expect("the value is taken for the last window only");
            self.add(element, timestamp, Slot { hash, key: &key, namespace: &session.window }, &session, cx)?;
        }
        self.windows = windows;
        self.key = Some(key);
        if let (false, Some(value)) = (taken, value) {
            self.skip(value, timestamp)?;
        }
        self.timers.check()
    }

    /// Puts a window among the sessions of its key and merges the contents of those it joins.
    fn place(&mut self, all: Slot<'_, S::Key, ()>, window: W) -> Result<Session<W>> {
        let merger = self.assigner.merging().expect("only made for assigners that merge");
        let (mut placed, mut added) = (Placed::Joins, None);
        self.sessions.update(all, &mut |sessions| {
            let sessions = sessions.get_or_insert_default();
            if let Some(two) = merger.pairwise() {
                placed = place_window(sessions, &window, two);
            }
            if let Placed::Joins = placed {
                let (actual, merges) = add_window(sessions, window.clone(), merger);
                let state = state_window(sessions, &actual).expect("the window was added above").clone();
                added = Some((actual, state, merges));
            }
            Ok(())
        })?;
        let stays_after_firing = self.settings.allowed_lateness > Millis::ZERO;
        let Some((actual, state_window, merges)) = added else {
            return Ok(match placed {
                Placed::Within(window, state_window) => Session { window, state_window, wants_timer: false },
                Placed::Grown(window, state_window) => Session { window, state_window, wants_timer: stays_after_firing },
                Placed::New | Placed::Joins => Session { state_window: window.clone(), window, wants_timer: true },
            });
        };
        for merge in merges {
            if self.is_late(&merge.result) {
                return Err(merged_too_late(&merge.result, self.watermark, self.now));
            }
            self.contents.merge(all.at(&merge.state_window), &merge.from, &mut self.store)?;
        }
        Ok(Session { window: actual, state_window, wants_timer: true })
    }

    /// Takes a session out of the sessions of its key.
    fn forget(&mut self, all: Slot<'_, S::Key, ()>, window: &W) -> Result<()> {
        self.sessions.update(all, &mut |sessions| {
            if let Some(windows) = sessions {
                windows.retain(|(other, _)| other != window);
                if windows.is_empty() {
                    *sessions = None;
                }
            }
            Ok(())
        })
    }

    /// Adds an element to a session, which fires at once if the watermark is past its end.
    fn add(
        &mut self,
        value: T,
        timestamp: Timestamp,
        slot: Slot<'_, S::Key, W>,
        session: &Session<W>,
        cx: &OperatorContext<'_>,
    ) -> Result<()> {
        let state_slot = slot.at(&session.state_window);
        self.contents.add(state_slot, value, timestamp, &mut self.store)?;
        let end = session.window.max_timestamp();
        if end <= self.watermark {
            self.fire(slot, &session.state_window, false, cx)?;
            self.register(state_slot, self.cleanup_time(&session.window));
        } else if session.wants_timer {
            self.timers.register(Domain::Event, state_slot, end);
        }
        Ok(())
    }

    /// Registers a timer for the end of a session; the end of time needs none.
    fn register(&mut self, state_slot: Slot<'_, S::Key, W>, time: Timestamp) {
        if time < Timestamp::MAX {
            self.timers.register(Domain::Event, state_slot, time);
        }
    }

    fn firing<'a>(&self, slot: Slot<'a, S::Key, W>, state_window: &'a W, last: bool) -> Firing<'a, S::Key, W> {
        Firing { slot, state_window, merging: true, last, watermark: self.watermark, now: self.now }
    }

    fn fire(&mut self, slot: Slot<'_, S::Key, W>, state_window: &W, last: bool, cx: &OperatorContext<'_>) -> Result<()> {
        let firing = self.firing(slot, state_window, last);
        self.contents.fire(&firing, &mut self.store, &mut self.emitter, cx)
    }

    /// A record that no session took.
    fn skip(&mut self, value: T, timestamp: Timestamp) -> Result<()> {
        if timestamp + self.settings.allowed_lateness > self.watermark {
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

    /// A timer of the session with this state window has come up.
    fn on_timer(&mut self, time: Timestamp, state_slot: Slot<'_, S::Key, W>, cx: &OperatorContext<'_>) -> Result<()> {
        let all = state_slot.at(&());
        let found = self.sessions.get(all)?.and_then(|sessions| sessions.iter().find(|(_, state)| state == state_slot.namespace));
        let Some((window, _)) = found.cloned() else { return Ok(()) };
        let (slot, end, cleanup) = (state_slot.at(&window), window.max_timestamp(), self.cleanup_time(&window));
        if time < end {
            self.timers.register(Domain::Event, state_slot, end);
            return Ok(());
        }
        if time == end {
            self.fire(slot, state_slot.namespace, time == cleanup, cx)?;
        }
        if time < cleanup {
            self.register(state_slot, cleanup);
            return Ok(());
        }
        self.contents.purge(state_slot, &mut self.store)?;
        let firing = self.firing(slot, state_slot.namespace, true);
        self.contents.clear(&firing, &mut self.store, &mut self.emitter, cx)?;
        self.forget(all, &window)
    }

    /// Fires what a watermark brings, then passes it on; false when it had to stop because the output is full or the time is used up.
    fn advance(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<bool> {
        self.watermark = self.watermark.max(watermark);
        while let Some(timer) = self.timers.pop_due(Domain::Event, self.watermark) {
            self.on_timer(timer.timestamp, Slot::new(&timer.key, &timer.namespace), cx)?;
            self.timers.check()?;
            if cx.budget.row() || self.emitter.is_full() {
                return Ok(false);
            }
        }
        self.emitter.mark(watermark);
        Ok(true)
    }

    /// Passes on what the call has made.
    fn end_call(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.emitter.flush(cx);
        self.count_entries()
    }

    fn count_entries(&mut self) -> Result<()> {
        if self.store.on_heap() {
            self.entries = self.sessions.len()? + self.store.entries()?;
        }
        Ok(())
    }
}

impl<T, S, W, C> Operator for SessionOperator<T, S, W, C>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    C: Contents<T, S::Key, W>,
{
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.contents.claim(&mut self.store)?;
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

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.sessions)?;
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
