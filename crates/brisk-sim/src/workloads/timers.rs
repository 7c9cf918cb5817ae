//! Timers of both clocks, set by a paced stream: each fires exactly once, not before its time, and those of a subtask in order of time.

use super::{any_size, checked, parameters, same};
use crate::simulation::simulate;
use brisk_base::world::Rng;
use brisk_base::{Error, Millis, Result, Timestamp};
use brisk_connectors::datagen::DataGeneratorSource;
use brisk_core::function::Collector;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::state::StateDeclarations;
use brisk_stream::function::{Context, KeyedProcessFunction, TimeDomain, TimerContext};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::{BTreeMap, BTreeSet};

/// Whether a timer was set or has fired; whether it goes by event time; subtask; key; its time; the time then, by its clock.
type Note = (bool, bool, u32, i64, i64, i64);

/// A timer that should have fired so long ago has been forgotten. Tasks are never held up for so long.
const FORGOTTEN: i64 = 2_000;

/// Sets two timers for each record and notes when they fire.
struct Alarm {
    /// How far ahead timers are set at most.
    span: i64,
}

impl KeyedProcessFunction for Alarm {
    type Key = i64;
    type In = (i64, i64);
    type Out = Note;

    fn declare(_state: &mut StateDeclarations) -> Self {
        Self { span: 1 }
    }

    fn process_element(&mut self, (key, index): (i64, i64), ctx: &mut Context<'_, Self>, out: &mut Collector<Note>) -> Result<()> {
        let (now, subtask) = (ctx.current_processing_time(), ctx.runtime().task.subtask);
        let (at, event_at) = (now + Millis(1 + index * 7919 % self.span), Timestamp(index + index * 31 % self.span));
        ctx.timers().register_processing_time(at);
        ctx.timers().register_event_time(event_at);
        out.collect((false, false, subtask, key, at.millis(), now.millis()));
        out.collect((false, true, subtask, key, event_at.millis(), index));
        Ok(())
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut TimerContext<'_, Self>, out: &mut Collector<Note>) -> Result<()> {
        let event_time = ctx.time_domain() == Some(TimeDomain::EventTime);
        let now = if event_time { ctx.current_watermark() } else { ctx.current_processing_time() };
        out.collect((true, event_time, ctx.runtime().task.subtask, *ctx.key(), at.millis(), now.millis()));
        Ok(())
    }
}

/// What a seed chooses.
struct Timers {
    records: u64,
    per_second: f64,
    keys: i64,
    span: i64,
}

impl Timers {
    fn draw(rng: &mut Rng) -> Self {
        Self {
            records: any_size(rng, 1, 400),
            per_second: any_size(rng, 5, 5000) as f64,
            keys: any_size(rng, 1, 20) as i64,
            span: any_size(rng, 1, 500) as i64,
        }
    }

    fn job(&self, env: &StreamEnvironment) -> DataStream<Note> {
        let Self { records, per_second, keys, span } = *self;
        let source = DataGeneratorSource::new(|index| index as i64).count(records).per_second(per_second);
        let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|index: &i64| Timestamp(*index));
        let keyed = env.from_source(source, strategy, "paced").map(move |index| (index % keys, index)).key_by(|pair| pair.0);
        keyed.process_with(move |_| Alarm { span })
    }
}

/// What is known of the notes so far.
#[derive(Default)]
struct Book {
    /// Timers that were set, and those that have fired: by clock, key and time.
    set: BTreeSet<(bool, i64, i64)>,
    fired: Vec<(bool, i64, i64)>,
    /// The time of the last timer of each subtask and clock.
    last: BTreeMap<(u32, bool), i64>,
    /// The last reading of the wall clock.
    now: i64,
}

impl Book {
    fn note(&mut self, note: Note) -> Result<()> {
        let (has_fired, event_time, subtask, key, at, now) = note;
        if !event_time {
            self.now = self.now.max(now);
        }
        if !has_fired {
            self.set.insert((event_time, key, at));
            return Ok(());
        }
        let last = self.last.insert((subtask, event_time), at).unwrap_or(i64::MIN);
        if now < at || at < last {
            return Err(Error::bug(format!("timer {note:?} fires at {now}, after one of {last}")));
        }
        self.fired.push((event_time, key, at));
        Ok(())
    }

    /// Timers of the wall clock that are open at the end are dropped.
    fn check(self) -> Result<()> {
        let fired: BTreeSet<_> = self.fired.iter().copied().collect();
        let dropped = |timer: &(bool, i64, i64)| !timer.0 && timer.2 > self.now - FORGOTTEN && !fired.contains(timer);
        same("timers", self.set.iter().copied().filter(|timer| !dropped(timer)).collect(), self.fired)
    }
}

pub(super) fn run(seed: u64) -> Result<u64> {
    let timers = Timers::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(timers.job(env))).parallelism(1..=4);
    checked(&simulation, seed, |run| {
        let mut book = Book::default();
        run.output.into_iter().try_for_each(|note| book.note(note))?;
        book.check()
    })
}
