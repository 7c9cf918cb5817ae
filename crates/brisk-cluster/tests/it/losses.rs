//! Several TaskManagers in one thread, whose processes die and which are lost: whatever order messages arrive in, every job finishes, and
//! all slots are free in the end.

use crate::fake::{FakeHost, Fakes, Trouble, virtual_world};
use crate::jobs::{Enumerator, Numbers, source_to_sink};
use brisk_base::ids::{JobId, TaskManagerId};
use brisk_base::options::Configuration;
use brisk_base::world::Rng;
use brisk_base::{Error, Result};
use brisk_cluster::blob::BlobMessage;
use brisk_cluster::client::{JobView, Publisher};
use brisk_cluster::job::JobSpec;
use brisk_cluster::job_manager::{Dispatcher, DispatcherMessage, ResourceManager, ResourceManagerMessage};
use brisk_cluster::services::Services;
use brisk_cluster::task_manager::{HostOpener, HostOrder, TaskHost, TaskManager, TaskManagerMessage};
use brisk_cluster::transport::{ActorContext, Address, ControlPlane, Reply};
use brisk_core::job::JobStatus;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// A host that has been opened, as whoever kills it needs to know it.
#[derive(Clone)]
struct Opened {
    job: JobId,
    run: u64,
    alive: Arc<AtomicBool>,
}

/// Hosts that can be killed: what they run is gone, and what they say comes too late.
struct Mortal {
    fakes: Fakes,
    opened: Arc<Mutex<Vec<Opened>>>,
    /// Whether the resource manager knows the TaskManager.
    registered: Arc<AtomicBool>,
}

impl HostOpener for Mortal {
    fn open(&mut self, order: HostOrder, cx: &mut ActorContext<'_>) -> Result<()> {
        let HostOrder { job, run, job_master, task_manager, .. } = order;
        let (id, alive) = (job.id, Arc::new(AtomicBool::new(true)));
        let launcher = FakeHost { fakes: self.fakes.clone(), job: job.clone(), alive: Arc::clone(&alive) };
        let host = cx.spawn(TaskHost::new((job, run), job_master, task_manager, Box::new(launcher))?);
        self.opened.lock().expect("a sound test").push(Opened { job: id, run, alive });
        cx.send_self(TaskManagerMessage::HostOpened { job: id, run, host, endpoint: None });
        Ok(())
    }

    fn kill(&mut self, job: JobId, run: u64, _why: &str) {
        self.opened.lock().expect("a sound test").retain(|host| {
            let is_it = (host.job, host.run) == (job, run);
            is_it.then(|| self.fakes.bury(&host.alive));
            !is_it
        });
    }

    fn registered(&mut self, _blobs: Option<Address<BlobMessage>>) {
        self.registered.store(true, Ordering::Relaxed);
    }

    fn closed(&mut self, job: JobId, run: u64) {
        self.opened.lock().expect("a sound test").retain(|host| (host.job, host.run) != (job, run));
    }
}

/// A TaskManager, from outside.
struct Machine {
    id: TaskManagerId,
    address: Address<TaskManagerMessage>,
    opened: Arc<Mutex<Vec<Opened>>>,
    registered: Arc<AtomicBool>,
}

struct World {
    plane: ControlPlane,
    rng: Rng,
    fakes: Fakes,
    resource_manager: Address<ResourceManagerMessage>,
    machines: Vec<Machine>,
    /// TaskManagers so far.
    count: u128,
}

impl World {
    /// Adds a TaskManager of two slots.
    fn add(&mut self) {
        self.count += 1;
        let (id, opened) = (TaskManagerId(self.count), Arc::<Mutex<Vec<Opened>>>::default());
        let registered = Arc::new(AtomicBool::new(false));
        let opener = Mortal { fakes: self.fakes.clone(), opened: Arc::clone(&opened), registered: Arc::clone(&registered) };
        let address = self.plane.spawn(TaskManager::new(id, Some(2), self.resource_manager.clone(), Box::new(opener)));
        address.send(TaskManagerMessage::Register);
        self.machines.push(Machine { id, address, opened, registered });
    }

