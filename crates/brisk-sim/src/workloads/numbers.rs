//! Numbers are counted per key: over each exchange and any parallelism, each key's counts must come gapless and in order.

use super::{any_size, checked, parameters, recovered, same};
use crate::recovery::Recovery;
use crate::simulation::simulate;
use brisk_base::world::Rng;
use brisk_base::{Error, Result};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::BTreeMap;

/// What a seed chooses.
struct Numbers {
    last: i64,
    keys: i64,
    exchange: u64,
    chaining: bool,
}

impl Numbers {
    fn draw(rng: &mut Rng) -> Self {
        Self { last: any_size(rng, 0, 3000) as i64, keys: any_size(rng, 1, 50) as i64, exchange: rng.below(6), chaining: !rng.one_in(4) }
    }

    /// Counts per key. The second exchange keeps each key's counts on one channel, hence in order.
    fn job(&self, env: &StreamEnvironment) -> DataStream<(i64, u64)> {
        let keys = self.keys;
        if !self.chaining {
            env.disable_operator_chaining();
        }
        let numbers = env.from_sequence(0, self.last);
        let sent = match self.exchange {
            0 => numbers,
            1 => numbers.rebalance(),
            2 => numbers.rescale(),
            3 => numbers.shuffle(),
            4 => numbers.global(),
            _ => numbers.union([&env.from_sequence(0, self.last)]),
        };
        let counts = sent.map(move |n| (n % keys, 1)).key_by(|pair| pair.0).sum(|pair| &mut pair.1);
        counts.key_by(|pair| pair.0 % 3).filter(|_| true)
    }

    fn expected(&self) -> BTreeMap<i64, u64> {
        let times = if self.exchange == 5 { 2 } else { 1 };
        let mut counts = BTreeMap::new();
        (0..=self.last).for_each(|n| *counts.entry(n % self.keys).or_default() += times);
        counts
    }

    fn check(&self, output: Vec<(i64, u64)>) -> Result<()> {
        let mut counts = BTreeMap::new();
        for (key, count) in output {
            let last = counts.insert(key, count).unwrap_or(0);
            if count != last + 1 {
                return Err(Error::bug(format!("key {key}: count {count} follows {last}")));
            }
        }
        same("counts", self.expected().into_iter().collect(), counts.into_iter().collect())
    }
}

pub(super) fn run(seed: u64) -> Result<u64> {
    let numbers = Numbers::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(numbers.job(env))).parallelism(1..=5);
    checked(&simulation, seed, |run| numbers.check(run.output))
}

/// The same over crashes and restarts.
pub(super) fn recover(seed: u64) -> Result<u64> {
    let numbers = Numbers::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(numbers.job(env)));
    recovered(&simulation, seed, &Recovery::default(), |run| numbers.check(run.output))
}

/// In processes that crash.
pub(super) fn in_processes(seed: u64) -> Result<u64> {
    let numbers = Numbers::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(numbers.job(env)));
    super::in_processes(&simulation, seed, |run| numbers.check(run.output))
}
