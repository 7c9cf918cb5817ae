//! Runs the tasks of a harness on the step executor.

use crate::clock::{ManualClock, manual_world};
use brisk_base::ids::{AttemptId, JobId, OperatorId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::Rng;
use brisk_base::{Error, Result, Timestamp};
use brisk_core::accumulator::{AccumulatorValue, Accumulators};
use brisk_core::job::ExecutionState;
use brisk_core::job_graph::StreamGraph;
use brisk_core::operator::TaskInfo;
use brisk_core::registry::OperatorRegistry;
use brisk_core::source::SourceEvent;
use brisk_runtime::exchange::LocalExchanges;
use brisk_runtime::executor::{Executor, StepExecutor};
use brisk_runtime::task::{TaskControl, TaskDescriptor, TaskEnvironment, TaskReporter, start_task};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The first failure of a task.
#[derive(Default)]
struct Failures(Mutex<Option<Error>>);

impl TaskReporter for Failures {
    fn state(&self, _attempt: AttemptId, _state: ExecutionState, error: Option<Error>) {
        if let Some(error) = error {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    }

    fn event(&self, _attempt: AttemptId, _operator: OperatorId, _event: SourceEvent) {}
}

/// See the module.
pub(crate) struct Engine {
    executor: Arc<StepExecutor>,
    clock: Arc<ManualClock>,
    controls: Vec<TaskControl>,
    failures: Arc<Failures>,
    /// What the first failure said; nothing goes on after it.
    failed: Option<String>,
    rng: Rng,
}

impl Engine {
    /// Starts every vertex of the graph with one subtask.
    pub(crate) fn start(graph: &StreamGraph, config: Configuration) -> Result<Self> {
        let clock = Arc::new(ManualClock::default());
        let executor = Arc::new(StepExecutor::new(manual_world(&clock, 1)));
        let graph = Arc::new(graph.to_job_graph(&config)?);
        let (config, exchanges, failures) = (Arc::new(config), Arc::new(LocalExchanges::default()), Arc::new(Failures::default()));
        let mut engine = Self { executor, clock, controls: Vec::new(), failures, failed: None, rng: Rng::seeded(1) };
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
                reporter: Arc::<Failures>::clone(&engine.failures),
            };
            engine.controls.push(start_task(descriptor, environment, None));
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
        let failure = self.failures.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.failed = failure.as_ref().map(ToString::to_string);
        failure.map_or(Ok(()), Err)
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
