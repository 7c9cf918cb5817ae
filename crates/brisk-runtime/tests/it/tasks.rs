//! Tasks run, end, fail and are cancelled on every executor.

use crate::diamond::Diamond;
use crate::jobs::{Collected, Reports, TestJob, check, start};
use brisk_base::Timestamp;
use brisk_base::world::{Clock, MonoTime, Rng, Spawner, World};
use brisk_core::job::ExecutionState;
use brisk_core::job_graph::JobGraph;
use brisk_runtime::exchange::{LocalExchanges, Perturb};
use brisk_runtime::executor::{CoreWorkers, CoreWorkersOptions, Executor, StepExecutor};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

fn workers(n: usize) -> Arc<CoreWorkers> {
    let options = CoreWorkersOptions { workers: n, name: "it".to_owned() };
    Arc::new(CoreWorkers::start(World::real(), options).unwrap())
}

fn run_on_workers(job: &TestJob, threads: usize) -> (Collected, Vec<(ExecutionState, Option<String>)>) {
    let collected = Collected::default();
    let graph = Arc::new(job.graph(&collected));
    let executor: Arc<dyn Executor> = workers(threads);
    let reports = Arc::new(Reports::default());
    let controls = start(&graph, &executor, &Arc::default(), &reports);
    let ended = reports.wait(controls.len());
    (collected, ended.into_iter().map(|(_, state, error)| (state, error)).collect())
}

#[test]
fn a_job_runs_to_its_end_on_core_workers() {
    for (sources, counters, threads) in [(1, 1, 1), (2, 3, 2), (4, 2, 3), (1, 7, 2)] {
        let job = TestJob { sources, counters, numbers: 50_000, fail_at: None };
        let (collected, ended) = run_on_workers(&job, threads);
        assert!(ended.iter().all(|(state, _)| *state == ExecutionState::Finished), "{ended:?}");
        check(&job, &collected);
    }
}

#[test]
fn an_error_names_its_operator_and_subtask() {
    let job = TestJob { sources: 1, counters: 1, numbers: 5_000, fail_at: Some(1_000) };
    let collected = Collected::default();
    let graph = Arc::new(job.graph(&collected));
    let executor: Arc<dyn Executor> = workers(2);
    let reports = Arc::new(Reports::default());
    let controls = start(&graph, &executor, &Arc::default(), &reports);
    let first = reports.wait(1);
    assert_eq!(first[0].1, ExecutionState::Failed);
    assert_eq!(first[0].2.as_deref(), Some("operator 'numbers' (1/1): cannot read number 1000"));
    controls.iter().for_each(brisk_runtime::task::TaskControl::cancel);
    let ended = reports.wait(2);
    assert_eq!(ended[1].1, ExecutionState::Canceled);
}

#[test]
fn a_panic_fails_its_task_only_and_says_where() {
    let job = TestJob { sources: 1, counters: 1, numbers: 5_000, fail_at: Some(13) };
    let collected = Collected::default();
    let graph = Arc::new(job.graph(&collected));
    let executor: Arc<dyn Executor> = workers(1);
    let reports = Arc::new(Reports::default());
    let controls = start(&graph, &executor, &Arc::default(), &reports);
    let message = reports.wait(1)[0].2.clone().unwrap();
    assert!(message.starts_with("operator 'numbers' (1/1): panicked at ") && message.ends_with("unlucky number"), "{message}");
    controls[1].cancel();
    assert_eq!(reports.wait(2)[1].1, ExecutionState::Canceled);
}

/// Virtual time that stands still unless it is moved.
struct Virtual(AtomicU64);

impl Clock for Virtual {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst) as i64 / 1_000_000)
    }
    fn mono(&self) -> MonoTime {
        MonoTime(self.0.load(Ordering::SeqCst))
    }
}

struct NoThreads;

impl Spawner for NoThreads {
    fn spawn(&self, name: &str, _: Box<dyn FnOnce() + Send>) -> std::io::Result<std::thread::JoinHandle<()>> {
        Err(std::io::Error::other(format!("no thread for {name} here")))
    }
}

/// Disturbs the channels from a seed.
struct Chaos(Mutex<Rng>);

impl Chaos {
    fn one_in(&self, n: u64) -> bool {
        self.0.lock().unwrap().one_in(n)
    }
}

impl Perturb for Chaos {
    fn pick(&self, candidates: usize) -> usize {
        self.0.lock().unwrap().below(candidates as u64) as usize
    }
    fn hold_back(&self) -> bool {
        self.one_in(8)
    }
    fn cut(&self, rows: usize) -> Option<usize> {
        self.one_in(2).then(|| self.0.lock().unwrap().below(rows as u64 + 1) as usize)
    }
    fn flush_early(&self) -> bool {
        self.one_in(5)
    }
    fn tire(&self) -> bool {
        self.one_in(3)
    }
}

/// Runs a graph in virtual time, disturbed from a seed.
fn simulate(graph: &Arc<JobGraph>, seed: u64) {
    let mut rng = Rng::seeded(seed);
    let clock = Arc::new(Virtual(AtomicU64::new(0)));
    let world = World::new(Arc::<Virtual>::clone(&clock), Arc::new(NoThreads), seed);
    let step = Arc::new(StepExecutor::new(world));
    let executor: Arc<dyn Executor> = Arc::<StepExecutor>::clone(&step);
    let exchanges = Arc::new(LocalExchanges::perturbed(Arc::new(Chaos(Mutex::new(Rng::seeded(seed ^ 99))))));
    let reports = Arc::new(Reports::default());
    let controls = start(graph, &executor, &exchanges, &reports);
    while reports.ended.lock().unwrap().len() < controls.len() {
        let checks = rng.below(5) as u32;
        if step.run_one(&mut rng, checks).is_none() {
            let next = step.next_deadline();
            assert_ne!(next, MonoTime::NEVER, "seed {seed}: nothing can run, and nothing will");
            clock.0.store(next.0, Ordering::SeqCst);
            step.fire_due();
        }
    }
    assert!(reports.wait(controls.len()).iter().all(|(_, state, _)| *state == ExecutionState::Finished), "seed {seed}");
}

#[test]
fn every_interleaving_gives_the_same_result() {
    for seed in 0..200 {
        let mut rng = Rng::seeded(seed);
        let job = TestJob {
            sources: 1 + rng.below(3) as u32,
            counters: 1 + rng.below(3) as u32,
            numbers: 300 + rng.below(1500) as i64,
            fail_at: None,
        };
        let collected = Collected::default();
        simulate(&Arc::new(job.graph(&collected)), seed);
        check(&job, &collected);
    }
}

#[test]
fn a_diamond_neither_jams_nor_makes_rows_late() {
    for seed in 0..60 {
        let diamond = Diamond::new(2_000);
        simulate(&Arc::new(diamond.graph()), seed);
        diamond.check();
    }
}

#[test]
fn a_diamond_runs_on_core_workers() {
    for threads in [1, 2, 3] {
        let diamond = Diamond::new(100_000);
        let executor: Arc<dyn Executor> = workers(threads);
        let reports = Arc::new(Reports::default());
        let controls = start(&Arc::new(diamond.graph()), &executor, &Arc::default(), &reports);
        let ended = reports.wait(controls.len());
        assert!(ended.iter().all(|(_, state, _)| *state == ExecutionState::Finished), "{ended:?}");
        diamond.check();
    }
}
