//! Programs: uploading, listing, running and deleting them (Flink's jars), and how a run stands.

use super::PathParameters;
use super::operations::parse;
use super::table::Table;
use crate::cluster::Cluster;
use crate::error::{Answer, RestError, accepted, ok};
use crate::multipart::{Found, Multipart};
use crate::options::{REST_MAX_UPLOAD, WEB_SUBMIT_ENABLED};
use crate::view;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use brisk_base::options::Configuration;
use brisk_base::options::checkpoint_options::{IGNORE_UNCLAIMED_STATE, STATE_CLAIM_MODE, STATE_RECOVERY_PATH};
use brisk_base::options::core_options::PARALLELISM_DEFAULT;
use brisk_cluster::ProgramsGateway;
use brisk_cluster::blob::{StoredBlob, Upload};
use brisk_cluster::process::messages::{ProgramsMessage, RunRequest};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a program's output that are told at once.
const MOST_OUTPUT: usize = 1 << 20;

/// Fields of the body of a run, and of a plan.
const RUN: &[(&str, &str)] = &[
    ("programArgsList", "texts"),
    ("parallelism", "integer"),
    ("savepointPath", "string"),
    ("allowNonRestoredState", "boolean"),
    ("claimMode", "string"),
    ("flinkConfiguration", "texts by name"),
];

pub(super) fn routes(table: Table) -> Table {
    table
        .get("/jars", "Programs that were uploaded", list)
        .post("/jars/upload", "Uploads a program", &[("jarfile", "file")], upload)
        .delete("/jars/{jarid}", "Deletes a program", remove)
        .post("/jars/{jarid}/run", "Runs a program", RUN, run)
        .get_with("/jars/{jarid}/plan", "What the first job of a program would run", &["programArg", "parallelism"], plan)
        .post("/jars/{jarid}/plan", "What the first job of a program would run", RUN, plan_as_asked)
        .get_with("/programs/{programid}", "How a run of a program stands, and what it has printed", &["offset"], status)
        .patch("/jobs/{jobid}/clientHeartbeat", "Says that the client of a job lives", &[], client_lives)
        .delete("/programs/{programid}", "Ends a run of a program, and cancels its jobs", end)
}

/// Programs that can be uploaded and run here.
fn programs(cluster: &Cluster) -> Answer<&ProgramsGateway> {
    let here = cluster.gateway.programs().ok_or_else(|| RestError::not_found("This cluster is part of a program and runs no others."))?;
    if !cluster.gateway.config().get(&WEB_SUBMIT_ENABLED)? {
        let message = format!("Programs cannot be submitted over REST: '{}' is false.", WEB_SUBMIT_ENABLED.key());
        return Err(RestError::new(StatusCode::FORBIDDEN, message));
    }
    Ok(here)
}

async fn upload(State(cluster): State<Cluster>, headers: HeaderMap, body: Body) -> Answer {
    let store = programs(&cluster)?.store.clone();
    let content_type = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut form = Multipart::of(content_type)
        .ok_or_else(|| RestError::bad_request("Exactly 1 file must be sent, as multipart/form-data with a boundary."))?;
    let limit = cluster.gateway.config().get(&REST_MAX_UPLOAD)?;
    let (mut body, mut upload, mut size) = (body.into_data_stream(), None::<Upload>, 0u64);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|error| RestError::bad_request(format!("The upload broke off: {error}")))?;
        size += piece.len() as u64;
        if size > limit.0 {
            let message = format!("The upload is larger than the {limit} that '{}' allows.", REST_MAX_UPLOAD.key());
            return Err(RestError::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        for found in form.feed(&piece).map_err(RestError::bad_request)? {
            match (found, &mut upload) {
                (Found::File(name), upload @ None) => *upload = Some(store.begin(&name)?),
                (Found::Bytes(bytes), Some(upload)) => upload.write(&bytes)?,
                _ => {}
            }
        }
    }
    let upload = upload.filter(|_| form.is_over()).ok_or_else(|| RestError::bad_request("The upload is not whole."))?;
    let blob = tokio::task::spawn_blocking(move || upload.finish()).await;
    let blob = blob.map_err(|_| RestError::new(StatusCode::INTERNAL_SERVER_ERROR, "the upload could not be finished"))??;
    ok(&json!({ "filename": blob.file_name(), "status": "success" }))
}

async fn list(State(cluster): State<Cluster>) -> Answer {
    let shown = |blob: StoredBlob| json!({ "id": blob.file_name(), "name": blob.name, "uploaded": blob.uploaded_ms, "entry": [{ "name": blob.name, "description": Value::Null }] });
    let files: Vec<Value> = programs(&cluster)?.store.list()?.into_iter().map(shown).collect();
    ok(&json!({ "address": format!("http://{}", cluster.gateway.config().get(&crate::options::REST_ADDRESS)?), "files": files }))
}

async fn remove(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    programs(&cluster)?.store.delete(&path.get::<String>("jarid")?).map_err(|error| RestError::not_found(error.to_string()))?;
    ok(&json!({}))
}

#[derive(Deserialize, Default)]
struct RunBody {
    #[serde(rename = "programArgsList")]
    arguments: Option<Vec<String>>,
    parallelism: Option<u32>,
    #[serde(rename = "savepointPath")]
    savepoint_path: Option<String>,
    #[serde(rename = "allowNonRestoredState")]
    allow_non_restored_state: Option<bool>,
    #[serde(rename = "claimMode", alias = "restoreMode")]
    claim_mode: Option<String>,
    #[serde(rename = "flinkConfiguration")]
    configuration: Option<BTreeMap<String, String>>,
}

