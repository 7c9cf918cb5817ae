//! The graph that runs: vertices of chained operators, connected by exchanges.

use super::Partitioner;
use crate::operator::OperatorSpec;
use brisk_base::Millis;
use brisk_base::ids::{OperatorId, VertexId};
use std::collections::BTreeMap;

/// One operator of a chain. The chain is a tree whose root is the first operator; each operator comes after the one it reads from.
#[derive(Clone, Debug)]
pub struct ChainedOperator {
    /// Stable id.
    pub id: OperatorId,
    /// Name for people.
    pub name: String,
    /// The user's uid, if there is one.
    pub uid: Option<String>,
    /// What runs.
    pub spec: OperatorSpec,
    /// Whether it is a source.
    pub source: bool,
    /// Whether it uses keyed state.
    pub keyed: bool,
    /// Its outputs: index is the port, 0 the main one.
    pub outputs: Vec<OutputRoute>,
}

/// Where one output of a chained operator goes.
#[derive(Clone, Debug, Default)]
pub struct OutputRoute {
    /// The side output's tag; `None` for the main output.
    pub tag: Option<String>,
    /// Each target gets all elements.
    pub targets: Vec<RouteTarget>,
}

/// One reader of an output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RouteTarget {
    /// The operator of this index in the same chain.
    Chained(usize),
    /// The job edge of this index in [`JobVertex::outgoing`].
    Exchange(usize),
}

/// An exchange between two vertices.
#[derive(Clone, Debug)]
pub struct JobEdge {
    /// Index of the vertex that writes, in [`JobGraph::vertices`].
    pub from: usize,
    /// Index among that vertex's outgoing edges.
    pub from_output: usize,
    /// Index of the vertex that reads.
    pub to: usize,
    /// Logical input of the head operator of the reading vertex.
    pub input: u32,
    /// Index of this edge among the reading vertex's incoming edges.
    pub to_gate: usize,
    /// How records are spread.
    pub partitioner: Partitioner,
    /// Upper bound for holding back partly full batches; `None`: only full or drained.
    pub buffer_timeout: Option<Millis>,
}

/// A chain of operators that runs as one task per subtask.
#[derive(Clone, Debug)]
pub struct JobVertex {
    /// Stable id: that of the head operator.
    pub id: VertexId,
    /// Names of the operators, `a -> (b, c -> d)`.
    pub name: String,
    /// The operators; the first is the head.
    pub operators: Vec<ChainedOperator>,
    /// Number of subtasks.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Number of logical inputs of the head (0 for a source).
    pub inputs: u32,
    /// Indexes of incoming edges in [`JobGraph::edges`], by gate.
    pub incoming: Vec<usize>,
    /// Indexes of outgoing edges in [`JobGraph::edges`], by output.
    pub outgoing: Vec<usize>,
    /// Slot sharing group.
    pub slot_sharing_group: String,
    /// Co-location group.
    pub co_location_group: Option<String>,
    /// Runs on threads of its own.
    pub dedicated_thread: bool,
}

/// A job as it runs. Vertices are in topological order.
#[derive(Clone, Debug, Default)]
pub struct JobGraph {
    /// Name of the job.
    pub name: String,
    /// The vertices.
    pub vertices: Vec<JobVertex>,
    /// The exchanges.
    pub edges: Vec<JobEdge>,
    /// What the program set with `set_global_job_parameters`.
    pub job_parameters: BTreeMap<String, String>,
}
