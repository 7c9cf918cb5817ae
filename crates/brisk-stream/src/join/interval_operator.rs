//! The operator of interval joins.
//!
//! Both streams are kept per key, by timestamp; each record is joined with what is there of the other stream, so each pair is found by the
//! later of its two records. A timer per record drops it once no partner can come any more.
//!
//! A record may have more partners than fit one output batch: it is then given back as the first row of the rest, and `resume` says where to
//! go on.

use crate::key_selector::KeySelector;
use crate::keyed_state::{Store, open_store};
use crate::window::Outcome;
use brisk_base::metrics::Counter;
use brisk_base::{Error, Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Cursor, Mark, Rows};
use brisk_core::function::{Collector, Emitter, OutputTag, SideOutputs};
use brisk_core::operator::{Budget, Operator, OperatorContext, Progress, Rest, RuntimeContext};
use brisk_core::state::{KeyedMapTable, Layout, Slot, StateDeclarations};
use brisk_core::types::{Key, Record};
use brisk_state::timers::TimerQueue;
use std::marker::PhantomData;
use std::ops::{Bound, ControlFlow};

/// Called with each pair of an interval join (Flink's `ProcessJoinFunction`).
pub trait ProcessJoinFunction: Clone + Send + 'static {
    /// Records of the left stream.
    type Left: Record;
    /// Records of the right stream.
    type Right: Record;
    /// What it makes.
    type Out: Record;

    /// Called once per subtask, before the first pair.
    ///
    /// # Errors
    /// Fails the task.
    fn open(&mut self, _cx: &RuntimeContext) -> Result<()> {
        Ok(())
    }

    /// Called for each pair. What `out` collects carries the later timestamp of the two.
    ///
    /// # Errors
    /// Fails the task.
    fn process_element(
        &mut self,
        left: &Self::Left,
        right: &Self::Right,
        ctx: &mut JoinContext<'_>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()>;

    /// Called once at the end, also after a failure.
    ///
    /// # Errors
    /// Fails the task if it had not failed already.
    fn close(&mut self) -> Result<()> {
        Ok(())
    }
}

/// What is known about the pair that is being processed.
pub struct JoinContext<'a> {
    left: Timestamp,
    right: Timestamp,
    sides: &'a mut SideOutputs,
    runtime: &'a RuntimeContext,
}

impl JoinContext<'_> {
    /// Timestamp of the left record.
    pub const fn left_timestamp(&self) -> Timestamp {
        self.left
    }

    /// Timestamp of the right record.
    pub const fn right_timestamp(&self) -> Timestamp {
        self.right
    }

    /// Timestamp of the result: the later of the two.
    pub fn timestamp(&self) -> Timestamp {
        self.left.max(self.right)
    }

    /// Emits a record to a side output, with the timestamp of the result.
    ///
    /// # Errors
    /// When another tag of the same id has another type.
    pub fn output<T: Record>(&mut self, tag: &OutputTag<T>, value: T) -> Result<()> {
        self.sides.collect(tag, value, self.timestamp())
    }

    /// The subtask, its metrics, accumulators and the job's parameters.
    pub const fn runtime(&self) -> &RuntimeContext {
        self.runtime
    }
}

/// A closure `(left, right, ctx, out)` as a [`ProcessJoinFunction`].
pub(crate) struct JoinFn<F, A, B, O, R>(F, PhantomData<fn(A, B) -> (O, R)>);

impl<F, A, B, O, R> JoinFn<F, A, B, O, R> {
    pub(crate) const fn new(function: F) -> Self {
        Self(function, PhantomData)
    }
}

