//! The JobManager's process: dispatcher, resource manager, and the job, which goes on from its newest checkpoint when the process was lost.

use super::process::Process;
use super::{LONGEST_LEAP, Processes};
use crate::planted::{self, Misled};
use brisk_base::Result;
use brisk_base::options::Configuration;
use brisk_base::options::checkpoint_options::{STATE_CLAIM_MODE, STATE_RECOVERY_PATH};
use brisk_base::world::MonoTime;
use brisk_cluster::client::{JobView, Publisher};
use brisk_cluster::details::TaskManagerDetails;
use brisk_cluster::job::JobSpec;
use brisk_cluster::job_manager::{Dispatcher, DispatcherMessage, ResourceManager, ResourceManagerMessage};
use brisk_cluster::transport::{Address, ControlPlane, Reply};
use brisk_runtime::exchange::LocalExchanges;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// See the module.
pub(super) struct JobManager {
    pub(super) process: u64,
    /// Of its leadership.
    pub(super) session: u128,
    pub(super) resource_manager: Address<ResourceManagerMessage>,
    /// The job of this leadership.
    pub(super) view: Arc<JobView>,
    /// What its workers exchange.
    pub(super) exchanges: Arc<LocalExchanges>,
}

impl Processes {
    /// Starts it, and hands it the job.
    pub(super) fn start_job_manager(&mut self) -> Result<()> {
        let mut plane = ControlPlane::stepped(&self.world);
        let resource_manager = plane.spawn(Misled::new(ResourceManager::default(), planted::of_resource_manager));
        let dispatcher = plane.spawn(Dispatcher::new(resource_manager.clone(), self.services.clone(), &Configuration::new())?);
        let mut config = (*self.job.config).clone();
        if let Some(folder) = self.storages.newest_checkpoint()? {
            self.storm.tell(format!("the job goes on from {folder}"));
            config.set(&STATE_RECOVERY_PATH, Some(folder));
            config.set(&STATE_CLAIM_MODE, "CLAIM".to_owned());
        }
        let job = JobSpec { config: Arc::new(config), ..self.job.clone() };
        let view = Arc::new(JobView::new(&job, false));
        dispatcher.send(DispatcherMessage::Submit { job, publisher: Publisher::new(&view), coordinators: None });
        let process = self.add(Process::new(plane, None));
        let exchanges = Arc::new(LocalExchanges::perturbed(Arc::<crate::mood::Chaos>::clone(&self.chaos)));
        self.job_manager = Some(JobManager { process, session: self.world.random_id(), resource_manager, view, exchanges });
        Ok(())
    }

    pub(super) fn crash_job_manager(&mut self, silently: bool) {
        let Some(job_manager) = self.job_manager.take() else { return };
        self.crash(job_manager.process, silently);
        self.job_manager_at = self.after(Duration::from_secs(3));
    }

    /// At most that much later.
    pub(super) fn after(&mut self, most: Duration) -> MonoTime {
        let nanos = self.rng.below(most.as_nanos() as u64 + 1);
        self.clock.peek().after(Duration::from_nanos(nanos))
    }

    /// How many TaskManagers, slots and free slots the JobManager knows of; `None` if it does not say.
    pub(super) fn free_slots(&mut self) -> Option<(usize, u32, u32)> {
        let answer = Arc::new(Mutex::new(None::<Vec<TaskManagerDetails>>));
        let (put, job_manager) = (Arc::clone(&answer), self.job_manager.as_ref()?);
        let take = move |known: Option<Vec<TaskManagerDetails>>| *put.lock().unwrap_or_else(PoisonError::into_inner) = known;
        job_manager.resource_manager.send(ResourceManagerMessage::TaskManagers(Reply::new(take)));
        let process = self.processes.get_mut(&job_manager.process)?;
        let until = self.clock.peek().after(LONGEST_LEAP);
        while answer.lock().unwrap_or_else(PoisonError::into_inner).is_none() && self.clock.peek() < until {
            if !process.plane.step(&mut self.rng) {
                break;
            }
        }
        let known = answer.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let sum = |count: fn(&TaskManagerDetails) -> u32| known.iter().map(count).sum();
        Some((known.len(), sum(|one| one.slots), sum(|one| one.free)))
    }
}
