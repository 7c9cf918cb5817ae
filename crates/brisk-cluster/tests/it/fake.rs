//! Tasks that do what a random number generator tells them, and a clock that is moved by hand.

use brisk_base::ids::{AttemptId, CheckpointId, JobId, OperatorId};
use brisk_base::world::{Clock, MonoTime, Rng, Spawner, World};
use brisk_base::{Error, Result, Timestamp};
use brisk_cluster::job::{JobSpec, TaskDeployment, TaskSnapshot};
use brisk_cluster::services::{LocalStorages, StorageProvider};
use brisk_cluster::task_manager::{HostLauncher, RunningTask, TaskLauncher, TaskNotifier};
use brisk_core::checkpoint::Barrier;
use brisk_core::job::ExecutionState;
use brisk_core::source::SourceEvent;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Time that passes only by [`Hand::set`].
#[derive(Default)]
pub(crate) struct Hand(AtomicU64);

impl Hand {
    pub(crate) fn set(&self, to: MonoTime) {
        self.0.fetch_max(to.0, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(1_000_000 + (self.mono().0 / 1_000_000) as i64)
    }
    fn mono(&self) -> MonoTime {
        MonoTime(self.0.load(Ordering::Relaxed))
    }
}

struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, name: &str, _body: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other(format!("a thread '{name}' where there must be none")))
    }
}

pub(crate) fn virtual_world(seed: u64) -> (World, Arc<Hand>) {
    let hand = Arc::new(Hand::default());
    (World::new(hand.clone(), Arc::new(NoThreads), seed), hand)
}

/// What fake tasks and launchers may do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Tasks may fail, and launching may.
    pub(crate) failures: bool,
    /// A task may never end when cancelled.
    pub(crate) stuck: bool,
}

/// Something that a task was told.
enum Told {
    Cancel,
    Event(SourceEvent),
}

struct FakeTask {
    notifier: Arc<TaskNotifier>,
    operator: OperatorId,
    source: bool,
    state: ExecutionState,
    told: Arc<Mutex<Vec<Told>>>,
    cancelled: bool,
    /// Does not react to being cancelled.
    stuck: bool,
    /// Whether the process it runs in lives.
    alive: Arc<AtomicBool>,
    /// A source may finish once it was told that there are no more splits.
    may_finish: bool,
    asked: u32,
}

type Tasks = BTreeMap<(JobId, AttemptId), FakeTask>;

/// All tasks of all jobs.
#[derive(Clone)]
pub(crate) struct Fakes {
    tasks: Arc<Mutex<Tasks>>,
    rng: Arc<Mutex<Rng>>,
    trouble: Trouble,
}

impl Fakes {
    pub(crate) fn new(seed: u64, trouble: Trouble) -> Self {
        Self { tasks: Arc::default(), rng: Arc::new(Mutex::new(Rng::seeded(seed))), trouble }
    }

    fn one_in(&self, n: u64) -> bool {
        self.rng.lock().expect("a sound test").one_in(n)
    }

    /// A process has died, and its tasks with it.
    pub(crate) fn bury(&self, alive: &Arc<AtomicBool>) {
        alive.store(false, Ordering::Relaxed);
        self.tasks.lock().expect("a sound test").retain(|_, task| !Arc::ptr_eq(&task.alive, alive));
    }

    /// Tasks that live, without those that were given up.
    pub(crate) fn live(&self) -> usize {
        self.tasks.lock().expect("a sound test").len()
    }

    /// Has some task do something; false when there is none.
    pub(crate) fn step(&self) -> bool {
        let mut tasks = self.tasks.lock().expect("a sound test");
        if tasks.is_empty() {
            return false;
        }
        let at = self.rng.lock().expect("a sound test").below(tasks.len() as u64) as usize;
        let key = *tasks.keys().nth(at).expect("a sound test");
        if self.advance(key.1, tasks.get_mut(&key).expect("a sound test")) {
            tasks.remove(&key);
        }
        true
    }

