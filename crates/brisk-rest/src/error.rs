//! What is answered when something is wrong: Flink's `{"errors": [...]}`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use brisk_base::ids::JobId;
use brisk_base::{Error, ErrorKind};
use serde_json::{Value, json};

/// A request that could not be answered as it was meant.
#[derive(Debug)]
pub(crate) struct RestError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

/// What a request is answered with.
pub(crate) type Answer<T = Response> = std::result::Result<T, RestError>;

impl RestError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Something in the request is wrong.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A parameter of the path is not what it should be.
    pub(crate) fn path_parameter(name: &str, value: &str) -> Self {
        Self::bad_request(format!(
            "Bad request, could not parse parameters: Cannot resolve path parameter ({name}) from value \"{value}\"."
        ))
    }

    /// There is nothing of that name.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// There is no such job.
    pub(crate) fn no_job(job: JobId) -> Self {
        Self::not_found(format!("Job {job} not found"))
    }

    /// The cluster does not answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }
}

impl From<Error> for RestError {
    fn from(error: Error) -> Self {
        let status = match error.kind() {
            ErrorKind::User => StatusCode::CONFLICT,
            ErrorKind::Transient => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        json_response(self.status, &json!({ "errors": [self.message] }))
    }
}

/// A response of JSON.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    (status, [("content-type", "application/json; charset=UTF-8")], body.to_string()).into_response()
}

/// The answer to a question.
pub(crate) fn ok(body: &Value) -> Answer {
    Ok(json_response(StatusCode::OK, body))
}

/// The answer to something that has begun.
pub(crate) fn accepted(body: &Value) -> Answer {
    Ok(json_response(StatusCode::ACCEPTED, body))
}
