//! How records are spread over the subtasks of the next vertex (Flink's `StreamPartitioner`s).

use crate::batch::AnyBatch;
use brisk_base::Result;
use std::fmt;
use std::sync::Arc;

/// Computes the frozen key hash of each row.
pub trait KeyHasher: Send + Sync {
    /// Replaces `hashes` by one hash per row.
    ///
    /// # Errors
    /// When the batch is not of the expected type.
    fn hash(&self, batch: &dyn AnyBatch, hashes: &mut Vec<u64>) -> Result<()>;

    /// What the key is, for plans and messages.
    fn describe(&self) -> String;
}

/// Chooses a target for each row: a user's partitioner.
pub trait RowSelector: Send + Sync {
    /// Replaces `targets` by one target below `count` per row.
    ///
    /// # Errors
    /// When the user's partitioner fails or gives a target that does not exist.
    fn select(&self, batch: &dyn AnyBatch, count: u32, targets: &mut Vec<u32>) -> Result<()>;
}

/// See the module.
#[derive(Clone)]
pub enum Partitioner {
    /// Subtask i to subtask i; the only one that may be chained.
    Forward,
    /// Each record to the next target in turn.
    Rebalance,
    /// As rebalance, within the targets that belong to this subtask.
    Rescale,
    /// To a random target.
    Shuffle,
    /// To all.
    Broadcast,
    /// To the first.
    Global,
    /// By key group of the key's hash.
    Hash(Arc<dyn KeyHasher>),
    /// By the user's choice.
    Custom(Arc<dyn RowSelector>),
}

impl Partitioner {
    /// Flink's name of the ship strategy.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Forward => "FORWARD",
            Self::Rebalance => "REBALANCE",
            Self::Rescale => "RESCALE",
            Self::Shuffle => "SHUFFLE",
            Self::Broadcast => "BROADCAST",
            Self::Global => "GLOBAL",
            Self::Hash(_) => "HASH",
            Self::Custom(_) => "CUSTOM",
        }
    }

    /// Whether a subtask reaches only some of the next vertex's subtasks (forward, rescale).
    pub const fn is_pointwise(&self) -> bool {
        matches!(self, Self::Forward | Self::Rescale)
    }
}

impl fmt::Debug for Partitioner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