    /// True when the task is over.
    fn advance(&self, attempt: AttemptId, task: &mut FakeTask) -> bool {
        for told in task.told.lock().expect("a sound test").drain(..) {
            match told {
                Told::Cancel => task.cancelled = true,
                Told::Event(SourceEvent::NoMoreSplits) => task.may_finish = true,
                Told::Event(_) => task.asked -= 1,
            }
        }
        let next = match task.state {
            _ if task.cancelled && task.stuck => return false,
            _ if task.cancelled && !self.one_in(4) => ExecutionState::Canceled,
            _ if self.trouble.failures && self.one_in(80) => {
                task.notifier.ended(attempt, Some(Error::transient("made to drop")));
                return true;
            }
            _ if self.trouble.failures && self.one_in(40) => ExecutionState::Failed,
            ExecutionState::Created => ExecutionState::Initializing,
            ExecutionState::Initializing => {
                self.ask(attempt, task);
                ExecutionState::Running
            }
            _ if task.may_finish || !task.source && self.one_in(8) => ExecutionState::Finished,
            _ => {
                self.ask(attempt, task);
                return false;
            }
        };
        task.state = next;
        let error = (next == ExecutionState::Failed).then(|| Error::user("made to fail"));
        task.notifier.state(attempt, next, error);
        if self.one_in(5) {
            // A repeated message, or one that comes too late.
            task.notifier.state(attempt, next, None);
            self.ask(attempt, task);
        }
        if next.is_terminal() {
            task.notifier.ended(attempt, None);
        }
        next.is_terminal()
    }

    fn ask(&self, attempt: AttemptId, task: &mut FakeTask) {
        if task.source && task.asked == 0 {
            task.asked += 1;
            task.notifier.event(attempt, task.operator, SourceEvent::RequestSplit);
        }
    }
}

impl TaskLauncher for Fakes {
    fn open(&self, job: &JobSpec) -> Result<Box<dyn HostLauncher>> {
        if self.trouble.failures && self.one_in(20) {
            return Err(Error::transient("made not to open"));
        }
        Ok(Box::new(FakeHost { fakes: self.clone(), job: job.clone(), alive: Arc::new(AtomicBool::new(true)) }))
    }
}

pub(crate) struct FakeHost {
    pub(crate) fakes: Fakes,
    pub(crate) job: JobSpec,
    /// Whether its process lives.
    pub(crate) alive: Arc<AtomicBool>,
}

impl HostLauncher for FakeHost {
    fn storages(&self) -> Arc<dyn StorageProvider> {
        Arc::new(LocalStorages::default())
    }

    fn launch(&mut self, deployment: &TaskDeployment, notifier: Arc<TaskNotifier>) -> Result<Box<dyn RunningTask>> {
        let fakes = &self.fakes;
        if fakes.trouble.failures && fakes.one_in(60) {
            return Err(Error::transient("made not to launch"));
        }
        assert!(!fakes.trouble.failures || !fakes.one_in(60), "made to panic");
        let vertex = &self.job.graph.vertices[deployment.vertex];
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let task = FakeTask {
            notifier,
            operator: vertex.operators[0].id,
            source: vertex.inputs == 0,
            state: ExecutionState::Created,
            told: Arc::clone(&told),
            cancelled: false,
            stuck: fakes.trouble.stuck && fakes.one_in(4),
            alive: Arc::clone(&self.alive),
            may_finish: false,
            asked: 0,
        };
        let key = (self.job.id, deployment.attempt);
        if self.alive.load(Ordering::Relaxed) {
            let before = fakes.tasks.lock().expect("a sound test").insert(key, task);
            assert!(before.is_none(), "an attempt is started once");
        }
        Ok(Box::new(FakeControl { fakes: fakes.clone(), key, told }))
    }
}

struct FakeControl {
    fakes: Fakes,
    key: (JobId, AttemptId),
    told: Arc<Mutex<Vec<Told>>>,
}

impl RunningTask for FakeControl {
    fn trigger_checkpoint(&self, _barrier: Barrier) {}

    fn checkpoint_complete(&self, _checkpoint: CheckpointId) {}

    fn checkpoint_aborted(&self, _checkpoint: CheckpointId) {}

    fn cancel(&self) {
        self.told.lock().expect("a sound test").push(Told::Cancel);
    }

    fn send_event(&self, _operator: OperatorId, event: SourceEvent) {
        self.told.lock().expect("a sound test").push(Told::Event(event));
    }

    fn snapshot(&self) -> TaskSnapshot {
        TaskSnapshot::default()
    }

    fn current_operator(&self) -> String {
        "fake".to_owned()
    }

    fn abandon(&self) {
        self.fakes.tasks.lock().expect("a sound test").remove(&self.key);
    }
}
