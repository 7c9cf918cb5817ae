//! Sockets: lines of text over TCP, for experiments and demonstrations. Nothing is replayed after a failure.
//!
//! The source's connection is served by a thread of its own, which hands lines to the task through a bounded queue and wakes it.

mod config;
mod link;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use config::{SocketSink, SocketSource};
pub use source::SocketSplit;
