//! Vertices and their subtasks.

use super::job::user_accumulators;
use super::{STATES, millis_between, span, state_counts};
use brisk_base::Timestamp;
use brisk_base::ids::TaskManagerId;
use brisk_cluster::details::{JobDetails, PlanVertex, SubtaskDetails, count_states};
use brisk_cluster::job::{TaskFigures, TaskPace};
use brisk_cluster::user_metrics::UserMetric;
use brisk_core::job::ExecutionState;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where tasks of this process are reached: nowhere, as in Flink's own embedded cluster.
pub(crate) const ENDPOINT: &str = "localhost:-1";

/// A vertex of a job with its subtasks.
#[derive(Clone, Copy)]
pub(crate) struct VertexView<'a> {
    pub(crate) job: &'a JobDetails,
    pub(crate) vertex: &'a PlanVertex,
    pub(crate) subtasks: &'a [SubtaskDetails],
}

/// The state of a vertex, given those of its subtasks (Flink's `ExecutionJobVertex.getAggregateJobVertexState`).
pub(crate) fn aggregate_state(subtasks: &[SubtaskDetails]) -> ExecutionState {
    use ExecutionState::{Canceled, Canceling, Created, Failed, Finished, Initializing, Running};
    let any = |state| subtasks.iter().any(|subtask| subtask.state == state);
    if let Some(state) = [Failed, Canceling, Canceled, Initializing, Running].into_iter().find(|state| any(*state)) {
        return state;
    }
    match any(Finished) {
        true if subtasks.iter().all(|subtask| subtask.state == Finished) => Finished,
        true => Running,
        false => Created,
    }
}

/// When the first subtask began, when the last ended, and how long that took.
pub(crate) fn span_of(subtasks: &[SubtaskDetails], now: Timestamp) -> (i64, i64, i64) {
    let started = subtasks.iter().filter_map(SubtaskDetails::started).min();
    let ended: Option<Vec<Timestamp>> = subtasks.iter().map(SubtaskDetails::ended).collect();
    span(started, ended.and_then(|ended| ended.into_iter().max()), now)
}

/// What tasks have read and written.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    read_bytes: u64,
    write_bytes: u64,
    read_records: u64,
    write_records: u64,
    /// Whether all tasks have told.
    complete: bool,
    back_pressured: Duration,
    idle: Duration,
    busy: Duration,
}

impl Figures {
    /// Of all these subtasks.
    pub(crate) fn of(vertex: &PlanVertex, subtasks: &[SubtaskDetails]) -> Self {
        let sum = |figure: fn(&TaskFigures) -> u64| subtasks.iter().filter_map(|subtask| subtask.figures.as_ref()).map(figure).sum();
        // What a source gives it has not read from other tasks.
        let read_records = if vertex.inputs.is_empty() { 0 } else { sum(|figures| figures.records_in) };
        let complete = subtasks.iter().all(|subtask| subtask.figures.is_some());
        let time = |time: fn(&TaskFigures) -> Duration| subtasks.iter().filter_map(|subtask| subtask.figures.as_ref()).map(time).sum();
        Self {
            read_bytes: sum(|figures| figures.bytes_in),
            write_bytes: sum(|figures| figures.bytes_out),
            read_records,
            write_records: sum(|figures| figures.records_out),
            complete,
            back_pressured: time(|figures| figures.back_pressured),
            idle: time(|figures| figures.idle),
            busy: time(busy),
        }
    }

    /// With Flink's names.
    pub(crate) fn to_json(self) -> Value {
        json!({
            "read-bytes": self.read_bytes,
            "read-bytes-complete": self.complete,
            "write-bytes": self.write_bytes,
            "write-bytes-complete": self.complete,
            "read-records": self.read_records,
            "read-records-complete": self.complete,
            "write-records": self.write_records,
            "write-records-complete": self.complete,
            "accumulated-backpressured-time": self.back_pressured.as_millis() as u64,
            "accumulated-idle-time": self.idle.as_millis() as u64,
            "accumulated-busy-time": self.busy.as_millis() as f64,
        })
    }
}

/// What is left of a task's life when it does not wait: as in Flink, also the time in which it waits for its turn.
pub(crate) fn busy(figures: &TaskFigures) -> Duration {
    figures.lived.saturating_sub(figures.idle).saturating_sub(figures.back_pressured)
}

/// The part of the time in which a task has been busy lately.
pub(crate) fn busy_part(pace: &TaskPace) -> f64 {
    (1.0 - pace.idle - pace.back_pressured).max(0.0)
}

