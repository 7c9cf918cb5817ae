//! Knows the TaskManagers and who holds which of their slots.
//!
//! A job asks for all of its slots at once and gets all of them or none. Requests are served in order; one that needs more slots than there
//! are waits for TaskManagers to come, and lets others pass. What has waited for `slot.request.timeout` is refused.

use super::JobMasterMessage;
use crate::blob::BlobMessage;
use crate::details::{Hardware, TaskManagerDetails};
use crate::inspect::InspectorMessage;
use crate::job::{JobSpec, SlotId};
use crate::options::SLOT_REQUEST_TIMEOUT;
use crate::task_manager::TaskManagerMessage;
use crate::transport::{Actor, ActorContext, Address, Reply};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::{Error, Result, Timestamp};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Slots that are held, free and asked for. No I/O.
#[derive(Debug, Default)]
pub struct SlotPool {
    task_managers: BTreeMap<TaskManagerId, Offered>,
    /// Slots by the job that holds them.
    held: BTreeMap<JobId, BTreeSet<SlotId>>,
    /// Jobs that wait, and for how many slots.
    waiting: VecDeque<(JobId, u32)>,
}

/// The slots of one TaskManager.
#[derive(Debug, Default)]
struct Offered {
    /// How many it has; `None`: as many as are asked for.
    limit: Option<u32>,
    /// Slots that were held before and are free.
    free: BTreeSet<u32>,
    /// Slots from here on have never been held.
    fresh: u32,
}

impl Offered {
    fn available(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| self.free.len() as u64 + u64::from(limit - self.fresh))
    }

    fn take(&mut self) -> Option<u32> {
        self.free.pop_first().or_else(|| {
            let index = self.fresh;
            let fits = self.limit.is_none_or(|limit| index < limit);
            self.fresh += u32::from(fits);
            fits.then_some(index)
        })
    }
}

impl SlotPool {
    /// A TaskManager with so many slots (`None`: as many as are asked for) has come.
    pub fn add(&mut self, task_manager: TaskManagerId, limit: Option<u32>) {
        self.task_managers.insert(task_manager, Offered { limit, ..Offered::default() });
    }

    /// A TaskManager is gone. Gives the jobs that held slots of it.
    pub fn remove(&mut self, task_manager: TaskManagerId) -> Vec<JobId> {
        self.task_managers.remove(&task_manager);
        let mut jobs = Vec::new();
        self.held.retain(|job, slots| {
            let before = slots.len();
            slots.retain(|slot| slot.task_manager != task_manager);
            if slots.len() < before {
                jobs.push(*job);
            }
            !slots.is_empty()
        });
        jobs
    }

    /// Puts a request at the end of the queue; see [`grant`](Self::grant).
    pub fn request(&mut self, job: JobId, count: u32) {
        self.waiting.push_back((job, count));
    }

    /// Slots in all.
    pub fn total(&self) -> u64 {
        self.task_managers.values().fold(0u64, |sum, offered| sum.saturating_add(offered.limit.map_or(u64::MAX, u64::from)))
    }

    /// Serves the oldest request that does not need more slots than there are, if there are enough free ones for it.
    pub fn grant(&mut self) -> Option<(JobId, Vec<SlotId>)> {
        let total = self.total();
        let at = self.waiting.iter().position(|(_, count)| u64::from(*count) <= total)?;
        let (job, count) = self.waiting[at];
        let available = self.task_managers.values().fold(0u64, |sum, offered| sum.saturating_add(offered.available()));
        if available < u64::from(count) {
            return None;
        }
        self.waiting.remove(at);
        let mut slots = Vec::with_capacity(count as usize);
        for (&task_manager, offered) in &mut self.task_managers {
            while slots.len() < count as usize
                && let Some(index) = offered.take()
            {
                slots.push(SlotId { task_manager, index });
            }
        }
        self.held.entry(job).or_default().extend(&slots);
        Some((job, slots))
    }

