//! A piece of the flight stream, as the departures example reads it: hours per airport, sessions per plane, and the hours again with a
//! watermark that leaves late departures behind.

use super::flights::{Departure, departures};
use super::{any_size, checked, parameters, recovered, same};
use crate::recovery::Recovery;
use crate::simulation::simulate;
use brisk_base::time::{hours, minutes};
use brisk_base::world::Rng;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{AggregateFunction, Collector, OutputTag};
use brisk_stream::window::{EventTimeSessionWindows, TimeWindow, TumblingEventTimeWindows};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::BTreeMap;

/// Airport or plane; start and end of the window; number of flights, sum, maximum and minimum of their delays.
type Stats = (String, i64, i64, Delays);

/// Number, sum, maximum, minimum.
type Delays = (u64, i64, i64, i64);

/// More than any departure of the data is late.
const NOTHING_LATE: Millis = hours(48);
const BOUND: Millis = minutes(60);
const HOUR: Millis = hours(1);
const GAP: Millis = hours(24);

/// Hours, sessions, hours with late departures left out, late departures.
type Streams = (DataStream<Stats>, DataStream<Stats>, DataStream<Stats>, DataStream<Departure>);

/// What a seed chooses.
struct Piece {
    flights: &'static [Departure],
    /// Whether the source reads in parallel, where that may not matter.
    parallel_source: bool,
}

impl Piece {
    fn draw(rng: &mut Rng) -> Result<Self> {
        let all = departures()?;
        let count = any_size(rng, 1, 4000) as usize;
        let first = rng.below((all.len() - count) as u64) as usize;
        Ok(Self { flights: &all[first..first + count], parallel_source: rng.one_in(2) })
    }

    fn job(&self, env: &StreamEnvironment) -> Streams {
        let flights = self.flights.to_vec();
        let read = if self.parallel_source { env.from_parallel_collection(flights) } else { env.from_collection(flights) };
        // Without uids, ids follow from what is chained, as in Flink; and what is chained changes with the parallelism.
        let all = read.uid("flights").assign_timestamps_and_watermarks(strategy(NOTHING_LATE));
        let hourly =
            all.key_by(|flight| flight.3.clone()).window(TumblingEventTimeWindows::of(HOUR)).aggregate(DelayStats, collect).uid("hourly");
        let planes = all.filter(|flight| flight.4.is_some()).key_by(|flight| flight.4.clone().unwrap_or_default());
        let sessions = planes.window(EventTimeSessionWindows::with_gap(GAP)).aggregate(DelayStats, collect).uid("sessions");

        let late = OutputTag::new("late");
        let in_order = env
            .from_collection(self.flights.to_vec())
            .uid("flights again")
            .assign_timestamps_and_watermarks(strategy(BOUND))
            .set_parallelism(1);
        let strict = in_order.key_by(|flight| flight.3.clone()).window(TumblingEventTimeWindows::of(HOUR));
        let strict = strict.side_output_late_data(&late).aggregate(DelayStats, collect).uid("strict");
        let late = strict.side_output(&late);
        (hourly, sessions, strict, late)
    }
}

fn strategy(bound: Millis) -> WatermarkStrategy<Departure> {
    WatermarkStrategy::bounded_out_of_orderness(bound).with_timestamp(|flight: &Departure| Timestamp(flight.1))
}

#[expect(clippy::ptr_arg, reason = "the window function is given the key by reference")]
fn collect(key: &String, window: &TimeWindow, delays: Delays, out: &mut Collector<Stats>) {
    out.collect((key.clone(), window.start().millis(), window.end().millis(), delays));
}

/// Folds the delays of flights.
struct DelayStats;

impl AggregateFunction for DelayStats {
    type In = Departure;
    type Acc = Delays;
    type Out = Delays;

    fn create_accumulator(&self) -> Delays {
        (0, 0, i64::MIN, i64::MAX)
    }

    fn add(&self, delays: &mut Delays, flight: Departure) -> Result<()> {
        *delays = with(*delays, flight.2);
        Ok(())
    }

    fn get_result(&self, delays: &Delays) -> Result<Delays> {
        Ok(*delays)
    }

    fn merge(&self, into: &mut Delays, from: Delays) -> Result<()> {
        *into = (into.0 + from.0, into.1 + from.1, into.2.max(from.2), into.3.min(from.3));
        Ok(())
    }
}

