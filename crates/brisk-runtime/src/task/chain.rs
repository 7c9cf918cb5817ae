//! Drives the operators of a chain, the ones closest to the output first.
//!
//! Each operator has a queue of elements. A step takes the last operator that has something to do and lets it do one thing: so what an
//! operator emits is consumed before it emits more, and the queues stay short. Steps stop when a writer is blocked or the time is used up.
//!
//! A barrier goes through the chain as an element: each operator hands over its snapshot when the barrier comes to it. One that overtakes
//! has all operators that it has not come to hand over theirs at once; what waits in front of them is copied.
//!
//! Invariants: an operator that has passed on the end of its input is never called again but to close it; each operator is closed exactly
//! once, whatever the others do; timers and asynchronous work wait while much lies in front of the operators behind them.

use super::operator_metrics::OperatorMetrics;
use super::wiring::{ChainOutput, Wiring};
use crate::barrier::InFlight;
use crate::executor::guarded;
use brisk_base::ids::CheckpointId;
use brisk_base::world::MonoTime;
use brisk_base::{Error, Result, ResultExt, Timestamp};
use brisk_core::checkpoint::Barrier;
use brisk_core::element::Element;
use brisk_core::operator::{Budget, Operator, OperatorContext, Progress, Rest, RuntimeContext, SourcePoll};
use brisk_core::source::SourceEvent;
use brisk_core::state::OperatorSnapshot;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

/// Elements that may wait in front of the operators behind one, before its timers and asynchronous work wait for them.
const MOST_AHEAD: usize = 8;

/// One operator of the chain.
struct Slot {
    operator: Box<dyn Operator>,
    runtime: RuntimeContext,
    /// Inputs that have not ended.
    open_inputs: usize,
    /// All inputs have ended and been told; `finish` is to be called until it is done.
    finishing: bool,
    /// Has passed on the end of its input.
    finished: bool,
    /// Gave back input that it cannot take until it is woken.
    blocked: bool,
    /// Has been closed.
    closed: bool,
    /// Rows between two readings of the clock, as its last call left it.
    stride: u32,
    /// The last watermark that came to it.
    watermark: Timestamp,
    /// The last watermark that it is done with: what a snapshot says. One that it is amid of comes to it again.
    passed: Timestamp,
    /// Had finished at the checkpoint that it was restored from: it only passes on the end of its input.
    was_finished: bool,
}

/// The snapshot of the chain that is being taken.
struct Taking {
    barrier: Barrier,
    /// By operator.
    snapshots: Vec<Option<OperatorSnapshot>>,
    /// What the barrier has overtaken.
    in_flight: InFlight,
    /// What it took the task.
    sync: Duration,
}

/// What became of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChainStep {
    /// Something was done; there may be more.
    Did,
    /// Nothing to do until something comes from outside.
    Idle,
    /// An operator cannot take its input until it is woken.
    Blocked,
}

/// See the module.
pub struct Chain {
    slots: Vec<Slot>,
    /// Queues and writers.
    pub wiring: Wiring,
    budget: Budget,
    /// Index of the operator that is being called, for whoever reports a panic or a call that does not return.
    current: Arc<AtomicUsize>,
    /// The earliest processing time that an operator waits for, as of the last [`refresh_timers`](Self::refresh_timers).
    next_time: Option<Timestamp>,
    /// Snapshots that some operators have handed over and some have not; several when their barriers follow each other closely.
    taking: BTreeMap<CheckpointId, Taking>,
    /// Watermarks inside the batch at hand; memory that is used again.
    marks: Vec<Timestamp>,
}

impl Chain {
    /// A chain of operators, each with its runtime context and its number of inputs.
    pub fn new(
        operators: Vec<(Box<dyn Operator>, RuntimeContext, usize)>,
        mut wiring: Wiring,
        budget: Budget,
        current: Arc<AtomicUsize>,
    ) -> Self {
        wiring.metrics = operators.iter().map(|(_, runtime, _)| OperatorMetrics::new(&runtime.metrics)).collect();
        let slot = |(operator, runtime, open_inputs)| Slot {
            operator,
            runtime,
            open_inputs,
            finishing: false,
            finished: false,
            blocked: false,
            closed: false,
            stride: 1,
            watermark: Timestamp::MIN,
            passed: Timestamp::MIN,
            was_finished: false,
        };
        let slots = operators.into_iter().map(slot).collect();
        Self { slots, wiring, budget, current, next_time: None, taking: BTreeMap::new(), marks: Vec::new() }
    }