impl RunBody {
    fn request(self, path: &PathParameters) -> Answer<RunRequest> {
        let Self { arguments, parallelism, savepoint_path, allow_non_restored_state, claim_mode, configuration } = self;
        let mut options: Configuration = configuration.unwrap_or_default().into_iter().collect();
        if let Some(parallelism) = parallelism {
            options.set(&PARALLELISM_DEFAULT, parallelism);
        }
        if savepoint_path.is_some() {
            options.set(&STATE_RECOVERY_PATH, savepoint_path);
        }
        if let Some(mode) = claim_mode {
            options.set(&STATE_CLAIM_MODE, mode);
        }
        if let Some(allow) = allow_non_restored_state {
            options.set(&IGNORE_UNCLAIMED_STATE, allow);
        }
        Ok(RunRequest { file_name: path.get("jarid")?, arguments: arguments.unwrap_or_default(), options })
    }
}

async fn run(State(cluster): State<Cluster>, path: PathParameters, body: Result<Bytes, BytesRejection>) -> Answer {
    let request = Box::new(parse::<RunBody>(body)?.request(&path)?);
    let programs = programs(&cluster)?.programs.clone();
    let started = cluster.ask(move |_, reply| programs.send(ProgramsMessage::Run { request, reply })).await?;
    let started = started.map_err(|error| RestError::bad_request(error.to_string()))?;
    ok(&json!({ "jobid": started.job.map(|job| job.to_string()), "programid": format!("{:032x}", started.program) }))
}

/// The parameters of a plan stand in the address.
async fn plan(State(cluster): State<Cluster>, path: PathParameters, parameters: super::Parameters) -> Answer {
    let parallelism = parameters
        .get("parallelism")
        .map(|text| text.parse().map_err(|_| RestError::bad_request(format!("parallelism is '{text}': expected a number"))));
    let arguments = parameters.get("programArg").map(|text| text.split(',').map(str::to_owned).collect());
    let body = RunBody { arguments, parallelism: parallelism.transpose()?, ..RunBody::default() };
    planned(&cluster, body.request(&path)?).await
}

async fn plan_as_asked(State(cluster): State<Cluster>, path: PathParameters, body: Result<Bytes, BytesRejection>) -> Answer {
    planned(&cluster, parse::<RunBody>(body)?.request(&path)?).await
}

async fn planned(cluster: &Cluster, request: RunRequest) -> Answer {
    let (request, programs) = (Box::new(request), programs(cluster)?.programs.clone());
    let planned = cluster.ask(move |_, reply| programs.send(ProgramsMessage::Plan { request, reply })).await?;
    ok(&view::job::planned(&planned.map_err(|error| RestError::bad_request(error.to_string()))?))
}

/// How a run of a program stands, and what it has printed from `offset` on.
async fn status(State(cluster): State<Cluster>, path: PathParameters, parameters: super::Parameters) -> Answer {
    let (id, token) = program_id(&path)?;
    let programs = programs(&cluster)?.programs.clone();
    let found = cluster.ask(move |_, reply| programs.send(ProgramsMessage::Status { token, reply })).await?;
    let found = found.ok_or_else(|| RestError::not_found(format!("Program {id} not found")))?;
    let offset: u64 = parameters.get("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
    let rest = printed(&found.log, offset).unwrap_or_default();
    let jobs: Vec<String> = found.jobs.iter().map(ToString::to_string).collect();
    let (status, code, how) = match &found.ending {
        None => ("RUNNING", None, None),
        Some(ending) => (if ending.success { "FINISHED" } else { "FAILED" }, ending.code, Some(&ending.text)),
    };
    ok(&json!({
        "id": id, "status": status, "exit-code": code, "ending": how, "jobs": jobs,
        "output": String::from_utf8_lossy(&rest), "next-offset": offset + rest.len() as u64,
    }))
}

/// The client lives. How long it may be silent is an option of the program (`client.heartbeat.timeout`), not of the request.
async fn client_lives(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let job = path.get("jobid")?;
    cluster.job(job).await?;
    if let Some(here) = cluster.gateway.programs() {
        here.programs.send(ProgramsMessage::ClientLives { job });
    }
    accepted(&json!({}))
}

/// Ends a run of a program, and cancels its jobs.
async fn end(State(cluster): State<Cluster>, path: PathParameters) -> Answer {
    let (id, token) = program_id(&path)?;
    let programs = programs(&cluster)?.programs.clone();
    let known = cluster.ask(move |_, reply| programs.send(ProgramsMessage::End { token, reply })).await?;
    if known { ok(&json!({})) } else { Err(RestError::not_found(format!("Program {id} not found"))) }
}

fn program_id(path: &PathParameters) -> Answer<(String, u128)> {
    let id: String = path.get("programid")?;
    let token = u128::from_str_radix(&id, 16).map_err(|_| RestError::path_parameter("programid", &id))?;
    Ok((id, token))
}

/// What a program has printed from a place on: up to [`MOST_OUTPUT`] bytes, cut behind a whole character.
fn printed(log: &Path, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(MOST_OUTPUT as u64).read_to_end(&mut bytes)?;
    if let Err(error) = std::str::from_utf8(&bytes)
        && error.error_len().is_none()
        && error.valid_up_to() > 0
    {
        bytes.truncate(error.valid_up_to());
    }
    Ok(bytes)
}
