//! A cluster of processes in one seeded thread: a JobManager, TaskManagers and workers, each with actors of its own, over a network that the
//! seed disturbs. Components, links, messages as bytes, heartbeats, checkpoints and tasks are the real ones; what is simulated is what a
//! machine does: carrying frames, starting and ending processes, storing files.
//!
//! | what | file |
//! |---|---|
//! | the run: steps, and what must hold at its end | here |
//! | what is done to the processes | [`storm`] |
//! | the JobManager's process | [`job_manager`] |
//! | TaskManagers and their workers | [`task_manager`] |
//! | a process | [`process`] |
//! | the network | [`network`] |
//!
//! Checked in every run, besides the job's results: the job finishes once faults have stopped; then no worker is left, every slot is free, and
//! no process keeps an actor that it has no use for.

mod job_manager;
mod network;
mod process;
mod storm;
mod task_manager;

use self::job_manager::JobManager;
use self::network::{Network, Weather};
use self::process::Process;
use self::storm::Storm;
use self::task_manager::{Happening, Seat, Worker, WorkerKey};
use crate::clock::{VirtualClock, world};
use crate::mood::{Chaos, Mood};
use crate::outputs::Outputs;
use crate::recovery::Recovery;
use crate::run::Run;
use crate::simulation::Simulation;
use crate::storage::SimStorages;
use crate::trace::Trace;
use brisk_base::ids::JobId;
use brisk_base::world::{MonoTime, Rng, World};
use brisk_base::{Error, Result};
use brisk_cluster::job::JobSpec;
use brisk_cluster::link::LinkTimes;
use brisk_cluster::services::Services;
use brisk_core::job::{JobStatus, NoExecutor};
use brisk_stream::StreamEnvironment;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Steps of a run at most: far more than one should take.
const MOST_STEPS: u64 = 3_000_000;

/// Steps between two looks whether everything is let go after the end.
const STEPS_PER_LOOK: u64 = 50;

/// How far time leaps at most while something can run.
const LONGEST_LEAP: Duration = Duration::from_millis(50);

/// How long things may take on a link.
const TIMES: LinkTimes = LinkTimes {
    heartbeat_interval: Duration::from_secs(1),
    heartbeat_timeout: Duration::from_secs(10),
    ask_timeout: Duration::from_secs(20),
};

/// What has come up outside of the actors, in order.
type Happenings = Arc<Mutex<VecDeque<Happening>>>;

/// See the module.
struct Processes {
    mood: Mood,
    rng: Rng,
    clock: Arc<VirtualClock>,
    world: World,
    network: Network,
    chaos: Arc<Chaos>,
    storages: SimStorages,
    services: Services,
    /// The job, with its code.
    job: JobSpec,
    /// Those that live.
    processes: BTreeMap<u64, Process>,
    /// The number of the next process.
    next: u64,
    job_manager: Option<JobManager>,
    /// When the JobManager is started, if it does not run.
    job_manager_at: MonoTime,
    seats: Vec<Seat>,
    workers: BTreeMap<WorkerKey, Worker>,
    happenings: Happenings,
    storm: Storm,
    trace: Trace,
}

impl<F, O> Simulation<F>
where
    F: Fn(&StreamEnvironment, &mut Rng) -> Result<O>,
    O: Outputs,
{
    /// Runs one seed on a cluster of processes that crash, stop, and lose touch with each other; the run, and what was done in words.
    ///
    /// # Errors
    /// When the job cannot be built.
    pub fn run_in_processes(&self, seed: u64) -> Result<(Run<O::Collected>, String)> {
        let mut rng = Rng::seeded(seed ^ 0xB105_F00D);
        let settings = Recovery::default().config(&mut rng);
        let parallelism = 1 + rng.below(4) as u32;
        let env = StreamEnvironment::new(Arc::new(NoExecutor), settings.clone());
        env.set_parallelism(parallelism);
        let gathering = O::Gathering::default();
        self.build(&env, &mut Rng::seeded(rng.next_u64()))?.gather(&gathering);
        let (graph, config) = (env.stream_graph("simulated")?, env.config());
        drop(env);
        let job = JobSpec::local(JobId(u128::from(rng.next_u64())), Arc::new(graph.to_job_graph(&config)?), Arc::new(config));
        drop(graph);
        let mut processes = Processes::new(seed, job, parallelism, Services::from(self.operators().clone()));
        let (result, status, leaks) = processes.run();
        let mut story: Vec<String> = settings.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        story.push(processes.describe());
        let elapsed = processes.clock.peek().since(MonoTime(0));
        let trace = processes.trace.clone();
        processes.end();
        let run = Run { seed, parallelism, cancelled: false, status, result, output: (), elapsed, trace, leaks };
        Ok((run.with_output(O::take(gathering)), story.join("\n  ")))
    }
}

