//! The process that runs tasks of one job: it runs the program's `main` until the job is executed, and serves its tasks from then on.
//!
//! What comes out of `main` must be the graph that the driver has submitted: if it is not, nothing is run, and the error shows where they
//! differ. It ends when its TaskManager says so, or is gone.

use super::driver::GENEROUS;
use super::limits::exit_now;
use super::messages::{WorkerMessage, WorkerOrder};
use super::recorded::{RecordedClient, UnknownClient, replay};
use super::{Errand, Errands, Origin, log};
use crate::inspect::own_threads;
use crate::job::{JobSpec, ProgramSpec};
use crate::link::handshake::{Greeting, Role, dial};
use crate::link::{KeepLink, Link, LinkKeeper};
use crate::options::EXCHANGE_COMPRESSION;
use crate::services::Services;
use crate::task_manager::{RuntimeLauncher, TaskHost, TaskLauncher, TaskManagerMessage};
use crate::transport::{Actor, ActorContext, Address, ControlPlane, PlaneThread};
use brisk_base::metrics::MetricRegistry;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::job::{JobClient, JobExecutor};
use brisk_core::job_graph::{JobGraph, StreamGraph};
use brisk_runtime::exchange::{LocalExchanges, NetworkExchange};
use brisk_runtime::executor::Executor;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a TaskManager may take to say what is to be done.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines of a difference that are shown.
const SHOWN: usize = 12;

/// Makes the threads that run the tasks.
pub type MakeExecutor = fn(&Configuration, &World) -> Result<Arc<dyn Executor>>;

/// See the module.
pub struct Worker {
    /// What is to be done; taken when it is.
    order: Mutex<Option<WorkerOrder>>,
    program: Arc<ProgramSpec>,
    /// The number of the next job.
    next: AtomicU32,
    services: Services,
    executor: MakeExecutor,
    world: World,
    link: Arc<Link>,
    errands: Address<Errand>,
    _plane: PlaneThread,
}

/// The root actor of a worker: hands its order to the thread that waits for it.
struct Root(Sender<WorkerOrder>);

impl Actor for Root {
    type Message = WorkerMessage;

    fn handle(&mut self, message: WorkerMessage, cx: &mut ActorContext<'_>) {
        match message {
            // Whoever waits for it may have given up.
            WorkerMessage::Open(order) => drop(self.0.send(*order)),
            WorkerMessage::LogLevel(level) => match log::named_level(&level) {
                Ok(level) => log::change_level(level),
                Err(error) => tracing::warn!(%error, "the level of the log stays"),
            },
            WorkerMessage::Threads(reply) => {
                // It takes too long for this thread.
                if let Err(error) = cx.world().spawner.spawn("brisk-threads", Box::new(move || reply.send(own_threads()))) {
                    tracing::warn!(%error, "nobody can look at the threads");
                }
            }
        }
    }
}

impl Worker {
    /// Reports to the TaskManager that has started this process, and hears what is to be done.
    ///
    /// # Errors
    /// When it is not there, or does not want it.
    pub fn connect(origin: &Origin, services: Services, executor: MakeExecutor, world: &World) -> Result<Arc<Self>> {
        let (sender, orders) = channel();
        let mut plane = ControlPlane::threaded(world);
        let (root, errands) = (plane.spawn(Root(sender)), plane.spawn(Errands));
        let greeting = Greeting { role: Role::Worker, id: origin.token, name: format!("worker {}", std::process::id()) };
        let on_lost = |error: Error| {
            tracing::info!(%error, "the worker ends");
            exit_now(0);
        };
        let link = dial(&origin.address, &greeting, world, GENEROUS, &root, Box::new(on_lost))?;
        plane.spawn(LinkKeeper(Arc::clone(&link))).send(KeepLink);
        let plane = plane.start("brisk-control")?;
        let order = orders.recv_timeout(PATIENCE).map_err(|_| Error::transient("the TaskManager does not say what is to be done"))?;
        let program = order.job.program.clone().ok_or_else(|| Error::bug("the job has no program"))?;
        Ok(Arc::new(Self {
            order: Mutex::new(Some(order)),
            program,
            next: AtomicU32::new(0),
            services,
            executor,
            world: world.clone(),
            link,
            errands,
            _plane: plane,
        }))
    }

    /// The options that the program's environment begins with.
    pub fn base(&self) -> &Configuration {
        &self.program.base
    }

    /// What `StreamEnvironment::once` has recorded.
    pub fn once(&self) -> BTreeMap<String, Vec<u8>> {
        self.program.once.iter().map(|(name, bytes)| (name.clone(), bytes.0.clone())).collect()
    }