    /// Something dies.
    fn strike(&mut self) {
        let at = self.rng.below(self.machines.len() as u64) as usize;
        // The loss of one that has not reported is not told to anybody.
        if self.rng.one_in(3) && self.machines[at].registered.load(Ordering::Relaxed) {
            let machine = self.machines.swap_remove(at);
            machine.opened.lock().expect("a sound test").iter().for_each(|host| self.fakes.bury(&host.alive));
            machine.address.send(TaskManagerMessage::Shutdown);
            self.resource_manager.send(ResourceManagerMessage::Lost(machine.id, Error::transient("the cable was cut")));
            return self.add();
        }
        let machine = &self.machines[at];
        let mut opened = machine.opened.lock().expect("a sound test");
        if opened.is_empty() {
            return;
        }
        let victim = self.rng.below(opened.len() as u64) as usize;
        let host = opened.swap_remove(victim);
        self.fakes.bury(&host.alive);
        let error = Error::transient("the process was killed");
        machine.address.send(TaskManagerMessage::HostFailed { job: host.job, run: host.run, error });
    }
}

/// The statuses in which the jobs end, with their errors.
fn play(seed: u64, jobs: usize, strikes: u32) -> Vec<(JobStatus, String)> {
    let (world, hand) = virtual_world(seed);
    let mut plane = ControlPlane::stepped(&world);
    let config: Configuration = [
        ("restart-strategy.type", "fixed-delay"),
        ("restart-strategy.fixed-delay.attempts", "100000"),
        ("restart-strategy.fixed-delay.delay", "10 ms"),
    ]
    .into_iter()
    .collect();
    let resource_manager = plane.spawn(ResourceManager::default());
    let dispatcher = plane.spawn(Dispatcher::new(resource_manager.clone(), Services::default(), &config).expect("good config"));
    let fakes = Fakes::new(seed ^ 2, Trouble { failures: false, stuck: false });
    let mut cluster = World { plane, rng: Rng::seeded(seed ^ 1), fakes, resource_manager, machines: Vec::new(), count: 0 };
    (0..3).for_each(|_| cluster.add());
    let numbers = Numbers { enumerator: Enumerator::Gives(2), rows: Some(1) };
    let mut views = Vec::new();
    for number in 0..jobs {
        let graph = source_to_sink((numbers, 3), 3, |_| Ok(())).to_job_graph(&config).expect("a good graph");
        let job = JobSpec::local(JobId(number as u128 + 1), Arc::new(graph), Arc::new(config.clone()));
        let view = Arc::new(JobView::new(&job, false));
        dispatcher.send(DispatcherMessage::Submit { job, publisher: Publisher::new(&view), coordinators: None });
        views.push(view);
    }
    let mut left = strikes;
    for steps in 0u32.. {
        assert!(steps < 400_000, "does not end: {:?}", views.iter().map(|view| view.status()).collect::<Vec<_>>());
        if left > 0 && cluster.rng.one_in(60) {
            left -= 1;
            cluster.strike();
        }
        let moved = if cluster.rng.one_in(3) { cluster.fakes.step() } else { cluster.plane.step(&mut cluster.rng) };
        if !moved && !cluster.plane.step(&mut cluster.rng) {
            if views.iter().all(|view| view.status().is_globally_terminal()) && cluster.fakes.live() == 0 {
                break;
            }
            if cluster.fakes.live() == 0
                && let Some(next) = cluster.plane.next_timer()
            {
                hand.set(next);
            }
        }
    }
    let (reply, answer) = Reply::channel();
    cluster.resource_manager.send(ResourceManagerMessage::TaskManagers(reply));
    while cluster.plane.step(&mut cluster.rng) {}
    let known = answer.recv().expect("it is there");
    let held: BTreeMap<_, _> = known.iter().map(|one| (one.id, (one.slots, one.free, one.held.clone()))).collect();
    assert_eq!(held.len(), cluster.machines.len(), "the lost ones are forgotten");
    assert!(held.values().all(|(slots, free, held)| slots == free && held.is_empty()), "slots are held for ever: {held:?}");
    views.iter().map(|view| (view.status(), view.suppressed().join(" "))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn jobs_outlive_processes_and_task_managers(seed in any::<u64>(), jobs in 1usize..3, strikes in 0u32..12) {
        let ends = play(seed, jobs, strikes);
        for (status, errors) in &ends {
            prop_assert_eq!(*status, JobStatus::Finished, "{}", errors);
        }
        prop_assert_eq!(ends, play(seed, jobs, strikes), "the same seed gives the same end");
    }
}
