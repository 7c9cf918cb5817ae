//! Asynchronous requests: starts a future per record, polls those that were woken, and lets the results out in order.
//!
//! Futures are polled by the task, each with a waker of its own that names it, so that a wake-up costs one poll. The stream waits when as
//! many records are under way as the capacity allows, and at its end until all are done.
//!
//! A checkpoint holds the records whose results have not left, in order; a restored operator asks for all of them again, before any new
//! record. It does not hold the watermarks between them: the restored operator is told its watermark again, and passes it on behind them.

use super::async_queue::{AsyncQueue, Completed, Leaving};
use crate::function::{AsyncFunction, AsyncOptions, AsyncOrder, AsyncResult};
use brisk_base::ids::CheckpointId;
use brisk_base::{Result, Timestamp};
use brisk_core::batch::{AnyBatch, BatchType, Cursor, Rows};
use brisk_core::function::{Emitter, FunctionInitializationContext, FunctionSnapshotContext};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest, RuntimeContext, SnapshotContext};
use brisk_core::state::{OperatorSnapshot, Redistribution};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// Name of the operator state with the records under way.
const REQUESTS: &str = "$requests";

/// Requests that were woken, and the task to wake with them.
#[derive(Default)]
struct Ready(Mutex<(Vec<u64>, Option<Waker>)>);

impl Ready {
    fn lock(&self) -> MutexGuard<'_, (Vec<u64>, Option<Waker>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the requests that were woken; later ones wake `task`.
    fn take(&self, task: &Waker) -> Vec<u64> {
        let mut inner = self.lock();
        match &mut inner.1 {
            Some(waker) => waker.clone_from(task),
            none => *none = Some(task.clone()),
        }
        std::mem::take(&mut inner.0)
    }
}

/// The waker of one request.
struct RequestWaker {
    request: u64,
    ready: Arc<Ready>,
}

