//! JSON of what the cluster tells, field by field as Flink's REST has it.
//!
//! | what | file |
//! |---|---|
//! | the cluster: overview, configuration | [`cluster`] |
//! | jobs: overview, details, plan, failures, accumulators, result | [`job`] |
//! | vertices and subtasks | [`vertex`] |
//! | checkpoints | [`checkpoints`] |
//! | TaskManagers | [`task_manager`] |
//! | errors as Flink's clients read them | [`throwable`] |
//! | metrics | [`metrics`] |
//! | metrics in the form of Prometheus | [`prometheus`] |
//!
//! Nothing is made up: what Brisk does not measure is marked as incomplete where Flink has a mark for that, and 0 where a number has to be.

pub(crate) mod checkpoints;
pub(crate) mod cluster;
pub(crate) mod job;
pub(crate) mod metrics;
pub(crate) mod prometheus;
pub(crate) mod task_manager;
mod throwable;
pub(crate) mod vertex;

use brisk_base::Timestamp;
use brisk_core::job::ExecutionState;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// All states of subtasks.
pub(crate) const STATES: [ExecutionState; 10] = [
    ExecutionState::Created,
    ExecutionState::Scheduled,
    ExecutionState::Deploying,
    ExecutionState::Initializing,
    ExecutionState::Running,
    ExecutionState::Finished,
    ExecutionState::Canceling,
    ExecutionState::Canceled,
    ExecutionState::Failed,
    ExecutionState::Reconciling,
];

/// Subtasks by state, zeros included.
pub(crate) fn state_counts(counts: &BTreeMap<ExecutionState, usize>) -> Value {
    let count = |state: ExecutionState| (state.to_string(), json!(counts.get(&state).copied().unwrap_or(0)));
    Value::Object(STATES.into_iter().map(count).collect::<Map<_, _>>())
}

/// Milliseconds from one time to another.
pub(crate) fn millis_between(from: Timestamp, to: Timestamp) -> i64 {
    to.millis().saturating_sub(from.millis()).max(0)
}

/// Begin, end and duration as Flink writes them: -1 for what has not been.
pub(crate) fn span(started: Option<Timestamp>, ended: Option<Timestamp>, now: Timestamp) -> (i64, i64, i64) {
    let duration = started.map_or(-1, |started| millis_between(started, ended.unwrap_or(now)));
    (started.map_or(-1, Timestamp::millis), ended.map_or(-1, Timestamp::millis), duration)
}
