//! What the spawner keeps of a task.

use super::PanicReport;
use super::cell::TaskCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};
use std::time::Duration;

/// How a task ended. In each case the task itself has been dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskOutcome {
    /// It said [`TaskPoll::Done`](super::TaskPoll::Done).
    Finished,
    /// It panicked, in a poll or while it was dropped.
    Panicked(PanicReport),
    /// It was abandoned, or its executor was shut down.
    Dropped,
}

/// A spawned task. Cheap to clone; dropping it changes nothing for the task.
#[derive(Clone)]
pub struct TaskHandle {
    pub(super) cell: Arc<TaskCell>,
}

impl TaskHandle {
    /// The task's name.
    pub fn name(&self) -> &str {
        &self.cell.name
    }

    /// Has the task polled.
    pub fn wake(&self) {
        self.cell.wake_by_ref();
    }

    /// The task's waker, as [`PollContext::waker`](super::PollContext::waker) gives it.
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.cell))
    }

    /// How the task ended; `None` while it lives.
    pub fn outcome(&self) -> Option<TaskOutcome> {
        self.cell.outcome()
    }

    /// Blocks the calling thread until the task has ended, at most for `patience`. Not for use inside a task, nor with the step executor.
    pub fn wait(&self, patience: Duration) -> Option<TaskOutcome> {
        self.cell.wait(patience)
    }

    /// Whether the task has a thread of its own.
    pub fn is_dedicated(&self) -> bool {
        self.cell.dedicated.get().is_some()
    }

    /// Whether a poll of the task ever blocked a core worker for so long that the watchdog stepped in.
    pub fn has_blocked(&self) -> bool {
        self.cell.blocked.load(Ordering::Acquire)
    }

    /// Lets the task go unfinished: it is not polled again, and dropped here and now; true when that is done.
    ///
    /// False means that it is inside a poll just now, and is dropped by the thread that polls it when (and if) the poll returns.
    pub fn abandon(&self) -> bool {
        self.cell.abandon()
    }
}
