//! Keyed window: numbers -> map -> filter (6 of 7 stay) -> 1000 keys -> sums per second of event time (a million records each).

use crate::blocks::BlockSource;
use crate::digest_sink::DigestSink;
use crate::engine::ONE_CORE;
use crate::{Benchmark, Outcome, Spec, digest, engine, no_engine, nothing_to_prepare};
use anyhow::Result;
use brisk::prelude::{Collector, Timestamp, WatermarkStrategy, millis};
use brisk::stream::window::{TimeWindow, TumblingEventTimeWindows};
use hashbrown::HashMap;
use std::sync::atomic::Ordering;

pub(crate) const BENCHMARK: Benchmark = Benchmark {
    name: "window",
    records: 100_000_000,
    engines: &[("brisk", 1), ("brisk", 2), (ONE_CORE, 1), ("loop", 1)],
    prepare: nothing_to_prepare,
    run,
};

/// Length of a window.
const WINDOW_MS: u64 = 1000;
/// The loop looks at its watermark once per this many records.
const CHECK_EVERY: u64 = 1024;

fn run(spec: &Spec) -> Result<Outcome> {
    match spec.engine.as_str() {
        "brisk" | ONE_CORE => by_engine(spec),
        "loop" => Ok(by_hand(spec.records)),
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
fn by_engine(spec: &Spec) -> Result<Outcome> {
    let env = engine::environment(spec)?;
    let (sink, total) = DigestSink::new(|(window, key, sum): &(u64, u64, u64), _| digest::of([*window, *key, *sum]));
    let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|n: &u64| Timestamp(timestamp(*n).cast_signed()));
    env.from_source(BlockSource { count: spec.records }, strategy, "numbers")
        .map(|n| n * 3 + 1)
        .filter(|x| !x.is_multiple_of(7))
        .key_by(|x| x % 1000)
        .window(TumblingEventTimeWindows::of(millis(WINDOW_MS.cast_signed())))
        .reduce_then(
            |a: u64, b: u64| a.wrapping_add(b),
            |key: &u64, window: &TimeWindow, sum: u64, out: &mut Collector<(u64, u64, u64)>| {
                out.collect((window.start().millis().cast_unsigned() / WINDOW_MS, *key, sum));
            },
        )
        .sink_to(sink);
    engine::execute(&env, "window")?;
    Ok(Outcome::new(spec.records, total.load(Ordering::Relaxed)))
}

/// Sums per key and window, in one map.
type Sums = HashMap<(u64, u64), u64, foldhash::fast::FixedState>;

/// One thread, one hash map keyed by (window, key), a watermark check per 1024 records, no exchange.
fn by_hand(records: u64) -> Outcome {
    let mut sums = Sums::default();
    let (mut digest, mut first_open) = (0, 0);
    let mut block = 0;
    while block < records {
        let end = (block + CHECK_EVERY).min(records);
        for n in block..end {
            let Some(x) = mapped(n) else { continue };
            let sum = sums.entry((timestamp(n) / WINDOW_MS, x % 1000)).or_insert(0);
            *sum = sum.wrapping_add(x);
        }
        // Times ascend, so everything before the last one seen is complete.
        let open = timestamp(end - 1) / WINDOW_MS;
        if open > first_open {
            digest = close(&mut sums, open, digest);
            first_open = open;
        }
        block = end;
    }
    Outcome::new(records, close(&mut sums, u64::MAX, digest))
}

/// Takes out the windows before `open` and adds their results to the digest.
fn close(sums: &mut Sums, open: u64, digest: u64) -> u64 {
    let closed = sums.extract_if(|(window, _), _| *window < open);
    closed.fold(digest, |digest, ((window, key), sum)| digest.wrapping_add(digest::of([window, key, sum])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_loop_sums_every_window() {
        let records = 2_500_123;
        let mut sums = BTreeMap::new();
        for x in (0..records).map(|n| (n, n * 3 + 1)).filter(|(_, x)| x % 7 != 0) {
            *sums.entry((x.0 / 1_000_000, x.1 % 1000)).or_insert(0) += x.1;
        }
        assert_eq!(sums.len(), 3000);
        let expected = sums.iter().fold(0, |d: u64, ((w, k), s)| d.wrapping_add(digest::of([*w, *k, *s])));
        assert_eq!(by_hand(records).digest, expected);
    }
}
