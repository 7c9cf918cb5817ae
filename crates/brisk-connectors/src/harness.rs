//! Runs a source in a test: its enumerator and its readers by turns, on the test's thread, without a runtime.

use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::{Clock, MonoTime, Spawner, World};
use brisk_base::{Result, Timestamp};
use brisk_core::accumulator::Accumulators;
use brisk_core::batch::Rows;
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::element::Element;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::operator::{
    Budget, Operator, OperatorContext, OperatorFactory, Output, Port, RuntimeContext, SnapshotContext, SourcePoll, TaskInfo,
};
use brisk_core::source::{CoordinatorContext, Source, SourceCoordinator, SourceEvent, SourceOperatorFactory};
use brisk_core::state::{OperatorRestore, OperatorSnapshot, OperatorStateSnapshot, Redistribution, RestoredOperatorState};
use brisk_core::types::Record;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Wake, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

/// A clock that only the test moves.
#[derive(Default)]
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    pub(crate) fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_nanos() as u64, Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp((self.0.load(Ordering::SeqCst) / 1_000_000) as i64)
    }

    fn mono(&self) -> MonoTime {
        MonoTime(self.0.load(Ordering::SeqCst))
    }
}

/// The machine's threads.
struct Threads;

impl Spawner for Threads {
    fn spawn(&self, name: &str, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name(name.to_owned()).spawn(body)
    }
}

/// Who a subtask is.
pub(crate) fn runtime(subtask: u32, parallelism: u32, clock: &Arc<HandClock>) -> RuntimeContext {
    let world = World::new(Arc::clone(clock) as Arc<dyn Clock>, Arc::new(Threads), 7);
    RuntimeContext {
        task: TaskInfo {
            job_id: JobId(1),
            job_name: "test".into(),
            attempt: AttemptId { vertex: brisk_base::ids::VertexId(1), subtask, attempt: 0 },
            subtask,
            parallelism,
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
    }
}

/// What a reader's operator emits.
#[derive(Default)]
struct Emitted {
    elements: Vec<Element>,
    events: Vec<SourceEvent>,
    wake_after: Option<Duration>,
}

impl Output for Emitted {
    fn emit(&mut self, _port: Port, element: Element) {
        self.elements.push(element);
    }

    fn ports(&self) -> usize {
        1
    }

    fn send_event(&mut self, event: SourceEvent) {
        self.events.push(event);
    }

    fn wake_after(&mut self, span: Duration) {
        self.wake_after = Some(span);
    }
}

struct Reader<T> {
    operator: Box<dyn Operator>,
    runtime: RuntimeContext,
    records: Vec<T>,
    finished: bool,
    wake_after: Option<Duration>,
}

/// See the module.
pub(crate) struct SourceHarness<T> {
    coordinator: Box<dyn SourceCoordinator>,
    readers: Vec<Reader<T>>,
    pub(crate) clock: Arc<HandClock>,
    /// When the enumerator wants to be called.
    call_at: Option<Timestamp>,
    /// Messages of readers to the enumerator, and of the enumerator to readers.
    to_enumerator: VecDeque<(u32, SourceEvent)>,
    to_readers: VecDeque<(u32, SourceEvent)>,
    waker: Waker,
    woken: Receiver<()>,
}

/// What a checkpoint leaves of a source.
pub(crate) struct Left {
    /// The enumerator's state.
    enumerator: Vec<u8>,
    /// The readers' states.
    readers: Vec<OperatorStateSnapshot>,
}

impl Left {
    /// The share of one reader.
    fn spread(&self, subtask: u32, parallelism: u32) -> OperatorRestore {
        let mut operator: Vec<RestoredOperatorState> = Vec::new();
        let mut count = 0;
        for OperatorStateSnapshot { name, redistribution, schema, items } in self.readers.clone() {
            let is_ours = |_: &Vec<u8>| {
                count += 1;
                redistribution != Redistribution::Split || count % parallelism == subtask
            };
            let items: Vec<_> = items.into_iter().filter(is_ours).collect();
            match operator.iter_mut().find(|state| state.name == name) {
                Some(state) => state.items.extend(items),
                None => operator.push(RestoredOperatorState { name, redistribution, schema, items }),
            }
        }
        OperatorRestore { checkpoint: CheckpointId(1), operator, ..OperatorRestore::default() }
    }
}

struct Bell(Sender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        // An error means that the test is over.
        let _ = self.0.send(());
    }
}

impl<T: Record> SourceHarness<T> {
    pub(crate) fn new<S: Source<Out = T>>(source: S, parallelism: u32) -> Result<Self> {
        Self::start(source, parallelism, None)
    }

    /// Goes on from a checkpoint.
    pub(crate) fn restored<S: Source<Out = T>>(source: S, parallelism: u32, left: &Left) -> Result<Self> {
        Self::start(source, parallelism, Some(left))
    }

