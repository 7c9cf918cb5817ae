//! TaskManagers, and the workers that they start. A TaskManager that has lost its JobManager ends with its workers, and comes back as another one.

use super::process::Process;
use super::{Happenings, Processes, TIMES};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::metrics::MetricGroup;
use brisk_base::world::{MonoTime, World};
use brisk_base::{Error, Result};
use brisk_cluster::job::JobSpec;
use brisk_cluster::job_manager::ResourceManagerMessage;
use brisk_cluster::link::Link;
use brisk_cluster::process::messages::{WorkerMessage, WorkerOrder};
use brisk_cluster::services::Services;
use brisk_cluster::task_manager::{HostOpener, HostOrder, RuntimeLauncher, TaskHost, TaskLauncher, TaskManager, TaskManagerMessage};
use brisk_cluster::transport::{Actor, ActorContext, Address, ControlPlane};
use brisk_runtime::exchange::LocalExchanges;
use brisk_runtime::executor::StepExecutor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a worker may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which worker: the life of its TaskManager, the job, which of the hosts opened for it.
pub(super) type WorkerKey = (u64, JobId, u64);

/// Where a TaskManager runs, again and again.
pub(super) struct Seat {
    slots: u32,
    /// The one that is there.
    pub(super) life: Option<Life>,
    /// When the next comes, if there is none.
    pub(super) at: MonoTime,
}

pub(super) struct Life {
    /// Its process, which also names the life.
    pub(super) process: u64,
    /// The session of its links with workers.
    session: u128,
}

/// A worker as its TaskManager knows it.
pub(super) struct Worker {
    pub(super) process: u64,
    task_manager: Address<TaskManagerMessage>,
    link: Arc<Link>,
    /// When it is killed, if it has not ended by then.
    pub(super) kill_at: Option<MonoTime>,
    /// It has been let go: nobody is told of its end.
    closed: bool,
}

/// What comes up outside of the actors.
pub(super) enum Happening {
    /// A TaskManager has lost its JobManager.
    JobManagerLost(u64),
    /// A TaskManager starts a worker.
    Open(u64, Box<HostOrder>),
    /// A TaskManager kills one.
    Kill(WorkerKey, String),
    /// A TaskManager has no use for one any more.
    Closed(WorkerKey),
    /// A TaskManager has lost one.
    WorkerLost(WorkerKey, Error),
    /// A worker has lost its TaskManager.
    TaskManagerLost(u64),
}

impl Seat {
    pub(super) const fn new(slots: u32) -> Self {
        Self { slots, life: None, at: MonoTime(0) }
    }
}

/// Has the simulation start and end workers.
struct Opener {
    life: u64,
    happenings: Happenings,
}

impl HostOpener for Opener {
    fn open(&mut self, order: HostOrder, _cx: &mut ActorContext<'_>) -> Result<()> {
        note(&self.happenings, Happening::Open(self.life, Box::new(order)));
        Ok(())
    }

    fn kill(&mut self, job: JobId, run: u64, why: &str) {
        note(&self.happenings, Happening::Kill((self.life, job, run), why.to_owned()));
    }

    fn closed(&mut self, job: JobId, run: u64) {
        note(&self.happenings, Happening::Closed((self.life, job, run)));
    }
}

fn note(happenings: &Happenings, what: Happening) {
    happenings.lock().unwrap_or_else(PoisonError::into_inner).push_back(what);
}

impl Processes {
    /// Starts daemons whose time has come, and kills workers.
    pub(super) fn start_what_is_due(&mut self) -> Result<()> {
        let now = self.clock.peek();
        if self.job_manager.is_none() && self.job_manager_at <= now {
            self.start_job_manager()?;
        }
        for seat in 0..self.seats.len() {
            if self.seats[seat].life.is_none() && self.seats[seat].at <= now && self.job_manager.is_some() {
                self.start_task_manager(seat);
            }
        }
        let due = |worker: &Worker| worker.kill_at.is_some_and(|at| at <= now);
        let late: Vec<WorkerKey> = self.workers.iter().filter(|(_, worker)| due(worker)).map(|(key, _)| *key).collect();
        late.into_iter().for_each(|key| self.worker_over(key, &Error::transient("it was killed")));
        Ok(())
    }

