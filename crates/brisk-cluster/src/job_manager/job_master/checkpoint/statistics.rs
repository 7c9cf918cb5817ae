//! Follows a job's checkpoints for those who want to know what they took (Flink's `CheckpointStatsTracker`). Decides nothing.
//!
//! Invariant: it holds what is under way, and of the rest no more than the history's length and the latest of each kind.

use super::completed::CompletedCheckpoint;
use crate::job::SnapshotFigures;
use brisk_base::Timestamp;
use brisk_base::ids::{AttemptId, CheckpointId};
use brisk_core::checkpoint::{Alignment, Barrier};
use brisk_core::checkpoint_statistics::{
    CheckpointOutcome, CheckpointRecord, CheckpointStatistics, RestoredCheckpoint, SubtaskCheckpoint, VertexCheckpoint,
};
use brisk_core::job_graph::JobGraph;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// See the module.
pub struct CheckpointTracker {
    /// How many checkpoints the history has.
    keep: usize,
    /// Checkpoints under way, and whether barriers overtake at once.
    open: BTreeMap<CheckpointId, (CheckpointRecord, bool)>,
    /// What is known of the others.
    past: CheckpointStatistics,
}

impl CheckpointTracker {
    /// A tracker that has seen nothing.
    pub fn new(keep: usize) -> Self {
        Self { keep, open: BTreeMap::new(), past: CheckpointStatistics::default() }
    }

    /// A checkpoint begins. Tasks that have finished have nothing to store.
    pub fn began(&mut self, barrier: Barrier, graph: &JobGraph, finished: &BTreeSet<AttemptId>) {
        let nothing = SubtaskCheckpoint { acknowledged: barrier.timestamp, ..SubtaskCheckpoint::default() };
        let vertex = |vertex: &brisk_core::job_graph::JobVertex| VertexCheckpoint {
            vertex: vertex.id,
            subtasks: vec![None; vertex.parallelism as usize],
        };
        let mut record = CheckpointRecord {
            checkpoint: barrier.checkpoint,
            kind: barrier.kind,
            began: barrier.timestamp,
            vertices: graph.vertices.iter().map(vertex).collect(),
            outcome: CheckpointOutcome::InProgress,
        };
        for attempt in finished {
            if let Some(subtask) = subtask(&mut record, *attempt) {
                *subtask = Some(nothing);
            }
        }
        self.open.insert(barrier.checkpoint, (record, barrier.alignment == Alignment::Unaligned));
        self.past.counts.total += 1;
    }

    /// A task has stored its part. What does not belong to a checkpoint under way changes nothing.
    pub fn acknowledged(&mut self, attempt: AttemptId, checkpoint: CheckpointId, figures: &SnapshotFigures, now: Timestamp) {
        let Some((record, unaligned)) = self.open.get_mut(&checkpoint) else { return };
        let unaligned = *unaligned || figures.in_flight_records > 0;
        if let Some(subtask) = subtask(record, attempt).filter(|subtask| subtask.is_none()) {
            *subtask = Some(SubtaskCheckpoint {
                acknowledged: now,
                start_delay: figures.start_delay,
                alignment: figures.alignment,
                sync: figures.sync,
                asynchronous: figures.asynchronous,
                full_bytes: figures.full_bytes,
                stored_bytes: figures.stored_bytes,
                in_flight_bytes: figures.in_flight_bytes,
                unaligned,
            });
        }
    }

    /// A checkpoint is complete; its own folder.
    pub fn completed(&mut self, checkpoint: CheckpointId, path: &str) {
        let Some((mut record, _)) = self.open.remove(&checkpoint) else { return };
        record.outcome = CheckpointOutcome::Completed { path: path.to_owned(), discarded: false };
        self.past.counts.completed += 1;
        Arc::make_mut(&mut self.past.summary).add(&record);
        let record = Arc::new(record);
        let latest = if record.kind.is_savepoint() { &mut self.past.latest_savepoint } else { &mut self.past.latest_completed };
        *latest = Some(Arc::clone(&record));
        self.keep(record);
    }

    /// A checkpoint has been given up.
    pub fn failed(&mut self, checkpoint: CheckpointId, why: &str, now: Timestamp) {
        let Some((mut record, _)) = self.open.remove(&checkpoint) else { return };
        record.outcome = CheckpointOutcome::Failed { at: now, why: why.to_owned() };
        self.past.counts.failed += 1;
        let record = Arc::new(record);
        self.past.latest_failed = Some(Arc::clone(&record));
        self.keep(record);
    }

    /// A completed checkpoint is deleted.
    pub fn discarded(&mut self, checkpoint: CheckpointId) {
        let latest = self.past.latest_completed.as_mut().into_iter();
        for record in self.past.history.iter_mut().chain(latest).filter(|record| record.checkpoint == checkpoint) {
            if let CheckpointOutcome::Completed { discarded, .. } = &mut Arc::make_mut(record).outcome {
                *discarded = true;
            }
        }
    }

    /// The job begins from a checkpoint.
    pub fn restored(&mut self, from: &CompletedCheckpoint, now: Timestamp) {
        self.past.counts.restored += 1;
        let (checkpoint, savepoint, path) = (from.id(), from.metadata.kind.is_savepoint(), from.folder.clone());
        self.past.latest_restored = Some(RestoredCheckpoint { checkpoint, at: now, savepoint, path });
    }

    /// What is known now.
    pub fn statistics(&self) -> CheckpointStatistics {
        let mut statistics = self.past.clone();
        statistics.counts.in_progress = self.open.len() as u64;
        statistics.history.extend(self.open.values().map(|(record, _)| Arc::new(record.clone())));
        sort_and_cut(&mut statistics.history, self.keep);
        statistics
    }