    /// Serves the tasks of the job until the process ends.
    fn serve(&self, graph: &StreamGraph, config: &Configuration) -> Result<()> {
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner).take();
        let order = order.ok_or_else(|| Error::bug("the job is served already"))?;
        let (id, run) = (order.job.id, order.run);
        let task_manager: Address<TaskManagerMessage> = self.link.root();
        if let Err(error) = self.open(order, graph, config, &task_manager) {
            tracing::error!(job = %id, %error, "the worker cannot serve its job");
            task_manager.send(TaskManagerMessage::HostFailed { job: id, run, error });
        }
        // The TaskManager ends this process.
        loop {
            std::thread::park();
        }
    }

    fn open(&self, order: WorkerOrder, graph: &StreamGraph, config: &Configuration, to: &Address<TaskManagerMessage>) -> Result<()> {
        let WorkerOrder { job, run, job_master, bind_host, host, task_manager } = order;
        let own = graph.to_job_graph(config)?;
        check_same(&job.graph, &own)?;
        let job = JobSpec { graph: Arc::new(own), ..job };
        let exchange = NetworkExchange::start(&self.world, job.id, (&bind_host, 0), &host, job.config.get(&EXCHANGE_COMPRESSION)?)?;
        let endpoint = exchange.endpoint().clone();
        let metrics = MetricRegistry::new(&self.world);
        let scope = metrics.root().task_manager(&host, task_manager);
        let executor = (self.executor)(&job.config, &self.world).context(|| "starting the engine's threads")?;
        let launcher = RuntimeLauncher::new(self.world.clone(), executor, self.services.clone(), scope)
            .with_exchanges(Arc::new(move || Arc::new(LocalExchanges::networked(Arc::clone(&exchange)))));
        let opened = launcher.open(&job).context(|| "preparing to run tasks")?;
        let id = job.id;
        let host = TaskHost::new((job, run), job_master, to.clone(), opened)?;
        let to = to.clone();
        self.errands.send(Box::new(move |cx: &mut ActorContext<'_>| {
            let host = cx.spawn(host);
            cx.send(&to, TaskManagerMessage::HostOpened { job: id, run, host, endpoint: Some(endpoint) });
        }));
        Ok(())
    }
}

impl JobExecutor for Worker {
    fn submit(&self, graph: StreamGraph, config: &Configuration) -> Result<Arc<dyn JobClient>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number < self.program.number {
            return Ok(match self.program.results.get(&number) {
                Some(result) => {
                    replay(&graph.to_job_graph(config)?, &self.services.operators, result)?;
                    Arc::new(RecordedClient(result.clone()))
                }
                None => Arc::new(UnknownClient),
            });
        }
        self.serve(&graph, config)?;
        Err(Error::bug("a worker has stopped serving"))
    }

    fn is_repeating(&self) -> bool {
        true
    }
}

/// Both graphs as texts of a line for each vertex, operator and exchange; they must be the same.
fn check_same(submitted: &JobGraph, own: &JobGraph) -> Result<()> {
    let (theirs, ours) = (lines(submitted), lines(own));
    if theirs == ours {
        return Ok(());
    }
    let missing = theirs.iter().filter(|line| !ours.contains(line)).map(|line| format!("  submitted: {line}"));
    let added = ours.iter().filter(|line| !theirs.contains(line)).map(|line| format!("  worker:    {line}"));
    let mut shown: Vec<String> = missing.chain(added).collect();
    if shown.is_empty() {
        shown.push("  the same lines in another order".to_owned());
    }
    let more = shown.len().saturating_sub(SHOWN);
    shown.truncate(SHOWN);
    if more > 0 {
        shown.push(format!("  and {more} more lines"));
    }
    Err(Error::user(format!(
        "the program builds another job here than where it was submitted:\n{}\nA program must build the same job each time: what differs from \
         run to run (time, random numbers, what a service answers) belongs into `env.once(name, || value)`",
        shown.join("\n")
    )))
}

fn lines(graph: &JobGraph) -> Vec<String> {
    let mut lines = Vec::new();
    for vertex in &graph.vertices {
        let group = &vertex.slot_sharing_group;
        lines.push(format!(
            "vertex {} '{}': parallelism {}, max parallelism {}, slot sharing group '{group}'",
            vertex.id, vertex.name, vertex.parallelism, vertex.max_parallelism
        ));
        for operator in &vertex.operators {
            let uid = operator.uid.as_ref().map_or_else(String::new, |uid| format!(", uid '{uid}'"));
            let outputs = operator.outputs.iter().map(|route| format!("{:?}{:?}", route.tag, route.targets)).collect::<Vec<_>>().join(" ");
            lines.push(format!("operator {} '{}'{uid} of '{}': {outputs}", operator.id, operator.name, vertex.name));
        }
    }
    for edge in &graph.edges {
        let [from, to] = [edge.from, edge.to].map(|at| graph.vertices.get(at).map_or("", |vertex| vertex.name.as_str()));
        lines.push(format!("exchange '{from}' -> '{to}': {} to input {}", edge.partitioner.name(), edge.input));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use brisk_core::job_graph::{JobEdge, JobVertex, Partitioner};

    fn graph(parallelism: u32, partitioner: Partitioner) -> JobGraph {
        let vertex = |id: u128, parallelism| JobVertex {
            id: brisk_base::ids::VertexId(id),
            name: format!("v{id}"),
            operators: Vec::new(),
            parallelism,
            max_parallelism: 128,
            inputs: 1,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            slot_sharing_group: "default".to_owned(),
            co_location_group: None,
            dedicated_thread: false,
        };
        let edge = JobEdge { from: 0, from_output: 0, to: 1, input: 0, to_gate: 0, partitioner, buffer_timeout: None };
        JobGraph { vertices: vec![vertex(1, 1), vertex(2, parallelism)], edges: vec![edge], ..JobGraph::default() }
    }

    #[test]
    fn another_graph_is_refused_and_shown_where_it_differs() {
        check_same(&graph(2, Partitioner::Rebalance), &graph(2, Partitioner::Rebalance)).expect("they are the same");
        let error = check_same(&graph(2, Partitioner::Rebalance), &graph(3, Partitioner::Broadcast)).expect_err("they differ");
        let text = error.to_string();
        assert_eq!(error.kind(), brisk_base::ErrorKind::User);
        for part in ["submitted: vertex", "parallelism 2", "worker:    vertex", "parallelism 3", "REBALANCE", "BROADCAST", "env.once"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("'v1': parallelism"), "what is the same is not shown: {text}");
    }
}
