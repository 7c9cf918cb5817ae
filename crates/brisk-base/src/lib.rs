//! Ground floor of Brisk: what every other crate may use.
//!
//! It holds plain values (time, ids), the one error type, option declarations, metric handles, and [`world::World`], the seam through
//! which the engine sees clocks, randomness and threads. It knows nothing of records, operators or jobs, and does no I/O.

#[cfg(feature = "mimalloc")]
pub mod allocator;
pub mod error;
pub mod ids;
pub mod metrics;
pub mod options;
pub mod time;
pub mod world;

pub use error::{Error, ErrorKind, Result, ResultExt};
pub use time::{Millis, Timestamp};
