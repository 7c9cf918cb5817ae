//! Two sources of different speed whose watermarks are aligned: the job must not get stuck, and nothing may be lost or late.

use super::{any_size, checked, parameters, same};
use crate::simulation::simulate;
use brisk_base::world::Rng;
use brisk_base::{Millis, Result, Timestamp};
use brisk_connectors::datagen::DataGeneratorSource;
use brisk_core::function::Collector;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_stream::window::{TimeWindow, TumblingEventTimeWindows};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::BTreeMap;

/// Key and event time.
type Event = (i64, i64);

/// Key, start of the window, number of events.
type Count = (i64, i64, u64);

/// What a seed chooses.
struct Alignment {
    /// Records of each source, and milliseconds of event time from one to the next.
    sources: [(u64, i64); 2],
    drift: i64,
    /// Milliseconds between two comparisons.
    interval: i64,
    keys: i64,
    size: i64,
}

impl Alignment {
    fn draw(rng: &mut Rng) -> Self {
        let mut source = || (any_size(rng, 0, 1000), any_size(rng, 1, 50) as i64);
        Self {
            sources: [source(), source()],
            drift: any_size(rng, 0, 2000) as i64,
            interval: any_size(rng, 1, 1000) as i64,
            keys: any_size(rng, 1, 20) as i64,
            size: any_size(rng, 1, 1000) as i64,
        }
    }

    fn job(&self, env: &StreamEnvironment) -> DataStream<Count> {
        let source = |(records, step): (u64, i64)| {
            let keys = self.keys;
            let source = DataGeneratorSource::new(move |index| (index as i64 % keys, index as i64 * step)).count(records);
            let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|event: &Event| Timestamp(event.1));
            let strategy = strategy.with_watermark_alignment("all", Millis(self.drift), Millis(self.interval));
            env.from_source(source, strategy, "aligned")
        };
        let both = source(self.sources[0]).union([&source(self.sources[1])]);
        let windows = both.key_by(|event| event.0).window(TumblingEventTimeWindows::of(Millis(self.size)));
        windows.apply(|key: &i64, window: &TimeWindow, events: Vec<Event>, out: &mut Collector<Count>| {
            out.collect((*key, window.start().millis(), events.len() as u64));
        })
    }

    fn expected(&self) -> Vec<Count> {
        let mut counts: BTreeMap<(i64, i64), u64> = BTreeMap::new();
        for (records, step) in self.sources {
            for index in 0..records as i64 {
                let time = index * step;
                *counts.entry((index % self.keys, time - time % self.size)).or_default() += 1;
            }
        }
        counts.into_iter().map(|((key, start), count)| (key, start, count)).collect()
    }
}

pub(super) fn run(seed: u64) -> Result<u64> {
    let alignment = Alignment::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(alignment.job(env))).parallelism(1..=4);
    checked(&simulation, seed, |run| same("windows", alignment.expected(), run.output))
}
