//! What a task is told while it is polled, and what it may ask for.

use super::{PollTask, TaskPoll};
use brisk_base::world::{MonoTime, World};
use std::task::Waker;
use std::time::Duration;

/// How long a poll should last at most.
pub const POLL_BUDGET: Duration = Duration::from_millis(1);

/// One poll: its waker, its time, and the deadline the task wants to be woken at.
pub struct PollContext<'a> {
    waker: &'a Waker,
    world: &'a World,
    now: MonoTime,
    deadline: MonoTime,
    /// The earliest time asked for in this poll.
    wake_at: MonoTime,
    /// Answers of "there is time left" to give before the deadline counts as passed, where virtual time stands still during a poll.
    checks_left: Option<u32>,
    /// Told the time at each reading of the clock, so that the executor can send help to the work that waits behind this poll.
    on_check: Option<&'a dyn Fn(MonoTime)>,
}

impl<'a> PollContext<'a> {
    /// A poll that begins now and may last `budget`.
    pub fn new(waker: &'a Waker, world: &'a World, budget: Duration) -> Self {
        Self::starting(waker, world, world.mono(), budget)
    }

    /// A poll that began at `now`, which the caller has just read.
    pub(super) fn starting(waker: &'a Waker, world: &'a World, now: MonoTime, budget: Duration) -> Self {
        Self { waker, world, now, deadline: now.after(budget), wake_at: MonoTime::NEVER, checks_left: None, on_check: None }
    }

    /// Counts time in checks: the first `checks` calls of [`out_of_time`](Self::out_of_time) say no, all later ones yes.
    #[must_use]
    pub const fn with_checks(mut self, checks: u32) -> Self {
        self.checks_left = Some(checks);
        self
    }

    /// Lets `hook` know of each reading of the clock.
    pub(super) const fn with_hook(mut self, hook: &'a dyn Fn(MonoTime)) -> Self {
        self.on_check = Some(hook);
        self
    }

    /// Wakes the task. May be kept and called from any thread, also long after the task is over.
    pub const fn waker(&self) -> &'a Waker {
        self.waker
    }

    /// Clocks and randomness.
    pub const fn world(&self) -> &'a World {
        self.world
    }

    /// When this poll began.
    pub const fn now(&self) -> MonoTime {
        self.now
    }

    /// When this poll should be over.
    pub const fn deadline(&self) -> MonoTime {
        self.deadline
    }

    /// Whether the task should return [`Yield`](super::TaskPoll::Yield) now. Reads the clock: ask between batches, not per record.
    pub fn out_of_time(&mut self) -> bool {
        if let Some(left) = &mut self.checks_left {
            let out = *left == 0;
            *left = left.saturating_sub(1);
            return out;
        }
        let now = self.world.mono();
        if let Some(hook) = self.on_check {
            hook(now);
        }
        now >= self.deadline
    }

    /// Asks to be polled at `at`, if nothing wakes the task before. The earliest call of a poll counts; the next poll starts without any.
    pub fn wake_at(&mut self, at: MonoTime) {
        self.wake_at = self.wake_at.min(at);
    }

    /// What [`wake_at`](Self::wake_at) was asked for in this poll; [`MonoTime::NEVER`] when nothing was.
    pub const fn wanted(&self) -> MonoTime {
        self.wake_at
    }
}

/// A task made of a closure.
///
/// ```
/// use brisk_base::world::{Rng, World};
/// use brisk_runtime::executor::{Executor, SpawnOptions, StepExecutor, TaskOutcome, TaskPoll, poll_fn};
///
/// let executor = StepExecutor::new(World::real());
/// let mut left = 3;
/// let task = poll_fn("countdown", move |_cx| {
///     left -= 1;
///     if left == 0 { TaskPoll::Done } else { TaskPoll::Yield }
/// });
/// let handle = executor.spawn(task, SpawnOptions::default());
/// let mut rng = Rng::seeded(1);
/// while executor.run_one(&mut rng, 10).is_some() {}
/// assert_eq!(handle.outcome(), Some(TaskOutcome::Finished));
/// ```
pub fn poll_fn(name: &str, poll: impl FnMut(&mut PollContext<'_>) -> TaskPoll + Send + 'static) -> Box<dyn PollTask> {
    Box::new(FnTask { name: name.to_owned(), poll })
}

/// See [`poll_fn`].
struct FnTask<F> {
    name: String,
    poll: F,
}

impl<F: FnMut(&mut PollContext<'_>) -> TaskPoll + Send> PollTask for FnTask<F> {
    fn poll(&mut self, cx: &mut PollContext<'_>) -> TaskPoll {
        (self.poll)(cx)
    }

    fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_wish_counts() {
        let world = World::real();
        let mut cx = PollContext::new(Waker::noop(), &world, POLL_BUDGET);
        assert_eq!(cx.wanted(), MonoTime::NEVER);
        cx.wake_at(MonoTime(9));
        cx.wake_at(MonoTime(7));
        cx.wake_at(MonoTime(8));
        assert_eq!(cx.wanted(), MonoTime(7));
    }

    #[test]
    fn time_runs_out_by_the_clock_or_by_checks() {
        let world = World::real();
        assert!(PollContext::new(Waker::noop(), &world, Duration::ZERO).out_of_time());
        assert!(!PollContext::new(Waker::noop(), &world, Duration::from_secs(3600)).out_of_time());
        let mut counted = PollContext::new(Waker::noop(), &world, Duration::ZERO).with_checks(2);
        let answers: Vec<bool> = (0..4).map(|_| counted.out_of_time()).collect();
        assert_eq!(answers, [false, false, true, true]);
    }
}
