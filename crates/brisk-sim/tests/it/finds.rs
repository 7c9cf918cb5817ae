//! Jobs with typical mistakes: the simulator must find them.

use brisk_base::Result;
use brisk_core::batch::{AnyBatch, Rows};
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Progress, Rest, RuntimeContext};
use brisk_core::types::Record;
use brisk_sim::planted::Planted;
use brisk_sim::workloads::Workload;
use brisk_sim::{Fault, SimExecutor, simulate};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Numbers each batch and gives the number of its last row: the result depends on where batches are cut.
struct BatchSizes;

impl Operator for BatchSizes {
    fn process_batch(&mut self, _: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut sizes = Rows::<i64>::default();
        sizes.values.push(batch.len() as i64);
        cx.emit(MAIN_PORT, Box::new(sizes));
        Ok(Rest::Consumed)
    }
}

fn batch_sizes(env: &StreamEnvironment) -> DataStream<i64> {
    env.from_sequence(1, 1000)
        .rebalance()
        .transform("BatchSizes", |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(BatchSizes)) })
}

/// What different seeds make of a job at parallelism 1.
fn outcomes<T>(job: impl Fn(&StreamEnvironment) -> DataStream<T>) -> BTreeSet<Vec<T>>
where
    T: Record + Ord,
{
    let simulation = simulate(|env: &StreamEnvironment| Ok(job(env))).parallelism(1..=1);
    (0..20).map(|seed| simulation.run_seed(seed).expect("the job is in order").output).collect()
}

#[test]
fn an_operator_that_depends_on_batches_is_caught() {
    assert!(outcomes(batch_sizes).len() > 3);
}

#[test]
fn a_job_that_depends_on_who_comes_first_is_caught() {
    let race = |env: &StreamEnvironment| {
        let both = env.from_sequence(1, 20).disable_chaining().union([&env.from_sequence(101, 120).disable_chaining()]);
        both.global().map(|n| (0, n)).key_by(|pair| pair.0).reduce(|first, last| (0, first.1 * 31 % 1009 + last.1))
    };
    assert!(outcomes(|env| race(env)).len() > 1);
}

#[test]
fn a_job_that_depends_on_neither_is_not() {
    let sums =
        |env: &StreamEnvironment| env.from_sequence(1, 1000).rebalance().map(|n| (0, n)).key_by(|pair| pair.0).sum(|pair| &mut pair.1);
    let last = |sums: &Vec<(i32, i64)>| sums.last().copied();
    assert_eq!(outcomes(|env| sums(env)).iter().map(last).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn a_check_that_fails_fails_the_test() {
    let job = || simulate(|env: &StreamEnvironment| Ok(env.from_sequence(1, 5))).seeds(3);
    job().check(|run| assert_eq!(run.output_sorted(), [1, 2, 3, 4, 5]));
    catch_unwind(|| job().check(|run| assert_eq!(run.output.len(), 4))).unwrap_err();
}

#[test]
fn a_failed_job_fails_the_test_unless_it_may() {
    let job = || {
        simulate(|env: &StreamEnvironment| {
            Ok(env.from_sequence(1, 5).try_map(|n| if n == 3 { Err(brisk_base::Error::user("three")) } else { Ok(n) }))
        })
        .seeds(3)
    };
    catch_unwind(|| job().check(|_| {})).unwrap_err();
    job().may_fail().check(|run| assert!(run.result.as_ref().unwrap_err().to_string().ends_with("three"), "{:?}", run.result));
}

/// Waits for something that nobody will ever do.
struct Forgetful;

impl Operator for Forgetful {
    fn process_batch(&mut self, _: usize, batch: Box<dyn AnyBatch>, _: &mut OperatorContext<'_>) -> Result<Rest> {
        Ok(Rest::Blocked(batch))
    }

    fn has_pending(&self) -> bool {
        true
    }

    fn poll_pending(&mut self, _: &mut OperatorContext<'_>) -> Result<Progress> {
        Ok(Progress::Waiting)
    }
}

#[test]
fn a_job_that_waits_for_ever_is_an_error_that_says_who_waits() {
    let stuck = |env: &StreamEnvironment| -> Result<DataStream<i64>> {
        Ok(env
            .from_sequence(1, 10)
            .rebalance()
            .transform("Forgetful", |_: &RuntimeContext| -> Result<Box<dyn Operator>> { Ok(Box::new(Forgetful)) }))
    };
    let run = simulate(stuck).parallelism(2..=2).max_steps(3_000).run_seed(5).unwrap();
    let error = run.result.unwrap_err().to_string();
    assert!(error.contains("nothing can run") && error.contains("(seed 5)"), "{error}");
    assert!(error.contains("'Forgetful -> gather (2/2)': ") && error.contains("rows in"), "{error}");
}

#[test]
fn a_job_that_runs_for_ever_is_an_error() {
    let run =
        simulate(|env: &StreamEnvironment| Ok(env.from_sequence(1, i64::MAX - 1).filter(|_| false))).max_steps(500).run_seed(0).unwrap();
    assert!(run.result.unwrap_err().to_string().contains("still running after 500 steps"));
}

#[test]
fn faults_strike_once() {
    let mut rng = brisk_base::world::Rng::seeded(1);
    for _ in 0..20 {
        let fault = Fault::draw(&mut rng, 10);
        let hits = (0..10).filter(|_| catch_unwind(AssertUnwindSafe(|| fault.hit().is_err())).unwrap_or(true)).count();
        assert_eq!((hits, fault.has_struck()), (1, true));
    }
}

#[test]
fn programs_run_unchanged_one_job_after_the_other() {
    let env = StreamEnvironment::new(Arc::new(SimExecutor::new(3)), Default::default());
    assert_eq!(env.from_sequence(1, 4).map(|n| n * n).collect().unwrap().iter().sum::<i64>(), 30);
    env.from_sequence(1, 10).map(|n| n + 1).add_sink(|_| {});
    let result = env.execute("second").unwrap();
    assert_eq!(result.name, "second");
}

/// Seeds of a workload until one finds the bug, and the same seed without it.
fn found_by(planted: Planted, workload: &str) -> u64 {
    let workload = Workload::named(workload).expect("there is such a workload");
    let seed = (0..500).find(|seed| planted.during(|| workload.run(*seed).is_err()));
    let seed = seed.unwrap_or_else(|| panic!("{planted:?} is not found by {} in 500 seeds", workload.name));
    workload.run(seed).expect("without the bug the seed passes");
    seed
}

#[test]
fn a_skipped_barrier_is_found() {
    found_by(Planted::SkippedBarrier, "recovery-numbers");
    found_by(Planted::SkippedBarrier, "recovery-bank");
}

#[test]
fn a_lost_timer_is_found() {
    found_by(Planted::LostTimer, "recovery-windows");
}

#[test]
fn a_double_commit_is_found() {
    found_by(Planted::DoubleCommit, "recovery-numbers");
}
