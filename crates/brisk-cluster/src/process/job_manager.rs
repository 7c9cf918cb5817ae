//! A JobManager in a process of its own: its components on one control thread, and the port where TaskManagers and drivers report.

use super::child::Ending;
use super::messages::{ProgramsMessage, RunRequest};
use super::programs::{ProgramSettings, Programs};
use super::recovery::RecoveryStore;
use super::{Errand, Errands};
use crate::blob::{BlobServer, BlobStore};
use crate::cluster::{Gateway, ProgramsGateway};
use crate::job_manager::{Dispatcher, DispatcherMessage, ResourceManager, ResourceManagerMessage};
use crate::link::handshake::{Guest, Role, receive};
use crate::link::{KeepLink, Link, LinkKeeper, LinkTimes};
use crate::options::{
    HA_STORAGE_DIR, JOB_MANAGER_BIND_HOST, JOB_MANAGER_RPC_ADDRESS, JOB_MANAGER_RPC_PORT, JOB_MANAGER_WORKING_DIR, LOG_DIR, link_times,
};
use crate::services::Services;
use crate::transport::{ActorContext, Address, ControlPlane, PlaneThread, Reply};
use brisk_base::ids::TaskManagerId;
use brisk_base::options::Configuration;
use brisk_base::world::World;
use brisk_base::{Error, Result, ResultExt};
use std::fs::File;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel, sync_channel};
use std::time::Duration;

/// How often it is looked whether the program has ended that the cluster is there for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How long jobs may take to be cancelled when the cluster ends.
const PATIENCE: Duration = Duration::from_secs(30);

/// See the module. Dropped, it ends, and its jobs with it.
pub struct JobManagerProcess {
    gateway: Gateway,
    /// Where TaskManagers report.
    address: String,
    /// Hears that it is to end.
    ended: Receiver<()>,
    _plane: PlaneThread,
}

/// What those who come are given.
struct Desk {
    /// Names this leadership: messages of another one are refused.
    session: u128,
    times: LinkTimes,
    world: World,
    resource_manager: Address<ResourceManagerMessage>,
    programs: Address<ProgramsMessage>,
    errands: Address<Errand>,
}

impl JobManagerProcess {
    /// Starts a JobManager, and goes on with the programs that ran when the last one ended, as far as that was noted.
    ///
    /// # Errors
    /// When the configuration is wrong, the port cannot be had, or folders cannot be made.
    pub fn start(config: &Configuration, services: Services, world: &World) -> Result<Self> {
        let folder = working_dir(config.get(&JOB_MANAGER_WORKING_DIR)?, "jobmanager", world);
        let logs = config.get(&LOG_DIR)?.map_or_else(|| folder.join("log"), PathBuf::from);
        let recovery = config.get(&HA_STORAGE_DIR)?.map(|folder| RecoveryStore::open(Path::new(local_path(&folder)))).transpose()?;
        let blobs = recovery.as_ref().map_or_else(|| folder.join("blobs"), RecoveryStore::blobs);
        let store = BlobStore::open(&blobs, world)?;
        let services = services.with_recovery(recovery.clone());
        let (host, port) = (config.get(&JOB_MANAGER_BIND_HOST)?, config.get(&JOB_MANAGER_RPC_PORT)?);
        let place = || format!("binding '{host}:{port}' ('jobmanager.bind-host', 'jobmanager.rpc.port')");
        let listener = TcpListener::bind((host.as_str(), port)).context(place)?;
        let port = listener.local_addr().context(place)?.port();
        let (config, shown_logs) = (Arc::new(config.clone()), logs.clone());
        let mut plane = ControlPlane::threaded(world);
        let errands = plane.spawn(Errands);
        // A blob that is read must not hold up the rest.
        let mut files = ControlPlane::threaded(world);
        let blob_server = files.spawn(BlobServer(store.clone()));
        let files = files.start("brisk-blobs")?;
        let resource_manager = plane.spawn(ResourceManager::with_blobs(blob_server));
        let dispatcher: Address<DispatcherMessage> = plane.spawn(Dispatcher::new(resource_manager.clone(), services, &config)?);
        let address = format!("{}:{port}", config.get(&JOB_MANAGER_RPC_ADDRESS)?);
        // Where drivers have worked of one that has ended without a word.
        let drivers = folder.join("programs");
        if drivers.exists() {
            std::fs::remove_dir_all(&drivers).context(|| format!("folder '{}'", drivers.display()))?;
        }
        let settings = ProgramSettings {
            store: store.clone(),
            config: Arc::clone(&config),
            folder: drivers,
            logs,
            address: format!("{}:{port}", if host == "0.0.0.0" { "127.0.0.1" } else { &host }),
            recovery,
        };
        let programs = plane.spawn(Programs::new(settings, dispatcher.clone()));
        let (end, ended) = channel();
        let gateway = Gateway::of_job_manager(
            (dispatcher, resource_manager.clone()),
            ProgramsGateway { store, programs: programs.clone() },
            world,
            Arc::clone(&config),
            (shown_logs, end),
        );
        let desk = Desk {
            session: world.random_id(),
            times: link_times(&config)?,
            world: world.clone(),
            resource_manager,
            programs: programs.clone(),
            errands,
        };
        let thread = plane.start("brisk-control")?;
        // It ends with the process.
        std::mem::forget(files);
        let desk = Arc::new(desk);
        world.spawner.spawn("brisk-rpc", Box::new(move || accept(&listener, &desk)))?;
        programs.send(ProgramsMessage::Recover);
        tracing::info!(address, "JobManager started");
        Ok(Self { gateway, address, ended, _plane: thread })
    }

