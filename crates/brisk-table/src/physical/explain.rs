//! Plans for people: what each operator gives, and which of them keep more and more state (`EXPLAIN`).

use super::{Flow, GraphBuilder};
use brisk_base::Result;
use brisk_base::options::Configuration;
use brisk_base::options::core_options::PARALLELISM_DEFAULT;
use brisk_core::job_graph::{NodeId, NodeKind, StreamGraph, StreamNode};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What is known of the operators of a graph, for people alone.
#[derive(Default)]
pub(crate) struct Notes {
    /// What each gives to those behind it.
    outputs: BTreeMap<NodeId, Given>,
    /// What operators keep that grows without bound.
    growing: BTreeMap<NodeId, &'static str>,
}

/// What an operator gives.
struct Given {
    /// Whether rows are updated and deleted.
    changes: bool,
    /// The columns that tell its rows apart.
    upsert_key: Option<String>,
}

impl Notes {
    /// Takes down what the node of a relation gives.
    pub(super) fn note(&mut self, flow: &Flow) {
        let upsert_key = flow.upsert_keys.shown(&flow.schema);
        self.outputs.insert(flow.node, Given { changes: flow.changes, upsert_key });
    }

    /// Flink's words for what a node gives.
    fn changelog(&self, node: NodeId) -> String {
        let Some(given) = self.outputs.get(&node) else { return String::new() };
        let mode = if given.changes { "I,UB,UA,D" } else { "I" };
        let key = given.upsert_key.as_ref().map(|key| format!(", upsertKey=[{key}]")).unwrap_or_default();
        format!(", changelogMode=[{mode}]{key}")
    }
}

impl GraphBuilder<'_> {
    /// Takes down that an operator keeps state that grows with its input, unless it expires.
    pub(super) fn grows(&mut self, node: NodeId, what: &'static str) {
        if self.state_ttl.is_zero() {
            self.notes.growing.insert(node, what);
        }
    }

    /// One line per operator: what it does, what it gives, if that is asked for, and where its rows come from.
    pub(crate) fn operators(&self, with_changelogs: bool) -> String {
        let line = |node: &StreamNode| {
            let from: Vec<_> = inputs(&self.graph, node).map(|(from, _, how)| format!("{from} by {how}")).collect();
            let from = if from.is_empty() { String::new() } else { format!("  <- {}", from.join(", ")) };
            let changelog = if with_changelogs { self.notes.changelog(node.id) } else { String::new() };
            format!("{}: {}{changelog}{from}", node.id.0, described(node))
        };
        self.graph.nodes.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// What to look after: state that grows without bound, where the input has no end.
    pub(crate) fn advice(&self) -> Vec<String> {
        if self.bounded {
            return Vec::new();
        }
        let advice = |(node, what): (&NodeId, &&'static str)| {
            let named = &self.graph.nodes[node.0 as usize].name;
            format!("{}: {named} keeps {what}: state grows without bound. Set 'table.exec.state.ttl', or ask for windows", node.0)
        };
        self.notes.growing.iter().map(advice).collect()
    }

    /// Flink's JSON of a job that has not been submitted.
    ///
    /// # Errors
    /// When the session's parallelism is no number.
    pub(crate) fn json(&self, config: &Configuration) -> Result<String> {
        let default = config.get(&PARALLELISM_DEFAULT)?;
        let mut text = "{\n  \"nodes\" : [ ".to_owned();
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let pact = match node.kind {
                NodeKind::Source { .. } => "Data Source",
                NodeKind::Operator => "Operator",
                NodeKind::Sink => "Data Sink",
            };
            let parallelism = node.parallelism.unwrap_or(default);
            let (name, contents) = (quoted(&node.name), quoted(described(node)));
            let comma = if index == 0 { "" } else { ", " };
            let _ = write!(
                text,
                "{comma}{{\n    \"id\" : {},\n    \"type\" : {name},\n    \"pact\" : \"{pact}\",\n    \"contents\" : {contents},\n    \
                 \"parallelism\" : {parallelism}",
                node.id.0
            );
            let predecessor = |(from, input, how): (u32, u32, &'static str)| {
                let side = if input == 0 { "first" } else { "second" };
                format!("{{\n      \"id\" : {from},\n      \"ship_strategy\" : \"{how}\",\n      \"side\" : \"{side}\"\n    }}")
            };
            let predecessors: Vec<_> = inputs(&self.graph, node).map(predecessor).collect();
            if !predecessors.is_empty() {
                let _ = write!(text, ",\n    \"predecessors\" : [ {} ]", predecessors.join(", "));
            }
            text.push_str("\n  }");
        }
        text.push_str(" ]\n}");
        Ok(text)
    }
}

fn described(node: &StreamNode) -> &str {
    node.description.as_ref().unwrap_or(&node.name)
}

/// Where the rows of a node come from: node, input, and how.
fn inputs<'g>(graph: &'g StreamGraph, node: &StreamNode) -> impl Iterator<Item = (u32, u32, &'static str)> + use<'g> {
    let how = |partitioner: Option<&brisk_core::job_graph::Partitioner>| partitioner.map_or("FORWARD", |partitioner| partitioner.name());
    graph.inputs(node.id).map(move |edge| (edge.from.0, edge.input, how(edge.partitioner.as_ref())))
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