    /// Takes a request back; how many slots it was for, if it still waited.
    pub fn withdraw(&mut self, job: JobId) -> Option<u32> {
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == job)?;
        self.waiting.remove(at).map(|(_, count)| count)
    }

    /// Frees the slots that a job holds, all of them or those of one TaskManager.
    pub fn release(&mut self, job: JobId, task_manager: Option<TaskManagerId>) {
        let Some(slots) = self.held.get_mut(&job) else { return };
        slots.retain(|slot| {
            let freed = task_manager.is_none_or(|id| id == slot.task_manager);
            if freed && let Some(offered) = self.task_managers.get_mut(&slot.task_manager) {
                offered.free.insert(slot.index);
            }
            !freed
        });
        if slots.is_empty() {
            self.held.remove(&job);
        }
    }

    /// How many slots a TaskManager has, how many of them are free, and which job holds which. One that makes slots as they are asked for
    /// has those that it has made.
    pub fn of(&self, task_manager: TaskManagerId) -> (u32, u32, BTreeMap<u32, JobId>) {
        let Some(offered) = self.task_managers.get(&task_manager) else { return (0, 0, BTreeMap::new()) };
        let slots = offered.limit.unwrap_or(offered.fresh);
        let there = |(job, slots): (&JobId, &BTreeSet<SlotId>)| {
            let indexes: Vec<u32> = slots.iter().filter(|slot| slot.task_manager == task_manager).map(|slot| slot.index).collect();
            let job = *job;
            indexes.into_iter().map(move |index| (index, job))
        };
        let held: BTreeMap<u32, JobId> = self.held.iter().flat_map(there).collect();
        (slots, slots - held.len() as u32, held)
    }

    /// Slots that are held now.
    pub fn held(&self) -> usize {
        self.held.values().map(BTreeSet::len).sum()
    }
}

/// The error of a job that needs more slots than there are.
pub(crate) fn not_enough(needed: u32, total: u64) -> Error {
    Error::user(format!(
        "not enough slots: the job needs {needed}, there are {total}; raise 'taskmanager.numberOfTaskSlots' or lower the parallelism"
    ))
}

/// What the resource manager understands.
pub enum ResourceManagerMessage {
    /// A TaskManager is there.
    Register {
        /// Which.
        task_manager: TaskManagerId,
        /// Where it is reached.
        address: Address<TaskManagerMessage>,
        /// How many slots it has; `None`: as many as are asked for.
        slots: Option<u32>,
        /// The machine it runs on.
        hardware: Hardware,
        /// Looks at its process; `None`: it is that of the resource manager.
        inspector: Option<Address<InspectorMessage>>,
    },
    /// Who looks at the process of a TaskManager? Nobody, if it is not known; the outer `Some` without an inner one, if it is this process.
    Inspector {
        /// The TaskManager.
        task_manager: TaskManagerId,
        /// Takes the answer.
        reply: Reply<Option<Option<Address<InspectorMessage>>>>,
    },
    /// A TaskManager is gone: why.
    Lost(TaskManagerId, Error),
    /// Which TaskManagers are there, and who holds their slots?
    TaskManagers(Reply<Vec<TaskManagerDetails>>),
    /// A job needs slots.
    Request {
        /// The job.
        job: JobSpec,
        /// How many.
        count: u32,
        /// Whom to answer.
        job_master: Address<JobMasterMessage>,
    },
    /// A request has waited for long.
    Overdue(JobId),
    /// A job needs no slots any more, and has none in use.
    Release(JobId),
    /// A TaskManager has cleared the slots that a job held there.
    Cleared {
        /// The job.
        job: JobId,
        /// The TaskManager.
        task_manager: TaskManagerId,
    },
}

/// A granted slot, and where its TaskManager is reached.
pub struct SlotOffer {
    /// The slot.
    pub slot: SlotId,
    /// Its TaskManager.
    pub address: Address<TaskManagerMessage>,
}

