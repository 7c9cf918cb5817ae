//! A job is cancelled at a random step, be it before its tasks are deployed or while it is being wound up: it must end, and nothing of it
//! may be left.

use super::watch::Watch;
use super::{any_size, checked, parameters};
use crate::simulation::simulate;
use brisk_base::{Error, Result};
use brisk_core::job::JobStatus;
use brisk_stream::StreamEnvironment;

pub(super) fn run(seed: u64) -> Result<u64> {
    let mut rng = parameters(seed);
    let endless = rng.one_in(2);
    let last = if endless { i64::MAX - 1 } else { any_size(&mut rng, 0, 5000) as i64 };
    let keys = any_size(&mut rng, 1, 50) as i64;
    let (before, after) = (Watch::new(), Watch::new());
    let simulation = simulate(|env: &StreamEnvironment| {
        let numbers = env.from_sequence(0, last).filter(move |n| !endless || n % 256 == 0).process(before.clone());
        let numbers = numbers.map(move |n| (n % keys, 1u64));
        Ok(numbers.key_by(|pair| pair.0).sum(|pair| &mut pair.1).process(after.clone()))
    });
    let steps = checked(&simulation.parallelism(1..=5).cancels().max_steps(200_000), seed, |run| {
        if endless && run.status != JobStatus::Canceled {
            return Err(Error::bug(format!("an endless job is {}", run.status)));
        }
        if let (JobStatus::Finished, true) = (run.status, run.output.len() as i64 != last + 1) {
            return Err(Error::bug(format!("a finished job gave {} records of {}", run.output.len(), last + 1)));
        }
        Ok(())
    })?;
    before.check()?;
    after.check()?;
    Ok(steps)
}
