//! The operator of joins within windows: a window operator, and behind it what is done with the two sides of each window that fires.
//!
//! The two are one operator, so that name, uid and parallelism of the result are those of the operator that has the state. The window
//! operator gives each window that fires as one [`Groups`] record; pairs are made of it one by one, and making them stops when the output
//! is full or the time is used up.
//!
//! Invariant: `waiting` and `current` are empty between two elements of the input: an element is done only when everything that the window
//! operator made of it has been passed on. Only a timer of processing time may leave something there, which the next call passes on first.
//! A barrier that overtakes finds windows there; they become part of the checkpoint. The watermarks between them do not: the window operator
//! is told its watermark again, and passes it on behind them.

use super::tagged_union::TaggedUnion;
use super::window_function::{CoGroupFunction, FlatJoinFunction};
use crate::function::hooks::{checkpointed_hooks, delegate_hooks};
use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Cursor, Rows, Step};
use brisk_core::element::{Element, StreamStatus};
use brisk_core::function::{Collector, FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Output, Port, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::source::SourceEvent;
use brisk_core::state::{OperatorSnapshot, Redistribution};
use brisk_core::types::Record;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// Name of the operator state with the windows that have fired and not been passed on.
const PENDING: &str = "$pending-groups";

/// All records of one key and window, in the order of arrival.
#[derive(Clone, Record)]
pub(super) struct Groups<A, B> {
    /// Those of the first stream.
    pub(super) first: Vec<A>,
    /// Those of the second stream.
    pub(super) second: Vec<B>,
}

/// What is done with the groups of a window.
pub(super) trait GroupFunction<A, B>: Send + 'static {
    /// What it makes.
    type Out: Record;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()>;

    checkpointed_hooks!();

    /// Does step number `step` of a window: the steps of a window are counted from 0. True if there is another one.
    fn step(&mut self, groups: &mut Groups<A, B>, step: usize, out: &mut Collector<Self::Out>) -> Result<bool>;

    fn close(&mut self) -> Result<()>;
}

/// Calls a function with each pair.
pub(super) struct Pairs<F>(pub(super) F);

impl<F: FlatJoinFunction> GroupFunction<F::In1, F::In2> for Pairs<F> {
    type Out = F::Out;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.0.open(cx)
    }

    delegate_hooks!(0);

    #[inline]
    fn step(&mut self, groups: &mut Groups<F::In1, F::In2>, step: usize, out: &mut Collector<F::Out>) -> Result<bool> {
        let Groups { first, second } = groups;
        let pairs = first.len() * second.len();
        if step < pairs {
            self.0.join(&first[step / second.len()], &second[step % second.len()], out)?;
        }
        Ok(step + 1 < pairs)
    }

    fn close(&mut self) -> Result<()> {
        self.0.close()
    }
}

/// Calls a function once, with both sides.
pub(super) struct Whole<F>(pub(super) F);

impl<F: CoGroupFunction> GroupFunction<F::In1, F::In2> for Whole<F> {
    type Out = F::Out;

    fn open(&mut self, cx: &RuntimeContext) -> Result<()> {
        self.0.open(cx)
    }

    delegate_hooks!(0);

    fn step(&mut self, groups: &mut Groups<F::In1, F::In2>, _step: usize, out: &mut Collector<F::Out>) -> Result<bool> {
        self.0.co_group(std::mem::take(&mut groups.first), std::mem::take(&mut groups.second), out).map(|()| false)
    }

    fn close(&mut self) -> Result<()> {
        self.0.close()
    }
}

/// A window that has fired, and the step that comes next.
#[derive(Clone, Record)]
struct Current<A, B> {
    groups: Groups<A, B>,
    timestamp: Timestamp,
    step: usize,
}

/// See the module.
pub(super) struct GroupOperator<A, B, G: GroupFunction<A, B>> {
    /// Emits batches of `Rows<Groups<A, B>>`.
    window: Box<dyn Operator>,
    function: G,
    /// What the window operator has emitted to the main output, behind `fired`.
    waiting: VecDeque<Element>,
    /// The rest of the batch of windows that is being passed on.
    fired: Option<Cursor<Groups<A, B>>>,
    /// The window that is being passed on.
    current: Option<Current<A, B>>,
    /// Windows that a checkpoint left; they come before all others.
    restored: VecDeque<Current<A, B>>,
    collector: Collector<G::Out>,
}

