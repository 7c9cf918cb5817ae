//! What is known of a job's checkpoints: how many there were, the last ones in detail, and what completed ones took (Flink's
//! `CheckpointStatsSnapshot`).
//!
//! Plain data. It is bounded: a job's JobMaster keeps as many checkpoints as `web.checkpoints.history` says.

use crate::checkpoint::SnapshotKind;
use brisk_base::Timestamp;
use brisk_base::ids::{CheckpointId, VertexId};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// What one subtask's part of a checkpoint took.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SubtaskCheckpoint {
    /// When its acknowledgement came.
    pub acknowledged: Timestamp,
    /// From the checkpoint's begin to the first barrier.
    pub start_delay: Duration,
    /// From the first barrier to the last.
    pub alignment: Duration,
    /// What it took the task itself.
    pub sync: Duration,
    /// What it took in the background.
    pub asynchronous: Duration,
    /// Bytes that the checkpoint refers to.
    pub full_bytes: u64,
    /// Bytes that were stored for it.
    pub stored_bytes: u64,
    /// Bytes of records under way that were stored.
    pub in_flight_bytes: u64,
    /// Whether barriers were allowed to overtake records.
    pub unaligned: bool,
}

/// What a vertex's part of a checkpoint took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VertexCheckpoint {
    /// The vertex.
    pub vertex: VertexId,
    /// By subtask; `None` while it has not acknowledged. One that had finished before has nothing to store.
    pub subtasks: Vec<Option<SubtaskCheckpoint>>,
}

/// What became of a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckpointOutcome {
    /// It is under way.
    InProgress,
    /// It is complete.
    Completed {
        /// The folder that belongs to it alone.
        path: String,
        /// Whether it has been deleted, because newer ones took its place.
        discarded: bool,
    },
    /// It was given up.
    Failed {
        /// When.
        at: Timestamp,
        /// Why.
        why: String,
    },
}

/// One checkpoint or savepoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckpointRecord {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// What it is for.
    pub kind: SnapshotKind,
    /// When it began.
    pub began: Timestamp,
    /// What its tasks have stored, in the order of the graph.
    pub vertices: Vec<VertexCheckpoint>,
    /// What became of it.
    pub outcome: CheckpointOutcome,
}

impl CheckpointRecord {
    /// The subtasks that have acknowledged.
    pub fn acknowledged(&self) -> impl Iterator<Item = &SubtaskCheckpoint> {
        self.vertices.iter().flat_map(|vertex| vertex.subtasks.iter().flatten())
    }

    /// Subtasks in all.
    pub fn subtasks(&self) -> usize {
        self.vertices.iter().map(|vertex| vertex.subtasks.len()).sum()
    }

    /// When the last acknowledgement came.
    pub fn latest_acknowledgement(&self) -> Option<Timestamp> {
        self.acknowledged().map(|subtask| subtask.acknowledged).max()
    }

    /// From its begin to its last acknowledgement, or to when it was given up.
    pub fn duration(&self) -> Duration {
        let end = match &self.outcome {
            CheckpointOutcome::Failed { at, .. } => *at,
            _ => self.latest_acknowledgement().unwrap_or(self.began),
        };
        (end - self.began).to_duration()
    }

    /// The sum of a figure over the subtasks that have acknowledged.
    pub fn sum(&self, figure: impl Fn(&SubtaskCheckpoint) -> u64) -> u64 {
        self.acknowledged().map(figure).fold(0, u64::saturating_add)
    }
}

/// The checkpoint that a job began from, for the first time or after a failure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoredCheckpoint {
    /// Its number.
    pub checkpoint: CheckpointId,
    /// When it was restored.
    pub at: Timestamp,
    /// Whether it is a savepoint.
    pub savepoint: bool,
    /// Its folder.
    pub path: String,
}

/// How many checkpoints there were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckpointCounts {
    /// Times that the job began from one.
    pub restored: u64,
    /// Begun.
    pub total: u64,
    /// Under way.
    pub in_progress: u64,
    /// Complete.
    pub completed: u64,
    /// Given up.
    pub failed: u64,
}

/// How a figure is distributed: least, greatest and mean of all values, percentiles of the last [`StatsSummary::WINDOW`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StatsSummary {
    min: u64,
    max: u64,
    sum: u64,
    count: u64,
    window: VecDeque<u64>,
}

impl StatsSummary {
    /// How many values percentiles are taken of.
    pub const WINDOW: usize = 1000;

