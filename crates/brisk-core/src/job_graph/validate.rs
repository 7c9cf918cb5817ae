//! What a user can get wrong in a graph, found when it is built: each error names the operator and the remedy.

use super::resolved::Resolved;
use super::{NodeKind, Partitioner, StreamNode};
use crate::types::MAX_MAX_PARALLELISM;
use brisk_base::{Error, Result};
use std::collections::BTreeMap;

/// Checks everything.
pub(super) fn validate(resolved: &Resolved<'_>) -> Result<()> {
    if resolved.graph.nodes.is_empty() {
        return Err(Error::user("no operators defined: the program must add a source and what reads it before it executes the job"));
    }
    unique_uids(resolved)?;
    co_location(resolved)?;
    for index in 0..resolved.graph.nodes.len() {
        let node = resolved.node(index);
        parallelism(resolved, index).and_then(|()| inputs(resolved, index)).map_err(|error| error.context(place(node)))?;
    }
    for index in 0..resolved.graph.edges.len() {
        let reader = resolved.node(resolved.edge(index).to.0 as usize);
        edge(resolved, index).map_err(|error| error.context(place(reader)))?;
    }
    Ok(())
}

fn place(node: &StreamNode) -> String {
    format!("operator '{}'", node.name)
}

fn unique_uids(resolved: &Resolved<'_>) -> Result<()> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for node in &resolved.graph.nodes {
        let Some(uid) = &node.uid else { continue };
        if let Some(other) = owners.insert(uid, &node.name) {
            return Err(Error::user(format!(
                "operators '{other}' and '{}' have the same uid '{uid}': an operator's state is found by its uid, so give each its own with uid(..)",
                node.name
            )));
        }
    }
    Ok(())
}

fn co_location(resolved: &Resolved<'_>) -> Result<()> {
    let mut first_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, node) in resolved.graph.nodes.iter().enumerate() {
        let Some(group) = &node.co_location_group else { continue };
        let first = *first_of.entry(group).or_insert(index);
        let (one, two) = (&resolved.settled[first], &resolved.settled[index]);
        if one.parallelism != two.parallelism || one.slot_sharing_group != two.slot_sharing_group {
            return Err(Error::user(format!(
                "operators '{}' and '{}' are in co-location group '{group}', but differ in parallelism ({} and {}) or slot sharing group \
                 ('{}' and '{}'): set both alike",
                resolved.node(first).name,
                node.name,
                one.parallelism,
                two.parallelism,
                one.slot_sharing_group,
                two.slot_sharing_group
            )));
        }
    }
    Ok(())
}

fn parallelism(resolved: &Resolved<'_>, index: usize) -> Result<()> {
    let settled = &resolved.settled[index];
    let (parallelism, max_parallelism) = (settled.parallelism, settled.max_parallelism);
    if parallelism == 0 {
        return Err(Error::user("parallelism is 0: set it to 1 or more, with set_parallelism(..) or 'parallelism.default'"));
    }
    if !(1..=MAX_MAX_PARALLELISM).contains(&max_parallelism) {
        return Err(Error::user(format!(
            "max parallelism is {max_parallelism}: set it between 1 and {MAX_MAX_PARALLELISM}, with set_max_parallelism(..) or 'pipeline.max-parallelism'"
        )));
    }
    if parallelism > max_parallelism {
        return Err(Error::user(format!(
            "parallelism {parallelism} is above the max parallelism {max_parallelism}: lower it, or raise the max parallelism with \
             set_max_parallelism(..) or 'pipeline.max-parallelism' (which a job with state can do only when it starts anew)"
        )));
    }
    Ok(())
}

/// Each logical input is read from somewhere; sources have none.
fn inputs(resolved: &Resolved<'_>, index: usize) -> Result<()> {
    let node = resolved.node(index);
    let source = matches!(node.kind, NodeKind::Source { .. });
    if source != (node.inputs == 0) {
        return Err(Error::bug(format!("a {:?} with {} inputs", node.kind, node.inputs)));
    }
    for input in 0..node.inputs {
        if !resolved.incoming[index].iter().any(|&edge| resolved.edge(edge).input == input) {
            return Err(Error::bug(format!("input {input} is not connected")));
        }
    }
    match resolved.incoming[index].iter().find(|&&edge| resolved.edge(edge).input >= node.inputs) {
        Some(&edge) => Err(Error::bug(format!("connected to input {}, but it has {}", resolved.edge(edge).input, node.inputs))),
        None => Ok(()),
    }
}

/// The error is about the reader.
fn edge(resolved: &Resolved<'_>, index: usize) -> Result<()> {
    let edge = resolved.edge(index);
    let [from, to] = [edge.from, edge.to].map(|node| node.0 as usize);
    let (upstream, reader) = (resolved.node(from), resolved.node(to));
    if upstream.kind == NodeKind::Sink {
        return Err(Error::user(match &edge.tag {
            Some(tag) => format!("side output '{tag}' is read from '{}', which is a sink and produces none", upstream.name),
            None => format!("reads from '{}', which is a sink and has no output", upstream.name),
        }));
    }
    let [above, below] = [from, to].map(|node| resolved.settled[node].parallelism);
    let partitioner = &resolved.partitioners[index];
    if matches!(partitioner, Partitioner::Forward) && above != below {
        return Err(Error::user(format!(
            "forward from '{}' needs one parallelism on both sides, but it is {above} there and {below} here: set them alike, or use \
             rebalance(), rescale(), shuffle(), broadcast() or global()",
            upstream.name
        )));
    }
    // An explicit forward says that the stream is partitioned by the key already (Flink's reinterpretAsKeyedStream).
    let partitioned = matches!(partitioner, Partitioner::Hash(_) | Partitioner::Broadcast)
        || matches!(edge.partitioner, Some(Partitioner::Forward)) && upstream.keyed;
    if reader.keyed && !partitioned {
        return Err(Error::user(format!(
            "it uses keyed state, but its input from '{}' is partitioned by {} instead of the key: put key_by(..) in front of it",
            upstream.name,
            partitioner.name()
        )));
    }
    Ok(())
}
