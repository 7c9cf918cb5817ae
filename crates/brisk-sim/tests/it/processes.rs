//! Clusters of processes that crash, stop, and lose touch with each other; `cargo xtask sim` runs more seeds.

use brisk_sim::planted::{self, Planted};
use brisk_sim::workloads::Workload;

fn workload(name: &str) -> Workload {
    Workload::named(name).expect("it is in the list")
}

fn run(name: &str, seeds: impl IntoIterator<Item = u64>) {
    for seed in seeds {
        if let Err(error) = workload(name).run(seed) {
            panic!("{name}, seed {seed}: {error}");
        }
    }
}

#[test]
fn a_job_ends_with_its_results_and_lets_go_of_everything() {
    run("processes-numbers", 0..40);
    run("processes-bank", 0..40);
}

/// The link of a TaskManager is over before the JobManager reads its report: the report must not make it known for ever.
#[test]
fn a_task_manager_that_is_lost_before_it_has_reported_stays_lost() {
    run("processes-numbers", [2650, 2941, 1557, 2341]);
    run("processes-bank", [1526, 1557, 1825, 2341, 2393, 2941]);
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in [7, 1825] {
        let steps: Vec<u64> = (0..3).map(|_| workload("processes-bank").run(seed).expect("it passes")).collect();
        assert!(steps.iter().all(|taken| *taken == steps[0]), "seed {seed}: {steps:?}");
    }
}

#[test]
fn planted_bugs_are_found() {
    for (_, bug) in planted::ALL.into_iter().filter(|(_, bug)| *bug != Planted::LostTimer) {
        let found = bug.during(|| (0..500).any(|seed| workload("processes-bank").run(seed).is_err()));
        assert!(found, "{bug:?} is not found");
    }
}
