//! Runs one operator by hand.

use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::{Clock, MonoTime, Spawner, World};
use brisk_base::{Result, Timestamp};
use brisk_core::accumulator::Accumulators;
use brisk_core::batch::Columns;
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::element::Element;
use brisk_core::operator::{
    Budget, Operator, OperatorContext, OperatorFactory, Output, Port, Progress, Rest, RuntimeContext, SnapshotContext, TaskInfo,
};
use brisk_core::source::SourceEvent;
use brisk_core::state::{
    EntryVisitor, KeyedStateMeta, OperatorRestore, OperatorSnapshot, OperatorStateSnapshot, RestoredKeyedState, RestoredOperatorState,
    StateBackend,
};
use brisk_core::types::{KeyGroup, KeyGroupRange};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::Waker;

/// What an operator has emitted.
#[derive(Default)]
struct Recorded(Vec<Element>);

impl Output for Recorded {
    fn emit(&mut self, _port: Port, element: Element) {
        self.0.push(element);
    }

    fn ports(&self) -> usize {
        1
    }

    fn send_event(&mut self, _event: SourceEvent) {}
}

pub(crate) fn runtime() -> RuntimeContext {
    let world = World::real();
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

/// Time as the test says it.
#[derive(Default)]
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn set(&self, now: i64) {
        self.0.store(now, Ordering::SeqCst);
    }

    /// A world with this clock and without threads.
    pub(crate) fn world(self: &Arc<Self>) -> World {
        World::new(Arc::<Self>::clone(self), Arc::new(NoThreads), 1)
    }
}

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
    fn spawn(&self, name: &str, _body: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other(format!("'{name}' asked for a thread")))
    }
}

/// An operator with its output.
pub(crate) struct Driver {
    operator: Box<dyn Operator>,
    runtime: RuntimeContext,
    output: Recorded,
    /// How often the operator said that it waits.
    pub(crate) waited: usize,
}

impl Driver {
    pub(crate) fn new(factory: &dyn OperatorFactory) -> Self {
        Self::in_runtime(runtime(), factory)
    }

    /// With checkpoints.
    pub(crate) fn with_checkpoints(factory: &dyn OperatorFactory) -> Self {
        let mut runtime = runtime();
        runtime.state.checkpointing = true;
        Self::in_runtime(runtime, factory)
    }

    /// With its state in a backend of the test's choice.
    pub(crate) fn with_backend(factory: &dyn OperatorFactory, backend: Arc<dyn StateBackend>) -> Self {
        let mut runtime = runtime();
        runtime.state.backend = Some(backend);
        Self::in_runtime(runtime, factory)
    }

    /// What a checkpoint leaves that is taken now.
    pub(crate) fn snapshot(&mut self, checkpoint: CheckpointId) -> OperatorRestore {
        let (kind, alignment) = (SnapshotKind::Savepoint, Alignment::Aligned);
        let barrier = Barrier { checkpoint, timestamp: Timestamp(0), kind, alignment };
        self.call(|operator, cx| operator.prepare_snapshot(checkpoint, cx)).expect("no failure");
        let mut snapshot = OperatorSnapshot::default();
        self.operator.snapshot(&mut snapshot, &mut SnapshotContext { barrier, runtime: &self.runtime }).expect("no failure");
        kept(snapshot, checkpoint)
    }

    /// Goes on from a checkpoint. What was emitted before stays.
    pub(crate) fn restored(self, left: OperatorRestore, factory: &dyn OperatorFactory) -> Self {
        let Self { mut operator, mut runtime, output, waited } = self;
        operator.close().expect("closes");
        runtime.state.restored = Some(Arc::new(left));
        let mut driver = Self::in_runtime(runtime, factory);
        driver.output.0.splice(0..0, output.0);
        driver.waited = waited;
        driver
    }

    /// Goes on from a checkpoint in another backend.
    pub(crate) fn restored_in(mut self, backend: Arc<dyn StateBackend>, left: OperatorRestore, factory: &dyn OperatorFactory) -> Self {
        self.runtime.state.backend = Some(backend);
        self.restored(left, factory)
    }

    pub(crate) fn in_runtime(runtime: RuntimeContext, factory: &dyn OperatorFactory) -> Self {
        let operator = factory.create(&runtime).expect("can be made");
        let mut driver = Self { operator, runtime, output: Recorded::default(), waited: 0 };
        driver.call(|operator, cx| operator.open(cx)).expect("opens");
        driver
    }

