//! The fast window operator: windows of event time of one length at regular intervals, the default trigger, elements folded as they come.
//!
//! Contents lie in one table whose namespaces are the windows, so that a window is found once per run of rows and fired and dropped as a
//! whole; there are no timers. The results are those of the [general operator](super::operator).
//!
//! Invariants: a window has fired for all of its keys when `fired` has reached its last timestamp; `boundary` is the next watermark that
//! fires or ends any window, so marks before it need no look at all.

use super::aligned_rows::{Current, Unread, add_to, add_to_any, add_to_heap};
use super::assigner::{AlignedWindows, no_timestamp};
use super::contents::Firing;
use super::fired::FiredBefore;
use super::fold::Fold;
use super::function::{ProcessWindowContext, WindowFunction};
use super::operator::WindowSettings;
use super::time_window::Window;
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
use brisk_state::heap::HeapTable;
use std::any::Any;
use std::ops::ControlFlow;
use std::sync::Arc;

/// See the module.
pub(crate) struct AlignedWindowOperator<T, S, W, F, G>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    F: Fold<T>,
    G: WindowFunction<Key = S::Key, Window = W, In = F::Out>,
{
    selector: S,
    windows: AlignedWindows<W>,
    fold: F,
    function: G,
    settings: WindowSettings<T>,
    /// State of the window function.
    store: Store<S::Key>,
    /// The accumulators, by window and key.
    contents: Box<dyn KeyedTable<S::Key, W, F::Acc>>,
    emitter: Emitter<G::Out>,
    /// The watermark, up to the row that is being processed.
    watermark: Timestamp,
    /// Windows up to this last timestamp have fired.
    fired: Timestamp,
    /// What else had fired when the operator was restored.
    fired_before: FiredBefore<S::Key, W>,
    /// The lowest watermark above `watermark` that fires or ends a window.
    boundary: Timestamp,
    /// Processing time when a window last fired or ended.
    now: Timestamp,
    /// The windows of the interval that the last row fell into.
    current: Current<W>,
    /// The window that is being fired.
    firing: Option<PartlyFired<S::Key, W>>,
    /// Records that came too late and went nowhere (Flink's `numLateRecordsDropped`).
    dropped: Counter,
    /// Entries of state after the last call, where counting them is cheap.
    entries: usize,
}

/// A window that fires for one key after the other, over several calls.
struct PartlyFired<K, W> {
    window: W,
    /// How far a table of the heap has been drained.
    cursor: usize,
    /// Elsewhere, and where contents stay: keys that are still to fire, the next one last.
    keys: Vec<K>,
}

