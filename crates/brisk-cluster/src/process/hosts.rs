//! TaskHosts in processes of their own: a worker for each job that has slots at a TaskManager.
//!
//! Opening one takes a thread, because the program may have to be fetched. The worker then dials back and shows the token that it was given.
//! Invariant: whatever becomes of a worker, its TaskManager hears of it once.

use super::child::{Child, ChildOrder, tail};
use super::claim::Claim;
use super::messages::{WorkerMessage, WorkerOrder};
use super::{Errand, Origin, ProgramRole, script};
use crate::blob::{BlobMessage, fetch};
use crate::inspect::{StartedProcesses, ThreadInfo};
use crate::link::handshake::{Role, receive};
use crate::link::{KeepLink, Link, LinkKeeper, LinkTimes};
use crate::task_manager::{HostOpener, HostOrder, TaskManagerMessage};
use crate::transport::{ActorContext, Address, Reply};
use brisk_base::ids::JobId;
use brisk_base::world::World;
use brisk_base::{Error, Result, ResultExt};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// How long a worker may take to end when it is told to.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a worker may take to tell its threads.
const LOOK: Duration = Duration::from_secs(8);

/// How workers are started.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// Where programs are kept, and workers work.
    pub folder: PathBuf,
    /// Where what workers print is kept.
    pub logs: PathBuf,
    /// The address that they bind their ports to.
    pub bind_host: String,
    /// The host at which others reach them.
    pub host: String,
    /// Bytes of memory that each may take.
    pub memory: Option<u64>,
    /// How long things may take on the link with them.
    pub times: LinkTimes,
}

/// See the module.
pub struct WorkerProcesses {
    shared: Arc<Shared>,
    /// Where programs are fetched.
    blobs: Option<Address<BlobMessage>>,
}

struct Shared {
    settings: WorkerSettings,
    world: World,
    /// Adds actors to the TaskManager's plane.
    errands: Address<Errand>,
    /// Where workers report.
    address: String,
    /// A number for this TaskManager, in names of files.
    number: u64,
    /// The number is in use.
    _claim: Claim,
    workers: Mutex<BTreeMap<(JobId, u64), Worker>>,
    /// The session of all links with workers.
    session: u128,
    stopped: AtomicBool,
}

/// A worker that is being opened or open.
struct Worker {
    token: u128,
    /// What it is to do; taken when it has reported.
    order: Option<HostOrder>,
    task_manager: Address<TaskManagerMessage>,
    child: Option<Child>,
    link: Option<Arc<Link>>,
    /// Why it is being killed.
    killed: Option<String>,
}

