//! Brisk: stateful computation over unbounded and bounded streams, with Apache Flink's concepts and words.
//!
//! A program gets a [`StreamEnvironment`], makes streams from sources, transforms them, gives them sinks, and executes the graph it has
//! described so. The engine runs inside of the program: scheduler, tasks and exchanges are the real ones.
//!
//! ```
//! use brisk::prelude::*;
//!
//! fn main() -> Result<()> {
//!     let env = StreamEnvironment::get()?;
//!     let counts = env
//!         .from_elements(["to be or not", "to be"].map(String::from))
//!         .flat_map(|line: String, out: &mut Collector<(String, u64)>| {
//!             for word in line.split_whitespace() {
//!                 out.collect((word.to_lowercase(), 1));
//!             }
//!         })
//!         .key_by(|(word, _)| word.clone())
//!         .sum(|pair| &mut pair.1)
//!         .collect()?;
//!     assert!(counts.contains(&("be".to_string(), 2)));
//!     Ok(())
//! }
//! ```
//!
//! This crate has no logic of its own: it puts the crates of the engine together and gives them one name.

#[cfg(doctest)]
mod book;
/// The daemons of a cluster, for the command `brisk`.
#[cfg(feature = "rest")]
#[doc(hidden)]
pub mod daemon;
mod embedded;
mod environment;
pub mod options;
pub mod prelude;
mod process;
mod progress;
#[cfg(feature = "sql")]
mod sql;

#[cfg(feature = "mimalloc")]
pub use brisk_base::allocator;
pub use brisk_base::{Error, ErrorKind, Millis, Result, ResultExt, Timestamp, ids, metrics, time, world};
pub use brisk_connectors as connectors;
pub use brisk_core::{accumulator, batch, checkpoint_statistics, element, function, job, job_graph, operator, sink, source, state, types};
pub use brisk_formats as formats;
pub use brisk_stream as stream;
pub use brisk_stream::StreamEnvironment;
#[cfg(feature = "sql")]
pub use brisk_table as table;
pub use environment::EnvironmentExt;
#[cfg(feature = "sql")]
pub use sql::sql_session;

/// What derived code names.
#[doc(hidden)]
pub mod __private {
    pub use brisk_core::types;
}

/// The programs of the README are tested, too.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