impl Wake for RequestWaker {
    fn wake(self: Arc<Self>) {
        let task = {
            let mut inner = self.ready.lock();
            inner.0.push(self.request);
            inner.1.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// One record under way.
struct Request<T, U> {
    input: T,
    timestamp: Timestamp,
    /// Where its results go.
    segment: u64,
    /// The present try; `None` while it waits for the next one.
    future: Option<AsyncResult<U>>,
    /// Tries begun.
    attempts: u32,
    /// When it times out.
    deadline: Timestamp,
    /// When the next try begins.
    retry_at: Option<Timestamp>,
}

/// See the module.
pub(crate) struct AsyncWaitOperator<F: AsyncFunction> {
    function: F,
    options: AsyncOptions<F::Out>,
    emitter: Emitter<F::Out>,
    queue: AsyncQueue<F::In, F::Out>,
    /// Records under way, by number.
    requests: BTreeMap<u64, Request<F::In, F::Out>>,
    /// Deadlines and retries: processing time and number of the request.
    timers: BTreeSet<(Timestamp, u64)>,
    next_request: u64,
    ready: Arc<Ready>,
    /// Whether input was given back.
    blocked: bool,
}

impl<F: AsyncFunction> AsyncWaitOperator<F> {
    pub(crate) fn new(function: F, order: AsyncOrder, options: AsyncOptions<F::Out>, cx: &RuntimeContext) -> Self {
        Self {
            function,
            options,
            emitter: Emitter::new(cx),
            queue: AsyncQueue::new(order),
            requests: BTreeMap::new(),
            timers: BTreeSet::new(),
            next_request: 0,
            ready: Arc::default(),
            blocked: false,
        }
    }

    fn has_room(&self) -> bool {
        self.queue.records < self.options.capacity
    }

    /// Begins the request for a record.
    fn start(&mut self, input: F::In, timestamp: Timestamp, now: Timestamp) -> Result<()> {
        let number = self.next_request;
        self.next_request += 1;
        let deadline = self.options.timeout.map_or(Timestamp::MAX, |timeout| now + timeout);
        if deadline < Timestamp::MAX {
            self.timers.insert((deadline, number));
        }
        let segment = self.queue.push();
        let future = Some(self.function.async_invoke(input.clone()));
        self.requests.insert(number, Request { input, timestamp, segment, future, attempts: 1, deadline, retry_at: None });
        self.poll_request(number, now)
    }

    /// Polls one request, if it is still under way.
    fn poll_request(&mut self, number: u64, now: Timestamp) -> Result<()> {
        let Some(request) = self.requests.get_mut(&number) else { return Ok(()) };
        let Some(future) = &mut request.future else { return Ok(()) };
        let waker = Waker::from(Arc::new(RequestWaker { request: number, ready: Arc::clone(&self.ready) }));
        let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) else { return Ok(()) };
        let retry = self.options.retry.as_ref().and_then(|retry| retry.delay_after(request.attempts, &outcome));
        match retry {
            Some(delay) => {
                let at = now + delay;
                request.future = None;
                request.retry_at = Some(at);
                self.timers.insert((at, number));
                Ok(())
            }
            None => {
                self.finish_request(number, outcome?);
                Ok(())
            }
        }
    }

    /// Takes a request out, its results being known.
    fn finish_request(&mut self, number: u64, values: Vec<F::Out>) {
        let Some(request) = self.requests.remove(&number) else { return };
        self.timers.remove(&(request.deadline, number));
        if let Some(at) = request.retry_at {
            self.timers.remove(&(at, number));
        }
        let Request { input, timestamp, segment, .. } = request;
        self.queue.complete(segment, Completed { number, input, timestamp, values });
    }

    /// A request's time has come: it times out, or begins its next try.
    fn on_timer(&mut self, number: u64, now: Timestamp) -> Result<()> {
        let Some(request) = self.requests.get_mut(&number) else { return Ok(()) };
        if request.deadline <= now {
            let values = self.function.timeout(request.input.clone())?;
            self.finish_request(number, values);
            return Ok(());
        }
        request.retry_at = None;
        request.attempts += 1;
        request.future = Some(self.function.async_invoke(request.input.clone()));
        self.poll_request(number, now)
    }

    /// Lets out what may leave. True when the output is full before everything has left.
    fn emit_ready(&mut self, cx: &mut OperatorContext<'_>) -> bool {
        let mut full = false;
        while !full && let Some(leaving) = self.queue.pop() {
            match leaving {
                Leaving::Watermark(watermark) => self.emitter.mark(watermark),
                Leaving::Results(completed) => {
                    self.emitter.collector.set_timestamp(completed.timestamp);
                    completed.values.into_iter().for_each(|value| self.emitter.collector.collect(value));
                    full = self.emitter.is_full();
                }
            }
        }
        self.emitter.flush(cx);
        full
    }

    /// The records whose results have not left, in the order in which they came.
    fn in_flight(&self) -> Vec<(F::In, Timestamp)> {
        let under_way = self.requests.iter().map(|(number, request)| (*number, &request.input, request.timestamp));
        let done = self.queue.waiting().map(|completed| (completed.number, &completed.input, completed.timestamp));
        let mut all: Vec<_> = under_way.chain(done).collect();
        all.sort_unstable_by_key(|(number, ..)| *number);
        all.into_iter().map(|(_, input, timestamp)| (input.clone(), timestamp)).collect()
    }

    /// Starts requests for rows as long as there is room. True when it stopped for lack of it.
    fn take_rows(&mut self, cursor: &mut Cursor<F::In>, cx: &mut OperatorContext<'_>) -> Result<bool> {
        let now = cx.now();
        loop {
            while let Some(watermark) = cursor.next_mark() {
                self.queue.push_watermark(watermark);
            }
            if cursor.is_empty() {
                return Ok(false);
            }
            if !self.has_room() {
                return Ok(true);
            }
            if let Some((value, timestamp, _)) = cursor.next_row() {
                self.start(value, timestamp, now)?;
            }
            if cx.budget.row() {
                return Ok(false);
            }
        }
    }

    /// Polls what was woken and lets out what is ready.
    fn advance(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let now = cx.now();
        for number in self.ready.take(cx.waker) {
            self.poll_request(number, now)?;
        }
        if self.emit_ready(cx) {
            return Ok(Progress::More);
        }
        Ok(if self.queue.is_empty() { Progress::Done } else { Progress::Waiting })
    }
}

impl<F: AsyncFunction> Operator for AsyncWaitOperator<F> {
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.initialize_state(&FunctionInitializationContext::new(cx.runtime))?;
        self.function.open(cx.runtime)?;
        let now = cx.now();
        let restored: Vec<(F::In, Timestamp)> = cx.runtime.state.operator_state(REQUESTS)?;
        restored.into_iter().try_for_each(|(input, timestamp)| self.start(input, timestamp, now))
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<F::In>::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        snapshot.add_operator_state(REQUESTS, Redistribution::Split, &self.in_flight());
        self.function.snapshot_state(&mut FunctionSnapshotContext::new(snapshot, cx))
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.function.checkpoint_complete(checkpoint)
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut cursor = Rows::<F::In>::from_any(batch)?.into_cursor();
        let mut no_room = self.take_rows(&mut cursor, cx)?;
        let woken = self.ready.take(cx.waker);
        let now = cx.now();
        woken.into_iter().try_for_each(|number| self.poll_request(number, now))?;
        self.emit_ready(cx);
        no_room &= !self.has_room();
        self.blocked = no_room;
        Ok(match cursor.into_rest() {
            None => Rest::Consumed,
            Some(rest) if no_room => Rest::Blocked(Box::new(rest)),
            Some(rest) => Rest::More(Box::new(rest)),
        })
    }

    fn process_watermark(&mut self, watermark: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        if self.queue.is_empty() {
            cx.emit_watermark(watermark);
        } else {
            self.queue.push_watermark(watermark);
        }
        Ok(Progress::Done)
    }

    fn next_processing_time(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn on_processing_time(&mut self, now: Timestamp, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        while let Some(&(at, number)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, number));
            self.on_timer(number, now)?;
        }
        Ok(if self.emit_ready(cx) { Progress::More } else { Progress::Done })
    }

    fn has_pending(&self) -> bool {
        self.blocked || !self.queue.is_empty()
    }

    fn poll_pending(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        let progress = self.advance(cx)?;
        self.blocked &= !self.has_room();
        Ok(progress)
    }

    fn finish(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.advance(cx)
    }

    fn close(&mut self) -> Result<()> {
        self.requests.clear();
        self.function.close()
    }
}