impl<F: Clone, A, B, O, R> Clone for JoinFn<F, A, B, O, R> {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<F, A, B, O, R> ProcessJoinFunction for JoinFn<F, A, B, O, R>
where
    F: FnMut(&A, &B, &mut JoinContext<'_>, &mut Collector<O>) -> R + Clone + Send + 'static,
    A: Record,
    B: Record,
    O: Record,
    R: Outcome + 'static,
{
    type Left = A;
    type Right = B;
    type Out = O;

    fn process_element(&mut self, left: &A, right: &B, ctx: &mut JoinContext<'_>, out: &mut Collector<O>) -> Result<()> {
        (self.0)(left, right, ctx, out).outcome()
    }
}

/// The interval of an interval join, both ends included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) lower: Millis,
    pub(crate) upper: Millis,
}

impl Bounds {
    /// The interval as the other stream sees it.
    fn reversed(self) -> Self {
        Self { lower: Millis(0) - self.upper, upper: Millis(0) - self.lower }
    }

    /// When a record of this timestamp can have no partner any more.
    fn cleanup_time(self, timestamp: Timestamp) -> Timestamp {
        if self.upper > Millis::ZERO { timestamp + self.upper } else { timestamp }
    }
}

/// The records of one stream.
struct Side<K, T> {
    /// Records by timestamp, in the order of arrival.
    buffer: Box<dyn KeyedMapTable<K, (), Timestamp, Vec<T>>>,
    /// Where the partners of a record are.
    bounds: Bounds,
    /// When records of which timestamp are dropped; the timestamp is the namespace.
    timers: TimerQueue<K, Timestamp>,
    /// Where late records go.
    late: Option<OutputTag<T>>,
}

/// Where to go on within the partners of a record.
type Position = (Timestamp, usize);

/// Where a pass over the partners of a record has to stop.
struct Pass<'a, 'b> {
    /// Where to begin.
    from: Option<Position>,
    runtime: &'a RuntimeContext,
    budget: &'b mut Budget,
}

impl<K: Key, T: Record> Side<K, T> {
    /// Keeps a record for its partners to come.
    fn add(&mut self, slot: Slot<'_, K, ()>, value: T, timestamp: Timestamp) -> Result<()> {
        self.timers.register(self.bounds.cleanup_time(timestamp), slot.hash, slot.key, &timestamp)?;
        let mut value = Some(value);
        self.buffer.update(slot, &timestamp, &mut |bucket| {
            bucket.get_or_insert_default().extend(value.take());
            Ok(())
        })
    }

