//! Jobs of a program that another of its processes has executed: what `execute` gives where it does not run anything.

use crate::job::RecordedResult;
use brisk_base::ids::JobId;
use brisk_base::{Error, Result};
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::job::{JobClient, JobProgress, JobResult, JobStatus};
use brisk_core::job_graph::JobGraph;
use brisk_core::operator::Receipt;
use brisk_core::registry::OperatorRegistry;
use std::collections::BTreeMap;
use std::time::Duration;

/// Whether the program reads results of a job.
pub(crate) fn is_collected(graph: &JobGraph, registry: &OperatorRegistry) -> bool {
    let mut operators = graph.vertices.iter().flat_map(|vertex| &vertex.operators);
    operators.any(|operator| registry.resolve(&operator.spec).is_ok_and(|factory| factory.is_collected()))
}

/// Gives the program, in this process, what it has collected in another one.
///
/// # Errors
/// When that is not known, or was not collected from this graph.
pub(crate) fn replay(graph: &JobGraph, registry: &OperatorRegistry, result: &RecordedResult) -> Result<()> {
    if !is_collected(graph, registry) {
        return Ok(());
    }
    let Some(collected) = &result.collected else {
        return Err(Error::user(format!(
            "the program builds this job from what it has collected from job '{}', which is too much to be given to other processes: write it to \
             files, and read those",
            result.name
        )));
    };
    for one in collected {
        let operator = graph.vertices.iter().flat_map(|vertex| &vertex.operators).find(|operator| operator.id == one.operator);
        let operator =
            operator.ok_or_else(|| Error::user(format!("job '{}' of the program is another one in this process", result.name)))?;
        registry.resolve(&operator.spec)?.take_result(one.subtask, &one.bytes.0, Receipt::default())?;
    }
    Ok(())
}

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
        let RecordedResult { id, name, net_runtime, accumulators, .. } = self.0.clone();
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
