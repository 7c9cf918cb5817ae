//! The fast window operator: windows of event time of one length at regular intervals, the default trigger, elements folded as they come.
//!
//! Contents lie in one table whose namespaces are the windows, so that a window is found once per run of rows and fired and dropped as a
//! whole; there are no timers. The results are those of the [general operator](super::operator).
//!
//! Invariants: a window has fired for all of its keys when `fired` has reached its last timestamp; `boundary` is the next watermark that
//! fires or ends any window, so marks before it need no look at all.

use super::assigner::{AlignedWindows, no_timestamp};
use super::contents::Firing;
use super::fold::Fold;
use super::function::{ProcessWindowContext, WindowFunction};
use super::operator::WindowSettings;
use super::time_window::Window;
use crate::key_selector::KeySelector;
use crate::keyed_state::{Store, open_store};
use brisk_base::metrics::Counter;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Cursor, Mark, Rows};
use brisk_core::function::Emitter;
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext};
use brisk_core::state::{KeyedTable, Layout, Slot, StateDeclarations};
use brisk_core::types::{Key, Record};
use brisk_state::heap::HeapTable;
use std::any::Any;

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
}

/// The windows that hold one interval between two starts of windows.
struct Current<W> {
    /// Start of the interval.
    start: Timestamp,
    /// Its length; 0 when there is no interval.
    len: u64,
    /// The windows that hold it and are not over, the latest first.
    windows: Vec<W>,
    /// Whether none of its windows has fired.
    open: bool,
}

impl<W> Current<W> {
    const fn none() -> Self {
        Self { start: Timestamp(0), len: 0, windows: Vec::new(), open: false }
    }

    #[inline]
    const fn holds(&self, timestamp: Timestamp) -> bool {
        (timestamp.0.wrapping_sub(self.start.0) as u64) < self.len
    }
}