impl Processes {
    fn new(seed: u64, job: JobSpec, parallelism: u32, services: Services) -> Self {
        let mut rng = Rng::seeded(seed);
        let mood = Mood::draw(&mut rng);
        let clock = VirtualClock::new(mood.tick.min(10_000));
        let world = world(&clock, rng.next_u64());
        let chaos = Arc::new(Chaos::new(mood.clone(), Rng::seeded(rng.next_u64())));
        let mut storm = Storm::draw(&mut rng);
        let delay = Duration::from_micros([0, 100, 5_000, 200_000][rng.below(4) as usize]);
        let weather = Weather { delay, faults: storm.frame_faults, one_in: 1 << rng.below(10) };
        let network = Network::new(&world, weather, Rng::seeded(rng.next_u64()));
        let storages = SimStorages::default();
        storages.let_fail(storm.storage_faults, 1 + rng.below(40), rng.next_u64());
        chaos.let_crash(storm.task_crashes, 1 << (4 + rng.below(12)));
        let services = services.with_storages(Arc::new(storages.clone()));
        #[cfg(feature = "rocksdb")]
        let services = services.with_backend("rocksdb", Arc::new(crate::storage::RocksDbInMemory));
        let count = 1 + rng.below(3) as u32;
        let slots = parallelism.div_ceil(count) + rng.below(2) as u32;
        storm.tell(format!("{count} TaskManagers of {slots} slots, parallelism {parallelism}, {delay:?} delay of frames"));
        let (trace, happenings) = (Trace::new(24), Happenings::default());
        Self {
            mood,
            rng,
            clock,
            world,
            network,
            chaos,
            storages,
            services,
            job,
            processes: BTreeMap::new(),
            next: 0,
            job_manager: None,
            job_manager_at: MonoTime(0),
            seats: (0..count).map(|_| Seat::new(slots)).collect(),
            workers: BTreeMap::new(),
            happenings,
            storm,
            trace,
        }
    }

    /// Runs the job to its end, and then until everything is let go.
    fn run(&mut self) -> (Result<brisk_core::job::JobResult>, JobStatus, Vec<String>) {
        loop {
            if let Some(job_manager) = &self.job_manager
                && let Some(result) = job_manager.view.wait_for(Duration::ZERO)
            {
                let status = job_manager.view.status();
                let leaks = if result.is_ok() { self.let_go() } else { Vec::new() };
                return (result, status, leaks);
            }
            if self.trace.steps() > MOST_STEPS {
                let status = self.job_manager.as_ref().map_or(JobStatus::Suspended, |job_manager| job_manager.view.status());
                return (Err(Error::bug(format!("still running after {MOST_STEPS} steps"))), status, Vec::new());
            }
            if let Err(error) = self.step() {
                return (Err(error), JobStatus::Suspended, Vec::new());
            }
        }
    }

    /// Does one thing, or lets time pass.
    fn step(&mut self) -> Result<()> {
        self.trace.message();
        self.strike()?;
        if self.mood.leap > 0 && self.rng.one_in(self.mood.leap) {
            let (now, next) = (self.clock.peek(), self.next_time());
            if next > now && next <= now.after(LONGEST_LEAP) {
                self.clock.advance_to(next);
            }
        }
        self.start_what_is_due()?;
        if !self.run_something() {
            let next = self.next_time();
            if next == MonoTime::NEVER {
                return Err(Error::bug("nothing can run, and nothing waits for its time"));
            }
            self.clock.advance_to(next);
            self.trace.time(self.clock.peek());
        }
        self.take_happenings()
    }

