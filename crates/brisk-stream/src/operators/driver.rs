//! Drives one operator in unit tests: feeds it batches and watermarks under a clock set by hand, and reads what it emits as steps.

use super::kept::Kept;
use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::{Clock, MonoTime, Spawner, World};
use brisk_base::{Result, Timestamp};
use brisk_core::accumulator::Accumulators;
use brisk_core::batch::{AnyBatch, Rows, Step};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::element::{Element, StreamStatus};
use brisk_core::operator::{
    Budget, Operator, OperatorContext, Output, Port, Progress, Rest, RuntimeContext, SideOutputPort, SnapshotContext, TaskInfo,
};
use brisk_core::source::SourceEvent;
use brisk_core::state::{OperatorRestore, OperatorSnapshot};
use brisk_core::types::Record;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::task::{Wake, Waker};

/// Processing time set by hand; monotonic time that passes by 1 ns with each look.
pub(crate) struct HandClock {
    now: AtomicI64,
    looks: AtomicU64,
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.looks.fetch_add(1, Ordering::Relaxed))
    }
}

struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, _name: &str, _body: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other("operators start no threads in tests"))
    }
}

/// Remembers that it was woken.
#[derive(Default)]
pub(crate) struct Woken(pub(crate) AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Collects what is emitted.
#[derive(Default)]
struct Recorded {
    ports: usize,
    elements: Vec<(Port, Element)>,
}

impl Output for Recorded {
    fn emit(&mut self, port: Port, element: Element) {
        if let Element::Batch(batch) = &element {
            assert!(!batch.is_empty(), "an empty batch was emitted");
        }
        self.elements.push((port, element));
    }

    fn ports(&self) -> usize {
        self.ports
    }

    fn send_event(&mut self, _event: SourceEvent) {}

    fn wake_after(&mut self, _span: std::time::Duration) {}
}

/// A runtime context with these side outputs, at ports 1, 2, ...
pub(crate) fn runtime(clock: &Arc<HandClock>, tags: &[&str]) -> RuntimeContext {
    let world = World::new(clock.clone(), Arc::new(NoThreads), 7);
    RuntimeContext {
        task: TaskInfo {
            job_id: JobId(1),
            job_name: "test".into(),
            attempt: AttemptId { vertex: VertexId(1), subtask: 0, attempt: 0 },
            subtask: 0,
            parallelism: 1,
            max_parallelism: 128,
        },
        operator_name: "tested".into(),
        operator_id: OperatorId(1),
        side_outputs: (1..).zip(tags).map(|(port, tag)| SideOutputPort { tag: (*tag).to_owned(), port }).collect(),
        metrics: MetricGroup::unregistered(&world),
        world,
        config: Arc::new(Configuration::new()),
        job_parameters: Arc::new(BTreeMap::new()),
        accumulators: Accumulators::default(),
        program_elsewhere: false,
        state: Default::default(),
    }
}

/// See the module.
pub(crate) struct Driver {
    operator: Box<dyn Operator>,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) runtime: RuntimeContext,
    budget: Budget,
    /// Whether each call has time for one row only.
    hurried: bool,
    output: Recorded,
    pub(crate) woken: Arc<Woken>,
    /// The last watermark that the operator is done with.
    watermark: Timestamp,
    /// Snapshots that were taken.
    checkpoints: u64,
}

