//! States that expire, below the level of handles: what has expired is left out of full snapshots, and dropped by compaction.

mod live;

pub(crate) use live::LiveTable;
#[cfg(feature = "rocksdb")]
pub(crate) use live::has_expired;
