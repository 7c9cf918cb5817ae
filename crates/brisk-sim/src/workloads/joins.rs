//! Random streams joined by interval and in windows, against a plain computation of all pairs.

use super::events::{Event, Events, any_start};
use super::{any_size, checked, parameters, recovered, same};
use crate::recovery::Recovery;
use crate::simulation::simulate;
use brisk_base::world::Rng;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::function::Collector;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_stream::join::JoinContext;
use brisk_stream::window::{SlidingEventTimeWindows, TumblingEventTimeWindows};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::BTreeMap;

/// Values of the left and the right event.
type Pair = (i64, i64);

/// How the streams are joined.
#[derive(Clone, Copy)]
enum Kind {
    Interval { lower: i64, upper: i64 },
    Tumbling { size: i64 },
    Sliding { size: i64, slide: i64 },
}

/// What a seed chooses.
struct Joins {
    left: Events,
    right: Events,
    kind: Kind,
}

impl Joins {
    fn draw(rng: &mut Rng) -> Self {
        let size = any_size(rng, 1, 1000) as i64;
        let kind = match rng.below(3) {
            0 => {
                let lower = any_size(rng, 0, 600) as i64 - 300;
                Kind::Interval { lower, upper: lower + any_size(rng, 0, 300) as i64 }
            }
            1 => Kind::Tumbling { size },
            _ => Kind::Sliding { size, slide: size / (1 + rng.below(4) as i64).min(size) },
        };
        let start = any_start(rng);
        let (left, right) = (Events::draw(rng, 500, start), Events::draw(rng, 500, start));
        Self { left, right, kind }
    }

    fn job(&self, env: &StreamEnvironment) -> DataStream<Pair> {
        let read = |events: &Events| {
            let strategy = WatermarkStrategy::bounded_out_of_orderness(Millis(events.disorder));
            let strategy = strategy.with_timestamp(|event: &Event| Timestamp(event.1));
            env.from_collection(events.list.clone()).rebalance().assign_timestamps_and_watermarks(strategy)
        };
        let (left, right) = (read(&self.left), read(&self.right));
        let by_key = || left.join(&right).where_(|event| event.0).equal_to(|event| event.0);
        match self.kind {
            Kind::Interval { lower, upper } => {
                let (left, right) = (left.key_by(|event| event.0), right.key_by(|event| event.0));
                let joined = left.interval_join(&right).between(Millis(lower), Millis(upper));
                joined.process_fn(|left: &Event, right: &Event, _: &mut JoinContext<'_>, out: &mut Collector<Pair>| {
                    out.collect((left.2, right.2));
                })
            }
            Kind::Tumbling { size } => by_key().window(TumblingEventTimeWindows::of(Millis(size))).apply(|left, right| (left.2, right.2)),
            Kind::Sliding { size, slide } => {
                by_key().window(SlidingEventTimeWindows::of(Millis(size), Millis(slide))).apply(|left, right| (left.2, right.2))
            }
        }
    }

    /// How often a pair of two times is a result.
    fn times(&self, left: i64, right: i64) -> usize {
        match self.kind {
            Kind::Interval { lower, upper } => usize::from((left + lower..=left + upper).contains(&right)),
            Kind::Tumbling { size } => usize::from(left.div_euclid(size) == right.div_euclid(size)),
            Kind::Sliding { size, slide } => {
                let last = left.min(right).div_euclid(slide) * slide;
                (0..).map(|n| last - n * slide).take_while(|start| start + size > left.max(right)).count()
            }
        }
    }

    fn expected(&self) -> Vec<Pair> {
        let mut by_key: BTreeMap<u32, Vec<&Event>> = BTreeMap::new();
        self.right.list.iter().for_each(|event| by_key.entry(event.0).or_default().push(event));
        let mut pairs = Vec::new();
        for left in &self.left.list {
            for right in by_key.get(&left.0).into_iter().flatten() {
                pairs.extend(std::iter::repeat_n((left.2, right.2), self.times(left.1, right.1)));
            }
        }
        pairs
    }
}

pub(super) fn run(seed: u64) -> Result<u64> {
    let joins = Joins::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(joins.job(env))).parallelism(1..=4);
    checked(&simulation, seed, |run| same("pairs", joins.expected(), run.output))
}

/// The same over crashes and restarts.
pub(super) fn recover(seed: u64) -> Result<u64> {
    let joins = Joins::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(joins.job(env)));
    recovered(&simulation, seed, &Recovery::default(), |run| same("pairs", joins.expected(), run.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_give_pairs_of_each_kind() {
        let mut pairs = [0; 3];
        for seed in 0..60 {
            let joins = Joins::draw(&mut parameters(seed));
            let kind = match joins.kind {
                Kind::Interval { .. } => 0,
                Kind::Tumbling { .. } => 1,
                Kind::Sliding { .. } => 2,
            };
            pairs[kind] += joins.expected().len();
        }
        assert!(pairs.iter().all(|pairs| *pairs > 1000), "{pairs:?}");
    }
}
