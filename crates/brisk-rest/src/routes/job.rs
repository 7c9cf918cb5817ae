//! One job: what it runs, how it stands, what its checkpoints took.

use super::{Parameters, PathParameters, aggregated};
use crate::cluster::Cluster;
use crate::error::{Answer, RestError, accepted, json_response, ok};
use crate::options::WEB_CANCEL_ENABLED;
use crate::view;
use crate::view::metrics;
use crate::view::vertex::VertexView;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get};
use brisk_base::ids::{CheckpointId, JobId, VertexId};
use brisk_cluster::details::JobDetails;
use brisk_core::checkpoint_statistics::CheckpointRecord;
use brisk_core::job::JobStatus;
use serde_json::{Value, json};
use std::sync::Arc;

/// How many failures are told when the client does not say.
const MAX_EXCEPTIONS: usize = 20;

pub(super) fn routes() -> Router<Cluster> {
    let routes: [(&str, MethodRouter<Cluster>); 26] = [
        ("/jobs/{jobid}", get(details).patch(cancel)),
        ("/jobs/{jobid}/status", get(status)),
        ("/jobs/{jobid}/plan", get(plan)),
        ("/jobs/{jobid}/config", get(config)),
        ("/jobs/{jobid}/jobmanager/config", get(cluster_config)),
        ("/jobs/{jobid}/exceptions", get(exceptions)),
        ("/jobs/{jobid}/accumulators", get(accumulators)),
        ("/jobs/{jobid}/execution-result", get(execution_result)),
        ("/jobs/{jobid}/metrics", get(job_metrics)),
        ("/jobs/{jobid}/checkpoints", get(checkpoints).post(super::operations::trigger_checkpoint)),
        ("/jobs/{jobid}/checkpoints/config", get(checkpoint_config)),
        ("/jobs/{jobid}/checkpoints/details/{checkpointid}", get(checkpoint)),
        ("/jobs/{jobid}/checkpoints/details/{checkpointid}/subtasks/{vertexid}", get(checkpoint_subtasks)),
        ("/jobs/{jobid}/vertices/{vertexid}", get(vertex)),
        ("/jobs/{jobid}/vertices/{vertexid}/subtasktimes", get(subtask_times)),
        ("/jobs/{jobid}/vertices/{vertexid}/taskmanagers", get(vertex_task_managers)),
        ("/jobs/{jobid}/vertices/{vertexid}/watermarks", get(watermarks)),
        ("/jobs/{jobid}/vertices/{vertexid}/accumulators", get(vertex_accumulators)),
        ("/jobs/{jobid}/vertices/{vertexid}/metrics", get(vertex_metrics)),
        ("/jobs/{jobid}/vertices/{vertexid}/subtasks/accumulators", get(subtask_accumulators)),
        ("/jobs/{jobid}/vertices/{vertexid}/subtasks/metrics", get(subtasks_metrics)),
        ("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}", get(subtask)),
        ("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/metrics", get(subtask_metrics)),
        ("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}", get(attempt)),
        ("/jobs/{jobid}/vertices/{vertexid}/subtasks/{subtaskindex}/attempts/{attempt}/accumulators", get(attempt_accumulators)),
        ("/jobs/{jobid}/vertices/{vertexid}/jm-operator-metrics", get(coordinator_metrics)),
    ];
    routes.into_iter().fold(Router::new(), |router, (path, handler)| router.route(path, handler))
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
    let each: Vec<_> = vertex.subtasks.iter().map(|subtask| metrics::of_subtask(&vertex, subtask)).collect();
    aggregated(&each, &parameters)
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