/// Collects what the window operator emits in one call.
struct Caught {
    ports: usize,
    elements: Vec<(Port, Element)>,
    events: Vec<SourceEvent>,
    wake_after: Option<Duration>,
}

impl Output for Caught {
    fn emit(&mut self, port: Port, element: Element) {
        self.elements.push((port, element));
    }

    fn ports(&self) -> usize {
        self.ports
    }

    fn send_event(&mut self, event: SourceEvent) {
        self.events.push(event);
    }

    fn wake_after(&mut self, span: Duration) {
        self.wake_after = Some(self.wake_after.map_or(span, |before| before.min(span)));
    }
}

impl<A: Record, B: Record, G: GroupFunction<A, B>> GroupOperator<A, B, G> {
    pub(super) fn new(window: Box<dyn Operator>, function: G) -> Self {
        Self {
            window,
            function,
            waiting: VecDeque::new(),
            fired: None,
            current: None,
            restored: VecDeque::new(),
            collector: Collector::default(),
        }
    }

    fn has_more(&self) -> bool {
        self.current.is_some() || !self.restored.is_empty() || self.fired.is_some() || !self.waiting.is_empty()
    }

    /// Calls the window operator. What it emits to side outputs goes on at once.
    fn call<R>(
        &mut self,
        cx: &mut OperatorContext<'_>,
        call: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut caught = Caught { ports: cx.ports(), elements: Vec::new(), events: Vec::new(), wake_after: None };
        let result = call(&mut *self.window, &mut OperatorContext::new(cx.runtime, cx.budget, cx.waker, &mut caught));
        caught.events.into_iter().for_each(|event| cx.send_event(event));
        caught.wake_after.into_iter().for_each(|span| cx.wake_after(span));
        for (port, element) in caught.elements {
            match element {
                element if port == MAIN_PORT => self.waiting.push_back(element),
                Element::Batch(batch) => cx.emit(port, batch),
                Element::Watermark(watermark) => cx.emit_watermark_to(port, watermark),
                // A status goes to all outputs when the main one has come to it.
                Element::Status(_) | Element::LatencyMarker(_) | Element::Barrier(_) | Element::EndOfInput | Element::EndOfChannel => {}
            }
        }
        result
    }

    /// Passes on what the window operator has emitted. False when it had to stop because the output is full or the time is used up.
    fn pass_on(&mut self, cx: &mut OperatorContext<'_>) -> Result<bool> {
        while self.has_more() {
            if !self.pass_on_window(cx)? || self.collector.is_full() {
                self.flush(cx);
                return Ok(false);
            }
            if let Some(restored) = self.restored.pop_front() {
                self.current = Some(restored);
                continue;
            }
            match self.fired.as_mut().and_then(Iterator::next) {
                Some(Step::Watermark(watermark)) => self.collector.mark(watermark),
                Some(Step::Row(groups, timestamp, _)) => self.current = Some(Current { groups, timestamp, step: 0 }),
                None => self.take_waiting(cx)?,
            }
        }
        self.flush(cx);
        Ok(true)
    }

    /// Passes on the window that has been begun, if there is one. False when the output is full or the time is used up.
    fn pass_on_window(&mut self, cx: &mut OperatorContext<'_>) -> Result<bool> {
        let Some(Current { groups, timestamp, step }) = &mut self.current else { return Ok(true) };
        self.collector.set_timestamp(*timestamp);
        while self.function.step(groups, *step, &mut self.collector)? {
            *step += 1;
            if cx.budget.row() || self.collector.is_full() {
                return Ok(false);
            }
        }
        self.current = None;
        Ok(!cx.budget.row())
    }

