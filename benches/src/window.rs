//! Keyed window: numbers -> map -> filter (6 of 7 stay) -> 1000 keys -> sums per second of event time (a million records each).

use crate::blocks::BlockSource;
use crate::digest_sink::DigestSink;
use crate::engine::ONE_CORE;
use crate::{Benchmark, Outcome, Spec, digest, engine, no_engine, nothing_to_prepare};
use anyhow::Result;
use brisk::prelude::{Collector, Timestamp, WatermarkStrategy, millis};
use brisk::stream::window::{SlidingEventTimeWindows, TimeWindow, TumblingEventTimeWindows};
use hashbrown::HashMap;
use std::sync::atomic::Ordering;

/// What a variant has more of.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// Distinct keys.
    keys: u64,
    /// Windows that each record falls into.
    overlap: u64,
}

const PLAIN: Shape = Shape { keys: 1000, overlap: 1 };
const MORE_KEYS: Shape = Shape { keys: 10 * PLAIN.keys, ..PLAIN };
const OVERLAPPING: Shape = Shape { overlap: 10, ..PLAIN };

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "window",
    records: 100_000_000,
    engines: &[("brisk", 1), ("brisk", 2), (ONE_CORE, 1), ("loop", 1)],
    prepare: nothing_to_prepare,
    run: |spec| run(spec, PLAIN),
};

/// Ten times the keys.
pub(crate) const KEYS: Benchmark =
    Benchmark { name: "window-keys", engines: &[("brisk", 1), ("brisk", 2), ("loop", 1)], run: |spec| run(spec, MORE_KEYS), ..BENCHMARK };

/// Ten times the windows: ten seconds long, one each second.
pub(crate) const OVERLAP: Benchmark = Benchmark {
    name: "window-overlap",
    records: 20_000_000,
    engines: &[("brisk", 1), ("brisk", 2), ("loop", 1)],
    run: |spec| run(spec, OVERLAPPING),
    ..BENCHMARK
};

/// Ten times the subtasks.
pub(crate) const SUBTASKS: Benchmark = Benchmark { name: "window-subtasks", engines: &[("brisk", 20), ("loop", 1)], ..BENCHMARK };

/// Length of a window, but for what it overlaps with.
const WINDOW_MS: u64 = 1000;
/// The loop looks at its watermark once per this many records.
const CHECK_EVERY: u64 = 1024;

fn run(spec: &Spec, shape: Shape) -> Result<Outcome> {
    match spec.engine.as_str() {
        "brisk" | ONE_CORE => by_engine(spec, shape),
        "loop" => Ok(match shape {
            PLAIN => by_hand::<1000, 1>(spec.records),
            MORE_KEYS => by_hand::<10_000, 1>(spec.records),
            _ => by_hand::<1000, 10>(spec.records),
        }),
        _ => Err(no_engine(spec)),
    }
}

/// Event time of record `n`, in milliseconds.
fn timestamp(n: u64) -> u64 {
    n / 1000
}

/// The record the keyed part sees, if it is not filtered out.
fn mapped(n: u64) -> Option<u64> {
    let x = n * 3 + 1;
    (!x.is_multiple_of(7)).then_some(x)
}

/// The peer's job, operator by operator; each result carries its window and key for the digest.
fn by_engine(spec: &Spec, shape: Shape) -> Result<Outcome> {
    let env = engine::environment(spec)?;
    let (sink, total) = DigestSink::new(|(window, key, sum): &(u64, u64, u64), _| digest::of([*window, *key, *sum]));
    let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|n: &u64| Timestamp(timestamp(*n).cast_signed()));
    let numbers =
        env.from_source(BlockSource { count: spec.records }, strategy, "numbers").map(|n| n * 3 + 1).filter(|x| !x.is_multiple_of(7));
    let second = millis(WINDOW_MS.cast_signed());
    let sum = |a: u64, b: u64| a.wrapping_add(b);
    let result = |key: &u64, window: &TimeWindow, sum: u64, out: &mut Collector<(u64, u64, u64)>| {
        out.collect(((window.start().millis() / WINDOW_MS.cast_signed()).cast_unsigned(), *key, sum));
    };
    let sums = match shape {
        // The key as the peer has it; a constant is divided by faster than a variable.
        PLAIN => numbers.key_by(|x| x % PLAIN.keys).window(TumblingEventTimeWindows::of(second)).reduce_then(sum, result),
        MORE_KEYS => numbers.key_by(|x| x % MORE_KEYS.keys).window(TumblingEventTimeWindows::of(second)).reduce_then(sum, result),
        Shape { keys, overlap } => {
            let windows = SlidingEventTimeWindows::of(second * overlap.cast_signed(), second);
            numbers.key_by(move |x| x % keys).window(windows).reduce_then(sum, result)
        }
    };
    sums.sink_to(sink);
    engine::execute(&env, "window")?;
    Ok(Outcome::new(spec.records, total.load(Ordering::Relaxed)))
}

/// Sums per window, by the second in which it starts, and key, in one map.
type Sums = HashMap<(i64, u64), u64, foldhash::fast::FixedState>;

/// One thread, one hash map keyed by (window, key), a watermark check per 1024 records, no exchange.
/// Written for one number of keys and of windows that a record falls into.
fn by_hand<const KEYS: u64, const OVERLAP: i64>(records: u64) -> Outcome {
    let mut sums = Sums::default();
    let earliest = 1 - OVERLAP;
    let (mut digest, mut first_open) = (0, earliest);
    let mut block = 0;
    while block < records {
        let end = (block + CHECK_EVERY).min(records);
        for n in block..end {
            let Some(x) = mapped(n) else { continue };
            let last = (timestamp(n) / WINDOW_MS).cast_signed();
            for back in 0..OVERLAP {
                let sum = sums.entry((last - back, x % KEYS)).or_insert(0);
                *sum = sum.wrapping_add(x);
            }
        }
        // Times ascend, so everything before the last one seen is complete.
        let open = (timestamp(end - 1) / WINDOW_MS).cast_signed() + earliest;
        if open > first_open {
            digest = close(&mut sums, open, digest);
            first_open = open;
        }
        block = end;
    }
    Outcome::new(records, close(&mut sums, i64::MAX, digest))
}

/// Takes out the windows before `open` and adds their results to the digest.
fn close(sums: &mut Sums, open: i64, digest: u64) -> u64 {
    let closed = sums.extract_if(|(window, _), _| *window < open);
    closed.fold(digest, |digest, ((window, key), sum)| digest.wrapping_add(digest::of([window.cast_unsigned(), key, sum])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_loop_sums_every_window() {
        let records = 2_500_123_u64;
        let by_hand = [by_hand::<1000, 1>, by_hand::<10_000, 1>, by_hand::<1000, 10>];
        for (shape, by_hand) in [PLAIN, MORE_KEYS, OVERLAPPING].into_iter().zip(by_hand) {
            let mut sums = BTreeMap::new();
            for (n, x) in (0..records).map(|n| (n, n * 3 + 1)).filter(|(_, x)| x % 7 != 0) {
                for back in 0..shape.overlap {
                    let start = (n / 1_000_000).cast_signed() - back.cast_signed();
                    *sums.entry((start, x % shape.keys)).or_insert(0) += x;
                }
            }
            assert_eq!(sums.len() as u64, (2 + shape.overlap) * shape.keys);
            let of = |((window, key), sum): (&(i64, u64), &u64)| digest::of([window.cast_unsigned(), *key, *sum]);
            let expected = sums.iter().fold(0, |digest: u64, sum| digest.wrapping_add(of(sum)));
            assert_eq!(by_hand(records).digest, expected);
        }
    }
}
