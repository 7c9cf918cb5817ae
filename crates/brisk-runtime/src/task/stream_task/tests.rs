//! Whole tasks on the step executor.

use super::super::testing::{Hand, Log, Probe, batch, task_info, world};
use super::super::{TaskControl, TaskDescriptor, TaskEnvironment, TaskReporter, start_task};
use super::*;
use crate::exchange::{GateQueue, LocalExchanges, Received};
use crate::executor::{Executor, StepExecutor};
use brisk_base::Millis;
use brisk_base::ids::{AttemptId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::Rng;
use brisk_core::batch::Rows;
use brisk_core::element::Element;
use brisk_core::job_graph::{ChainedOperator, JobEdge, JobGraph, JobVertex, OutputRoute, Partitioner, RouteTarget};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, OperatorSpec, Progress, Rest, RuntimeContext};
use brisk_core::registry::OperatorRegistry;
use brisk_core::source::SourceEvent;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::task::Waker;

/// Final states with their errors.
#[derive(Default)]
struct Reports(Mutex<Vec<(ExecutionState, Option<String>)>>);

impl TaskReporter for Reports {
    fn state(&self, _: AttemptId, state: ExecutionState, error: Option<Error>) {
        if state.is_terminal() {
            self.0.lock().unwrap().push((state, error.map(|error| error.to_string())));
        }
    }

    fn event(&self, _: AttemptId, _: OperatorId, _: SourceEvent) {}
}

/// One task under test, in front of consumers that the test plays.
struct Fixture {
    clock: Arc<Hand>,
    executor: Arc<StepExecutor>,
    control: TaskControl,
    reports: Arc<Reports>,
    exchanges: Arc<LocalExchanges>,
    graph: Arc<JobGraph>,
    rng: Rng,
}

fn vertex(id: u128, operators: Vec<ChainedOperator>, inputs: u32) -> JobVertex {
    JobVertex {
        id: VertexId(id),
        name: String::new(),
        operators,
        parallelism: 1,
        max_parallelism: 128,
        inputs,
        incoming: Vec::new(),
        outgoing: Vec::new(),
        slot_sharing_group: String::new(),
        co_location_group: None,
        dedicated_thread: false,
    }
}

/// The probes in a row; what the last one emits goes to `consumers` other vertices.
fn graph(probes: Vec<Probe>, inputs: u32, consumers: usize) -> JobGraph {
    let last = probes.len() - 1;
    let operator = |(at, probe): (usize, Probe)| {
        let name = probe.name.to_owned();
        let probe = Mutex::new(Some(probe));
        let make =
            move |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(probe.lock().unwrap().take().expect("made once"))) };
        let targets = if at == last { (0..consumers).map(RouteTarget::Exchange).collect() } else { vec![RouteTarget::Chained(at + 1)] };
        let outputs = vec![OutputRoute { tag: None, targets }];
        let spec = OperatorSpec::Factory(Arc::new(make));
        ChainedOperator { id: OperatorId(at as u128), name, uid: None, spec, source: false, keyed: false, outputs }
    };
    let mut graph =
        JobGraph { vertices: vec![vertex(0, probes.into_iter().enumerate().map(operator).collect(), inputs)], ..JobGraph::default() };
    (0..consumers + inputs as usize).for_each(|other| graph.vertices.push(vertex(1 + other as u128, Vec::new(), 1)));
    let mut connect = |from: usize, to: usize, from_output: usize| {
        let (partitioner, buffer_timeout) = (Partitioner::Forward, Some(Millis(100)));
        graph.edges.push(JobEdge { from, from_output, to, input: 0, to_gate: 0, partitioner, buffer_timeout });
        graph.vertices[from].outgoing.push(graph.edges.len() - 1);
        graph.vertices[to].incoming.push(graph.edges.len() - 1);
    };
    (0..consumers).for_each(|consumer| connect(0, 1 + consumer, consumer));
    (0..inputs as usize).for_each(|input| connect(1 + consumers + input, 0, 0));
    graph
}

impl Fixture {
    fn source(probes: Vec<Probe>, consumers: usize) -> Self {
        Self::start(graph(probes, 0, consumers))
    }