    fn keep(&mut self, record: Arc<CheckpointRecord>) {
        self.past.history.push(record);
        sort_and_cut(&mut self.past.history, self.keep);
    }
}

/// The newest first, and no more than these.
fn sort_and_cut(history: &mut Vec<Arc<CheckpointRecord>>, keep: usize) {
    history.sort_by_key(|record| std::cmp::Reverse(record.checkpoint));
    history.truncate(keep);
}

fn subtask(record: &mut CheckpointRecord, attempt: AttemptId) -> Option<&mut Option<SubtaskCheckpoint>> {
    record.vertices.iter_mut().find(|vertex| vertex.vertex == attempt.vertex)?.subtasks.get_mut(attempt.subtask as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::ids::VertexId;
    use brisk_core::checkpoint::SnapshotKind;
    use brisk_core::job_graph::JobVertex;
    use std::time::Duration;

    fn graph() -> JobGraph {
        let vertex = |id, parallelism| JobVertex {
            id: VertexId(id),
            name: format!("v{id}"),
            operators: Vec::new(),
            parallelism,
            max_parallelism: 128,
            inputs: 0,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            slot_sharing_group: "default".to_owned(),
            co_location_group: None,
            dedicated_thread: false,
        };
        JobGraph { vertices: vec![vertex(1, 2), vertex(2, 1)], ..JobGraph::default() }
    }

    fn task(vertex: u128, subtask: u32) -> AttemptId {
        AttemptId { vertex: VertexId(vertex), subtask, attempt: 0 }
    }

    fn barrier(id: u64, kind: SnapshotKind) -> Barrier {
        Barrier { checkpoint: CheckpointId(id), timestamp: Timestamp(100 * id as i64), kind, alignment: Alignment::Aligned }
    }

    fn bytes(full_bytes: u64) -> SnapshotFigures {
        SnapshotFigures { full_bytes, stored_bytes: full_bytes / 2, alignment: Duration::from_millis(3), ..SnapshotFigures::default() }
    }

    fn complete(tracker: &mut CheckpointTracker, id: u64, kind: SnapshotKind) {
        tracker.began(barrier(id, kind), &graph(), &BTreeSet::new());
        for (index, attempt) in [task(1, 0), task(1, 1), task(2, 0)].into_iter().enumerate() {
            tracker.acknowledged(attempt, CheckpointId(id), &bytes(10), Timestamp(100 * id as i64 + 5 * (index as i64 + 1)));
        }
        tracker.completed(CheckpointId(id), &format!("chk-{id}"));
    }

    #[test]
    fn a_checkpoint_is_followed_from_its_begin_to_its_end() {
        let mut tracker = CheckpointTracker::new(10);
        tracker.began(barrier(1, SnapshotKind::Checkpoint), &graph(), &[task(2, 0)].into());
        tracker.acknowledged(task(1, 1), CheckpointId(1), &bytes(40), Timestamp(107));
        tracker.acknowledged(task(1, 1), CheckpointId(1), &bytes(999), Timestamp(999));
        tracker.acknowledged(task(7, 0), CheckpointId(1), &bytes(999), Timestamp(999));
        tracker.acknowledged(task(1, 0), CheckpointId(9), &bytes(999), Timestamp(999));
        let under_way = tracker.statistics();
        assert_eq!((under_way.counts.in_progress, under_way.counts.total, under_way.history.len()), (1, 1, 1));
        let record = &under_way.history[0];
        assert_eq!((record.subtasks(), record.acknowledged().count(), record.sum(|part| part.full_bytes)), (3, 2, 40));
        tracker.acknowledged(task(1, 0), CheckpointId(1), &bytes(2), Timestamp(130));
        tracker.completed(CheckpointId(1), "chk-1");
        let done = tracker.statistics();
        assert_eq!((done.counts.in_progress, done.counts.completed), (0, 1));
        let latest = done.latest_completed.expect("it is complete");
        assert_eq!((latest.duration(), latest.sum(|part| part.stored_bytes)), (Duration::from_millis(30), 21));
        assert_eq!((done.summary.full_bytes.max(), done.summary.duration_ms.average()), (42, 30));
    }

    #[test]
    fn the_history_is_bounded_and_the_latest_of_each_kind_stay() {
        let mut tracker = CheckpointTracker::new(2);
        complete(&mut tracker, 1, SnapshotKind::Savepoint);
        tracker.began(barrier(2, SnapshotKind::Checkpoint), &graph(), &BTreeSet::new());
        tracker.failed(CheckpointId(2), "the disk is full", Timestamp(250));
        (3..6).for_each(|id| complete(&mut tracker, id, SnapshotKind::Checkpoint));
        tracker.discarded(CheckpointId(4));
        let statistics = tracker.statistics();
        let ids: Vec<u64> = statistics.history.iter().map(|record| record.checkpoint.0).collect();
        assert_eq!(ids, [5, 4]);
        let discarded = |record: &CheckpointRecord| matches!(record.outcome, CheckpointOutcome::Completed { discarded: true, .. });
        assert_eq!(statistics.history.iter().map(|record| discarded(record)).collect::<Vec<_>>(), [false, true]);
        assert_eq!(statistics.find(CheckpointId(1)).map(|record| record.kind), Some(SnapshotKind::Savepoint));
        let failed = statistics.find(CheckpointId(2)).expect("the latest that failed");
        assert_eq!((failed.duration(), failed.acknowledged().count()), (Duration::from_millis(50), 0));
        assert_eq!(statistics.find(CheckpointId(3)), None);
        assert_eq!((statistics.counts.total, statistics.counts.completed, statistics.counts.failed), (5, 4, 1));
    }
}
