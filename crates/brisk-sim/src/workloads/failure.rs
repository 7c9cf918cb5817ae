//! User code fails at a random record, with an error or a panic: the job must fail and say where, and nothing of it may be left.

use super::watch::Watch;
use super::{any_size, checked, parameters};
use crate::fault::Fault;
use crate::run::Run;
use crate::simulation::simulate;
use brisk_base::{Error, Result};
use brisk_core::job::JobStatus;
use brisk_stream::StreamEnvironment;

/// Operators that may fail.
const PLACES: [&str; 3] = ["early", "keyed", "last"];

pub(super) fn run(seed: u64) -> Result<u64> {
    let mut rng = parameters(seed);
    let last = any_size(&mut rng, 0, 3000) as i64;
    let fault = Fault::draw(&mut rng, 1 + last as u64 * 5 / 4);
    let place = PLACES[rng.below(PLACES.len() as u64) as usize];
    let keys = any_size(&mut rng, 1, 50) as i64;
    let (before, after) = (Watch::new(), Watch::new());
    let at = |name: &'static str| {
        let fault = Some(fault.clone()).filter(|_| name == place);
        move || fault.as_ref().map_or(Ok(()), Fault::hit)
    };
    let simulation = simulate(|env: &StreamEnvironment| {
        let (early, keyed, last_one) = (at("early"), at("keyed"), at("last"));
        let numbers = env.from_sequence(0, last).process(before.clone()).try_map(move |n| early().map(|()| (n % keys, 1u64))).name("early");
        let sums = numbers.key_by(|pair| pair.0).try_reduce(move |sum, next| keyed().map(|()| (sum.0, sum.1 + next.1))).name("keyed");
        Ok(sums.rebalance().process(after.clone()).try_map(move |pair| last_one().map(|()| pair)).name("last"))
    });
    let steps = checked(&simulation.parallelism(1..=5).may_fail(), seed, |run| check(&run, &fault, place, last))?;
    before.check()?;
    after.check()?;
    Ok(steps)
}

fn check(run: &Run<Vec<(i64, u64)>>, fault: &Fault, place: &str, last: i64) -> Result<()> {
    let (error, found) = match &run.result {
        Ok(_) => (String::new(), run.output.len() as i64),
        Err(error) => (error.to_string(), 0),
    };
    match (run.status, fault.has_struck()) {
        (JobStatus::Finished, false) if found == last + 1 => Ok(()),
        (JobStatus::Failed, true) if error.contains(Fault::MESSAGE) && error.contains(&format!("operator '{place}' (")) => Ok(()),
        (status, struck) => {
            Err(Error::bug(format!("fault in '{place}' has struck: {struck}; the job is {status} with {found} records; {error}")))
        }
    }
}
