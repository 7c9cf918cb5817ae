//! Which path is answered by what. Each path is also served below `/v1`.
//!
//! | what | file |
//! |---|---|
//! | the cluster, its TaskManagers, all jobs | here |
//! | one job, its vertices and checkpoints | [`job`] |
//! | what is asked for and takes a while: savepoints, stopping, disposal | [`operations`] |
//! | programs: uploading and running them | [`programs`] |
//! | logs, threads and figures of processes | [`processes`] |
//! | the table of all paths, and its description | [`table`] |

mod job;
mod operations;
mod processes;
mod programs;
mod table;
#[cfg(test)]
mod tests;

use self::table::Table;

use crate::cluster::Cluster;
use crate::error::{Answer, RestError, ok};
use crate::view;
use crate::view::metrics;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Query, State};
use axum::http::Uri;
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Answers all paths; bodies may have so many bytes.
pub(crate) fn router(cluster: Cluster, body_limit: usize) -> Router {
    let (routes, described) = table().into_parts();
    let description: Arc<str> = table::open_api(&described).to_string().into();
    let describe = move || {
        let description = Arc::clone(&description);
        async move { ([("content-type", "application/json; charset=UTF-8")], description.to_string()) }
    };
    let routes = routes.route(OPEN_API, get(describe)).fallback(nothing_here).method_not_allowed_fallback(nothing_here);
    Router::new().nest("/v1", routes.clone()).merge(routes).layer(DefaultBodyLimit::max(body_limit)).with_state(cluster)
}

/// Answers Prometheus, as Flink's reporter on its own port: at `/metrics` and at `/`.
pub(crate) fn scraped(cluster: Cluster) -> Router {
    Router::new().route("/", get(prometheus)).route("/metrics", get(prometheus)).with_state(cluster)
}

/// Where the description of all paths is served.
const OPEN_API: &str = "/openapi.json";

/// All paths but that of their description.
fn table() -> Table {
    programs::routes(operations::routes(job::routes(processes::routes(of_cluster(Table::new())))))
}

fn of_cluster(table: Table) -> Table {
    table
        .get("/overview", "Slots and jobs in numbers", overview)
        .delete("/cluster", "Ends the cluster", shut_down)
        .get("/config", "What a dashboard needs to know", dashboard)
        .get("/metrics", "All metrics, for Prometheus", prometheus)
        .get("/jobs", "All jobs with their status", jobs)
        .get("/jobs/overview", "All jobs with times and tasks", jobs_overview)
        .get_with("/jobs/metrics", "Metrics put together over jobs", &["get", "agg", "jobs"], jobs_metrics)
        .get("/taskmanagers", "All TaskManagers", task_managers)
        .get_with("/taskmanagers/metrics", "Metrics put together over TaskManagers", &["get", "agg", "taskmanagers"], task_managers_metrics)
        .get("/taskmanagers/{taskmanagerid}", "A TaskManager with its slots", task_manager)
        .get_with("/taskmanagers/{taskmanagerid}/metrics", "Metrics of a TaskManager", &["get"], task_manager_metrics)
        .get("/jobmanager/config", "The options of the cluster", configuration)
        .get_with("/jobmanager/metrics", "Metrics of the JobManager", &["get"], job_manager_metrics)
}

/// As in Flink, which takes it for a file of its dashboard; for other methods, too.
async fn nothing_here(uri: Uri) -> RestError {
    RestError::not_found(format!("Unable to load requested file {}.", uri.path()))
}

/// The parameters behind the `?`.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// One of them.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Answer<Self> {
        let parsed: Result<Query<BTreeMap<String, String>>, QueryRejection> = Query::from_request_parts(parts, state).await;
        parsed.map(|Query(parameters)| Self(parameters)).map_err(|rejection| RestError::bad_request(rejection.body_text()))
    }
}

/// The parameters within the path.
pub(crate) struct PathParameters(BTreeMap<String, String>);

