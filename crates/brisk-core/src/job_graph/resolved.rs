//! A stream graph with everything settled that its program left open: parallelism, max parallelism, slot sharing, partitioners.
//!
//! It refuses graphs that are damaged (edges to nowhere, cycles); what a user can get wrong is checked in [`validate`](super::validate).

use super::{Partitioner, StreamEdge, StreamGraph, StreamNode};
use crate::types::default_max_parallelism;
use brisk_base::options::Configuration;
use brisk_base::options::core_options::{
    BUFFER_TIMEOUT, BUFFER_TIMEOUT_ENABLED, MAX_PARALLELISM, OPERATOR_CHAINING_ENABLED, PARALLELISM_DEFAULT,
};
use brisk_base::{Error, Millis, Result};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The slot sharing group of operators that neither set nor inherit one.
pub const DEFAULT_SLOT_SHARING_GROUP: &str = "default";

/// What was settled for one node.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// Number of subtasks.
    pub(super) parallelism: u32,
    /// Number of key groups.
    pub(super) max_parallelism: u32,
    /// Slot sharing group.
    pub(super) slot_sharing_group: String,
    /// How long its partly full batches may be held back.
    pub(super) buffer_timeout: Option<Millis>,
}

/// See the module. Nodes and edges are named by their index in the graph.
pub(super) struct Resolved<'a> {
    /// What the program built.
    pub(super) graph: &'a StreamGraph,
    /// By node.
    pub(super) settled: Vec<Settled>,
    /// By edge.
    pub(super) partitioners: Vec<Partitioner>,
    /// Edges into each node, in the order of the program.
    pub(super) incoming: Vec<Vec<usize>>,
    /// Edges out of each node, in the order of the program.
    pub(super) outgoing: Vec<Vec<usize>>,
    /// The nodes, each after all that it reads from, otherwise in the order of the program.
    pub(super) order: Vec<usize>,
    /// Whether the configuration allows chaining.
    pub(super) chaining_enabled: bool,
    /// Whether operators of different max parallelism may be chained.
    pub(super) chain_different_max_parallelism: bool,
}

impl<'a> Resolved<'a> {
    /// Settles what is open.
    pub(super) fn new(graph: &'a StreamGraph, config: &Configuration) -> Result<Self> {
        let (incoming, outgoing) = adjacency(graph)?;
        let order = topological_order(graph, &incoming, &outgoing)?;
        let mut resolved = Self {
            graph,
            settled: graph.nodes.iter().map(|node| settle(node, config)).collect::<Result<_>>()?,
            partitioners: Vec::new(),
            incoming,
            outgoing,
            order,
            chaining_enabled: config.get(&OPERATOR_CHAINING_ENABLED)?,
            chain_different_max_parallelism: config.get(&super::chaining::CHAIN_DIFFERENT_MAX_PARALLELISM)?,
        };
        resolved.partitioners = graph.edges.iter().map(|edge| resolved.partitioner(edge)).collect();
        resolved.inherit_slot_sharing_groups();
        Ok(resolved)
    }

    /// The node of this index.
    pub(super) fn node(&self, index: usize) -> &'a StreamNode {
        &self.graph.nodes[index]
    }

    /// The edge of this index.
    pub(super) fn edge(&self, index: usize) -> &'a StreamEdge {
        &self.graph.edges[index]
    }

    /// Flink's choice for edges that name no partitioner.
    fn partitioner(&self, edge: &StreamEdge) -> Partitioner {
        let [from, to] = [edge.from, edge.to].map(|node| self.settled[node.0 as usize].parallelism);
        match &edge.partitioner {
            Some(chosen) => chosen.clone(),
            None if from == to => Partitioner::Forward,
            None => Partitioner::Rebalance,
        }
    }

    /// A node without a group is in that of its inputs, when they agree.
    fn inherit_slot_sharing_groups(&mut self) {
        for &node in &self.order {
            if self.node(node).slot_sharing_group.is_some() {
                continue;
            }
            let mut groups = self.incoming[node].iter().map(|&edge| &self.settled[self.edge(edge).from.0 as usize].slot_sharing_group);
            let first = groups.next().cloned();
            let inherited = first.filter(|first| groups.all(|group| group == first));
            self.settled[node].slot_sharing_group = inherited.unwrap_or_else(|| DEFAULT_SLOT_SHARING_GROUP.to_owned());
        }
    }
}

fn settle(node: &StreamNode, config: &Configuration) -> Result<Settled> {
    let parallelism = match node.parallelism {
        Some(parallelism) => parallelism,
        None if node.fixed_parallelism => 1,
        None => config.get(&PARALLELISM_DEFAULT)?,
    };
    let max_parallelism = match node.max_parallelism {
        Some(max_parallelism) => max_parallelism,
        None => config.get(&MAX_PARALLELISM)?.unwrap_or_else(|| default_max_parallelism(parallelism)),
    };
    let buffer_timeout = match node.buffer_timeout {
        Some(timeout) => Some(timeout).filter(|timeout| timeout.0 >= 0),
        None if config.get(&BUFFER_TIMEOUT_ENABLED)? => Some(config.get(&BUFFER_TIMEOUT)?.into()),
        None => None,
    };
    Ok(Settled { parallelism, max_parallelism, slot_sharing_group: node.slot_sharing_group.clone().unwrap_or_default(), buffer_timeout })
}

type EdgesByNode = Vec<Vec<usize>>;

fn adjacency(graph: &StreamGraph) -> Result<(EdgesByNode, EdgesByNode)> {
    let mut incoming = vec![Vec::new(); graph.nodes.len()];
    let mut outgoing = vec![Vec::new(); graph.nodes.len()];
    for (index, edge) in graph.edges.iter().enumerate() {
        let [from, to] = [edge.from, edge.to].map(|node| node.0 as usize);
        if from.max(to) >= graph.nodes.len() {
            return Err(Error::bug(format!("an edge from node {from} to node {to} in a graph of {} nodes", graph.nodes.len())));
        }
        outgoing[from].push(index);
        incoming[to].push(index);
    }
    Ok((incoming, outgoing))
}

fn topological_order(graph: &StreamGraph, incoming: &EdgesByNode, outgoing: &EdgesByNode) -> Result<Vec<usize>> {
    let mut missing: Vec<usize> = incoming.iter().map(Vec::len).collect();
    let mut ready: BinaryHeap<_> = (0..graph.nodes.len()).filter(|&node| missing[node] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(graph.nodes.len());
    while let Some(Reverse(node)) = ready.pop() {
        order.push(node);
        for &edge in &outgoing[node] {
            let to = graph.edges[edge].to.0 as usize;
            missing[to] -= 1;
            if missing[to] == 0 {
                ready.push(Reverse(to));
            }
        }
    }
    if order.len() < graph.nodes.len() {
        let stuck: Vec<_> = (0..graph.nodes.len()).filter(|&node| missing[node] > 0).map(|node| graph.nodes[node].name.as_str()).collect();
        return Err(Error::bug(format!("the stream graph has a cycle among: {}", stuck.join(", "))));
    }
    Ok(order)
}
