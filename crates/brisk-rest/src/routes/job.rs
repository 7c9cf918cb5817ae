//! One job: what it runs, how it stands, what its checkpoints took.

use super::table::Table;
use super::{Parameters, PathParameters, aggregated};
use crate::cluster::Cluster;
use crate::error::{Answer, RestError, accepted, json_response, ok};
use crate::options::WEB_CANCEL_ENABLED;
use crate::view;
use crate::view::metrics;
use crate::view::vertex::VertexView;
use axum::extract::State;
use axum::http::StatusCode;
use brisk_base::ids::{CheckpointId, JobId, VertexId};
use brisk_cluster::details::JobDetails;
use brisk_core::checkpoint_statistics::CheckpointRecord;
use brisk_core::job::JobStatus;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many failures are told when the client does not say.
const MAX_EXCEPTIONS: usize = 20;

pub(super) fn routes(table: Table) -> Table {
    of_vertices(of_job(table))
}

fn of_job(table: Table) -> Table {
    table
        .get("/jobs/{jobid}", "A job with its vertices and its plan", details)
        .patch("/jobs/{jobid}", "Cancels a job", &["mode"], cancel)
        .get("/jobs/{jobid}/status", "The status of a job", status)
        .get("/jobs/{jobid}/plan", "What a job runs", plan)
        .get("/jobs/{jobid}/config", "How a job is configured", config)
        .get("/jobs/{jobid}/jobmanager/config", "The options that a job runs with", cluster_config)
        .get_with("/jobs/{jobid}/exceptions", "What has failed, the newest first", &["maxExceptions"], exceptions)
        .get("/jobs/{jobid}/accumulators", "Accumulators of a job", accumulators)
        .get("/jobs/{jobid}/execution-result", "How a job has ended", execution_result)
        .get_with("/jobs/{jobid}/metrics", "Metrics of a job", &["get"], job_metrics)
        .get("/jobs/{jobid}/checkpoints", "What checkpoints of a job took", checkpoints)
        .get("/jobs/{jobid}/checkpoints/config", "How checkpoints of a job are configured", checkpoint_config)
        .get("/jobs/{jobid}/checkpoints/details/{checkpointid}", "A checkpoint by vertex", checkpoint)
        .get("/jobs/{jobid}/checkpoints/details/{checkpointid}/subtasks/{vertexid}", "A checkpoint by subtask", checkpoint_subtasks)
        .get("/jobs/{jobid}/resource-requirements", "Not possible: the parallelism of a job is fixed while it runs", not_adaptive)
        .put("/jobs/{jobid}/resource-requirements", "Not possible: the parallelism of a job is fixed while it runs", not_adaptive)
        .patch(
            "/jobs/{jobid}/rescaling",
            "Not possible: stop a job with a savepoint and begin it from there",
            &["parallelism"],
            no_rescaling,
        )
        .get("/jobs/{jobid}/rescaling/{triggerid}", "Not possible, as rescaling", no_rescaling)
}

fn of_vertices(table: Table) -> Table {
    table
        .get("/jobs/{jobid}/vertices/{vertexid}", "A vertex with its subtasks", vertex)
        .get("/jobs/{jobid}/vertices/{vertexid}/backpressure", "How subtasks have spent the last minute", back_pressure)
        .get("/jobs/{jobid}/vertices/{vertexid}/subtasktimes", "When subtasks came into their states", subtask_times)
        .get("/jobs/{jobid}/vertices/{vertexid}/taskmanagers", "A vertex by TaskManager", vertex_task_managers)
        .get("/jobs/{jobid}/vertices/{vertexid}/watermarks", "Watermarks of subtasks", watermarks)
        .get("/jobs/{jobid}/vertices/{vertexid}/accumulators", "Accumulators of a vertex", vertex_accumulators)
        .get_with("/jobs/{jobid}/vertices/{vertexid}/metrics", "Metrics of all subtasks", &["get"], vertex_metrics)
        .get_with("/jobs/{jobid}/vertices/{vertexid}/flamegraph", "Not sampled: says so", &["type", "subtaskindex"], flame_graph)
        .get("/jobs/{jobid}/vertices/{vertexid}/jm-operator-metrics", "Metrics of coordinators", coordinator_metrics)
        .get("/jobs/{jobid}/vertices/{vertexid}/subtasks/accumulators", "Accumulators by subtask", subtask_accumulators)
        .get_with(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/metrics",
            "Metrics put together over subtasks",
            &["get", "agg", "subtasks"],
            subtasks_metrics,
        )
        .get("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}", "A subtask", subtask)
        .get_with("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/metrics", "Metrics of a subtask", &["get"], subtask_metrics)
        .get("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}", "The current attempt of a subtask", attempt)
        .get(
            "/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}/accumulators",
            "Accumulators of an attempt",
            attempt_accumulators,
        )
}