    /// Shows the records within the bounds of one of the other stream, until `visit` breaks off; gives where it did.
    fn partners(
        &mut self,
        slot: Slot<'_, K, ()>,
        around: Timestamp,
        bounds: Bounds,
        from: Option<Position>,
        visit: &mut dyn FnMut(&T, Timestamp) -> Result<ControlFlow<()>>,
    ) -> Result<Option<Position>> {
        let (first, last) = (from.map_or(around + bounds.lower, |from| from.0), around + bounds.upper);
        if first > last {
            return Ok(None);
        }
        let mut stopped = None;
        self.buffer.range(slot, (Bound::Included(&first), Bound::Included(&last)), &mut |timestamp, bucket| {
            let skipped = from.filter(|from| from.0 == *timestamp).map_or(0, |from| from.1);
            for (index, value) in bucket.iter().enumerate().skip(skipped) {
                if visit(value, *timestamp)?.is_break() {
                    stopped = Some((*timestamp, index + 1));
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(stopped)
    }

    /// Drops records whose time is over.
    fn clean_up(&mut self, watermark: Timestamp) -> Result<()> {
        while let Some(timer) = self.timers.pop_due(watermark) {
            self.buffer.remove(Slot::new(&timer.key, &()), &timer.namespace)?;
        }
        Ok(())
    }
}

/// See the module.
pub(crate) struct IntervalJoinOperator<S1, S2, F>
where
    F: ProcessJoinFunction,
    S1: KeySelector<F::Left>,
    S2: KeySelector<F::Right, Key = S1::Key>,
{
    selectors: (S1, S2),
    left: Side<S1::Key, F::Left>,
    right: Side<S1::Key, F::Right>,
    function: F,
    emitter: Emitter<F::Out>,
    /// The combined watermark, up to the row that is being processed.
    watermark: Timestamp,
    /// Where to go on with the first row of the next batch of each input.
    resume: [Option<Position>; 2],
    /// Late records that went nowhere (`numLateRecordsDropped`).
    dropped: Counter,
    /// Owner of the tables' storage.
    _store: Store<S1::Key>,
}

impl<S1, S2, F> IntervalJoinOperator<S1, S2, F>
where
    F: ProcessJoinFunction,
    S1: KeySelector<F::Left>,
    S2: KeySelector<F::Right, Key = S1::Key>,
{
    pub(crate) fn new(
        selectors: (S1, S2),
        bounds: Bounds,
        late: (Option<OutputTag<F::Left>>, Option<OutputTag<F::Right>>),
        function: F,
        cx: &RuntimeContext,
    ) -> Result<Self> {
        let mut state = StateDeclarations::new(cx.place());
        let left = state.engine_map::<Timestamp, Vec<F::Left>>("left-buffer", Layout::KeyMajor);
        let right = state.engine_map::<Timestamp, Vec<F::Right>>("right-buffer", Layout::KeyMajor);
        let mut store: Store<S1::Key> = open_store(cx, state)?;
        Ok(Self {
            selectors,
            left: Side { buffer: store.take_map(left)?, bounds, timers: TimerQueue::default(), late: late.0 },
            right: Side { buffer: store.take_map(right)?, bounds: bounds.reversed(), timers: TimerQueue::default(), late: late.1 },
            function,
            emitter: Emitter::new(cx),
            watermark: Timestamp::MIN,
            resume: [None; 2],
            dropped: cx.metrics.counter("numLateRecordsDropped"),
            _store: store,
        })
    }

    fn advance(&mut self, watermark: Timestamp) -> Result<()> {
        self.watermark = watermark;
        self.left.clean_up(watermark)?;
        self.right.clean_up(watermark)?;
        self.emitter.mark(watermark);
        Ok(())
    }

    /// Takes a batch row by row; `join` takes one row, and says where it stopped if it had to.
    fn each_row<T: Record>(
        &mut self,
        input: usize,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
        mut join: impl FnMut(&mut Self, &T, Timestamp, Option<u64>, Pass<'_, '_>) -> Result<Option<Position>>,
    ) -> Result<Rest> {
        let rows = Rows::<T>::from_any(batch)?;
        let hashed = !rows.hashes.is_empty();
        let mut cursor = rows.into_cursor();
        loop {
            while let Some(mark) = cursor.next_mark() {
                self.advance(mark)?;
            }
            let Some((value, timestamp, hash)) = cursor.next_row() else { break };
            let pass = Pass { from: self.resume[input].take(), runtime: cx.runtime, budget: cx.budget };
            self.resume[input] = join(self, &value, timestamp, hashed.then_some(hash), pass)?;
            if self.resume[input].is_some() {
                self.emitter.flush(cx);
                return Ok(Rest::More(Box::new(put_back(cursor, value, timestamp, hashed.then_some(hash)))));
            }
            if cx.budget.row() || self.emitter.is_full() {
                break;
            }
        }
        self.emitter.flush(cx);
        Ok(crate::operators::rest_of(cursor))
    }

    /// What has to be known of a record before it is joined: whether it goes on, and not to the late ones.
    fn check(&self, timestamp: Timestamp) -> Result<bool> {
        if !timestamp.is_set() {
            return Err(Error::user(
                "interval_join got a record without a timestamp; call assign_timestamps_and_watermarks on both streams before key_by",
            ));
        }
        Ok(timestamp >= self.watermark)
    }

    fn join_left(&mut self, value: &F::Left, timestamp: Timestamp, hash: Option<u64>, pass: Pass<'_, '_>) -> Result<Option<Position>> {
        let key = self.selectors.0.key(value);
        let slot = Slot { hash: hash.unwrap_or_else(|| key.key_hash()), key: &*key, namespace: &() };
        if pass.from.is_none() {
            if !self.check(timestamp)? {
                late(self.left.late.as_ref(), value, timestamp, &mut self.emitter, &self.dropped)?;
                return Ok(None);
            }
            self.left.add(slot, value.clone(), timestamp)?;
        }
        let Self { left, right, function, emitter, .. } = self;
        right.partners(slot, timestamp, left.bounds, pass.from, &mut |partner, at| {
            call(function, emitter, (value, timestamp), (partner, at), pass.runtime)?;
            Ok(stop_if(pass.budget.row() || emitter.is_full()))
        })
    }

    fn join_right(&mut self, value: &F::Right, timestamp: Timestamp, hash: Option<u64>, pass: Pass<'_, '_>) -> Result<Option<Position>> {
        let key = self.selectors.1.key(value);
        let slot = Slot { hash: hash.unwrap_or_else(|| key.key_hash()), key: &*key, namespace: &() };
        if pass.from.is_none() {
            if !self.check(timestamp)? {
                late(self.right.late.as_ref(), value, timestamp, &mut self.emitter, &self.dropped)?;
                return Ok(None);
            }
            self.right.add(slot, value.clone(), timestamp)?;
        }
        let Self { left, right, function, emitter, .. } = self;
        left.partners(slot, timestamp, right.bounds, pass.from, &mut |partner, at| {
            call(function, emitter, (partner, at), (value, timestamp), pass.runtime)?;
            Ok(stop_if(pass.budget.row() || emitter.is_full()))
        })
    }
}

const fn stop_if(stop: bool) -> ControlFlow<()> {
    if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// Calls the function with one pair.
fn call<F: ProcessJoinFunction>(
    function: &mut F,
    emitter: &mut Emitter<F::Out>,
    left: (&F::Left, Timestamp),
    right: (&F::Right, Timestamp),
    runtime: &RuntimeContext,
) -> Result<()> {
    let Emitter { collector, sides } = emitter;
    collector.set_timestamp(left.1.max(right.1));
    function.process_element(left.0, right.0, &mut JoinContext { left: left.1, right: right.1, sides, runtime }, collector)
}

/// Sends a late record where late records go.
fn late<T: Record, O: Record>(
    tag: Option<&OutputTag<T>>,
    value: &T,
    timestamp: Timestamp,
    emitter: &mut Emitter<O>,
    dropped: &Counter,
) -> Result<()> {
    match tag {
        Some(tag) => emitter.sides.collect(tag, value.clone(), timestamp),
        None => {
            dropped.inc();
            Ok(())
        }
    }
}

/// What is left of a batch, with this row in front.
fn put_back<T: Record>(rest: Cursor<T>, value: T, timestamp: Timestamp, hash: Option<u64>) -> Rows<T> {
    let mut rows = rest.into_rest().unwrap_or_default();
    rows.values.insert(0, value);
    rows.timestamps.insert(0, timestamp);
    if let Some(hash) = hash {
        rows.hashes.insert(0, hash);
    }
    rows.marks.iter_mut().for_each(|mark: &mut Mark| mark.row += 1);
    rows
}

impl<S1, S2, F> Operator for IntervalJoinOperator<S1, S2, F>
where
    F: ProcessJoinFunction,
    S1: KeySelector<F::Left>,
    S2: KeySelector<F::Right, Key = S1::Key>,
{
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.open(cx.runtime)
    }

    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        match input {
            0 => self.each_row(input, batch, cx, Self::join_left),
            1 => self.each_row(input, batch, cx, Self::join_right),
            other => Err(Error::bug(format!("two inputs, but a batch came for input {other}"))),
        }
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.advance(watermark)?;
        self.emitter.flush(cx);
        Ok(Progress::Done)
    }

    fn close(&mut self) -> Result<()> {
        self.function.close()
    }
}
