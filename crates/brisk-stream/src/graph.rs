//! The graph being built behind an environment: nodes, their inputs, and the first mistake found.
//!
//! Building never fails: methods of streams are infallible, and the first error waits here until the graph is taken.

use brisk_base::options::Configuration;
use brisk_base::{Error, Result};
use brisk_core::job_graph::{NodeId, NodeKind, Partitioner, StreamEdge, StreamGraph, StreamNode};
use brisk_core::operator::OperatorSpec;
use std::collections::{BTreeMap, BTreeSet};

/// Where the records of a stream come from, and how they go on.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// The operator.
    pub(crate) from: NodeId,
    /// Its side output; `None` is the main one.
    pub(crate) tag: Option<String>,
    /// How records are spread; `None`: forward where the parallelism is the same, else rebalance.
    pub(crate) partitioner: Option<Partitioner>,
}

impl Upstream {
    pub(crate) const fn main(from: NodeId) -> Self {
        Self { from, tag: None, partitioner: None }
    }
}

/// A node to be added.
pub(crate) struct NewNode {
    /// Name for people.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: NodeKind,
    /// What runs.
    pub(crate) spec: OperatorSpec,
    /// What each of its inputs reads.
    pub(crate) inputs: Vec<Vec<Upstream>>,
    /// Whether it uses keyed state.
    pub(crate) keyed: bool,
}

/// See the module.
pub(crate) struct GraphBuilder {
    /// Everything that was added since the environment was made.
    graph: StreamGraph,
    /// The job's configuration.
    pub(crate) config: Configuration,
    /// Nodes from here on have not been executed yet.
    first_new: usize,
    /// The first mistake in the graph.
    error: Option<String>,
    /// Values of `StreamEnvironment::once`, encoded.
    pub(crate) once: BTreeMap<String, Vec<u8>>,
}

impl GraphBuilder {
    pub(crate) fn new(config: Configuration) -> Self {
        Self { graph: StreamGraph::default(), config, first_new: 0, error: None, once: BTreeMap::new() }
    }

    /// Adds a node and the edges into it.
    pub(crate) fn add(&mut self, new: NewNode) -> NodeId {
        let event_time = new.inputs.iter().flatten().any(|upstream| self.graph.node(upstream.from).event_time);
        let id = self.graph.add_node(new.name, new.kind, new.inputs.len() as u32, new.spec);
        for (input, upstreams) in (0..).zip(new.inputs) {
            for Upstream { from, tag, partitioner } in upstreams {
                self.graph.add_edge(StreamEdge { from, tag, to: id, input, partitioner });
            }
        }
        let node = self.graph.node_mut(id);
        node.keyed = new.keyed;
        node.event_time = event_time;
        id
    }

    pub(crate) fn node(&self, id: NodeId) -> &StreamNode {
        self.graph.node(id)
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut StreamNode {
        self.graph.node_mut(id)
    }

    pub(crate) fn job_parameters_mut(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.graph.job_parameters
    }

    /// Notes a mistake; the first one is reported.
    pub(crate) fn fail(&mut self, message: String) {
        self.error.get_or_insert(message);
    }

    /// The graph of what was added since the last [`executed`](Self::executed), with everything upstream of it.
    pub(crate) fn stream_graph(&self, name: &str) -> Result<StreamGraph> {
        if let Some(message) = &self.error {
            return Err(Error::user(message.clone()));
        }
        let wanted = self.with_upstream(self.first_new..self.graph.nodes.len());
        if wanted.is_empty() {
            return Err(Error::user(format!("job '{name}' has no operators: add a source and a sink before calling execute")));
        }
        let graph = self.subgraph(name, &wanted);
        check_uids(&graph)?;
        Ok(graph)
    }

    /// What has been added so far belongs to the job that was just executed.
    pub(crate) fn executed(&mut self) {
        self.first_new = self.graph.nodes.len();
    }

    /// These nodes and everything that they read from, in order.
    fn with_upstream(&self, roots: std::ops::Range<usize>) -> BTreeSet<NodeId> {
        let mut wanted: BTreeSet<NodeId> = roots.map(|index| NodeId(index as u32)).collect();
        let mut open: Vec<NodeId> = wanted.iter().copied().collect();
        while let Some(id) = open.pop() {
            open.extend(self.graph.inputs(id).map(|edge| edge.from).filter(|from| wanted.insert(*from)));
        }
        wanted
    }

    /// A graph of these nodes alone, numbered anew.
    fn subgraph(&self, name: &str, wanted: &BTreeSet<NodeId>) -> StreamGraph {
        let renumbered: BTreeMap<NodeId, NodeId> = wanted.iter().copied().zip((0..).map(NodeId)).collect();
        let nodes = wanted.iter().map(|id| StreamNode { id: renumbered[id], ..self.graph.node(*id).clone() }).collect();
        let edges = self.graph.edges.iter().filter(|edge| wanted.contains(&edge.to));
        let edges = edges.map(|edge| StreamEdge { from: renumbered[&edge.from], to: renumbered[&edge.to], ..edge.clone() }).collect();
        StreamGraph { name: name.to_owned(), nodes, edges, job_parameters: self.graph.job_parameters.clone(), recorded: self.once.clone() }
    }
}

fn check_uids(graph: &StreamGraph) -> Result<()> {
    let mut seen = BTreeMap::new();
    for node in &graph.nodes {
        let Some(uid) = &node.uid else { continue };
        if let Some(other) = seen.insert(uid, &node.name) {
            return Err(Error::user(format!(
                "operators '{other}' and '{}' have the same uid '{uid}'; give each operator a uid of its own",
                node.name
            )));
        }
    }
    Ok(())
}

/// The nodes and their inputs as text, one line each.
pub(crate) fn explain(graph: &StreamGraph) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for node in &graph.nodes {
        let parallelism = node.parallelism.map_or_else(|| "default".to_owned(), |n| n.to_string());
        // Writing to a String cannot fail.
        let _ = write!(text, "{}: {} (parallelism {parallelism}", node.id.0, node.name);
        if let Some(uid) = &node.uid {
            let _ = write!(text, ", uid {uid}");
        }
        text.push(')');
        for (at, edge) in graph.inputs(node.id).enumerate() {
            let ship = edge.partitioner.as_ref().map_or("FORWARD or REBALANCE", Partitioner::name);
            let _ = write!(text, "{} {}", if at == 0 { " <-" } else { "," }, edge.from.0);
            if let Some(tag) = &edge.tag {
                let _ = write!(text, "[{tag}]");
            }
            let _ = write!(text, " {ship}");
        }
        text.push('\n');
    }
    text
}
