//! Which subtasks an exchange connects, and by which channel.
//!
//! Pointwise exchanges (forward, rescale) spread the larger side evenly over the smaller, as Flink's `POINTWISE` distribution does.

use brisk_core::job_graph::{JobEdge, JobGraph};
use std::ops::Range;

/// The producers whose records reach subtask `consumer` over edge `edge`. Their order is the order of the channels.
pub fn producers_of(graph: &JobGraph, edge: usize, consumer: u32) -> Range<u32> {
    let (edge, producers, consumers) = sides(graph, edge);
    if !edge.partitioner.is_pointwise() {
        return 0..producers;
    }
    spread(consumer, consumers, producers)
}

/// The consumers that subtask `producer` writes to over edge `edge`, in order.
pub fn consumers_of(graph: &JobGraph, edge: usize, producer: u32) -> Range<u32> {
    let (edge, producers, consumers) = sides(graph, edge);
    if !edge.partitioner.is_pointwise() {
        return 0..consumers;
    }
    if producers >= consumers {
        // The one consumer whose range of producers holds this one.
        let consumer = (u64::from(producer) * u64::from(consumers) / u64::from(producers)) as u32;
        let consumer = (consumer..consumers).find(|at| spread(*at, consumers, producers).contains(&producer)).unwrap_or(consumer);
        return consumer..consumer + 1;
    }
    let first = (0..consumers).position(|at| spread(at, consumers, producers).contains(&producer)).unwrap_or(0) as u32;
    let count = (first..consumers).take_while(|at| spread(*at, consumers, producers).contains(&producer)).count() as u32;
    first..first + count
}

fn sides(graph: &JobGraph, edge: usize) -> (&JobEdge, u32, u32) {
    let edge = &graph.edges[edge];
    (edge, graph.vertices[edge.from].parallelism, graph.vertices[edge.to].parallelism)
}

/// The part of `0..others` that belongs to `index` of `count`; never empty.
fn spread(index: u32, count: u32, others: u32) -> Range<u32> {
    let at = |i: u32| (u64::from(i) * u64::from(others) / u64::from(count)) as u32;
    let first = at(index);
    first..at(index + 1).max(first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_base::ids::VertexId;
    use brisk_core::job_graph::{JobVertex, Partitioner};

    fn graph(from: u32, to: u32, partitioner: Partitioner) -> JobGraph {
        let vertex = |id: u128, parallelism| JobVertex {
            id: VertexId(id),
            name: String::new(),
            operators: Vec::new(),
            parallelism,
            max_parallelism: 128,
            inputs: 1,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            slot_sharing_group: String::new(),
            co_location_group: None,
            dedicated_thread: false,
        };
        let edge = JobEdge { from: 0, from_output: 0, to: 1, input: 0, to_gate: 0, partitioner, buffer_timeout: None };
        JobGraph { vertices: vec![vertex(0, from), vertex(1, to)], edges: vec![edge], ..JobGraph::default() }
    }

    #[test]
    fn both_sides_agree_and_all_are_connected() {
        for from in 1..9 {
            for to in 1..9 {
                for partitioner in [Partitioner::Rescale, Partitioner::Rebalance] {
                    let graph = graph(from, to, partitioner);
                    for producer in 0..from {
                        let consumers = consumers_of(&graph, 0, producer);
                        assert!(!consumers.is_empty());
                        for consumer in 0..to {
                            let connected = producers_of(&graph, 0, consumer).contains(&producer);
                            assert_eq!(consumers.contains(&consumer), connected, "{producer} of {from} -> {consumer} of {to}");
                        }
                    }
                    assert!((0..to).all(|consumer| !producers_of(&graph, 0, consumer).is_empty()));
                }
            }
        }
    }
}
