//! What can be asked for: savepoints, checkpoints, stopping, disposal.

use crate::client::{Served, running_job};
use crate::shape::assert_like_flink;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

const DISPOSED: &str = "get_savepoint_disposal_triggerid";

/// Asks for something, waits for it, and gives what became of it.
fn operation(served: &Served, (post, body): (&str, &Value), name: &str, get: &str, get_name: &str) -> Value {
    let (status, answer) = served.request("POST", post, &body.to_string());
    assert_like_flink(name, status, &answer);
    let path = format!("{get}/{}", answer["request-id"].as_str().expect("a request id"));
    let ended = served.until(&path, |body| body["status"]["id"] == "COMPLETED");
    // What was captured of a disposal is one that failed.
    if ended["operation"]["failure-cause"].is_null() != (get_name == DISPOSED) {
        assert_like_flink(get_name, 200, &ended);
    }
    ended["operation"].clone()
}

#[test]
fn savepoints_are_made_and_disposed() {
    let dir = tempfile::tempdir().expect("a folder");
    let served = Served::new(&[]);
    let (_job, path) = running_job(&served);
    let savepoints = format!("{path}/savepoints");
    let body = json!({ "target-directory": dir.path(), "cancel-job": false, "formatType": "CANONICAL" });
    let names = ("post_jobs_jobid_savepoints", "get_jobs_jobid_savepoints_triggerid");
    let made = operation(&served, (&savepoints, &body), names.0, &savepoints, names.1);
    let location = made["location"].as_str().expect("a folder").to_owned();
    assert!(Path::new(&location).join("_metadata").exists(), "{location}");
    let statistics = served.ok(&format!("{path}/checkpoints"));
    assert_eq!(statistics["latest"]["savepoint"]["external_path"], location);
    // Something else in the folder stays.
    std::fs::write(Path::new(&location).join("mine.txt"), "not Brisk's").expect("the folder is there");
    let disposal = "/savepoint-disposal";
    let body = json!({ "savepoint-path": location });
    assert_eq!(operation(&served, (disposal, &body), "post_savepoint_disposal", disposal, DISPOSED), json!({}));
    let left: Vec<_> = std::fs::read_dir(&location).expect("it is there").map(|entry| entry.expect("readable").file_name()).collect();
    assert_eq!(left, ["mine.txt"]);
    let again = operation(&served, (disposal, &body), "post_savepoint_disposal", disposal, DISPOSED);
    let why = again["failure-cause"]["stack-trace"].as_str().expect("a reason");
    assert!(why.contains("could not dispose savepoint"), "{why}");
    let object = again["failure-cause"]["serialized-throwable"].as_str().expect("Flink's clients look at nothing else");
    assert!(object.starts_with("rO0ABXNyAClvcmcuYXBhY2hlLmZsaW5rLnV0aWwuU2VyaWFsaXplZFRocm93YWJsZ"), "{object}");
}

#[test]
fn a_job_is_stopped_with_a_savepoint_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let served = Served::new(&[]);
    let (job, path) = running_job(&served);
    let trigger = "0123456789abcdef0123456789abcdef";
    let body = json!({ "targetDirectory": dir.path(), "drain": false, "triggerId": trigger }).to_string();
    let first = served.request("POST", &format!("{path}/stop"), &body);
    assert_eq!(first, (202, json!({ "request-id": trigger })));
    let (status, _) = served.request("POST", &format!("{path}/stop"), &body);
    assert!(status == 202 || status == 409, "it is stopping, or has stopped: {status}");
    let savepoint = served.until(&format!("{path}/savepoints/{trigger}"), |body| body["status"]["id"] == "COMPLETED");
    assert!(savepoint["operation"]["location"].is_string(), "{savepoint}");
    job.wait_for(LONG).expect("it ends").expect("it finishes");
    served.until(&format!("{path}/status"), |body| body["status"] == "FINISHED");
    assert_like_flink("get_jobs_jobid_finished", 200, &served.ok(&path));
    let (status, body) = served.request("PATCH", &format!("{path}?mode=cancel"), "");
    assert_eq!(status, 409, "{body}");
    let made: Vec<_> = std::fs::read_dir(dir.path()).expect("readable").collect();
    assert_eq!(made.len(), 1, "one savepoint");
}

#[test]
fn a_checkpoint_is_made_at_once_and_a_savepoint_may_cancel() {
    let dir = tempfile::tempdir().expect("a folder");
    let served = Served::new(&[]);
    let (job, path) = running_job(&served);
    let checkpoints = format!("{path}/checkpoints");
    let body = json!({ "checkpointType": "FULL" });
    let names = ("post_jobs_jobid_checkpoints", "get_jobs_jobid_checkpoints_triggerid");
    let made = operation(&served, (&checkpoints, &body), names.0, &checkpoints, names.1);
    assert_eq!(made["checkpointId"], 1);
    assert_eq!(served.ok(&checkpoints)["latest"]["completed"]["id"], 1);
    let savepoints = format!("{path}/savepoints");
    let body = json!({ "target-directory": dir.path(), "cancel-job": true });
    let (status, _) = served.request("POST", &savepoints, &body.to_string());
    assert_eq!(status, 202);
    job.wait_for(LONG).expect("it ends").expect_err("it was cancelled");
    let made: Vec<_> = std::fs::read_dir(dir.path()).expect("readable").collect();
    assert_eq!(made.len(), 1, "one savepoint");
}

#[test]
fn what_cannot_be_done_is_said() {
    let served = Served::new(&[]);
    let (job, path) = running_job(&served);
    let savepoints = format!("{path}/savepoints");
    let (status, body) = served.request("POST", &savepoints, "{}");
    assert_like_flink("post_savepoint_of_canceled", status, &body);
    let refused = [
        ("POST", savepoints.as_str(), r#"{"formatType": "NATIVE", "target-directory": "/tmp"}"#, 400, "CANONICAL"),
        ("POST", &savepoints, r#"{"target-directory": 7}"#, 400, "expected a string"),
        ("POST", &savepoints, "no json", 400, "Bad request"),
        ("POST", &savepoints, r#"{"triggerId": "xyz", "target-directory": "/tmp"}"#, 400, "32 hexadecimal digits"),
        ("POST", "/savepoint-disposal", "{}", 400, "savepoint-path"),
        ("PATCH", &format!("{path}?mode=stop"), "", 400, "POST to /jobs/:jobid/stop"),
        ("PATCH", "/jobs/00000000000000000000000000000000", "", 404, "not found"),
        ("GET", &format!("{savepoints}/00000000000000000000000000000000"), "", 404, "no operation"),
        ("GET", &format!("{path}/vertices/00000000000000000000000000000000"), "", 404, "not found"),
        ("GET", &format!("{path}/exceptions?maxExceptions=all"), "", 400, "maxExceptions"),
        ("GET", "/jobs/metrics?agg=median", "", 400, "median"),
        ("GET", "/taskmanagers/nobody", "", 404, "nobody"),
        ("DELETE", "/overview", "", 404, "/overview"),
    ];
    for (method, path, body, status, part) in refused {
        let (answered, errors) = served.request(method, path, body);
        let text = errors["errors"][0].as_str().unwrap_or_default();
        assert!(answered == status && text.contains(part), "{method} {path} {body}: {answered} {errors}");
    }
    job.cancel();
    job.wait_for(LONG).expect("it ends").expect_err("it was cancelled");
    served.until("/overview", |body| body["jobs-cancelled"] == 1);
    let (status, body) = served.request("POST", &savepoints, r#"{"target-directory": "/tmp/none"}"#);
    assert_eq!(status, 409, "{body}");
}
