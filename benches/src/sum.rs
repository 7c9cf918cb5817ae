//! Keyed rolling sum: each record adds its number to the sum of one of ten million keys, and the new sum is a result.

use crate::digest::mix;
use crate::{Benchmark, Outcome, Spec, no_engine, nothing_to_prepare};
use anyhow::Result;
use hashbrown::HashMap;

pub(crate) const BENCHMARK: Benchmark =
    Benchmark { name: "sum", records: 50_000_000, engines: &[("loop", 1)], prepare: nothing_to_prepare, run };

/// Distinct keys.
const KEYS: u64 = 10_000_000;

fn run(spec: &Spec) -> Result<Outcome> {
    match spec.engine.as_str() {
        "loop" => Ok(by_hand(spec.records, KEYS)),
        _ => Err(no_engine(spec)),
    }
}

/// The key of record `n`: its mixed number, taken as signed as the peer does, modulo the number of keys.
fn key(n: u64, keys: u64) -> u64 {
    mix(n).cast_signed().rem_euclid(keys.cast_signed()).cast_unsigned()
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