fn with(delays: Delays, delay: i64) -> Delays {
    (delays.0 + 1, delays.1 + delay, delays.2.max(delay), delays.3.min(delay))
}

/// Delays of some flights.
fn delays<'a>(flights: impl Iterator<Item = &'a Departure>) -> Delays {
    flights.fold((0, 0, i64::MIN, i64::MAX), |sum, flight| with(sum, flight.2))
}

/// The plain computation: flights by hour and airport.
fn by_hour<'a>(flights: impl Iterator<Item = &'a Departure>) -> Vec<Stats> {
    let mut hours: BTreeMap<(String, i64), Vec<&Departure>> = BTreeMap::new();
    flights.for_each(|flight| hours.entry((flight.3.clone(), hour_of(flight))).or_default().push(flight));
    hours.into_iter().map(|((origin, start), flights)| (origin, start, start + HOUR.0, delays(flights.into_iter()))).collect()
}

fn hour_of(flight: &Departure) -> i64 {
    flight.1 - flight.1.rem_euclid(HOUR.0)
}

/// The plain computation: the flights of each plane in order of time, cut where there is a pause of more than the gap.
fn by_plane(flights: &[Departure]) -> Vec<Stats> {
    let mut planes: BTreeMap<&String, Vec<&Departure>> = BTreeMap::new();
    flights.iter().filter_map(|flight| Some((flight.4.as_ref()?, flight))).for_each(|(tail, flight)| {
        planes.entry(tail).or_default().push(flight);
    });
    let mut found = Vec::new();
    for (tail, mut flights) in planes {
        flights.sort_by_key(|flight| flight.1);
        for session in flights.chunk_by(|first, second| second.1 - first.1 <= GAP.0) {
            let (first, last) = (session[0].1, session[session.len() - 1].1);
            found.push((tail.clone(), first, last + GAP.0, delays(session.iter().copied())));
        }
    }
    found
}

/// The plain computation: flights whose hour was over, by the watermark before them.
fn late(flights: &[Departure]) -> (Vec<&Departure>, Vec<&Departure>) {
    let mut highest = i64::MIN;
    flights.iter().partition(|flight| {
        let watermark = highest.saturating_sub(BOUND.0 + 1);
        highest = highest.max(flight.1);
        hour_of(flight) + HOUR.0 - 1 <= watermark
    })
}

/// What the streams give.
type Output = (Vec<Stats>, Vec<Stats>, Vec<Stats>, Vec<Departure>);

fn check(piece: &Piece, (hourly, sessions, strict, found_late): Output) -> Result<()> {
    let (late, in_time) = late(piece.flights);
    same("hours", by_hour(piece.flights.iter()), hourly)?;
    same("sessions", by_plane(piece.flights), sessions)?;
    same("hours with late departures left out", by_hour(in_time.into_iter()), strict)?;
    same("late departures", late.into_iter().cloned().collect(), found_late)
}

pub(super) fn run(seed: u64) -> Result<u64> {
    let piece = Piece::draw(&mut parameters(seed))?;
    let simulation = simulate(|env: &StreamEnvironment| Ok(piece.job(env))).parallelism(1..=4);
    checked(&simulation, seed, |run| check(&piece, run.output))
}

/// The same over crashes and restarts.
pub(super) fn recover(seed: u64) -> Result<u64> {
    let piece = Piece::draw(&mut parameters(seed))?;
    let simulation = simulate(|env: &StreamEnvironment| Ok(piece.job(env)));
    recovered(&simulation, seed, &Recovery::default(), |run| check(&piece, run.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed has records under way at an unaligned checkpoint that is restored where other operators are chained.
    #[test]
    fn records_under_way_reach_a_vertex_whose_producer_is_another_now() -> Result<()> {
        recover(192).map(drop)
    }

    #[test]
    fn the_pieces_have_late_departures_and_planes_that_fly_again() {
        let (mut left_behind, mut again) = (0, 0);
        for seed in 0..20 {
            let piece = Piece::draw(&mut parameters(seed)).unwrap();
            left_behind += late(piece.flights).0.len();
            again += by_plane(piece.flights).iter().filter(|session| session.3.0 > 1).count();
        }
        assert!(left_behind > 100 && again > 100, "{left_behind} late, {again} sessions of several flights");
    }
}
