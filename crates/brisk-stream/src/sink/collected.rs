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
/// The hand-over is in memory: the job must run in this process.
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
