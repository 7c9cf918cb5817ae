//! Keyed rolling sum: each record adds its number to the sum of one of ten million keys, and the new sum is a result.

use crate::blocks::BlockSource;
use crate::digest::mix;
use crate::digest_sink::DigestSink;
use crate::{Benchmark, Outcome, Spec, engine, no_engine, nothing_to_prepare};
use anyhow::Result;
use brisk::prelude::*;
use brisk::state::{StateDeclarations, ValueState};
use brisk::stream::function::{KeyedContext, KeyedProcessFunction};
use hashbrown::HashMap;
use std::sync::atomic::Ordering;

pub(crate) const BENCHMARK: Benchmark =
    Benchmark { name: "sum", records: 50_000_000, engines: &[("brisk", 1), ("rocksdb", 1), ("loop", 1)], prepare: nothing_to_prepare, run };

/// Distinct keys.
const KEYS: u64 = 10_000_000;

fn run(spec: &Spec) -> Result<Outcome> {
    match spec.engine.as_str() {
        "brisk" | "rocksdb" => by_engine(spec),
        "loop" => Ok(by_hand(spec.records, KEYS)),
        _ => Err(no_engine(spec)),
    }
}

/// The key of record `n`: its mixed number, taken as signed as the peer does, modulo the number of keys.
fn key(n: u64, keys: u64) -> u64 {
    mix(n).cast_signed().rem_euclid(keys.cast_signed()).cast_unsigned()
}

/// The running sum of each key in a `ValueState`, as the peer's job has it.
struct RunningSum {
    sum: ValueState<u64>,
}

impl KeyedProcessFunction for RunningSum {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { sum: state.value("sum") }
    }

    fn process_element(&mut self, n: u64, ctx: &mut KeyedContext<'_, u64>, out: &mut Collector<u64>) -> brisk::Result<()> {
        let sum = self.sum.update(ctx, |sum| {
            let next = sum.unwrap_or(0).wrapping_add(n);
            *sum = Some(next);
            next
        })?;
        out.collect(sum);
        Ok(())
    }
}

fn by_engine(spec: &Spec) -> Result<Outcome> {
    let env = engine::environment(spec)?;
    if spec.engine == "rocksdb" {
        // As much as the peer's TaskManager gives its databases.
        env.with_config(|config| {
            config.set_text("state.backend.type", "rocksdb");
            config.set_text("taskmanager.memory.managed.size", "2g");
        });
    }
    let (sink, total) = DigestSink::new(|sum: &u64, _| *sum);
    env.from_source(BlockSource { count: spec.records }, WatermarkStrategy::no_watermarks(), "numbers")
        .key_by(|n| key(*n, KEYS))
        .process::<RunningSum>()
        .sink_to(sink);
    engine::execute(&env, "sum")?;
    Ok(Outcome::new(spec.records, total.load(Ordering::Relaxed)))
}

/// One thread, one hash map. The digest is the sum of all results.
fn by_hand(records: u64, keys: u64) -> Outcome {
    let mut sums: HashMap<u64, u64, foldhash::fast::FixedState> = HashMap::default();
    let mut digest = 0_u64;
    for n in 0..records {
        let sum = sums.entry(key(n, keys)).or_insert(0);
        *sum = sum.wrapping_add(n);
        digest = digest.wrapping_add(*sum);
    }
    Outcome::new(records, digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_in_range_also_for_negative_numbers() {
        assert!((0..1000).any(|n| mix(n).cast_signed() < 0));
        assert!((0..1000).all(|n| key(n, 10) < 10));
    }

    #[test]
    fn the_loop_keeps_rolling_sums() {
        let mut sums = [0; 3];
        let mut expected = 0;
        for n in 0..100_u64 {
            let sum = &mut sums[key(n, 3) as usize];
            *sum += n;
            expected += *sum;
        }
        assert_eq!(by_hand(100, 3).digest, expected);
    }
}