    /// Adds a value.
    pub fn add(&mut self, value: u64) {
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = self.max.max(value);
        self.sum = self.sum.saturating_add(value);
        self.count += 1;
        if self.window.len() == Self::WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(value);
    }

    /// The least value; 0 when there is none.
    pub const fn min(&self) -> u64 {
        self.min
    }

    /// The greatest value; 0 when there is none.
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The mean, rounded down; 0 when there is no value.
    pub fn average(&self) -> u64 {
        self.sum.checked_div(self.count).unwrap_or(0)
    }

    /// How many values there were.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// These percentiles (0 to 100), interpolated between the values closest to each; `None` when there is no value.
    pub fn percentiles<const N: usize>(&self, percentiles: [f64; N]) -> Option<[f64; N]> {
        if self.window.is_empty() {
            return None;
        }
        let mut sorted: Vec<u64> = self.window.iter().copied().collect();
        sorted.sort_unstable();
        let at = |index: usize| sorted[index.clamp(1, sorted.len()) - 1] as f64;
        Some(percentiles.map(|percentile| {
            let position = percentile / 100.0 * (sorted.len() + 1) as f64;
            let (lower, fraction) = (position.floor() as usize, position.fract());
            at(lower) + fraction * (at(lower + 1) - at(lower))
        }))
    }
}

impl FromIterator<u64> for StatsSummary {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
        let mut summary = Self::default();
        values.into_iter().for_each(|value| summary.add(value));
        summary
    }
}

/// What completed checkpoints took.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckpointSummary {
    /// Bytes that were stored.
    pub stored_bytes: StatsSummary,
    /// Bytes that checkpoints refer to.
    pub full_bytes: StatsSummary,
    /// Milliseconds from the begin to the last acknowledgement.
    pub duration_ms: StatsSummary,
    /// Bytes of records under way that were stored.
    pub in_flight_bytes: StatsSummary,
}

impl CheckpointSummary {
    /// Adds a completed checkpoint.
    pub fn add(&mut self, record: &CheckpointRecord) {
        self.stored_bytes.add(record.sum(|subtask| subtask.stored_bytes));
        self.full_bytes.add(record.sum(|subtask| subtask.full_bytes));
        self.duration_ms.add(record.duration().as_millis() as u64);
        self.in_flight_bytes.add(record.sum(|subtask| subtask.in_flight_bytes));
    }
}

/// See the module. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CheckpointStatistics {
    /// How many there were.
    pub counts: CheckpointCounts,
    /// What completed ones took.
    pub summary: Arc<CheckpointSummary>,
    /// The last ones, the newest first.
    pub history: Vec<Arc<CheckpointRecord>>,
    /// The last one that was completed and is no savepoint.
    pub latest_completed: Option<Arc<CheckpointRecord>>,
    /// The last savepoint that was completed.
    pub latest_savepoint: Option<Arc<CheckpointRecord>>,
    /// The last one that was given up.
    pub latest_failed: Option<Arc<CheckpointRecord>>,
    /// The last one that the job began from.
    pub latest_restored: Option<RestoredCheckpoint>,
}

impl CheckpointStatistics {
    /// A checkpoint that is still known.
    pub fn find(&self, checkpoint: CheckpointId) -> Option<&Arc<CheckpointRecord>> {
        let latest = [&self.latest_completed, &self.latest_savepoint, &self.latest_failed];
        self.history.iter().chain(latest.into_iter().flatten()).find(|record| record.checkpoint == checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_extremes_mean_and_interpolated_percentiles() {
        assert_eq!(StatsSummary::default().percentiles([50.0]), None);
        let one: StatsSummary = [7].into_iter().collect();
        assert_eq!((one.min(), one.max(), one.average(), one.percentiles([0.0, 50.0, 99.9])), (7, 7, 7, Some([7.0; 3])));
        let summary: StatsSummary = [40, 10, 30, 20].into_iter().collect();
        assert_eq!((summary.min(), summary.max(), summary.average(), summary.count()), (10, 40, 25, 4));
        assert_eq!(summary.percentiles([25.0, 50.0, 75.0, 95.0]), Some([12.5, 25.0, 37.5, 40.0]));
    }

    #[test]
    fn percentiles_are_those_of_the_window_and_extremes_those_of_all_values() {
        let old = std::iter::repeat_n(1_000_000, 10);
        let summary: StatsSummary = old.chain(std::iter::repeat_n(5, StatsSummary::WINDOW)).collect();
        assert_eq!(summary.window.len(), StatsSummary::WINDOW);
        assert_eq!((summary.max(), summary.percentiles([99.9])), (1_000_000, Some([5.0])));
    }
}