/// What Flink calls a part of the time that is spent waiting for room in the output.
fn level(back_pressured: f64) -> &'static str {
    match back_pressured {
        part if part <= 0.1 => "ok",
        part if part <= 0.5 => "low",
        _ => "high",
    }
}

impl VertexView<'_> {
    /// What functions of a subtask have registered.
    pub(crate) fn registered<'a>(&'a self, subtask: &'a SubtaskDetails) -> impl Iterator<Item = &'a UserMetric> {
        let id = self.vertex.id.to_string();
        let index = self.subtasks.iter().position(|one| std::ptr::eq(one, subtask)).map(|index| index.to_string());
        let is = move |metric: &&UserMetric| {
            let variable = |name: &str| metric.variables.get(name);
            variable("task_id") == Some(&id) && variable("subtask_index") == index.as_ref()
        };
        self.job.metrics.iter().filter(is)
    }

    /// `/jobs/:jobid/vertices/:vertexid/backpressure`.
    pub(crate) fn back_pressure(&self) -> Value {
        let rounded = |part: f64| (part * 1000.0).round() / 1000.0;
        let pace = |subtask: &SubtaskDetails| subtask.figures.map(|figures| figures.pace).filter(|_| !subtask.state.is_terminal());
        let of_one = |(index, subtask): (usize, &SubtaskDetails)| {
            let pace = pace(subtask)?;
            Some(json!({
                "subtask": index,
                "backpressureLevel": level(pace.back_pressured),
                "ratio": rounded(pace.back_pressured),
                "idleRatio": rounded(pace.idle),
                "busyRatio": rounded(busy_part(&pace)),
                "backpressure-level": level(pace.back_pressured),
            }))
        };
        let worst = self.subtasks.iter().filter_map(pace).map(|pace| pace.back_pressured).fold(0.0, f64::max);
        json!({
            "status": "ok",
            "backpressureLevel": level(worst),
            "end-timestamp": self.job.now.millis(),
            "subtasks": self.subtasks.iter().enumerate().filter_map(of_one).collect::<Vec<_>>(),
            "backpressure-level": level(worst),
        })
    }

    /// `/jobs/:jobid/vertices/:vertexid`.
    pub(crate) fn details(&self) -> Value {
        let Self { job, vertex, subtasks } = *self;
        json!({
            "id": vertex.id.to_string(),
            "name": vertex.name,
            "parallelism": vertex.parallelism,
            "maxParallelism": vertex.max_parallelism,
            "now": job.now.millis(),
            "subtasks": (0..subtasks.len()).map(|index| self.subtask(index)).collect::<Vec<_>>(),
            "aggregated": self.aggregated(subtasks),
        })
    }

    /// `/jobs/:jobid/vertices/:vertexid/subtasks/:index`.
    pub(crate) fn subtask(&self, index: usize) -> Value {
        let subtask = &self.subtasks[index];
        let (start, end, duration) = span(subtask.started(), subtask.ended(), self.job.now);
        let durations = durations(subtask, self.job.now).into_iter().map(|(state, millis)| (state.to_string(), json!(millis)));
        json!({
            "subtask": index,
            "status": subtask.state.to_string(),
            "attempt": subtask.attempt,
            "endpoint": ENDPOINT,
            "start-time": start,
            "end-time": end,
            "duration": duration,
            "metrics": Figures::of(self.vertex, std::slice::from_ref(subtask)).to_json(),
            "taskmanager-id": task_manager_id(subtask.task_manager()),
            "status-duration": durations.collect::<Map<_, _>>(),
            "start_time": start,
        })
    }

    /// `/jobs/:jobid/vertices/:vertexid/subtasktimes`.
    pub(crate) fn times(&self) -> Value {
        let times = |(index, subtask): (usize, &SubtaskDetails)| {
            let time = |state: ExecutionState| (state.to_string(), json!(subtask.times.get(&state).map_or(0, |time| time.millis())));
            let started = subtask.times.get(&ExecutionState::Scheduled).copied();
            json!({
                "subtask": index,
                "endpoint": ENDPOINT,
                "duration": span(started, subtask.ended(), self.job.now).2,
                "timestamps": STATES.into_iter().map(time).collect::<Map<_, _>>(),
            })
        };
        json!({
            "id": self.vertex.id.to_string(),
            "name": self.vertex.name,
            "now": self.job.now.millis(),
            "subtasks": self.subtasks.iter().enumerate().map(times).collect::<Vec<_>>(),
        })
    }

    /// `/jobs/:jobid/vertices/:vertexid/taskmanagers`.
    pub(crate) fn task_managers(&self) -> Value {
        let mut by_task_manager: BTreeMap<Option<TaskManagerId>, Vec<SubtaskDetails>> = BTreeMap::new();
        for subtask in self.subtasks {
            by_task_manager.entry(subtask.task_manager()).or_default().push(subtask.clone());
        }
        let of_one = |(id, subtasks): (&Option<TaskManagerId>, &Vec<SubtaskDetails>)| {
            let (start, end, duration) = span_of(subtasks, self.job.now);
            json!({
                "endpoint": ENDPOINT,
                "status": aggregate_state(subtasks).to_string(),
                "start-time": start,
                "end-time": end,
                "duration": duration,
                "metrics": Figures::of(self.vertex, subtasks).to_json(),
                "status-counts": state_counts(&count_states(subtasks)),
                "taskmanager-id": task_manager_id(*id),
                "aggregated": self.aggregated(subtasks),
            })
        };
        json!({
            "id": self.vertex.id.to_string(),
            "name": self.vertex.name,
            "now": self.job.now.millis(),
            "taskmanagers": by_task_manager.iter().map(of_one).collect::<Vec<_>>(),
        })
    }

    /// `/jobs/:jobid/vertices/:vertexid/watermarks`.
    pub(crate) fn watermarks(&self) -> Value {
        let watermark = |(index, subtask): (usize, &SubtaskDetails)| {
            let figures = subtask.figures?;
            Some(json!({ "id": format!("{index}.currentInputWatermark"), "value": figures.watermark.millis().to_string() }))
        };
        self.subtasks.iter().enumerate().filter_map(watermark).collect()
    }

    /// `/jobs/:jobid/vertices/:vertexid/accumulators`.
    pub(crate) fn accumulators(&self) -> Value {
        let mut merged = BTreeMap::new();
        for (name, value) in self.subtasks.iter().flat_map(|subtask| &subtask.accumulators) {
            match merged.get_mut(name) {
                None => drop(merged.insert(name.clone(), value.clone())),
                Some(sum) => drop(brisk_core::accumulator::AccumulatorValue::merge(sum, value)),
            }
        }
        json!({ "id": self.vertex.id.to_string(), "user-accumulators": user_accumulators(&merged) })
    }

    /// `/jobs/:jobid/vertices/:vertexid/subtasks/accumulators`.
    pub(crate) fn subtask_accumulators(&self) -> Value {
        let of_one = |(index, subtask): (usize, &SubtaskDetails)| {
            json!({
                "subtask": index,
                "attempt": subtask.attempt,
                "endpoint": ENDPOINT,
                "user-accumulators": user_accumulators(&subtask.accumulators),
            })
        };
        json!({
            "id": self.vertex.id.to_string(),
            "parallelism": self.vertex.parallelism,
            "subtasks": self.subtasks.iter().enumerate().map(of_one).collect::<Vec<_>>(),
        })
    }

    /// `/jobs/:jobid/vertices/:vertexid/subtasks/:index/attempts/:attempt/accumulators`.
    pub(crate) fn attempt_accumulators(&self, index: usize) -> Value {
        let subtask = &self.subtasks[index];
        json!({
            "subtask": index,
            "attempt": subtask.attempt,
            "id": format!("{}_{}_{index}_{}", self.job.id, self.vertex.id, subtask.attempt),
            "user-accumulators": user_accumulators(&subtask.accumulators),
        })
    }

    fn aggregated(&self, subtasks: &[SubtaskDetails]) -> Value {
        let figures: Vec<Value> =
            subtasks.iter().map(|subtask| Figures::of(self.vertex, std::slice::from_ref(subtask)).to_json()).collect();
        let of_figure =
            |name: &str| (name.to_owned(), distribution(figures.iter().map(|figures| figures[name].as_f64().unwrap_or(0.0) as i64)));
        let names = [
            "read-bytes",
            "write-bytes",
            "read-records",
            "write-records",
            "accumulated-backpressured-time",
            "accumulated-idle-time",
            "accumulated-busy-time",
        ];
        let mut by_state: BTreeMap<ExecutionState, Vec<i64>> = BTreeMap::new();
        for (state, millis) in subtasks.iter().flat_map(|subtask| durations(subtask, self.job.now)) {
            by_state.entry(state).or_default().push(millis);
        }
        json!({
            "metrics": names.into_iter().map(of_figure).collect::<Map<_, _>>(),
            "status-duration": by_state.into_iter().map(|(state, millis)| (state.to_string(), distribution(millis))).collect::<Map<_, _>>(),
        })
    }
}