    /// Begins with the next element; the batch before it is over.
    fn take_waiting(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.fired = None;
        match self.waiting.pop_front() {
            Some(Element::Batch(batch)) => self.fired = Some(Rows::from_any(batch)?.into_cursor()),
            Some(Element::Watermark(watermark)) => self.collector.mark(watermark),
            Some(Element::Status(status)) => {
                self.flush(cx);
                cx.emit_status(status);
            }
            Some(Element::LatencyMarker(_) | Element::Barrier(_) | Element::EndOfInput | Element::EndOfChannel) | None => {}
        }
        Ok(())
    }

    /// The windows that have fired and not been passed on.
    fn pending(&mut self) -> Vec<Current<A, B>> {
        let mut pending: Vec<_> = self.current.iter().chain(&self.restored).cloned().collect();
        let mut add = |rows: &Rows<Groups<A, B>>| {
            let windows = rows.values.iter().enumerate();
            pending.extend(windows.map(|(row, groups)| Current { groups: groups.clone(), timestamp: rows.timestamp(row), step: 0 }));
        };
        if let Some(rest) = self.fired.take().and_then(Cursor::into_rest) {
            add(&rest);
            self.fired = Some(rest.into_cursor());
        }
        for element in &self.waiting {
            if let Element::Batch(batch) = element
                && let Some(rows) = batch.as_any().downcast_ref()
            {
                add(rows);
            }
        }
        pending
    }

    fn flush(&mut self, cx: &mut OperatorContext<'_>) {
        let rows = self.collector.take();
        if !rows.values.is_empty() {
            cx.emit(MAIN_PORT, Box::new(rows));
        } else if let Some(last) = rows.marks.last() {
            cx.emit_watermark_to(MAIN_PORT, last.watermark);
        }
    }

    /// A step of the window operator that may be repeated: done when all that came of it has been passed on.
    fn step(
        &mut self,
        cx: &mut OperatorContext<'_>,
        call: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<Progress>,
    ) -> Result<Progress> {
        if !self.pass_on(cx)? {
            return Ok(Progress::More);
        }
        let progress = self.call(cx, call)?;
        let all = self.pass_on(cx)?;
        Ok(if all { progress } else { Progress::More })
    }
}

impl<A: Record, B: Record, G: GroupFunction<A, B>> Operator for GroupOperator<A, B, G> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.restored = cx.runtime.state.operator_state::<Current<A, B>>(PENDING)?.into();
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)?;
        self.window.open(cx)
    }

    fn input_type(&self, input: usize) -> Option<Arc<dyn BatchType>> {
        self.window.input_type(input)
    }

    fn process_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        if !self.pass_on(cx)? {
            return Ok(Rest::More(batch));
        }
        let rest = self.call(cx, |window, cx| window.process_batch(input, batch, cx))?;
        Ok(match rest {
            // The input is read, but there is more to come of it.
            Rest::Consumed if !self.pass_on(cx)? => Rest::More(Box::new(Rows::<TaggedUnion<A, B>>::default())),
            Rest::Consumed => Rest::Consumed,
            rest => {
                self.pass_on(cx)?;
                rest
            }
        })
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.step(cx, |window, cx| window.process_watermark(watermark, cx))
    }

    fn process_status(&mut self, status: StreamStatus, cx: &mut OperatorContext<'_>) -> Result<()> {
        while !self.pass_on(cx)? {}
        self.window.process_status(status, cx)
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        if self.has_more() { Some(Timestamp::MIN) } else { self.window.next_processing_time() }
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.step(cx, |window, cx| window.on_processing_time(now, cx))
    }

    fn end_input(&mut self, input: usize, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.step(cx, |window, cx| window.end_input(input, cx))
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.step(cx, |window, cx| window.finish(cx))
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        self.window.snapshot(snapshot, cx)?;
        snapshot.add_operator_state(PENDING, Redistribution::Split, &self.pending());
        self.function.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.window.checkpoint_complete(checkpoint, cx)?;
        self.function.checkpoint_complete(checkpoint)
    }

    fn checkpoint_aborted(&mut self, checkpoint: CheckpointId, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.window.checkpoint_aborted(checkpoint, cx)
    }

    fn state_entries(&self) -> usize {
        self.window.state_entries()
    }

    fn close(&mut self) -> Result<()> {
        let closed = self.function.close();
        self.window.close().and(closed)
    }
}
