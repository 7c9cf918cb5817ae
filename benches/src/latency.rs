//! Latency: a fixed rate of records through key_by -> process -> sink, nothing tuned; microseconds from each record's *due* time, so that
//! a source that was held up shows.

use crate::{Benchmark, Outcome, Spec, engine, no_engine, nothing_to_prepare};
use anyhow::{Context as _, Result};
use brisk::prelude::*;
use brisk::sink::{Sink, SinkWriter};
use brisk::state::{StateDeclarations, ValueState};
use brisk::stream::function::{KeyedContext, KeyedProcessFunction};
use brisk::world::{MonoTime, World};
use std::sync::{Arc, Mutex, PoisonError};

/// 60 seconds.
pub(crate) const BENCHMARK: Benchmark =
    Benchmark { name: "latency", records: 600_000, engines: &[("brisk", 2)], prepare: nothing_to_prepare, run };

/// Records per second.
const RATE: f64 = 10_000.0;

fn run(spec: &Spec) -> Result<Outcome> {
    match spec.engine.as_str() {
        "brisk" => by_engine(spec),
        _ => Err(no_engine(spec)),
    }
}

/// A number and when it is due, in nanoseconds of the monotonic clock.
type Timed = (u64, u64);

/// Counts the records of each key and passes them on.
struct Seen {
    seen: ValueState<u64>,
}

impl KeyedProcessFunction for Seen {
    type Key = u64;
    type In = Timed;
    type Out = Timed;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { seen: state.value("seen") }
    }

    fn process_element(&mut self, timed: Timed, ctx: &mut KeyedContext<'_, u64>, out: &mut Collector<Timed>) -> brisk::Result<()> {
        let seen = self.seen.get(ctx)?.unwrap_or(0);
        self.seen.put(ctx, seen + 1)?;
        out.collect(timed);
        Ok(())
    }
}

/// Notes how late each record comes.
struct LatencySink {
    /// The first third warms up.
    skip: u64,
    all: Arc<Mutex<Vec<u32>>>,
}

struct Writer {
    skip: u64,
    world: World,
    micros: Vec<u32>,
    all: Arc<Mutex<Vec<u32>>>,
}

impl Sink for LatencySink {
    type In = Timed;

    fn create_writer(&self, cx: &RuntimeContext) -> brisk::Result<Box<dyn SinkWriter<Timed>>> {
        Ok(Box::new(Writer { skip: self.skip, world: cx.world.clone(), micros: Vec::new(), all: Arc::clone(&self.all) }))
    }
}

impl SinkWriter<Timed> for Writer {
    fn write(&mut self, (n, due): Timed, _timestamp: Timestamp) -> brisk::Result<()> {
        if n >= self.skip {
            let late = self.world.mono().since(MonoTime(due));
            self.micros.push(u32::try_from(late.as_micros()).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    fn flush(&mut self, end_of_input: bool) -> brisk::Result<()> {
        if end_of_input {
            self.all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.micros);
        }
        Ok(())
    }
}

fn by_engine(spec: &Spec) -> Result<Outcome> {
    let env = engine::environment(spec)?;
    let all = Arc::new(Mutex::new(Vec::new()));
    let source = DataGeneratorSource::with_due_time(|n, due: MonoTime| (n, due.0)).count(spec.records).per_second(RATE);
    env.from_source(source, WatermarkStrategy::no_watermarks(), "timed")
        .key_by(|(n, _)| n % 100)
        .process::<Seen>()
        .sink_to(LatencySink { skip: spec.records / 3, all: Arc::clone(&all) });
    engine::execute(&env, "latency")?;
    let mut micros = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
    micros.sort_unstable();
    let mut outcome = Outcome::new(spec.records, micros.len() as u64);
    for (name, share) in [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p999_us", 0.999)] {
        let at = ((micros.len() as f64 * share) as usize).min(micros.len().saturating_sub(1));
        outcome.extra.insert(name.to_string(), (*micros.get(at).context("no record came through")?).into());
    }
    outcome.extra.insert("max_us".to_string(), micros.last().copied().unwrap_or(0).into());
    Ok(outcome)
}
