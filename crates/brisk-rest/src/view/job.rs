//! Jobs.

use super::throwable::serialized;
use super::vertex::{self, Figures};
use super::{millis_between, span, state_counts};
use brisk_base::ids::JobId;
use brisk_base::options::core_options::PARALLELISM_DEFAULT;
use brisk_base::{ErrorKind, Result};
use brisk_cluster::details::{Failure, JobDetails, JobFailure, JobPlan, PlanVertex};
use brisk_cluster::process::messages::PlannedJob;
use brisk_core::accumulator::AccumulatorValue;
use brisk_core::job::{ExecutionState, JobStatus};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// All statuses of jobs.
const STATUSES: [JobStatus; 11] = [
    JobStatus::Initializing,
    JobStatus::Created,
    JobStatus::Running,
    JobStatus::Failing,
    JobStatus::Failed,
    JobStatus::Cancelling,
    JobStatus::Canceled,
    JobStatus::Finished,
    JobStatus::Restarting,
    JobStatus::Suspended,
    JobStatus::Reconciling,
];

/// `/jobs`.
pub(crate) fn ids(jobs: &[Arc<JobDetails>]) -> Value {
    let job = |job: &Arc<JobDetails>| json!({ "id": job.id.to_string(), "status": job.status.to_string() });
    json!({ "jobs": jobs.iter().map(job).collect::<Vec<_>>() })
}

/// `/jobs/overview`.
pub(crate) fn overview(jobs: &[Arc<JobDetails>]) -> Value {
    json!({ "jobs": jobs.iter().map(|job| overview_of(job)).collect::<Vec<_>>() })
}

fn overview_of(job: &JobDetails) -> Value {
    let (start, end, duration) = span(Some(job.started()), job.ended(), job.now);
    let counts = job.count_states();
    let mut tasks: Map<String, Value> = super::STATES
        .into_iter()
        .map(|state| (state.to_string().to_lowercase(), json!(counts.get(&state).copied().unwrap_or(0))))
        .collect();
    tasks.insert("total".to_owned(), json!(counts.values().sum::<usize>()));
    let of_subtasks = job.subtasks.iter().flatten().flat_map(|subtask| subtask.times.values());
    let last_modification = job.times.values().chain(of_subtasks).map(|time| time.millis()).max();
    json!({
        "jid": job.id.to_string(),
        "name": job.name,
        "jobType": "STREAMING",
        "schedulerType": "Default",
        "start-time": start,
        "end-time": end,
        "duration": duration,
        "state": job.status.to_string(),
        "last-modification": last_modification.unwrap_or(start),
        "tasks": tasks,
        "pending-operators": 0,
    })
}

/// `/jobs/:jobid`.
pub(crate) fn details(job: &JobDetails) -> Value {
    let (start, end, duration) = span(Some(job.started()), job.ended(), job.now);
    let timestamp = |status: JobStatus| (status.to_string(), json!(job.times.get(&status).map_or(0, |time| time.millis())));
    let vertices: Vec<Value> = job
        .plan
        .vertices
        .iter()
        .zip(&job.subtasks)
        .map(|(vertex, subtasks)| {
            let (start, end, duration) = vertex::span_of(subtasks, job.now);
            json!({
                "id": vertex.id.to_string(),
                "slotSharingGroupId": group_id(job, &vertex.slot_sharing_group),
                "name": vertex.name,
                "maxParallelism": vertex.max_parallelism,
                "parallelism": vertex.parallelism,
                "status": vertex::aggregate_state(subtasks).to_string(),
                "start-time": start,
                "end-time": end,
                "duration": duration,
                "tasks": state_counts(&brisk_cluster::details::count_states(subtasks)),
                "metrics": Figures::of(vertex, subtasks).to_json(),
            })
        })
        .collect();
    let statuses = job.subtasks.iter().fold(BTreeMap::<ExecutionState, usize>::new(), |mut counts, subtasks| {
        *counts.entry(vertex::aggregate_state(subtasks)).or_default() += 1;
        counts
    });
    json!({
        "jid": job.id.to_string(),
        "application-id": job.id.to_string(),
        "name": job.name,
        "isStoppable": false,
        "state": job.status.to_string(),
        "job-type": "STREAMING",
        "schedulerType": "Default",
        "start-time": start,
        "end-time": end,
        "duration": duration,
        "maxParallelism": -1,
        "now": job.now.millis(),
        "timestamps": STATUSES.into_iter().map(timestamp).collect::<Map<_, _>>(),
        "vertices": vertices,
        "status-counts": state_counts(&statuses),
        "plan": plan_of(job),
        "pending-operators": 0,
    })
}

/// An id for a slot sharing group, which has only a name: the same for the same group of the same job.
fn group_id(job: &JobDetails, group: &str) -> String {
    let mix = |seed: u64, byte: u8| brisk_base::world::mix64(seed ^ u64::from(byte));
    let high = group.bytes().fold(job.id.0 as u64, mix);
    let low = group.bytes().fold((job.id.0 >> 64) as u64, mix);
    format!("{high:016x}{low:016x}")
}

/// `/jobs/:jobid/plan`.
pub(crate) fn plan(job: &JobDetails) -> Value {
    json!({ "plan": plan_of(job) })
}

/// `/jars/:jarid/plan`.
pub(crate) fn planned(job: &PlannedJob) -> Value {
    json!({ "plan": drawn(job.id, &job.name, &job.plan) })
}

