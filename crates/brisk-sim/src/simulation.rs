//! Runs a job under many seeds and checks each run.

use crate::executor::{MAX_STEPS, SimExecutor};
use crate::outputs::Outputs;
use crate::run::Run;
use brisk_base::Result;
use brisk_base::options::Configuration;
use brisk_base::world::Rng;
use brisk_core::job::NoExecutor;
use brisk_core::registry::OperatorRegistry;
use brisk_stream::StreamEnvironment;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// The environment variable that has a simulation run one seed only.
const SEED_VARIABLE: &str = "BRISK_SIM_SEED";

/// Simulates a job; `job` builds it anew for each seed and returns the streams that the check wants to see.
pub fn simulate<O, F>(job: F) -> Simulation<impl Fn(&StreamEnvironment, &mut Rng) -> Result<O>>
where
    F: Fn(&StreamEnvironment) -> Result<O>,
    O: Outputs,
{
    simulate_seeded(move |env: &StreamEnvironment, _: &mut Rng| job(env))
}

/// Simulates a job that itself depends on the seed: `job` draws its parameters from the generator.
pub fn simulate_seeded<O, F>(job: F) -> Simulation<F>
where
    F: Fn(&StreamEnvironment, &mut Rng) -> Result<O>,
    O: Outputs,
{
    Simulation {
        job,
        seeds: 100,
        first_seed: 0,
        parallelism: 1..=4,
        max_steps: MAX_STEPS,
        cancels: false,
        may_fail: false,
        registry: OperatorRegistry::default(),
    }
}

/// How to simulate a job; [`check`](Self::check) does it.
#[must_use = "nothing runs before check() is called"]
pub struct Simulation<F> {
    job: F,
    /// How many seeds.
    seeds: u64,
    /// The first of them.
    first_seed: u64,
    /// What each seed chooses from.
    parallelism: RangeInclusive<u32>,
    /// When a run counts as endless.
    max_steps: u64,
    /// Whether jobs are cancelled at a random step.
    cancels: bool,
    /// Whether a failed job is the check's business.
    may_fail: bool,
    /// Operators that are built by name.
    registry: OperatorRegistry,
}

impl<F, O> Simulation<F>
where
    F: Fn(&StreamEnvironment, &mut Rng) -> Result<O>,
    O: Outputs,
{
    /// How many seeds to run; 100 by default.
    pub const fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = seeds;
        self
    }

    /// The first seed; 0 by default.
    pub const fn first_seed(mut self, seed: u64) -> Self {
        self.first_seed = seed;
        self
    }

    /// The default parallelism of the job's operators, chosen by each seed; 1 to 4 by default.
    pub const fn parallelism(mut self, range: RangeInclusive<u32>) -> Self {
        self.parallelism = range;
        self
    }

    /// Fails a run that is not over after so many steps.
    pub const fn max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// Cancels the job at a random step of each run; it may be over before.
    pub const fn cancels(mut self) -> Self {
        self.cancels = true;
        self
    }

    /// Leaves it to the check whether the job may fail. Otherwise a failed job fails the run.
    pub const fn may_fail(mut self) -> Self {
        self.may_fail = true;
        self
    }

    /// With operators that are built by name.
    pub fn registry(mut self, registry: OperatorRegistry) -> Self {
        self.registry = registry;
        self
    }

    /// Runs all seeds, and checks each run.
    ///
    /// If the environment variable `BRISK_SIM_SEED` is set, only that seed runs.
    ///
    /// # Panics
    /// With the first run that fails: the job fails (unless it [may](Self::may_fail)), hangs or leaks, or the check panics. The seed, and
    /// the command that repeats it, are printed to standard error.
    pub fn check(self, check: impl Fn(&Run<O::Collected>)) {
        let one = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse::<u64>().ok());
        let seeds = one.map_or(self.first_seed..self.first_seed + self.seeds, |seed| seed..seed + 1);
        for seed in seeds {
            let checked = catch_unwind(AssertUnwindSafe(|| {
                let run = self.run_seed(seed).unwrap_or_else(|error| panic!("the job cannot be built: {error}"));
                if let Err(error) = self.sound(&run) {
                    panic!("{error}");
                }
                check(&run);
            }));
            if let Err(panic) = checked {
                eprintln!("seed {seed} fails; repeat it with: {}", repeat_command(seed));
                resume_unwind(panic);
            }
        }
    }

    /// Runs one seed.
    ///
    /// # Errors
    /// When the job cannot be built or submitted; its failure is part of the run.
    pub fn run_seed(&self, seed: u64) -> Result<Run<O::Collected>> {
        // The job, the cluster and this draw from generators of their own, so that a change of one leaves the others as they are.
        let mut rng = Rng::seeded(seed ^ 0x51D);
        let (low, high) = (*self.parallelism.start(), *self.parallelism.end());
        let parallelism = low + rng.below(u64::from(high.saturating_sub(low)) + 1) as u32;
        let cancel_after = self.cancels.then(|| {
            let magnitude = rng.below(12);
            rng.below(1 << magnitude)
        });
        let env = StreamEnvironment::new(Arc::new(NoExecutor), Configuration::new());
        env.set_parallelism(parallelism);
        let gathering = O::Gathering::default();
        (self.job)(&env, &mut Rng::seeded(rng.next_u64()))?.gather(&gathering);
        let executor = SimExecutor::new(seed).with_registry(self.registry.clone()).with_max_steps(self.max_steps);
        let (graph, config) = (env.stream_graph("simulated")?, env.config());
        // The environment holds user code, too; from here on only the job does.
        drop(env);
        let run = executor.run(graph, &config, cancel_after)?;
        Ok(run.with_output(O::take(gathering)))
    }

    /// Builds the job.
    pub(crate) fn build(&self, env: &StreamEnvironment, rng: &mut Rng) -> Result<O> {
        (self.job)(env, rng)
    }

    pub(crate) const fn operators(&self) -> &OperatorRegistry {
        &self.registry
    }

    pub(crate) const fn most_steps(&self) -> u64 {
        self.max_steps
    }

    /// What holds for every run, whatever the job does: it ends as it should, and nothing of it is left.
    ///
    /// # Errors
    /// What does not hold.
    pub fn sound(&self, run: &Run<O::Collected>) -> Result<()> {
        run.sound(self.may_fail)
    }
}

/// How to run one seed of the test that runs on this thread.
fn repeat_command(seed: u64) -> String {
    let package = std::env::var("CARGO_PKG_NAME").map_or_else(|_| String::new(), |name| format!(" -p {name}"));
    let test = std::thread::current().name().filter(|name| *name != "main").map_or_else(String::new, |name| format!(" -- --exact {name}"));
    format!("{SEED_VARIABLE}={seed} cargo test{package}{test}")
}
