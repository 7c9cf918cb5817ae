//! Random events in tumbling, sliding and session windows, against a plain computation.
//!
//! Half of the seeds read the events in parallel with a watermark that leaves nothing behind; every window then fires once. The others
//! read them in order with a tighter watermark, so that it is fixed, record by record, which events are late and which windows fire again.

use super::events::{Event, Events, any_start};
use super::{any_size, checked, parameters, recovered, same};
use crate::recovery::Recovery;
use crate::simulation::simulate;
use brisk_base::world::Rng;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{AggregateFunction, Collector, OutputTag};
use brisk_stream::window::{
    EventTimeSessionWindows, SlidingEventTimeWindows, TimeWindow, TumblingEventTimeWindows, WindowAssigner, WindowedStream,
};
use brisk_stream::{DataStream, KeySelector, KeyedStream, StreamEnvironment};
use std::collections::BTreeMap;

/// Key, start and end of the window, and its values: all of them, or their number and sum.
type Fired = (u32, i64, i64, Vec<i64>);

/// Which windows.
#[derive(Clone, Copy)]
enum Kind {
    Tumbling { size: i64, offset: i64 },
    Sliding { size: i64, slide: i64 },
    Session { gap: i64 },
}

/// What a seed chooses.
struct Windows {
    events: Events,
    kind: Kind,
    /// Whether the events are read in order, so that lateness is fixed.
    in_order: bool,
    /// Whether the window function gets all elements.
    all_elements: bool,
    /// How far the watermark is behind.
    bound: i64,
    lateness: i64,
}

impl Windows {
    fn draw(rng: &mut Rng) -> Self {
        let start = any_start(rng);
        let events = Events::draw(rng, 2500, start);
        let size = any_size(rng, 1, 2000) as i64;
        let kind = match rng.below(3) {
            0 => Kind::Tumbling { size, offset: rng.below(size as u64) as i64 },
            1 => Kind::Sliding { size, slide: size / (1 + rng.below(5) as i64).min(size) },
            _ => Kind::Session { gap: any_size(rng, 1, 300) as i64 },
        };
        let in_order = rng.one_in(2);
        // One more than the disorder: a session is joined also by an event that touches its end.
        let bound = if in_order { any_size(rng, 0, events.disorder as u64) as i64 } else { events.disorder + 1 };
        let again = in_order && !matches!(kind, Kind::Session { .. });
        let lateness = if again { any_size(rng, 0, 300) as i64 } else { 0 };
        Self { events, kind, in_order, all_elements: rng.one_in(2), bound, lateness }
    }

    fn job(&self, env: &StreamEnvironment) -> (DataStream<Fired>, DataStream<Event>) {
        let strategy = WatermarkStrategy::bounded_out_of_orderness(Millis(self.bound)).with_timestamp(|event: &Event| Timestamp(event.1));
        let list = self.events.list.clone();
        let events = match self.in_order {
            true => env.from_collection(list).assign_timestamps_and_watermarks(strategy).set_parallelism(1),
            false if list.len().is_multiple_of(2) => env.from_collection(list).rebalance().assign_timestamps_and_watermarks(strategy),
            false => env.from_parallel_collection(list).assign_timestamps_and_watermarks(strategy),
        };
        let keyed = events.key_by(|event| event.0);
        match self.kind {
            Kind::Tumbling { size, offset } => self.windowed(&keyed, TumblingEventTimeWindows::of(Millis(size)).offset(Millis(offset))),
            Kind::Sliding { size, slide } => self.windowed(&keyed, SlidingEventTimeWindows::of(Millis(size), Millis(slide))),
            Kind::Session { gap } => self.windowed(&keyed, EventTimeSessionWindows::with_gap(Millis(gap))),
        }
    }

    fn windowed<S: KeySelector<Event, Key = u32>, A: WindowAssigner<Event, Window = TimeWindow>>(
        &self,
        keyed: &KeyedStream<Event, S>,
        assigner: A,
    ) -> (DataStream<Fired>, DataStream<Event>) {
        let late = OutputTag::new("late");
        let windowed: WindowedStream<Event, S, TimeWindow> =
            keyed.window(assigner).allowed_lateness(Millis(self.lateness)).side_output_late_data(&late);
        let fired = |key: &u32, window: &TimeWindow, values| (*key, window.start().millis(), window.end().millis(), values);
        let results = if self.all_elements {
            windowed.apply(move |key: &u32, window: &TimeWindow, events: Vec<Event>, out: &mut Collector<Fired>| {
                out.collect(fired(key, window, events.iter().map(|event| event.2).collect()));
            })
        } else {
            windowed.aggregate(CountAndSum, move |key: &u32, window: &TimeWindow, (count, sum): (i64, i64), out: &mut Collector<Fired>| {
                out.collect(fired(key, window, vec![count, sum]));
            })
        };
        let late = results.side_output(&late);
        (results, late)
    }

    /// What the window function makes of the values of a window.
    fn result(&self, values: &[i64]) -> Vec<i64> {
        if self.all_elements { values.to_vec() } else { vec![values.len() as i64, values.iter().sum()] }
    }

    /// Parallel readers leave the order within a window open.
    fn normal(&self, mut fired: Vec<Fired>) -> Vec<Fired> {
        if self.all_elements && !self.in_order {
            fired.iter_mut().for_each(|(.., values)| values.sort_unstable());
        }
        fired
    }
}