/// TaskManagers of whose end was heard before they had reported, at most so many: a report comes soon or never.
const MOST_EARLY: usize = 1000;

/// The actor around the [`SlotPool`].
#[derive(Default)]
pub struct ResourceManager {
    pool: SlotPool,
    /// Where TaskManagers fetch programs.
    blobs: Option<Address<BlobMessage>>,
    addresses: BTreeMap<TaskManagerId, Address<TaskManagerMessage>>,
    /// TaskManagers whose link was over before their report came: it may still come, and is not believed.
    lost_early: VecDeque<TaskManagerId>,
    /// When each was heard of last, and what it runs on.
    known: BTreeMap<TaskManagerId, (Timestamp, Hardware)>,
    /// The JobMasters of jobs that have asked for slots.
    job_masters: BTreeMap<JobId, Address<JobMasterMessage>>,
    /// Jobs that wait: whom to answer, and how long they are willing to wait.
    waiting: BTreeMap<JobId, (Address<JobMasterMessage>, Duration)>,
    /// Look at the processes of TaskManagers, where those are others.
    inspectors: BTreeMap<TaskManagerId, Address<InspectorMessage>>,
}

impl ResourceManager {
    /// The resource manager of TaskManagers that fetch programs there.
    pub fn with_blobs(blobs: Address<BlobMessage>) -> Self {
        Self { blobs: Some(blobs), ..Self::default() }
    }

    fn request(&mut self, job: &JobSpec, count: u32, job_master: Address<JobMasterMessage>, cx: &mut ActorContext<'_>) -> Result<()> {
        let patience = job.config.get(&SLOT_REQUEST_TIMEOUT)?;
        self.job_masters.insert(job.id, job_master.clone());
        self.pool.request(job.id, count);
        self.waiting.insert(job.id, (job_master, patience));
        self.serve(cx);
        if self.waiting.contains_key(&job.id) {
            cx.send_self_after(patience, ResourceManagerMessage::Overdue(job.id));
        }
        Ok(())
    }

    fn task_managers(&self) -> Vec<TaskManagerDetails> {
        let details = |(id, (last_heard, hardware)): (&TaskManagerId, &(Timestamp, Hardware))| {
            let (slots, free, held) = self.pool.of(*id);
            TaskManagerDetails { id: *id, last_heard: *last_heard, slots, free, held, hardware: *hardware }
        };
        self.known.iter().map(details).collect()
    }

    fn lost(&mut self, task_manager: TaskManagerId, error: &Error, cx: &mut ActorContext<'_>) {
        if self.addresses.remove(&task_manager).is_none() {
            self.lost_early.push_back(task_manager);
            if self.lost_early.len() > MOST_EARLY {
                self.lost_early.pop_front();
            }
            return;
        }
        tracing::warn!(%task_manager, %error, "TaskManager lost");
        self.known.remove(&task_manager);
        self.inspectors.remove(&task_manager);
        for job in self.pool.remove(task_manager) {
            if let Some(job_master) = self.job_masters.get(&job) {
                let error = Error::new(error.kind(), error.to_string()).context(format!("TaskManager {task_manager} is lost"));
                cx.send(job_master, JobMasterMessage::TaskManagerLost(task_manager, error));
            }
        }
    }

    fn serve(&mut self, cx: &mut ActorContext<'_>) {
        while let Some((job, slots)) = self.pool.grant() {
            let address = |slot: SlotId| Some(SlotOffer { slot, address: self.addresses.get(&slot.task_manager)?.clone() });
            let offers = slots.into_iter().filter_map(address).collect();
            if let Some((job_master, _)) = self.waiting.remove(&job) {
                cx.send(&job_master, JobMasterMessage::Slots(offers));
            }
        }
    }

