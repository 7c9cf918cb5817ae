//! Logs, threads and figures of the processes of a cluster: of the JobManager's own, and of TaskManagers, which are asked.

use super::PathParameters;
use super::operations::parse;
use super::table::Table;
use crate::cluster::Cluster;
use crate::error::{Answer, RestError, ok};
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use brisk_base::ids::TaskManagerId;
use brisk_base::{Error, ErrorKind, Result};
use brisk_cluster::inspect::{Inspector, InspectorMessage, LogFile, ProcessFigures, ThreadInfo, WhichLog};
use brisk_cluster::transport::{Address, Reply};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/jobmanager/logs", "Log files of the JobManager", job_manager_logs)
        .get("/jobmanager/logs/{filename}", "A log file of the JobManager", job_manager_log_named)
        .get("/jobmanager/log", "The log of the JobManager", job_manager_log)
        .get("/jobmanager/stdout", "What the JobManager prints", job_manager_stdout)
        .get("/jobmanager/thread-dump", "Threads of the JobManager", job_manager_threads)
        .get("/jobmanager/log-level", "Up to which level the JobManager logs", job_manager_level)
        .put("/jobmanager/log-level", "Changes up to which level the JobManager logs", change_job_manager_level)
        .get("/taskmanagers/{taskmanagerid}/log-level", "Up to which level a TaskManager logs", task_manager_level)
        .put(
            "/taskmanagers/{taskmanagerid}/log-level",
            "Changes up to which level a TaskManager and its jobs log",
            change_task_manager_level,
        )
        .get("/taskmanagers/{taskmanagerid}/logs", "Log files of a TaskManager", task_manager_logs)
        .get("/taskmanagers/{taskmanagerid}/logs/{filename}", "A log file of a TaskManager", task_manager_log_named)
        .get("/taskmanagers/{taskmanagerid}/log", "The log of a TaskManager", task_manager_log)
        .get("/taskmanagers/{taskmanagerid}/stdout", "What a TaskManager prints", task_manager_stdout)
        .get("/taskmanagers/{taskmanagerid}/thread-dump", "Threads of a TaskManager and of its jobs", task_manager_threads)
}

/// Who looks at a process.
#[derive(Clone)]
enum Look {
    /// This one.
    Here(Inspector),
    /// Another one.
    There(Address<InspectorMessage>),
}

impl Look {
    fn at_job_manager(cluster: &Cluster) -> Self {
        Self::Here(cluster.gateway.inspector().clone())
    }

    async fn at_task_manager(cluster: &Cluster, id: TaskManagerId) -> Answer<Self> {
        let found = cluster.ask(|gateway, reply| gateway.inspector_of(id, reply)).await?;
        match found {
            Some(Some(address)) => Ok(Self::There(address)),
            Some(None) => Ok(Self::at_job_manager(cluster)),
            None => Err(RestError::not_found(format!("Could not find TaskManager with id {id}"))),
        }
    }

    async fn of_path(cluster: &Cluster, path: &PathParameters) -> Answer<Self> {
        let text: String = path.get("taskmanagerid")?;
        let unknown = || RestError::not_found(format!("Could not find TaskManager with id {text}"));
        Self::at_task_manager(cluster, text.parse().map_err(|_: Error| unknown())?).await
    }

    /// Asks; here on a thread that may wait for the file system.
    async fn ask<T: Send + 'static>(
        &self,
        cluster: &Cluster,
        here: impl FnOnce(&Inspector) -> T + Send + 'static,
        there: impl FnOnce(Reply<T>) -> InspectorMessage,
    ) -> Answer<T> {
        match self {
            Self::Here(inspector) => {
                let inspector = inspector.clone();
                let answer = tokio::task::spawn_blocking(move || here(&inspector)).await;
                answer.map_err(|_| RestError::new(StatusCode::INTERNAL_SERVER_ERROR, "the process cannot be looked at"))
            }
            Self::There(address) => cluster.ask(|_, reply| address.send(there(reply))).await,
        }
    }

    async fn piece(&self, cluster: &Cluster, which: WhichLog, offset: u64) -> Answer<Vec<u8>> {
        let wanted = which.clone();
        let read = self.ask(
            cluster,
            move |inspector| inspector.read(&which, offset),
            |reply| InspectorMessage::Read { which: wanted, offset, reply },
        );
        Ok(read.await?.map_err(missing)?.0)
    }
}

/// There is no such log.
fn missing(error: Error) -> RestError {
    if error.kind() == ErrorKind::User { RestError::not_found(error.message().to_owned()) } else { error.into() }
}

/// What a TaskManager's process uses.
pub(super) async fn figures(cluster: &Cluster, task_manager: TaskManagerId) -> Answer<ProcessFigures> {
    Look::at_task_manager(cluster, task_manager).await?.ask(cluster, Inspector::process, InspectorMessage::Process).await
}

