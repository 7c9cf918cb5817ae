//! Many subtasks: 1,000 sources, each connected to 1,000 keyed sums. How long until all run and every sum has had a record, what memory it
//! takes, and how long a cancellation lasts.

use crate::digest_sink::DigestSink;
use crate::{Benchmark, Outcome, Spec, engine, no_engine, nothing_to_prepare};
use anyhow::{Result, anyhow, ensure};
use brisk::prelude::*;
use brisk::world::World;
use std::time::Duration;

pub(crate) const BENCHMARK: Benchmark =
    Benchmark { name: "wide", records: 2_000_000, engines: &[("brisk", 1000)], prepare: nothing_to_prepare, run };

/// Records per second of all sources together.
const RATE: f64 = 500_000.0;
/// Whoever is not up by then has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn run(spec: &Spec) -> Result<Outcome> {
    match spec.engine.as_str() {
        "brisk" => by_engine(spec),
        _ => Err(no_engine(spec)),
    }
}

fn by_engine(spec: &Spec) -> Result<Outcome> {
    let world = World::real();
    let env = engine::environment(spec)?;
    let (sink, _) = DigestSink::new(|sum: &(u64, u64), _| sum.1);
    env.from_source(DataGeneratorSource::new(|n| (n % 100_000, 1)).per_second(RATE), WatermarkStrategy::no_watermarks(), "numbers")
        .key_by(|(key, _)| *key)
        .sum(|pair| &mut pair.1)
        .sink_to(sink);
    let begin = world.mono();
    let client = env.execute_async("wide").map_err(|error| anyhow!("{error}"))?;
    loop {
        let progress = client.progress();
        if progress.tasks_running == progress.tasks && progress.records_out >= spec.parallelism * 10 {
            break;
        }
        ensure!(world.mono().since(begin) < PATIENCE, "not up after {PATIENCE:?}: {progress:?}");
        if let Some(result) = client.wait_for(Duration::from_millis(20)) {
            return Err(anyhow!("the job ended: {result:?}"));
        }
    }
    let started = world.mono().since(begin);
    while client.progress().records_out < spec.records {
        ensure!(world.mono().since(begin) < PATIENCE * 2, "only {:?}", client.progress());
        ensure!(client.wait_for(Duration::from_millis(50)).is_none(), "the job ended by itself");
    }
    let records = client.progress().records_out;
    let cancel = world.mono();
    client.cancel();
    ensure!(client.wait_for(PATIENCE).is_some(), "not cancelled after {PATIENCE:?}");
    let cancelled = world.mono().since(cancel);
    let mut outcome = Outcome::new(records, 0);
    outcome.extra.insert("started_s".to_string(), started.as_secs_f64().into());
    outcome.extra.insert("cancelled_s".to_string(), cancelled.as_secs_f64().into());
    Ok(outcome)
}
