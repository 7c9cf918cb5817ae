//! One seed's run of a job, as its check sees it.

use crate::trace::Trace;
use brisk_base::{Error, Result};
use brisk_core::job::{JobResult, JobStatus};
use std::fmt;
use std::time::Duration;

/// How a job went with one seed.
pub struct Run<O> {
    /// The seed.
    pub seed: u64,
    /// The parallelism that the seed chose.
    pub parallelism: u32,
    /// Whether the simulation cancelled the job; it may have finished before it could be cancelled.
    pub cancelled: bool,
    /// The job's final status; of a job that hung, the last one.
    pub status: JobStatus,
    /// What the job left behind, or why it failed.
    pub result: Result<JobResult>,
    /// The records of the streams that the job's builder returned, in order of arrival.
    pub output: O,
    /// Virtual time from the begin to the end.
    pub elapsed: Duration,
    /// What was done.
    pub trace: Trace,
    /// What the engine did not let go of after the end; never anything.
    pub leaks: Vec<String>,
}

impl<T: Clone + Ord> Run<Vec<T>> {
    /// The records in their natural order.
    pub fn output_sorted(&self) -> Vec<T> {
        let mut sorted = self.output.clone();
        sorted.sort();
        sorted
    }
}

impl Run<()> {
    /// The same run with what its streams gave.
    pub(crate) fn with_output<O>(self, output: O) -> Run<O> {
        let Self { seed, parallelism, cancelled, status, result, output: (), elapsed, trace, leaks } = self;
        Run { seed, parallelism, cancelled, status, result, output, elapsed, trace, leaks }
    }
}

impl<O> Run<O> {
    /// What holds for every run, whatever the job does: it ends as it should, and nothing of it is left.
    pub(crate) fn sound(&self, may_fail: bool) -> Result<()> {
        if !self.leaks.is_empty() {
            return Err(Error::bug(format!("after the job's end {}", self.leaks.join("; "))));
        }
        let expected = match (&self.result, self.status) {
            (Ok(_), JobStatus::Finished) => true,
            (Err(_), JobStatus::Canceled) => self.cancelled,
            (Err(_), JobStatus::Failed) => may_fail,
            _ => false,
        };
        match (&self.result, expected) {
            (_, true) => Ok(()),
            (Err(error), _) => Err(Error::bug(format!("the job is {}: {error}", self.status))),
            (Ok(_), _) => Err(Error::bug(format!("the job gave a result, but is {}", self.status))),
        }
    }
}

impl<O> fmt::Debug for Run<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, parallelism, status, trace, .. } = self;
        write!(f, "seed {seed}: {status} at parallelism {parallelism} after {} steps", trace.steps())
    }
}