    fn refuse_overdue(&mut self, job: JobId, cx: &mut ActorContext<'_>) {
        let (Some(needed), Some((job_master, patience))) = (self.pool.withdraw(job), self.waiting.remove(&job)) else { return };
        let (total, seconds) = (self.pool.total(), patience.as_secs_f64());
        let error = if u64::from(needed) > total {
            not_enough(needed, total).context(format!("waited {seconds} s ('slot.request.timeout')"))
        } else {
            let remedy = "wait for them to end, raise the timeout, or add slots";
            Error::transient(format!("other jobs have held the slots for {seconds} s ('slot.request.timeout'): {remedy}"))
        };
        cx.send(&job_master, JobMasterMessage::NoSlots(error));
    }
}

impl Actor for ResourceManager {
    type Message = ResourceManagerMessage;

    fn handle(&mut self, message: ResourceManagerMessage, cx: &mut ActorContext<'_>) {
        match message {
            ResourceManagerMessage::TaskManagers(reply) => reply.send(self.task_managers()),
            ResourceManagerMessage::Register { task_manager, .. } if self.lost_early.contains(&task_manager) => {
                self.lost_early.retain(|early| *early != task_manager);
            }
            ResourceManagerMessage::Inspector { task_manager, reply } => {
                let known = self.known.contains_key(&task_manager);
                reply.send(known.then(|| self.inspectors.get(&task_manager).cloned()));
            }
            ResourceManagerMessage::Register { task_manager, address, slots, hardware, inspector } => {
                self.inspectors.extend(inspector.map(|inspector| (task_manager, inspector)));
                self.pool.add(task_manager, slots);
                tracing::info!(%task_manager, slots = slots.map_or(-1, i64::from), "TaskManager registered");
                self.known.insert(task_manager, (cx.world().now(), hardware));
                cx.send(&address, TaskManagerMessage::Registered { blobs: self.blobs.clone() });
                self.addresses.insert(task_manager, address);
            }
            ResourceManagerMessage::Lost(task_manager, error) => self.lost(task_manager, &error, cx),
            ResourceManagerMessage::Request { job, count, job_master } => {
                if let Err(error) = self.request(&job, count, job_master.clone(), cx) {
                    cx.send(&job_master, JobMasterMessage::NoSlots(error));
                }
            }
            ResourceManagerMessage::Overdue(job) => self.refuse_overdue(job, cx),
            ResourceManagerMessage::Release(job) => {
                self.pool.withdraw(job);
                self.waiting.remove(&job);
                self.job_masters.remove(&job);
                self.pool.release(job, None);
            }
            ResourceManagerMessage::Cleared { job, task_manager } => self.pool.release(job, Some(task_manager)),
        }
        self.serve(cx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::ControlPlane;
    use brisk_base::world::{Rng, World};

    fn pool(limits: &[Option<u32>]) -> SlotPool {
        let mut pool = SlotPool::default();
        limits.iter().enumerate().for_each(|(at, limit)| pool.add(TaskManagerId(at as u128), *limit));
        pool
    }

    fn granted(pool: &mut SlotPool) -> Option<(u128, Vec<(u128, u32)>)> {
        pool.grant().map(|(job, slots)| (job.0, slots.iter().map(|slot| (slot.task_manager.0, slot.index)).collect()))
    }

    #[test]
    fn a_job_gets_all_of_its_slots_or_waits_in_turn() {
        let mut pool = pool(&[Some(2), Some(1)]);
        pool.request(JobId(1), 2);
        pool.request(JobId(2), 2);
        pool.request(JobId(3), 1);
        assert_eq!(granted(&mut pool), Some((1, vec![(0, 0), (0, 1)])));
        assert_eq!(granted(&mut pool), None, "job 2 is not overtaken by job 3");
        pool.release(JobId(1), Some(TaskManagerId(0)));
        assert_eq!(granted(&mut pool), Some((2, vec![(0, 0), (0, 1)])));
        assert_eq!(pool.of(TaskManagerId(1)), (1, 1, BTreeMap::new()));
        assert_eq!(granted(&mut pool), Some((3, vec![(1, 0)])));
        assert_eq!(pool.of(TaskManagerId(0)), (2, 0, [(0, JobId(2)), (1, JobId(2))].into()));
        assert_eq!(pool.held(), 3);
        pool.release(JobId(2), None);
        pool.release(JobId(3), None);
        pool.release(JobId(3), None);
        assert_eq!(pool.held(), 0);
    }

    #[test]
    fn who_needs_more_than_there_is_waits_for_task_managers_and_lets_others_pass() {
        let mut pool = pool(&[Some(2)]);
        pool.request(JobId(1), 4);
        pool.request(JobId(2), 1);
        assert_eq!(granted(&mut pool), Some((2, vec![(0, 0)])));
        assert_eq!(granted(&mut pool), None);
        pool.add(TaskManagerId(1), Some(3));
        assert_eq!(granted(&mut pool), Some((1, vec![(0, 1), (1, 0), (1, 1), (1, 2)])));
    }

    #[test]
    fn who_is_lost_before_the_report_comes_is_not_believed_then() {
        let (world, mut rng) = (World::real(), Rng::seeded(1));
        let mut plane = ControlPlane::stepped(&world);
        let (resources, task_manager) = (plane.spawn(ResourceManager::default()), plane.spawn(Deaf));
        let report = |id: u128| ResourceManagerMessage::Register {
            task_manager: TaskManagerId(id),
            address: task_manager.clone(),
            slots: Some(2),
            hardware: Hardware::default(),
            inspector: None,
        };
        let lost = || ResourceManagerMessage::Lost(TaskManagerId(1), Error::transient("the link is over"));
        [lost(), report(1), report(2)].into_iter().for_each(|message| resources.send(message));
        while plane.step(&mut rng) {}
        let known = |plane: &mut ControlPlane, rng: &mut Rng| {
            let (reply, answer) = Reply::channel();
            resources.send(ResourceManagerMessage::TaskManagers(reply));
            while plane.step(rng) {}
            answer.recv().expect("it answers").iter().map(|one| one.id.0).collect::<Vec<u128>>()
        };
        assert_eq!(known(&mut plane, &mut rng), [2]);
        (0..2 * MOST_EARLY as u128).for_each(|id| {
            resources.send(ResourceManagerMessage::Lost(TaskManagerId(10 + id), Error::transient("the link is over")));
        });
        resources.send(report(1));
        while plane.step(&mut rng) {}
        assert_eq!(known(&mut plane, &mut rng), [1, 2], "what is remembered is bounded");
    }

    /// A TaskManager that does nothing.
    struct Deaf;

    impl Actor for Deaf {
        type Message = TaskManagerMessage;

        fn handle(&mut self, _message: TaskManagerMessage, _cx: &mut ActorContext<'_>) {}
    }

    #[test]
    fn an_embedded_task_manager_grows() {
        let mut pool = pool(&[None]);
        for job in 0..3 {
            pool.request(JobId(job), 1000);
            assert_eq!(granted(&mut pool).unwrap().1.len(), 1000);
        }
        pool.release(JobId(1), None);
        pool.request(JobId(4), 1);
        assert_eq!(granted(&mut pool).unwrap().1, [(0, 1000)], "free slots are used again");
    }

    #[test]
    fn a_withdrawn_request_no_longer_stands_in_the_way() {
        let mut pool = pool(&[Some(1)]);
        pool.request(JobId(1), 1);
        pool.grant();
        pool.request(JobId(2), 1);
        pool.request(JobId(3), 1);
        assert_eq!((pool.withdraw(JobId(2)), pool.withdraw(JobId(2))), (Some(1), None));
        pool.release(JobId(1), None);
        assert_eq!(granted(&mut pool).unwrap().0, 3);
    }
}
