//! A job graph for people: the text of `explain` and Flink's JSON plan.

use super::{JobGraph, JobVertex, RouteTarget};
use brisk_base::ids::JobId;
use std::fmt::Write;

impl JobGraph {
    /// The vertices, their parallelism and exchanges as text, one vertex after the other.
    pub fn explain(&self) -> String {
        let mut text = format!("Job '{}'\n", self.name);
        for (index, vertex) in self.vertices.iter().enumerate() {
            let JobVertex { name, parallelism, max_parallelism, slot_sharing_group, .. } = vertex;
            let _ = writeln!(text, "{}: {name}", index + 1);
            let _ =
                write!(text, "   parallelism {parallelism}, max parallelism {max_parallelism}, slot sharing group '{slot_sharing_group}'");
            if vertex.dedicated_thread {
                text.push_str(", own threads");
            }
            text.push('\n');
            for &edge in &vertex.outgoing {
                let edge = &self.edges[edge];
                let input = if self.vertices[edge.to].inputs > 1 { format!(", input {}", edge.input + 1) } else { String::new() };
                let _ = writeln!(text, "   {} to {}{input}", edge.partitioner.name(), edge.to + 1);
            }
        }
        text
    }

    /// Flink's JSON plan, as `GET /jobs/:jobid/plan` gives it.
    pub fn plan_json(&self, job: JobId) -> String {
        let nodes: Vec<String> = self.vertices.iter().map(|vertex| self.node_json(vertex)).collect();
        format!(r#"{{"jid":"{job}","name":{},"type":"STREAMING","nodes":[{}]}}"#, quoted(&self.name), nodes.join(","))
    }

    fn node_json(&self, vertex: &JobVertex) -> String {
        let mut json = format!(
            r#"{{"id":"{}","operator":"","parallelism":{},"operator_strategy":"","description":{},"optimizer_properties":{{}}"#,
            vertex.id,
            vertex.parallelism,
            quoted(&description(vertex))
        );
        if !vertex.incoming.is_empty() {
            let inputs = vertex.incoming.iter().enumerate().map(|(number, &edge)| {
                let edge = &self.edges[edge];
                let (id, ship) = (self.vertices[edge.from].id, edge.partitioner.name());
                format!(r#"{{"num":{number},"id":"{id}","exchange":"pipelined_bounded","ship_strategy":"{ship}"}}"#)
            });
            let _ = write!(json, r#","inputs":[{}]"#, inputs.collect::<Vec<_>>().join(","));
        }
        json.push('}');
        json
    }
}

/// The chain as a tree, one operator per line: `KeyedProcess<br/>+- Sink: Writer<br/>`.
fn description(vertex: &JobVertex) -> String {
    let mut text = String::new();
    // Operators still to write, the next one last: index, and what its line begins with.
    let mut open = vec![(0, String::new(), String::new())];
    while let Some((index, lead, below)) = open.pop() {
        let operator = &vertex.operators[index];
        let _ = write!(text, "{lead}{}<br/>", operator.name);
        let readers = operator.outputs.iter().flat_map(|route| &route.targets);
        let chained: Vec<usize> =
            readers.filter_map(|target| if let RouteTarget::Chained(reader) = target { Some(*reader) } else { None }).collect();
        for (position, &reader) in chained.iter().enumerate().rev() {
            let (mark, bar) = if position + 1 == chained.len() { ("+- ", "   ") } else { (":- ", ":  ") };
            open.push((reader, format!("{below}{mark}"), format!("{below}{bar}")));
        }
    }
    text
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
