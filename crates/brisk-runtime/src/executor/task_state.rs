//! The state of a task, as one atomic word, and the only way it changes.
//!
//! [`transition`] is a pure function; [`StateWord`] applies it with a compare-and-swap. Every event is a read-modify-write of the word, also
//! one that changes nothing: a waker that finds the task scheduled is thereby ordered before the poll that takes the schedule, so what it
//! published before waking is seen by that poll.
//!
//! Invariants: a task stands in at most one run queue, once; it is polled by one thread at a time; a wake-up after a poll began leads to
//! another poll; exactly one party is told to release the task.

use super::TaskPoll;
use std::sync::atomic::{AtomicU8, Ordering};

/// Where a task stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum TaskState {
    /// Waits for a wake-up.
    Idle = 0,
    /// Stands in a run queue, or its dedicated thread has been told.
    Scheduled = 1,
    /// Is being polled.
    Running = 2,
    /// Is being polled, and has been woken since the poll began.
    Notified = 3,
    /// Is being polled for the last time: it was abandoned meanwhile.
    Stopping = 4,
    /// Is never polled again.
    Over = 5,
}

/// What happens to a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// Its waker was called, or its deadline came.
    Wake,
    /// A thread took it from its queue to poll it.
    Start,
    /// Its poll returned this; a panic counts as `Done`.
    Finish(TaskPoll),
    /// Nobody wants its results any more.
    Abandon,
}

/// What the party that brought the event must do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// Nothing.
    Nothing,
    /// Put it into a run queue.
    Enqueue,
    /// Poll it.
    Poll,
    /// Drop it and report.
    Release,
}

/// The next state and what to do.
pub(super) const fn transition(state: TaskState, event: Event) -> (TaskState, Action) {
    use Action::{Enqueue, Nothing, Poll, Release};
    use TaskState::{Idle, Notified, Over, Running, Scheduled, Stopping};
    match (state, event) {
        (Idle, Event::Wake) => (Scheduled, Enqueue),
        (Running, Event::Wake) => (Notified, Nothing),

        (Scheduled, Event::Start) => (Running, Poll),

        (Running, Event::Finish(TaskPoll::Pending)) => (Idle, Nothing),
        (Notified, Event::Finish(TaskPoll::Pending)) => (Scheduled, Enqueue),
        (Running | Notified, Event::Finish(TaskPoll::Yield)) => (Scheduled, Enqueue),
        (Running | Notified, Event::Finish(TaskPoll::Done)) => (Over, Release),
        (Stopping, Event::Finish(_)) => (Over, Release),

        (Idle | Scheduled, Event::Abandon) => (Over, Release),
        (Running | Notified, Event::Abandon) => (Stopping, Nothing),

        (unchanged, _) => (unchanged, Nothing),
    }
}

/// The state of one task, shared by its wakers and pollers.
pub(super) struct StateWord(AtomicU8);

impl StateWord {
    /// A task that waits in `state`.
    pub(super) const fn new(state: TaskState) -> Self {
        Self(AtomicU8::new(state as u8))
    }

    /// Where the task stands just now.
    pub(super) fn get(&self) -> TaskState {
        decode(self.0.load(Ordering::Acquire))
    }

    /// Applies the event and says what the caller must do.
    pub(super) fn apply(&self, event: Event) -> Action {
        let mut seen = self.0.load(Ordering::Relaxed);
        loop {
            let (next, action) = transition(decode(seen), event);
            match self.0.compare_exchange_weak(seen, next as u8, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) => return action,
                Err(other) => seen = other,
            }
        }
    }
}

/// The state a word stands for.
const fn decode(word: u8) -> TaskState {
    match word {
        0 => TaskState::Idle,
        1 => TaskState::Scheduled,
        2 => TaskState::Running,
        3 => TaskState::Notified,
        4 => TaskState::Stopping,
        _ => TaskState::Over,
    }
}

#[cfg(test)]
mod tests {
    //! Explores every interleaving of wakers, pollers, a queue and an abandoner over [`transition`]; each atomic step is one move.

    use super::*;
    use std::collections::BTreeSet;

    const POLLERS: usize = 2;
    const POLLS: [TaskPoll; 3] = [TaskPoll::Pending, TaskPoll::Yield, TaskPoll::Done];

    /// What a poller does next.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
    enum Poller {
        /// Takes an entry from the queue.
        Take,
        /// Has taken an entry, and starts the task.
        Start,
        /// Looks for news, the first step of a poll.
        Look,
        /// Ends the poll.
        Finish,
    }

    /// All that the parties share, and where each stands.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
    struct Model {
        state: TaskState,
        queue: u8,
        /// Messages published and not yet seen by a poll.
        news: u8,
        /// Wakers that will still publish.
        to_publish: u8,
        /// Wakers that have published and not yet woken.
        to_wake: u8,
        to_abandon: bool,
        abandoned: bool,
        pollers: [Poller; POLLERS],
        yields_left: u8,
        released: u8,
    }

