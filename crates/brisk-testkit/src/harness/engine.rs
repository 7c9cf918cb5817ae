//! Runs the tasks of a harness on the step executor.

use super::snapshot::HarnessSnapshot;
use crate::clock::{ManualClock, manual_world};
use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId, VertexId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::Rng;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::accumulator::{AccumulatorValue, Accumulators};
use brisk_core::checkpoint::{Alignment, Barrier, SnapshotKind};
use brisk_core::job::ExecutionState;
use brisk_core::job_graph::{JobGraph, StreamGraph};
use brisk_core::operator::TaskInfo;
use brisk_core::registry::OperatorRegistry;
use brisk_core::source::SourceEvent;
use brisk_runtime::exchange::LocalExchanges;
use brisk_runtime::executor::{Executor, StepExecutor};
use brisk_runtime::task::{TaskCheckpoint, TaskControl, TaskDescriptor, TaskEnvironment, TaskReporter, start_task};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the tasks have said.
#[derive(Default)]
struct Heard {
    /// The first failure.
    failure: Mutex<Option<Error>>,
    /// Their parts of the checkpoint that is being taken.
    snapshots: Mutex<BTreeMap<VertexId, TaskCheckpoint>>,
}

impl TaskReporter for Heard {
    fn state(&self, _attempt: AttemptId, _state: ExecutionState, error: Option<Error>) {
        if let Some(error) = error {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    fn event(&self, _attempt: AttemptId, _operator: OperatorId, _event: SourceEvent) {}

    fn snapshot(&self, attempt: AttemptId, snapshot: TaskCheckpoint) {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).insert(attempt.vertex, snapshot);
    }
}

/// See the module.
pub(crate) struct Engine {
    executor: Arc<StepExecutor>,
    clock: Arc<ManualClock>,
    graph: Arc<JobGraph>,
    controls: Vec<TaskControl>,
    heard: Arc<Heard>,
    /// The last checkpoint that was taken.
    checkpoint: CheckpointId,
    /// What the first failure said; nothing goes on after it.
    failed: Option<String>,
    rng: Rng,
}

impl Engine {
    /// Starts every vertex of the graph with one subtask; with a snapshot, it goes on from there.
    pub(crate) fn start(graph: &StreamGraph, config: Configuration, restored: Option<&HarnessSnapshot>) -> Result<Self> {
        let clock = Arc::new(ManualClock::default());
        let executor = Arc::new(StepExecutor::new(manual_world(&clock, 1)));
        let graph = Arc::new(graph.to_job_graph(&config)?);
        let (config, exchanges, heard) = (Arc::new(config), Arc::new(LocalExchanges::default()), Arc::new(Heard::default()));
        let checkpoint = restored.map_or(CheckpointId(0), HarnessSnapshot::checkpoint);
        let (controls, graph_of) = (Vec::new(), Arc::clone(&graph));
        let mut engine = Self { executor, clock, graph: graph_of, controls, heard, checkpoint, failed: None, rng: Rng::seeded(1) };
        if let Some(snapshot) = restored {
            snapshot.check(&graph)?;
            engine.clock.advance_to(snapshot.now());
        }
        for (at, vertex) in graph.vertices.iter().enumerate() {
            let info = TaskInfo {
                job_id: JobId(0),
                job_name: graph.name.as_str().into(),
                attempt: AttemptId { vertex: vertex.id, subtask: 0, attempt: 0 },
                subtask: 0,
                parallelism: 1,
                max_parallelism: vertex.max_parallelism,
            };
            let descriptor = TaskDescriptor {
                graph: Arc::clone(&graph),
                vertex: at,
                info,
                config: Arc::clone(&config),
                registry: OperatorRegistry::default(),
                metrics: MetricGroup::unregistered(engine.executor.world()),
                state_backend: None,
                checkpointing: false,
            };
            let environment = TaskEnvironment {
                world: engine.executor.world().clone(),
                executor: Arc::<StepExecutor>::clone(&engine.executor),
                exchanges: Arc::clone(&exchanges),
                reporter: Arc::<Heard>::clone(&engine.heard),
            };
            let restore = restored.map(|snapshot| snapshot.restore(vertex));
            engine.controls.push(start_task(descriptor, environment, restore));
        }
        Ok(engine)
    }

    /// Runs until nothing can run at the present time.
    pub(crate) fn settle(&mut self) -> Result<()> {
        if let Some(failed) = &self.failed {
            return Err(Error::user(format!("the pipeline has failed before: {failed}")));
        }
        self.controls.iter().for_each(TaskControl::wake);
        loop {
            while self.executor.run_one(&mut self.rng, u32::MAX).is_some() {}
            if !self.executor.fire_due() {
                break;
            }
        }
        let failure = self.heard.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.failed = failure.as_ref().map(ToString::to_string);
        failure.map_or(Ok(()), Err)
    }

    /// Sends a barrier through the tasks, and stores what they hand over.
    pub(crate) fn snapshot(&mut self) -> Result<HarnessSnapshot> {
        self.checkpoint = CheckpointId(self.checkpoint.0 + 1);
        let (checkpoint, timestamp) = (self.checkpoint, self.now());
        // Operators that wait for answers would keep an aligned barrier waiting.
        let barrier = Barrier { checkpoint, timestamp, kind: SnapshotKind::Savepoint, alignment: Alignment::Unaligned };
        for (vertex, control) in self.graph.vertices.iter().zip(&self.controls) {
            if vertex.incoming.is_empty() {
                control.trigger_checkpoint(barrier);
            }
        }
        self.settle()?;
        let taken = std::mem::take(&mut *self.heard.snapshots.lock().unwrap_or_else(PoisonError::into_inner));
        HarnessSnapshot::store(checkpoint, timestamp, &self.graph, taken)
    }

    /// Tells the operators that the last checkpoint is complete.
    pub(crate) fn complete_checkpoint(&mut self) -> Result<()> {
        self.controls.iter().for_each(|control| control.checkpoint_complete(self.checkpoint));
        self.settle()
    }

    pub(crate) fn advance_to(&mut self, time: Timestamp) -> Result<()> {
        self.clock.advance_to(time);
        self.settle()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.executor.world().now()
    }

    pub(crate) fn state_entries(&self) -> u64 {
        self.controls.iter().map(|control| control.io().state_entries).sum()
    }

    pub(crate) fn accumulators(&self) -> BTreeMap<String, AccumulatorValue> {
        let all = Accumulators::default();
        self.controls.iter().for_each(|control| all.merge(&control.accumulators()));
        all.snapshot()
    }
}
