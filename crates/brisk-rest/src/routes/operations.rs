//! What is asked for and takes a while: the client gets a number, and asks with it what became of it.

use super::PathParameters;
use super::table::Table;
use crate::cluster::Cluster;
use crate::error::{Answer, RestError, accepted, json_response, ok};
use crate::view::job::failure_cause;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use brisk_base::ids::JobId;
use brisk_base::options::checkpoint_options::SAVEPOINT_DIR;
use brisk_cluster::details::OperationStatus;
use brisk_cluster::{Gateway, OperationKey, SnapshotRequest};
use brisk_core::checkpoint::SnapshotKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) fn routes(table: Table) -> Table {
    table
        .post(
            "/jobs/{jobid}/savepoints",
            "Makes a savepoint",
            &[("target-directory", "string"), ("cancel-job", "boolean"), ("formatType", "string"), ("triggerId", "string")],
            trigger_savepoint,
        )
        .get("/jobs/{jobid}/savepoints/{triggerid}", "What became of a savepoint, or of stopping with one", savepoint_status)
        .post(
            "/jobs/{jobid}/checkpoints",
            "Makes a checkpoint now",
            &[("checkpointType", "string"), ("triggerId", "string")],
            trigger_checkpoint,
        )
        .get("/jobs/{jobid}/checkpoints/{triggerid}", "What became of a checkpoint", checkpoint_status)
        .post(
            "/jobs/{jobid}/stop",
            "Stops a job with a savepoint",
            &[("targetDirectory", "string"), ("drain", "boolean"), ("formatType", "string"), ("triggerId", "string")],
            stop,
        )
        .post("/savepoint-disposal", "Deletes a savepoint", &[("savepoint-path", "string"), ("triggerId", "string")], dispose)
        .get("/savepoint-disposal/{triggerid}", "What became of a disposal", disposal_status)
}

/// The number of a request: 32 hexadecimal digits, as Flink's `TriggerId`.
fn trigger_of(text: &str) -> Answer<u128> {
    text.parse::<JobId>()
        .map(|id| id.0)
        .map_err(|_| RestError::bad_request(format!("the trigger id '{text}' is not 32 hexadecimal digits")))
}

/// Parses a body; an empty one is an object without fields.
pub(super) fn parse<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Answer<T> {
    let body = body.map_err(|rejection| RestError::new(rejection.status(), rejection.body_text()))?;
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|error| RestError::bad_request(format!("Bad request received: {error}")))
}

#[derive(Deserialize)]
struct SavepointBody {
    #[serde(rename = "target-directory")]
    target_directory: Option<String>,
    #[serde(rename = "cancel-job")]
    cancel_job: Option<bool>,
    #[serde(rename = "formatType")]
    format_type: Option<String>,
    #[serde(rename = "triggerId")]
    trigger_id: Option<String>,
}

async fn trigger_savepoint(State(cluster): State<Cluster>, path: PathParameters, body: Result<Bytes, BytesRejection>) -> Answer {
    let SavepointBody { target_directory, cancel_job, format_type, trigger_id } = parse(body)?;
    check_format(format_type.as_deref())?;
    let then_cancel = cancel_job.unwrap_or(false);
    trigger(&cluster, &path, trigger_id, target_directory, SnapshotKind::Savepoint, then_cancel).await
}

#[derive(Deserialize)]
struct StopBody {
    #[serde(rename = "targetDirectory")]
    target_directory: Option<String>,
    drain: Option<bool>,
    #[serde(rename = "formatType")]
    format_type: Option<String>,
    #[serde(rename = "triggerId")]
    trigger_id: Option<String>,
}

async fn stop(State(cluster): State<Cluster>, path: PathParameters, body: Result<Bytes, BytesRejection>) -> Answer {
    let StopBody { target_directory, drain, format_type, trigger_id } = parse(body)?;
    check_format(format_type.as_deref())?;
    let kind = SnapshotKind::StopWithSavepoint { drain: drain.unwrap_or(false) };
    trigger(&cluster, &path, trigger_id, target_directory, kind, false).await
}

/// Brisk's savepoints have one form, which every backend reads: Flink's word for that is canonical.
fn check_format(format: Option<&str>) -> Answer<()> {
    match format.map(str::to_ascii_uppercase).as_deref() {
        None | Some("CANONICAL") => Ok(()),
        Some("NATIVE") => Err(RestError::bad_request("formatType NATIVE does not exist here: savepoints are CANONICAL")),
        Some(other) => Err(RestError::bad_request(format!("formatType is '{other}': expected CANONICAL"))),
    }
}