impl Driver {
    /// Opens the operator that `make` gives.
    pub(crate) fn new<O: Operator + 'static>(tags: &[&str], make: impl FnOnce(&RuntimeContext) -> O) -> Self {
        Self::with_config(tags, Configuration::new(), make)
    }

    pub(crate) fn with_config<O: Operator + 'static>(
        tags: &[&str],
        config: Configuration,
        make: impl FnOnce(&RuntimeContext) -> O,
    ) -> Self {
        Self::with_runtime(tags, |runtime| runtime.config = Arc::new(config), |cx| Box::new(make(cx)))
    }

    /// Opens the operator that `make` gives in a runtime context that `adapt` has changed.
    pub(crate) fn with_runtime(
        tags: &[&str],
        adapt: impl FnOnce(&mut RuntimeContext),
        make: impl FnOnce(&RuntimeContext) -> Box<dyn Operator>,
    ) -> Self {
        let clock = Arc::new(HandClock { now: AtomicI64::new(0), looks: AtomicU64::new(0) });
        let mut runtime = runtime(&clock, tags);
        adapt(&mut runtime);
        let operator = make(&runtime);
        let output = Recorded { ports: 1 + tags.len(), elements: Vec::new() };
        let budget = Budget::new(clock.clone());
        let (woken, watermark) = (Arc::default(), Timestamp::MIN);
        let mut driver = Self { operator, clock, runtime, budget, hurried: false, output, woken, watermark, checkpoints: 0 };
        driver.call(|operator, cx| operator.open(cx)).expect("opens");
        driver
    }

    /// The barrier of the next checkpoint.
    pub(crate) fn barrier(&mut self) -> Barrier {
        self.checkpoints += 1;
        let (kind, alignment) = (SnapshotKind::Savepoint, Alignment::Unaligned);
        Barrier { checkpoint: CheckpointId(self.checkpoints), timestamp: self.clock.now(), kind, alignment }
    }

    /// What a checkpoint leaves that is taken now: through bytes, and in the form that all backends share.
    pub(crate) fn snapshot(&mut self) -> OperatorRestore {
        let barrier = self.barrier();
        let checkpoint = barrier.checkpoint;
        self.call(|operator, cx| operator.prepare_snapshot(checkpoint, cx)).expect("no failure");
        let mut snapshot = OperatorSnapshot::default();
        self.operator.snapshot(&mut snapshot, &mut SnapshotContext { barrier, runtime: &self.runtime }).expect("no failure");
        Kept::restore(snapshot, checkpoint, self.watermark)
    }

    /// Tells the operator that the last snapshot is part of a checkpoint that is complete.
    pub(crate) fn complete(&mut self) {
        let checkpoint = CheckpointId(self.checkpoints);
        self.call(|operator, cx| operator.checkpoint_complete(checkpoint, cx)).expect("no failure");
    }

    /// Goes on with the operator that `make` gives from what a snapshot left, as a runtime does. What was emitted before stays.
    pub(crate) fn restored(mut self, restored: OperatorRestore, make: impl FnOnce(&RuntimeContext) -> Box<dyn Operator>) -> Self {
        let watermark = restored.watermark;
        self.operator.close().expect("closes");
        self.runtime.state.restored = Some(Arc::new(restored));
        self.operator = make(&self.runtime);
        self.call(|operator, cx| operator.open(cx)).expect("opens");
        self.watermark = watermark;
        self.told_again()
    }

    /// Tells the operator again where event time stands, as it is told after a restart: timers that were registered behind it wait.
    fn told_again(mut self) -> Self {
        let watermark = self.watermark;
        if watermark > Timestamp::MIN {
            let before = self.output.elements.split_off(0);
            self.watermark(watermark.0);
            // Those behind the operator know it.
            self.output.elements.retain(|(_, element)| !matches!(element, Element::Watermark(again) if *again == watermark));
            self.output.elements.splice(0..0, before);
        }
        self
    }

    /// Takes a snapshot and goes on from it.
    pub(crate) fn restart(mut self, make: impl FnOnce(&RuntimeContext) -> Box<dyn Operator>) -> Self {
        let snapshot = self.snapshot();
        self.restored(snapshot, make)
    }

    /// From now on each call has time for one row only.
    pub(crate) fn hurried(mut self, hurried: bool) -> Self {
        self.hurried = hurried;
        self
    }

    pub(crate) fn call<R>(&mut self, f: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> R) -> R {
        let now = self.clock.mono();
        self.budget.restart(now, if self.hurried { now } else { MonoTime::NEVER });
        let waker = Waker::from(self.woken.clone());
        f(self.operator.as_mut(), &mut OperatorContext::new(&self.runtime, &mut self.budget, &waker, &mut self.output))
    }

    /// Feeds a batch once, and gives what is left of it.
    pub(crate) fn part(&mut self, input: usize, batch: Box<dyn AnyBatch>) -> Option<Box<dyn AnyBatch>> {
        match self.call(|operator, cx| operator.process_batch(input, batch, cx)).expect("no failure") {
            Rest::Consumed => None,
            Rest::More(rest) | Rest::Blocked(rest) => Some(rest),
        }
    }

    /// Feeds a batch until it is consumed, or the operator blocks.
    pub(crate) fn try_batch(&mut self, input: usize, batch: Box<dyn AnyBatch>) -> Result<Option<Box<dyn AnyBatch>>> {
        let mut batch = batch;
        self.watermark = batch.marks().last().map_or(self.watermark, |last| self.watermark.max(last.watermark));
        loop {
            match self.call(|operator, cx| operator.process_batch(input, batch, cx))? {
                Rest::Consumed => return Ok(None),
                Rest::More(rest) => batch = rest,
                Rest::Blocked(rest) => return Ok(Some(rest)),
            }
        }
    }

    /// Feeds a batch that the operator takes.
    pub(crate) fn batch<T: Record>(&mut self, input: usize, rows: Rows<T>) {
        let rest = self.try_batch(input, Box::new(rows)).expect("no failure");
        assert!(rest.is_none(), "blocked");
    }

    /// Repeats a step until it is done.
    fn repeat(&mut self, mut step: impl FnMut(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<Progress>) {
        while self.call(&mut step).expect("no failure") == Progress::More {}
    }

    /// Feeds a watermark once. Whether there is more to come of it.
    pub(crate) fn part_of_watermark(&mut self, watermark: i64) -> bool {
        let progress = self.call(|operator, cx| operator.process_watermark(Timestamp(watermark), cx)).expect("no failure");
        if progress == Progress::Done {
            self.watermark = self.watermark.max(Timestamp(watermark));
        }
        progress == Progress::More
    }

    pub(crate) fn watermark(&mut self, watermark: i64) {
        self.watermark = self.watermark.max(Timestamp(watermark));
        self.repeat(|operator, cx| operator.process_watermark(Timestamp(watermark), cx));
    }

    pub(crate) fn status(&mut self, status: StreamStatus) {
        self.call(|operator, cx| operator.process_status(status, cx)).expect("no failure");
    }

    /// Lets processing time pass, calling the operator whenever it wants.
    pub(crate) fn time(&mut self, now: i64) {
        while let Some(at) = self.operator.next_processing_time().filter(|at| at.0 <= now) {
            self.clock.now.fetch_max(at.0, Ordering::Relaxed);
            let now = self.clock.now();
            self.repeat(|operator, cx| operator.on_processing_time(now, cx));
        }
        self.clock.now.store(now, Ordering::Relaxed);
    }

    pub(crate) fn state_entries(&self) -> usize {
        self.operator.state_entries()
    }

    /// Looks after pending work once.
    pub(crate) fn poll(&mut self) -> Progress {
        self.call(|operator, cx| operator.poll_pending(cx)).expect("no failure")
    }

    pub(crate) fn has_pending(&self) -> bool {
        self.operator.has_pending()
    }

    /// Ends all inputs.
    pub(crate) fn end(&mut self, inputs: usize) {
        self.watermark(i64::MAX);
        (0..inputs).for_each(|input| self.repeat(|operator, cx| operator.end_input(input, cx)));
        self.repeat(|operator, cx| operator.finish(cx));
    }

    /// What was emitted to a port since the last call: rows and watermarks, of several watermarks in a row the last. Statuses and hashes
    /// are left out.
    pub(crate) fn steps<T: Record>(&mut self, port: Port) -> Vec<Step<T>> {
        let mut steps = Vec::new();
        let (ours, others) = std::mem::take(&mut self.output.elements).into_iter().partition::<Vec<_>, _>(|(at, _)| *at == port);
        self.output.elements = others;
        for (_, element) in ours {
            match element {
                Element::Batch(batch) => {
                    Rows::<T>::from_any(batch).expect("of this type").into_cursor().for_each(|step| push_step(&mut steps, step))
                }
                Element::Watermark(watermark) => push_step(&mut steps, Step::Watermark(watermark)),
                _ => {}
            }
        }
        steps
    }

    /// The values emitted to a port since the last call.
    pub(crate) fn values<T: Record>(&mut self, port: Port) -> Vec<T> {
        let value = |step| match step {
            Step::Row(value, ..) => Some(value),
            Step::Watermark(_) => None,
        };
        self.steps(port).into_iter().filter_map(value).collect()
    }

    /// The statuses emitted on the main port since the last call.
    pub(crate) fn statuses(&mut self) -> Vec<StreamStatus> {
        let status = |(port, element): &(Port, Element)| match element {
            Element::Status(status) if *port == 0 => Some(*status),
            _ => None,
        };
        let statuses = self.output.elements.iter().filter_map(status).collect();
        self.output.elements.retain(|(_, element)| !matches!(element, Element::Status(_)));
        statuses
    }
}

