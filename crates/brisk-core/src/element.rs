//! The elements of a stream: batches, and what controls them in between.

use crate::batch::AnyBatch;
use crate::checkpoint::Barrier;
use brisk_base::Timestamp;

/// Whether a channel takes part in event time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamStatus {
    /// Its watermark counts.
    Active,
    /// It has nothing to say for now; its watermark is left out of the minimum.
    Idle,
}

/// One element of a stream, in order with the others of its channel.
#[derive(Debug)]
pub enum Element {
    /// Rows.
    Batch(Box<dyn AnyBatch>),
    /// No row with this timestamp or an earlier one comes any more (but late ones).
    Watermark(Timestamp),
    /// The channel becomes active or idle.
    Status(StreamStatus),
    /// Made at a source at the given processing time; travels with the stream to measure its latency.
    LatencyMarker(Timestamp),
    /// A checkpoint's cut through the channel.
    Barrier(Barrier),
    /// No rows come any more; barriers may.
    EndOfInput,
    /// Nothing at all comes any more: the producer is over.
    EndOfChannel,
}

impl Element {
    /// Rows in it; 0 for control elements.
    pub fn rows(&self) -> usize {
        match self {
            Self::Batch(batch) => batch.len(),
            _ => 0,
        }
    }

    /// A copy, for outputs with several readers.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Batch(batch) => Self::Batch(batch.clone_batch()),
            Self::Watermark(watermark) => Self::Watermark(*watermark),
            Self::Status(status) => Self::Status(*status),
            Self::LatencyMarker(at) => Self::LatencyMarker(*at),
            Self::Barrier(barrier) => Self::Barrier(*barrier),
            Self::EndOfInput => Self::EndOfInput,
            Self::EndOfChannel => Self::EndOfChannel,
        }
    }
}