/// Number of values, and their sum.
struct CountAndSum;

impl AggregateFunction for CountAndSum {
    type In = Event;
    type Acc = (i64, i64);
    type Out = (i64, i64);

    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, (count, sum): &mut (i64, i64), event: Event) -> Result<()> {
        *count += 1;
        *sum += event.2;
        Ok(())
    }

    fn get_result(&self, accumulator: &(i64, i64)) -> Result<(i64, i64)> {
        Ok(*accumulator)
    }

    fn merge(&self, into: &mut (i64, i64), from: (i64, i64)) -> Result<()> {
        into.0 += from.0;
        into.1 += from.1;
        Ok(())
    }
}

/// The plain computation: one event after the other, all windows in one map.
struct Reference<'a> {
    windows: &'a Windows,
    watermark: i64,
    /// Values by key, start and end.
    open: BTreeMap<(u32, i64, i64), Vec<i64>>,
    fired: Vec<Fired>,
    late: Vec<Event>,
}

impl<'a> Reference<'a> {
    fn compute(windows: &'a Windows) -> Self {
        let mut this = Self { windows, watermark: i64::MIN, open: BTreeMap::new(), fired: Vec::new(), late: Vec::new() };
        for event in &windows.events.list {
            this.add(*event);
            if windows.in_order {
                this.advance(event.1 - windows.bound - 1);
            }
        }
        this.advance(i64::MAX);
        this
    }

    fn add(&mut self, event: Event) {
        let mut taken = false;
        for (start, end) in self.assign(event) {
            if (end - 1).saturating_add(self.windows.lateness) <= self.watermark {
                continue;
            }
            taken = true;
            let values = self.open.entry((event.0, start, end)).or_default();
            values.push(event.2);
            if end - 1 <= self.watermark {
                let result = self.windows.result(values);
                self.fired.push((event.0, start, end, result));
            }
        }
        if !taken {
            self.late.push(event);
        }
    }

    /// Start and end of the event's windows; sessions that it joins become one.
    fn assign(&mut self, (key, time, _): Event) -> Vec<(i64, i64)> {
        match self.windows.kind {
            Kind::Tumbling { size, offset } => {
                let start = time - (time - offset).rem_euclid(size);
                vec![(start, start + size)]
            }
            Kind::Sliding { size, slide } => {
                let last = time - time.rem_euclid(slide);
                (0..).map(|n| last - n * slide).take_while(|start| start + size > time).map(|start| (start, start + size)).collect()
            }
            Kind::Session { gap } => vec![self.join(key, time, time + gap)],
        }
    }

    fn join(&mut self, key: u32, mut start: i64, mut end: i64) -> (i64, i64) {
        let touching = |(other, from, to): &(u32, i64, i64)| *other == key && *from <= end && *to >= start;
        let joined: Vec<_> = self.open.keys().copied().filter(touching).collect();
        let mut values = Vec::new();
        for session in &joined {
            values.extend(self.open.remove(session).into_iter().flatten());
            (start, end) = (start.min(session.1), end.max(session.2));
        }
        if !joined.is_empty() {
            self.open.insert((key, start, end), values);
        }
        (start, end)
    }

    fn advance(&mut self, to: i64) {
        if to <= self.watermark {
            return;
        }
        let due = |end: &i64| end - 1 > self.watermark && end - 1 <= to;
        for ((key, start, end), values) in self.open.iter().filter(|((.., end), _)| due(end)) {
            self.fired.push((*key, *start, *end, self.windows.result(values)));
        }
        self.watermark = to;
        self.open.retain(|(.., end), _| (end - 1).saturating_add(self.windows.lateness) > to);
    }
}

impl Windows {
    fn check(&self, (fired, late): (Vec<Fired>, Vec<Event>)) -> Result<()> {
        let reference = Reference::compute(self);
        same("late events", reference.late, late)?;
        same("windows", self.normal(reference.fired), self.normal(fired))
    }
}

pub(super) fn run(seed: u64) -> Result<u64> {
    let windows = Windows::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(windows.job(env))).parallelism(1..=5);
    checked(&simulation, seed, |run| windows.check(run.output))
}

/// The same over crashes and restarts.
pub(super) fn recover(seed: u64) -> Result<u64> {
    let windows = Windows::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(windows.job(env)));
    recovered(&simulation, seed, &Recovery::default(), |run| windows.check(run.output))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seed has an unaligned checkpoint that finds the subtasks at different watermarks, with late records under way.
    #[test]
    fn restored_subtasks_go_on_with_their_own_watermarks() -> Result<()> {
        recover(1007).map(drop)
    }

    #[test]
    fn the_parameters_reach_late_events_second_firings_and_joined_sessions() {
        let (mut late, mut again, mut joined) = (0, 0, 0);
        for seed in 0..100 {
            let windows = Windows::draw(&mut parameters(seed));
            let Reference { fired, late: left_behind, .. } = Reference::compute(&windows);
            let distinct = fired.iter().map(|(key, start, end, _)| (key, start, end)).collect::<std::collections::BTreeSet<_>>().len();
            late += left_behind.len();
            again += fired.len() - distinct;
            if let Kind::Session { gap } = windows.kind {
                joined += fired.iter().filter(|(_, start, end, _)| end - start > gap).count();
            }
        }
        assert!(late > 100 && again > 100 && joined > 100, "{late} late, {again} fired again, {joined} joined");
    }
}