    fn start_task_manager(&mut self, seat: usize) {
        let Some(job_manager) = &self.job_manager else { return };
        let (life, id, slots) = (self.next, TaskManagerId(self.world.random_id()), self.seats[seat].slots);
        let (connection, mine, theirs) = self.network.connect();
        let mut plane = ControlPlane::stepped(&self.world);
        let (resource_manager, session, process) = (job_manager.resource_manager.clone(), job_manager.session, job_manager.process);
        let told = resource_manager.for_new_sender();
        let lost = move |error| told.send(ResourceManagerMessage::Lost(TaskManagerId(id.0), error));
        let name = format!("TaskManager {life}");
        let link = Link::over(theirs, name, session, (&self.world, TIMES), &resource_manager, Box::new(lost));
        self.processes.entry(process).and_modify(|process| process.keep(connection, &link));
        // As in its real process, the link is there before the actor that it leads to.
        let inner = Arc::<Mutex<Option<Address<TaskManagerMessage>>>>::default();
        let root = plane.spawn(Forwarder(Arc::clone(&inner)));
        let happenings = Arc::clone(&self.happenings);
        let lost = move |_| note(&happenings, Happening::JobManagerLost(life));
        let link = Link::over(mine, "the JobManager".to_owned(), session, (&self.world, TIMES), &root, Box::new(lost));
        let opener = Opener { life, happenings: Arc::clone(&self.happenings) };
        let task_manager = plane.spawn(TaskManager::new(id, Some(slots), link.root(), Box::new(opener)));
        *inner.lock().unwrap_or_else(PoisonError::into_inner) = Some(task_manager.clone());
        task_manager.send(TaskManagerMessage::Register);
        let mut process = Process::new(plane, None);
        process.keep(connection, &link);
        let process = self.add(process);
        self.seats[seat].life = Some(Life { process, session: self.world.random_id() });
    }

    /// A TaskManager's process is gone. Its workers find out by themselves.
    pub(super) fn crash_task_manager(&mut self, seat: usize, silently: bool) {
        let Some(life) = self.seats[seat].life.take() else { return };
        self.crash(life.process, silently);
        self.workers.retain(|(of, ..), _| *of != life.process);
        self.seats[seat].at = self.after(Duration::from_secs(2));
    }

    pub(super) fn take_happenings(&mut self) -> Result<()> {
        while let Some(happening) = self.happened() {
            match happening {
                Happening::JobManagerLost(life) => self.end_life(life),
                Happening::Open(life, order) => self.open(life, *order),
                Happening::Kill(key, why) => self.worker_over(key, &Error::transient(format!("the worker was killed: {why}"))),
                Happening::Closed(key) => {
                    let at = self.clock.peek().after(PATIENCE);
                    if let Some(worker) = self.workers.get_mut(&key) {
                        (worker.kill_at, worker.closed) = (Some(at), true);
                        Arc::clone(&worker.link).close("the job is over");
                    }
                }
                Happening::WorkerLost(key, error) => self.worker_over(key, &error.context("the worker is gone")),
                Happening::TaskManagerLost(process) => {
                    let process = self.processes.remove(&process);
                    process.into_iter().for_each(|process| process.bury("its TaskManager is gone"));
                }
            }
        }
        Ok(())
    }

    /// Its JobManager is lost: it ends with everything that ran for it.
    fn end_life(&mut self, life: u64) {
        let Some(seat) = self.seats.iter().position(|seat| seat.life.as_ref().is_some_and(|one| one.process == life)) else { return };
        self.seats[seat].life = None;
        self.seats[seat].at = self.after(Duration::from_secs(2));
        let workers: Vec<WorkerKey> = self.workers.keys().filter(|(of, ..)| *of == life).copied().collect();
        for key in workers {
            if let Some(worker) = self.workers.remove(&key) {
                self.crash(worker.process, false);
            }
        }
        let process = self.processes.remove(&life);
        process.into_iter().for_each(|process| process.bury("its JobManager is lost"));
    }

    /// A worker's process is over, or taken for that: it is killed, and its TaskManager hears of it once.
    fn worker_over(&mut self, key: WorkerKey, error: &Error) {
        let Some(worker) = self.workers.remove(&key) else { return };
        self.crash(worker.process, false);
        worker.link.close("it is taken for dead");
        if !worker.closed {
            let error = Error::new(error.kind(), error.to_string());
            worker.task_manager.send(TaskManagerMessage::HostFailed { job: key.1, run: key.2, error });
        }
    }