    fn run_something(&mut self) -> bool {
        let now = self.clock.peek();
        let ready: Vec<u64> = self.processes.iter().filter(|(_, process)| process.stopped_until <= now).map(|(id, _)| *id).collect();
        let checks = self.rng.below(self.mood.checks) as u32;
        let choices = ready.len() + 1;
        let first = self.rng.below(choices as u64) as usize;
        for at in (0..choices).map(|at| (first + at) % choices) {
            let done = match ready.get(at).and_then(|id| self.processes.get_mut(id)) {
                Some(process) => process.step(&mut self.rng, checks),
                None => self.network.deliver(&mut self.rng),
            };
            if done {
                return true;
            }
        }
        false
    }

    fn next_time(&mut self) -> MonoTime {
        let processes = self.processes.values_mut().map(Process::next_time).min().unwrap_or(MonoTime::NEVER);
        let job_manager = if self.job_manager.is_none() { self.job_manager_at } else { MonoTime::NEVER };
        let seats = self.seats.iter().filter(|seat| seat.life.is_none() && self.job_manager.is_some()).map(|seat| seat.at);
        let kills = self.workers.values().filter_map(|worker| worker.kill_at);
        seats.chain(kills).min().unwrap_or(MonoTime::NEVER).min(processes).min(job_manager).min(self.network.next_due())
    }

    /// Starts a process.
    fn add(&mut self, process: Process) -> u64 {
        let id = self.next;
        self.next += 1;
        self.processes.insert(id, process);
        id
    }

    fn happened(&self) -> Option<Happening> {
        self.happenings.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Runs until nothing of the job is left; what is left if that does not come about.
    fn let_go(&mut self) -> Vec<String> {
        self.calm();
        let until = self.trace.steps() + MOST_STEPS / 10;
        loop {
            let left = self.left();
            if left.is_empty() || self.trace.steps() > until {
                return left;
            }
            for _ in 0..STEPS_PER_LOOK {
                if let Err(error) = self.step() {
                    return vec![error.to_string()];
                }
            }
        }
    }

    /// What is there and should not be, or the other way round.
    fn left(&mut self) -> Vec<String> {
        let mut found = Vec::new();
        let daemons = self.seats.len() + 1;
        if self.processes.len() != daemons || !self.workers.is_empty() {
            found.push(format!("{} processes are there for {daemons} daemons, {} workers known", self.processes.len(), self.workers.len()));
        }
        match self.free_slots() {
            None => found.push("the JobManager does not know its TaskManagers".to_owned()),
            Some((task_managers, slots, free)) if task_managers != self.seats.len() || slots != free => {
                found.push(format!("{free} of {slots} slots of {task_managers} TaskManagers are free"));
            }
            Some(_) => {}
        }
        // Dispatcher and resource manager; a TaskManager and what stands in front of it. And whoever looks after their links.
        let of_job_manager = 2 + self.seats.len();
        let wanted = |id: u64| if self.job_manager.as_ref().is_some_and(|one| one.process == id) { of_job_manager } else { 3 };
        for (id, process) in &self.processes {
            if process.plane.actor_count() != wanted(*id) {
                found.push(format!("process {id} has {} actors, not {}", process.plane.actor_count(), wanted(*id)));
            }
        }
        found
    }

    fn describe(&self) -> String {
        let mut text = format!("{}; {}", self.storm, self.network.counts());
        for (id, process) in &self.processes {
            let tasks = process.executor.as_ref().map_or(0, |executor| executor.live_tasks());
            // Writing to a String cannot fail.
            let _ =
                write!(text, "\n  process {id}: {} actors, {tasks} tasks, links {:?}", process.plane.actor_count(), process.connections());
        }
        text
    }

    fn end(self) {
        self.processes.into_values().for_each(|process| process.bury("the simulation is over"));
    }
}
