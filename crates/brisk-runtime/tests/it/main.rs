//! Whole tasks over the local exchange, on each executor.

mod diamond;
mod jobs;
mod tasks;
