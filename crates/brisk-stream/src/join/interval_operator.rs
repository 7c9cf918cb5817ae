//! The operator of interval joins. It follows Flink's `IntervalJoinOperator`.
//!
//! Each record is joined with what the other side's buffer holds, then put into its own side's: so each pair is found by the later of its
//! records. A record behind the watermark is late and joins nothing. Batches are split at their marks, so that results depend on the order
//! of records and watermarks alone.
//!
//! Invariants: when a row has more partners than one output batch takes, it is given back as the first of the rest, and `resume` says where
//! its partners go on. Nothing touches the buffers in between: the rest of a batch is processed before any other element of the operator.
//! A barrier may overtake that rest; then the place is part of the checkpoint, and found again by key and timestamp of the row.

use super::buffer::{Buffer, Position};
use super::function::{JoinContext, ProcessJoinFunction};
use crate::key_selector::KeySelector;
use crate::keyed_state::{Store, open_store};
use crate::operators::{replace_key, rest_of};
use brisk_base::ids::CheckpointId;
use brisk_base::metrics::Counter;
use brisk_base::{Error, Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Cursor, Mark, Rows};
use brisk_core::function::{Collector, Emitter, FunctionInitializationContext, FunctionSnapshotContext, OutputTag};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{KeyGroups, Layout, OperatorSnapshot, Redistribution, Slot, StateDeclarations};
use brisk_core::types::{Key, Record};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Name of the operator state that says where the partners of rows go on.
const RESUME: &str = "$resume";

/// What the API knows of an interval join besides its function: bounds are inclusive here.
pub(super) struct IntervalSettings<A, B> {
    /// Lowest distance of a right timestamp from its left one.
    pub(super) lower: Millis,
    /// Highest distance.
    pub(super) upper: Millis,
    /// Where left records go that are late; without it they are counted and dropped.
    pub(super) left_late: Option<OutputTag<A>>,
    /// Where right records go that are late.
    pub(super) right_late: Option<OutputTag<B>>,
}

/// One input.
struct Side<K, S, T> {
    /// Finds the key.
    selector: S,
    /// Records that may still find a partner.
    buffer: Buffer<K, T>,
    /// Where late records go.
    late: Option<OutputTag<T>>,
    /// Lowest distance of a partner's timestamp from this side's.
    lower: Millis,
    /// Highest distance.
    upper: Millis,
    /// Whether this is the left side.
    is_left: bool,
}

/// What both inputs share.
struct Joiner<K, F: ProcessJoinFunction> {
    function: F,
    emitter: Emitter<F::Out>,
    /// The watermark, up to the row that is being processed.
    watermark: Timestamp,
    /// The key of the row before, whose memory is used again.
    key: Option<K>,
    /// Where the partners of the next row go on, if some of them have been seen already.
    resume: Option<Resume<K>>,
    /// As `resume`, for rows that come again after the operator was restored.
    restored: Vec<Resume<K>>,
    /// Late records that went nowhere (Flink's `numLateRecordsDropped`).
    dropped: Counter,
}

/// Where the partners of a row go on.
#[derive(Clone, Record)]
struct Resume<K> {
    /// Whether the row is one of the left side.
    is_left: bool,
    /// Its key.
    key: K,
    /// Its timestamp.
    timestamp: Timestamp,
    /// Timestamp of the next partner's bucket.
    bucket: Timestamp,
    /// The next partner within the bucket.
    index: u64,
}

impl<K> Resume<K> {
    const fn position(&self) -> Position {
        Position { timestamp: self.bucket, index: self.index as usize }
    }
}

/// See the module.
pub(super) struct IntervalJoinOperator<S1, S2, F>
where
    F: ProcessJoinFunction,
    S1: KeySelector<F::In1>,
{
    left: Side<S1::Key, S1, F::In1>,
    right: Side<S1::Key, S2, F::In2>,
    joiner: Joiner<S1::Key, F>,
    /// What the buffers lie in.
    store: Store<S1::Key>,
    /// Buckets and timers.
    entries: usize,
}