    fn start(graph: JobGraph) -> Self {
        let clock = Arc::new(Hand::default());
        let world = world(&clock);
        let executor = Arc::new(StepExecutor::new(world.clone()));
        let (reports, exchanges, graph) = (Arc::<Reports>::default(), Arc::<LocalExchanges>::default(), Arc::new(graph));
        let descriptor = TaskDescriptor {
            graph: Arc::clone(&graph),
            vertex: 0,
            info: task_info(VertexId(0)),
            config: Arc::new(Configuration::default()),
            registry: OperatorRegistry::default(),
            metrics: MetricGroup::unregistered(&world),
            state_backend: None,
            checkpointing: false,
        };
        let environment = TaskEnvironment {
            world,
            executor: Arc::<StepExecutor>::clone(&executor),
            exchanges: Arc::clone(&exchanges),
            reporter: Arc::<Reports>::clone(&reports),
        };
        let control = start_task(descriptor, environment, None);
        Self { clock, executor, control, reports, exchanges, graph, rng: Rng::seeded(1) }
    }

    /// Polls until the task waits. Fails if it never does.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.executor.run_one(&mut self.rng, 100).is_none() && !self.executor.fire_due() {
                return;
            }
        }
        panic!("the task spins");
    }

    fn at_ms(&mut self, ms: u64) {
        self.clock.set_ms(ms);
        self.executor.fire_due();
        self.settle();
    }

    /// What one consumer finds, at most 50 elements; rows and watermarks as text.
    fn read(&mut self, consumer: usize) -> Vec<String> {
        let gate = self.exchanges.gate(&self.graph, 1 + consumer, 0, 0);
        let mut found = Vec::new();
        while found.len() < 50
            && let Received::Element(_, element) = gate.receive(Waker::noop())
        {
            found.push(match element {
                Element::Batch(batch) => super::super::testing::show(&Rows::from_any(batch).expect("numbers")),
                Element::Watermark(watermark) => format!("<{}", watermark.0),
                other => format!("{other:?}"),
            });
            self.settle();
        }
        found
    }

    fn gate(&self) -> Arc<GateQueue> {
        self.exchanges.gate(&self.graph, 0, 0, 0)
    }

    fn send(&self, element: Element) {
        let sender = crate::exchange::ChannelSender::new(self.gate(), 0);
        assert!(matches!(sender.send(element, Waker::noop()), crate::exchange::Sent::Accepted(_)));
    }

    fn ended(&self) -> Vec<(ExecutionState, Option<String>)> {
        self.reports.0.lock().unwrap().clone()
    }
}

/// A source that gives large batches for as long as it is asked.
fn flood(log: &Log) -> Probe {
    let mut source = Probe::new("source", log);
    source.on_source = Some(Box::new(|(), cx| {
        cx.emit(MAIN_PORT, batch(0..Rows::<i64>::FULL as i64));
        Ok(SourcePoll::More)
    }));
    source
}

/// A source that has nothing.
fn silent(log: &Log) -> Probe {
    let mut source = Probe::new("source", log);
    source.on_source = Some(Box::new(|(), _| Ok(SourcePoll::Waiting)));
    source
}

#[test]
fn nothing_piles_up_while_the_output_is_blocked() {
    let log = Log::default();
    let mut timed = Probe::new("timed", &log);
    let time = Arc::clone(&timed.time);
    *time.lock().unwrap() = Some(Timestamp(1));
    timed.on_time = Some(Box::new(move |now, cx| {
        *time.lock().unwrap() = Some(now + Millis(1));
        cx.emit(MAIN_PORT, batch([now.0]));
        Ok(Progress::Done)
    }));
    timed.on_pending = Some(Box::new(|(), cx| {
        cx.emit(MAIN_PORT, batch([-1]));
        Ok(Progress::Waiting)
    }));
    let mut fixture = Fixture::source(vec![flood(&log), timed], 1);
    fixture.settle();
    log.take();
    for ms in 1..1000 {
        fixture.at_ms(ms);
        fixture.control.wake();
        fixture.settle();
    }
    assert_eq!(log.take(), [""; 0], "no operator is called");
    assert!(fixture.read(0).len() > 8);
    let calls = log.take();
    assert_eq!(calls.iter().find(|line| line.contains("back-pressured")).map(String::as_str), Some("source back-pressured 999ms"));
    assert!(calls.contains(&"timed time 999".to_owned()), "timers fire when there is room again");
}

