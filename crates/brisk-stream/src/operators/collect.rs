//! Hands batches over to the program, through a queue in memory; where the program runs in another process, they are sent there first.
//!
//! Without checkpoints the queue is bounded and batches are handed over as they come; what is under way to another process is bounded by
//! [`Unread`]. With checkpoints they are held back until the one behind them is complete, so that the program sees each result once,
//! whatever fails in between.

use brisk_base::ids::CheckpointId;
use brisk_base::{Error, Result};
use brisk_core::batch::{AnyBatch, BatchType, Rows};
use brisk_core::operator::{Operator, OperatorContext, OperatorFactory, Progress, Receipt, Rest, RuntimeContext, SnapshotContext, Unread};
use brisk_core::sink::{GivenOut, HeldBack, Sealed};
use brisk_core::source::SourceEvent;
use brisk_core::state::{OperatorSnapshot, Redistribution};
use brisk_core::types::{Decoder, Record};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// Batches that may wait for the program.
const MAX_BATCHES: usize = 64;
/// Results of one subtask that may wait for a checkpoint.
const MAX_HELD_BACK: usize = 10_000_000;
/// Bytes of results of complete checkpoints, from another process, that may wait for the program.
const MAX_SENT: usize = 1 << 30;
/// Name of the operator state with results that are held back.
const RESULTS: &str = "$results";

/// Results that one subtask holds back, by checkpoint: one item, so that they stay in their order wherever it goes.
type Stored<T> = (u32, Vec<(u64, Vec<T>)>);

/// The queue between the subtasks that collect and the program.
pub(crate) struct Handoff<T> {
    state: Mutex<State<T>>,
    /// Tells the program that there is a batch, or that a subtask has ended.
    changed: Condvar,
}

struct State<T> {
    /// With what tells the operator that the program has read them.
    batches: VecDeque<(Vec<T>, Receipt)>,
    /// Bytes of those that have come from another process since the queue was empty.
    sent: usize,
    /// Tasks that wait for room.
    blocked: Vec<Waker>,
    /// Whether the program has stopped reading: then everything is dropped.
    abandoned: bool,
    /// Results of which checkpoints the program has got.
    given: GivenOut,
}

impl<T> Handoff<T> {
    pub(crate) fn new() -> Arc<Self> {
        let state = State { batches: VecDeque::new(), sent: 0, blocked: Vec::new(), abandoned: false, given: GivenOut::default() };
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
        let taken = state.batches.pop_front();
        state.sent = if state.batches.is_empty() { 0 } else { state.sent };
        let wakers = std::mem::take(&mut state.blocked);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
        taken.map(|(batch, _)| batch)
    }

    /// Notes that so many bytes have come from another process; how many now wait.
    fn sent(&self, bytes: usize) -> usize {
        let mut state = self.state();
        if state.batches.is_empty() || state.abandoned {
            state.sent = 0;
        }
        state.sent += bytes;
        state.sent
    }

    /// Nobody reads any more.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.abandoned = true;
        let unread = std::mem::take(&mut state.batches);
        let wakers = std::mem::take(&mut state.blocked);
        drop(state);
        drop(unread);
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
    pub(crate) fn put(&self, values: Vec<T>, receipt: Receipt) {
        let mut state = self.state();
        if !state.abandoned {
            state.batches.push_back((values, receipt));
            drop(state);
            self.changed.notify_all();
        }
    }
}

impl<T> Handoff<T> {
    /// Hands results of a complete checkpoint over, if the program has not got them.
    fn give_out(&self, sealed: Sealed<Vec<T>>, receipt: Receipt) {
        let mut state = self.state();
        if state.given.is_new(&sealed) && !state.abandoned {
            state.batches.extend(sealed.results.into_iter().map(|batch| (batch, Receipt::default())));
            if let Some((_, last)) = state.batches.back_mut() {
                *last = receipt;
            }
            drop(state);
            self.changed.notify_all();
        }
    }
}

/// Makes operators that hand over to one program.
pub(crate) struct CollectFactory<T>(pub(crate) Arc<Handoff<T>>);

impl<T: Record> OperatorFactory for CollectFactory<T> {
    fn create(&self, cx: &RuntimeContext) -> Result<Box<dyn Operator>> {
        Ok(Box::new(CollectOperator::new(Arc::clone(&self.0), cx)))
    }

    fn is_collected(&self) -> bool {
        true
    }

    /// In the program's process: what an operator of another one has sent.
    fn take_result(&self, subtask: u32, bytes: &[u8], receipt: Receipt) -> Result<()> {
        let (checkpoint, values): (Option<u64>, Vec<T>) = Record::decode(&mut Decoder::new(bytes))?;
        match checkpoint {
            Some(_) if self.0.sent(bytes.len()) > MAX_SENT => {
                return Err(Error::user(format!(
                    "{MAX_SENT} bytes of results wait for the program to read them: read while the job runs, or write to a real sink"
                )));
            }
            Some(checkpoint) => self.0.give_out(Sealed { subtask, checkpoint: CheckpointId(checkpoint), results: vec![values] }, receipt),
            None => self.0.put(values, receipt),
        }
        Ok(())
    }
}

