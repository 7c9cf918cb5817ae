//! What the outside holds of a task: its mailbox, and figures that it keeps up to date.

use super::pace::{Pace, TaskPace, Totals};
use crate::executor::TaskHandle;
use brisk_base::Timestamp;
use brisk_base::ids::{AttemptId, CheckpointId, OperatorId};
use brisk_base::world::{Clock, MonoTime};
use brisk_core::accumulator::{AccumulatorValue, Accumulators};
use brisk_core::checkpoint::Barrier;
use brisk_core::source::SourceEvent;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// Figures of a task. One writer (the task), any readers.
#[derive(Default)]
pub struct TaskIo {
    pub(super) records_in: AtomicU64,
    pub(super) records_out: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) watermark: AtomicI64,
    pub(super) back_pressured_ns: AtomicU64,
    pub(super) idle_ns: AtomicU64,
    pub(super) state_entries: AtomicU64,
    /// When it was polled first, in nanoseconds of the monotonic clock; 0 before.
    pub(super) began: AtomicU64,
    /// When it ended; 0 before.
    pub(super) ended: AtomicU64,
    /// Since when it waits: twice its nanoseconds and one, and one more if that is for its output; 0 while it does not.
    pub(super) waits: AtomicU64,
    pub(super) pace: Pace,
}

impl TaskIo {
    /// It waits from now on.
    pub(super) fn begin_wait(&self, now: MonoTime, for_output: bool) {
        self.waits.store((now.0 + 1) << 1 | u64::from(for_output), Ordering::Release);
    }

    /// It does not wait any more; how long it has, and whether that was for its output.
    pub(super) fn end_wait(&self, now: MonoTime) -> Option<(Duration, bool)> {
        let (since, for_output) = unpacked(self.waits.swap(0, Ordering::AcqRel))?;
        let span = now.since(since);
        let sum = if for_output { &self.back_pressured_ns } else { &self.idle_ns };
        sum.fetch_add(span.as_nanos() as u64, Ordering::Release);
        Some((span, for_output))
    }

    /// What it has done up to now, a wait that is not over included.
    pub(super) fn totals(&self, now: MonoTime) -> (Totals, Option<(MonoTime, bool)>) {
        loop {
            let before = self.waits.load(Ordering::Acquire);
            let sum = |ns: &AtomicU64| Duration::from_nanos(ns.load(Ordering::Acquire));
            let (mut idle, mut back_pressured) = (sum(&self.idle_ns), sum(&self.back_pressured_ns));
            // A wait that has ended in between may have been added.
            if self.waits.load(Ordering::Acquire) != before {
                continue;
            }
            let waits = unpacked(before);
            if let Some((since, for_output)) = waits {
                *(if for_output { &mut back_pressured } else { &mut idle }) += now.since(since);
            }
            let [records_in, records_out, bytes_in, bytes_out] =
                [&self.records_in, &self.records_out, &self.bytes_in, &self.bytes_out].map(|sum| sum.load(Ordering::Relaxed));
            return (Totals { records_in, records_out, bytes_in, bytes_out, idle, back_pressured }, waits);
        }
    }
}

fn unpacked(waits: u64) -> Option<(MonoTime, bool)> {
    (waits != 0).then(|| (MonoTime((waits >> 1) - 1), waits & 1 == 1))
}

/// A reading of [`TaskIo`].
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct TaskIoSnapshot {
    /// Rows received from other tasks; of a source, rows that it gave.
    pub records_in: u64,
    /// Rows sent to other tasks.
    pub records_out: u64,
    /// Bytes received from other tasks.
    pub bytes_in: u64,
    /// Bytes sent to other tasks.
    pub bytes_out: u64,
    /// The combined watermark of the inputs; of a source: the one it gave last.
    pub watermark: Timestamp,
    /// How long it has lived.
    pub lived: Duration,
    /// Time spent waiting for room in the output. What is left of its life it has been busy, or has waited for its turn.
    pub back_pressured: Duration,
    /// Time spent waiting for input.
    pub idle: Duration,
    /// What it does per second.
    pub pace: TaskPace,
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
    pub(super) clock: Arc<dyn Clock>,
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
        let time = |ns: &AtomicU64| Some(MonoTime(ns.load(Ordering::Relaxed))).filter(|time| time.0 != 0);
        let now = time(&io.ended).unwrap_or_else(|| self.0.clock.mono());
        let (totals, waits) = io.totals(now);
        TaskIoSnapshot {
            records_in: totals.records_in,
            records_out: totals.records_out,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            watermark: Timestamp(io.watermark.load(Ordering::Relaxed)),
            lived: time(&io.began).map_or(Duration::ZERO, |began| now.since(began)),
            back_pressured: totals.back_pressured,
            idle: totals.idle,
            pace: io.pace.at(now, totals, waits),
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
