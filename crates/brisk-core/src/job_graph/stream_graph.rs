//! The graph that a program builds: one node per transformation.

use super::Partitioner;
use crate::operator::OperatorSpec;
use brisk_base::Millis;
use std::collections::BTreeMap;

/// A node of a [`StreamGraph`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

/// Whether an operator may be chained to its neighbours (Flink's `ChainingStrategy`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ChainingStrategy {
    /// Wherever possible.
    #[default]
    Always,
    /// Never.
    Never,
    /// Begins a chain: not with what comes before.
    Head,
}

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeKind {
    /// Has no input and is polled.
    Source {
        /// Whether it ends by itself.
        bounded: bool,
    },
    /// Has inputs and outputs.
    Operator,
    /// Has inputs only.
    Sink,
}

/// One transformation.
#[derive(Clone, Debug)]
pub struct StreamNode {
    /// Its number in the graph, in the order of the program.
    pub id: NodeId,
    /// Name for people.
    pub name: String,
    /// Longer text for people.
    pub description: Option<String>,
    /// The user's stable id.
    pub uid: Option<String>,
    /// What it is.
    pub kind: NodeKind,
    /// What runs.
    pub spec: OperatorSpec,
    /// Number of inputs.
    pub inputs: u32,
    /// Whether it uses keyed state: then all its inputs are hashed.
    pub keyed: bool,
    /// Number of subtasks; `None` takes the job's default.
    pub parallelism: Option<u32>,
    /// Whether the parallelism may not be changed (`window_all`, `global` operators run as one).
    pub fixed_parallelism: bool,
    /// Number of key groups; `None` is derived from the parallelism.
    pub max_parallelism: Option<u32>,
    /// Operators of different groups never share a slot; `None` inherits from the inputs.
    pub slot_sharing_group: Option<String>,
    /// Subtasks of one index in one co-location group run in one slot.
    pub co_location_group: Option<String>,
    /// Whether it may be chained.
    pub chaining: ChainingStrategy,
    /// Upper bound for holding back partly full batches; `None` takes the job's.
    pub buffer_timeout: Option<Millis>,
    /// Runs on a thread of its own from the start, because its functions block.
    pub dedicated_thread: bool,
    /// Whether it gives watermarks to what follows, or passes on those of its inputs.
    pub event_time: bool,
}

/// A connection between two nodes.
#[derive(Clone, Debug)]
pub struct StreamEdge {
    /// Where records come from.
    pub from: NodeId,
    /// The side output they come from; `None` is the main one.
    pub tag: Option<String>,
    /// Where they go.
    pub to: NodeId,
    /// Which of its inputs.
    pub input: u32,
    /// How they are spread. `None` leaves it to Brisk: forward between operators of one parallelism, else rebalance.
    pub partitioner: Option<Partitioner>,
}

/// A program as a graph. See [`JobGraph`](super::JobGraph) for what becomes of it.
#[derive(Clone, Debug, Default)]
pub struct StreamGraph {
    /// Name of the job.
    pub name: String,
    /// The nodes; a node's id is its index.
    pub nodes: Vec<StreamNode>,
    /// The connections, in the order of the program.
    pub edges: Vec<StreamEdge>,
    /// What the program set with `set_global_job_parameters`.
    pub job_parameters: BTreeMap<String, String>,
    /// Values that the program has computed once, encoded, by name: other processes that build this graph are given them.
    pub recorded: BTreeMap<String, Vec<u8>>,
}

impl StreamGraph {
    /// Adds a node with defaults for everything that is not given; change the rest through [`node_mut`](Self::node_mut).
    pub fn add_node(&mut self, name: impl Into<String>, kind: NodeKind, inputs: u32, spec: OperatorSpec) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(StreamNode {
            id,
            name: name.into(),
            description: None,
            uid: None,
            kind,
            spec,
            inputs,
            keyed: false,
            parallelism: None,
            fixed_parallelism: false,
            max_parallelism: None,
            slot_sharing_group: None,
            co_location_group: None,
            chaining: ChainingStrategy::Always,
            buffer_timeout: None,
            dedicated_thread: false,
            event_time: false,
        });
        id
    }

    /// Adds a connection.
    pub fn add_edge(&mut self, edge: StreamEdge) {
        self.edges.push(edge);
    }

    /// A node.
    pub fn node(&self, id: NodeId) -> &StreamNode {
        &self.nodes[id.0 as usize]
    }

    /// A node, to be changed.
    pub fn node_mut(&mut self, id: NodeId) -> &mut StreamNode {
        &mut self.nodes[id.0 as usize]
    }

    /// The connections into a node, in the order of the program.
    pub fn inputs(&self, id: NodeId) -> impl Iterator<Item = &StreamEdge> {
        self.edges.iter().filter(move |edge| edge.to == id)
    }

    /// The connections out of a node, in the order of the program.
    pub fn outputs(&self, id: NodeId) -> impl Iterator<Item = &StreamEdge> {
        self.edges.iter().filter(move |edge| edge.from == id)
    }
}
