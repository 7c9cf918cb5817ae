//! Small jobs wired by hand: numbers -> hash exchange -> running sum per key -> collected.

use brisk_base::ids::{AttemptId, JobId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Mark, Rows};
use brisk_core::job::ExecutionState;
use brisk_core::job_graph::{ChainedOperator, JobEdge, JobGraph, JobVertex, KeyHasher, OutputRoute, Partitioner, RouteTarget};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, OperatorSpec, Progress, Rest, RuntimeContext, SourcePoll, TaskInfo};
use brisk_core::registry::OperatorRegistry;
use brisk_core::source::SourceEvent;
use brisk_core::types::hash::hash_i64;
use brisk_runtime::exchange::LocalExchanges;
use brisk_runtime::executor::Executor;
use brisk_runtime::task::{TaskControl, TaskDescriptor, TaskEnvironment, TaskReporter, start_task};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};

/// What subtasks collected: (subtask, value or watermark).
pub(crate) type Collected = Arc<Mutex<Vec<(u32, Item)>>>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Item {
    Row(i64, i64),
    Watermark(i64),
    End,
}

/// Gives `first..last` in steps of `step`, with timestamp = value and a mark behind each tenth.
pub(crate) struct Numbers {
    pub(crate) next: i64,
    pub(crate) last: i64,
    pub(crate) step: i64,
    pub(crate) fail_at: Option<i64>,
}

impl Operator for Numbers {
    fn process_batch(&mut self, _: usize, _: Box<dyn AnyBatch>, _: &mut OperatorContext<'_>) -> Result<Rest> {
        Err(Error::bug("a source has no input"))
    }

    fn poll_source(&mut self, cx: &mut OperatorContext<'_>) -> Result<SourcePoll> {
        let mut rows = Rows::default();
        while rows.values.len() < 100 && self.next < self.last {
            if self.fail_at.is_some_and(|at| self.next >= at) {
                assert!(self.fail_at != Some(13), "unlucky number");
                return Err(Error::user(format!("cannot read number {}", self.next)));
            }
            rows.push(self.next, Timestamp(self.next));
            if self.next % 10 == 0 {
                rows.marks.push(Mark { row: rows.values.len() as u32, watermark: Timestamp(self.next) });
            }
            self.next += self.step;
        }
        cx.emit(MAIN_PORT, Box::new(rows));
        if self.next < self.last {
            return Ok(SourcePoll::More);
        }
        cx.emit_watermark(Timestamp::MAX);
        Ok(SourcePoll::Finished)
    }
}

/// Emits (key, running count of the key) and passes marks on.
struct RunningCount {
    counts: BTreeMap<i64, i64>,
}

impl Operator for RunningCount {
    fn process_batch(&mut self, _: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut cursor = Rows::<i64>::from_any(batch)?.into_cursor();
        let mut out = Rows::default();
        loop {
            if let Some(watermark) = cursor.next_mark() {
                out.mark(watermark);
                continue;
            }
            let Some((value, timestamp, hash)) = cursor.next_row() else { break };
            assert_eq!(hash, hash_i64(value % 7), "the key's hash comes with the row");
            let count = self.counts.entry(value % 7).or_default();
            *count += 1;
            out.push((value % 7, *count), timestamp);
            if cx.budget.row() {
                break;
            }
        }
        cx.emit(MAIN_PORT, Box::new(out));
        Ok(cursor.into_rest().map_or(Rest::Consumed, |rest| Rest::More(Box::new(rest))))
    }
}

/// Collects rows and watermarks.
struct Collect {
    subtask: u32,
    into: Collected,
}

impl Collect {
    fn add(&self, item: Item) {
        self.into.lock().unwrap().push((self.subtask, item));
    }
}