    /// Begins a poll.
    pub fn begin(&mut self, now: MonoTime, deadline: MonoTime) {
        self.budget.restart(now, deadline);
        self.wiring.begin(now);
        self.slots.iter_mut().for_each(|slot| slot.blocked = false);
    }

    /// Whether an operator found the time of this poll used up.
    pub fn is_out_of_time(&self) -> bool {
        self.budget.is_spent()
    }

    /// Opens the operators, those closest to the output first.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn open(&mut self, waker: &Waker) -> Result<()> {
        for at in (0..self.slots.len()).rev() {
            self.call(at, waker, |operator, cx| operator.open(cx))?;
        }
        self.refresh_timers();
        Ok(())
    }

    /// Closes the operators, all of them whatever happens, also those that were not opened.
    ///
    /// # Errors
    /// The first operator's, with its place; a panic is one.
    pub fn close(&mut self) -> Result<()> {
        let mut result = Ok(());
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if !std::mem::replace(&mut slot.closed, true) {
                self.current.store(at, Ordering::Relaxed);
                let closed = guarded(|| slot.operator.close()).unwrap_or_else(|panic| Err(Error::user(panic.to_string())));
                result = result.and(closed.context(|| slot.runtime.place()));
            }
        }
        result
    }

    fn call<R>(&mut self, at: usize, waker: &Waker, f: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<R>) -> Result<R> {
        self.current.store(at, Ordering::Relaxed);
        let slot = &mut self.slots[at];
        self.budget.enter(slot.stride);
        let mut output = ChainOutput { wiring: &mut self.wiring, operator: at };
        let mut cx = OperatorContext::new(&slot.runtime, &mut self.budget, waker, &mut output);
        let result = f(slot.operator.as_mut(), &mut cx).and_then(|value| self.wiring.take_error().map(|()| value));
        slot.stride = self.budget.stride();
        result.context(|| slot.runtime.place())
    }

    /// Lets the last operator with something to do do one thing.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn step(&mut self, waker: &Waker) -> Result<ChainStep> {
        let mut at = self.wiring.last_pending.min(self.slots.len() - 1);
        loop {
            if self.slots[at].blocked {
                return Ok(ChainStep::Blocked);
            }
            if let Some((input, element)) = self.wiring.queues[at].pop_front() {
                self.wiring.last_pending = at;
                self.process(at, input, element, waker)?;
                return Ok(ChainStep::Did);
            }
            if at == 0 {
                self.wiring.last_pending = 0;
                return Ok(ChainStep::Idle);
            }
            at -= 1;
        }
    }

    fn process(&mut self, at: usize, input: usize, element: Element, waker: &Waker) -> Result<()> {
        match element {
            Element::Batch(batch) => {
                self.marks.clear();
                self.marks.extend(batch.marks().iter().map(|mark| mark.watermark));
                let rows = batch.len();
                let rest = self.call(at, waker, |operator, cx| operator.process_batch(input, batch, cx))?;
                let left = if let Rest::More(rest) | Rest::Blocked(rest) = &rest { rest.len() } else { 0 };
                self.wiring.metrics[at].took(rows.saturating_sub(left));
                self.note_marks(at, &rest);
                match rest {
                    Rest::Consumed => {}
                    Rest::More(rest) => self.wiring.queues[at].push_front((input, Element::Batch(rest))),
                    Rest::Blocked(rest) => {
                        self.wiring.queues[at].push_front((input, Element::Batch(rest)));
                        self.slots[at].blocked = true;
                    }
                }
            }
            // After a restart an operator may be told again what it knows.
            Element::Watermark(watermark) if watermark < self.slots[at].watermark => {}
            Element::Watermark(watermark) => {
                self.slots[at].watermark = watermark;
                self.wiring.metrics[at].watermark_came(watermark);
                let progress = self.call(at, waker, |operator, cx| operator.process_watermark(watermark, cx))?;
                if progress == Progress::Done {
                    self.slots[at].passed = watermark;
                }
                self.again(at, input, Element::Watermark(watermark), progress);
            }
            Element::Status(status) => self.call(at, waker, |operator, cx| operator.process_status(status, cx))?,
            Element::LatencyMarker(_) => self.wiring.emit_to_all_ports(at, &element),
            Element::Barrier(barrier) => {
                self.hand_over(at, barrier, waker)?;
                self.wiring.emit_to_all_ports(at, &element);
            }
            Element::EndOfChannel => {}
            Element::EndOfInput => self.end_input(at, input, waker)?,
        }
        Ok(())
    }

    /// Notes the last watermark in the part of a batch that an operator has consumed.
    fn note_marks(&mut self, at: usize, rest: &Rest) {
        let open = match rest {
            Rest::Consumed => None,
            Rest::More(rest) | Rest::Blocked(rest) => rest.marks().first().map(|mark| mark.watermark),
        };
        let consumed = self.marks.iter().take_while(|watermark| open.is_none_or(|open| **watermark < open)).last();
        if let Some(watermark) = consumed {
            self.slots[at].watermark = self.slots[at].watermark.max(*watermark);
            self.slots[at].passed = self.slots[at].passed.max(*watermark);
            self.wiring.metrics[at].watermark_came(self.slots[at].watermark);
        }
    }

    /// Puts an element back when its step is not over.
    fn again(&mut self, at: usize, input: usize, element: Element, progress: Progress) {
        if progress != Progress::Done {
            self.wiring.queues[at].push_front((input, element));
            self.slots[at].blocked = progress == Progress::Waiting;
        }
    }

    fn end_input(&mut self, at: usize, input: usize, waker: &Waker) -> Result<()> {
        if self.slots[at].was_finished {
            self.slots[at].open_inputs -= 1;
            if self.slots[at].open_inputs == 0 {
                self.slots[at].finished = true;
                self.wiring.emit_to_all_ports(at, &Element::EndOfInput);
            }
            return Ok(());
        }
        if !self.slots[at].finishing {
            let progress = self.call(at, waker, |operator, cx| operator.end_input(input, cx))?;
            if progress != Progress::Done {
                self.again(at, input, Element::EndOfInput, progress);
                return Ok(());
            }
            self.slots[at].open_inputs -= 1;
            if self.slots[at].open_inputs > 0 {
                return Ok(());
            }
            self.slots[at].finishing = true;
        }
        let progress = self.call(at, waker, |operator, cx| operator.finish(cx))?;
        if progress == Progress::Done {
            self.slots[at].finished = true;
            self.wiring.emit_to_all_ports(at, &Element::EndOfInput);
        }
        self.again(at, input, Element::EndOfInput, progress);
        Ok(())
    }

    /// Polls the source at the head.
    ///
    /// # Errors
    /// The source's, with its place.
    pub fn poll_source(&mut self, waker: &Waker) -> Result<SourcePoll> {
        if self.slots[0].was_finished {
            self.end_source();
            return Ok(SourcePoll::Finished);
        }
        let poll = self.call(0, waker, |operator, cx| operator.poll_source(cx))?;
        if poll == SourcePoll::Finished {
            self.slots[0].finished = true;
            self.wiring.emit_to_all_ports(0, &Element::EndOfInput);
        }
        Ok(poll)
    }

    /// The source gives nothing more: event time ends, and the input of what follows.
    pub fn end_source(&mut self) {
        self.slots[0].finished = true;
        self.wiring.emit_to_all_ports(0, &Element::Watermark(Timestamp::MAX));
        self.wiring.emit_to_all_ports(0, &Element::EndOfInput);
    }

    /// A message from a coordinator. One that comes after the end is of no interest any more.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn handle_event(&mut self, at: usize, event: SourceEvent, waker: &Waker) -> Result<()> {
        if self.slots[at].finished {
            return Ok(());
        }
        self.call(at, waker, |operator, cx| operator.handle_event(event, cx))
    }

    /// Tells the operators that their task could not run for so long, because its output was full.
    pub fn back_pressured(&mut self, span: Duration) {
        self.slots.iter_mut().for_each(|slot| slot.operator.back_pressured(span));
    }

    /// Whether an operator may emit without being asked by its input: it has not ended, and not much waits behind it.
    fn may_emit(&self, at: usize) -> bool {
        !self.slots[at].finished && self.wiring.queues[at + 1..].iter().map(std::collections::VecDeque::len).sum::<usize>() < MOST_AHEAD
    }

    /// Calls operators whose processing time has come. True when one has more to do, or has to wait for the operators behind it.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn fire_timers(&mut self, now: Timestamp, waker: &Waker) -> Result<bool> {
        if self.next_time.is_none_or(|at| at > now) {
            return Ok(false);
        }
        let mut more = false;
        for at in (0..self.slots.len()).rev() {
            let slot = &self.slots[at];
            if slot.finished || slot.operator.next_processing_time().is_none_or(|time| time > now) {
                continue;
            }
            more |= !self.may_emit(at) || self.call(at, waker, |operator, cx| operator.on_processing_time(now, cx))? == Progress::More;
        }
        self.refresh_timers();
        Ok(more)
    }

    /// Whether an operator looks after asynchronous work.
    pub fn has_pending(&self) -> bool {
        self.slots.iter().any(|slot| !slot.finished && slot.operator.has_pending())
    }

    /// Lets operators look after asynchronous work. True when one has more to do, or has to wait for the operators behind it.
    ///
    /// # Errors
    /// The operator's, with its place.
    pub fn poll_pending(&mut self, waker: &Waker) -> Result<bool> {
        let mut more = false;
        for at in (0..self.slots.len()).rev() {
            if self.slots[at].finished || !self.slots[at].operator.has_pending() {
                continue;
            }
            more |= !self.may_emit(at) || self.call(at, waker, |operator, cx| operator.poll_pending(cx))? == Progress::More;
            self.slots[at].blocked = false;
        }
        Ok(more)
    }

    /// Asks the operators again which processing time they wait for.
    pub fn refresh_timers(&mut self) {
        self.next_time = self.waiting_times().map(|(_, time)| time).min();
    }

    /// The earliest processing time for which the task should be woken: of the operators that may emit by then.
    pub fn next_time(&self) -> Option<Timestamp> {
        self.waiting_times().filter(|(at, _)| self.may_emit(*at)).map(|(_, time)| time).min()
    }

    fn waiting_times(&self) -> impl Iterator<Item = (usize, Timestamp)> {
        let time = |(at, slot): (usize, &Slot)| slot.operator.next_processing_time().filter(|_| !slot.finished).map(|time| (at, time));
        self.slots.iter().enumerate().filter_map(time)
    }

    /// How an operator is named in errors.
    pub fn place(&self, at: usize) -> String {
        self.slots.get(at).map_or_else(String::new, |slot| slot.runtime.place())
    }

    /// Entries of keyed state and timers that the operators hold.
    pub fn state_entries(&self) -> usize {
        self.slots.iter().map(|slot| slot.operator.state_entries()).sum()
    }

    /// Whether the source at the head gives nothing more.
    pub fn is_source_finished(&self) -> bool {
        self.slots[0].finished
    }

    /// Whether operators are handing over a snapshot.
    pub fn is_taking(&self) -> bool {
        !self.taking.is_empty()
    }

    /// Whether every operator has passed on the end of its input.
    pub fn is_finished(&self) -> bool {
        self.slots.iter().all(|slot| slot.finished)
    }

    /// Whether nothing waits in front of an operator.
    pub fn is_drained(&self) -> bool {
        self.wiring.queues.iter().all(std::collections::VecDeque::is_empty)
    }
}

mod snapshot;
#[cfg(test)]
mod tests;

pub use snapshot::ChainSnapshot;
pub(super) use snapshot::add_sent;
