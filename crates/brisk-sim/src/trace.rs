//! What a simulation did, step by step: a fingerprint of all steps, and the steps themselves as far as they are kept.

use brisk_base::world::{MonoTime, mix64};
use brisk_runtime::executor::{Stepped, TaskPoll};
use std::collections::VecDeque;
use std::fmt;

/// One step of a simulation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// A control message was delivered.
    Message,
    /// A task was polled.
    Polled {
        /// Its name.
        task: String,
        /// What the poll said.
        said: TaskPoll,
    },
    /// Time leapt, to so many nanoseconds since the begin.
    Time(u64),
    /// The job was cancelled by the simulation.
    Cancel,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message => f.write_str("a control message arrives"),
            Self::Polled { task, said } => write!(f, "'{task}' is polled: {said:?}"),
            Self::Time(ns) => write!(f, "time is {:.3} ms", *ns as f64 / 1e6),
            Self::Cancel => f.write_str("the job is cancelled"),
        }
    }
}

/// The steps of a simulation. Two runs of one seed have equal traces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Number of steps.
    steps: u64,
    /// Depends on every step and on their order.
    fingerprint: u64,
    /// The last steps.
    kept: VecDeque<Step>,
    /// How many are kept at most.
    keep: usize,
}

impl Trace {
    pub(crate) fn new(keep: usize) -> Self {
        Self { steps: 0, fingerprint: 0, kept: VecDeque::new(), keep }
    }

    /// Number of steps.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// A number that depends on every step and on their order.
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// The last steps, oldest first.
    pub fn last_steps(&self) -> impl Iterator<Item = &Step> {
        self.kept.iter()
    }

    pub(crate) fn message(&mut self) {
        self.add(1, Step::Message);
    }

    pub(crate) fn time(&mut self, now: MonoTime) {
        self.add(mix64(now.0) ^ 2, Step::Time(now.0));
    }

    pub(crate) fn cancel(&mut self) {
        self.add(3, Step::Cancel);
    }

    pub(crate) fn polled(&mut self, stepped: Stepped) {
        let Stepped { task, poll } = stepped;
        let name = task.bytes().fold(poll as u64 + 4, |sum, byte| mix64(sum ^ u64::from(byte)));
        self.add(name, Step::Polled { task, said: poll });
    }

    fn add(&mut self, what: u64, step: Step) {
        self.steps += 1;
        self.fingerprint = mix64(self.fingerprint.rotate_left(1) ^ what);
        if self.kept.len() == self.keep {
            self.kept.pop_front();
        }
        self.kept.push_back(step);
    }
}
