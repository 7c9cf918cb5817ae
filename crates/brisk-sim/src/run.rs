//! One seed's run of a job, as its check sees it.

use crate::trace::Trace;
use brisk_base::Error;
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
    pub result: Result<JobResult, Error>,
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

impl<O> fmt::Debug for Run<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, parallelism, status, trace, .. } = self;
        write!(f, "seed {seed}: {status} at parallelism {parallelism} after {} steps", trace.steps())
    }
}