/// The job that the path names.
async fn job(cluster: &Cluster, path: &PathParameters) -> Answer<Arc<JobDetails>> {
    cluster.job(path.get::<JobId>("jobid")?).await
}

/// The vertex that the path names.
fn vertex_of<'a>(job: &'a JobDetails, path: &PathParameters) -> Answer<VertexView<'a>> {
    let id: VertexId = path.get("vertexid")?;
    let index = job.plan.vertices.iter().position(|vertex| vertex.id == id);
    let index = index.ok_or_else(|| RestError::not_found(format!("JobVertex {id} not found")))?;
    Ok(VertexView { job, vertex: &job.plan.vertices[index], subtasks: &job.subtasks[index] })
}

/// The subtask that the path names.
fn subtask_of(vertex: &VertexView<'_>, path: &PathParameters) -> Answer<usize> {
    let index: usize = path.get("subtaskindex")?;
    if index >= vertex.subtasks.len() {
        return Err(RestError::not_found(format!("Invalid subtask index for vertex {}", vertex.vertex.id)));
    }
    Ok(index)
}

async fn details(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::job::details(&*job(&cluster, &path).await?))
}

/// `?mode=cancel`, which is also what is meant when nothing is said.
async fn cancel(State(cluster): State<Cluster>, path: PathParameters, parameters: Parameters) -> Answer {
    let mode = parameters.get("mode").unwrap_or("cancel");
    if mode != "cancel" {
        let message = format!("The termination mode '{mode}' is not supported: use mode=cancel, or POST to /jobs/:jobid/stop");
        return Err(RestError::bad_request(message));
    }
    if !cluster.gateway.config().get(&WEB_CANCEL_ENABLED)? {
        return Err(RestError::new(
            StatusCode::FORBIDDEN,
            format!("'{}' is false: jobs cannot be cancelled here", WEB_CANCEL_ENABLED.key()),
        ));
    }
    let job = job(&cluster, &path).await?;
    if matches!(job.status, JobStatus::Finished | JobStatus::Failed) {
        let message = format!("Job cancellation failed because the job has already reached another terminal state ({}).", job.status);
        return Err(RestError::new(StatusCode::CONFLICT, message));
    }
    cluster.gateway.cancel(job.id);
    accepted(&json!({}))
}

async fn status(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&json!({ "status": job(&cluster, &path).await?.status.to_string() }))
}

async fn plan(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::job::plan(&*job(&cluster, &path).await?))
}

async fn config(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::job::config(&*job(&cluster, &path).await?)?)
}

async fn cluster_config(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::cluster::configuration(&job(&cluster, &path).await?.config))
}

async fn exceptions(State(cluster): State<Cluster>, path: PathParameters, parameters: Parameters) -> Answer {
    let most = match parameters.get("maxExceptions") {
        Some(text) => text.parse().map_err(|_| RestError::bad_request(format!("maxExceptions is '{text}': expected a number")))?,
        None => MAX_EXCEPTIONS,
    };
    ok(&view::job::exceptions(&*job(&cluster, &path).await?, most))
}

async fn accumulators(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::job::accumulators(&*job(&cluster, &path).await?))
}

async fn execution_result(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::job::execution_result(&*job(&cluster, &path).await?))
}

async fn job_metrics(State(cluster): State<Cluster>, path: PathParameters, parameters: Parameters) -> Answer {
    ok(&metrics::list(&metrics::of_job(&*job(&cluster, &path).await?), parameters.get("get")))
}

async fn checkpoints(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::checkpoints::statistics(&*job(&cluster, &path).await?))
}

async fn checkpoint_config(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    ok(&view::checkpoints::config(&*job(&cluster, &path).await?)?)
}

fn checkpoint_of(job: &JobDetails, path: &PathParameters) -> Answer<Arc<CheckpointRecord>> {
    let id = CheckpointId(path.get("checkpointid")?);
    job.checkpoints.find(id).cloned().ok_or_else(|| RestError::not_found(format!("Could not find checkpoint with id {id}.")))
}

async fn checkpoint(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = job(&cluster, &path).await?;
    ok(&view::checkpoints::record(&*checkpoint_of(&job, &path)?, true))
}

async fn checkpoint_subtasks(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let (record, vertex) = (checkpoint_of(&job, &path)?, path.get::<VertexId>("vertexid")?);
    let subtasks = view::checkpoints::subtasks(&record, vertex);
    ok(&subtasks.ok_or_else(|| RestError::not_found(format!("There is no checkpoint statistics for task {vertex}.")))?)
}

