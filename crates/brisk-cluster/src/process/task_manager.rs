//! A TaskManager in a process of its own: reports to the JobManager, and again when it has lost it.
//!
//! Invariant: with a lost JobManager everything that ran for it ends, and what reports afterwards is a new TaskManager with free slots.

use super::Errands;
use super::hosts::{WorkerProcesses, WorkerSettings};
use super::job_manager::working_dir;
use crate::inspect::Inspector;
use crate::link::handshake::{Greeting, Role, dial};
use crate::link::{KeepLink, LinkKeeper, LinkTimes};
use crate::options::{
    JOB_MANAGER_RPC_ADDRESS, JOB_MANAGER_RPC_PORT, LOG_DIR, TASK_MANAGER_BIND_HOST, TASK_MANAGER_HOST, TASK_MANAGER_WORKING_DIR, link_times,
};
use crate::task_manager::{TaskManager, TaskManagerMessage};
use crate::transport::{Actor, ActorContext, Address, ControlPlane};
use brisk_base::ids::TaskManagerId;
use brisk_base::options::Configuration;
use brisk_base::options::core_options::NUM_TASK_SLOTS;
use brisk_base::options::core_options::TASK_MANAGER_PROCESS_MEMORY;
use brisk_base::world::World;
use brisk_base::{Error, Result};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Between attempts to report: at first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// How long the end of one life may take before the next begins.
const PATIENCE: Duration = Duration::from_secs(10);

/// See the module.
pub struct TaskManagerProcess {
    /// Where the JobManager is.
    address: String,
    slots: u32,
    settings: WorkerSettings,
    times: LinkTimes,
    world: World,
}

/// Passes messages on to a TaskManager that is made later than the link that leads to it.
#[derive(Default)]
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

impl TaskManagerProcess {
    /// A TaskManager as the configuration says.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn new(config: &Configuration, world: &World) -> Result<Self> {
        let slots = config.get(&NUM_TASK_SLOTS)?;
        if slots == 0 {
            return Err(Error::user("'taskmanager.numberOfTaskSlots' is 0: nothing could run; set it to 1 or more, or remove it"));
        }
        let folder = working_dir(config.get(&TASK_MANAGER_WORKING_DIR)?, "taskmanager", world);
        let settings = WorkerSettings {
            logs: config.get(&LOG_DIR)?.map_or_else(|| folder.join("log"), PathBuf::from),
            folder,
            bind_host: config.get(&TASK_MANAGER_BIND_HOST)?,
            host: config.get(&TASK_MANAGER_HOST)?,
            memory: config.get(&TASK_MANAGER_PROCESS_MEMORY)?.map(|size| size.0),
            times: link_times(config)?,
        };
        let address = format!("{}:{}", config.get(&JOB_MANAGER_RPC_ADDRESS)?, config.get(&JOB_MANAGER_RPC_PORT)?);
        Ok(Self { address, slots, settings, times: link_times(config)?, world: world.clone() })
    }

    /// Serves for ever: reports, and reports again as another one when the JobManager was lost.
    pub fn run(&self) -> ! {
        let mut pause = RETRY.0;
        loop {
            match self.live() {
                Ok(error) => {
                    tracing::warn!(%error, "the JobManager is lost; everything that ran for it has ended");
                    pause = RETRY.0;
                }
                Err(error) => tracing::warn!(%error, "the JobManager cannot be reached; trying again in {pause:?}"),
            }
            // Nobody wakes this thread: the next attempt is made when the time is over.
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// Serves one JobManager, which is waited for; its loss is the end.
    pub fn run_once(&self) -> Error {
        let mut pause = RETRY.0;
        loop {
            match self.live() {
                Ok(error) => return error,
                Err(error) => tracing::warn!(%error, "the JobManager cannot be reached; trying again in {pause:?}"),
            }
            // Nobody wakes this thread: the next attempt is made when the time is over.
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// One life: from the report to the loss of the JobManager, whose reason is returned.
    fn live(&self) -> Result<Error> {
        let (sender, lost) = channel();
        let id = TaskManagerId(self.world.random_id());
        let mut plane = ControlPlane::threaded(&self.world);
        let errands = plane.spawn(Errands);
        let forwarder = Forwarder::default();
        let inner = Arc::clone(&forwarder.0);
        let root = plane.spawn(forwarder);
        let greeting = Greeting { role: Role::TaskManager, id: id.0, name: format!("TaskManager {id}") };
        let on_lost = Box::new(move |error| drop(sender.send(error)));
        let link = dial(&self.address, &greeting, &self.world, self.times, &root, on_lost)?;
        let workers = WorkerProcesses::start(self.settings.clone(), &self.world, errands)?;
        let mut files = ControlPlane::threaded(&self.world);
        let inspector = files.spawn(Inspector::new(Some(self.settings.logs.clone()), &self.world).asking(workers.started()));
        let mut files = files.start("brisk-inspect")?;
        let task_manager = TaskManager::new(id, Some(self.slots), link.root(), Box::new(workers)).inspected_by(inspector);
        let task_manager = plane.spawn(task_manager);
        *inner.lock().unwrap_or_else(PoisonError::into_inner) = Some(task_manager.clone());
        plane.spawn(LinkKeeper(Arc::clone(&link))).send(KeepLink);
        let mut plane = plane.start("brisk-control")?;
        task_manager.send(TaskManagerMessage::Register);
        let error = lost.recv().unwrap_or_else(|_| Error::transient("its link is gone"));
        task_manager.send(TaskManagerMessage::Shutdown);
        if !plane.stop(PATIENCE) || !files.stop(PATIENCE) {
            tracing::error!("the control thread does not end");
        }
        Ok(error)
    }
}
