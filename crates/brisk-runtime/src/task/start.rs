//! Brings a task up: its operators, its gate, its writers.

use super::barriers::InputChannel;
use super::control::{Shared, TaskControl, TaskIo};
use super::inputs::Inputs;
use super::restore::RestoreTask;
use super::stream_task::StreamTask;
use super::{Chain, TaskReporter, Wiring};
use crate::barrier::ChannelKey;
use crate::exchange::{LocalExchanges, consumers_of, producers_of};
use crate::executor::{Executor, SpawnOptions, TaskObserver, TaskOutcome};
use crate::writer::RecordWriter;
use brisk_base::Result;
use brisk_base::ids::{AttemptId, OperatorId};
use brisk_base::metrics::MetricGroup;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_core::accumulator::Accumulators;
use brisk_core::job_graph::{ChainedOperator, JobEdge, JobGraph, JobVertex, Partitioner};
use brisk_core::operator::{Budget, Operator, RuntimeContext, SideOutputPort, TaskInfo};
use brisk_core::registry::OperatorRegistry;
use brisk_core::state::{OperatorRestore, OperatorStateContext, StateBackend};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, OnceLock};

/// What a task is.
pub struct TaskDescriptor {
    /// The job.
    pub graph: Arc<JobGraph>,
    /// Index of the vertex in the graph.
    pub vertex: usize,
    /// The subtask.
    pub info: TaskInfo,
    /// The job's effective configuration.
    pub config: Arc<Configuration>,
    /// Where registered operators come from.
    pub registry: OperatorRegistry,
    /// Metrics of the task.
    pub metrics: MetricGroup,
    /// Where keyed state lies; `None`: the engine's tables on the heap.
    pub state_backend: Option<Arc<dyn StateBackend>>,
    /// Whether checkpoints are taken: then a task that is through waits for one that is complete before it ends.
    pub checkpointing: bool,
}

/// What a task runs in.
pub struct TaskEnvironment {
    /// Clocks, randomness, threads.
    pub world: World,
    /// Polls the task.
    pub executor: Arc<dyn Executor>,
    /// The gates of this execution of the job in this process.
    pub exchanges: Arc<LocalExchanges>,
    /// Hears what the task has to say.
    pub reporter: Arc<dyn TaskReporter>,
}

/// What is needed to make the operators; that happens inside the first poll, because it runs user code.
pub(super) struct Recipe {
    pub(super) descriptor: TaskDescriptor,
    pub(super) environment: TaskEnvironment,
    pub(super) job_parameters: Arc<BTreeMap<String, String>>,
    /// What a checkpoint left; taken by the first poll.
    pub(super) restore: Option<RestoreTask>,
}

/// Starts a task. Operators are made and opened in its first poll; everything that goes wrong is told to the reporter.
/// With `restore` the task goes on from a checkpoint.
pub fn start_task(descriptor: TaskDescriptor, environment: TaskEnvironment, restore: Option<RestoreTask>) -> TaskControl {
    let vertex = &descriptor.graph.vertices[descriptor.vertex];
    let info = &descriptor.info;
    let shared = Arc::new(Shared {
        name: format!("{} ({}/{})", vertex.name, info.subtask + 1, info.parallelism),
        attempt: info.attempt,
        mailbox: Mutex::default(),
        cancelled: AtomicBool::new(false),
        handle: OnceLock::new(),
        io: TaskIo::default(),
        clock: Arc::clone(&environment.world.clock),
        accumulators: Accumulators::default(),
        current: Arc::new(AtomicUsize::new(0)),
        operators: vertex.operators.iter().map(|operator| operator.name.clone()).collect(),
    });
    shared.io.watermark.store(i64::MIN, std::sync::atomic::Ordering::Relaxed);
    let options = if vertex.dedicated_thread { SpawnOptions::dedicated() } else { SpawnOptions::default() };
    let options = options.observed_by(Arc::new(EndReporter { attempt: info.attempt, reporter: Arc::clone(&environment.reporter) }));
    let executor = Arc::clone(&environment.executor);
    let job_parameters = Arc::new(descriptor.graph.job_parameters.clone());
    let task = StreamTask::new(Arc::clone(&shared), Recipe { descriptor, environment, job_parameters, restore });
    let handle = executor.spawn(Box::new(task), options);
    // A cancellation or a message that came before is seen by the first poll, or by the wake-up that follows here.
    let _ = shared.handle.set(handle.clone());
    handle.wake();
    TaskControl(shared)
}

/// Passes on that the executor has let the task go.
struct EndReporter {
    attempt: AttemptId,
    reporter: Arc<dyn TaskReporter>,
}

impl TaskObserver for EndReporter {
    fn ended(&self, _task: &str, outcome: &TaskOutcome) {
        self.reporter.ended(self.attempt, outcome);
    }
}

impl Recipe {
    fn vertex(&self) -> &JobVertex {
        &self.descriptor.graph.vertices[self.descriptor.vertex]
    }

    /// Makes the chain.
    pub(super) fn chain(&self, shared: &Shared, restored: &BTreeMap<OperatorId, Arc<OperatorRestore>>) -> Result<Chain> {
        let vertex = self.vertex();
        let mut operators = Vec::with_capacity(vertex.operators.len());
        for (at, operator) in vertex.operators.iter().enumerate() {
            shared.current.store(at, std::sync::atomic::Ordering::Relaxed);
            let runtime = self.runtime_context(operator, shared, restored.get(&operator.id).cloned());
            let made = self.make(operator, &runtime).map_err(|error| error.context(runtime.place()))?;
            let inputs = if at == 0 { vertex.inputs as usize } else { 1 };
            operators.push((made, runtime, inputs));
        }
        let routes = vertex.operators.iter().map(|operator| operator.outputs.clone()).collect();
        let wiring = Wiring::new(routes, self.writers());
        let budget = Budget::new(Arc::clone(&self.environment.world.clock));
        Ok(Chain::new(operators, wiring, budget, Arc::clone(&shared.current)))
    }

