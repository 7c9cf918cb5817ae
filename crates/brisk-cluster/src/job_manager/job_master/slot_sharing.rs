//! Which subtask goes to which slot.
//!
//! A slot holds at most one subtask of each vertex of one slot sharing group. Subtask `i` of each vertex goes to slot `i` of its group, so
//! that forward and rescale exchanges stay within a slot, and co-located subtasks are together (their group's vertices have one
//! parallelism and one sharing group; the job graph is checked for that).

use brisk_core::job_graph::JobGraph;
use std::collections::BTreeMap;

/// The slots that a job needs, numbered from 0: the groups' slots one after the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SlotPlan {
    /// The first slot of each vertex's group, by vertex.
    first: Vec<u32>,
    /// How many slots there are.
    count: u32,
}

impl SlotPlan {
    /// The plan of a job.
    pub fn new(graph: &JobGraph) -> Self {
        let mut sizes: BTreeMap<&str, u32> = BTreeMap::new();
        for vertex in &graph.vertices {
            let size = sizes.entry(&vertex.slot_sharing_group).or_default();
            *size = (*size).max(vertex.parallelism);
        }
        let (mut count, mut starts) = (0, BTreeMap::new());
        for (group, size) in sizes {
            starts.insert(group, count);
            count += size;
        }
        Self { first: graph.vertices.iter().map(|vertex| starts[vertex.slot_sharing_group.as_str()]).collect(), count }
    }

    /// How many slots the job needs.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The slot of a subtask.
    pub fn slot(&self, vertex: usize, subtask: u32) -> u32 {
        self.first[vertex] + subtask
    }
}
