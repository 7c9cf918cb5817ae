//! The records of a stream as an iterator in the program that runs the job.

use crate::operators::Handoff;
use brisk_base::Result;
use brisk_core::job::JobClient;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for a batch before asking whether the job still runs.
const PATIENCE: Duration = Duration::from_millis(20);

/// Records of a running job, in the order in which they arrive (Flink's `CloseableIterator`). Reading slowly slows the job down; dropping
/// this lets it run on, its records being thrown away.
///
/// The hand-over is in memory. On a cluster, results are sent to the process of the program.
pub struct Collected<T> {
    handoff: Arc<Handoff<T>>,
    client: Option<Arc<dyn JobClient>>,
    /// What is left of the batch taken last.
    current: std::vec::IntoIter<T>,
    over: bool,
}

impl<T> Collected<T> {
    pub(crate) fn new(handoff: Arc<Handoff<T>>) -> Self {
        Self { handoff, client: None, current: Vec::new().into_iter(), over: false }
    }

    /// Says which job gives the records; needed after [`collect_async`](crate::DataStream::collect_async) only.
    #[must_use]
    pub fn of_job(mut self, client: Arc<dyn JobClient>) -> Self {
        self.client = Some(client);
        self
    }

    /// The job; `None` before it was started.
    pub fn client(&self) -> Option<&Arc<dyn JobClient>> {
        self.client.as_ref()
    }

    /// The next batch; `None` when the job is over and everything has been read.
    fn next_batch(&mut self) -> Result<Option<Vec<T>>> {
        let Some(client) = &self.client else {
            return Err(brisk_base::Error::user("the job of these records is not known; call of_job(execute_async(..)?) first"));
        };
        loop {
            if let Some(batch) = self.handoff.take(PATIENCE) {
                return Ok(Some(batch));
            }
            if let Some(result) = client.wait_for(Duration::ZERO) {
                // The last batch may have come between the two looks.
                let last = self.handoff.take(Duration::ZERO);
                return if last.is_some() { Ok(last) } else { result.map(|_| None) };
            }
        }
    }
}

impl<T> Iterator for Collected<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        while !self.over {
            if let Some(value) = self.current.next() {
                return Some(Ok(value));
            }
            match self.next_batch() {
                Ok(Some(batch)) => self.current = batch.into_iter(),
                Ok(None) => self.over = true,
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl<T> Drop for Collected<T> {
    fn drop(&mut self) {
        self.handoff.abandon();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::Error;
    use brisk_base::ids::JobId;
    use brisk_core::accumulator::AccumulatorValue;
    use brisk_core::job::{JobProgress, JobResult, JobStatus};
    use brisk_core::operator::Receipt;
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A job that puts one batch into the queue each time it is asked, and ends after three of them.
    struct Job {
        handoff: Arc<Handoff<u32>>,
        asked: AtomicU32,
        fails: bool,
    }

    impl JobClient for Job {
        fn job_id(&self) -> JobId {
            JobId(1)
        }

        fn status(&self) -> JobStatus {
            JobStatus::Running
        }

        fn cancel(&self) {}

        fn accumulators(&self) -> BTreeMap<String, AccumulatorValue> {
            BTreeMap::new()
        }

        fn progress(&self) -> JobProgress {
            JobProgress::default()
        }

        fn wait_for(&self, _timeout: Duration) -> Option<Result<JobResult>> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            if asked < 3 {
                self.handoff.put(vec![asked * 2, asked * 2 + 1], Receipt::default());
            }
            let result = JobResult { job_id: JobId(1), name: "job".into(), net_runtime: Duration::ZERO, accumulators: BTreeMap::new() };
            (asked >= 2).then_some(if self.fails && asked > 2 { Err(Error::user("it failed")) } else { Ok(result) })
        }
    }

    fn collected(fails: bool) -> Collected<u32> {
        let handoff = Handoff::new();
        let job = Job { handoff: Arc::clone(&handoff), asked: AtomicU32::new(0), fails };
        Collected::new(handoff).of_job(Arc::new(job))
    }

    #[test]
    fn everything_is_read_also_what_came_last() {
        assert_eq!(collected(false).collect::<Result<Vec<_>>>().expect("the job ends well"), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_jobs_failure_comes_after_its_records() {
        let all: Vec<_> = collected(true).collect();
        assert_eq!(all.len(), 7);
        assert!(all[..6].iter().all(Result::is_ok));
        assert_eq!(all[6].as_ref().expect_err("it failed").message(), "it failed");
    }

    #[test]
    fn without_a_job_there_is_an_error_and_no_wait() {
        let first = Collected::<u32>::new(Handoff::new()).next().expect("an item");
        assert!(first.expect_err("no job").to_string().contains("of_job"));
    }
}