/// What this process uses.
pub(super) async fn own_figures(cluster: &Cluster) -> Answer<ProcessFigures> {
    Look::at_job_manager(cluster).ask(cluster, Inspector::process, InspectorMessage::Process).await
}

async fn logs(cluster: &Cluster, look: Look) -> Answer {
    let files: Result<Vec<LogFile>> = look.ask(cluster, Inspector::logs, InspectorMessage::Logs).await?;
    let files: Vec<Value> = files?.iter().map(|file| json!({ "name": file.name, "size": file.size, "mtime": file.modified_ms })).collect();
    ok(&json!({ "logs": files }))
}

async fn threads(cluster: &Cluster, look: Look) -> Answer {
    let threads: Vec<ThreadInfo> = look.ask(cluster, Inspector::threads, InspectorMessage::Threads).await?;
    let infos: Vec<Value> =
        threads.iter().map(|thread| json!({ "threadName": thread.name, "stringifiedThreadInfo": thread.text })).collect();
    ok(&json!({ "threadInfos": infos }))
}

/// A log, piece by piece, so that its size does not matter. What is written while it is read is in it.
async fn log(cluster: Cluster, look: Look, which: WhichLog) -> Answer {
    // The first piece tells whether it is there at all.
    let first = look.piece(&cluster, which.clone(), 0).await?;
    let pieces = stream::unfold((Some(first), 0u64), move |(next, offset)| {
        let (cluster, look, which) = (cluster.clone(), look.clone(), which.clone());
        async move {
            let piece = match next {
                Some(piece) => piece,
                // The client sees a body that breaks off.
                None => match look.piece(&cluster, which, offset).await {
                    Ok(piece) => piece,
                    Err(error) => return Some((Err(std::io::Error::other(error.message)), (Some(Vec::new()), offset))),
                },
            };
            let offset = offset + piece.len() as u64;
            (!piece.is_empty()).then(|| (Ok(Bytes::from(piece)), (None, offset)))
        }
    });
    Ok(([("content-type", "text/plain; charset=UTF-8")], Body::from_stream(pieces)).into_response())
}

async fn job_manager_logs(State(cluster): State<Cluster>) -> Answer {
    logs(&cluster, Look::at_job_manager(&cluster)).await
}

async fn job_manager_log_named(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let look = Look::at_job_manager(&cluster);
    log(cluster, look, WhichLog::Named(path.get("filename")?)).await
}

async fn job_manager_log(State(cluster): State<Cluster>) -> Answer {
    let look = Look::at_job_manager(&cluster);
    log(cluster, look, WhichLog::Main).await
}

async fn job_manager_stdout(State(cluster): State<Cluster>) -> Answer {
    let look = Look::at_job_manager(&cluster);
    log(cluster, look, WhichLog::Stdout).await
}

/// The body of a change of level.
#[derive(Deserialize)]
struct LevelBody {
    level: String,
}

/// The level of a process's log, after it was changed to `wanted`, if that is one.
async fn level(cluster: &Cluster, look: Look, wanted: Option<String>) -> Answer {
    let there = wanted.clone();
    let level = look.ask(
        cluster,
        move |inspector| inspector.log_level(wanted.as_deref()),
        |reply| InspectorMessage::LogLevel { wanted: there, reply },
    );
    let level = level.await?.map_err(|error| RestError::bad_request(error.message().to_owned()))?;
    ok(&json!({ "level": level }))
}

async fn job_manager_level(State(cluster): State<Cluster>) -> Answer {
    level(&cluster, Look::at_job_manager(&cluster), None).await
}

async fn change_job_manager_level(State(cluster): State<Cluster>, body: Result<Bytes, BytesRejection>) -> Answer {
    level(&cluster, Look::at_job_manager(&cluster), Some(parse::<LevelBody>(body)?.level)).await
}

async fn task_manager_level(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    level(&cluster, Look::of_path(&cluster, &path).await?, None).await
}

async fn change_task_manager_level(State(cluster): State<Cluster>, path: PathParameters, body: Result<Bytes, BytesRejection>) -> Answer {
    level(&cluster, Look::of_path(&cluster, &path).await?, Some(parse::<LevelBody>(body)?.level)).await
}

async fn job_manager_threads(State(cluster): State<Cluster>) -> Answer {
    threads(&cluster, Look::at_job_manager(&cluster)).await
}

async fn task_manager_logs(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    logs(&cluster, Look::of_path(&cluster, &path).await?).await
}

async fn task_manager_log_named(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let look = Look::of_path(&cluster, &path).await?;
    log(cluster, look, WhichLog::Named(path.get("filename")?)).await
}

async fn task_manager_log(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let look = Look::of_path(&cluster, &path).await?;
    log(cluster, look, WhichLog::Main).await
}

async fn task_manager_stdout(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let look = Look::of_path(&cluster, &path).await?;
    log(cluster, look, WhichLog::Stdout).await
}

async fn task_manager_threads(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    threads(&cluster, Look::of_path(&cluster, &path).await?).await
}