/// See the module.
pub(crate) struct CollectOperator<T> {
    handoff: Arc<Handoff<T>>,
    /// What is under way to the program, if it is in another process.
    elsewhere: Option<Unread>,
    /// Results that wait for a checkpoint; `None` where there are no checkpoints.
    held: Option<HeldBack<Vec<T>>>,
    /// Whether a batch was given back because there was no room.
    blocked: bool,
}

impl<T: Record> CollectOperator<T> {
    pub(crate) fn new(handoff: Arc<Handoff<T>>, cx: &RuntimeContext) -> Self {
        let held = cx.state.checkpointing.then(|| HeldBack::new(cx.task.subtask, MAX_HELD_BACK));
        Self { handoff, held, blocked: false, elsewhere: cx.program_elsewhere.then(Unread::default) }
    }

    fn give_out(&mut self, sealed: Sealed<Vec<T>>, cx: &mut OperatorContext<'_>) {
        match &mut self.elsewhere {
            Some(unread) => unread.send(encoded(Some(sealed.checkpoint.0), sealed.results.concat()), cx),
            None => self.handoff.give_out(sealed, Receipt::default()),
        }
    }

    /// Whether there is room for a batch. What is held back has room: it is not the program that it waits for.
    fn has_room(&self, waker: &Waker) -> bool {
        match &self.elsewhere {
            _ if self.held.is_some() => true,
            Some(unread) => unread.has_room(),
            None => self.handoff.has_room(waker),
        }
    }
}

/// Results, and the checkpoint behind them, for the program's process.
fn encoded<T: Record>(checkpoint: Option<u64>, values: Vec<T>) -> Vec<u8> {
    let mut bytes = Vec::new();
    (checkpoint, values).encode(&mut bytes);
    bytes
}

impl<T: Record> Operator for CollectOperator<T> {
    /// Results that a checkpoint left are those of a checkpoint that is complete.
    fn open(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let restored: Vec<Stored<T>> = cx.runtime.state.operator_state(RESULTS)?;
        for (subtask, sealed) in restored {
            for (checkpoint, values) in sealed {
                self.give_out(Sealed { subtask, checkpoint: CheckpointId(checkpoint), results: vec![values] }, cx);
            }
        }
        Ok(())
    }

    fn input_type(&self, _input: usize) -> Option<Arc<dyn BatchType>> {
        Some(Rows::<T>::batch_type())
    }

    fn snapshot(&mut self, snapshot: &mut OperatorSnapshot, cx: &mut SnapshotContext<'_>) -> Result<()> {
        let Some(held) = &mut self.held else { return Ok(()) };
        held.seal(cx.barrier.checkpoint);
        let sealed: Vec<_> = held.waiting().map(|sealed| (sealed.checkpoint.0, sealed.results.concat())).collect();
        let item: Stored<T> = (cx.runtime.task.subtask, sealed);
        snapshot.add_operator_state(RESULTS, Redistribution::Split, Some(&item).filter(|item| !item.1.is_empty()));
        Ok(())
    }

    fn checkpoint_complete(&mut self, checkpoint: CheckpointId, cx: &mut OperatorContext<'_>) -> Result<()> {
        let due = self.held.as_mut().map(|held| held.complete(checkpoint)).unwrap_or_default();
        due.into_iter().for_each(|sealed| self.give_out(sealed, cx));
        Ok(())
    }

    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        if !self.has_room(cx.waker) {
            self.blocked = true;
            return Ok(Rest::Blocked(batch));
        }
        if let Some(held) = &mut self.held {
            let rows = Rows::<T>::from_any(batch)?;
            let count = rows.values.len();
            if count > 0 {
                held.push(rows.values, count)?;
            }
            return Ok(Rest::Consumed);
        }
        let rows = Rows::<T>::from_any(batch)?;
        if rows.values.is_empty() {
            return Ok(Rest::Consumed);
        }
        match &mut self.elsewhere {
            Some(unread) => unread.send(encoded(None, rows.values), cx),
            None => self.handoff.put(rows.values, Receipt::default()),
        }
        Ok(Rest::Consumed)
    }

    /// The program has read something.
    fn handle_event(&mut self, event: SourceEvent, _cx: &mut OperatorContext<'_>) -> Result<()> {
        self.elsewhere.as_mut().map_or(Ok(()), |unread| unread.read(&event))
    }

    fn process_watermark(&mut self, _watermark: brisk_base::Timestamp, _cx: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Done)
    }

    fn has_pending(&self) -> bool {
        self.blocked
    }

    fn poll_pending(&mut self, cx: &mut OperatorContext<'_>) -> Result<Progress> {
        self.blocked = !self.has_room(cx.waker);
        Ok(if self.blocked { Progress::Waiting } else { Progress::Done })
    }

    fn close(&mut self) -> Result<()> {
        self.handoff.changed.notify_all();
        Ok(())
    }
}
