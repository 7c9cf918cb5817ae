//! Runs one task correctly.
//!
//! A task is one subtask of a job: a chain of operators behind an input gate, in front of its record writers. It is a state machine that
//! an executor polls. This crate knows nothing of connectors, SQL or the cluster, and starts no thread except through the executors.

pub mod barrier;
pub mod exchange;
pub mod executor;
pub mod task;
pub mod valve;
pub mod writer;