fn plan_of(job: &JobDetails) -> Value {
    drawn(job.id, &job.name, &job.plan)
}

fn drawn(id: JobId, name: &str, plan: &JobPlan) -> Value {
    let nodes: Vec<Value> = plan.vertices.iter().rev().map(|vertex| node(plan, vertex)).collect();
    json!({ "jid": id.to_string(), "name": name, "type": "STREAMING", "nodes": nodes })
}

fn node(plan: &JobPlan, vertex: &PlanVertex) -> Value {
    let mut node = json!({
        "id": vertex.id.to_string(),
        "operator": "",
        "parallelism": vertex.parallelism,
        "operator_strategy": "",
        "description": description(vertex),
        "optimizer_properties": {},
    });
    if !vertex.inputs.is_empty() {
        let input = |(number, (from, strategy)): (usize, &(usize, &str))| json!({ "id": plan.vertices[*from].id.to_string(), "num": number, "exchange": "pipelined_bounded", "ship_strategy": strategy });
        node["inputs"] = vertex.inputs.iter().enumerate().map(input).collect();
    }
    node
}

/// The operators, one a line, as Flink draws a chain.
fn description(vertex: &PlanVertex) -> String {
    let line = |(index, (_, name)): (usize, &(_, String))| format!("{}{name}<br/>", if index == 0 { "" } else { "+- " });
    vertex.operators.iter().enumerate().map(line).collect()
}

/// `/jobs/:jobid/config`.
pub(crate) fn config(job: &JobDetails) -> Result<Value> {
    let strategy = job.config.text("restart-strategy.type").unwrap_or("Cluster level default restart strategy");
    Ok(json!({
        "jid": job.id.to_string(),
        "name": job.name,
        "execution-config": {
            "restart-strategy": strategy,
            "job-parallelism": job.config.get(&PARALLELISM_DEFAULT)?,
            "object-reuse-mode": false,
            "user-config": job.plan.job_parameters,
        },
    }))
}

/// `/jobs/:jobid/exceptions`: at most so many.
pub(crate) fn exceptions(job: &JobDetails, most: usize) -> Value {
    let entries: Vec<Value> = job.failures.iter().take(most).map(exception).collect();
    json!({ "exceptionHistory": { "entries": entries, "truncated": job.failures_truncated || job.failures.len() > most } })
}

fn exception(failure: &JobFailure) -> Value {
    let task_manager = failure.task.as_ref().and_then(|task| task.task_manager);
    let with_place = |failure: &Failure| {
        json!({
            "exceptionName": kind_name(failure.kind),
            "stacktrace": failure.message,
            "timestamp": failure.at.millis(),
            "failureLabels": {},
        })
    };
    let mut entry = with_place(&failure.root);
    entry["taskName"] = json!(failure.task.as_ref().map(|task| &task.name));
    entry["endpoint"] = json!(task_manager.map(|_| vertex::ENDPOINT));
    entry["taskManagerId"] = json!(task_manager.map(|id| id.to_string()));
    entry["concurrentExceptions"] = failure.concurrent.iter().map(with_place).collect();
    entry
}

/// What stands where Flink has the class of an exception.
fn kind_name(kind: ErrorKind) -> String {
    format!("brisk.Error.{kind:?}")
}

/// `/jobs/:jobid/accumulators`.
pub(crate) fn accumulators(job: &JobDetails) -> Value {
    json!({
        "job-accumulators": [],
        "user-task-accumulators": user_accumulators(&job.accumulators),
        "serialized-user-task-accumulators": {},
    })
}

/// Accumulators by name.
pub(crate) fn user_accumulators(accumulators: &BTreeMap<String, AccumulatorValue>) -> Value {
    let entry = |(name, value): (&String, &AccumulatorValue)| {
        let kind = match value {
            AccumulatorValue::Count(_) => "LongCounter",
            AccumulatorValue::Sum(_) => "DoubleCounter",
            AccumulatorValue::Min(_) => "DoubleMinimum",
            AccumulatorValue::Max(_) => "DoubleMaximum",
            AccumulatorValue::Average { .. } => "AverageAccumulator",
            AccumulatorValue::Histogram(_) => "Histogram",
        };
        json!({ "name": name, "type": kind, "value": value.to_string() })
    };
    accumulators.iter().map(entry).collect()
}

/// `/jobs/:jobid/execution-result`.
pub(crate) fn execution_result(job: &JobDetails) -> Value {
    let Some(ended) = job.ended() else { return json!({ "status": { "id": "IN_PROGRESS" } }) };
    let status = match job.status {
        JobStatus::Finished => "SUCCEEDED",
        JobStatus::Canceled => "CANCELED",
        _ => "FAILED",
    };
    let mut result = json!({
        "id": job.id.to_string(),
        "application-status": status,
        "accumulator-results": {},
        "net-runtime": millis_between(job.started(), ended),
    });
    if let Some(failure) = job.failures.first().filter(|_| job.status == JobStatus::Failed) {
        result["failure-cause"] = failure_cause(&kind_name(failure.root.kind), &failure.root.message);
    }
    json!({ "status": { "id": "COMPLETED" }, "job-execution-result": result })
}

/// An error where Flink has a serialized exception.
pub(crate) fn failure_cause(class: &str, message: &str) -> Value {
    json!({ "class": class, "stack-trace": message, "serialized-throwable": serialized(class, message, message) })
}