impl PathParameters {
    /// One of them, of its type.
    pub(crate) fn get<T: std::str::FromStr>(&self, name: &str) -> Answer<T> {
        let text = self.0.get(name).map_or("", String::as_str);
        text.parse().map_err(|_| RestError::path_parameter(name, text))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathParameters {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut axum::http::request::Parts, state: &S) -> Answer<Self> {
        let parsed = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
        parsed.map(|Path(parameters)| Self(parameters)).map_err(|rejection| RestError::bad_request(rejection.body_text()))
    }
}

async fn overview(State(cluster): State<Cluster>) -> Answer {
    ok(&view::cluster::overview(&cluster.jobs().await?, &cluster.task_managers().await?))
}

async fn dashboard(State(cluster): State<Cluster>) -> Answer {
    ok(&view::cluster::dashboard(cluster.gateway.config(), cluster.gateway.programs().is_some())?)
}

async fn configuration(State(cluster): State<Cluster>) -> Answer {
    ok(&view::cluster::configuration(cluster.gateway.config()))
}

async fn job_manager_metrics(State(cluster): State<Cluster>, parameters: Parameters) -> Answer {
    let own = processes::own_figures(&cluster).await?;
    let metrics = metrics::of_job_manager(&cluster.jobs().await?, &cluster.task_managers().await?, &own);
    ok(&metrics::list(&metrics, parameters.get("get")))
}

/// Everything, for Prometheus to scrape.
async fn prometheus(State(cluster): State<Cluster>) -> Answer {
    let (jobs, mut task_managers) = (cluster.jobs().await?, Vec::new());
    for details in cluster.task_managers().await? {
        // One that is lost in the meantime is left out.
        if let Ok(figures) = processes::figures(&cluster, details.id).await {
            task_managers.push((details, figures));
        }
    }
    let own = processes::own_figures(&cluster).await?;
    let text = view::prometheus::exposition(&jobs, &task_managers, &own);
    Ok(([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// As in Flink, it is answered before the cluster ends.
async fn shut_down(State(cluster): State<Cluster>) -> Answer {
    cluster.gateway.shut_down();
    ok(&json!({}))
}

async fn jobs(State(cluster): State<Cluster>) -> Answer {
    ok(&view::job::ids(&cluster.jobs().await?))
}

async fn jobs_overview(State(cluster): State<Cluster>) -> Answer {
    ok(&view::job::overview(&cluster.jobs().await?))
}

async fn jobs_metrics(State(cluster): State<Cluster>, parameters: Parameters) -> Answer {
    let wanted = |id: &str| parameters.get("jobs").is_none_or(|jobs| jobs.split(',').any(|job| job == id));
    let jobs = cluster.jobs().await?;
    let each: Vec<_> = jobs.iter().filter(|job| wanted(&job.id.to_string())).map(|job| metrics::of_job(job)).collect();
    aggregated(&each, &parameters)
}

/// Metrics of several, put together as the parameters say.
pub(crate) fn aggregated(each: &[metrics::Metrics], parameters: &Parameters) -> Answer {
    let aggregated = metrics::aggregate(each, parameters.get("get"), parameters.get("agg"));
    ok(&aggregated
        .map_err(|unknown| RestError::bad_request(format!("there is no aggregation '{unknown}': expected min, max, avg, sum or skew")))?)
}

async fn task_managers(State(cluster): State<Cluster>) -> Answer {
    ok(&view::task_manager::list(&cluster.task_managers().await?, &cluster.jobs().await?))
}

async fn task_manager(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let details = find_task_manager(&cluster, &path).await?;
    ok(&view::task_manager::details(&details, &cluster.jobs().await?))
}

async fn task_manager_metrics(State(cluster): State<Cluster>, path: PathParameters, parameters: Parameters) -> Answer {
    let details = find_task_manager(&cluster, &path).await?;
    let process = processes::figures(&cluster, details.id).await?;
    ok(&metrics::list(&metrics::of_task_manager(&details, &process), parameters.get("get")))
}

async fn task_managers_metrics(State(cluster): State<Cluster>, parameters: Parameters) -> Answer {
    let wanted = |id: &str| parameters.get("taskmanagers").is_none_or(|ids| ids.split(',').any(|wanted| wanted == id));
    let mut each = Vec::new();
    for details in cluster.task_managers().await?.into_iter().filter(|details| wanted(&details.id.to_string())) {
        // One that is lost in the meantime is left out.
        if let Ok(process) = processes::figures(&cluster, details.id).await {
            each.push(metrics::of_task_manager(&details, &process));
        }
    }
    aggregated(&each, &parameters)
}

async fn find_task_manager(cluster: &Cluster, path: &PathParameters) -> Answer<brisk_cluster::details::TaskManagerDetails> {
    let id: String = path.get("taskmanagerid")?;
    let known = cluster.task_managers().await?.into_iter().find(|task_manager| task_manager.id.to_string() == id);
    known.ok_or_else(|| RestError::not_found(format!("Could not find TaskManager with id {id}")))
}
