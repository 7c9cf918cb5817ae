//! What has failed in a job, for those who want to know (Flink's exception history).

use crate::details::{FailedTask, Failure, JobFailure};
use brisk_base::{Error, Timestamp};
use std::collections::VecDeque;

/// Failures that followed from another, which are kept with it.
const CONCURRENT_KEPT: usize = 16;

/// The last failures of a job: each that made it restart or end, with those that followed from it.
#[derive(Debug)]
pub struct FailureHistory {
    /// How many are kept.
    keep: usize,
    /// The newest last.
    failures: VecDeque<JobFailure>,
    /// Whether older ones have been dropped.
    truncated: bool,
}

impl FailureHistory {
    /// A history without failures.
    pub const fn new(keep: usize) -> Self {
        Self { keep, failures: VecDeque::new(), truncated: false }
    }

    /// A failure from which the job recovers, or with which it ends.
    pub fn add(&mut self, at: Timestamp, error: &Error, task: Option<FailedTask>) {
        self.failures.push_back(JobFailure { root: failure(at, error), task, concurrent: Vec::new() });
        while self.failures.len() > self.keep {
            self.failures.pop_front();
            self.truncated = true;
        }
    }

    /// A failure that followed from the last one.
    pub fn add_concurrent(&mut self, at: Timestamp, error: &Error) {
        if let Some(last) = self.failures.back_mut().filter(|last| last.concurrent.len() < CONCURRENT_KEPT) {
            last.concurrent.push(failure(at, error));
        }
    }

    /// The failures, the newest first; whether there were older ones.
    pub fn newest_first(&self) -> (Vec<JobFailure>, bool) {
        (self.failures.iter().rev().cloned().collect(), self.truncated)
    }
}

fn failure(at: Timestamp, error: &Error) -> Failure {
    Failure { at, kind: error.kind(), message: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_with_what_followed_from_them() {
        let mut history = FailureHistory::new(2);
        history.add_concurrent(Timestamp(0), &Error::user("nothing has failed yet"));
        for number in 1..=3 {
            history.add(Timestamp(number), &Error::user(format!("no {number}")), None);
            history.add_concurrent(Timestamp(number), &Error::transient("lost the producer"));
        }
        let (failures, truncated) = history.newest_first();
        let texts: Vec<_> = failures.iter().map(|failure| (failure.root.message.as_str(), failure.concurrent.len())).collect();
        assert_eq!((texts, truncated), (vec![("no 3", 1), ("no 2", 1)], true));
    }
}
