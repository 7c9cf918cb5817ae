//! Metrics with Flink's names: those that the JobManager and its tasks keep.

use super::millis_between;
use super::vertex::VertexView;
use brisk_cluster::details::{JobDetails, SubtaskDetails, TaskManagerDetails};
use brisk_core::checkpoint_statistics::CheckpointOutcome;
use brisk_core::job::JobStatus;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Metrics by name, as texts.
pub(crate) type Metrics = BTreeMap<String, String>;

/// The names alone, or, when `get` names some, those with their values; names that do not exist are left out.
pub(crate) fn list(metrics: &Metrics, get: Option<&str>) -> Value {
    match get {
        None => metrics.keys().map(|name| json!({ "id": name })).collect(),
        Some(names) => {
            let wanted = names.split(',').filter_map(|name| metrics.get_key_value(name));
            wanted.map(|(name, value)| json!({ "id": name, "value": value })).collect()
        }
    }
}

/// How a metric of several is put together.
const AGGREGATIONS: [&str; 5] = ["min", "max", "avg", "sum", "skew"];

/// As [`list`], over several; `agg` names the aggregations that are wanted, all of them when it is not given.
///
/// # Errors
/// The aggregation that does not exist.
pub(crate) fn aggregate(of_each: &[Metrics], get: Option<&str>, agg: Option<&str>) -> Result<Value, String> {
    let wanted: Vec<&str> = agg.map_or_else(|| AGGREGATIONS.to_vec(), |agg| agg.split(',').collect());
    if let Some(unknown) = wanted.iter().find(|name| !AGGREGATIONS.contains(name)) {
        return Err((*unknown).to_owned());
    }
    let Some(names) = get else {
        let names: std::collections::BTreeSet<&String> = of_each.iter().flat_map(BTreeMap::keys).collect();
        return Ok(names.into_iter().map(|name| json!({ "id": name })).collect());
    };
    let aggregated = names.split(',').filter_map(|name| {
        let values: Vec<f64> = of_each.iter().filter_map(|metrics| metrics.get(name)?.parse().ok()).collect();
        if values.is_empty() {
            return None;
        }
        let mut json = json!({ "id": name });
        wanted.iter().for_each(|aggregation| json[*aggregation] = json!(aggregated(aggregation, &values)));
        Some(json)
    });
    Ok(aggregated.collect())
}

fn aggregated(aggregation: &str, values: &[f64]) -> f64 {
    let (sum, count) = (values.iter().sum::<f64>(), values.len() as f64);
    match aggregation {
        "min" => values.iter().copied().fold(f64::INFINITY, f64::min),
        "max" => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "sum" => sum,
        "avg" => sum / count,
        // Mean absolute deviation in percent of the mean, as in Flink.
        _ if sum == 0.0 => 0.0,
        _ => 100.0 * values.iter().map(|value| (value - sum / count).abs()).sum::<f64>() / sum,
    }
}