/// A window that fires for one key after the other, over several calls.
struct PartlyFired<K, W> {
    window: W,
    /// Keys that are still to fire, the next one last.
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
            store,
            emitter: Emitter::new(cx),
            watermark: Timestamp::MIN,
            fired: Timestamp::MIN,
            boundary: Timestamp::MIN,
            now: Timestamp::MIN,
            current: Current::none(),
            firing: None,
            dropped: cx.metrics.counter("numLateRecordsDropped"),
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
        self.current.open = true;
        let mut start = newest;
        while start > timestamp - size {
            let found = window(start, start + size);
            if self.settings.cleanup_time(&found, true) > self.watermark {
                self.current.open &= found.max_timestamp() > self.watermark;
                self.current.windows.push(found);
            }
            start = start - slide;
        }
        self.current.open &= !self.current.windows.is_empty();
        Ok(())
    }

    /// Takes rows for as long as they fall into the present windows, which are all open, and no watermark lies between them. Contents on
    /// the heap are reached without a virtual call. False when the time is used up.
    fn add_run(&mut self, cursor: &mut Cursor<T>, hashed: bool, cx: &mut OperatorContext<'_>) -> Result<bool> {
        let Self { current, contents, fold, selector, .. } = self;
        let table: &mut dyn Any = &mut **contents;
        let Some(heap) = table.downcast_mut::<HeapTable<S::Key, W, F::Acc>>() else {
            let Some((value, _, hash)) = cursor.next_row() else { return Ok(true) };
            self.add(value, hashed.then_some(hash))?;
            return Ok(!cx.budget.row());
        };
        let (last, others) = current.windows.split_last().expect("an open interval has windows");
        while !cursor.is_at_mark() && current.holds(cursor.peek_timestamp()) {
            let Some((value, _, hash)) = cursor.next_row() else { break };
            let key = selector.key(&value).into_owned();
            let hash = if hashed { hash } else { key.key_hash() };
            for window in others {
                add_on_heap(heap, Slot { hash, key: &key, namespace: window }, value.clone(), fold)?;
            }
            add_on_heap(heap, Slot { hash, key: &key, namespace: last }, value, fold)?;
            if cx.budget.row() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes one row, whose windows are all open.
    #[inline]
    fn add(&mut self, value: T, hash: Option<u64>) -> Result<()> {
        let key = self.selector.key(&value).into_owned();
        let hash = hash.unwrap_or_else(|| key.key_hash());
        let Self { current, contents, fold, .. } = self;
        let (last, others) = current.windows.split_last().expect("an open interval has windows");
        for window in others {
            add_to(&mut **contents, Slot { hash, key: &key, namespace: window }, value.clone(), fold)?;
        }
        add_to(&mut **contents, Slot { hash, key: &key, namespace: last }, value, fold)
    }

    /// Takes one row of which a window has fired already or is over.
    #[cold]
    fn add_late(&mut self, value: T, timestamp: Timestamp, hash: Option<u64>, cx: &OperatorContext<'_>) -> Result<()> {
        if self.current.windows.is_empty() {
            return match &self.settings.late {
                Some(tag) => self.emitter.sides.collect(tag, value, timestamp),
                None => {
                    self.dropped.inc();
                    Ok(())
                }
            };
        }
        self.now = cx.now();
        let key = self.selector.key(&value).into_owned();
        let hash = hash.unwrap_or_else(|| key.key_hash());
        for window in std::mem::take(&mut self.current.windows) {
            let slot = Slot { hash, key: &key, namespace: &window };
            add_to(&mut *self.contents, slot, value.clone(), &mut self.fold)?;
            if window.max_timestamp() <= self.watermark {
                self.fire_key(slot, false, cx)?;
            }
        }
        self.current = Current::none();
        Ok(())
    }

    /// Calls the window function for one key. `last`: its contents go.
    fn fire_key(&mut self, slot: Slot<'_, S::Key, W>, last: bool, cx: &OperatorContext<'_>) -> Result<()> {
        let result = if last {
            self.contents.remove(slot)?.map(|acc| self.fold.into_result(acc))
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
            if self.firing.is_none() {
                let Some(window) = self.next_to_fire()? else { return Ok(true) };
                let mut keys = Vec::new();
                self.contents.scan_namespace(&window, &mut |key, _| {
                    keys.push(key.clone());
                    Ok(())
                })?;
                keys.reverse();
                self.firing = Some(PartlyFired { window, keys });
            }
            let Some(PartlyFired { window, mut keys }) = self.firing.take() else { return Ok(true) };
            let last = self.settings.allowed_lateness == Millis::ZERO;
            while let Some(key) = keys.pop() {
                self.fire_key(Slot::new(&key, &window), last, cx)?;
                if cx.budget.row() || self.emitter.is_full() {
                    self.firing = Some(PartlyFired { window, keys });
                    return Ok(false);
                }
            }
            self.fired = window.max_timestamp();
        }
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

    /// Does what a watermark brings, then passes it on; false as in [`fire_windows`](Self::fire_windows).
    fn advance(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<bool> {
        self.watermark = self.watermark.max(watermark);
        if self.watermark >= self.boundary {
            self.now = cx.now();
            if !self.fire_windows(cx)? {
                return Ok(false);
            }
            self.fired = self.watermark;
            self.end_windows(cx)?;
            self.current = Current::none();
            self.boundary = self.next_boundary();
        }
        self.emitter.mark(watermark);
        Ok(true)
    }
}

/// Folds an element into the accumulator of a slot.
#[inline]
fn add_to<T, K: Key, W: Window, F: Fold<T>>(
    table: &mut dyn KeyedTable<K, W, F::Acc>,
    slot: Slot<'_, K, W>,
    value: T,
    fold: &mut F,
) -> Result<()> {
    let mut value = Some(value);
    table.update(slot, &mut |acc| {
        match (acc.as_mut(), value.take()) {
            (Some(acc), Some(value)) => fold.add(acc, value)?,
            (None, Some(value)) => *acc = Some(fold.create(value)?),
            (_, None) => {}
        }
        Ok(())
    })
}

/// As [`add_to`], compiled for the fold.
#[inline]
fn add_on_heap<T, K: Key, W: Window, F: Fold<T>>(
    table: &mut HeapTable<K, W, F::Acc>,
    slot: Slot<'_, K, W>,
    value: T,
    fold: &mut F,
) -> Result<()> {
    // `add` follows `create`; whichever is called first has the value.
    let cell = std::cell::Cell::new(Some((value, fold)));
    table.add_many_inline(
        &[slot],
        |_| {
            let (value, fold) = cell.take().expect("a slot is created before anything is added to it");
            fold.create(value)
        },
        |_, acc| match cell.take() {
            Some((value, fold)) => fold.add(acc, value),
            None => Ok(()),
        },
    )
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
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let rows = Rows::<T>::from_any(batch)?;
        let hashed = !rows.hashes.is_empty();
        let mut cursor = rows.into_cursor();
        loop {
            while let Some(mark) = cursor.next_mark() {
                if !self.advance(mark, cx)? {
                    self.emitter.flush(cx);
                    let mut rest = cursor.into_rest().unwrap_or_default();
                    rest.marks.insert(0, Mark { row: 0, watermark: mark });
                    return Ok(Rest::More(Box::new(rest)));
                }
            }
            if cursor.is_empty() {
                break;
            }
            let timestamp = cursor.peek_timestamp();
            if !self.current.holds(timestamp) {
                self.move_to(timestamp)?;
            }
            if self.current.open {
                if !self.add_run(&mut cursor, hashed, cx)? {
                    break;
                }
                continue;
            }
            let Some((value, timestamp, hash)) = cursor.next_row() else { break };
            self.add_late(value, timestamp, hashed.then_some(hash), cx)?;
            if cx.budget.row() || self.emitter.is_full() {
                break;
            }
        }
        self.emitter.flush(cx);
        Ok(crate::operators::rest_of(cursor))
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let done = self.advance(watermark, cx)?;
        self.emitter.flush(cx);
        Ok(if done { Progress::Done } else { Progress::More })
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
