//! A job as data: the [`StreamGraph`] that programs build, and the [`JobGraph`] of chained vertices that runs.
//!
//! Building a graph is pure: the same program gives the same graph, with the same ids.

mod chaining;
mod hashing;
mod partitioner;
mod plan;
mod resolved;
mod stream_graph;
#[cfg(test)]
mod tests;
mod validate;
mod vertex;

pub use chaining::{CHAIN_DIFFERENT_MAX_PARALLELISM, OPTIONS};
pub use partitioner::{KeyHasher, Partitioner, RowSelector};
pub use resolved::DEFAULT_SLOT_SHARING_GROUP;
pub use stream_graph::{ChainingStrategy, NodeId, NodeKind, StreamEdge, StreamGraph, StreamNode};
pub use vertex::{ChainedOperator, JobEdge, JobGraph, JobVertex, OutputRoute, RouteTarget};

use brisk_base::Result;
use brisk_base::options::Configuration;
use resolved::Resolved;

impl StreamGraph {
    /// Chains the operators by Flink's rules into the graph that runs.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn to_job_graph(&self, config: &Configuration) -> Result<JobGraph> {
        let resolved = Resolved::new(self, config)?;
        validate::validate(&resolved)?;
        let ids = hashing::operator_ids(&resolved)?;
        Ok(chaining::chain(&resolved, &ids))
    }

    /// Checks the graph without running it.
    ///
    /// # Errors
    /// The first thing that is wrong: which operator, what about it, and what to do.
    pub fn validate(&self, config: &Configuration) -> Result<()> {
        self.to_job_graph(config).map(drop)
    }
}
