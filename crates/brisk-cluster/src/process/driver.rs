//! The process of a program's `main`: it builds jobs, has the JobManager run them, and waits for them.
//!
//! The coordinators of its sources run here, because their code is here. The process ends when `main` does, but not before its jobs; and it
//! ends at once when the JobManager is gone, which starts it again when it is back.

use super::limits::exit_now;
use super::messages::{DriverMessage, DriverStart, ProgramsMessage};
use super::recorded::{RecordedClient, is_collected, replay};
use super::{Errand, Errands, Origin};
use crate::client::{ClusterJobClient, JobMirror, JobView, Publisher};
use crate::control;
use crate::job::{JobSpec, ProgramSpec, RecordedResult};
use crate::job_manager::job_master::coordinators::{Coordinators, Kept};
use crate::link::handshake::{Greeting, Role, dial};
use crate::link::{KeepLink, Link, LinkKeeper, LinkTimes};
use crate::services::Services;
use crate::transport::{Actor, ActorContext, Address, ControlPlane, PlaneThread, Reply};
use crate::wire::Bytes;
use brisk_base::ids::JobId;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::job::{JobClient, JobExecutor, JobOverview, StopMode};
use brisk_core::job_graph::StreamGraph;
use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How long to wait for a job before looking whether it has ended otherwise.
const LOOK_AGAIN: Duration = Duration::from_secs(3600);

/// Times of a link whose other side sets them: this one is generous.
pub(super) const GENEROUS: LinkTimes = LinkTimes {
    heartbeat_interval: Duration::from_millis(500),
    heartbeat_timeout: Duration::from_secs(3600),
    // A savepoint that is asked for over the link takes as long as it takes.
    ask_timeout: Duration::from_secs(3600),
};

/// Runs the jobs of a program's environment. Once the environment and the clients of its jobs are gone, it waits for the jobs: the coordinators
/// of their sources are in this process.
pub struct DriverHandle {
    driver: Arc<Driver>,
    /// Itself, for clients to keep.
    me: Weak<Self>,
}

/// See the module.
pub struct Driver {
    token: u128,
    start: DriverStart,
    programs: Address<ProgramsMessage>,
    errands: Address<Errand>,
    services: Services,
    world: World,
    state: Mutex<State>,
    _link: Arc<Link>,
    _plane: PlaneThread,
}

#[derive(Default)]
struct State {
    /// The number of the next job.
    next: u32,
    /// Jobs that this process has had run.
    jobs: BTreeMap<u32, Submitted>,
}

/// A job that this process has had run.
struct Submitted {
    view: Arc<JobView>,
    /// What the program has collected from it.
    kept: Arc<Mutex<Kept>>,
}

/// The root actor of a driver.
struct Root;

impl Actor for Root {
    type Message = DriverMessage;

    fn handle(&mut self, _message: DriverMessage, _cx: &mut ActorContext<'_>) {}
}

impl Driver {
    /// Reports to the JobManager that has started this process.
    ///
    /// # Errors
    /// When it is not there, or does not want it.
    pub fn connect(origin: &Origin, services: Services, world: &World) -> Result<Arc<Self>> {
        let mut plane = ControlPlane::threaded(world);
        let (root, errands) = (plane.spawn(Root), plane.spawn(Errands));
        let greeting = Greeting { role: Role::Driver, id: origin.token, name: format!("driver {}", std::process::id()) };
        let on_lost = |error: Error| {
            eprintln!("the JobManager is gone, and this process ends: {error}");
            exit_now(1);
        };
        let link = dial(&origin.address, &greeting, world, GENEROUS, &root, Box::new(on_lost))?;
        plane.spawn(LinkKeeper(Arc::clone(&link))).send(KeepLink);
        let plane = plane.start("brisk-control")?;
        let programs: Address<ProgramsMessage> = link.root();
        let (reply, answer) = Reply::channel();
        programs.send(ProgramsMessage::Attach { token: origin.token, reply });
        let start = answer.recv().map_err(|_| Error::transient("the JobManager does not answer"))??;
        let driver = Self {
            token: origin.token,
            start,
            programs,
            errands,
            services,
            world: world.clone(),
            state: Mutex::default(),
            _link: link,
            _plane: plane,
        };
        Ok(Arc::new(driver))
    }

    /// What runs the jobs of one environment.
    pub fn handle(self: &Arc<Self>) -> Arc<DriverHandle> {
        Arc::new_cyclic(|me| DriverHandle { driver: Arc::clone(self), me: me.clone() })
    }

