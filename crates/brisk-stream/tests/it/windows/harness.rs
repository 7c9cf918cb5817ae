//! Drives the operator of one graph node by hand, with a clock that stands still until it is told to move.

use brisk_base::ids::{AttemptId, JobId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::{Clock, MonoTime, Rng, Spawner, World};
use brisk_base::{Result, Timestamp};
use brisk_core::accumulator::Accumulators;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::element::Element;
use brisk_core::job::NoExecutor;
use brisk_core::operator::{
    Budget, Operator, OperatorContext, OperatorSpec, Output, Port, Progress, Rest, RuntimeContext, SideOutputPort, TaskInfo,
};
use brisk_core::source::SourceEvent;
use brisk_core::types::Record;
use brisk_stream::StreamEnvironment;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::Waker;

/// A clock moved by hand; each reading of the monotonic time takes a nanosecond.
#[derive(Default)]
pub(crate) struct ManualClock {
    now: AtomicI64,
    mono: AtomicU64,
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.mono.fetch_add(1, Ordering::Relaxed))
    }
}

struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, _name: &str, _body: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other("operators start no threads"))
    }
}

/// Keeps what an operator emits.
#[derive(Default)]
struct Captured(Vec<(Port, Element)>);

impl Output for Captured {
    fn emit(&mut self, port: Port, element: Element) {
        self.0.push((port, element));
    }

    fn ports(&self) -> usize {
        2
    }

    fn send_event(&mut self, _event: SourceEvent) {}
}

/// One thing that came out: a record with its timestamp, or a watermark.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Event<T> {
    Row(T, i64),
    Watermark(i64),
}

/// An operator under test. Its second port is the side output `late`.
pub(crate) struct Harness {
    operator: Box<dyn Operator>,
    runtime: RuntimeContext,
    clock: Arc<ManualClock>,
    output: Captured,
    /// When set, calls get random small budgets.
    stingy: Option<Rng>,
}

impl Drop for Harness {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.operator.close().expect("closing works");
        }
    }
}

/// An environment that only builds graphs.
pub(crate) fn environment() -> StreamEnvironment {
    StreamEnvironment::new(Arc::new(NoExecutor), Configuration::new())
}

impl Harness {
    /// The operator of the node of this name, opened.
    pub(crate) fn of(env: &StreamEnvironment, name: &str) -> Result<Self> {
        let graph = env.stream_graph("test")?;
        let node = graph.nodes.iter().rfind(|node| node.name.starts_with(name)).unwrap_or_else(|| panic!("no node {name} in {graph:?}"));
        let clock = Arc::new(ManualClock::default());
        let runtime = runtime(&clock);
        let OperatorSpec::Factory(factory) = &node.spec else { panic!("a registered operator") };
        let operator = factory.create(&runtime)?;
        let mut harness = Self { operator, runtime, clock, output: Captured::default(), stingy: None };
        harness.call(|operator, cx| operator.open(cx))?;
        Ok(harness)
    }

    /// Gives calls random small budgets from now on.
    pub(crate) fn with_small_budgets(mut self, seed: u64) -> Self {
        self.stingy = Some(Rng::seeded(seed));
        self
    }

    fn call<R>(&mut self, f: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<R>) -> Result<R> {
        let mut budget = Budget::new(self.clock.clone());
        if let Some(rng) = &mut self.stingy {
            let start = self.clock.mono();
            budget.restart(start, MonoTime(start.0 + rng.below(6)));
        }
        let mut cx = OperatorContext::new(&self.runtime, &mut budget, Waker::noop(), &mut self.output);
        f(self.operator.as_mut(), &mut cx)
    }

    /// Gives a batch until it is consumed.
    pub(crate) fn batch<T: Record>(&mut self, input: usize, rows: Rows<T>) -> Result<()> {
        let mut next: Option<Box<dyn AnyBatch>> = Some(Box::new(rows));
        while let Some(batch) = next.take() {
            match self.call(|operator, cx| operator.process_batch(input, batch, cx))? {
                Rest::Consumed => {}
                Rest::More(rest) => next = Some(rest),
                Rest::Blocked(_) => panic!("nothing here blocks"),
            }
        }
        Ok(())
    }

    /// Gives one record.
    pub(crate) fn row<T: Record>(&mut self, input: usize, value: T, timestamp: i64) -> Result<()> {
        let mut rows = Rows::default();
        rows.push(value, Timestamp(timestamp));
        self.batch(input, rows)
    }

    /// Advances the watermark between batches.
    pub(crate) fn watermark(&mut self, watermark: i64) -> Result<()> {
        while self.call(|operator, cx| operator.process_watermark(Timestamp(watermark), cx))? != Progress::Done {}
        Ok(())
    }

    /// Moves processing time.
    pub(crate) fn advance(&mut self, now: i64) -> Result<()> {
        self.clock.now.store(now, Ordering::Relaxed);
        while self.operator.next_processing_time().is_some_and(|next| next.0 <= now) {
            self.call(|operator, cx| operator.on_processing_time(Timestamp(now), cx))?;
        }
        Ok(())
    }

    /// Whether a processing-time timer waits.
    pub(crate) fn has_processing_timer(&self) -> bool {
        self.operator.next_processing_time().is_some()
    }

    /// Entries of keyed state and timers.
    pub(crate) fn state_entries(&self) -> usize {
        self.operator.state_entries()
    }

    /// A metric's value as text.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        self.runtime.metrics.counter(name).count()
    }

    /// Rows of the largest batch that waits to be taken.
    pub(crate) fn largest_batch(&self) -> usize {
        self.output.0.iter().map(|(_, element)| element.rows()).max().unwrap_or(0)
    }

    /// What came out of a port, batches taken apart.
    pub(crate) fn take<T: Record>(&mut self, port: Port) -> Vec<Event<T>> {
        let (mine, others) = std::mem::take(&mut self.output.0).into_iter().partition(|(at, _)| *at == port);
        self.output.0 = others;
        let mut events = Vec::new();
        for (_, element) in mine {
            match element {
                Element::Batch(batch) => {
                    let mut rows = Rows::<T>::from_any(batch).expect("the port's type").into_cursor();
                    loop {
                        while let Some(mark) = rows.next_mark() {
                            events.push(Event::Watermark(mark.0));
                        }
                        let Some((value, timestamp, _)) = rows.next_row() else { break };
                        events.push(Event::Row(value, timestamp.0));
                    }
                }
                Element::Watermark(watermark) => events.push(Event::Watermark(watermark.0)),
                other => panic!("unexpected {other:?}"),
            }
        }
        events
    }

    /// The records that came out of a port.
    pub(crate) fn rows<T: Record>(&mut self, port: Port) -> Vec<T> {
        let rows = self.take(port).into_iter();
        rows.filter_map(|event| if let Event::Row(value, _) = event { Some(value) } else { None }).collect()
    }
}

fn runtime(clock: &Arc<ManualClock>) -> RuntimeContext {
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
        operator_name: "window".into(),
        operator_id: OperatorId(1),
        side_outputs: vec![SideOutputPort { tag: "late".to_owned(), port: 1 }],
        metrics: MetricGroup::unregistered(&world),
        world,
        config: Arc::new(Configuration::new()),
        job_parameters: Arc::new(BTreeMap::new()),
        accumulators: Accumulators::default(),
        program_elsewhere: false,
        state: Default::default(),
    }
}