/// Answers with what `view` makes of the vertex that the path names.
async fn of_vertex(cluster: &Cluster, path: &PathParameters, view: fn(&VertexView<'_>) -> Value) -> Answer {
    let job = job(cluster, path).await?;
    Ok(json_response(StatusCode::OK, &view(&vertex_of(&job, path)?)))
}

async fn vertex(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |vertex| vertex.details()).await
}

async fn subtask_times(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |vertex| vertex.times()).await
}

async fn vertex_task_managers(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |vertex| vertex.task_managers()).await
}

async fn back_pressure(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |vertex| vertex.back_pressure()).await
}

/// Nothing is sampled: what Flink answers when that is switched off.
async fn flame_graph(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |_| json!({ "endTimestamp": -2, "data": null })).await
}

/// As with Flink's scheduler that cannot change a running job.
async fn not_adaptive(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let why = format!(
        "job {} cannot change its parallelism while it runs: stop it with a savepoint, and begin it from there with another one",
        job.id
    );
    Ok(json_response(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "errors": ["Internal server error.", why] })))
}

async fn no_rescaling(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let why = format!("Rescaling is not possible: stop job {} with a savepoint, and begin it from there with another parallelism.", job.id);
    Err(RestError::unavailable(why))
}

async fn watermarks(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |vertex| vertex.watermarks()).await
}

async fn vertex_accumulators(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |vertex| vertex.accumulators()).await
}

async fn subtask_accumulators(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |vertex| vertex.subtask_accumulators()).await
}

async fn vertex_metrics(State(cluster): State<Cluster>, path: PathParameters, parameters: Parameters) -> Answer {
    let job = job(&cluster, &path).await?;
    ok(&metrics::list(&metrics::of_vertex(&vertex_of(&job, &path)?), parameters.get("get")))
}

async fn subtasks_metrics(State(cluster): State<Cluster>, path: PathParameters, parameters: Parameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let vertex = vertex_of(&job, &path)?;
    let wanted = wanted_subtasks(parameters.get("subtasks"), vertex.subtasks.len())?;
    let each: Vec<_> = wanted.into_iter().map(|index| metrics::of_subtask(&vertex, &vertex.subtasks[index])).collect();
    aggregated(&each, &parameters)
}

/// `0,2-4`: subtasks by their indexes and by ranges of them, all of them when nothing is said. Those that are not there are left out.
fn wanted_subtasks(text: Option<&str>, count: usize) -> Answer<BTreeSet<usize>> {
    let Some(text) = text else { return Ok((0..count).collect()) };
    let wrong = || RestError::bad_request(format!("subtasks is '{text}': expected indexes and ranges of them, such as 0,2-4"));
    let mut wanted = BTreeSet::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let [from, to] = [from, to].map(|index| index.trim().parse::<usize>());
        let (from, to) = (from.map_err(|_| wrong())?, to.map_err(|_| wrong())?);
        wanted.extend((from..=to.min(count.saturating_sub(1))).filter(|index| *index < count));
    }
    Ok(wanted)
}

async fn subtask(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let vertex = vertex_of(&job, &path)?;
    ok(&vertex.subtask(subtask_of(&vertex, &path)?))
}

/// The subtask whose current attempt the path names. Earlier ones are not kept.
fn attempt_of(vertex: &VertexView<'_>, path: &PathParameters) -> Answer<usize> {
    let index = subtask_of(vertex, path)?;
    let attempt: u32 = path.get("attempt")?;
    if vertex.subtasks[index].attempt != attempt {
        let current = vertex.subtasks[index].attempt;
        return Err(RestError::not_found(format!("Attempt {attempt} of subtask {index} is not known: the current one is {current}")));
    }
    Ok(index)
}

async fn attempt(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let vertex = vertex_of(&job, &path)?;
    ok(&vertex.subtask(attempt_of(&vertex, &path)?))
}

async fn attempt_accumulators(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let vertex = vertex_of(&job, &path)?;
    ok(&vertex.attempt_accumulators(attempt_of(&vertex, &path)?))
}

/// Source coordinators keep no metrics.
async fn coordinator_metrics(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    of_vertex(&cluster, &path, |_| json!([])).await
}

async fn subtask_metrics(State(cluster): State<Cluster>, path: PathParameters, parameters: Parameters) -> Answer {
    let job = job(&cluster, &path).await?;
    let vertex = vertex_of(&job, &path)?;
    let subtask = &vertex.subtasks[subtask_of(&vertex, &path)?];
    ok(&metrics::list(&metrics::of_subtask(&vertex, subtask), parameters.get("get")))
}
