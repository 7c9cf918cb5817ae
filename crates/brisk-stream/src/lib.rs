//! The typed DataStream API: programs build a [`StreamGraph`](brisk_core::job_graph::StreamGraph) with it.
//!
//! It holds the API and the operators behind it. It runs nothing: a graph goes to the [`JobExecutor`](brisk_core::job::JobExecutor) of its
//! environment. It knows no files, sockets or connectors; those come as sources and sinks.
//!
//! Invariant: building never fails and never panics; the first mistake in a graph is an error of
//! [`execute`](StreamEnvironment::execute), with the operator's name and the remedy.

mod broadcast_stream;
mod connected_streams;
mod data_stream;
mod environment;
pub mod function;
mod graph;
pub mod join;
mod key_selector;
mod keyed_connected_streams;
mod keyed_state;
mod keyed_stream;
mod operators;
pub mod options;
pub mod sink;
pub mod source;
pub mod window;

pub use broadcast_stream::{BroadcastConnectedStream, BroadcastStream, KeyedBroadcastConnectedStream};
pub use connected_streams::ConnectedStreams;
pub use data_stream::{DataStream, DataStreamSink};
pub use environment::{StreamEnvironment, cached_file};
pub use key_selector::{KeyBy, KeyByRef, KeySelector};
pub use keyed_connected_streams::KeyedConnectedStreams;
pub use keyed_stream::{KeyedStream, Number};

#[cfg(test)]
mod tests;
