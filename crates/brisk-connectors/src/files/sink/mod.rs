//! A sink that writes files, exactly once.
//!
//! A part file has three states, as in Flink: *in progress*, under a hidden name; *pending*, when it is closed but the checkpoint that holds
//! it is not complete; *finished*, under its own name. A checkpoint knows the parts in progress by name and length. A writer that is
//! restored cuts them to that length and goes on with them; parts in progress that the checkpoint does not know are removed.
//!
//! `writer` decides what goes where, `part` is one file, `committer` finishes, `rolling` says when a part is closed, `bucket` in which folder
//! it is, `names` how it is called. `table` drives a
//! writer with the columnar batches of a table.

mod bucket;
mod committer;
mod config;
mod names;
mod part;
mod rolling;
mod table;
#[cfg(test)]
mod tests;
mod writer;

pub use bucket::{BasePathBuckets, BucketAssigner, BucketContext, DateTimeBuckets};
pub use committer::PendingPart;
pub use config::FileSink;
pub use rolling::RollingPolicy;
pub(super) use table::FilesTableSink;
