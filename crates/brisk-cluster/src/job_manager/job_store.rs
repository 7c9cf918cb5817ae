//! Jobs that are over, as far as they can still be looked at: a bounded number, for a bounded time.

use crate::details::JobDetails;
use crate::options::{JOB_STORE_CAPACITY, JOB_STORE_EXPIRATION};
use brisk_base::ids::JobId;
use brisk_base::options::Configuration;
use brisk_base::{Millis, Result, Timestamp};
use std::collections::VecDeque;
use std::sync::Arc;

/// See the module.
pub struct JobStore {
    /// How many jobs are kept.
    capacity: usize,
    /// How long each is kept.
    expiration: Millis,
    /// When each came, the newest last.
    jobs: VecDeque<(Timestamp, Arc<JobDetails>)>,
}

impl JobStore {
    /// An empty store.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn new(config: &Configuration) -> Result<Self> {
        let expiration = config.get(&JOB_STORE_EXPIRATION)?.into();
        Ok(Self { capacity: config.get(&JOB_STORE_CAPACITY)? as usize, expiration, jobs: VecDeque::new() })
    }

    /// Takes a job that is over.
    pub fn add(&mut self, details: Arc<JobDetails>, now: Timestamp) {
        self.jobs.push_back((now, details));
        self.forget(now);
    }

    /// A job that is over.
    pub fn get(&mut self, job: JobId, now: Timestamp) -> Option<Arc<JobDetails>> {
        self.forget(now);
        self.jobs.iter().find(|(_, details)| details.id == job).map(|(_, details)| Arc::clone(details))
    }

    /// All jobs, the newest first.
    pub fn ids(&mut self, now: Timestamp) -> Vec<JobId> {
        self.forget(now);
        self.jobs.iter().rev().map(|(_, details)| details.id).collect()
    }

    fn forget(&mut self, now: Timestamp) {
        let (capacity, expiration) = (self.capacity, self.expiration);
        while self.jobs.len() > capacity || self.jobs.front().is_some_and(|(came, _)| *came + expiration <= now) {
            self.jobs.pop_front();
        }
    }
}
