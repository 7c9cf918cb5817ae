//! Checkpoints in S3, and in stores that speak its protocol (`s3://bucket/folder`; also `s3a://` and `s3p://`, as Flink's users write).
//!
//! Region, endpoint and credentials come from the environment, by the names that Amazon's own tools use: `AWS_REGION`, `AWS_ENDPOINT_URL`,
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, or the role of the machine. An endpoint that begins with `http://`
//! is taken at its word.
//!
//! Invariants: an object appears when its last byte has been taken over, and not before; parts of one that is never finished are deleted.
//! Calls that fail for a passing reason (throttling, a server that restarts, a broken connection) are repeated for a minute.
//!
//! | what | file |
//! |---|---|
//! | [`ObjectStorage`]: a folder of objects as [`CheckpointStorage`] | `storage.rs` |
//! | one object written, one read | `file.rs` |

mod file;
mod storage;

pub use storage::ObjectStorage;

use brisk_base::{Error, Result};
use brisk_state::checkpoint_storage::CheckpointStorage;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// The schemes of URIs that [`open`] knows.
pub const SCHEMES: [&str; 3] = ["s3", "s3a", "s3p"];

/// How long a call that fails for a passing reason is repeated.
const RETRY_FOR: Duration = Duration::from_secs(60);

/// Opens the folder at `s3://bucket/folder`, with settings from the environment. Nothing is asked of the store yet.
///
/// # Errors
/// When the URI names no bucket, or the settings do not fit together.
pub fn open(uri: &str) -> Result<Arc<dyn CheckpointStorage>> {
    // Variables that are no text are none of Amazon's.
    open_with(uri, std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))))
}

/// As [`open`], with settings by the names that they have in the environment. Others are ignored.
///
/// # Errors
/// As there.
pub fn open_with(uri: &str, settings: impl IntoIterator<Item = (String, String)>) -> Result<Arc<dyn CheckpointStorage>> {
    let (bucket, folder) = parse(uri)?;
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(5), base: 2.0 },
        max_retries: 100,
        retry_timeout: RETRY_FOR,
    };
    let mut builder = AmazonS3Builder::new().with_retry(retry);
    for (name, value) in settings {
        let Some(key) = name.strip_prefix("AWS_").and_then(|_| name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>().ok()) else {
            continue;
        };
        if matches!(key, AmazonS3ConfigKey::Endpoint | AmazonS3ConfigKey::S3Endpoint) && value.starts_with("http://") {
            builder = builder.with_allow_http(true);
        }
        builder = builder.with_config(key, value);
    }
    let builder = builder.with_bucket_name(bucket);
    let store = builder.build().map_err(|error| Error::user(format!("'{uri}' cannot be used: {error}")))?;
    Ok(Arc::new(ObjectStorage::new(Arc::new(store), uri, folder)?))
}

/// Bucket and folder of an URI.
fn parse(uri: &str) -> Result<(&str, &str)> {
    let wrong = || Error::user(format!("'{uri}' names no place in S3: write s3://bucket/path/to/folder"));
    let (scheme, rest) = uri.split_once("://").ok_or_else(wrong)?;
    let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
    if !SCHEMES.contains(&scheme) || bucket.is_empty() {
        return Err(wrong());
    }
    Ok((bucket, folder.trim_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        assert_eq!(parse("s3://flights/checkpoints/7/").unwrap(), ("flights", "checkpoints/7"));
        assert_eq!(parse("s3a://flights").unwrap(), ("flights", ""));
        for wrong in ["s3:///x", "gs://flights/x", "/flights", "s3://"] {
            assert!(parse(wrong).unwrap_err().to_string().contains("s3://bucket/path/to/folder"), "{wrong}");
        }
    }
}
