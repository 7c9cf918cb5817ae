//! Puts the components of a cluster of one process together, and takes jobs for it.

use crate::blob::BlobStore;
use crate::client::{ClusterJobClient, JobView, Publisher};
use crate::inspect::Inspector;
use crate::job::JobSpec;
use crate::job_manager::job_master::slot_sharing::SlotPlan;
use crate::job_manager::resource_manager::not_enough;
use crate::job_manager::{Dispatcher, DispatcherMessage, ResourceManager, ResourceManagerMessage};
use crate::options::LOG_DIR;
use crate::process::messages::ProgramsMessage;
use crate::services::Services;
use crate::task_manager::{InThisProcess, TaskLauncher, TaskManager, TaskManagerMessage};
use crate::transport::{Address, ControlPlane};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::options::Configuration;
use brisk_base::options::core_options::NUM_TASK_SLOTS;
use brisk_base::world::World;
use brisk_base::{Error, Result, ResultExt};
use brisk_core::job::{JobClient, JobExecutor};
use brisk_core::job_graph::StreamGraph;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// Takes jobs for a cluster. Cheap to clone.
#[derive(Clone)]
pub struct Gateway {
    dispatcher: Address<DispatcherMessage>,
    resource_manager: Address<ResourceManagerMessage>,
    world: World,
    /// The cluster's own configuration; a job's overrides it.
    config: Arc<Configuration>,
    /// Slots there are; `None`: as many as a job needs.
    slots: Option<u32>,
    /// Whether the control plane has a thread of its own.
    driven: bool,
    /// Programs that can be uploaded and run, where that is possible.
    programs: Option<ProgramsGateway>,
    /// Looks at this process.
    inspector: Inspector,
    /// Hears that the cluster is to end; `None`: its jobs end, and it stays.
    end: Option<Sender<()>>,
}

/// Programs that can be uploaded and run.
#[derive(Clone)]
pub struct ProgramsGateway {
    /// Their executables.
    pub store: BlobStore,
    /// Runs them.
    pub programs: Address<ProgramsMessage>,
}

impl Gateway {
    /// Adds dispatcher, resource manager and one TaskManager to a plane. `driven` says whether the plane will run on a thread of its own,
    /// so that clients may block until it answers. The TaskManager has as many slots as `taskmanager.numberOfTaskSlots` says, if it is
    /// set, else as many as are asked for.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn assemble(
        plane: &mut ControlPlane,
        world: &World,
        config: &Configuration,
        launcher: Arc<dyn TaskLauncher>,
        services: &Services,
    ) -> Result<Self> {
        let id = TaskManagerId(world.random_id());
        Self::assemble_as(plane, world, config, (id, launcher), services)
    }

    /// As [`assemble`](Self::assemble); the TaskManager has this id.
    pub(crate) fn assemble_as(
        plane: &mut ControlPlane,
        world: &World,
        config: &Configuration,
        (id, launcher): (TaskManagerId, Arc<dyn TaskLauncher>),
        services: &Services,
    ) -> Result<Self> {
        let slots = if config.contains(&NUM_TASK_SLOTS) { Some(config.get(&NUM_TASK_SLOTS)?) } else { None };
        if slots == Some(0) {
            return Err(Error::user("'taskmanager.numberOfTaskSlots' is 0: nothing could run; set it to 1 or more, or remove it"));
        }
        let resource_manager = plane.spawn(ResourceManager::default());
        let dispatcher = plane.spawn(Dispatcher::new(resource_manager.clone(), services.clone(), config)?);
        let task_manager = TaskManager::new(id, slots, resource_manager.clone(), Box::new(InThisProcess(launcher)));
        plane.spawn(task_manager).send(TaskManagerMessage::Register);
        Ok(Self {
            dispatcher,
            resource_manager,
            world: world.clone(),
            config: Arc::new(config.clone()),
            slots,
            driven: plane.has_threads(),
            programs: None,
            inspector: Inspector::new(config.get(&LOG_DIR)?.map(PathBuf::from), world),
            end: None,
        })
    }

    /// The gateway of a JobManager in a process of its own.
    pub(crate) fn of_job_manager(
        (dispatcher, resource_manager): (Address<DispatcherMessage>, Address<ResourceManagerMessage>),
        programs: ProgramsGateway,
        world: &World,
        config: Arc<Configuration>,
        (logs, end): (PathBuf, Sender<()>),
    ) -> Self {
        let inspector = Inspector::new(Some(logs), world);
        let (programs, end) = (Some(programs), Some(end));
        Self { dispatcher, resource_manager, world: world.clone(), config, slots: None, driven: true, programs, inspector, end }
    }

    /// Looks at this process.
    pub const fn inspector(&self) -> &Inspector {
        &self.inspector
    }

    /// Who hears that the cluster is to end.
    pub(crate) const fn end(&self) -> Option<&Sender<()>> {
        self.end.as_ref()
    }

    /// Programs that can be uploaded and run; `None` where jobs come from the program that the cluster is part of.
    pub const fn programs(&self) -> Option<&ProgramsGateway> {
        self.programs.as_ref()
    }

    /// The resource manager.
    pub(crate) const fn resource_manager(&self) -> &Address<ResourceManagerMessage> {
        &self.resource_manager
    }

    /// Clock and randomness.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The cluster's own configuration.
    pub fn config(&self) -> &Configuration {
        &self.config
    }

    /// The dispatcher.
    pub const fn dispatcher(&self) -> &Address<DispatcherMessage> {
        &self.dispatcher
    }

    /// Checks, translates and submits a job. The client keeps `keep_alive` as long as it lives.
    ///
    /// # Errors
    /// When the graph or the configuration is wrong, or there can never be enough slots.
    pub fn submit_keeping<K>(&self, graph: &StreamGraph, config: &Configuration, keep_alive: K) -> Result<ClusterJobClient<K>> {
        let mut effective = (*self.config).clone();
        effective.extend(config);
        let place = || format!("job '{}'", graph.name);
        let job_graph = graph.to_job_graph(&effective).context(place)?;
        let needed = SlotPlan::new(&job_graph).count();
        if let Some(slots) = self.slots.filter(|slots| *slots < needed) {
            return Err(not_enough(needed, u64::from(slots)).context(place()));
        }
        let job = JobSpec::local(JobId(self.world.random_id()), Arc::new(job_graph), Arc::new(effective));
        let view = Arc::new(JobView::new(&job, self.driven));
        let client = ClusterJobClient::new(Arc::clone(&view), &self.dispatcher, keep_alive);
        client.submit(job, Publisher::new(&view));
        Ok(client)
    }
}

impl JobExecutor for Gateway {
    fn submit(&self, graph: StreamGraph, config: &Configuration) -> Result<Arc<dyn JobClient>> {
        Ok(Arc::new(self.submit_keeping(&graph, config, ())?))
    }
}
