//! What the outside holds of a task: its mailbox, and figures that it keeps up to date.

use crate::executor::TaskHandle;
use brisk_base::Timestamp;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId};
use brisk_core::accumulator::{AccumulatorValue, Accumulators};
use brisk_core::checkpoint::Barrier;
use brisk_core::source::SourceEvent;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Figures of a task. One writer (the task), any readers.
#[derive(Default)]
pub struct TaskIo {
    pub(super) records_in: AtomicU64,
    pub(super) records_out: AtomicU64,
    pub(super) watermark: AtomicI64,
    pub(super) busy_ns: AtomicU64,
    pub(super) back_pressured_ns: AtomicU64,
    pub(super) idle_ns: AtomicU64,
    pub(super) state_entries: AtomicU64,
}

/// A reading of [`TaskIo`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TaskIoSnapshot {
    /// Rows received from other tasks; of a source, rows that it gave.
    pub records_in: u64,
    /// Rows sent to other tasks.
    pub records_out: u64,
    /// The combined watermark of the inputs; of a source: the one it gave last.
    pub watermark: Timestamp,
    /// Time spent in polls, in milliseconds.
    pub busy_ms: u64,
    /// Time spent waiting for room in the output, in milliseconds.
    pub back_pressured_ms: u64,
    /// Time spent waiting for input, in milliseconds.
    pub idle_ms: u64,
    /// Entries of keyed state and timers that the operators hold.
    pub state_entries: u64,
}

/// What may be put into the mailbox.
pub(super) enum Mail {
    /// A message from an operator's coordinator.
    Event(OperatorId, SourceEvent),
    /// A checkpoint begins here.
    Trigger(Barrier),
    /// A checkpoint is complete.
    Complete(CheckpointId),
    /// A checkpoint has been given up.
    Aborted(CheckpointId),
}

/// The part of a task that is shared with the outside.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) attempt: AttemptId,
    pub(super) mailbox: Mutex<Vec<Mail>>,
    pub(super) cancelled: AtomicBool,
    pub(super) handle: OnceLock<TaskHandle>,
    pub(super) io: TaskIo,
    pub(super) accumulators: Accumulators,
    /// Index of the operator that is being called.
    pub(super) current: Arc<AtomicUsize>,
    /// Names of the operators, for whoever reports a call that does not return.
    pub(super) operators: Vec<String>,
}

impl Shared {
    fn wake(&self) {
        if let Some(handle) = self.handle.get() {
            handle.wake();
        }
    }
}

/// A running task as its TaskHost sees it. Cheap to clone; dropping it changes nothing for the task.
#[derive(Clone)]
pub struct TaskControl(pub(super) Arc<Shared>);

impl TaskControl {
    /// Name of the task with its subtask: `map (2/4)`.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The attempt that runs.
    pub fn attempt(&self) -> AttemptId {
        self.0.attempt
    }

    /// Asks the task to stop. It ends with `CANCELED` at its next poll, unless it ends before.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.wake();
    }

    /// Has the task polled, because something that it reads from outside has changed.
    pub fn wake(&self) {
        self.0.wake();
    }

    /// Gives a message to an operator.
    pub fn send_event(&self, operator: OperatorId, event: SourceEvent) {
        self.send(Mail::Event(operator, event));
    }

    /// Begins a checkpoint at a source, or at a task whose inputs have all ended.
    pub fn trigger_checkpoint(&self, barrier: Barrier) {
        self.send(Mail::Trigger(barrier));
    }

    /// Tells the task that a checkpoint is complete.
    pub fn checkpoint_complete(&self, checkpoint: CheckpointId) {
        self.send(Mail::Complete(checkpoint));
    }

    /// Tells the task that a checkpoint has been given up.
    pub fn checkpoint_aborted(&self, checkpoint: CheckpointId) {
        self.send(Mail::Aborted(checkpoint));
    }

    fn send(&self, mail: Mail) {
        self.0.mailbox.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
        self.0.wake();
    }

    /// Figures as they stand.
    pub fn io(&self) -> TaskIoSnapshot {
        let io = &self.0.io;
        let millis = |ns: &AtomicU64| ns.load(Ordering::Relaxed) / 1_000_000;
        TaskIoSnapshot {
            records_in: io.records_in.load(Ordering::Relaxed),
            records_out: io.records_out.load(Ordering::Relaxed),
            watermark: Timestamp(io.watermark.load(Ordering::Relaxed)),
            busy_ms: millis(&io.busy_ns),
            back_pressured_ms: millis(&io.back_pressured_ns),
            idle_ms: millis(&io.idle_ns),
            state_entries: io.state_entries.load(Ordering::Relaxed),
        }
    }

    /// Accumulators as they stand.
    pub fn accumulators(&self) -> BTreeMap<String, AccumulatorValue> {
        self.0.accumulators.snapshot()
    }

    /// Name of the operator that was called last: whom to blame for a call that does not return.
    pub fn current_operator(&self) -> &str {
        self.0.operators.get(self.0.current.load(Ordering::Relaxed)).map_or("", String::as_str)
    }

    /// Gives the task up: it is dropped as soon as no poll of it is under way. True when that is done.
    pub fn abandon(&self) -> bool {
        self.0.handle.get().is_none_or(TaskHandle::abandon)
    }

    /// Whether the task runs on a thread of its own.
    pub fn is_dedicated(&self) -> bool {
        self.0.handle.get().is_some_and(TaskHandle::is_dedicated)
    }
}