    impl Model {
        fn apply(&mut self, event: Event) -> Action {
            let (next, action) = transition(self.state, event);
            self.state = next;
            match action {
                Action::Enqueue => self.queue += 1,
                Action::Release => self.released += 1,
                Action::Poll | Action::Nothing => {}
            }
            action
        }

        fn check(&self) {
            let polling = self.pollers.iter().filter(|p| matches!(p, Poller::Look | Poller::Finish)).count();
            assert!(polling <= 1, "two polls at once: {self:?}");
            assert!(polling == 0 || self.state != TaskState::Over, "released under a poll: {self:?}");
            let holding = self.pollers.iter().filter(|p| matches!(p, Poller::Start)).count() as u8;
            assert!(self.queue + holding <= 1, "enqueued twice: {self:?}");
            assert!(self.released <= 1, "released twice: {self:?}");
            assert_eq!(self.released == 1, self.state == TaskState::Over, "released exactly when over: {self:?}");
        }

        /// At rest all news has been seen, unless the task ended.
        fn check_at_rest(&self) {
            if self.state != TaskState::Over {
                assert_eq!((self.state, self.news), (TaskState::Idle, 0), "lost wake-up: {self:?}");
                assert!(!self.abandoned, "abandoned but alive: {self:?}");
            }
        }

        /// Every state that one step of one party leads to.
        fn successors(&self) -> Vec<Self> {
            let mut next = Vec::new();
            let mut step = |change: &dyn Fn(&mut Self)| {
                let mut model = self.clone();
                change(&mut model);
                next.push(model);
            };
            if self.to_publish > 0 {
                step(&|m| (m.to_publish, m.news, m.to_wake) = (m.to_publish - 1, m.news + 1, m.to_wake + 1));
            }
            if self.to_wake > 0 {
                step(&|m| {
                    m.to_wake -= 1;
                    m.apply(Event::Wake);
                });
            }
            if self.to_abandon {
                step(&|m| {
                    (m.to_abandon, m.abandoned) = (false, true);
                    m.apply(Event::Abandon);
                });
            }
            for i in 0..POLLERS {
                match self.pollers[i] {
                    Poller::Take if self.queue > 0 => step(&|m| (m.queue, m.pollers[i]) = (m.queue - 1, Poller::Start)),
                    Poller::Take => {}
                    Poller::Start => step(&|m| {
                        let polls = m.apply(Event::Start) == Action::Poll;
                        m.pollers[i] = if polls { Poller::Look } else { Poller::Take };
                    }),
                    Poller::Look => step(&|m| (m.news, m.pollers[i]) = (0, Poller::Finish)),
                    Poller::Finish => {
                        for poll in POLLS {
                            if poll == TaskPoll::Yield && self.yields_left == 0 {
                                continue;
                            }
                            step(&|m| {
                                m.yields_left -= u8::from(poll == TaskPoll::Yield);
                                m.apply(Event::Finish(poll));
                                m.pollers[i] = Poller::Take;
                            });
                        }
                    }
                }
            }
            next
        }
    }

    /// Number of states and of ends that some interleaving reaches, all checked.
    fn explore(start: Model) -> (usize, usize) {
        let mut seen = BTreeSet::from([start.clone()]);
        let mut open = vec![start];
        let mut ends = 0;
        while let Some(model) = open.pop() {
            model.check();
            let successors = model.successors();
            if successors.is_empty() {
                model.check_at_rest();
                ends += 1;
            }
            open.extend(successors.into_iter().filter(|m| seen.insert(m.clone())));
        }
        (seen.len(), ends)
    }

    #[test]
    fn no_interleaving_loses_a_wake_up_or_polls_twice() {
        for to_abandon in [false, true] {
            let (states, ends) = explore(Model {
                state: TaskState::Idle,
                queue: 0,
                news: 0,
                to_publish: 3,
                to_wake: 0,
                to_abandon,
                abandoned: false,
                pollers: [Poller::Take; POLLERS],
                yields_left: 2,
                released: 0,
            });
            assert!(states > 200 && ends > 1, "{states} states, {ends} ends");
        }
    }

    #[test]
    fn the_word_follows_the_function() {
        let word = StateWord::new(TaskState::Idle);
        assert_eq!(word.apply(Event::Wake), Action::Enqueue);
        assert_eq!(word.apply(Event::Wake), Action::Nothing);
        assert_eq!(word.apply(Event::Start), Action::Poll);
        assert_eq!(word.apply(Event::Wake), Action::Nothing);
        assert_eq!(word.get(), TaskState::Notified);
        assert_eq!(word.apply(Event::Finish(TaskPoll::Pending)), Action::Enqueue);
        assert_eq!(word.apply(Event::Abandon), Action::Release);
        assert_eq!(word.apply(Event::Start), Action::Nothing);
        assert_eq!(word.get(), TaskState::Over);
    }
}