impl Operator for Collect {
    fn process_batch(&mut self, _: usize, batch: Box<dyn AnyBatch>, _: &mut OperatorContext<'_>) -> Result<Rest> {
        for step in Rows::<(i64, i64)>::from_any(batch)?.into_cursor() {
            self.add(match step {
                brisk_core::batch::Step::Row((key, count), ..) => Item::Row(key, count),
                brisk_core::batch::Step::Watermark(at) => Item::Watermark(at.0),
            });
        }
        Ok(Rest::Consumed)
    }

    fn process_watermark(&mut self, watermark: Timestamp, _: &mut OperatorContext<'_>) -> Result<Progress> {
        self.add(Item::Watermark(watermark.0));
        Ok(Progress::Done)
    }

    fn finish(&mut self, _: &mut OperatorContext<'_>) -> Result<Progress> {
        self.add(Item::End);
        Ok(Progress::Done)
    }
}

pub(crate) struct BySeventh;

impl KeyHasher for BySeventh {
    fn hash(&self, batch: &dyn AnyBatch, hashes: &mut Vec<u64>) -> Result<()> {
        let rows = batch.as_any().downcast_ref::<Rows<i64>>().ok_or_else(|| Error::bug("not numbers"))?;
        hashes.extend(rows.values.iter().map(|value| hash_i64(value % 7)));
        Ok(())
    }

    fn describe(&self) -> String {
        "value % 7".to_owned()
    }
}

/// A job of three vertices' worth of operators in two vertices: numbers => (count -> collect).
pub(crate) struct TestJob {
    pub(crate) sources: u32,
    pub(crate) counters: u32,
    pub(crate) numbers: i64,
    pub(crate) fail_at: Option<i64>,
}

pub(crate) fn operator(id: u128, name: &str, spec: OperatorSpec, target: Option<RouteTarget>) -> ChainedOperator {
    let outputs = target.map(|target| OutputRoute { tag: None, targets: vec![target] }).into_iter().collect();
    ChainedOperator { id: OperatorId(id), name: name.to_owned(), uid: None, spec, source: false, keyed: false, outputs }
}

pub(crate) fn vertex(id: u128, operators: Vec<ChainedOperator>, parallelism: u32, inputs: u32) -> JobVertex {
    JobVertex {
        id: VertexId(id),
        name: operators.iter().map(|operator| operator.name.as_str()).collect::<Vec<_>>().join(" -> "),
        operators,
        parallelism,
        max_parallelism: 128,
        inputs,
        incoming: if inputs > 0 { vec![0] } else { Vec::new() },
        outgoing: if inputs > 0 { Vec::new() } else { vec![0] },
        slot_sharing_group: "default".to_owned(),
        co_location_group: None,
        dedicated_thread: false,
    }
}

pub(crate) fn factory(f: impl Fn(&RuntimeContext) -> Box<dyn Operator> + Send + Sync + 'static) -> OperatorSpec {
    OperatorSpec::Factory(Arc::new(move |cx: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(f(cx)) }))
}

impl TestJob {
    pub(crate) fn graph(&self, collected: &Collected) -> JobGraph {
        let (last, fail_at) = (self.numbers, self.fail_at);
        let numbers = factory(move |cx| {
            let (first, step) = (i64::from(cx.task.subtask), i64::from(cx.task.parallelism));
            Box::new(Numbers { next: first, last, step, fail_at })
        });
        let count = factory(|_| Box::new(RunningCount { counts: BTreeMap::new() }));
        let into = Arc::clone(collected);
        let collect = factory(move |cx| Box::new(Collect { subtask: cx.task.subtask, into: Arc::clone(&into) }));
        let sources = vec![operator(1, "numbers", numbers, Some(RouteTarget::Exchange(0)))];
        let counters = vec![operator(2, "count", count, Some(RouteTarget::Chained(1))), operator(3, "collect", collect, None)];
        let edge = JobEdge {
            from: 0,
            from_output: 0,
            to: 1,
            input: 0,
            to_gate: 0,
            partitioner: Partitioner::Hash(Arc::new(BySeventh)),
            buffer_timeout: Some(Millis(100)),
        };
        JobGraph {
            name: "test".to_owned(),
            vertices: vec![vertex(1, sources, self.sources, 0), vertex(2, counters, self.counters, 1)],
            edges: vec![edge],
            job_parameters: BTreeMap::new(),
        }
    }
}

