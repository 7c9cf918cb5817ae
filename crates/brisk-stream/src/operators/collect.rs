//! Hands batches over to the program, through a bounded queue in memory.

use brisk_base::Result;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::operator::{Operator, OperatorContext, Progress, Rest};
use brisk_core::types::Record;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// Batches that may wait for the program.
const MAX_BATCHES: usize = 64;

/// The queue between the subtasks that collect and the program.
pub(crate) struct Handoff<T> {
    state: Mutex<State<T>>,
    /// Tells the program that there is a batch, or that a subtask has ended.
    changed: Condvar,
}

struct State<T> {
    batches: VecDeque<Vec<T>>,
    /// Tasks that wait for room.
    blocked: Vec<Waker>,
    /// Whether the program has stopped reading: then everything is dropped.
    abandoned: bool,
}

impl<T> Handoff<T> {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { batches: VecDeque::new(), blocked: Vec::new(), abandoned: false };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next batch; waits for one at most this long.
    pub(crate) fn take(&self, timeout: Duration) -> Option<Vec<T>> {
        let mut state = self.state();
        if state.batches.is_empty() {
            state = self.changed.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0;
        }
        let batch = state.batches.pop_front();
        let wakers = std::mem::take(&mut state.blocked);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        batch
    }

    /// Nobody reads any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        state.batches.clear();
        let wakers = std::mem::take(&mut state.blocked);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Whether there is room for a batch; if not, the task is woken when there is.
    fn has_room(&self, waker: &Waker) -> bool {
        let mut state = self.state();
        if state.abandoned || state.batches.len() < MAX_BATCHES {
            return true;
        }
        if !state.blocked.iter().any(|other| other.will_wake(waker)) {
            state.blocked.push(waker.clone());
        }
        false
    }

    /// Hands a batch over.
    pub(crate) fn put(&self, values: Vec<T>) {
        let mut state = self.state();
        if !state.abandoned {
            state.batches.push_back(values);
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// See the module.
pub(crate) struct CollectOperator<T> {
    handoff: Arc<Handoff<T>>,
    /// Whether a batch was given back because there was no room.
    blocked: bool,
}

impl<T: Record> CollectOperator<T> {
    pub(crate) const fn new(handoff: Arc<Handoff<T>>) -> Self {
        Self { handoff, blocked: false }
    }
}

impl<T: Record> Operator for CollectOperator<T> {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        if !self.handoff.has_room(cx.waker) {
            self.blocked = true;
            return Ok(Rest::Blocked(batch));
        }
        let rows = Rows::<T>::from_any(batch)?;
        if !rows.values.is_empty() {
            self.handoff.put(rows.values);
        }
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, _watermark: brisk_base::Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Done)
    }

    fn has_pending(&self) -> bool {
        self.blocked
    }

    fn poll_pending(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.blocked = !self.handoff.has_room(cx.waker);
        Ok(if self.blocked { Progress::Waiting } else { Progress::Done })
    }

    fn close(&mut self) -> Result<()> {
        self.handoff.changed.notify_all();
        Ok(())
    }
}
