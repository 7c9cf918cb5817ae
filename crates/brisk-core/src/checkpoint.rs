//! Barriers: what cuts the stream at a checkpoint (Chandy and Lamport 1985, as Flink adapts it: Carbone et al. 2015).
//!
//! A barrier enters at the sources and flows with the records. What comes before it belongs to the checkpoint, what comes after it does not.

use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use std::time::Duration;

/// How a task waits for the barriers of its channels.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Alignment {
    /// It does not: records behind a barrier are processed before the others' barriers have come, and again after a failure.
    AtLeastOnce,
    /// A channel whose barrier has come is not read until all have come.
    Aligned,
    /// Barriers overtake records; what they overtook becomes part of the checkpoint.
    Unaligned,
    /// Aligned for this long from the checkpoint's begin, then unaligned.
    AlignedTimeout(Duration),
}

impl Alignment {
    /// Whether barriers may overtake records now or later.
    pub const fn may_overtake(self) -> bool {
        matches!(self, Self::Unaligned | Self::AlignedTimeout(_))
    }
}

/// What a snapshot is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SnapshotKind {
    /// Recovery: files may be shared with other checkpoints, in the backend's own form.
    Checkpoint,
    /// The user: self-contained, in the one form that every backend reads.
    Savepoint,
    /// As [`Savepoint`](Self::Savepoint); the job stops behind the barrier.
    StopWithSavepoint {
        /// Whether event time ends before the barrier, so that all windows and timers fire.
        drain: bool,
    },
}

impl SnapshotKind {
    /// Whether it is the user's.
    pub const fn is_savepoint(self) -> bool {
        !matches!(self, Self::Checkpoint)
    }

    /// Whether the job stops behind the barrier.
    pub const fn stops(self) -> bool {
        matches!(self, Self::StopWithSavepoint { .. })
    }
}

/// The barrier of one checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Barrier {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Processing time at which it was triggered.
    pub timestamp: Timestamp,
    /// What it is for.
    pub kind: SnapshotKind,
    /// How it travels.
    pub alignment: Alignment,
}

impl Barrier {
    /// The same barrier, unaligned from now on.
    #[must_use]
    pub const fn unaligned(self) -> Self {
        Self { alignment: Alignment::Unaligned, ..self }
    }
}
