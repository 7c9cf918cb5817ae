//! Graphs as programs build them: nodes, edges, settings, and the mistakes that are found.

use crate::function::MapStateDescriptor;
use crate::{StreamEnvironment, cached_file};
use brisk_base::options::Configuration;
use brisk_base::options::core_options::{MAX_PARALLELISM, OPERATOR_CHAINING_ENABLED, PARALLELISM_DEFAULT};
use brisk_base::{Millis, Timestamp};
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::job::NoExecutor;
use brisk_core::job_graph::{ChainingStrategy, NodeId, NodeKind, StreamGraph, StreamNode};
use std::sync::Arc;

fn environment() -> StreamEnvironment {
    StreamEnvironment::new(Arc::new(NoExecutor), Configuration::new())
}

fn graph(env: &StreamEnvironment) -> StreamGraph {
    env.stream_graph("test").expect("no mistake")
}

fn node<'a>(graph: &'a StreamGraph, name: &str) -> &'a StreamNode {
    graph.nodes.iter().find(|node| node.name == name).unwrap_or_else(|| panic!("no node '{name}'"))
}

/// `from[tag] PARTITIONER input` of each edge into the node of this name.
fn inputs(graph: &StreamGraph, name: &str) -> Vec<String> {
    let into = graph.inputs(node(graph, name).id);
    into.map(|edge| {
        let tag = edge.tag.as_ref().map_or_else(String::new, |tag| format!("[{tag}]"));
        let how = edge.partitioner.as_ref().map_or("-", |partitioner| partitioner.name());
        format!("{}{tag} {how} {}", graph.node(edge.from).name, edge.input)
    })
    .collect()
}

#[test]
fn every_partitioner_is_on_its_edge() {
    let env = environment();
    let numbers = env.from_sequence(1, 10);
    numbers.shuffle().map(|n| n).name("shuffled");
    numbers.rebalance().map(|n| n).name("rebalanced");
    numbers.rescale().map(|n| n).name("rescaled");
    numbers.broadcast().map(|n| n).name("broadcast");
    numbers.global().map(|n| n).name("global");
    numbers.forward().map(|n| n).name("forward");
    numbers.partition_custom(|key, n| key % n, |n| *n as u32).map(|n| n).name("custom");
    numbers.key_by(|n| n % 2).map(|n| n).name("hashed");
    numbers.map(|n| n).name("plain");
    let graph = graph(&env);
    for (name, how) in [
        ("shuffled", "SHUFFLE"),
        ("rebalanced", "REBALANCE"),
        ("rescaled", "RESCALE"),
        ("broadcast", "BROADCAST"),
        ("global", "GLOBAL"),
        ("forward", "FORWARD"),
        ("custom", "CUSTOM"),
        ("hashed", "HASH"),
        ("plain", "-"),
    ] {
        assert_eq!(inputs(&graph, name), [format!("Source: Sequence Source {how} 0")], "{name}");
    }
}

#[test]
fn unions_side_outputs_and_connections_have_their_edges() {
    let env = environment();
    let late = OutputTag::<i64>::new("late");
    let a = env.from_elements([1i64]).name("a");
    let b = env.from_elements([2i64]).name("b");
    let split = a.union([&b.shuffle(), &a]).map(|n| n).name("union");
    split.side_output(&late).rebalance().map(|n| n).name("late");
    a.connect(&split).map(|n| n, |n| n).name("connected");
    a.key_by(|n| *n).connect(&b.key_by(|n| *n)).flat_map(|n, out: &mut Collector<i64>| out.collect(n), |_, _| {}).name("keyed");
    let rules = b.broadcast_state(&MapStateDescriptor::<i64, i64>::new("rules"));
    a.connect_broadcast(&rules).process(Rules).name("rules");
    let graph = graph(&env);
    assert_eq!(inputs(&graph, "union"), ["a - 0", "b SHUFFLE 0", "a - 0"]);
    assert_eq!(inputs(&graph, "late"), ["union[late] REBALANCE 0"]);
    assert_eq!(inputs(&graph, "connected"), ["a - 0", "union - 1"]);
    assert_eq!(inputs(&graph, "keyed"), ["a HASH 0", "b HASH 1"]);
    assert_eq!(inputs(&graph, "rules"), ["a - 0", "b BROADCAST 1"]);
    assert_eq!(node(&graph, "connected").inputs, 2);
}

#[derive(Clone)]
struct Rules;