    fn start<S: Source<Out = T>>(source: S, parallelism: u32, left: Option<&Left>) -> Result<Self> {
        let clock = Arc::new(HandClock::default());
        let factory = SourceOperatorFactory::new(source, WatermarkStrategy::no_watermarks());
        let coordinator = factory.coordinator(parallelism, left.map(|left| &*left.enumerator))?.expect("sources have one");
        let reader = |subtask| {
            let mut runtime = runtime(subtask, parallelism, &clock);
            runtime.state.restored = left.map(|left| Arc::new(left.spread(subtask, parallelism)));
            let operator = factory.create(&runtime)?;
            Ok(Reader { operator, runtime, records: Vec::new(), finished: false, wake_after: None })
        };
        let readers = (0..parallelism).map(reader).collect::<Result<Vec<_>>>()?;
        let (bell, woken) = channel();
        let mut harness = Self {
            coordinator,
            readers,
            clock,
            call_at: None,
            to_enumerator: VecDeque::new(),
            to_readers: VecDeque::new(),
            waker: Arc::new(Bell(bell)).into(),
            woken,
        };
        harness.coordinate(|coordinator, cx| coordinator.start(cx))?;
        for subtask in 0..parallelism {
            harness.coordinate(|coordinator, cx| coordinator.add_reader(subtask, cx))?;
            harness.read(subtask as usize, |operator, cx| operator.open(cx))?;
        }
        harness.deliver()?;
        Ok(harness)
    }

    /// Takes a checkpoint: first of the enumerator, then of the readers.
    pub(crate) fn checkpoint(&mut self) -> Result<Left> {
        let enumerator = self.coordinator.snapshot()?;
        let (kind, alignment) = (SnapshotKind::Checkpoint, Alignment::Aligned);
        let barrier = Barrier { checkpoint: CheckpointId(1), timestamp: self.clock.now(), kind, alignment };
        let mut readers = Vec::new();
        for Reader { operator, runtime, .. } in &mut self.readers {
            let mut snapshot = OperatorSnapshot::default();
            operator.snapshot(&mut snapshot, &mut SnapshotContext { barrier, runtime })?;
            readers.extend(snapshot.operator);
        }
        Ok(Left { enumerator, readers })
    }

    /// Moves the clock and calls the enumerator if it asked for it.
    pub(crate) fn advance(&mut self, span: Duration) -> Result<()> {
        self.clock.advance(span);
        if self.call_at.is_some_and(|at| at <= self.clock.now()) {
            self.coordinate(|coordinator, cx| coordinator.on_timer(cx))?;
        }
        self.deliver()
    }

    /// Polls all readers in turn until each waits or has finished. True when all have finished.
    pub(crate) fn run(&mut self) -> Result<bool> {
        loop {
            let mut more = false;
            for subtask in 0..self.readers.len() {
                more |= !self.readers[subtask].finished && self.poll(subtask)? == SourcePoll::More;
            }
            if !more {
                return Ok(self.readers.iter().all(|reader| reader.finished));
            }
        }
    }

    /// As [`run`](Self::run), waiting for threads of the source until all have finished.
    pub(crate) fn run_to_end(&mut self) -> Result<()> {
        while !self.run()? {
            self.woken.recv_timeout(Duration::from_secs(20)).expect("the source wakes its task");
        }
        Ok(())
    }

    /// Polls one reader once.
    pub(crate) fn poll(&mut self, subtask: usize) -> Result<SourcePoll> {
        let poll = self.read(subtask, |operator, cx| operator.poll_source(cx))?;
        self.readers[subtask].finished |= poll == SourcePoll::Finished;
        self.deliver()?;
        Ok(poll)
    }

    /// What the subtask has given since the last call.
    pub(crate) fn take(&mut self, subtask: usize) -> Vec<T> {
        std::mem::take(&mut self.readers[subtask].records)
    }

    /// When the subtask wants to be polled again.
    pub(crate) fn wake_after(&self, subtask: usize) -> Option<Duration> {
        self.readers[subtask].wake_after
    }

    pub(crate) fn close(&mut self) -> Result<()> {
        self.readers.iter_mut().try_for_each(|reader| reader.operator.close())
    }

    fn coordinate(&mut self, f: impl FnOnce(&mut dyn SourceCoordinator, &mut CoordinatorContext) -> Result<()>) -> Result<()> {
        let mut cx = CoordinatorContext { now: self.clock.now(), ..CoordinatorContext::default() };
        f(self.coordinator.as_mut(), &mut cx)?;
        self.call_at = cx.call_at;
        self.to_readers.extend(cx.to_subtasks);
        Ok(())
    }

    fn read<R>(&mut self, subtask: usize, f: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> Result<R>) -> Result<R> {
        let reader = &mut self.readers[subtask];
        let mut output = Emitted::default();
        let mut budget = Budget::new(Arc::clone(&self.clock) as Arc<dyn Clock>);
        let mut cx = OperatorContext::new(&reader.runtime, &mut budget, &self.waker, &mut output);
        let result = f(reader.operator.as_mut(), &mut cx)?;
        for element in output.elements {
            if let Element::Batch(batch) = element {
                reader.records.extend(Rows::<T>::from_any(batch)?.values);
            }
        }
        reader.wake_after = output.wake_after;
        self.to_enumerator.extend(output.events.into_iter().map(|event| (subtask as u32, event)));
        Ok(result)
    }

    /// Delivers messages until there are none.
    fn deliver(&mut self) -> Result<()> {
        while !(self.to_enumerator.is_empty() && self.to_readers.is_empty()) {
            for (subtask, event) in std::mem::take(&mut self.to_enumerator) {
                self.coordinate(|coordinator, cx| coordinator.handle_event(subtask, event, cx))?;
            }
            for (subtask, event) in std::mem::take(&mut self.to_readers) {
                self.read(subtask as usize, |operator, cx| operator.handle_event(event, cx))?;
            }
        }
        Ok(())
    }
}
