//! What incremental checkpoints cost, measured within one run: turns with checkpoints and turns without alternate over the same state, so that
//! neither what the machine does meanwhile nor the age of the database is mistaken for their cost.

use super::job::Plan;
use super::measured::{Folder, Meter};
use super::recovery::until;
use super::{VALUE, environment, said};
use crate::{Outcome, Spec};
use anyhow::Result;
use brisk::job::JobClient;
use brisk::world::World;
use std::time::Duration;

/// Whether checkpoints are made in each turn. Both kinds follow both kinds equally often.
const TURNS: [bool; 8] = [false, true, true, false, false, true, true, false];
/// From the begin of one checkpoint to that of the next.
const INTERVAL: Duration = Duration::from_secs(10);
/// Turns are this long for the default number of records, and shorter for fewer.
const RECORDS_PER_SECOND_OF_TURN: u64 = 1_500_000;

/// Turns of one kind, added up.
#[derive(Default)]
struct Sum {
    updates: u64,
    seconds: f64,
    longest_pause_ms: f64,
}

impl Sum {
    fn rate(&self) -> f64 {
        self.updates as f64 / self.seconds
    }
}

pub(super) fn run(spec: &Spec) -> Result<Outcome> {
    let folder = Folder::new("state")?;
    let plan = Plan { records: Plan::ENDLESS, keys: spec.records / 3, value: VALUE };
    let env = environment(spec, "rocksdb", None, &folder, ("taskmanager.memory.managed.size", "1g"))?;
    let held = plan.job(&env);
    let client = env.execute_async("state").map_err(|error| said(&error))?;
    // The pauses before the meter counts them are those of the load.
    until(&*client, || held.meter.seen() > plan.keys * 21 / 20)?;
    let length = Duration::from_secs((spec.records / RECORDS_PER_SECOND_OF_TURN).max(2));
    let (mut with, mut without) = (Sum::default(), Sum::default());
    let mut checkpoints = 0;
    for checkpointed in TURNS {
        let sum = if checkpointed { &mut with } else { &mut without };
        checkpoints += turn(&*client, &held.meter, checkpointed, length, sum)?;
    }
    client.cancel();
    let _ = client.wait();
    let mut outcome = Outcome::new(spec.records, 0);
    let mut figure = |name: &str, value: f64| drop(outcome.extra.insert(name.to_string(), value.into()));
    figure("updates_per_s", without.rate().round());
    figure("updates_per_s_checkpointed", with.rate().round());
    figure("lost_percent", (1.0 - with.rate() / without.rate()) * 100.0);
    figure("longest_pause_ms", with.longest_pause_ms);
    figure("longest_pause_without_ms", without.longest_pause_ms);
    figure("state_gb", (plan.keys * (VALUE as u64 + 8)) as f64 / 1e9);
    figure("checkpoints", f64::from(checkpoints));
    Ok(outcome)
}

/// One turn: an interval that is not measured, because work of the turn before is still going on, then as long as told. The checkpoints made.
fn turn(client: &dyn JobClient, meter: &Meter, checkpointed: bool, length: Duration, sum: &mut Sum) -> Result<u32> {
    let world = World::real();
    let settling = INTERVAL.min(length);
    let begin = world.mono();
    let since_begin = || world.mono().since(begin);
    let (mut measured_from, mut next, mut checkpoints) = (None, Duration::ZERO, 0);
    meter.take_longest_pause();
    while since_begin() < settling + length {
        if measured_from.is_none() && since_begin() >= settling {
            measured_from = Some((world.mono(), meter.seen()));
        }
        if checkpointed && since_begin() >= next {
            // It waits for the checkpoint, which takes less than the interval, or the next begins at once.
            client.trigger_checkpoint().map_err(|error| said(&error))?;
            checkpoints += 1;
            next += INTERVAL;
        }
        if let Some(ended) = client.wait_for(Duration::from_millis(5)) {
            ended.map_err(|error| said(&error))?;
            anyhow::bail!("the job has ended early");
        }
    }
    if let Some((from, seen)) = measured_from {
        sum.updates += meter.seen() - seen;
        sum.seconds += world.mono().since(from).as_secs_f64();
    }
    let pause_ms = meter.take_longest_pause().as_secs_f64() * 1e3;
    sum.longest_pause_ms = sum.longest_pause_ms.max(pause_ms);
    Ok(checkpoints)
}