/// What a TaskManager is called, if the subtask has one.
fn task_manager_id(id: Option<TaskManagerId>) -> String {
    id.map_or_else(|| "(unassigned)".to_owned(), |id| id.to_string())
}

/// How long a subtask has been in each state that has not ended it.
fn durations(subtask: &SubtaskDetails, now: Timestamp) -> Vec<(ExecutionState, i64)> {
    let mut entered: Vec<(Timestamp, ExecutionState)> = subtask.times.iter().map(|(state, time)| (*time, *state)).collect();
    entered.sort_unstable();
    let left = entered.iter().skip(1).map(|(time, _)| *time).chain([now]).collect::<Vec<_>>();
    let lived = entered.iter().zip(left).filter(|((_, state), _)| !state.is_terminal());
    lived.map(|((time, state), left)| (*state, millis_between(*time, left))).collect()
}

/// Least, greatest, mean, sum and quantiles.
fn distribution(values: impl IntoIterator<Item = i64>) -> Value {
    let mut sorted: Vec<i64> = values.into_iter().collect();
    sorted.sort_unstable();
    let (sum, count) = (sorted.iter().fold(0i64, |sum, value| sum.saturating_add(*value)), sorted.len().max(1));
    let quantile = |quantile: f64| sorted.get(((quantile * count as f64).ceil() as usize).clamp(1, count) - 1).copied().unwrap_or(0);
    json!({
        "min": quantile(0.0),
        "max": quantile(1.0),
        "avg": sum / count as i64,
        "sum": sum,
        "median": quantile(0.5),
        "p25": quantile(0.25),
        "p75": quantile(0.75),
        "p95": quantile(0.95),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subtask(state: ExecutionState, times: &[(ExecutionState, i64)]) -> SubtaskDetails {
        let times = times.iter().map(|(state, millis)| (*state, Timestamp(*millis))).collect();
        SubtaskDetails { attempt: 0, state, slot: None, times, figures: None, accumulators: BTreeMap::new() }
    }

    #[test]
    fn the_state_of_a_vertex_is_that_which_says_most() {
        use ExecutionState::{Canceled, Canceling, Created, Deploying, Failed, Finished, Initializing, Running, Scheduled};
        let state = |states: &[ExecutionState]| aggregate_state(&states.iter().map(|state| subtask(*state, &[])).collect::<Vec<_>>());
        assert_eq!(state(&[Created, Scheduled, Deploying]), Created);
        assert_eq!(state(&[Running, Initializing]), Initializing);
        assert_eq!(state(&[Running, Finished]), Running);
        assert_eq!(state(&[Scheduled, Finished]), Running);
        assert_eq!(state(&[Finished, Finished]), Finished);
        assert_eq!(state(&[Canceled, Canceling]), Canceling);
        assert_eq!(state(&[Canceled, Failed, Running]), Failed);
    }

    #[test]
    fn times_of_a_subtask_are_told_apart() {
        use ExecutionState::{Created, Deploying, Finished, Running};
        let ended = subtask(Finished, &[(Created, 0), (Deploying, 10), (Running, 30), (Finished, 100)]);
        assert_eq!(durations(&ended, Timestamp(500)), [(Created, 10), (Deploying, 20), (Running, 70)]);
        let runs = subtask(Running, &[(Created, 0), (Deploying, 10), (Running, 30)]);
        assert_eq!(durations(&runs, Timestamp(500)), [(Created, 10), (Deploying, 20), (Running, 470)]);
        assert_eq!(span_of(&[ended.clone(), runs], Timestamp(500)), (10, -1, 490));
        assert_eq!(span_of(&[ended], Timestamp(500)), (10, 100, 90));
    }

    #[test]
    fn back_pressure_has_flinks_levels() {
        assert_eq!([0.0, 0.1, 0.11, 0.5, 0.51, 1.0].map(level), ["ok", "ok", "low", "low", "high", "high"]);
        let pace = TaskPace { idle: 0.25, back_pressured: 0.5, ..TaskPace::default() };
        assert!((busy_part(&pace) - 0.25).abs() < 1e-9);
        let times = [10, 4, 1].map(Duration::from_secs);
        let figures = TaskFigures { lived: times[0], idle: times[1], back_pressured: times[2], ..TaskFigures::default() };
        assert_eq!(busy(&figures), Duration::from_secs(5));
    }

    #[test]
    fn distributions_have_the_values_that_are_there() {
        let expected = json!({"min": 1, "max": 9, "avg": 4, "sum": 13, "median": 3, "p25": 1, "p75": 9, "p95": 9});
        assert_eq!(distribution([9, 1, 3]), expected);
        assert_eq!(distribution([])["max"], 0);
    }
}
