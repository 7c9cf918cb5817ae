//! Timers of keys: when a key wants to be called.
//!
//! Operators have one queue for event time and one for processing time. A timer is a timestamp, a key and a namespace; registering it
//! twice is registering it once.
//!
//! Invariants: timers fire in the order of their timestamps, those of one timestamp in the order in which they were registered, each
//! once; a queue in which nothing is due costs one comparison. A restored queue keeps that order within each key group, and so within each
//! key; of one timestamp, the timers of lower key groups fire first.

mod chunks;
mod queue;
mod snapshot;

pub use queue::{Timer, TimerQueue};

/// Names under which timers lie in a snapshot begin with `$` and end so; their queues read them, not the store.
pub const SUFFIX: &str = "-timers";
/// Name under which event-time timers lie in a snapshot.
pub const EVENT_TIMERS: &str = "$event-timers";
/// Name under which processing-time timers lie in a snapshot.
pub const PROCESSING_TIMERS: &str = "$processing-timers";

#[cfg(test)]
mod tests;
