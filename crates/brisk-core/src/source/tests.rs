//! A source operator driven by hand: idleness, alignment, periodic generators, the end.

use super::*;
use crate::accumulator::Accumulators;
use crate::batch::Rows;
use crate::checkpoint::{Alignment, Barrier, SnapshotKind};
use crate::element::Element;
use crate::function::watermark::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use crate::operator::{Budget, Operator, OperatorContext, OperatorFactory, Output, Port, RuntimeContext, SnapshotContext, TaskInfo};
use crate::state::{OperatorRestore, OperatorSnapshot, OperatorStateSnapshot, RestoredOperatorState};
use brisk_base::Millis;
use brisk_base::ids::{AttemptId, JobId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::{Clock, MonoTime, Spawner, World};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

/// What the reader does next.
#[derive(Clone, Debug)]
enum Does {
    /// A row of this split; its value is its timestamp.
    Row(&'static str, i64),
    /// A row that belongs to no split.
    Plain(i64),
    Release(&'static str),
    Finish,
}

type Script = Arc<Mutex<VecDeque<Does>>>;

#[derive(Clone)]
struct Scripted {
    script: Script,
    paused: Arc<Mutex<Vec<String>>>,
}

impl SourceSplit for String {
    fn split_id(&self) -> String {
        self.clone()
    }
}

struct NoEnumerator;

impl SplitEnumerator<String, ()> for NoEnumerator {
    fn handle_split_request(&mut self, _: u32, _: &mut EnumeratorContext<'_, String>) -> Result<()> {
        Ok(())
    }
    fn add_splits_back(&mut self, _: Vec<String>, _: u32) {}
    fn snapshot(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Source for Scripted {
    type Out = i64;
    type Split = String;
    type EnumeratorState = ();

    fn boundedness(&self) -> Boundedness {
        Boundedness::Bounded
    }

    fn create_enumerator(&self) -> Result<Box<dyn SplitEnumerator<String, ()>>> {
        Ok(Box::new(NoEnumerator))
    }

    fn restore_enumerator(&self, (): ()) -> Result<Box<dyn SplitEnumerator<String, ()>>> {
        self.create_enumerator()
    }

    fn create_reader(&self, _: &RuntimeContext) -> Result<Box<dyn SourceReader<i64, String>>> {
        Ok(Box::new(self.clone()))
    }
}

impl SourceReader<i64, String> for Scripted {
    fn poll_next(&mut self, _: &mut ReaderContext<'_>, out: &mut SourceOutput<i64>) -> Result<SourcePoll> {
        while let Some(does) = self.script.lock().unwrap().pop_front() {
            match does {
                Does::Row(split, value) => {
                    out.select_split(split);
                    out.collect(value);
                }
                Does::Plain(value) => out.collect(value),
                Does::Release(split) => out.release_split(split),
                Does::Finish => return Ok(SourcePoll::Finished),
            }
        }
        Ok(SourcePoll::Waiting)
    }

    fn add_splits(&mut self, _: Vec<String>) -> Result<()> {
        Ok(())
    }

    fn no_more_splits(&mut self) {}

    fn snapshot(&self) -> Vec<String> {
        Vec::new()
    }

    fn pause_splits(&mut self, paused: &[String]) {
        *self.paused.lock().unwrap() = paused.to_vec();
    }
}

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
    fn mono(&self) -> MonoTime {
        MonoTime(self.0.load(Ordering::SeqCst) as u64 * 1_000_000)
    }
}

struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, _: &str, _: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other("no threads here"))
    }
}

/// Elements and events as text: values, `<watermark`, statuses, `!event`.
#[derive(Default)]
struct Seen(Vec<String>);

impl Output for Seen {
    fn emit(&mut self, _: Port, element: Element) {
        match element {
            Element::Batch(batch) => {
                let rows = Rows::<i64>::from_any(batch).expect("numbers");
                self.0.extend(rows.into_cursor().map(|step| match step {
                    crate::batch::Step::Row(value, ..) => value.to_string(),
                    crate::batch::Step::Watermark(watermark) => format!("<{}", watermark.0),
                }));
            }
            Element::Watermark(watermark) => self.0.push(format!("<{}", watermark.0)),
            Element::Status(status) => self.0.push(format!("{status:?}")),
            other => self.0.push(format!("{other:?}")),
        }
    }
    fn ports(&self) -> usize {
        1
    }
    fn send_event(&mut self, event: SourceEvent) {
        self.0.push(match event {
            SourceEvent::ReportWatermark(watermark) => format!("!report {}", watermark.0),
            other => format!("!{other:?}"),
        });
    }
}

struct Fixture {
    operator: Box<dyn Operator>,
    script: Script,
    paused: Arc<Mutex<Vec<String>>>,
    clock: Arc<Hand>,
    runtime: RuntimeContext,
    seen: Seen,
}

const MAX: &str = "<9223372036854775807";

fn by_value() -> WatermarkStrategy<i64> {
    WatermarkStrategy::monotonous_timestamps().with_timestamp(|value: &i64| Timestamp(*value))
}

impl Fixture {
    fn new(strategy: WatermarkStrategy<i64>) -> Self {
        let clock = Arc::new(Hand(AtomicI64::new(0)));
        let world = World::new(Arc::<Hand>::clone(&clock), Arc::new(NoThreads), 1);
        let source = Scripted { script: Script::default(), paused: Arc::default() };
        let runtime = RuntimeContext {
            task: TaskInfo {
                job_id: JobId(1),
                job_name: "test".into(),
                attempt: AttemptId { vertex: VertexId(1), subtask: 0, attempt: 0 },
                subtask: 0,
                parallelism: 1,
                max_parallelism: 128,
            },
            operator_name: "source".into(),
            operator_id: OperatorId(1),
            side_outputs: Vec::new(),
            metrics: MetricGroup::unregistered(&world),
            world,
            config: Arc::new(Configuration::new()),
            job_parameters: Arc::new(BTreeMap::new()),
            accumulators: Accumulators::default(),
            program_elsewhere: false,
            state: Default::default(),
        };
        let operator = SourceOperatorFactory::new(source.clone(), strategy).create(&runtime).expect("made");
        let mut fixture = Self { operator, script: source.script, paused: source.paused, clock, runtime, seen: Seen::default() };
        fixture.call(|operator, cx| operator.open(cx));
        assert_eq!(fixture.seen(), ["!RequestSplit"]);
        fixture
    }

    fn call<R>(&mut self, f: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<R>) -> R {
        let mut budget = Budget::new(Arc::clone(&self.runtime.world.clock));
        let mut cx = OperatorContext::new(&self.runtime, &mut budget, Waker::noop(), &mut self.seen);
        f(self.operator.as_mut(), &mut cx).expect("no failure")
    }

    /// Polls the source until it waits or has finished.
    fn poll(&mut self, script: impl IntoIterator<Item = Does>) -> SourcePoll {
        self.script.lock().unwrap().extend(script);
        loop {
            let poll = self.call(|operator, cx| operator.poll_source(cx));
            if poll != SourcePoll::More {
                return poll;
            }
        }
    }

    fn event(&mut self, event: SourceEvent) {
        self.call(|operator, cx| operator.handle_event(event, cx));
    }

    fn assign(&mut self, splits: &[&str]) {
        let encode = |split: &&str| {
            let mut bytes = Vec::new();
            Record::encode(&(*split).to_owned(), &mut bytes);
            bytes
        };
        self.event(SourceEvent::AddSplits(splits.iter().map(encode).collect()));
    }

    /// Lets time pass, calling the operator whenever it asked for it.
    fn time(&mut self, to: i64) {
        let mut calls = 0;
        while let Some(at) = self.operator.next_processing_time().filter(|at| at.0 <= to) {
            self.clock.0.fetch_max(at.0, Ordering::SeqCst);
            let now = self.clock.now();
            self.call(|operator, cx| operator.on_processing_time(now, cx));
            calls += 1;
            assert!(calls < 10_000, "asks for a time that has come again and again");
        }
        self.clock.0.store(to, Ordering::SeqCst);
    }

    fn seen(&mut self) -> Vec<String> {
        std::mem::take(&mut self.seen.0)
    }

    /// Takes a checkpoint and goes on from it.
    fn restart(&mut self, strategy: WatermarkStrategy<i64>) {
        let (kind, alignment) = (SnapshotKind::Checkpoint, Alignment::Aligned);
        let barrier = Barrier { checkpoint: CheckpointId(1), timestamp: self.clock.now(), kind, alignment };
        let mut snapshot = OperatorSnapshot::default();
        self.operator.snapshot(&mut snapshot, &mut SnapshotContext { barrier, runtime: &self.runtime }).expect("no failure");
        let left = |state: OperatorStateSnapshot| {
            let OperatorStateSnapshot { name, redistribution, schema, items } = state;
            RestoredOperatorState { name, redistribution, schema, items }
        };
        let operator = snapshot.operator.into_iter().map(left).collect();
        self.runtime.state.restored = Some(Arc::new(OperatorRestore { operator, ..OperatorRestore::default() }));
        let source = Scripted { script: Arc::clone(&self.script), paused: Arc::clone(&self.paused) };
        self.operator = SourceOperatorFactory::new(source, strategy).create(&self.runtime).expect("made");
        self.call(|operator, cx| operator.open(cx));
    }
}

use Does::{Finish, Plain, Release, Row};

#[test]
fn an_assigned_split_holds_the_watermark_until_it_is_read() {
    let mut fixture = Fixture::new(by_value());
    fixture.assign(&["a", "b"]);
    fixture.poll([Row("a", 10), Row("a", 20)]);
    assert_eq!(fixture.seen(), ["10", "20"], "b may have older records");
    fixture.poll([Row("b", 15)]);
    assert_eq!(fixture.seen(), ["15", "<14"]);
    fixture.poll([Release("b"), Row("a", 21)]);
    assert_eq!(fixture.seen(), ["<19", "21", "<20"]);
}

#[test]
fn records_without_a_split_have_event_time_of_their_own() {
    let mut fixture = Fixture::new(by_value());
    fixture.assign(&["a"]);
    fixture.poll([Plain(10), Plain(20)]);
    assert_eq!(fixture.seen(), ["10", "<9", "20", "<19"]);
}

#[test]
fn a_silent_source_becomes_idle_once_and_active_with_its_next_record() {
    let mut fixture = Fixture::new(by_value().with_idleness(Millis(100)));
    fixture.assign(&["a"]);
    fixture.poll([Row("a", 10)]);
    fixture.time(99);
    assert_eq!(fixture.seen(), ["10", "<9"]);
    fixture.time(1000);
    assert_eq!(fixture.seen(), ["Idle"]);
    fixture.poll([Row("a", 20)]);
    assert_eq!(fixture.seen(), ["Active", "20", "<19"]);
    fixture.time(1099);
    assert_eq!(fixture.seen(), [""; 0]);
    fixture.time(1100);
    assert_eq!(fixture.seen(), ["Idle"]);
}

#[test]
fn a_source_without_splits_becomes_idle() {
    let mut fixture = Fixture::new(by_value().with_idleness(Millis(100)));
    fixture.poll([]);
    fixture.time(500);
    assert_eq!(fixture.seen(), ["Idle"]);
    fixture.assign(&["a"]);
    fixture.poll([Row("a", 1)]);
    assert_eq!(fixture.seen(), ["Active", "1", "<0"]);
    fixture.poll([Release("a")]);
    fixture.time(599);
    assert_eq!(fixture.seen(), [""; 0]);
    fixture.time(700);
    assert_eq!(fixture.seen(), ["Idle"], "it waits for a split again");
}

#[test]
fn when_the_only_active_split_ends_the_source_is_idle() {
    let mut fixture = Fixture::new(by_value().with_idleness(Millis(100)));
    fixture.assign(&["a", "b"]);
    fixture.poll([Row("a", 10), Row("b", 20)]);
    fixture.time(90);
    fixture.poll([Row("b", 30)]);
    fixture.time(110);
    assert_eq!(fixture.seen(), ["10", "20", "<9", "30", "<29"], "a is idle");
    fixture.poll([Release("b")]);
    fixture.time(111);
    assert_eq!(fixture.seen(), ["Idle"]);
}

#[test]
fn an_idle_source_becomes_active_for_its_final_watermark() {
    let mut fixture = Fixture::new(by_value().with_idleness(Millis(100)));
    fixture.assign(&["a"]);
    fixture.poll([Row("a", 10)]);
    fixture.time(100);
    fixture.seen();
    assert_eq!(fixture.poll([Finish]), SourcePoll::Finished);
    assert_eq!(fixture.seen(), ["Active", MAX]);
}

#[test]
fn the_last_rows_come_before_the_final_watermark() {
    let mut fixture = Fixture::new(by_value());
    assert_eq!(fixture.poll([Row("a", 10), Finish]), SourcePoll::Finished);
    assert_eq!(fixture.seen(), ["10", "<9", MAX]);
}

#[test]
fn time_under_back_pressure_does_not_count_as_silence() {
    let mut fixture = Fixture::new(by_value().with_idleness(Millis(100)));
    fixture.assign(&["a"]);
    fixture.poll([Row("a", 10)]);
    fixture.seen();
    fixture.clock.0.store(1000, Ordering::SeqCst);
    fixture.operator.back_pressured(Duration::from_micros(950_500));
    fixture.operator.back_pressured(Duration::from_micros(500));
    fixture.time(1050);
    assert_eq!(fixture.seen(), [""; 0], "silent for 99 ms");
    fixture.time(1051);
    assert_eq!(fixture.seen(), ["Idle"]);
}

fn aligned() -> WatermarkStrategy<i64> {
    by_value().with_watermark_alignment("group", Millis(10), Millis(50))
}

#[test]
fn watermarks_are_reported_for_alignment() {
    let mut fixture = Fixture::new(aligned().with_idleness(Millis(100)));
    fixture.assign(&["a"]);
    fixture.time(50);
    assert_eq!(fixture.seen(), [""; 0], "nothing to report yet");
    fixture.poll([Row("a", 10)]);
    fixture.time(100);
    assert_eq!(fixture.seen(), ["10", "<9", "!report 9"]);
    fixture.time(200);
    assert_eq!(fixture.seen(), ["Idle", "!report 9223372036854775807", "!report 9223372036854775807"], "idle: holds nobody back");
    fixture.poll([Row("a", 30)]);
    fixture.time(250);
    assert_eq!(fixture.seen(), ["Active", "30", "<29", "!report 29"]);
    fixture.poll([Finish]);
    assert_eq!(fixture.seen(), ["!report 9223372036854775807", MAX]);
}

#[test]
fn a_source_that_is_ahead_waits_until_the_limit_rises() {
    let mut fixture = Fixture::new(aligned().with_idleness(Millis(100)));
    fixture.assign(&["a"]);
    fixture.event(SourceEvent::WatermarkLimit(Timestamp(20)));
    fixture.poll([Row("a", 10)]);
    fixture.poll([Row("a", 40)]);
    assert_eq!(fixture.poll([Row("a", 50)]), SourcePoll::Waiting);
    assert_eq!(fixture.seen(), ["10", "<9", "40", "<39"], "50 is not read");
    fixture.time(1000);
    assert!(!fixture.seen().contains(&"Idle".to_owned()), "it has records, it may not read them");
    fixture.event(SourceEvent::WatermarkLimit(Timestamp(39)));
    fixture.poll([]);
    assert_eq!(fixture.seen(), ["50", "<49"]);
}

#[test]
fn splits_that_are_ahead_are_paused_alone() {
    let mut fixture = Fixture::new(aligned().with_idleness(Millis(100)));
    fixture.assign(&["a", "b"]);
    fixture.event(SourceEvent::WatermarkLimit(Timestamp(20)));
    fixture.poll([Row("a", 40), Row("b", 10)]);
    assert_eq!(*fixture.paused.lock().unwrap(), ["a"], "at once");
    fixture.poll([Row("b", 12)]);
    fixture.time(60);
    fixture.poll([Row("b", 13)]);
    fixture.time(159);
    fixture.poll([Row("b", 14)]);
    fixture.seen();
    fixture.poll([Row("b", 100)]);
    assert_eq!(fixture.seen(), ["100", "<39"], "a is not idle, it is paused");
    fixture.event(SourceEvent::WatermarkLimit(Timestamp(200)));
    assert_eq!(*fixture.paused.lock().unwrap(), [""; 0]);
}

/// Emits the highest timestamp when asked.
struct Periodic(Timestamp);

impl WatermarkGenerator<i64> for Periodic {
    fn on_event(&mut self, _: &i64, timestamp: Timestamp, _: &mut WatermarkOutput<'_>) {
        self.0 = self.0.max(timestamp);
    }
    fn on_periodic_emit(&mut self, output: &mut WatermarkOutput<'_>) {
        output.emit(self.0);
    }
    fn is_periodic(&self) -> bool {
        true
    }
}

#[test]
fn periodic_generators_are_asked_at_each_interval() {
    let strategy = WatermarkStrategy::for_generator(|| Box::new(Periodic(Timestamp::MIN)));
    let mut fixture = Fixture::new(strategy.with_timestamp(|value: &i64| Timestamp(*value)));
    fixture.poll([Row("a", 10), Row("a", 30), Row("b", 20)]);
    assert_eq!(fixture.seen(), ["10", "30", "20"]);
    fixture.time(199);
    assert_eq!(fixture.seen(), [""; 0]);
    fixture.time(200);
    assert_eq!(fixture.seen(), ["<20"], "the lowest of the splits");
    fixture.poll([Row("b", 25)]);
    fixture.time(1000);
    assert_eq!(fixture.seen(), ["25", "<25"]);
}

#[test]
fn punctuated_watermarks_need_no_timestamps() {
    let strategy = WatermarkStrategy::punctuated(|value: &i64, _| (value % 2 == 0).then_some(Timestamp(*value)));
    let mut fixture = Fixture::new(strategy);
    fixture.poll([Row("a", 1), Row("a", 2), Row("a", 3)]);
    assert_eq!(fixture.seen(), ["1", "2", "<2", "3"]);
}

#[test]
fn a_reader_that_registers_late_is_told_the_limit() {
    let mut coordinator = EnumeratorCoordinator::new(Box::new(NoEnumerator), 2, aligned().alignment().cloned());
    let mut cx = CoordinatorContext::default();
    coordinator.start(&mut cx).expect("starts");
    coordinator.add_reader(0, &mut cx).expect("no failure");
    coordinator.handle_event(0, SourceEvent::ReportWatermark(Timestamp(100)), &mut cx).expect("no failure");
    coordinator.group_limit(Timestamp(100), &mut cx);
    assert_eq!(cx.to_subtasks, [(0, SourceEvent::WatermarkLimit(Timestamp(110)))]);
    coordinator.add_reader(1, &mut cx).expect("no failure");
    assert_eq!(cx.to_subtasks[1..], [(1, SourceEvent::WatermarkLimit(Timestamp(110)))]);
    // The one that has not reported yet holds nobody back.
    cx.now = Timestamp(50);
    coordinator.on_timer(&mut cx).expect("no failure");
    assert_eq!(cx.group_watermark, Some(("group".to_owned(), Timestamp(100))));
}

#[test]
fn event_time_goes_on_from_a_checkpoint() {
    let strategy = || by_value().with_idleness(Millis(100));
    let mut fixture = Fixture::new(strategy());
    fixture.assign(&["a", "b"]);
    fixture.poll([Row("a", 20), Row("b", 15)]);
    assert_eq!(fixture.seen(), ["20", "15", "<14"]);
    fixture.restart(strategy());
    assert_eq!(fixture.seen(), ["!RequestSplit"], "this reader keeps no splits, so it asks");
    fixture.assign(&["a", "b"]);
    fixture.poll([Row("b", 16)]);
    assert_eq!(fixture.seen(), ["<14", "16", "<15"], "a stands at 19 and holds nothing back");
    fixture.poll([Row("a", 18), Row("b", 17)]);
    assert_eq!(fixture.seen(), ["18", "17", "<16"], "18 is no new highest timestamp of a");
    fixture.time(500);
    assert_eq!(fixture.seen().last().map(String::as_str), Some("Idle"));
    fixture.restart(strategy());
    fixture.poll([]);
    assert_eq!(fixture.seen(), ["!RequestSplit", "<16", "Idle"], "said again");
}

/// An enumerator whose state is the number of splits that it has given.
struct Counted(u64);

impl SplitEnumerator<String, u64> for Counted {
    fn handle_split_request(&mut self, subtask: u32, cx: &mut EnumeratorContext<'_, String>) -> Result<()> {
        self.0 += 1;
        cx.assign_split(self.0.to_string(), subtask);
        Ok(())
    }

    fn add_splits_back(&mut self, _: Vec<String>, _: u32) {}

    fn snapshot(&mut self) -> Result<u64> {
        Ok(self.0)
    }
}

#[test]
fn the_state_of_an_enumerator_is_read_back_as_its_type_only() {
    let mut coordinator = EnumeratorCoordinator::<String, u64>::new(Box::new(Counted(0)), 1, None);
    coordinator.handle_event(0, SourceEvent::RequestSplit, &mut CoordinatorContext::default()).expect("gives one");
    let bytes = coordinator.snapshot().expect("no failure");
    assert_eq!(decode_enumerator_state::<u64>(&bytes).expect("of this type"), 1);
    let error = decode_enumerator_state::<String>(&bytes).expect_err("of another type").to_string();
    assert!(error.contains("the checkpoint has it as u64, and the program as string"), "{error}");
    decode_enumerator_state::<u64>(&bytes[..bytes.len() - 1]).expect_err("a byte is missing");
}
