//! A job as data: the [`StreamGraph`] that programs build, and the [`JobGraph`] of chained vertices that runs.
//!
//! Building a graph is pure: the same program gives the same graph, with the same ids.

mod chaining;
mod hashing;
mod partitioner;
mod stream_graph;
mod validate;
mod vertex;

pub use partitioner::{KeyHasher, Partitioner, RowSelector};
pub use stream_graph::{ChainingStrategy, NodeId, NodeKind, StreamEdge, StreamGraph, StreamNode};
pub use vertex::{ChainedOperator, JobEdge, JobGraph, JobVertex, OutputRoute, RouteTarget};
