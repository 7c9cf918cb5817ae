//! Graphs in, explained job graphs (or errors) out.

use super::*;
use crate::batch::AnyBatch;
use crate::operator::{Operator, OperatorSpec, RuntimeContext};
use brisk_base::Error;
use brisk_base::Millis;
use brisk_base::ids::JobId;
use std::sync::Arc;

struct NoKey;

impl KeyHasher for NoKey {
    fn hash(&self, _batch: &dyn AnyBatch, _hashes: &mut Vec<u64>) -> Result<()> {
        Err(Error::bug("nothing runs here"))
    }
    fn describe(&self) -> String {
        "nothing".to_owned()
    }
}

fn hash() -> Option<Partitioner> {
    Some(Partitioner::Hash(Arc::new(NoKey)))
}

/// A graph with the nodes `name`, `name*parallelism`; names with `source` are sources, with `sink` sinks, with `keyed` keyed.
#[derive(Default)]
struct Build {
    graph: StreamGraph,
    config: Configuration,
}

impl Build {
    fn new(nodes: &[&str]) -> Self {
        let mut build = Self::default();
        build.graph.name = "test".to_owned();
        for text in nodes {
            let (name, parallelism) = text.split_once('*').map_or((*text, None), |(name, n)| (name, Some(n.parse().unwrap())));
            let kind = match name {
                _ if name.contains("source") => NodeKind::Source { bounded: true },
                _ if name.contains("sink") => NodeKind::Sink,
                _ => NodeKind::Operator,
            };
            let inputs = if matches!(kind, NodeKind::Source { .. }) { 0 } else { 1 };
            let factory = |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Err(Error::bug("nothing runs here")) };
            let id = build.graph.add_node(name, kind, inputs, OperatorSpec::Factory(Arc::new(factory)));
            build.graph.node_mut(id).parallelism = parallelism;
            build.graph.node_mut(id).keyed = name.contains("keyed");
        }
        build
    }

    fn edge(self, from: u32, to: u32) -> Self {
        self.edge_by(from, to, None)
    }

    fn edge_by(self, from: u32, to: u32, partitioner: Option<Partitioner>) -> Self {
        self.full_edge(StreamEdge { from: NodeId(from), tag: None, to: NodeId(to), input: 0, partitioner })
    }

    fn full_edge(mut self, edge: StreamEdge) -> Self {
        let inputs = &mut self.graph.node_mut(edge.to).inputs;
        *inputs = (*inputs).max(edge.input + 1);
        self.graph.add_edge(edge);
        self
    }

    fn with(mut self, node: u32, change: impl FnOnce(&mut StreamNode)) -> Self {
        change(self.graph.node_mut(NodeId(node)));
        self
    }

    fn set(mut self, key: &str, value: &str) -> Self {
        self.config.set_text(key, value);
        self
    }

    fn job_graph(&self) -> JobGraph {
        self.graph.to_job_graph(&self.config).expect("a correct graph")
    }

    /// Expects a line `name` per vertex, followed by a line per exchange.
    #[track_caller]
    fn check(self, expected: &[&str]) {
        let text = self.job_graph().explain();
        let lines: Vec<_> = text.lines().skip(1).filter(|line| !line.contains("parallelism")).map(str::trim).collect();
        assert_eq!(lines, expected, "\n{text}");
    }

    #[track_caller]
    fn refused(self, expected: &str) {
        let error = self.graph.to_job_graph(&self.config).expect_err("a wrong graph").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

fn straight(nodes: &[&str]) -> Build {
    (1..nodes.len() as u32).fold(Build::new(nodes), |build, to| build.edge(to - 1, to))
}

#[test]
fn forward_neighbours_share_a_task() {
    straight(&["source", "map", "sink"]).check(&["1: source -> map -> sink"]);
}

#[test]
fn a_chain_is_a_tree() {
    let build = Build::new(&["source", "a", "b", "c", "sink"]).edge(0, 1).edge(0, 2).edge(2, 3).edge(1, 4);
    build.check(&["1: source -> (a -> sink, b -> c)"]);
}

#[test]
fn what_keeps_neighbours_apart() {
    let apart: &[&str] = &["1: source", "FORWARD to 2", "2: map -> sink"];
    let three = || straight(&["source", "map", "sink"]);
    three().with(1, |map| map.chaining = ChainingStrategy::Head).check(apart);
    three().with(0, |source| source.chaining = ChainingStrategy::Never).check(apart);
    three().with(0, |source| source.dedicated_thread = true).check(apart);
    three()
        .with(0, |source| source.slot_sharing_group = Some("a".to_owned()))
        .with(1, |map| map.slot_sharing_group = Some("b".to_owned()))
        .check(apart);
    three().with(1, |map| map.chaining = ChainingStrategy::Never).check(&[
        "1: source",
        "FORWARD to 2",
        "2: map",
        "FORWARD to 3",
        "3: sink",
    ]);
    three().set("pipeline.operator-chaining.enabled", "false").check(&["1: source", "FORWARD to 2", "2: map", "FORWARD to 3", "3: sink"]);
    straight(&["source*2", "map", "sink"]).check(&["1: source", "REBALANCE to 2", "2: map -> sink"]);
    Build::new(&["source", "map"]).edge_by(0, 1, Some(Partitioner::Rescale)).check(&["1: source", "RESCALE to 2", "2: map"]);
    Build::new(&["source", "keyed"]).edge_by(0, 1, hash()).check(&["1: source", "HASH to 2", "2: keyed"]);
    Build::new(&["source 1", "source 2", "union"]).edge(0, 2).edge(1, 2).check(&[
        "1: source 1",
        "FORWARD to 3",
        "2: source 2",
        "FORWARD to 3",
        "3: union",
    ]);
}

#[test]
fn different_max_parallelism_is_chained_unless_configured_or_keyed() {
    let two = |name| straight(&["source", name]).with(1, |node| node.max_parallelism = Some(4));
    two("map").check(&["1: source -> map"]);
    two("map").set(CHAIN_DIFFERENT_MAX_PARALLELISM.key(), "false").check(&["1: source", "FORWARD to 2", "2: map"]);
    let keyed = Build::new(&["source", "keyed 1", "keyed 2"]).edge_by(0, 1, hash()).edge_by(1, 2, Some(Partitioner::Forward));
    keyed.check(&["1: source", "HASH to 2", "2: keyed 1 -> keyed 2"]);
    let keyed = Build::new(&["source", "keyed 1", "keyed 2"]).edge_by(0, 1, hash()).edge_by(1, 2, Some(Partitioner::Forward));
    keyed.with(2, |node| node.max_parallelism = Some(4)).check(&["1: source", "HASH to 2", "2: keyed 1", "FORWARD to 3", "3: keyed 2"]);
}

#[test]
fn gates_and_ports_are_numbered() {
    let side = |from, to, tag: &str, input| StreamEdge {
        from: NodeId(from),
        tag: Some(tag.to_owned()),
        to: NodeId(to),
        input,
        partitioner: Some(Partitioner::Rebalance),
    };
    let build = Build::new(&["source 1", "source 2", "join", "sink"])
        .full_edge(side(0, 2, "late", 1))
        .edge(1, 2)
        .edge(0, 3)
        .full_edge(side(0, 2, "late", 1));
    let graph = build.job_graph();
    let join = graph.vertices.iter().find(|vertex| vertex.name == "join").unwrap();
    assert_eq!(join.incoming, [1, 0, 2], "input 0 first, then the order of the program");
    assert_eq!(graph.edges.iter().map(|edge| (edge.to_gate, edge.from_output)).collect::<Vec<_>>(), [(1, 0), (0, 0), (2, 1)]);
    let outputs = &graph.vertices[0].operators[0].outputs;
    assert_eq!(outputs[0].tag, None);
    assert_eq!(outputs[0].targets, [RouteTarget::Chained(1)]);
    assert_eq!(outputs[1].tag.as_deref(), Some("late"));
    assert_eq!(outputs[1].targets, [RouteTarget::Exchange(0), RouteTarget::Exchange(1)]);
}

#[test]
fn settings_are_settled() {
    let build = straight(&["source", "map*200", "sink*3"]).set("parallelism.default", "7").set("execution.buffer-timeout.interval", "5 ms");
    let graph = build.with(1, |map| map.buffer_timeout = Some(Millis(-1))).with(2, |sink| sink.fixed_parallelism = true).job_graph();
    let settled: Vec<_> = graph.vertices.iter().map(|vertex| (vertex.parallelism, vertex.max_parallelism)).collect();
    assert_eq!(settled, [(7, 128), (200, 512), (3, 128)]);
    assert_eq!(graph.edges.iter().map(|edge| edge.buffer_timeout).collect::<Vec<_>>(), [Some(Millis(5)), None]);
    let graph =
        straight(&["source", "map"]).set("pipeline.max-parallelism", "64").with(1, |node| node.max_parallelism = Some(9)).job_graph();
    assert_eq!(graph.vertices[0].max_parallelism, 64);
}

#[test]
fn slot_sharing_groups_are_inherited_when_all_inputs_agree() {
    let build = Build::new(&["source 1", "source 2", "a", "union", "sink"]).edge(0, 2).edge(1, 3).edge(2, 3).edge(3, 4);
    let build = build.with(0, |source| source.slot_sharing_group = Some("left".to_owned()));
    let groups: Vec<_> = build.job_graph().vertices.into_iter().map(|vertex| (vertex.name, vertex.slot_sharing_group)).collect();
    let expected = [("source 1 -> a", "left"), ("source 2", "default"), ("union -> sink", "default")];
    assert_eq!(groups, expected.map(|(name, group)| (name.to_owned(), group.to_owned())));
}

#[test]
fn ids_are_flinks() {
    let build = Build::new(&["source*2", "keyed*2", "sink*2"]).edge_by(0, 1, hash()).edge(1, 2);
    let graph = build.job_graph();
    let ids: Vec<_> = graph.vertices.iter().map(|vertex| vertex.id.to_string()).collect();
    assert_eq!(ids, ["bc764cd8ddf7a0cff126f51c16239658", "20ba6b65f97481d5570070de90e4e791"], "as a Flink cluster showed them");
}

#[test]
fn ids_do_not_depend_on_names_and_uids_give_them() {
    let ids = |build: Build| -> Vec<_> {
        build.job_graph().vertices.iter().flat_map(|vertex| vertex.operators.iter().map(|operator| operator.id)).collect()
    };
    let [one, other] = [["source", "map", "sink"], ["a source", "b", "c sink"]].map(|names| ids(straight(&names)));
    assert_eq!(one, other);
    let named = ids(straight(&["source", "map", "sink"]).with(1, |map| map.uid = Some("my-map".to_owned())));
    assert_eq!(named[0], one[0]);
    assert_ne!(named[1], one[1]);
    let moved = ids(straight(&["source", "x", "map", "sink"]).with(2, |map| map.uid = Some("my-map".to_owned())));
    assert_eq!(moved[2], named[1], "a uid is the same anywhere");
}

#[test]
fn what_is_refused() {
    let two = || straight(&["source", "map"]);
    Build::new(&[]).refused("no operators defined");
    two()
        .with(0, |a| a.uid = Some("u".to_owned()))
        .with(1, |b| b.uid = Some("u".to_owned()))
        .refused("operators 'source' and 'map' have the same uid 'u'");
    straight(&["source", "map*0"]).refused("operator 'map': parallelism is 0");
    two().set("parallelism.default", "0").refused("operator 'source': parallelism is 0");
    two()
        .set("pipeline.max-parallelism", "2")
        .with(1, |map| map.parallelism = Some(3))
        .refused("operator 'map': parallelism 3 is above the max parallelism 2");
    two().with(1, |map| map.max_parallelism = Some(0)).refused("operator 'map': max parallelism is 0: set it between 1 and 32768");
    two().with(1, |map| map.max_parallelism = Some(32_769)).refused("operator 'map': max parallelism is 32769");
    straight(&["source", "keyed"]).refused("operator 'keyed': it uses keyed state, but its input from 'source' is partitioned by FORWARD");
    Build::new(&["source*2", "map*3"]).edge_by(0, 1, Some(Partitioner::Forward)).refused(
        "operator 'map': forward from 'source' needs one parallelism on both sides, but it is 2 there and 3 here: set them alike, or use rebalance()",
    );
    let tagged = StreamEdge { from: NodeId(1), tag: Some("late".to_owned()), to: NodeId(2), input: 0, partitioner: None };
    Build::new(&["source", "sink", "map"])
        .edge(0, 1)
        .full_edge(tagged)
        .refused("operator 'map': side output 'late' is read from 'sink', which is a sink");
    Build::new(&["source", "a", "b"]).edge(0, 1).edge(1, 2).edge(2, 1).refused("cycle among: a, b");
    Build::new(&["source", "a"]).refused("operator 'a': input 0 is not connected");
    Build::new(&["source"]).edge(0, 0).refused("cycle");
    let located = |node: &mut StreamNode| node.co_location_group = Some("c".to_owned());
    straight(&["source*2", "map*3"])
        .with(0, located)
        .with(1, located)
        .refused("co-location group 'c', but differ in parallelism (2 and 3)");
}

#[test]
fn the_plan_is_flinks_json() {
    let build = Build::new(&["source \"x\"", "keyed", "sink", "print"]).edge_by(0, 1, hash()).edge(1, 2).edge(1, 3);
    let json = build.job_graph().plan_json(JobId(7));
    let expected = r#"{"jid":"00000000000000000000000000000007","name":"test","type":"STREAMING","nodes":[{"id":"bc764cd8ddf7a0cff126f51c16239658","operator":"","parallelism":1,"operator_strategy":"","description":"source \"x\"<br/>","optimizer_properties":{}},{"id":"ID","operator":"","parallelism":1,"operator_strategy":"","description":"keyed<br/>:- sink<br/>+- print<br/>","optimizer_properties":{},"inputs":[{"num":0,"id":"bc764cd8ddf7a0cff126f51c16239658","exchange":"pipelined_bounded","ship_strategy":"HASH"}]}]}"#;
    let id = build.job_graph().vertices[1].id.to_string();
    assert_eq!(json, expected.replace("ID", &id));
}