impl crate::function::BroadcastProcessFunction for Rules {
    type In = i64;
    type BroadcastIn = i64;
    type Out = i64;

    fn process_element(
        &mut self,
        value: i64,
        _ctx: &mut crate::function::ReadOnlyContext<'_>,
        out: &mut Collector<i64>,
    ) -> brisk_base::Result<()> {
        out.collect(value);
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        _value: i64,
        _ctx: &mut crate::function::BroadcastContext<'_>,
        _out: &mut Collector<i64>,
    ) -> brisk_base::Result<()> {
        Ok(())
    }
}

#[test]
fn settings_are_those_of_the_operator() {
    let env = environment();
    let mapped = env.from_sequence(1, 2).map(|n| n).uid("u").name("m").set_description("d").set_parallelism(3).set_max_parallelism(64);
    let mapped = mapped.start_new_chain().slot_sharing_group("s").co_location_group("c").set_buffer_timeout(Millis(5)).blocking();
    mapped.print().disable_chaining();
    let graph = graph(&env);
    let m = node(&graph, "m");
    assert_eq!((m.uid.as_deref(), m.description.as_deref(), m.parallelism, m.max_parallelism), (Some("u"), Some("d"), Some(3), Some(64)));
    assert_eq!((m.chaining, m.buffer_timeout, m.dedicated_thread), (ChainingStrategy::Head, Some(Millis(5)), true));
    assert_eq!((m.slot_sharing_group.as_deref(), m.co_location_group.as_deref()), (Some("s"), Some("c")));
    let sink = node(&graph, "Sink: Print to Std. Out");
    assert_eq!((sink.kind, sink.chaining), (NodeKind::Sink, ChainingStrategy::Never));
}

#[test]
fn keyed_operators_are_marked_and_event_time_is_handed_on() {
    let env = environment();
    let plain = env.from_sequence(1, 2).map(|n| n).name("plain");
    let timed = plain.assign_timestamps_and_watermarks(WatermarkStrategy::monotonous_timestamps().with_timestamp(|n: &i64| Timestamp(*n)));
    timed.map(|n| n).name("timed").key_by(|n| *n).reduce(|a, _| a).name("keyed");
    timed.assign_timestamps_and_watermarks(WatermarkStrategy::no_watermarks()).map(|n| n).name("without");
    plain.union([&timed]).map(|n| n).name("both");
    let graph = graph(&env);
    let event_time: Vec<_> = ["plain", "timed", "keyed", "without", "both"].map(|name| node(&graph, name).event_time).into();
    assert_eq!(event_time, [false, true, true, false, true]);
    assert!(node(&graph, "keyed").keyed && !node(&graph, "timed").keyed);
}

#[test]
fn the_environments_settings_are_options() {
    let env = environment();
    env.set_parallelism(4).set_max_parallelism(64).disable_operator_chaining().set_global_job_parameters([("a", "1"), ("b", "2")]);
    env.from_sequence(1, 2).print();
    let config = env.config();
    assert_eq!(config.get(&PARALLELISM_DEFAULT).expect("set"), 4);
    assert_eq!(config.get(&MAX_PARALLELISM).expect("set"), Some(64));
    assert!(!config.get(&OPERATOR_CHAINING_ENABLED).expect("set"));
    assert_eq!(graph(&env).job_parameters.len(), 2);
}

#[test]
fn an_environment_with_windows_is_freed() {
    let probe = Arc::new(());
    for evicts in [false, true] {
        let (held, env) = (Arc::clone(&probe), environment());
        let keyed = env.from_sequence(1, 2).map(move |n| n + Arc::strong_count(&held) as i64).key_by(|n| *n);
        let windows = keyed.count_window(2);
        let windows = if evicts { windows.evictor(crate::window::CountEvictor::of(1)) } else { windows };
        windows.reduce(|first, second| first + second).print();
    }
    assert_eq!(Arc::strong_count(&probe), 1, "an operator holds the environment that holds it");
}

