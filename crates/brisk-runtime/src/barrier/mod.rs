//! Barriers in a task: when its snapshot is taken, and which elements under way belong to it.
//!
//! * [`BarrierTracker`]: what the barriers of a task's channels mean. No I/O, no data.
//! * [`InFlight`]: elements under way that are part of an unaligned checkpoint.

mod in_flight;
mod tracker;

pub use in_flight::{ChannelElements, ChannelKey, ChannelStanding, InFlight, InFlightElements, Stored};
pub use tracker::{BarrierTracker, Outcome, Step};
