//! A task between its polls: what wakers, handles and executors share of it.
//!
//! The cell changes its state only through [`StateWord`]; whoever is told to release it drops the body, tells its executor to forget it,
//! and records the outcome, in this order, so that who hears of the end finds the task's channels closed.

use super::handle::TaskOutcome;
use super::panic::guarded;
use super::registry::locked;
use super::task_state::{Action, Event, StateWord, TaskState};
use super::timers::Deadline;
use super::{PanicReport, PollContext, PollTask, TaskObserver, TaskPoll};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::task::Wake;
use std::thread::Thread;
use std::time::Duration;

/// What an executor does for its cells.
pub(super) trait Schedule: Send + Sync {
    /// The task has work: put it into a run queue.
    fn schedule(&self, cell: Arc<TaskCell>);
    /// The task has been dropped: forget it.
    fn forget(&self, cell: &TaskCell);
}

/// One task. On cache lines of its own, since it is written in each poll.
#[repr(align(128))]
pub(super) struct TaskCell {
    /// Number within its executor.
    pub(super) id: u64,
    /// Name in reports.
    pub(super) name: String,
    /// Where it stands.
    pub(super) state: StateWord,
    /// The task; `None` once released. Held locked during a poll, and never contended but by a release.
    body: Mutex<Option<Box<dyn PollTask>>>,
    /// Its executor.
    scheduler: Arc<dyn Schedule>,
    /// Worker that polled it last, where it goes when it is woken.
    pub(super) home: AtomicUsize,
    /// Its own thread, once it has one. Set before or during a poll on that thread, never changed.
    pub(super) dedicated: OnceLock<Thread>,
    /// When it is to be woken.
    pub(super) deadline: Deadline,
    /// Whether the watchdog found it blocking a worker.
    pub(super) blocked: AtomicBool,
    /// How it ended.
    outcome: Mutex<Option<TaskOutcome>>,
    /// Signals `outcome`.
    ended: Condvar,
    /// Hears what becomes of it.
    pub(super) observer: Option<Arc<dyn TaskObserver>>,
}

/// What became of a poll.
pub(super) enum Polled {
    /// It returned.
    Said(TaskPoll),
    /// It panicked.
    Panicked(PanicReport),
}

impl TaskCell {
    /// A task that is about to be put into a run queue for its first poll.
    pub(super) fn scheduled(
        id: u64,
        body: Box<dyn PollTask>,
        scheduler: Arc<dyn Schedule>,
        observer: Option<Arc<dyn TaskObserver>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            name: body.name().to_owned(),
            state: StateWord::new(TaskState::Scheduled),
            body: Mutex::new(Some(body)),
            scheduler,
            home: AtomicUsize::new(0),
            dedicated: OnceLock::new(),
            deadline: Deadline::none(),
            blocked: AtomicBool::new(false),
            outcome: Mutex::new(None),
            ended: Condvar::new(),
            observer,
        })
    }

    /// Claims the task for a poll. False if it ended while it stood in the queue.
    pub(super) fn start(&self) -> bool {
        self.state.apply(Event::Start) == Action::Poll
    }

    /// Polls the task that [`start`](Self::start) claimed.
    pub(super) fn poll(&self, cx: &mut PollContext<'_>) -> Polled {
        let mut body = locked(&self.body);
        let body = body.as_mut().expect("only a release takes the body, and none comes between start and finish");
        match guarded(|| body.poll(cx)) {
            Ok(said) => Polled::Said(said),
            Err(report) => Polled::Panicked(report),
        }
    }

    /// Whether the task will be dropped when this poll is finished. (It may be dropped also when not, if it is abandoned just now.)
    pub(super) fn is_last(&self, polled: &Polled) -> bool {
        !matches!(polled, Polled::Said(TaskPoll::Pending | TaskPoll::Yield)) || self.state.get() == TaskState::Stopping
    }

    /// Ends the poll. True if the task is to be put into a run queue.
    pub(super) fn finish(&self, polled: Polled) -> bool {
        let (said, outcome) = match polled {
            Polled::Said(TaskPoll::Done) => (TaskPoll::Done, TaskOutcome::Finished),
            Polled::Said(said) => (said, TaskOutcome::Dropped),
            Polled::Panicked(report) => (TaskPoll::Done, TaskOutcome::Panicked(report)),
        };
        match self.state.apply(Event::Finish(said)) {
            Action::Enqueue => return true,
            Action::Release => self.release(outcome),
            Action::Nothing | Action::Poll => {}
        }
        false
    }

    /// Lets the task go unfinished. False if it is being polled just now: it is then dropped when that poll returns.
    pub(super) fn abandon(&self) -> bool {
        if self.state.apply(Event::Abandon) == Action::Release {
            self.release(TaskOutcome::Dropped);
        }
        self.state.get() == TaskState::Over
    }

    /// Drops the body and reports.
    fn release(&self, outcome: TaskOutcome) {
        let body = locked(&self.body).take();
        let outcome = match guarded(|| drop(body)) {
            Err(report) if !matches!(outcome, TaskOutcome::Panicked(_)) => TaskOutcome::Panicked(report),
            _ => outcome,
        };
        self.scheduler.forget(self);
        if let Some(thread) = self.dedicated.get() {
            thread.unpark();
        }
        if let TaskOutcome::Panicked(report) = &outcome {
            tracing::debug!(task = %self.name, %report, "task panicked");
        }
        *locked(&self.outcome) = Some(outcome.clone());
        self.ended.notify_all();
        self.tell(|observer| observer.ended(&self.name, &outcome));
    }

    /// Tells the observer something. Its panics are logged: they must not end the executor's thread.
    pub(super) fn tell(&self, news: impl FnOnce(&dyn TaskObserver)) {
        let Some(observer) = &self.observer else { return };
        if let Err(report) = guarded(|| news(&**observer)) {
            tracing::error!(task = %self.name, %report, "observer of a task panicked");
        }
    }

    /// How the task ended, if it has.
    pub(super) fn outcome(&self) -> Option<TaskOutcome> {
        locked(&self.outcome).clone()
    }

    /// Waits up to `patience` for the end.
    pub(super) fn wait(&self, patience: Duration) -> Option<TaskOutcome> {
        let outcome = locked(&self.outcome);
        let waited = self.ended.wait_timeout_while(outcome, patience, |o| o.is_none());
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0.clone()
    }
}

impl Wake for TaskCell {
    fn wake(self: Arc<Self>) {
        if self.state.apply(Event::Wake) == Action::Enqueue {
            match self.dedicated.get() {
                Some(thread) => thread.unpark(),
                None => Arc::clone(&self.scheduler).schedule(self),
            }
        }
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.apply(Event::Wake) == Action::Enqueue {
            match self.dedicated.get() {
                Some(thread) => thread.unpark(),
                None => self.scheduler.schedule(Arc::clone(self)),
            }
        }
    }
}

impl TaskCell {
    /// The worker this task goes to when it is woken.
    pub(super) fn home(&self) -> usize {
        self.home.load(Ordering::Relaxed)
    }

    /// Moves the task to this worker.
    pub(super) fn settle(&self, worker: usize) {
        self.home.store(worker, Ordering::Relaxed);
    }
}