impl<S1, S2, F> IntervalJoinOperator<S1, S2, F>
where
    F: ProcessJoinFunction,
    S1: KeySelector<F::In1>,
    S2: KeySelector<F::In2, Key = S1::Key>,
{
    pub(super) fn new(selectors: (S1, S2), settings: IntervalSettings<F::In1, F::In2>, function: F, cx: &RuntimeContext) -> Result<Self> {
        let IntervalSettings { lower, upper, left_late, right_late } = settings;
        let mut state = StateDeclarations::new(cx.place());
        let left = state.engine_map::<Timestamp, Vec<F::In1>>("left-buffer", Layout::KeyMajor);
        let right = state.engine_map::<Timestamp, Vec<F::In2>>("right-buffer", Layout::KeyMajor);
        let mut store = open_store(cx, state)?;
        let key_groups = store.key_groups();
        let (left_keep, right_keep) = (upper.max(Millis::ZERO), (-lower).max(Millis::ZERO));
        Ok(Self {
            left: Side {
                selector: selectors.0,
                buffer: Buffer::new(store.take_map(left)?, "$left-timers", left_keep, key_groups, cx)?,
                late: left_late,
                lower,
                upper,
                is_left: true,
            },
            right: Side {
                selector: selectors.1,
                buffer: Buffer::new(store.take_map(right)?, "$right-timers", right_keep, key_groups, cx)?,
                late: right_late,
                lower: -upper,
                upper: -lower,
                is_left: false,
            },
            joiner: Joiner {
                function,
                emitter: Emitter::new(cx),
                watermark: Timestamp::MIN,
                key: None,
                resume: None,
                restored: restored_resumes(cx, key_groups)?,
                dropped: cx.metrics.counter("numLateRecordsDropped"),
            },
            store,
            entries: 0,
        })
    }

    fn count_entries(&mut self) -> Result<()> {
        self.entries = self.left.buffer.timers() + self.right.buffer.timers();
        if self.store.on_heap() {
            self.entries += self.left.buffer.buckets()? + self.right.buffer.buckets()?;
        }
        Ok(())
    }
}