    fn open(&mut self, life: u64, order: HostOrder) {
        let HostOrder { job, run, job_master, task_manager, id } = order;
        let key = (life, job.id, run);
        let lives = |life: u64| self.seats.iter().find_map(|seat| seat.life.as_ref().filter(|one| one.process == life));
        let (Some(session), Some(job_manager)) = (lives(life).map(|one| one.session), &self.job_manager) else { return };
        let exchanges = Arc::clone(&job_manager.exchanges);
        let (connection, mine, theirs) = self.network.connect();
        let happenings = Arc::clone(&self.happenings);
        let lost = move |error| note(&happenings, Happening::WorkerLost(key, error));
        let link = Link::over(mine, format!("worker {}", self.next), session, (&self.world, TIMES), &task_manager, Box::new(lost));
        self.processes.entry(life).and_modify(|process| process.keep(connection, &link));
        let order = WorkerOrder { job, run, job_master, bind_host: String::new(), host: String::new(), task_manager: id };
        link.root::<WorkerMessage>().send(WorkerMessage::Open(Box::new(order)));

        let mut plane = ControlPlane::stepped(&self.world);
        let executor = Arc::new(StepExecutor::new(self.world.clone()));
        let to_task_manager = Arc::<Mutex<Option<Address<TaskManagerMessage>>>>::default();
        let root = plane.spawn(WorkerRoot {
            code: self.job.clone(),
            services: self.services.clone(),
            world: self.world.clone(),
            executor: Arc::clone(&executor),
            exchanges,
            task_manager: Arc::clone(&to_task_manager),
        });
        let (process, happenings) = (self.next, Arc::clone(&self.happenings));
        let lost = move |_| note(&happenings, Happening::TaskManagerLost(process));
        let its = Link::over(theirs, "its TaskManager".to_owned(), session, (&self.world, TIMES), &root, Box::new(lost));
        *to_task_manager.lock().unwrap_or_else(PoisonError::into_inner) = Some(its.root());
        let mut worker = Process::new(plane, Some(executor));
        worker.keep(connection, &its);
        let process = self.add(worker);
        self.workers.insert(key, Worker { process, task_manager, link, kill_at: None, closed: false });
    }
}

/// Passes messages on to a TaskManager that is made later than the link that leads to it.
struct Forwarder(Arc<Mutex<Option<Address<TaskManagerMessage>>>>);

impl Actor for Forwarder {
    type Message = TaskManagerMessage;

    fn handle(&mut self, message: TaskManagerMessage, cx: &mut ActorContext<'_>) {
        let to = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(to) = to {
            cx.send(&to, message);
        }
    }
}

/// Serves the tasks of the job, whose code it has.
struct WorkerRoot {
    code: JobSpec,
    services: Services,
    world: World,
    executor: Arc<StepExecutor>,
    exchanges: Arc<LocalExchanges>,
    task_manager: Arc<Mutex<Option<Address<TaskManagerMessage>>>>,
}

impl WorkerRoot {
    fn host(&self, order: WorkerOrder, to: &Address<TaskManagerMessage>) -> Result<TaskHost> {
        let job = JobSpec { graph: Arc::clone(&self.code.graph), ..order.job };
        let exchanges = Arc::clone(&self.exchanges);
        let metrics = MetricGroup::unregistered(&self.world);
        let executor = Arc::<StepExecutor>::clone(&self.executor);
        let launcher = RuntimeLauncher::new(self.world.clone(), executor, self.services.clone(), metrics)
            .with_exchanges(Arc::new(move || Arc::clone(&exchanges)));
        let opened = launcher.open(&job)?;
        TaskHost::new((job, order.run), order.job_master, to.clone(), opened)
    }
}

impl Actor for WorkerRoot {
    type Message = WorkerMessage;

    fn handle(&mut self, message: WorkerMessage, cx: &mut ActorContext<'_>) {
        // Nobody looks at its threads, and it logs nothing.
        let WorkerMessage::Open(order) = message else { return };
        let Some(to) = self.task_manager.lock().unwrap_or_else(PoisonError::into_inner).clone() else { return };
        let (job, run) = (order.job.id, order.run);
        let message = match self.host(*order, &to) {
            Ok(host) => TaskManagerMessage::HostOpened { job, run, host: cx.spawn(host), endpoint: None },
            Err(error) => TaskManagerMessage::HostFailed { job, run, error },
        };
        cx.send(&to, message);
    }
}
