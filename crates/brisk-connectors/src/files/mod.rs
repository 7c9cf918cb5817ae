//! Files: a source that reads them, and a sink that writes them.
//!
//! The enumerator lists files and hands them out as [`FileSplit`]s: whole files, or ranges of large ones where the format allows it, so
//! that several readers share one file. With [`FileSource::monitor_continuously`] it lists again from time to time.

mod config;
mod enumerator;
mod listing;
mod pattern;
mod sink;
mod source;
mod split;
mod table;
#[cfg(test)]
mod tests;

pub use config::FileSource;
pub use enumerator::PendingFiles;
pub use sink::{BasePathBuckets, BucketAssigner, BucketContext, DateTimeBuckets, FileSink, PendingPart, RollingPolicy};
pub use split::FileSplit;
pub use table::FilesTable;
