//! Jobs with checkers: what the project itself runs in the simulator.
//!
//! Each draws its parameters from the seed, runs one job, and compares the results with a plain computation over the same records. In
//! every run the job must end as it should, and nothing of it may be left.

mod alignment;
mod bank;
mod cancel;
#[cfg(feature = "table")]
mod columnar;
mod departures;
mod events;
mod failure;
mod flights;
mod joins;
mod numbers;
mod timers;
mod watch;
mod windows;

use crate::outputs::Outputs;
use crate::recovery::Recovery;
use crate::run::Run;
use crate::simulation::Simulation;
use brisk_base::world::Rng;
use brisk_base::{Error, Result};
use brisk_stream::StreamEnvironment;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A job with its checker.
#[derive(Clone, Copy)]
pub struct Workload {
    /// How it is called on the command line.
    pub name: &'static str,
    /// What it runs and checks.
    pub about: &'static str,
    run: fn(u64) -> Result<u64>,
}

/// All workloads.
pub const ALL: &[Workload] = &[
    Workload { name: "numbers", about: "counts per key are gapless and in order, over every exchange", run: numbers::run },
    Workload { name: "windows", about: "tumbling, sliding and session windows agree with a plain computation", run: windows::run },
    Workload { name: "joins", about: "interval and window joins give the pairs of a plain computation", run: joins::run },
    Workload { name: "departures", about: "a piece of the flight stream: hours, sessions, late records", run: departures::run },
    #[cfg(feature = "table")]
    Workload { name: "columnar", about: "a keyed sum with retraction over columns folds to the plain sums", run: columnar::run },
    Workload { name: "timers", about: "timers of both clocks fire once, in time and in order", run: timers::run },
    Workload { name: "alignment", about: "aligned sources lose nothing and do not get stuck", run: alignment::run },
    Workload { name: "recovery-numbers", about: "counts per key stay gapless over crashes and rescaled restarts", run: numbers::recover },
    Workload { name: "recovery-bank", about: "the total of all accounts never changes over crashes and restarts", run: bank::recover },
    Workload { name: "recovery-windows", about: "windows over crashes and rescaled restarts", run: windows::recover },
    Workload { name: "recovery-joins", about: "joins over crashes and rescaled restarts", run: joins::recover },
    Workload { name: "recovery-departures", about: "the flight stream over crashes and rescaled restarts", run: departures::recover },
    Workload {
        name: "processes-numbers",
        about: "counts per key stay gapless in processes that crash, over a bad network",
        run: numbers::in_processes,
    },
    Workload {
        name: "processes-bank",
        about: "the total of all accounts never changes in processes that crash, over a bad network",
        run: bank::in_processes,
    },
    Workload { name: "cancel", about: "a cancelled job ends, and lets go of everything", run: cancel::run },
    Workload { name: "failure", about: "a fault in user code fails the job, and everything is let go", run: failure::run },
];

impl Workload {
    /// The workload of this name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|workload| workload.name == name)
    }

    /// Runs one seed; gives the number of steps.
    ///
    /// # Errors
    /// What is wrong with the results, or with the job's end.
    pub fn run(&self, seed: u64) -> Result<u64> {
        catch_unwind(AssertUnwindSafe(|| (self.run)(seed))).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Error::bug(format!("the checker panicked: {}", text.unwrap_or("without a message"))))
        })
    }
}

/// The generator of a workload's parameters; it is not the simulation's.
fn parameters(seed: u64) -> Rng {
    Rng::seeded(seed ^ 0xB215_C0DE)
}

/// A number from `low` to `high`, both included: half of the time any of them, else rather a small one.
fn any_size(rng: &mut Rng, low: u64, high: u64) -> u64 {
    let span = high - low;
    let magnitude = if rng.one_in(2) { 0 } else { rng.below(u64::from(64 - span.leading_zeros()) + 1) };
    low + rng.below((span >> magnitude) + 1)
}

/// Runs one seed of a simulation and checks it.
fn checked<F, O>(simulation: &Simulation<F>, seed: u64, check: impl FnOnce(Run<O::Collected>) -> Result<()>) -> Result<u64>
where
    F: Fn(&StreamEnvironment, &mut Rng) -> Result<O>,
    O: Outputs,
{
    let run = simulation.run_seed(seed)?;
    simulation.sound(&run)?;
    let steps = run.trace.steps();
    check(run)?;
    Ok(steps)
}

/// Runs one seed with checkpoints, crashes and restarts, and checks it. The restart strategy never gives the job up, so it has to finish.
fn recovered<F, O>(
    simulation: &Simulation<F>,
    seed: u64,
    recovery: &Recovery,
    check: impl FnOnce(Run<O::Collected>) -> Result<()>,
) -> Result<u64>
where
    F: Fn(&StreamEnvironment, &mut Rng) -> Result<O>,
    O: Outputs,
{
    let (run, story) = simulation.run_with_recovery(seed, recovery)?;
    let steps = run.trace.steps();
    let checked = simulation.sound(&run).and_then(|()| check(run));
    checked.map(|()| steps).map_err(|error| Error::bug(format!("{error}\n  {story}")))
}

/// Runs one seed on a cluster of processes, and checks it.
fn in_processes<F, O>(simulation: &Simulation<F>, seed: u64, check: impl FnOnce(Run<O::Collected>) -> Result<()>) -> Result<u64>
where
    F: Fn(&StreamEnvironment, &mut Rng) -> Result<O>,
    O: Outputs,
{
    let (run, story) = simulation.run_in_processes(seed)?;
    let steps = run.trace.steps();
    let checked = simulation.sound(&run).and_then(|()| check(run));
    checked.map(|()| steps).map_err(|error| Error::bug(format!("{error}\n  {story}")))
}

/// Compares two collections without regard to order.
fn same<T: Ord + Debug>(what: &str, mut expected: Vec<T>, mut found: Vec<T>) -> Result<()> {
    expected.sort();
    found.sort();
    if expected == found {
        return Ok(());
    }
    let missing: Vec<_> = only_in(&expected, &found).take(5).collect();
    let surplus: Vec<_> = only_in(&found, &expected).take(5).collect();
    let counts = format!("{} expected, {} found", expected.len(), found.len());
    Err(Error::bug(format!("{what}: {counts}; missing {missing:?}; not expected {surplus:?}")))
}

/// What the first of two sorted collections has more of than the second.
fn only_in<'a, T: Ord>(first: &'a [T], second: &'a [T]) -> impl Iterator<Item = &'a T> {
    let mut rest = second.iter().peekable();
    first.iter().filter(move |item| {
        while rest.next_if(|other| other < item).is_some() {}
        rest.next_if(|other| other == item).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_named() {
        same("x", vec![1, 2, 2], vec![2, 1, 2]).unwrap();
        let error = same("x", vec![1, 2, 2, 5], vec![2, 3, 1]).unwrap_err().to_string();
        assert_eq!(error, "x: 4 expected, 3 found; missing [2, 5]; not expected [3]");
    }

    #[test]
    fn sizes_reach_both_ends() {
        let mut rng = Rng::seeded(3);
        let sizes: Vec<_> = (0..500).map(|_| any_size(&mut rng, 2, 9)).collect();
        assert_eq!((sizes.iter().min(), sizes.iter().max()), (Some(&2), Some(&9)));
    }
}