#[test]
fn timers_fire_although_the_output_is_full_again_and_again() {
    let log = Log::default();
    let mut timed = Probe::new("timed", &log);
    let time = Arc::clone(&timed.time);
    timed.on_batch = Some(Box::new(move |rows, cx| {
        time.lock().unwrap().get_or_insert(Timestamp(5));
        cx.emit(MAIN_PORT, Box::new(rows));
        Ok(Rest::Consumed)
    }));
    let time = Arc::clone(&timed.time);
    timed.on_time = Some(Box::new(move |_, _| {
        *time.lock().unwrap() = Some(Timestamp::MAX);
        Ok(Progress::Done)
    }));
    let mut fixture = Fixture::source(vec![flood(&log), timed], 1);
    fixture.settle();
    fixture.at_ms(6);
    log.take();
    fixture.read(0);
    assert!(log.of("timed").contains(&"time 6".to_owned()));
}

#[test]
fn what_gathers_for_another_exchange_is_not_held_up() {
    let log = Log::default();
    let mut few = Probe::new("source", &log);
    let mut given = 0;
    few.on_source = Some(Box::new(move |(), cx| {
        given += 1;
        if given > 20 {
            return Ok(SourcePoll::Waiting);
        }
        cx.emit(MAIN_PORT, batch(0..if given == 20 { 1 } else { Rows::<i64>::FULL as i64 }));
        Ok(SourcePoll::More)
    }));
    let mut fixture = Fixture::source(vec![few], 2);
    // The second consumer reads, the first does not.
    fixture.settle();
    let early = fixture.read(1).len();
    fixture.at_ms(101);
    let late = fixture.read(1).len();
    assert!(early + late > 8, "{early}, {late}");
    assert!(fixture.executor.next_deadline() > fixture.executor.world().mono(), "and no spinning");
}

#[test]
fn results_that_wait_behind_a_blocked_operator_come_out() {
    let log = Log::default();
    let mut asynchronous = Probe::new("async", &log);
    // Two results are ready, one per call; only when both are out is there room for the input.
    let ready = Arc::new(Mutex::new(2));
    let left = Arc::clone(&ready);
    asynchronous.on_batch = Some(Box::new(move |rows, cx| {
        let mut left = left.lock().unwrap();
        if *left == 0 {
            cx.emit(MAIN_PORT, Box::new(rows));
            return Ok(Rest::Consumed);
        }
        *left -= 1;
        cx.emit(MAIN_PORT, batch([100 + *left]));
        Ok(Rest::Blocked(Box::new(rows)))
    }));
    asynchronous.on_pending = Some(Box::new(move |(), cx| {
        let mut left = ready.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            cx.emit(MAIN_PORT, batch([100 + *left]));
        }
        Ok(Progress::Waiting)
    }));
    let mut fixture = Fixture::start(graph(vec![asynchronous], 1, 1));
    fixture.send(Element::Batch(batch([7])));
    fixture.settle();
    assert_eq!(fixture.read(0), ["101,100,7"], "nobody wakes the task for them");
}

#[test]
fn results_that_did_not_fit_into_one_batch_come_out() {
    let log = Log::default();
    let mut asynchronous = Probe::new("async", &log);
    let ready = Arc::new(Mutex::new(0));
    let left = Arc::clone(&ready);
    asynchronous.on_batch = Some(Box::new(move |_, cx| {
        *left.lock().unwrap() = 2;
        cx.emit(MAIN_PORT, batch([103]));
        Ok(Rest::Consumed)
    }));
    asynchronous.on_pending = Some(Box::new(move |(), cx| {
        let mut left = ready.lock().unwrap();
        if *left > 0 {
            cx.emit(MAIN_PORT, batch([100 + *left]));
            *left -= 1;
        }
        Ok(if *left > 0 { Progress::More } else { Progress::Waiting })
    }));
    let mut fixture = Fixture::start(graph(vec![asynchronous], 1, 1));
    fixture.send(Element::Batch(batch([7])));
    fixture.settle();
    assert_eq!(fixture.read(0), ["103,102,101"], "nobody wakes the task for them");
}

