//! Delays by weather: each flight is joined with the last observation at its airport in the hour before.

use crate::records::{Delays, Departure};
use brisk::formats::timestamp;
use brisk::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// The weather at an airport; observed every hour.
#[derive(Clone, Debug, Record, Deserialize)]
pub(crate) struct Observation {
    origin: String,
    #[serde(with = "timestamp")]
    obs_time: Timestamp,
    wind_speed: Option<f64>,
    precip: f64,
    visib: f64,
}

/// What matters most about the weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Record, Key)]
pub(crate) enum Condition {
    Fair,
    Wind,
    Rain,
    Fog,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fair => "fair",
            Self::Wind => "wind of 20 mph or more",
            Self::Rain => "rain or snow",
            Self::Fog => "sight below 2 miles",
        })
    }
}

impl Observation {
    fn condition(&self) -> Condition {
        match self {
            Self { visib, .. } if *visib < 2.0 => Condition::Fog,
            Self { precip, .. } if *precip > 0.0 => Condition::Rain,
            Self { wind_speed: Some(speed), .. } if *speed >= 20.0 => Condition::Wind,
            _ => Condition::Fair,
        }
    }
}

/// The delays of all flights for which there is an observation, by condition, when the input has ended.
pub(crate) fn delays_by_condition(
    departures: &DataStream<Departure>,
    env: &StreamEnvironment,
    weather: &Path,
) -> DataStream<(Condition, Delays)> {
    let observations = env.from_source(
        FileSource::csv(weather),
        WatermarkStrategy::monotonous_timestamps().with_timestamp(|observation: &Observation| observation.obs_time),
        "Weather",
    );
    departures
        .key_by_ref(|departure| &departure.origin)
        .interval_join(&observations.set_parallelism(1).key_by_ref(|observation| &observation.origin))
        .between(-hours(1), Millis::ZERO)
        .lower_bound_exclusive()
        .process_fn(|departure, observation, _ctx: &mut JoinContext<'_>, out: &mut Collector<(Condition, Delays)>| {
            let mut delays = Delays::default();
            delays.add(departure.dep_delay);
            out.collect((observation.condition(), delays));
        })
        .key_by(|(condition, _)| *condition)
        .window(GlobalWindows::create())
        .trigger(EndOfStreamTrigger)
        .reduce(|mut sum, next| {
            sum.1.merge(&next.1);
            sum
        })
}

/// The same without an engine.
pub(crate) fn computed_plainly(departures: &[Departure], observations: &[Observation]) -> BTreeMap<Condition, Delays> {
    let by_hour: BTreeMap<(&str, Timestamp), &Observation> =
        observations.iter().map(|observation| ((observation.origin.as_str(), observation.obs_time), observation)).collect();
    let mut delays: BTreeMap<Condition, Delays> = BTreeMap::new();
    for Departure { origin, sched_time, dep_delay, .. } in departures {
        let hour = sched_time.window_start(Millis::ZERO, hours(1));
        if let Some(observation) = by_hour.get(&(origin.as_str(), hour)) {
            delays.entry(observation.condition()).or_default().add(*dep_delay);
        }
    }
    delays
}