/// Notes the final states.
#[derive(Default)]
pub(crate) struct Reports {
    pub(crate) ended: Mutex<Vec<(AttemptId, ExecutionState, Option<String>)>>,
    changed: Condvar,
}

impl Reports {
    /// Blocks until `tasks` tasks have ended.
    pub(crate) fn wait(&self, tasks: usize) -> Vec<(AttemptId, ExecutionState, Option<String>)> {
        let mut ended = self.ended.lock().unwrap();
        while ended.len() < tasks {
            ended = self.changed.wait(ended).unwrap();
        }
        ended.clone()
    }
}

impl TaskReporter for Reports {
    fn state(&self, attempt: AttemptId, state: ExecutionState, error: Option<Error>) {
        if state.is_terminal() {
            self.ended.lock().unwrap().push((attempt, state, error.map(|error| error.to_string())));
            self.changed.notify_all();
        }
    }

    fn event(&self, _: AttemptId, _: OperatorId, _: SourceEvent) {}
}

/// Starts all tasks of a graph, consumers and producers in the given order.
pub(crate) fn start(
    graph: &Arc<JobGraph>,
    executor: &Arc<dyn Executor>,
    exchanges: &Arc<LocalExchanges>,
    reports: &Arc<Reports>,
) -> Vec<TaskControl> {
    let world: World = executor.world().clone();
    let mut controls = Vec::new();
    for (at, vertex) in graph.vertices.iter().enumerate() {
        for subtask in 0..vertex.parallelism {
            let info = TaskInfo {
                job_id: JobId(7),
                job_name: "test".into(),
                attempt: AttemptId { vertex: vertex.id, subtask, attempt: 0 },
                subtask,
                parallelism: vertex.parallelism,
                max_parallelism: vertex.max_parallelism,
            };
            let descriptor = TaskDescriptor {
                graph: Arc::clone(graph),
                vertex: at,
                info,
                config: Arc::new(Configuration::default()),
                registry: OperatorRegistry::default(),
                metrics: MetricGroup::unregistered(&world),
                state_backend: None,
                checkpointing: false,
            };
            let environment = TaskEnvironment {
                world: world.clone(),
                executor: Arc::clone(executor),
                exchanges: Arc::clone(exchanges),
                reporter: Arc::clone(reports) as Arc<dyn TaskReporter>,
            };
            controls.push(start_task(descriptor, environment, None));
        }
    }
    controls
}

/// Checks that each key's counts are gapless and in order at one subtask, that watermarks rise, and that everything ended.
pub(crate) fn check(job: &TestJob, collected: &Collected) {
    let collected = collected.lock().unwrap();
    let mut counts: BTreeMap<i64, (u32, i64)> = BTreeMap::new();
    for subtask in 0..job.counters {
        let mut watermark = i64::MIN;
        let mut ended = false;
        for (_, item) in collected.iter().filter(|(at, _)| *at == subtask) {
            assert!(!ended, "nothing comes after the end");
            match item {
                Item::Row(key, count) => {
                    let (at, last) = counts.entry(*key).or_insert((subtask, 0));
                    assert_eq!((*at, *last + 1), (subtask, *count), "key {key}");
                    *last = *count;
                }
                Item::Watermark(next) => {
                    assert!(*next > watermark, "{next} after {watermark}");
                    watermark = *next;
                }
                Item::End => ended = true,
            }
        }
        assert_eq!((watermark, ended), (i64::MAX, true), "subtask {subtask}");
    }
    assert_eq!(counts.values().map(|(_, count)| count).sum::<i64>(), job.numbers);
}
