//! A few seeds of each workload; `cargo xtask sim` runs more.

use brisk_sim::workloads::Workload;

fn run(name: &str, seeds: u64) {
    let workload = Workload::named(name).expect("it is in the list");
    for seed in 0..seeds {
        if let Err(error) = workload.run(seed) {
            panic!("{name}, seed {seed}: {error}");
        }
    }
}

#[test]
fn numbers() {
    run("numbers", 40);
}

#[test]
fn windows() {
    run("windows", 40);
}

#[test]
fn joins() {
    run("joins", 30);
}

#[test]
fn departures() {
    run("departures", 10);
}

#[test]
fn cancel() {
    run("cancel", 60);
}

#[test]
fn failure() {
    run("failure", 60);
}

#[test]
fn columnar() {
    run("columnar", 20);
}

#[test]
fn timers() {
    run("timers", 20);
}

#[test]
fn alignment() {
    run("alignment", 20);
}