    pub(crate) fn call<R>(&mut self, f: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>) -> R) -> R {
        let mut budget = Budget::new(Arc::clone(&self.runtime.world.clock));
        let mut cx = OperatorContext::new(&self.runtime, &mut budget, Waker::noop(), &mut self.output);
        f(self.operator.as_mut(), &mut cx)
    }

    /// Feeds a batch until it is consumed.
    pub(crate) fn batch(&mut self, batch: Columns) -> Result<()> {
        self.batch_to(0, batch)
    }

    /// Feeds a batch to one input until it is consumed.
    pub(crate) fn batch_to(&mut self, input: usize, batch: Columns) -> Result<()> {
        let mut rest: Box<dyn brisk_core::batch::AnyBatch> = Box::new(batch);
        for _ in 0..1000 {
            rest = match self.call(|operator, cx| operator.process_batch(input, rest, cx))? {
                Rest::Consumed => return Ok(()),
                Rest::More(rest) => rest,
                Rest::Blocked(rest) => {
                    self.waited += 1;
                    rest
                }
            };
        }
        panic!("the batch is never consumed");
    }

    /// The input has ended: final watermark, end, finish, close.
    pub(crate) fn end(&mut self) {
        let last = self.call(|operator, cx| {
            assert_eq!(operator.process_watermark(Timestamp::MAX, cx)?, Progress::Done);
            assert_eq!(operator.end_input(0, cx)?, Progress::Done);
            operator.finish(cx)
        });
        assert_eq!(last.expect("ends"), Progress::Done);
        self.operator.close().expect("closes");
    }

    /// What has been emitted since the last call.
    pub(crate) fn elements(&mut self) -> Vec<Element> {
        std::mem::take(&mut self.output.0)
    }

    /// The batches among that.
    pub(crate) fn batches(&mut self) -> Vec<Columns> {
        let batch = |element| match element {
            Element::Batch(batch) => Some(Columns::from_any(batch).expect("columns")),
            _ => None,
        };
        self.elements().into_iter().filter_map(batch).collect()
    }
}

/// One thing that a reader of the output sees: a change as Flink prints it, or a watermark.
pub(crate) fn shown(elements: Vec<Element>) -> Vec<String> {
    let mut lines = Vec::new();
    for element in elements {
        match element {
            Element::Batch(batch) => {
                let batch = Columns::from_any(batch).expect("columns");
                assert!(batch.rows <= Columns::MAX_ROWS);
                let columns: Vec<_> = batch.columns.iter().map(|column| brisk_table::cells(column).expect("can be shown")).collect();
                for segment in batch.segments() {
                    match segment {
                        brisk_core::batch::Segment::Watermark(watermark) => lines.push(format!("watermark {}", watermark.0)),
                        brisk_core::batch::Segment::Rows(rows) => lines.extend(rows.map(|row| {
                            let cells: Vec<_> = columns.iter().map(|column| column[row].to_string()).collect();
                            format!("{}[{}]", batch.kind(row).short(), cells.join(", "))
                        })),
                    }
                }
            }
            Element::Watermark(watermark) => lines.push(format!("watermark {}", watermark.0)),
            other => lines.push(format!("{other:?}")),
        }
    }
    lines
}

/// Key group, key and value of an entry.
type Row = (KeyGroup, Vec<u8>, Vec<u8>);

/// The keyed states of a snapshot.
struct Kept {
    metas: Vec<KeyedStateMeta>,
    rows: BTreeMap<Arc<str>, Vec<Row>>,
}

fn kept(snapshot: OperatorSnapshot, checkpoint: CheckpointId) -> OperatorRestore {
    let mut kept = Kept { metas: Vec::new(), rows: BTreeMap::new() };
    for state in snapshot.keyed {
        let rows = kept.rows.entry(Arc::clone(&state.meta.name)).or_default();
        let add = &mut |group, key: &[u8], value: &[u8]| {
            rows.push((group, key.to_vec(), value.to_vec()));
            Ok(())
        };
        state.table.scan(KeyGroupRange::new(0, 128), add).expect("scanning never fails here");
        kept.metas.push(state.meta);
    }
    let operator = |state: OperatorStateSnapshot| {
        let OperatorStateSnapshot { name, redistribution, schema, items } = state;
        RestoredOperatorState { name, redistribution, schema, items }
    };
    let operator = snapshot.operator.into_iter().map(operator).collect();
    OperatorRestore { checkpoint, keyed: Some(Arc::new(kept)), operator, ..OperatorRestore::default() }
}

/// What several subtasks left, as one.
pub(crate) fn merged(parts: Vec<OperatorRestore>) -> OperatorRestore {
    let mut all = Kept { metas: Vec::new(), rows: BTreeMap::new() };
    let mut operator: BTreeMap<Arc<str>, RestoredOperatorState> = BTreeMap::new();
    let mut checkpoint = CheckpointId(0);
    for part in parts {
        checkpoint = part.checkpoint;
        for state in part.operator {
            match operator.get_mut(&state.name) {
                Some(known) => known.items.extend(state.items),
                None => drop(operator.insert(Arc::clone(&state.name), state)),
            }
        }
        let Some(keyed) = part.keyed else { continue };
        for meta in keyed.states() {
            let rows = all.rows.entry(Arc::clone(&meta.name)).or_default();
            let add = &mut |group, key: &[u8], value: &[u8]| {
                rows.push((group, key.to_vec(), value.to_vec()));
                Ok(())
            };
            keyed.scan(&meta.name, KeyGroupRange::new(0, 128), add).expect("scanning never fails here");
            if !all.metas.iter().any(|known| known.name == meta.name) {
                all.metas.push(meta.clone());
            }
        }
    }
    let operator = operator.into_values().collect();
    OperatorRestore { checkpoint, keyed: Some(Arc::new(all)), operator, ..OperatorRestore::default() }
}

impl RestoredKeyedState for Kept {
    fn states(&self) -> &[KeyedStateMeta] {
        &self.metas
    }

    fn scan(&self, state: &str, groups: KeyGroupRange, visit: &mut EntryVisitor<'_>) -> Result<()> {
        let rows = self.rows.get(state).into_iter().flatten();
        rows.filter(|(group, ..)| groups.contains(*group)).try_for_each(|(group, key, value)| visit(*group, key, value))
    }
}
