//! Checkpoints.

use brisk_base::Result;
use brisk_base::ids::VertexId;
use brisk_base::options::checkpoint_options::{
    ALIGNED_CHECKPOINT_TIMEOUT, CHECKPOINT_DIR, CHECKPOINT_INTERVAL, CHECKPOINT_MIN_PAUSE, CHECKPOINT_MODE, CHECKPOINT_TIMEOUT,
    MAX_CONCURRENT_CHECKPOINTS, STATE_BACKEND, TOLERABLE_FAILED_CHECKPOINTS, UNALIGNED_ENABLED,
};
use brisk_cluster::details::JobDetails;
use brisk_cluster::job_manager::job_master::checkpoint::settings::Retention;
use brisk_core::checkpoint::SnapshotKind;
use brisk_core::checkpoint_statistics::{
    CheckpointOutcome, CheckpointRecord, CheckpointStatistics, RestoredCheckpoint, StatsSummary, SubtaskCheckpoint, VertexCheckpoint,
};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;

/// `/jobs/:jobid/checkpoints`.
pub(crate) fn statistics(job: &JobDetails) -> Value {
    let CheckpointStatistics { counts, summary, history, latest_completed, latest_savepoint, latest_failed, latest_restored } =
        &job.checkpoints;
    let of = |record: &Option<Arc<CheckpointRecord>>| record.as_ref().map(|record| self::record(record, false));
    json!({
        "counts": {
            "restored": counts.restored,
            "total": counts.total,
            "in_progress": counts.in_progress,
            "completed": counts.completed,
            "failed": counts.failed,
        },
        "summary": {
            "checkpointed_size": distribution(&summary.stored_bytes),
            "state_size": distribution(&summary.full_bytes),
            "end_to_end_duration": distribution(&summary.duration_ms),
            "alignment_buffered": nothing(),
            "processed_data": nothing(),
            "persisted_data": distribution(&summary.in_flight_bytes),
        },
        "latest": {
            "completed": of(latest_completed),
            "savepoint": of(latest_savepoint),
            "failed": of(latest_failed),
            "restored": latest_restored.as_ref().map(restored),
        },
        "history": history.iter().map(|record| self::record(record, false)).collect::<Vec<_>>(),
    })
}

fn restored(restored: &RestoredCheckpoint) -> Value {
    json!({
        "id": restored.checkpoint.0,
        "restore_timestamp": restored.at.millis(),
        "is_savepoint": restored.savepoint,
        "external_path": restored.path,
    })
}

/// One checkpoint; with its vertices for `/jobs/:jobid/checkpoints/details/:checkpointid`.
pub(crate) fn record(record: &CheckpointRecord, with_tasks: bool) -> Value {
    let tasks = record.vertices.iter().filter(|_| with_tasks);
    let mut json = Map::new();
    let name = match record.outcome {
        CheckpointOutcome::InProgress => "in_progress",
        CheckpointOutcome::Completed { .. } => "completed",
        CheckpointOutcome::Failed { .. } => "failed",
    };
    json.insert("className".to_owned(), json!(name));
    json.extend(sums(record, &record.vertices));
    json.insert("is_savepoint".to_owned(), json!(record.kind.is_savepoint()));
    json.insert("savepointFormat".to_owned(), json!(record.kind.is_savepoint().then_some("CANONICAL")));
    json.insert("trigger_timestamp".to_owned(), json!(record.began.millis()));
    json.insert("checkpoint_type".to_owned(), json!(checkpoint_type(record)));
    json.insert(
        "tasks".to_owned(),
        tasks.map(|vertex| (vertex.vertex.to_string(), vertex_sums(record, vertex))).collect::<Map<_, _>>().into(),
    );
    match &record.outcome {
        CheckpointOutcome::InProgress => {}
        CheckpointOutcome::Completed { path, discarded } => {
            json.insert("external_path".to_owned(), json!(path));
            json.insert("discarded".to_owned(), json!(discarded));
        }
        CheckpointOutcome::Failed { at, why } => {
            json.insert("failure_timestamp".to_owned(), json!(at.millis()));
            json.insert("failure_message".to_owned(), json!(why));
        }
    }
    Value::Object(json)
}