#[test]
fn the_end_of_a_source_is_the_last_that_is_heard_of_it() {
    let log = Log::default();
    let mut source = Probe::new("source", &log);
    let time = Arc::clone(&source.time);
    source.on_source = Some(Box::new(move |(), cx| {
        *time.lock().unwrap() = Some(Timestamp(0));
        cx.emit(MAIN_PORT, batch([1]));
        cx.emit_watermark(Timestamp::MAX);
        Ok(SourcePoll::Finished)
    }));
    source.on_time = Some(Box::new(|_, cx| {
        cx.emit_status(brisk_core::element::StreamStatus::Idle);
        Ok(Progress::Done)
    }));
    let mut late = Probe::new("late", &log);
    let mut polls = 3;
    late.on_finish = Some(Box::new(move |(), cx| {
        polls -= 1;
        cx.waker.wake_by_ref();
        Ok(if polls > 0 { Progress::Waiting } else { Progress::Done })
    }));
    let mut fixture = Fixture::source(vec![source, late], 1);
    fixture.settle();
    assert_eq!(fixture.read(0), [&format!("1,<{}", i64::MAX), "EndOfInput"]);
    assert_eq!(fixture.ended(), [(ExecutionState::Finished, None)]);
    assert!(!log.take().iter().any(|line| line.contains("time")));
}

#[test]
fn a_source_reports_its_rows_and_watermark() {
    let log = Log::default();
    let mut source = Probe::new("source", &log);
    let mut given = false;
    source.on_source = Some(Box::new(move |(), cx| {
        if !std::mem::replace(&mut given, true) {
            cx.emit(MAIN_PORT, batch([1, 2, 3]));
            cx.emit_watermark(Timestamp(9));
        }
        Ok(SourcePoll::Waiting)
    }));
    let mut fixture = Fixture::source(vec![source, Probe::new("sink", &log)], 0);
    fixture.settle();
    let io = fixture.control.io();
    assert_eq!((io.records_in, io.watermark), (3, Timestamp(9)));
}

#[test]
fn a_task_ends_cancelled_from_wherever_it_is() {
    for (place, inputs) in [("before its first poll", 0), ("waiting for data", 0), ("waiting for input", 1), ("blocked by its output", 0)] {
        let log = Log::default();
        let head = match place {
            "blocked by its output" => flood(&log),
            "waiting for input" => Probe::new("source", &log),
            _ => silent(&log),
        };
        let mut fixture = Fixture::start(graph(vec![head, Probe::new("last", &log)], inputs, 1));
        if place != "before its first poll" {
            fixture.settle();
        }
        log.take();
        fixture.control.cancel();
        fixture.settle();
        assert_eq!(fixture.ended(), [(ExecutionState::Canceled, None)], "{place}");
        let closed = log.take();
        let expected: &[&str] = if place == "before its first poll" { &[] } else { &["source close", "last close"] };
        assert_eq!(closed.iter().filter(|line| line.ends_with("close")).collect::<Vec<_>>(), expected, "{place}");
        assert_eq!(fixture.executor.live_tasks(), 0);
        if inputs > 0 {
            let sender = crate::exchange::ChannelSender::new(fixture.gate(), 0);
            assert!(matches!(sender.send(Element::EndOfInput, Waker::noop()), crate::exchange::Sent::Closed));
        }
    }
}

#[test]
fn a_task_that_is_dropped_closes_its_operators_and_its_gate() {
    let log = Log::default();
    let mut panicking = Probe::new("first", &log);
    panicking.on_close = Some(Box::new(|| panic!("cannot close")));
    let mut fixture = Fixture::start(graph(vec![panicking, Probe::new("last", &log)], 1, 1));
    fixture.settle();
    log.take();
    let gate = fixture.gate();
    assert!(fixture.control.abandon());
    assert_eq!(log.take(), ["first close", "last close"]);
    let sender = crate::exchange::ChannelSender::new(gate, 0);
    assert!(matches!(sender.send(Element::EndOfInput, Waker::noop()), crate::exchange::Sent::Closed));
    drop(fixture);
    assert_eq!(log.take(), [""; 0], "once");
}