#[test]
fn mistakes_are_found_with_operator_and_remedy() {
    type Program = fn(&StreamEnvironment);
    let programs: [(Program, &str); 12] = [
        (|_| {}, "job 'test' has no operators"),
        (|env| drop(env.from_sequence(1, 2).map(|n| n).set_parallelism(0)), "operator 'Map' has parallelism 0"),
        (|env| drop(env.from_elements([1u8]).set_parallelism(2)), "'Source: Collection Source' cannot run in parallel"),
        (|env| drop(env.from_sequence(1, 2).uid("x").map(|n| n).uid("x").print()), "have the same uid 'x'"),
        (|env| drop(env.from_sequence(1, 2).shuffle().uid("x")), "no operator's output"),
        (|env| drop(env.from_sequence(1, 2).union([&env.from_sequence(1, 2)]).name("x")), "no operator's output"),
        (|env| drop(env.from_sequence(1, 2).shuffle().side_output(&OutputTag::<i64>::new("t"))), "side_output('t')"),
        (|env| drop(env.from_sequence(1, 2).union([&environment().from_sequence(1, 2)])), "two environments"),
        (|env| drop(env.from_sequence(2, 1)), "counts backwards"),
        (|env| drop(env.set_parallelism(0).from_sequence(1, 2)), "parallelism is 0"),
        (
            |env| {
                let options = crate::function::AsyncOptions::default().capacity(0);
                env.from_sequence(1, 2).map_async_ordered(|n: i64| async move { Ok(n) }, options);
            },
            "capacity of 0",
        ),
        (
            |env| {
                let state = MapStateDescriptor::<i64, i64>::new("rules");
                drop(env.from_sequence(1, 2).broadcast_state(&state).with_state(&state));
            },
            "'rules' is declared twice",
        ),
    ];
    for (program, message) in programs {
        let env = environment();
        program(&env);
        let error = env.execute("test").err().unwrap_or_else(|| panic!("'{message}' was not found"));
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn each_execute_takes_what_is_new_and_what_it_reads() {
    let env = environment();
    let numbers = env.from_sequence(1, 2).name("numbers");
    let squares = numbers.map(|n| n * n).name("squares");
    squares.print();
    let error = env.execute("first").expect_err("nothing runs here");
    assert!(error.to_string().contains("has no executor"), "{error}");
    numbers.map(|n| -n).name("others");
    squares.print_to_err();
    let graph = graph(&env);
    let names: Vec<_> = graph.nodes.iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["numbers", "squares", "others", "Sink: Print to Std. Err"]);
    assert!(graph.nodes.iter().zip(0..).all(|(node, id)| node.id == NodeId(id)));
    assert_eq!(inputs(&graph, "others"), ["numbers - 0"]);
}

#[test]
fn the_plan_can_be_read() {
    let env = environment();
    let tag = OutputTag::<i64>::new("odd");
    let numbers = env.from_elements([1i64]).uid("numbers");
    numbers.side_output(&tag).key_by(|n| *n).sum(|n| n).print();
    let expected = "0: Source: Collection Source (parallelism 1, uid numbers)\n\
                    1: Keyed Aggregation (parallelism default) <- 0[odd] HASH\n\
                    2: Sink: Print to Std. Out (parallelism default) <- 1 FORWARD or REBALANCE\n";
    assert_eq!(env.explain().expect("no mistake"), expected);
}

#[test]
fn a_value_is_made_once_per_name() {
    let env = environment();
    assert_eq!(env.once("seed", || 7u64), 7);
    assert_eq!(env.once("seed", || -> u64 { panic!("recorded already") }), 7);
    assert_eq!(env.once("other", || "x".to_owned()), "x");
    env.once("seed", || "a string".to_owned());
    env.from_sequence(1, 2).print();
    assert!(env.stream_graph("test").expect_err("two types").to_string().contains("once(\"seed\")"));
}

#[test]
fn cached_files_are_found_by_name() {
    let env = environment();
    env.register_cached_file("/data/model.bin", "model").register_cached_file("words.txt", "words");
    let clock = crate::operators::driver::Driver::new(&[], |cx| crate::operators::ProcessOperator::new(Nothing, cx));
    let runtime = brisk_core::operator::RuntimeContext { config: Arc::new(env.config()), ..clock.runtime.clone() };
    assert_eq!(cached_file(&runtime, "model").expect("registered").to_str(), Some("/data/model.bin"));
    assert_eq!(cached_file(&runtime, "words").expect("registered").to_str(), Some("words.txt"));
    assert!(cached_file(&runtime, "other").expect_err("unknown").to_string().contains("no cached file is called 'other'"));
}

#[derive(Clone)]
struct Nothing;

impl crate::function::ProcessFunction for Nothing {
    type In = i64;
    type Out = i64;

    fn process_element(
        &mut self,
        _value: i64,
        _ctx: &mut crate::function::ProcessContext<'_>,
        _out: &mut Collector<i64>,
    ) -> brisk_base::Result<()> {
        Ok(())
    }
}
