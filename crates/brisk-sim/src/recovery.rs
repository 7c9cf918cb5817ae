//! Simulates a job with checkpoints, crashes and restarts at other parallelisms.
//!
//! A run is a series of incarnations of one job: each begins from the newest checkpoint that the one before left, at a parallelism of the
//! seed's choice, loses tasks and calls of the checkpoint storage, and is ended at a random step; the last one runs to its end.

use crate::executor::SimExecutor;
use crate::outputs::Outputs;
use crate::run::Run;
use crate::simulation::Simulation;
use brisk_base::options::Configuration;
use brisk_base::options::MemorySize;
use brisk_base::options::checkpoint_options::{
    ALIGNED_CHECKPOINT_TIMEOUT, CHECKPOINT_INTERVAL, CHECKPOINT_MIN_PAUSE, CHECKPOINT_MODE, CHECKPOINT_RETENTION, CHECKPOINT_TIMEOUT,
    DATA_INLINE_THRESHOLD, EXPONENTIAL_INITIAL, EXPONENTIAL_MAX, NUM_RETAINED_CHECKPOINTS, STATE_BACKEND, STATE_RECOVERY_PATH,
    TOLERABLE_FAILED_CHECKPOINTS, UNALIGNED_ENABLED,
};
use brisk_base::world::Rng;
use brisk_base::{Error, Result};
use brisk_core::job::{JobStatus, NoExecutor};
use brisk_stream::StreamEnvironment;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// The environment variable that names the state backend of simulated recoveries.
const BACKEND_VARIABLE: &str = "BRISK_SIM_BACKEND";

/// Steps of all incarnations together, at most: far more than they should take.
const MOST_STEPS: u64 = 2_000_000;

/// What is done to a job besides disturbing its channels.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// The parallelism of each incarnation.
    pub rescales: RangeInclusive<u32>,
    /// Incarnations, at most.
    pub incarnations: u64,
    /// Crashes of tasks in each of them, at most.
    pub crashes: u64,
    /// Calls of the checkpoint storage that fail in each of them, at most.
    pub storage_faults: u64,
    /// Whether records may count more than once.
    pub at_least_once: bool,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { rescales: 1..=4, incarnations: 3, crashes: 3, storage_faults: 3, at_least_once: false }
    }
}

impl Recovery {
    /// What a seed does of all this.
    pub(crate) fn config(&self, rng: &mut Rng) -> Configuration {
        let mut config = Configuration::new();
        let millis = |choices: &[u64], rng: &mut Rng| Duration::from_millis(choices[rng.below(choices.len() as u64) as usize]);
        config.set(&CHECKPOINT_INTERVAL, Some(millis(&[1, 3, 10, 50], rng)));
        config.set(&CHECKPOINT_MIN_PAUSE, millis(&[0, 0, 5], rng));
        config.set(&CHECKPOINT_TIMEOUT, Duration::from_secs(3_600));
        config.set(&TOLERABLE_FAILED_CHECKPOINTS, [0, 2, 1_000_000][rng.below(3) as usize]);
        config.set(&NUM_RETAINED_CHECKPOINTS, 1 + rng.below(3) as u32);
        config.set(&CHECKPOINT_RETENTION, "RETAIN_ON_CANCELLATION".to_owned());
        config.set(&DATA_INLINE_THRESHOLD, MemorySize([0, 200, 20 * 1024][rng.below(3) as usize]));
        config.set(&EXPONENTIAL_INITIAL, millis(&[0, 1, 20], rng));
        config.set(&EXPONENTIAL_MAX, Duration::from_millis(50));
        if let Ok(backend) = std::env::var(BACKEND_VARIABLE) {
            config.set(&STATE_BACKEND, backend);
        }
        if self.at_least_once {
            config.set(&CHECKPOINT_MODE, "AT_LEAST_ONCE".to_owned());
        } else if rng.one_in(2) {
            config.set(&UNALIGNED_ENABLED, true);
            config.set(&ALIGNED_CHECKPOINT_TIMEOUT, millis(&[0, 0, 1, 5], rng));
        }
        config
    }
}

impl<F, O> Simulation<F>
where
    F: Fn(&StreamEnvironment, &mut Rng) -> Result<O>,
    O: Outputs,
{
    /// Runs one seed with checkpoints, crashes and restarts; the run is that of the last incarnation, with all that was given, and what was
    /// done to the job in words.
    ///
    /// # Errors
    /// When the job cannot be built or submitted, or an incarnation that was ended did not end as it should.
    pub fn run_with_recovery(&self, seed: u64, recovery: &Recovery) -> Result<(Run<O::Collected>, String)> {
        let mut rng = Rng::seeded(seed ^ 0x2EC0_7E21);
        let job_seed = rng.next_u64();
        let gathering = O::Gathering::default();
        let executor = self.executor(seed);
        let count = 1 + rng.below(recovery.incarnations);
        let settings = recovery.config(&mut rng);
        let mut latest: Option<String> = None;
        let mut story: Vec<String> = settings.iter().map(|(key, value)| format!("{key}: {value}")).collect();
        for incarnation in 0..count {
            let (low, high) = (*recovery.rescales.start(), *recovery.rescales.end());
            let parallelism = low + rng.below(u64::from(high - low) + 1) as u32;
            let mut config = settings.clone();
            if let Some(path) = &latest {
                config.set(&STATE_RECOVERY_PATH, Some(path.clone()));
            }
            let env = StreamEnvironment::new(Arc::new(NoExecutor), config);
            env.set_parallelism(parallelism);
            self.build(&env, &mut Rng::seeded(job_seed))?.gather(&gathering);
            let (graph, config) = (env.stream_graph("simulated")?, env.config());
            drop(env);
            let magnitude = 4 + rng.below(12);
            let (crashes, faults) = (rng.below(recovery.crashes + 1), rng.below(recovery.storage_faults + 1));
            executor.let_crash(crashes, 1 << magnitude)?;
            executor.let_storage_fail(faults, 1 + rng.below(40), rng.next_u64());
            let is_last = incarnation + 1 == count;
            let steps = 6 + rng.below(12);
            let cancel_after = (!is_last).then(|| rng.below(1 << steps));
            let run = executor.run(graph, &config, cancel_after)?;
            story.push(format!(
                "parallelism {parallelism} from {latest:?}, {crashes} crashes in {} polls each, {faults} faults of the storage, ended after {cancel_after:?} steps: {}",
                1 << magnitude,
                run.status
            ));
            if is_last || run.status == JobStatus::Finished {
                return Ok((run.with_output(O::take(gathering)), story.join("\n  ")));
            }
            run.sound(false).map_err(|error| Error::bug(format!("incarnation {incarnation}: {error}")))?;
            latest = executor.newest_checkpoint()?.or(latest);
        }
        Err(Error::bug("there was no incarnation"))
    }

    fn executor(&self, seed: u64) -> SimExecutor {
        SimExecutor::new(seed).with_registry(self.operators().clone()).with_max_steps(self.most_steps().min(MOST_STEPS))
    }
}