#[test]
fn a_failure_to_close_fails_a_task_that_had_not_failed() {
    let log = Log::default();
    let mut source = Probe::new("source", &log);
    source.on_source = Some(Box::new(|(), _| Ok(SourcePoll::Finished)));
    source.on_close = Some(Box::new(|| Err(Error::user("disk full"))));
    let mut fixture = Fixture::source(vec![source], 1);
    fixture.settle();
    assert_eq!(fixture.ended(), [(ExecutionState::Failed, Some("operator 'source' (1/1): disk full".to_owned()))]);

    let mut source = Probe::new("source", &log);
    source.on_source = Some(Box::new(|(), _| Err(Error::user("no such file"))));
    source.on_close = Some(Box::new(|| Err(Error::user("disk full"))));
    let mut fixture = Fixture::source(vec![source], 1);
    fixture.settle();
    assert_eq!(fixture.ended(), [(ExecutionState::Failed, Some("operator 'source' (1/1): no such file".to_owned()))]);
}

#[test]
fn an_operator_that_cannot_be_opened_fails_the_task_and_all_are_closed() {
    struct NotOpening(Probe);
    impl Operator for NotOpening {
        fn open(&mut self, _: &mut OperatorContext<'_>) -> Result<()> {
            panic!("not today")
        }
        fn process_batch(&mut self, _: usize, _: Box<dyn brisk_core::batch::AnyBatch>, _: &mut OperatorContext<'_>) -> Result<Rest> {
            Ok(Rest::Consumed)
        }
        fn close(&mut self) -> Result<()> {
            self.0.close()
        }
    }
    let log = Log::default();
    let mut graph = graph(vec![silent(&log), Probe::new("second", &log)], 0, 0);
    let inner = log.clone();
    let make = move |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(NotOpening(Probe::new("second", &inner)))) };
    graph.vertices[0].operators[1].spec = OperatorSpec::Factory(Arc::new(make));
    let mut fixture = Fixture::start(graph);
    fixture.settle();
    let (state, error) = fixture.ended().remove(0);
    assert_eq!(state, ExecutionState::Failed);
    assert!(error.is_some_and(|error| error.starts_with("operator 'second' (1/1): panicked at ") && error.ends_with("not today")));
    assert_eq!(log.take(), ["source close", "second close"]);
}

#[test]
fn a_message_for_a_source_is_heard_between_polls() {
    struct Hears(Log);
    impl Operator for Hears {
        fn process_batch(&mut self, _: usize, _: Box<dyn brisk_core::batch::AnyBatch>, _: &mut OperatorContext<'_>) -> Result<Rest> {
            Ok(Rest::Consumed)
        }
        fn poll_source(&mut self, _: &mut OperatorContext<'_>) -> Result<SourcePoll> {
            Ok(SourcePoll::Waiting)
        }
        fn handle_event(&mut self, event: SourceEvent, _: &mut OperatorContext<'_>) -> Result<()> {
            self.0.add(format!("{event:?}"));
            Ok(())
        }
    }
    let log = Log::default();
    let mut graph = graph(vec![silent(&log)], 0, 1);
    let inner = log.clone();
    let make = move |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(Hears(inner.clone()))) };
    graph.vertices[0].operators[0].spec = OperatorSpec::Factory(Arc::new(make));
    let mut fixture = Fixture::start(graph);
    fixture.control.send_event(OperatorId(0), SourceEvent::NoMoreSplits);
    fixture.settle();
    fixture.control.send_event(OperatorId(0), SourceEvent::RequestSplit);
    fixture.settle();
    assert_eq!(log.take(), ["NoMoreSplits", "RequestSplit"]);
    let _: BTreeMap<_, _> = fixture.control.accumulators();
}