    fn make(&self, operator: &ChainedOperator, runtime: &RuntimeContext) -> Result<Box<dyn Operator>> {
        self.descriptor.registry.resolve(&operator.spec)?.create(runtime)
    }

    fn runtime_context(&self, operator: &ChainedOperator, shared: &Shared, restored: Option<Arc<OperatorRestore>>) -> RuntimeContext {
        let side = |(port, route): (usize, &brisk_core::job_graph::OutputRoute)| route.tag.clone().map(|tag| SideOutputPort { tag, port });
        RuntimeContext {
            task: self.descriptor.info.clone(),
            operator_name: operator.name.as_str().into(),
            operator_id: operator.id,
            side_outputs: operator.outputs.iter().enumerate().filter_map(side).collect(),
            world: self.environment.world.clone(),
            config: Arc::clone(&self.descriptor.config),
            job_parameters: Arc::clone(&self.job_parameters),
            metrics: self.descriptor.metrics.operator(operator.id, &operator.name),
            accumulators: shared.accumulators.clone(),
            state: OperatorStateContext {
                backend: self.descriptor.state_backend.clone(),
                restored,
                checkpointing: self.descriptor.checkpointing,
            },
            program_elsewhere: self.environment.exchanges.network().is_some(),
        }
    }

    fn writers(&self) -> Vec<RecordWriter> {
        let (graph, info) = (&self.descriptor.graph, &self.descriptor.info);
        let writer = |at: &usize| {
            let edge = &graph.edges[*at];
            let target = &graph.vertices[edge.to];
            let channel = |consumer: u32| {
                let before: usize = target.incoming[..edge.to_gate].iter().map(|other| producers_of(graph, *other, consumer).len()).sum();
                let position = info.subtask - producers_of(graph, *at, consumer).start;
                self.environment.exchanges.sender(graph, (edge.to, consumer, info.attempt.attempt), before as u32 + position)
            };
            let channels = consumers_of(graph, *at, info.subtask).map(channel).collect();
            let timeout = edge.buffer_timeout.map(brisk_base::Millis::to_duration);
            RecordWriter::new(&edge.partitioner, channels, target.max_parallelism, info.subtask, timeout, &self.environment.world)
        };
        self.vertex().outgoing.iter().map(writer).collect()
    }

    /// The inputs; `None` for a source.
    pub(super) fn inputs(&self) -> Option<Inputs> {
        let (graph, subtask, attempt) = (&self.descriptor.graph, self.descriptor.info.subtask, self.descriptor.info.attempt.attempt);
        if self.vertex().inputs == 0 {
            return None;
        }
        let to = self.vertex().id;
        let channels = |edge: &usize| {
            let JobEdge { input, to_gate, partitioner, .. } = &graph.edges[*edge];
            let (input, gate, overtakable) = (*input as u8, *to_gate as u32, matches!(partitioner, Partitioner::Hash(_)));
            let channel = move |producer| InputChannel { input, key: ChannelKey { to, gate, producer, consumer: subtask }, overtakable };
            producers_of(graph, *edge, subtask).map(channel)
        };
        let input_of = self.vertex().incoming.iter().flat_map(channels).collect();
        let queue = self.environment.exchanges.gate(graph, self.descriptor.vertex, subtask, attempt);
        Some(Inputs::new(queue, input_of, self.environment.exchanges.perturb().cloned()))
    }

    /// For each writer, the name of its exchange in checkpoints, and the consumer behind its first channel.
    pub(super) fn writer_keys(&self) -> Vec<(ChannelKey, usize)> {
        let (graph, subtask) = (&self.descriptor.graph, self.descriptor.info.subtask);
        let key = |at: &usize| {
            let edge = &graph.edges[*at];
            let key = ChannelKey { to: graph.vertices[edge.to].id, gate: edge.to_gate as u32, producer: subtask, consumer: 0 };
            (key, consumers_of(graph, *at, subtask).start as usize)
        };
        self.vertex().outgoing.iter().map(key).collect()
    }

    /// Where this task's gate is found.
    fn gate(&self) -> (usize, u32, u32) {
        let descriptor = &self.descriptor;
        (descriptor.vertex, descriptor.info.subtask, descriptor.info.attempt.attempt)
    }

    /// Lets channels of other processes into the gate.
    pub(super) fn open_gate(&self, chain: &Chain, inputs: Option<&Inputs>) {
        if let Some(inputs) = inputs {
            let types = inputs.channels().iter().map(|channel| chain.input_type(0, channel.input.into())).collect();
            self.environment.exchanges.open_gate(&self.descriptor.graph, self.gate(), types);
        }
    }

    /// Closes the gate: producers are freed, and what is under way is dropped.
    pub(super) fn close_gate(&self) {
        if self.vertex().inputs > 0 {
            self.environment.exchanges.close_gate(&self.descriptor.graph, self.gate());
        }
    }

    pub(super) fn operator_index(&self, id: brisk_base::ids::OperatorId) -> Option<usize> {
        self.vertex().operators.iter().position(|operator| operator.id == id)
    }
}
