//! Which operators share a task, by Flink's rules, and the job graph that follows from it.

use super::resolved::Resolved;
use super::{ChainedOperator, ChainingStrategy, JobEdge, JobGraph, JobVertex, NodeKind, OutputRoute, Partitioner, RouteTarget};
use brisk_base::ids::{OperatorId, VertexId};

brisk_base::options! {
    /// Whether operators of different max parallelism may be chained. Keyed operators never are.
    pub CHAIN_DIFFERENT_MAX_PARALLELISM: bool =
        "pipeline.operator-chaining.chain-operators-with-different-max-parallelism", true;
}

/// Whether both ends of an edge may run in one task. The edge must be the only input of its reader, forward, within one slot sharing
/// group, between operators of one parallelism that both want to be chained.
pub(super) fn is_chainable(resolved: &Resolved<'_>, edge: usize) -> bool {
    let [from, to] = [resolved.edge(edge).from, resolved.edge(edge).to].map(|node| node.0 as usize);
    let (upstream, downstream) = (resolved.node(from), resolved.node(to));
    let (above, below) = (&resolved.settled[from], &resolved.settled[to]);
    let same_max = above.max_parallelism == below.max_parallelism;
    resolved.chaining_enabled
        && resolved.incoming[to].len() == 1
        && above.slot_sharing_group == below.slot_sharing_group
        && matches!(resolved.partitioners[edge], Partitioner::Forward)
        && above.parallelism == below.parallelism
        && upstream.chaining != ChainingStrategy::Never
        && downstream.chaining == ChainingStrategy::Always
        && (same_max || resolved.chain_different_max_parallelism && !downstream.keyed)
        && upstream.dedicated_thread == downstream.dedicated_thread
}

/// Where a node went: vertex, and index in its chain.
#[derive(Clone, Copy)]
struct Place {
    vertex: usize,
    index: usize,
}

/// Builds the vertices and exchanges. Vertices come in topological order, because their heads do.
pub(super) fn chain(resolved: &Resolved<'_>, ids: &[OperatorId]) -> JobGraph {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut places = vec![Place { vertex: 0, index: 0 }; resolved.graph.nodes.len()];
    for &node in &resolved.order {
        let chained_to = resolved.incoming[node].first().filter(|&&edge| is_chainable(resolved, edge));
        let vertex = match chained_to {
            Some(&edge) => places[resolved.edge(edge).from.0 as usize].vertex,
            None => {
                chains.push(Vec::new());
                chains.len() - 1
            }
        };
        places[node] = Place { vertex, index: chains[vertex].len() };
        chains[vertex].push(node);
    }
    let mut graph = JobGraph {
        name: resolved.graph.name.clone(),
        vertices: chains.iter().map(|chain| vertex(resolved, ids, chain)).collect(),
        edges: Vec::new(),
        job_parameters: resolved.graph.job_parameters.clone(),
    };
    (0..resolved.graph.edges.len()).for_each(|edge| connect(resolved, &mut graph, &places, edge));
    number_gates(&mut graph);
    graph
}

fn vertex(resolved: &Resolved<'_>, ids: &[OperatorId], chain: &[usize]) -> JobVertex {
    let (head, settled) = (resolved.node(chain[0]), &resolved.settled[chain[0]]);
    JobVertex {
        id: VertexId(ids[chain[0]].0),
        name: chained_name(resolved, chain),
        operators: chain.iter().map(|&node| operator(resolved, ids, node)).collect(),
        parallelism: settled.parallelism,
        max_parallelism: settled.max_parallelism,
        inputs: head.inputs,
        incoming: Vec::new(),
        outgoing: Vec::new(),
        slot_sharing_group: settled.slot_sharing_group.clone(),
        co_location_group: chain.iter().find_map(|&node| resolved.node(node).co_location_group.clone()),
        dedicated_thread: head.dedicated_thread,
    }
}

fn operator(resolved: &Resolved<'_>, ids: &[OperatorId], node: usize) -> ChainedOperator {
    let stream_node = resolved.node(node);
    ChainedOperator {
        id: ids[node],
        name: stream_node.name.clone(),
        uid: stream_node.uid.clone(),
        spec: stream_node.spec.clone(),
        source: matches!(stream_node.kind, NodeKind::Source { .. }),
        keyed: stream_node.keyed,
        outputs: vec![OutputRoute::default()],
    }
}

/// `a -> (b, c -> d)`. Readers come after what they read, so the names are put together from the end.
fn chained_name(resolved: &Resolved<'_>, chain: &[usize]) -> String {
    let mut readers: Vec<Vec<String>> = vec![Vec::new(); chain.len()];
    for index in (0..chain.len()).rev() {
        let mut below = std::mem::take(&mut readers[index]);
        below.reverse();
        let name = &resolved.node(chain[index]).name;
        let whole = match below.as_slice() {
            [] => name.clone(),
            [one] => format!("{name} -> {one}"),
            several => format!("{name} -> ({})", several.join(", ")),
        };
        if index == 0 {
            return whole;
        }
        let parent = resolved.edge(resolved.incoming[chain[index]][0]).from.0 as usize;
        let parent = chain.iter().position(|&node| node == parent).expect("an operator is chained to one of its own chain");
        readers[parent].push(whole);
    }
    String::new()
}

/// Adds an edge to its writer's routes: to an operator of the same chain, or through a new exchange.
fn connect(resolved: &Resolved<'_>, graph: &mut JobGraph, places: &[Place], edge: usize) {
    let stream_edge = resolved.edge(edge);
    let [from, to] = [stream_edge.from, stream_edge.to].map(|node| places[node.0 as usize]);
    let target = if from.vertex == to.vertex {
        RouteTarget::Chained(to.index)
    } else {
        let from_output = graph.vertices[from.vertex].outgoing.len();
        graph.vertices[from.vertex].outgoing.push(graph.edges.len());
        graph.vertices[to.vertex].incoming.push(graph.edges.len());
        graph.edges.push(JobEdge {
            from: from.vertex,
            from_output,
            to: to.vertex,
            input: stream_edge.input,
            to_gate: 0,
            partitioner: resolved.partitioners[edge].clone(),
            buffer_timeout: resolved.settled[stream_edge.from.0 as usize].buffer_timeout,
        });
        RouteTarget::Exchange(from_output)
    };
    let outputs = &mut graph.vertices[from.vertex].operators[from.index].outputs;
    match outputs.iter_mut().find(|route| route.tag == stream_edge.tag) {
        Some(route) => route.targets.push(target),
        None => outputs.push(OutputRoute { tag: stream_edge.tag.clone(), targets: vec![target] }),
    }
}

/// Gates are in the order of the reader's inputs; those of one input in the order of the program.
fn number_gates(graph: &mut JobGraph) {
    for vertex in &mut graph.vertices {
        vertex.incoming.sort_by_key(|&edge| graph.edges[edge].input);
        vertex.incoming.iter().enumerate().for_each(|(gate, &edge)| graph.edges[edge].to_gate = gate);
    }
}