impl WorkerProcesses {
    /// Listens for workers, of which there are none yet. `errands` adds actors to the TaskManager's plane.
    ///
    /// # Errors
    /// When there is no port to be had.
    pub(crate) fn start(settings: WorkerSettings, world: &World, errands: Address<Errand>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context(|| "binding a port for workers")?;
        let number = world.random();
        let shared = Arc::new(Shared {
            _claim: Claim::new(&settings.folder, number)?,
            settings,
            world: world.clone(),
            errands,
            address: listener.local_addr()?.to_string(),
            number,
            workers: Mutex::default(),
            session: world.random_id(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        world.spawner.spawn("brisk-workers", Box::new(move || accept(&listener, &accepting)))?;
        Ok(Self { shared, blobs: None })
    }

    /// The workers, to be asked.
    pub(crate) fn started(&self) -> Arc<dyn StartedProcesses> {
        Arc::new(Workers(Arc::downgrade(&self.shared)))
    }
}

/// The workers of a TaskManager, as long as that lives.
struct Workers(Weak<Shared>);

impl Workers {
    /// Those that have reported.
    fn reached(&self) -> Vec<(u32, Arc<Link>)> {
        let Some(shared) = self.0.upgrade() else { return Vec::new() };
        let workers = shared.workers();
        workers.values().filter_map(|worker| Some((worker.child.as_ref()?.id(), worker.link.clone()?))).collect()
    }
}

impl StartedProcesses for Workers {
    /// Those that do not answer in time are left out.
    fn threads(&self) -> BTreeMap<u32, Vec<ThreadInfo>> {
        let Some(world) = self.0.upgrade().map(|shared| shared.world.clone()) else { return BTreeMap::new() };
        let ask = |(process, link): (u32, Arc<Link>)| {
            let (reply, answer) = Reply::channel();
            link.root::<WorkerMessage>().send(WorkerMessage::Threads(reply));
            (process, answer)
        };
        let answers: Vec<_> = self.reached().into_iter().map(ask).collect();
        let deadline = world.mono().after(LOOK);
        let told = answers.into_iter().filter_map(|(process, answer)| {
            let left = deadline.since(world.mono());
            Some((process, answer.recv_timeout(left).ok()?))
        });
        told.collect()
    }

    fn change_log_level(&self, level: &str) {
        for (_, link) in self.reached() {
            link.root::<WorkerMessage>().send(WorkerMessage::LogLevel(level.to_owned()));
        }
    }
}

impl Drop for WorkerProcesses {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        let workers = std::mem::take(&mut *self.shared.workers());
        for worker in workers.into_values() {
            worker.end("its TaskManager ends", Duration::ZERO);
        }
        // Whoever accepts looks whether it is to end when somebody comes.
        drop(TcpStream::connect(&self.shared.address));
    }
}

impl HostOpener for WorkerProcesses {
    fn registered(&mut self, blobs: Option<Address<BlobMessage>>) {
        self.blobs = blobs;
    }

    fn open(&mut self, order: HostOrder, cx: &mut ActorContext<'_>) -> Result<()> {
        let Some(blobs) = self.blobs.clone() else { return Err(Error::bug("there is nowhere to fetch programs from")) };
        let (key, token) = ((order.job.id, order.run), cx.world().random_id());
        let task_manager = order.task_manager.clone();
        let worker = Worker { token, order: Some(order), task_manager: task_manager.clone(), child: None, link: None, killed: None };
        self.shared.workers().insert(key, worker);
        let shared = Arc::clone(&self.shared);
        let open = move || {
            if let Err(error) = shared.launch(key, token, &blobs) {
                shared.failed(key, error.context("starting a worker"));
            }
        };
        cx.world().spawner.spawn("brisk-open-worker", Box::new(open))?;
        Ok(())
    }

    fn kill(&mut self, job: JobId, run: u64, why: &str) {
        if let Some(worker) = self.shared.workers().get_mut(&(job, run)) {
            worker.killed.get_or_insert_with(|| why.to_owned());
            worker.child.iter().for_each(|child| child.kill_after(Duration::ZERO));
        }
    }

    fn closed(&mut self, job: JobId, run: u64) {
        let worker = self.shared.workers().remove(&(job, run));
        worker.into_iter().for_each(|worker| worker.end("the job is over", PATIENCE));
    }
}

impl Worker {
    /// Lets it go; kills it if it does not.
    fn end(self, why: &str, patience: Duration) {
        self.link.iter().for_each(|link| link.close(why));
        self.child.iter().for_each(|child| child.kill_after(patience));
    }
}

impl Shared {
    fn workers(&self) -> MutexGuard<'_, BTreeMap<(JobId, u64), Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, (job, run): (JobId, u64)) -> PathBuf {
        self.settings.logs.join(format!("job-{job}-{:016x}-{run}.log", self.number))
    }

    /// Fetches the program and starts it.
    fn launch(self: &Arc<Self>, key: (JobId, u64), token: u128, blobs: &Address<BlobMessage>) -> Result<()> {
        let program = {
            let workers = self.workers();
            let order = workers.get(&key).and_then(|worker| worker.order.as_ref());
            // It was closed in the meantime.
            let Some(order) = order else { return Ok(()) };
            order.job.program.clone().ok_or_else(|| Error::user("the job was not submitted as a program, so it cannot run here"))?
        };
        let executable = fetch(program.blob, &self.settings.folder.join("programs"), blobs, &self.world)?;
        let (executable, arguments) = script::command(&executable, &program.arguments)?;
        let origin = Origin { role: ProgramRole::Worker, address: self.address.clone(), token, memory: self.settings.memory };
        let order = ChildOrder {
            executable: &executable,
            arguments: &arguments,
            origin,
            folder: self.settings.folder.join(format!("job-{}-{:016x}-{}", key.0, self.number, key.1)),
            log: self.log(key),
        };
        let shared = Arc::clone(self);
        let on_exit = Box::new(move |ending: &super::child::Ending| {
            shared.failed(key, Error::transient(format!("the worker process {}", ending.text)));
        });
        let child = Child::start(order, &self.world, on_exit)?;
        tracing::info!(job = %key.0, process = child.id(), "worker started");
        match self.workers().get_mut(&key) {
            Some(worker) if worker.killed.is_none() => worker.child = Some(child),
            Some(worker) => {
                child.kill_after(Duration::ZERO);
                worker.child = Some(child);
            }
            None => child.kill_after(Duration::ZERO),
        }
        Ok(())
    }

    /// A worker is gone; nothing happens if that is known.
    fn failed(&self, key: (JobId, u64), error: Error) {
        let Some(mut worker) = self.workers().remove(&key) else { return };
        let error = match worker.killed.take() {
            Some(why) => Error::transient(format!("the worker was killed: {why}")),
            None => error,
        };
        let task_manager = worker.task_manager.clone();
        worker.end("it is taken for dead", Duration::ZERO);
        task_manager.send(TaskManagerMessage::HostFailed { job: key.0, run: key.1, error });
    }

    /// Somebody has come.
    fn greet(self: &Arc<Self>, stream: TcpStream) -> Result<()> {
        let guest = receive(stream, &self.world)?;
        let token = guest.greeting.id;
        let found = {
            let mut workers = self.workers();
            let found = workers.iter_mut().find(|(_, worker)| worker.token == token && guest.greeting.role == Role::Worker);
            found.and_then(|(key, worker)| Some((*key, worker.order.take()?)))
        };
        let Some((key, order)) = found else {
            guest.refuse(&Error::user("no worker is expected here with this token"));
            return Err(Error::user("somebody has come with a token that was not given out"));
        };
        let HostOrder { job, run, job_master, task_manager, id } = order;
        let lost = Arc::clone(self);
        let on_lost = Box::new(move |error: Error| lost.lost(key, error));
        let link = guest.accept(self.session, self.settings.times, &task_manager, on_lost)?;
        let keeper = LinkKeeper(Arc::clone(&link));
        self.errands.send(Box::new(move |cx: &mut ActorContext<'_>| {
            let keeper = cx.spawn(keeper);
            cx.send(&keeper, KeepLink);
        }));
        let settings = &self.settings;
        let order =
            WorkerOrder { job, run, job_master, bind_host: settings.bind_host.clone(), host: settings.host.clone(), task_manager: id };
        link.root::<WorkerMessage>().send(WorkerMessage::Open(Box::new(order)));
        let late = match self.workers().get_mut(&key) {
            Some(worker) => {
                worker.link = Some(link);
                None
            }
            None => Some(link),
        };
        late.into_iter().for_each(|link| link.close("the job is over"));
        Ok(())
    }

    /// The link with a worker is over: if its process has ended, that tells more.
    fn lost(self: &Arc<Self>, key: (JobId, u64), error: Error) {
        let tail = tail(&self.log(key));
        let text =
            if tail.is_empty() { error.to_string() } else { format!("{error}; its log '{}' ends with:\n{tail}", self.log(key).display()) };
        self.failed(key, Error::transient(format!("the worker is gone: {text}")));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopped.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let greeting = Arc::clone(shared);
        let greet = move || {
            if let Err(error) = greeting.greet(stream) {
                tracing::warn!(%error, "a connection of a worker is refused");
            }
        };
        if let Err(error) = shared.world.spawner.spawn("brisk-greet-worker", Box::new(greet)) {
            tracing::warn!(%error, "a connection cannot be served");
        }
    }
}