    /// The options that the program's environment begins with.
    pub const fn base(&self) -> &Configuration {
        &self.start.base
    }

    /// What `StreamEnvironment::once` has recorded.
    pub fn once(&self) -> BTreeMap<String, Vec<u8>> {
        self.start.once.iter().map(|(name, bytes)| (name.clone(), bytes.0.clone())).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How jobs before `number` have ended.
    fn results(&self, number: u32) -> BTreeMap<u32, RecordedResult> {
        let mut results = self.start.results.clone();
        for (at, job) in &self.state().jobs {
            let collected = job.kept.lock().unwrap_or_else(PoisonError::into_inner).all();
            results.extend(job.view.recorded().map(|result| (*at, RecordedResult { collected, ..result })));
        }
        results.retain(|at, _| *at < number);
        results
    }

    fn job(&self, number: u32, graph: &StreamGraph, config: &Configuration) -> Result<JobSpec> {
        let place = || format!("job '{}'", graph.name);
        let job_graph = graph.to_job_graph(config).context(place)?;
        let id = self.start.running.get(&number).copied().unwrap_or_else(|| JobId(self.world.random_id()));
        let program = ProgramSpec {
            blob: self.start.blob,
            size: self.start.size,
            arguments: self.start.arguments.clone(),
            number,
            base: self.start.base.clone(),
            once: graph.recorded.iter().map(|(name, bytes)| (name.clone(), Bytes(bytes.clone()))).collect(),
            results: self.results(number),
        };
        let program = Some(Arc::new(program));
        Ok(JobSpec { id, graph: Arc::new(job_graph), config: Arc::new(config.clone()), program })
    }

    /// Does something on the thread of the control plane, and gives what comes of it.
    fn on_plane<T: Send + 'static>(&self, errand: impl FnOnce(&mut ActorContext<'_>) -> T + Send + 'static) -> Result<T> {
        let (sender, receiver) = channel();
        self.errands.send(Box::new(move |cx: &mut ActorContext<'_>| drop(sender.send(errand(cx)))));
        receiver.recv().map_err(|_| Error::bug("the control thread has ended"))
    }

    fn submit(&self, graph: &StreamGraph, config: &Configuration, keep: Option<Arc<DriverHandle>>) -> Result<Arc<dyn JobClient>> {
        let number = {
            let mut state = self.state();
            state.next += 1;
            state.next - 1
        };
        let mut job = self.job(number, graph, config)?;
        if let Some(result) = self.start.results.get(&number) {
            if result.collected.is_some() || !is_collected(&job.graph, &self.services.operators) {
                replay(&job.graph, &self.services.operators, result)?;
                return Ok(Arc::new(RecordedClient(result.clone())));
            }
            // What was collected from it went with the last driver: it runs again, as another job.
            job.id = JobId(self.world.random_id());
        }
        let view = Arc::new(JobView::new(&job, true));
        let kept = Arc::<Mutex<Kept>>::default();
        let coordinators = Coordinators::new(Arc::clone(&job.graph), self.services.operators.clone()).keeping(Arc::clone(&kept));
        let mirror = JobMirror(Publisher::new(&view));
        let (coordinators, client) = self.on_plane(move |cx| (cx.spawn(coordinators), cx.spawn(mirror)))?;
        let (reply, answer) = Reply::channel();
        self.programs.send(ProgramsMessage::Submit { token: self.token, job: Box::new(job), coordinators, client, reply });
        answer.recv().map_err(|_| Error::transient("the JobManager does not answer"))??;
        self.state().jobs.insert(number, Submitted { view: Arc::clone(&view), kept });
        Ok(Arc::new(ClusterJobClient::new(view, &self.start.dispatcher, keep)))
    }
}

impl JobExecutor for DriverHandle {
    fn submit(&self, graph: StreamGraph, config: &Configuration) -> Result<Arc<dyn JobClient>> {
        self.driver.submit(&graph, config, self.me.upgrade())
    }

    fn jobs(&self) -> Result<Vec<JobOverview>> {
        control::jobs(&self.driver.start.dispatcher)
    }

    fn stop_job(&self, job: JobId, mode: StopMode) -> Result<Option<String>> {
        control::stop(&self.driver.start.dispatcher, job, mode)
    }
}

impl Drop for DriverHandle {
    fn drop(&mut self) {
        let jobs: Vec<_> = self.driver.state().jobs.values().map(|job| Arc::clone(&job.view)).collect();
        for job in jobs {
            while job.wait_for(LOOK_AGAIN).is_none() {}
        }
    }
}