#[derive(Deserialize)]
struct CheckpointBody {
    #[serde(rename = "checkpointType")]
    checkpoint_type: Option<String>,
    #[serde(rename = "triggerId")]
    trigger_id: Option<String>,
}

pub(super) async fn trigger_checkpoint(
    State(cluster): State<Cluster>,
    path: PathParameters,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let CheckpointBody { checkpoint_type, trigger_id } = parse(body)?;
    // Whether a checkpoint shares files with the one before it is the backend's matter.
    if let Some(other) = checkpoint_type.filter(|kind| !["CONFIGURED", "FULL", "INCREMENTAL"].contains(&kind.as_str())) {
        return Err(RestError::bad_request(format!("checkpointType is '{other}': expected CONFIGURED, FULL or INCREMENTAL")));
    }
    trigger(&cluster, &path, trigger_id, None, SnapshotKind::Checkpoint, false).await
}

async fn trigger(
    cluster: &Cluster,
    path: &PathParameters,
    trigger_id: Option<String>,
    folder: Option<String>,
    kind: SnapshotKind,
    then_cancel: bool,
) -> Answer {
    let job = cluster.job(path.get("jobid")?).await?;
    if kind.is_savepoint() && folder.is_none() && job.config.get(&SAVEPOINT_DIR)?.is_none() {
        let field = if kind.stops() { "targetDirectory" } else { "target-directory" };
        let message = format!("Config key [{}] is not set. Property [{field}] must be provided.", SAVEPOINT_DIR.key());
        return Err(RestError::bad_request(message));
    }
    let trigger = trigger_id.map_or_else(|| Ok(cluster.gateway.world().random_id()), |text| trigger_of(&text))?;
    let request = SnapshotRequest { job: job.id, trigger, folder, kind, then_cancel };
    cluster.ask(|gateway, reply| gateway.trigger_snapshot(request, reply)).await??;
    accepted(&request_id(trigger))
}

fn request_id(trigger: u128) -> Value {
    json!({ "request-id": format!("{trigger:032x}") })
}

async fn status_of(cluster: &Cluster, job: Option<JobId>, path: &PathParameters) -> Answer<OperationStatus> {
    let trigger = trigger_of(&path.get::<String>("triggerid")?)?;
    let key = OperationKey { job, trigger };
    let status = cluster.ask(|gateway: &Gateway, reply| gateway.operation(key, reply)).await?;
    status.ok_or_else(|| RestError::not_found(format!("There is no operation with the trigger id {trigger:032x}, or it ended long ago.")))
}

/// Flink's form of how an operation stands; `completed` says what it gave.
fn operation(status: OperationStatus, completed: impl FnOnce(String) -> Value) -> Answer {
    let (id, operation) = match status {
        OperationStatus::InProgress => return ok(&json!({ "status": { "id": "IN_PROGRESS" } })),
        OperationStatus::Completed(what) => ("COMPLETED", completed(what)),
        OperationStatus::Failed(message) => ("COMPLETED", json!({ "failure-cause": failure_cause("brisk.Error", &message) })),
    };
    ok(&json!({ "status": { "id": id }, "operation": operation }))
}

async fn savepoint_status(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let status = status_of(&cluster, Some(path.get("jobid")?), &path).await?;
    operation(status, |folder| json!({ "location": folder }))
}

async fn checkpoint_status(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let status = status_of(&cluster, Some(path.get("jobid")?), &path).await?;
    // A checkpoint's folder is called `chk-` and its number.
    operation(status, |folder| json!({ "checkpointId": folder.rsplit("chk-").next().and_then(|id| id.parse::<u64>().ok()) }))
}

#[derive(Deserialize)]
struct DisposalBody {
    #[serde(rename = "savepoint-path")]
    savepoint_path: Option<String>,
}

async fn dispose(State(cluster): State<Cluster>, body: Result<Bytes, BytesRejection>) -> Answer {
    let DisposalBody { savepoint_path } = parse(body)?;
    let path = savepoint_path.ok_or_else(|| RestError::bad_request("Field savepoint-path must be provided."))?;
    let trigger = cluster.gateway.world().random_id();
    cluster.ask(|gateway: &Gateway, reply| gateway.dispose_savepoint(trigger, path, reply)).await??;
    Ok(json_response(StatusCode::OK, &request_id(trigger)))
}

async fn disposal_status(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    operation(status_of(&cluster, None, &path).await?, |_| json!({}))
}
