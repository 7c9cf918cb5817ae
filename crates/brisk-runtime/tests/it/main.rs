//! Whole tasks over the local exchange, on each executor.

#![expect(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod diamond;
mod jobs;
mod tasks;