/// Appends a step; of several watermarks in a row the last stays, and hashes are left out.
fn push_step<T>(steps: &mut Vec<Step<T>>, step: Step<T>) {
    let step = match step {
        Step::Row(value, timestamp, _) => Step::Row(value, timestamp, 0),
        Step::Watermark(watermark) => {
            if let Some(Step::Watermark(last)) = steps.last_mut() {
                *last = watermark;
                return;
            }
            Step::Watermark(watermark)
        }
    };
    steps.push(step);
}

/// A batch of these values, the timestamp of each being itself, with marks `(row, watermark)`.
pub(crate) fn rows(values: &[i64], marks: &[(u32, i64)]) -> Rows<i64> {
    let mut rows = Rows::default();
    values.iter().for_each(|value| rows.push(*value, Timestamp(*value)));
    rows.marks = marks.iter().map(|(row, watermark)| brisk_core::batch::Mark { row: *row, watermark: Timestamp(*watermark) }).collect();
    rows
}

/// Steps of these values and watermarks, to compare with.
pub(crate) fn steps(steps: &[(char, i64)]) -> Vec<Step<i64>> {
    let step = |(kind, number): &(char, i64)| match kind {
        'w' => Step::Watermark(Timestamp(*number)),
        _ => Step::Row(*number, Timestamp(*number), 0),
    };
    steps.iter().map(step).collect()
}

/// Feeds a stream of values, marks lying before the rows named, cut into batches of `cut` rows.
pub(crate) fn feed(driver: &mut Driver, input: usize, values: &[i64], marks: &BTreeMap<u32, i64>, cut: usize) {
    for (index, chunk) in values.chunks(cut.max(1)).enumerate() {
        let first = (index * cut.max(1)) as u32;
        let within = marks.range(first..first + chunk.len() as u32).map(|(row, watermark)| (row - first, *watermark)).collect::<Vec<_>>();
        driver.batch(input, rows(chunk, &within));
    }
}