fn checkpoint_type(record: &CheckpointRecord) -> &'static str {
    match record.kind {
        SnapshotKind::Checkpoint if record.acknowledged().any(|subtask| subtask.unaligned) => "UNALIGNED_CHECKPOINT",
        SnapshotKind::Checkpoint => "CHECKPOINT",
        SnapshotKind::Savepoint => "SAVEPOINT",
        SnapshotKind::StopWithSavepoint { .. } => "SYNC_SAVEPOINT",
    }
}

/// Sums over the subtasks of these vertices.
fn sums(record: &CheckpointRecord, vertices: &[VertexCheckpoint]) -> Map<String, Value> {
    let subtasks = || vertices.iter().flat_map(|vertex| &vertex.subtasks);
    let acknowledged: Vec<&SubtaskCheckpoint> = subtasks().flatten().collect();
    let sum = |figure: fn(&SubtaskCheckpoint) -> u64| acknowledged.iter().map(|subtask| figure(subtask)).fold(0, u64::saturating_add);
    let latest = acknowledged.iter().map(|subtask| subtask.acknowledged).max();
    let (all, num_acknowledged) = (subtasks().count(), acknowledged.len());
    let status = match record.outcome {
        CheckpointOutcome::Completed { .. } => "COMPLETED",
        CheckpointOutcome::Failed { .. } => "FAILED",
        CheckpointOutcome::InProgress => "IN_PROGRESS",
    };
    let json = json!({
        "id": record.checkpoint.0,
        "status": status,
        "latest_ack_timestamp": latest.map_or(-1, |latest| latest.millis()),
        "checkpointed_size": sum(|subtask| subtask.stored_bytes),
        "state_size": sum(|subtask| subtask.full_bytes),
        "end_to_end_duration": latest.map_or(-1, |latest| super::millis_between(record.began, latest)),
        "alignment_buffered": 0,
        "processed_data": 0,
        "persisted_data": sum(|subtask| subtask.in_flight_bytes),
        "num_subtasks": all,
        "num_acknowledged_subtasks": num_acknowledged,
    });
    match json {
        Value::Object(json) => json,
        _ => Map::new(),
    }
}

fn vertex_sums(record: &CheckpointRecord, vertex: &VertexCheckpoint) -> Value {
    Value::Object(sums(record, std::slice::from_ref(vertex)))
}

/// `/jobs/:jobid/checkpoints/details/:checkpointid/subtasks/:vertexid`; `None` if there is no such vertex.
pub(crate) fn subtasks(record: &CheckpointRecord, vertex: VertexId) -> Option<Value> {
    let vertex = record.vertices.iter().find(|candidate| candidate.vertex == vertex)?;
    let summary = |figure: &dyn Fn(&SubtaskCheckpoint) -> u64| distribution(&vertex.subtasks.iter().flatten().map(figure).collect());
    let mut json = vertex_sums(record, vertex);
    json["summary"] = json!({
        "checkpointed_size": summary(&|subtask| subtask.stored_bytes),
        "state_size": summary(&|subtask| subtask.full_bytes),
        "end_to_end_duration": summary(&|subtask| super::millis_between(record.began, subtask.acknowledged) as u64),
        "checkpoint_duration": {
            "sync": summary(&|subtask| millis(subtask.sync)),
            "async": summary(&|subtask| millis(subtask.asynchronous)),
        },
        "alignment": {
            "buffered": nothing(),
            "processed": nothing(),
            "persisted": summary(&|subtask| subtask.in_flight_bytes),
            "duration": summary(&|subtask| millis(subtask.alignment)),
        },
        "start_delay": summary(&|subtask| millis(subtask.start_delay)),
    });
    let of_one = |(index, subtask): (usize, &Option<SubtaskCheckpoint>)| match subtask {
        None => json!({ "className": "pending", "index": index, "status": "pending_or_failed" }),
        Some(subtask) => json!({
            "className": "completed",
            "index": index,
            "ack_timestamp": subtask.acknowledged.millis(),
            "end_to_end_duration": super::millis_between(record.began, subtask.acknowledged),
            "checkpointed_size": subtask.stored_bytes,
            "state_size": subtask.full_bytes,
            "checkpoint": { "sync": millis(subtask.sync), "async": millis(subtask.asynchronous) },
            "alignment": {
                "buffered": 0,
                "processed": 0,
                "persisted": subtask.in_flight_bytes,
                "duration": millis(subtask.alignment),
            },
            "start_delay": millis(subtask.start_delay),
            "unaligned_checkpoint": subtask.unaligned,
            "aborted": matches!(record.outcome, CheckpointOutcome::Failed { .. }),
            "status": "completed",
        }),
    };
    json["subtasks"] = vertex.subtasks.iter().enumerate().map(of_one).collect();
    Some(json)
}

