//! Jobs of a program that another of its processes has executed: what `execute` gives where it does not run anything.

use crate::job::RecordedResult;
use brisk_base::Result;
use brisk_base::ids::JobId;
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::job::{JobClient, JobProgress, JobResult, JobStatus};
use std::collections::BTreeMap;
use std::time::Duration;

/// The client of a job that has ended.
pub(crate) struct RecordedClient(pub(crate) RecordedResult);

impl JobClient for RecordedClient {
    fn job_id(&self) -> JobId {
        self.0.id
    }

    fn status(&self) -> JobStatus {
        JobStatus::Finished
    }

    fn cancel(&self) {}

    fn accumulators(&self) -> BTreeMap<String, AccumulatorValue> {
        self.0.accumulators.clone()
    }

    fn progress(&self) -> JobProgress {
        JobProgress { watermark: i64::MAX, ..JobProgress::default() }
    }

    fn wait_for(&self, _timeout: Duration) -> Option<Result<JobResult>> {
        let RecordedResult { id, name, net_runtime, accumulators } = self.0.clone();
        Some(Ok(JobResult { job_id: id, name, net_runtime, accumulators }))
    }
}

/// The client of a job that had not ended when the job at hand was executed: who waits for it here waits in vain, which the program did not
/// do there.
pub(crate) struct UnknownClient;

impl JobClient for UnknownClient {
    fn job_id(&self) -> JobId {
        JobId(0)
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

    fn wait_for(&self, timeout: Duration) -> Option<Result<JobResult>> {
        std::thread::park_timeout(timeout);
        None
    }
}
