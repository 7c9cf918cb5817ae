//! Metrics with Flink's names: those that the JobManager and its tasks keep.

use super::millis_between;
use super::vertex::{VertexView, busy, busy_part};
use brisk_cluster::details::{JobDetails, SubtaskDetails, TaskManagerDetails};
use brisk_cluster::inspect::ProcessFigures;
use brisk_cluster::user_metrics::UserValue;
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

/// Metrics of one subtask of a vertex, with those that its functions have registered.
pub(crate) fn of_subtask(vertex: &VertexView<'_>, subtask: &SubtaskDetails) -> Metrics {
    let mut metrics = of_task(vertex, subtask);
    for metric in vertex.registered(subtask) {
        if let Some(name) = metric.name_in_task() {
            metrics.extend(shown(&name, &metric.value));
        }
    }
    metrics
}

/// Metrics that each task has.
pub(crate) fn of_task(vertex: &VertexView<'_>, subtask: &SubtaskDetails) -> Metrics {
    let Some(figures) = subtask.figures else { return Metrics::new() };
    // What a source gives it has not received from other tasks.
    let records_in = if vertex.vertex.inputs.is_empty() { 0 } else { figures.records_in };
    let (pace, in_rate) = (figures.pace, if vertex.vertex.inputs.is_empty() { 0.0 } else { figures.pace.records_in });
    let per_second = |part: f64| ((part * 1000.0).round() as u64).to_string();
    let millis = |time: std::time::Duration| time.as_millis().to_string();
    let metrics = [
        ("numRecordsIn", records_in.to_string()),
        ("numRecordsOut", figures.records_out.to_string()),
        ("numRecordsInPerSecond", decimal(in_rate)),
        ("numRecordsOutPerSecond", decimal(pace.records_out)),
        ("numBytesIn", figures.bytes_in.to_string()),
        ("numBytesOut", figures.bytes_out.to_string()),
        ("numBytesInPerSecond", decimal(pace.bytes_in)),
        ("numBytesOutPerSecond", decimal(pace.bytes_out)),
        ("currentInputWatermark", figures.watermark.millis().to_string()),
        ("busyTimeMsPerSecond", decimal((busy_part(&pace) * 1000.0).round())),
        ("idleTimeMsPerSecond", per_second(pace.idle)),
        ("backPressuredTimeMsPerSecond", per_second(pace.back_pressured)),
        // Tasks wait before they take more, never in the middle of a record: Flink's soft back-pressure.
        ("softBackPressuredTimeMsPerSecond", per_second(pace.back_pressured)),
        ("hardBackPressuredTimeMsPerSecond", "0".to_owned()),
        ("accumulateBusyTimeMs", decimal(busy(&figures).as_millis() as f64)),
        ("accumulateIdleTimeMs", millis(figures.idle)),
        ("accumulateBackPressuredTimeMs", millis(figures.back_pressured)),
        ("isBackPressured", (pace.back_pressured > 0.1).to_string()),
    ];
    metrics.map(|(name, value)| (name.to_owned(), value)).into()
}

/// As Java writes a decimal number.
fn decimal(value: f64) -> String {
    format!("{value:?}")
}

/// A metric of a user's function: a histogram is several.
fn shown(name: &str, value: &UserValue) -> Metrics {
    let one = |value: String| Metrics::from([(name.to_owned(), value)]);
    match value {
        UserValue::Counter(count) => one(count.to_string()),
        UserValue::Int(value) => one(value.to_string()),
        UserValue::Float(value) => one(decimal(*value)),
        UserValue::Text(text) => one(text.clone()),
        UserValue::Meter { rate, .. } => one(decimal(*rate)),
        UserValue::Histogram(histogram) => {
            let figures = [("min", histogram.min.to_string()), ("max", histogram.max.to_string()), ("mean", decimal(histogram.mean))];
            let names = ["median", "p75", "p90", "p95", "p98", "p99", "p999"];
            let quantiles = names.into_iter().zip(&histogram.quantiles).map(|(name, value)| (name, decimal(*value as f64)));
            let all = figures.into_iter().chain([("stddev", decimal(histogram.std_dev))]).chain(quantiles);
            all.map(|(part, value)| (format!("{name}_{part}"), value)).collect()
        }
    }
}

/// Metrics of all subtasks of a vertex, each name with the subtask's index.
pub(crate) fn of_vertex(vertex: &VertexView<'_>) -> Metrics {
    let of_one = |(index, subtask): (usize, &SubtaskDetails)| {
        of_subtask(vertex, subtask).into_iter().map(move |(name, value)| (format!("{index}.{name}"), value))
    };
    vertex.subtasks.iter().enumerate().flat_map(of_one).collect()
}

/// Metrics of the JobManager.
pub(crate) fn of_job_manager(jobs: &[Arc<JobDetails>], task_managers: &[TaskManagerDetails], process: &ProcessFigures) -> Metrics {
    let sum = |slots: fn(&TaskManagerDetails) -> u32| task_managers.iter().map(slots).sum::<u32>().to_string();
    let running = jobs.iter().filter(|job| !job.status.is_globally_terminal()).count();
    let metrics = [
        ("taskSlotsTotal", sum(|task_manager| task_manager.slots)),
        ("taskSlotsAvailable", sum(|task_manager| task_manager.free)),
        ("numRegisteredTaskManagers", task_managers.len().to_string()),
        ("numRunningJobs", running.to_string()),
    ];
    metrics.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(of_process(process)).collect()
}

/// Metrics of a TaskManager. What its process and those of its jobs use has the names that Flink has for a JVM.
pub(crate) fn of_task_manager(task_manager: &TaskManagerDetails, process: &ProcessFigures) -> Metrics {
    let metrics = [("taskSlotsTotal", task_manager.slots.to_string()), ("taskSlotsAvailable", task_manager.free.to_string())];
    metrics.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(of_process(process)).collect()
}

/// What a process uses of the machine.
fn of_process(process: &ProcessFigures) -> Metrics {
    let metrics = [
        ("Status.JVM.CPU.Load", decimal(process.cpu_load)),
        ("Status.JVM.CPU.Time", process.cpu_time_ns.to_string()),
        ("Status.JVM.Threads.Count", process.threads.to_string()),
        ("Status.JVM.FileDescriptor.Open", process.open_files.to_string()),
        ("Status.JVM.FileDescriptor.Max", process.most_files.to_string()),
        // All that is resident: there is no heap apart from the rest.
        ("Status.JVM.Memory.Heap.Used", process.resident.to_string()),
    ];
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
