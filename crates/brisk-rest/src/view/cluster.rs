//! The cluster as a whole.

use crate::options::{WEB_CANCEL_ENABLED, WEB_REFRESH_INTERVAL, WEB_SUBMIT_ENABLED};
use brisk_base::Result;
use brisk_base::options::Configuration;
use brisk_cluster::details::{JobDetails, TaskManagerDetails};
use brisk_core::job::JobStatus;
use serde_json::{Value, json};
use std::sync::Arc;

/// The version of Flink whose REST this is.
const FLINK_VERSION: &str = "2.3.0";

/// What stands where Flink has its commit.
const REVISION: &str = concat!("brisk-", env!("CARGO_PKG_VERSION"));

/// `/overview`.
pub(crate) fn overview(jobs: &[Arc<JobDetails>], task_managers: &[TaskManagerDetails]) -> Value {
    let count = |is: fn(JobStatus) -> bool| jobs.iter().filter(|job| is(job.status)).count();
    json!({
        "taskmanagers": task_managers.len(),
        "slots-total": task_managers.iter().map(|task_manager| task_manager.slots).sum::<u32>(),
        "slots-available": task_managers.iter().map(|task_manager| task_manager.free).sum::<u32>(),
        "jobs-running": count(|status| !status.is_globally_terminal()),
        "jobs-finished": count(|status| status == JobStatus::Finished),
        "jobs-cancelled": count(|status| status == JobStatus::Canceled),
        "jobs-failed": count(|status| status == JobStatus::Failed),
        "flink-version": FLINK_VERSION,
        "flink-commit": REVISION,
    })
}

/// `/config`. `submits` says whether programs can be run here at all.
pub(crate) fn dashboard(config: &Configuration, submits: bool) -> Result<Value> {
    Ok(json!({
        "refresh-interval": config.get(&WEB_REFRESH_INTERVAL)?.as_millis() as u64,
        "timezone-name": "Coordinated Universal Time",
        "timezone-offset": 0,
        "flink-version": FLINK_VERSION,
        "flink-revision": REVISION,
        "features": {
            "web-submit": submits && config.get(&WEB_SUBMIT_ENABLED)?,
            "web-cancel": config.get(&WEB_CANCEL_ENABLED)?,
            "web-rescale": false,
            "web-history": false,
        },
    }))
}

/// `/jobmanager/config`: what is set. Values of secrets are hidden, as in Flink.
pub(crate) fn configuration(config: &Configuration) -> Value {
    let entry = |(key, value): (&str, &str)| {
        let secret = SECRETS.iter().any(|word| key.to_ascii_lowercase().contains(word));
        json!({ "key": key, "value": if secret { "******" } else { value } })
    };
    config.iter().map(entry).collect()
}

/// Words that mark a key whose value is a secret.
const SECRETS: [&str; 11] = [
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden() {
        let config: Configuration = [("s3.secret-key", "abc"), ("rest.port", "0")].into_iter().collect();
        assert_eq!(configuration(&config), json!([{"key": "rest.port", "value": "0"}, {"key": "s3.secret-key", "value": "******"}]));
    }
}
