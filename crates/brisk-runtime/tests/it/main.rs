//! Whole tasks over the local exchange, on each executor.

mod jobs;
mod tasks;