/// Metrics of a job.
pub(crate) fn of_job(job: &JobDetails) -> Metrics {
    let in_status = |status: JobStatus| match job.times.get(&status) {
        Some(entered) if job.status == status => millis_between(*entered, job.now),
        _ => 0,
    };
    let mut metrics: Metrics = [
        ("numRestarts", job.restarts.to_string()),
        ("uptime", in_status(JobStatus::Running).to_string()),
        ("downtime", (in_status(JobStatus::Restarting) + in_status(JobStatus::Failing)).to_string()),
        ("createdTime", in_status(JobStatus::Created).to_string()),
        ("runningTime", in_status(JobStatus::Running).to_string()),
        ("restartingTime", in_status(JobStatus::Restarting).to_string()),
        ("failingTime", in_status(JobStatus::Failing).to_string()),
        ("cancellingTime", in_status(JobStatus::Cancelling).to_string()),
        ("totalNumberOfCheckpoints", job.checkpoints.counts.total.to_string()),
        ("numberOfInProgressCheckpoints", job.checkpoints.counts.in_progress.to_string()),
        ("numberOfCompletedCheckpoints", job.checkpoints.counts.completed.to_string()),
        ("numberOfFailedCheckpoints", job.checkpoints.counts.failed.to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    let latest = job.checkpoints.latest_completed.iter().chain(&job.checkpoints.latest_savepoint).max_by_key(|record| record.checkpoint);
    if let Some(record) = latest {
        let path = if let CheckpointOutcome::Completed { path, .. } = &record.outcome { path.as_str() } else { "n/a" };
        let completed = record.latest_acknowledgement().unwrap_or(record.began).millis();
        let of_checkpoint = [
            ("lastCompletedCheckpointId", record.checkpoint.to_string()),
            ("lastCheckpointDuration", record.duration().as_millis().to_string()),
            ("lastCheckpointSize", record.sum(|subtask| subtask.stored_bytes).to_string()),
            ("lastCheckpointFullSize", record.sum(|subtask| subtask.full_bytes).to_string()),
            ("lastCheckpointPersistedData", record.sum(|subtask| subtask.in_flight_bytes).to_string()),
            ("lastCheckpointCompletedTimestamp", completed.to_string()),
            ("lastCheckpointExternalPath", path.to_owned()),
        ];
        metrics.extend(of_checkpoint.map(|(name, value)| (name.to_owned(), value)));
    }
    if let Some(restored) = &job.checkpoints.latest_restored {
        metrics.insert("lastCheckpointRestoreTimestamp".to_owned(), restored.at.millis().to_string());
    }
    metrics
}

/// Metrics of one subtask of a vertex.
pub(crate) fn of_subtask(vertex: &VertexView<'_>, subtask: &SubtaskDetails) -> Metrics {
    let Some(figures) = subtask.figures else { return Metrics::new() };
    // What a source gives it has not received from other tasks.
    let records_in = if vertex.vertex.inputs.is_empty() { 0 } else { figures.records_in };
    let metrics = [
        ("numRecordsIn", records_in.to_string()),
        ("numRecordsOut", figures.records_out.to_string()),
        ("currentInputWatermark", figures.watermark.millis().to_string()),
    ];
    metrics.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Metrics of all subtasks of a vertex, each name with the subtask's index.
pub(crate) fn of_vertex(vertex: &VertexView<'_>) -> Metrics {
    let of_one = |(index, subtask): (usize, &SubtaskDetails)| {
        of_subtask(vertex, subtask).into_iter().map(move |(name, value)| (format!("{index}.{name}"), value))
    };
    vertex.subtasks.iter().enumerate().flat_map(of_one).collect()
}

/// Metrics of the JobManager.
pub(crate) fn of_job_manager(jobs: &[Arc<JobDetails>], task_managers: &[TaskManagerDetails]) -> Metrics {
    let sum = |slots: fn(&TaskManagerDetails) -> u32| task_managers.iter().map(slots).sum::<u32>().to_string();
    let running = jobs.iter().filter(|job| !job.status.is_globally_terminal()).count();
    let metrics = [
        ("taskSlotsTotal", sum(|task_manager| task_manager.slots)),
        ("taskSlotsAvailable", sum(|task_manager| task_manager.free)),
        ("numRegisteredTaskManagers", task_managers.len().to_string()),
        ("numRunningJobs", running.to_string()),
    ];
    metrics.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Metrics of a TaskManager.
pub(crate) fn of_task_manager(task_manager: &TaskManagerDetails) -> Metrics {
    let metrics = [("taskSlotsTotal", task_manager.slots.to_string()), ("taskSlotsAvailable", task_manager.free.to_string())];
    metrics.map(|(name, value)| (name.to_owned(), value)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(values: &[(&str, &str)]) -> Metrics {
        values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn names_come_without_values_and_values_by_name() {
        let metrics = metrics(&[("a", "1"), ("b", "x")]);
        assert_eq!(list(&metrics, None), json!([{"id": "a"}, {"id": "b"}]));
        assert_eq!(list(&metrics, Some("b,none")), json!([{"id": "b", "value": "x"}]));
    }

    #[test]
    fn metrics_of_several_are_aggregated() {
        let each = [metrics(&[("a", "1"), ("t", "text")]), metrics(&[("a", "3")])];
        assert_eq!(aggregate(&each, None, None), Ok(json!([{"id": "a"}, {"id": "t"}])));
        let all = json!([{"id": "a", "min": 1.0, "max": 3.0, "avg": 2.0, "sum": 4.0, "skew": 50.0}]);
        assert_eq!(aggregate(&each, Some("a,t"), None), Ok(all));
        assert_eq!(aggregate(&each, Some("a"), Some("sum")), Ok(json!([{"id": "a", "sum": 4.0}])));
        assert_eq!(aggregate(&each, Some("a"), Some("median")), Err("median".to_owned()));
    }
}