/// `/jobs/:jobid/checkpoints/config`.
pub(crate) fn config(job: &JobDetails) -> Result<Value> {
    let config = &job.config;
    let retention = job.checkpoint_settings.retention;
    // A job without periodic checkpoints has the longest interval there is, as in Flink.
    let interval = config.get(&CHECKPOINT_INTERVAL)?.filter(|interval| !interval.is_zero()).map_or(i64::MAX as u64, millis);
    let backend = match &*config.get(&STATE_BACKEND)? {
        "hashmap" => "HashMapStateBackend".to_owned(),
        "rocksdb" => "EmbeddedRocksDBStateBackend".to_owned(),
        other => other.to_owned(),
    };
    let storage = if config.get(&CHECKPOINT_DIR)?.is_some() { "FileSystemCheckpointStorage" } else { "JobManagerCheckpointStorage" };
    Ok(json!({
        "mode": config.get(&CHECKPOINT_MODE)?.to_lowercase().replace('-', "_"),
        "interval": interval,
        "timeout": millis(config.get(&CHECKPOINT_TIMEOUT)?),
        "min_pause": millis(config.get(&CHECKPOINT_MIN_PAUSE)?),
        "max_concurrent": config.get(&MAX_CONCURRENT_CHECKPOINTS)?,
        "externalization": {
            "enabled": retention != Retention::Never,
            "delete_on_cancellation": retention != Retention::OnCancellation,
        },
        "state_backend": backend,
        "checkpoint_storage": storage,
        "unaligned_checkpoints": config.get(&UNALIGNED_ENABLED)?,
        "tolerable_failed_checkpoints": config.get(&TOLERABLE_FAILED_CHECKPOINTS)?,
        "aligned_checkpoint_timeout": millis(config.get(&ALIGNED_CHECKPOINT_TIMEOUT)?),
        "checkpoints_after_tasks_finish": true,
        "state_changelog_enabled": false,
        "changelog_periodic_materialization_interval": 600_000,
        "changelog_storage": "memory",
    }))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

/// What is not measured.
fn nothing() -> Value {
    distribution(&[0].into_iter().collect())
}

fn distribution(summary: &StatsSummary) -> Value {
    let mut json = json!({ "min": summary.min(), "max": summary.max(), "avg": summary.average() });
    let names = ["p50", "p90", "p95", "p99", "p999"];
    // Where there is no value, Flink writes a text.
    let values = summary
        .percentiles([50.0, 90.0, 95.0, 99.0, 99.9])
        .map_or([const { Value::Null }; 5].map(|_| json!("NaN")), |values| values.map(|value| json!(value)));
    names.into_iter().zip(values).for_each(|(name, value)| json[name] = value);
    json
}