    /// Waits until somebody wants it to end, and then for its jobs, which are cancelled.
    pub fn wait(&self) {
        // Without anybody who could want it, it serves for ever.
        while self.ended.recv().is_err() {
            std::thread::park();
        }
        tracing::info!("the cluster is to end");
        let (reply, over) = sync_channel(1);
        self.gateway.dispatcher().send(DispatcherMessage::Shutdown(reply));
        if over.recv_timeout(PATIENCE).is_err() {
            tracing::warn!("jobs have not ended within {PATIENCE:?}; their processes end with the JobManager");
        }
    }

    /// Runs a program of this machine, and waits for its end: the cluster is there for it alone.
    ///
    /// # Errors
    /// When it cannot be read, or executes no job.
    pub fn run_program(&self, program: &Path, arguments: Vec<String>) -> Result<Ending> {
        let place = || format!("program '{}'", program.display());
        let gateway = self.gateway.programs().ok_or_else(|| Error::bug("this JobManager runs no programs"))?;
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (mut upload, mut file) = (gateway.store.begin(&name)?, File::open(program).context(place)?);
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece).context(place)? {
                0 => break,
                count => upload.write(&piece[..count])?,
            }
        }
        let file_name = upload.finish().context(place)?.file_name();
        let request = Box::new(RunRequest { file_name, arguments, options: Configuration::new() });
        let (reply, answer) = Reply::channel();
        gateway.programs.send(ProgramsMessage::Run { request, reply });
        let program = answer.recv().map_err(|_| Error::bug("nobody runs programs"))??.program;
        loop {
            let (reply, answer) = Reply::channel();
            gateway.programs.send(ProgramsMessage::Status { token: program, reply });
            let status = answer.recv().ok().flatten().ok_or_else(|| Error::bug("the program is not known"))?;
            if let Some(ending) = status.ending {
                return Ok(ending);
            }
            // Nobody wakes this thread: it looks again when the time is over.
            std::thread::park_timeout(LOOK_AGAIN);
        }
    }

    /// What can be asked of it.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Where TaskManagers report: `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// The folder of a daemon: as configured, or one of its own among the temporary ones.
pub(super) fn working_dir(configured: Option<String>, name: &str, world: &World) -> PathBuf {
    configured.map_or_else(|| std::env::temp_dir().join(format!("brisk-{name}-{:016x}", world.random())), PathBuf::from)
}

/// The path of an URI of the file system.
fn local_path(uri: &str) -> &str {
    uri.strip_prefix("file://").unwrap_or(uri)
}

fn accept(listener: &TcpListener, desk: &Arc<Desk>) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { continue };
        let greeting = Arc::clone(desk);
        let greet = move || {
            if let Err(error) = greeting.greet(stream) {
                tracing::warn!(%error, "a connection is refused");
            }
        };
        if let Err(error) = desk.world.spawner.spawn("brisk-greet", Box::new(greet)) {
            tracing::warn!(%error, "a connection cannot be served");
        }
    }
}

impl Desk {
    fn greet(&self, stream: TcpStream) -> Result<()> {
        let guest = receive(stream, &self.world)?;
        let id = guest.greeting.id;
        match guest.greeting.role {
            Role::TaskManager => {
                let resource_manager = self.resource_manager.clone();
                let lost = move |error| resource_manager.send(ResourceManagerMessage::Lost(TaskManagerId(id), error));
                self.keep(guest.accept(self.session, self.times, &self.resource_manager, Box::new(lost))?);
            }
            Role::Driver => {
                let programs = self.programs.clone();
                let lost = move |error| programs.send(ProgramsMessage::DriverLost { token: id, error });
                self.keep(guest.accept(self.session, self.times, &self.programs, Box::new(lost))?);
            }
            Role::Worker => self.refuse(guest)?,
        }
        Ok(())
    }

    fn refuse(&self, guest: Guest) -> Result<()> {
        let why = "workers report to their TaskManager, and this is a JobManager";
        guest.refuse(&Error::user(why));
        Err(Error::user(why))
    }

    fn keep(&self, link: Arc<Link>) {
        let keeper = LinkKeeper(link);
        self.errands.send(Box::new(move |cx: &mut ActorContext<'_>| {
            let keeper = cx.spawn(keeper);
            cx.send(&keeper, KeepLink);
        }));
    }
}