impl<K: Key, F: ProcessJoinFunction> Joiner<K, F> {
    /// Processes a batch of one side. `call` gives a pair to the function: the record of this side first.
    fn process<S, T, R, U>(
        &mut self,
        ours: &mut Side<K, S, T>,
        theirs: &mut Side<K, R, U>,
        batch: Box<dyn AnyBatch>,
        cx: &mut OperatorContext<'_>,
        call: impl Fn(&mut F, &T, &U, &mut JoinContext<'_>, &mut Collector<F::Out>) -> Result<()>,
    ) -> Result<Rest>
    where
        T: Record,
        U: Record,
        S: KeySelector<T, Key = K>,
    {
        let rows = Rows::<T>::from_any(batch)?;
        let hashed = !rows.hashes.is_empty();
        let mut cursor = rows.into_cursor();
        self.emitter.reserve();
        loop {
            while let Some(mark) = cursor.next_mark() {
                if !self.advance(mark, ours, theirs, cx)? {
                    self.emitter.flush(cx);
                    return Ok(with_mark(cursor, mark));
                }
            }
            let Some((value, timestamp, hash)) = cursor.next_row() else { break };
            let hash = hashed.then_some(hash);
            if let Some(value) = self.take(ours, theirs, (value, timestamp, hash), cx, &call)? {
                self.emitter.flush(cx);
                return Ok(with_row(cursor, value, timestamp, hash));
            }
            if cx.budget.row() || self.emitter.is_full() {
                break;
            }
        }
        self.emitter.flush(cx);
        Ok(rest_of(cursor))
    }

    /// Joins one row with what is there. Gives it back when its partners have to go on in the next call.
    fn take<S, T, R, U>(
        &mut self,
        ours: &mut Side<K, S, T>,
        theirs: &mut Side<K, R, U>,
        (value, timestamp, hash): (T, Timestamp, Option<u64>),
        cx: &mut OperatorContext<'_>,
        call: &impl Fn(&mut F, &T, &U, &mut JoinContext<'_>, &mut Collector<F::Out>) -> Result<()>,
    ) -> Result<Option<T>>
    where
        T: Record,
        U: Record,
        S: KeySelector<T, Key = K>,
    {
        let resumed = self.resume.take().or_else(|| self.take_restored(ours, &value, timestamp));
        let from = match resumed {
            Some(resume) => resume.position(),
            None if !timestamp.is_set() => return Err(no_timestamp(ours.is_left)),
            None if timestamp < self.watermark => return self.skip(ours, value, timestamp).map(|()| None),
            None => Position { timestamp: timestamp + ours.lower, index: 0 },
        };
        let key = ours.selector.key(&value);
        let hash = hash.unwrap_or_else(|| key.key_hash());
        replace_key(&mut self.key, key);
        let Self { function, emitter, watermark, key, resume, .. } = self;
        let slot = Slot { hash, key: key.as_ref().expect("replaced just now"), namespace: &() };
        let next = theirs.buffer.visit(slot, from, timestamp + ours.upper, |partner_timestamp, partner| {
            let (left, right) = if ours.is_left { (timestamp, partner_timestamp) } else { (partner_timestamp, timestamp) };
            let Emitter { collector, sides } = &mut *emitter;
            collector.set_timestamp(left.max(right));
            let mut ctx = JoinContext { left, right, watermark: *watermark, sides, runtime: cx.runtime };
            call(function, &value, partner, &mut ctx, collector)?;
            Ok(if cx.budget.row() || emitter.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if let Some(Position { timestamp: bucket, index }) = next {
            let (is_left, key) = (ours.is_left, slot.key.clone());
            *resume = Some(Resume { is_left, key, timestamp, bucket, index: index as u64 });
            return Ok(Some(value));
        }
        ours.buffer.add(slot, timestamp, value)?;
        Ok(None)
    }

    /// Where the partners of a row go on that was under way at the checkpoint.
    #[inline]
    fn take_restored<S: KeySelector<T, Key = K>, T: Record>(
        &mut self,
        ours: &Side<K, S, T>,
        value: &T,
        timestamp: Timestamp,
    ) -> Option<Resume<K>> {
        if self.restored.is_empty() {
            return None;
        }
        let key = ours.selector.key(value);
        let is_it = |resume: &Resume<K>| resume.is_left == ours.is_left && resume.timestamp == timestamp && resume.key == *key;
        self.restored.iter().position(is_it).map(|at| self.restored.remove(at))
    }

    /// A row behind the watermark.
    fn skip<S, T: Record>(&mut self, ours: &Side<K, S, T>, value: T, timestamp: Timestamp) -> Result<()> {
        match &ours.late {
            Some(tag) => self.emitter.sides.collect(tag, value, timestamp),
            None => {
                self.dropped.inc();
                Ok(())
            }
        }
    }

    /// Empties the buffers up to a watermark, then passes it on. False when the time is used up before: call again.
    fn advance<S, T: Record, R, U: Record>(
        &mut self,
        watermark: Timestamp,
        one: &mut Side<K, S, T>,
        other: &mut Side<K, R, U>,
        cx: &mut OperatorContext<'_>,
    ) -> Result<bool> {
        self.watermark = self.watermark.max(watermark);
        let done = one.buffer.expire(self.watermark, cx.budget)? && other.buffer.expire(self.watermark, cx.budget)?;
        if done {
            self.emitter.mark(watermark);
        }
        Ok(done)
    }
}

/// Where the partners of rows go on whose keys are this subtask's.
fn restored_resumes<K: Key>(cx: &RuntimeContext, key_groups: KeyGroups) -> Result<Vec<Resume<K>>> {
    let mut resumes: Vec<Resume<K>> = cx.state.operator_state(RESUME)?;
    resumes.retain(|resume| key_groups.range.contains(key_groups.of(resume.key.key_hash())));
    Ok(resumes)
}

#[cold]
fn no_timestamp(is_left: bool) -> Error {
    let side = if is_left { "left" } else { "right" };
    Error::user(format!(
        "an interval join got a record without a timestamp from its {side} input; \
         call assign_timestamps_and_watermarks on that stream before interval_join"
    ))
}

/// What a cursor has not read, with a mark that has not been passed on in front.
fn with_mark<T: Record>(cursor: Cursor<T>, watermark: Timestamp) -> Rest {
    let mut rest = cursor.into_rest().unwrap_or_default();
    rest.marks.insert(0, Mark { row: 0, watermark });
    Rest::More(Box::new(rest))
}

/// What a cursor has not read, with the row that it has read last in front.
fn with_row<T: Record>(cursor: Cursor<T>, value: T, timestamp: Timestamp, hash: Option<u64>) -> Rest {
    let mut rest = cursor.into_rest().unwrap_or_default();
    rest.values.insert(0, value);
    rest.timestamps.insert(0, timestamp);
    hash.into_iter().for_each(|hash| rest.hashes.insert(0, hash));
    rest.marks.iter_mut().for_each(|mark| mark.row += 1);
    Rest::More(Box::new(rest))
}

impl<S1, S2, F> Operator for IntervalJoinOperator<S1, S2, F>
where
    F: ProcessJoinFunction,
    S1: KeySelector<F::In1>,
    S2: KeySelector<F::In2, Key = S1::Key>,
{
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.count_entries()?;
        self.joiner.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.joiner.function.open(cx.runtime)
    }

    fn input_type(&self, input: usize) -> Option<Arc<dyn BatchType>> {
        Some(if input == 0 { Rows::<F::In1>::batch_type() } else { Rows::<F::In2>::batch_type() })
    }

    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let Self { left, right, joiner, .. } = self;
        let rest = match input {
            0 => joiner.process(left, right, batch, cx, |function, left, right, ctx, out| function.process_element(left, right, ctx, out)),
            1 => joiner.process(right, left, batch, cx, |function, right, left, ctx, out| function.process_element(left, right, ctx, out)),
            other => Err(Error::bug(format!("two inputs, but a batch came for input {other}"))),
        }?;
        self.count_entries()?;
        Ok(rest)
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let Self { left, right, joiner, .. } = self;
        let done = joiner.advance(watermark, left, right, cx)?;
        joiner.emitter.flush(cx);
        self.count_entries()?;
        Ok(if done { Progress::Done } else { Progress::More })
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        let Self { left, right, joiner, store, .. } = self;
        store.snapshot(snapshot, cx)?;
        left.buffer.snapshot(store.key_groups(), snapshot)?;
        right.buffer.snapshot(store.key_groups(), snapshot)?;
        snapshot.add_operator_state(RESUME, Redistribution::Union, joiner.resume.iter().chain(&joiner.restored));
        joiner.function.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_complete(checkpoint)?;
        self.joiner.function.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.store.checkpoint_aborted(checkpoint)
    }

    fn state_entries(&self) -> usize {
        self.entries
    }

    fn close(&mut self) -> Result<()> {
        self.joiner.function.close()
    }
}