impl<T, S, W, F, G> AlignedWindowOperator<T, S, W, F, G>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    F: Fold<T>,
    G: WindowFunction<Key = S::Key, Window = W, In = F::Out>,
{
    /// `state` has what the window function declared.
    pub(crate) fn new(
        selector: S,
        windows: AlignedWindows<W>,
        fold: F,
        function: G,
        settings: WindowSettings<T>,
        mut state: StateDeclarations,
        cx: &RuntimeContext,
    ) -> Result<Self> {
        let contents = state.engine_value::<F::Acc>("window-contents", Layout::NamespaceMajor);
        let mut store = open_store(cx, state)?;
        Ok(Self {
            selector,
            windows,
            fold,
            function,
            settings,
            contents: store.take_value(contents)?,
            fired_before: FiredBefore::restored(cx, store.key_groups())?,
            store,
            emitter: Emitter::new(cx),
            watermark: Timestamp::MIN,
            fired: Timestamp::MIN,
            boundary: Timestamp::MIN,
            now: Timestamp::MIN,
            current: Current::none(),
            firing: None,
            dropped: cx.metrics.counter("numLateRecordsDropped"),
            entries: 0,
        })
    }

    /// The lowest watermark above the present one at which a window fires or ends.
    fn next_boundary(&self) -> Timestamp {
        let AlignedWindows { size, slide, offset, .. } = self.windows;
        let after = |shift: Millis| {
            // Windows have their last timestamp at `last + n * slide`.
            let last = i128::from(offset.0) + i128::from(size.0) - 1 + i128::from(shift.0);
            let next = i128::from(self.watermark.0) + 1;
            let time = next + (last - next).rem_euclid(i128::from(slide.0));
            Timestamp(i64::try_from(time).unwrap_or(i64::MAX))
        };
        after(Millis::ZERO).min(after(self.settings.allowed_lateness))
    }

    /// Finds the windows of a timestamp.
    #[cold]
    fn move_to(&mut self, timestamp: Timestamp) -> Result<()> {
        if !timestamp.is_set() {
            return Err(no_timestamp("an event-time window"));
        }
        let AlignedWindows { size, slide, offset, window } = self.windows;
        let newest = timestamp.window_start(offset, slide);
        self.current.start = newest;
        // Where the size is no multiple of the slide, the oldest window ends within the interval.
        let rest = size.0 % slide.0;
        self.current.len = slide.0 as u64;
        if rest != 0 {
            let cut = newest + Millis(rest);
            (self.current.start, self.current.len) = if timestamp < cut { (newest, rest as u64) } else { (cut, (slide.0 - rest) as u64) };
        }
        self.current.windows.clear();
        self.current.places.clear();
        self.current.open = true;
        let fired = self.watermark.max(self.fired_before.highest());
        let mut start = newest;
        while start > timestamp - size {
            let found = window(start, start + size);
            if self.settings.cleanup_time(&found, true) > self.watermark {
                self.current.open &= found.max_timestamp() > fired;
                self.current.windows.push(found);
            }
            start = start - slide;
        }
        self.current.open &= !self.current.windows.is_empty();
        Ok(())
    }

    /// Takes rows as long as they fall into open windows; gives how many it took, and whether it has to stop.
    fn add_rows(&mut self, rows: &mut Unread<'_, T>, until: usize, cx: &mut OperatorContext<'_>) -> Result<bool> {
        while rows.row < until {
            let timestamp = rows.timestamp();
            if !self.current.holds(timestamp) {
                self.move_to(timestamp)?;
            }
            if !self.current.open {
                return Ok(false);
            }
            let contents: &mut dyn Any = &mut *self.contents;
            let stop = match contents.downcast_mut::<HeapTable<S::Key, W, F::Acc>>() {
                Some(table) => add_to_heap(table, &mut self.current, &self.selector, &mut self.fold, rows, until, cx)?,
                None => add_to_any(&mut *self.contents, &self.current, &self.selector, &mut self.fold, rows, until, cx)?,
            };
            if stop {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes one row of which a window has fired already or is over. Says whether to stop.
    #[cold]
    fn add_late(&mut self, rows: &mut Unread<'_, T>, cx: &mut OperatorContext<'_>) -> Result<bool> {
        let timestamp = rows.timestamp();
        let Some(value) = rows.take() else { return Ok(false) };
        if self.current.windows.is_empty() {
            match &self.settings.late {
                Some(tag) => self.emitter.sides.collect(tag, value, timestamp)?,
                None => self.dropped.inc(),
            }
        } else {
            let key = self.selector.key(&value).into_owned();
            let hash = rows.hash(&key);
            self.now = cx.now();
            for window in std::mem::replace(&mut self.current, Current::none()).windows {
                let slot = Slot { hash, key: &key, namespace: &window };
                add_to(&mut *self.contents, slot, value.clone(), &mut self.fold)?;
                if window.max_timestamp() <= self.watermark || self.fired_before.has_fired(hash, &key, &window) {
                    self.fire_key(slot, false, cx)?;
                }
            }
        }
        rows.row += 1;
        Ok(cx.budget.row() || self.emitter.is_full())
    }

    /// Passes on marks up to `row` that neither fire nor end a window. Gives how many.
    #[inline]
    fn pass_quiet_marks(&mut self, marks: &[Mark], row: usize) -> usize {
        let count = marks.iter().take_while(|mark| mark.row as usize <= row && mark.watermark < self.boundary).count();
        if let Some(last) = marks[..count].last() {
            self.watermark = last.watermark;
            self.emitter.mark(last.watermark);
        }
        count
    }

    /// Does what the marks up to `row` bring. Gives how many it has passed: not all when it had to stop.
    fn pass_marks(&mut self, marks: &[Mark], row: usize, cx: &mut OperatorContext<'_>) -> Result<usize> {
        let mut passed = 0;
        loop {
            passed += self.pass_quiet_marks(&marks[passed..], row);
            match marks.get(passed) {
                Some(mark) if mark.row as usize <= row && self.advance(mark.watermark, cx)? => passed += 1,
                _ => return Ok(passed),
            }
        }
    }

    /// Calls the window function for one key. `last`: its contents go.
    fn fire_key(&mut self, slot: Slot<'_, S::Key, W>, last: bool, cx: &OperatorContext<'_>) -> Result<()> {
        let result = if last {
            self.contents.remove(slot)?.map(|acc| self.fold.last_result(acc))
        } else {
            self.contents.get(slot)?.map(|acc| self.fold.result(acc))
        };
        let Some(result) = result else { return Ok(()) };
        let (watermark, now) = (self.watermark, self.now);
        let firing = Firing { slot, state_window: slot.namespace, merging: false, last, watermark, now };
        firing.call(&mut self.function, result?, &mut self.store, &mut self.emitter, cx.runtime)?;
        if last { self.clear_key(slot, cx) } else { Ok(()) }
    }

    /// Tells the window function that the window of a key is gone.
    fn clear_key(&mut self, slot: Slot<'_, S::Key, W>, cx: &OperatorContext<'_>) -> Result<()> {
        let (store, sides) = (&mut self.store, &mut self.emitter.sides);
        let (watermark, now) = (self.watermark, self.now);
        self.function.clear(&mut ProcessWindowContext { store, slot, merging: false, watermark, now, sides, runtime: cx.runtime })
    }

    /// The next window that the watermark has passed and that has not fired.
    fn next_to_fire(&mut self) -> Result<Option<W>> {
        let mut after: Option<W> = None;
        loop {
            match self.contents.next_namespace(after.as_ref())? {
                Some(window) if window.max_timestamp() > self.watermark => return Ok(None),
                Some(window) if window.max_timestamp() > self.fired => return Ok(Some(window)),
                Some(window) => after = Some(window),
                None => return Ok(None),
            }
        }
    }

    /// Fires windows that the watermark has passed; false when it had to stop because the output is full or the time is used up.
    fn fire_windows(&mut self, cx: &mut OperatorContext<'_>) -> Result<bool> {
        loop {
            let mut firing = match self.firing.take() {
                Some(firing) => firing,
                None => match self.next_to_fire()? {
                    Some(window) => self.begin_firing(window)?,
                    None => return Ok(true),
                },
            };
            self.emitter.reserve();
            if !self.fire_window(&mut firing, cx)? {
                self.firing = Some(firing);
                return Ok(false);
            }
            self.fired = firing.window.max_timestamp();
        }
    }

    /// Whether contents go when a window fires.
    fn fires_once(&self) -> bool {
        self.settings.allowed_lateness == Millis::ZERO
    }

    /// The contents as a table of the heap, if they are one and go when a window fires: then they are drained.
    fn drained(&mut self) -> Option<&mut HeapTable<S::Key, W, F::Acc>> {
        if !self.fires_once() {
            return None;
        }
        let contents: &mut dyn Any = &mut *self.contents;
        contents.downcast_mut()
    }

    fn begin_firing(&mut self, window: W) -> Result<PartlyFired<S::Key, W>> {
        let mut keys = Vec::new();
        if self.drained().is_none() {
            let fired_before = &self.fired_before;
            self.contents.scan_namespace(&window, &mut |key, _| {
                if !fired_before.has_fired(key.key_hash(), key, &window) {
                    keys.push(key.clone());
                }
                Ok(())
            })?;
            keys.reverse();
        }
        Ok(PartlyFired { window, cursor: 0, keys })
    }

    /// Fires the keys of one window; false as in [`fire_windows`](Self::fire_windows).
    fn fire_window(&mut self, firing: &mut PartlyFired<S::Key, W>, cx: &mut OperatorContext<'_>) -> Result<bool> {
        if self.drained().is_some() {
            return self.drain_window(firing, cx);
        }
        let last = self.fires_once();
        while let Some(key) = firing.keys.pop() {
            self.fire_key(Slot::new(&key, &firing.window), last, cx)?;
            if cx.budget.row() || self.emitter.is_full() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// As [`fire_window`](Self::fire_window), in a table of the heap whose contents go.
    fn drain_window(&mut self, firing: &mut PartlyFired<S::Key, W>, cx: &mut OperatorContext<'_>) -> Result<bool> {
        let Self { contents, fold, function, store, emitter, watermark, now, .. } = self;
        let contents: &mut dyn Any = &mut **contents;
        let table: &mut HeapTable<S::Key, W, F::Acc> = contents.downcast_mut().expect("checked by the caller");
        let (watermark, now, window) = (*watermark, *now, &firing.window);
        table.drain_namespace_from(window, &mut firing.cursor, |key, acc| {
            let slot = Slot { hash: key.key_hash(), key: &key, namespace: window };
            let firing = Firing { slot, state_window: window, merging: false, last: true, watermark, now };
            firing.call(function, fold.last_result(acc)?, store, emitter, cx.runtime)?;
            let sides = &mut emitter.sides;
            function.clear(&mut ProcessWindowContext { store, slot, merging: false, watermark, now, sides, runtime: cx.runtime })?;
            Ok(if cx.budget.row() || emitter.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    }

    /// Drops windows whose lateness is over.
    fn end_windows(&mut self, cx: &OperatorContext<'_>) -> Result<()> {
        while let Some(window) = self.contents.next_namespace(None)? {
            if self.settings.cleanup_time(&window, true) > self.watermark {
                break;
            }
            let mut keys = Vec::new();
            self.contents.drain_namespace(&window, &mut |key, _| {
                keys.push(key);
                Ok(())
            })?;
            for key in keys {
                self.clear_key(Slot::new(&key, &window), cx)?;
            }
        }
        Ok(())
    }

    /// Passes on what the call has made.
    fn end_call(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.emitter.flush(cx);
        self.count_entries()
    }

    fn count_entries(&mut self) -> Result<()> {
        if self.store.on_heap() {
            self.entries = self.contents.len()? + self.store.entries()?;
        }
        Ok(())
    }

    /// Does what a watermark brings, then passes it on; false as in [`fire_windows`](Self::fire_windows).
    fn advance(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<bool> {
        self.watermark = self.watermark.max(watermark);
        if self.watermark >= self.boundary {
            self.now = cx.now();
            if !self.fire_windows(cx)? {
                return Ok(false);
            }
            self.fired = self.watermark;
            self.fired_before.forget_up_to(self.fired);
            self.end_windows(cx)?;
            self.current = Current::none();
            self.boundary = self.next_boundary();
        }
        self.emitter.mark(watermark);
        Ok(true)
    }
}

impl<T, S, W, F, G> Operator for AlignedWindowOperator<T, S, W, F, G>
where
    T: Record,
    S: KeySelector<T>,
    W: Window,
    F: Fold<T>,
    G: WindowFunction<Key = S::Key, Window = W, In = F::Out>,
{
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.count_entries()?;
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let Rows { values, timestamps, hashes, marks } = Rows::<T>::from_any(batch)?;
        let len = values.len();
        let mut rows = Unread { values: values.into_iter(), timestamps: &timestamps, hashes: &hashes, row: 0 };
        let mut mark = 0;
        loop {
            mark += self.pass_marks(&marks[mark..], rows.row, cx)?;
            let stuck = marks.get(mark).is_some_and(|mark| mark.row as usize <= rows.row);
            if stuck || rows.row == len {
                break;
            }
            // Marks that bring nothing need not interrupt a run of rows.
            let until = marks[mark..].iter().find(|mark| mark.watermark >= self.boundary).map_or(len, |mark| mark.row as usize);
            let mut stop = self.add_rows(&mut rows, until, cx)?;
            if !stop && rows.row < until {
                mark += self.pass_marks(&marks[mark..], rows.row, cx)?;
                stop = self.add_late(&mut rows, cx)?;
            }
            if stop {
                mark += self.pass_quiet_marks(&marks[mark..], rows.row);
                break;
            }
        }
        self.end_call(cx)?;
        let row = rows.row;
        let rest = Rows {
            values: rows.values.collect(),
            timestamps: timestamps.get(row..).unwrap_or_default().to_vec(),
            hashes: hashes.get(row..).unwrap_or_default().to_vec(),
            marks: marks[mark..].iter().map(|mark| Mark { row: mark.row - row as u32, ..*mark }).collect(),
        };
        Ok(if rest.is_blank() { Rest::Consumed } else { Rest::More(Box::new(rest)) })
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let done = self.advance(watermark, cx)?;
        self.end_call(cx)?;
        Ok(if done { Progress::Done } else { Progress::More })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.store.snapshot(snapshot, cx)?;
        snapshot.freeze(&mut *self.contents)?;
        // Places in a table hold for one generation.
        self.current = Current::none();
        if !self.fires_once() {
            let window = self.firing.as_ref().map(|firing| firing.window.clone());
            let keys = self.firing.as_ref().map(|firing| firing.keys.clone()).unwrap_or_default();
            self.fired_before.snapshot(self.fired, window, keys, snapshot);
        }
        self.function.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)?;
        self.function.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }

    fn state_entries(&self) -> usize {
        self.entries
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
