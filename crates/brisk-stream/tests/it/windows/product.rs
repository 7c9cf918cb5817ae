//! The operator of a [`Spec`], built through the API.

use super::harness::{Harness, environment};
use super::reference::{Assigner, Evictor, Firing, Spec, Trigger, dynamic_gap};
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{AggregateFunction, Collector, OutputTag};
use brisk_stream::window::{
    ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger, DeltaEvictor, DeltaTrigger,
    EndOfStreamTrigger, EventTimeSessionWindows, EventTimeTrigger, GlobalWindow, GlobalWindows, ProcessingTimeSessionWindows,
    ProcessingTimeoutTrigger, PurgingTrigger, SlidingEventTimeWindows, SlidingProcessingTimeWindows, TimeEvictor, TimeWindow,
    TumblingEventTimeWindows, TumblingProcessingTimeWindows, Window, WindowAssigner, WindowedStream,
};
use brisk_stream::{KeySelector, KeyedStream};

/// How the window function sees the elements.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Collected {
    /// All at once.
    Elements,
    /// Folded one by one.
    Aggregated,
}

/// Start and end of a window.
trait Bounds: Window {
    fn bounds(&self) -> (i64, i64);
}

impl Bounds for TimeWindow {
    fn bounds(&self) -> (i64, i64) {
        (self.start().0, self.end().0)
    }
}

impl Bounds for GlobalWindow {
    fn bounds(&self) -> (i64, i64) {
        (i64::MIN, i64::MAX)
    }
}

/// Gathers the values.
struct Gather;

impl AggregateFunction for Gather {
    type In = (i64, i64);
    type Acc = Vec<i64>;
    type Out = Vec<i64>;

    fn create_accumulator(&self) -> Vec<i64> {
        Vec::new()
    }

    fn add(&self, all: &mut Vec<i64>, value: (i64, i64)) -> Result<()> {
        all.push(value.1);
        Ok(())
    }

    fn get_result(&self, all: &Vec<i64>) -> Result<Vec<i64>> {
        Ok(all.clone())
    }

    fn merge(&self, into: &mut Vec<i64>, mut from: Vec<i64>) -> Result<()> {
        into.append(&mut from);
        Ok(())
    }
}

type Keyed<S> = KeyedStream<(i64, i64), S>;
type Windowed<S, W> = WindowedStream<(i64, i64), S, W>;

/// The opened operator.
pub(crate) fn operator(spec: &Spec, collected: Collected) -> Harness {
    let env = environment();
    let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|_: &(i64, i64)| Timestamp(0));
    let keyed = env.from_elements([(0i64, 0i64)]).assign_timestamps_and_watermarks(strategy).key_by(|record| record.0);
    let gap = |record: &(i64, i64)| Millis(dynamic_gap(record.1));
    match spec.assigner {
        Assigner::Tumbling { size, offset } => {
            from_assigner(&keyed, TumblingEventTimeWindows::of(Millis(size)).offset(Millis(offset)), spec, collected)
        }
        Assigner::Sliding { size, slide, offset } => {
            from_assigner(&keyed, SlidingEventTimeWindows::of(Millis(size), Millis(slide)).offset(Millis(offset)), spec, collected)
        }
        Assigner::Session { gap } => from_assigner(&keyed, EventTimeSessionWindows::with_gap(Millis(gap)), spec, collected),
        Assigner::DynamicSession => from_assigner(&keyed, EventTimeSessionWindows::with_dynamic_gap(gap), spec, collected),
        Assigner::Global if matches!(spec.trigger, Trigger::EndOfStream) => {
            let windowed = settings(keyed.window(GlobalWindows::create()), spec).trigger(EndOfStreamTrigger);
            finish(evicted(windowed, spec.evictor), collected);
        }
        Assigner::Global => from_assigner(&keyed, GlobalWindows::create(), spec, collected),
        Assigner::TumblingProcessing { size, offset } => {
            from_assigner(&keyed, TumblingProcessingTimeWindows::of(Millis(size)).offset(Millis(offset)), spec, collected)
        }
        Assigner::SlidingProcessing { size, slide } => {
            from_assigner(&keyed, SlidingProcessingTimeWindows::of(Millis(size), Millis(slide)), spec, collected)
        }
        Assigner::SessionProcessing { gap } => from_assigner(&keyed, ProcessingTimeSessionWindows::with_gap(Millis(gap)), spec, collected),
        Assigner::DynamicSessionProcessing => from_assigner(&keyed, ProcessingTimeSessionWindows::with_dynamic_gap(gap), spec, collected),
    }
    Harness::of(&env, "Window").unwrap_or_else(|error| panic!("{spec:?}: {error}"))
}

fn from_assigner<S, A>(keyed: &Keyed<S>, assigner: A, spec: &Spec, collected: Collected)
where
    S: KeySelector<(i64, i64), Key = i64>,
    A: WindowAssigner<(i64, i64), Window: Bounds>,
{
    let windowed = settings(keyed.window(assigner), spec);
    finish(evicted(triggered(windowed, &spec.trigger), spec.evictor), collected);
}

fn settings<S: KeySelector<(i64, i64), Key = i64>, W: Bounds>(windowed: Windowed<S, W>, spec: &Spec) -> Windowed<S, W> {
    windowed.allowed_lateness(Millis(spec.lateness)).side_output_late_data(&OutputTag::new("late"))
}

fn finish<S: KeySelector<(i64, i64), Key = i64>, W: Bounds>(windowed: Windowed<S, W>, collected: Collected) {
    match collected {
        Collected::Elements => windowed.apply(|key: &i64, window: &W, records: Vec<(i64, i64)>, out: &mut Collector<Firing>| {
            let (start, end) = window.bounds();
            out.collect((*key, start, end, records.into_iter().map(|record| record.1).collect()));
        }),
        Collected::Aggregated => windowed.aggregate(Gather, |key: &i64, window: &W, values: Vec<i64>, out: &mut Collector<Firing>| {
            let (start, end) = window.bounds();
            out.collect((*key, start, end, values));
        }),
    };
}

fn difference(a: &(i64, i64), b: &(i64, i64)) -> f64 {
    (a.1 - b.1).abs() as f64
}

/// Calls `$use` with the product's trigger for one of the simple triggers.
macro_rules! with_simple {
    ($trigger:expr, $simple:ident => $use:expr) => {
        match $trigger {
            Trigger::EventTime => {
                let $simple = EventTimeTrigger;
                $use
            }
            Trigger::Count(count) => {
                let $simple = CountTrigger::of(*count);
                $use
            }
            Trigger::ContinuousEventTime(interval) => {
                let $simple = ContinuousEventTimeTrigger::of(Millis(*interval));
                $use
            }
            Trigger::ContinuousProcessingTime(interval) => {
                let $simple = ContinuousProcessingTimeTrigger::of(Millis(*interval));
                $use
            }
            Trigger::Delta(threshold) => {
                let $simple = DeltaTrigger::of(*threshold as f64, difference);
                $use
            }
            other => panic!("{other:?} is not simple"),
        }
    };
}

/// Sets the trigger, unless it is the assigner's default.
fn triggered<S: KeySelector<(i64, i64), Key = i64>, W: Bounds>(windowed: Windowed<S, W>, trigger: &Trigger) -> Windowed<S, W> {
    match trigger {
        Trigger::DefaultEventTime | Trigger::ProcessingTime | Trigger::Never => windowed,
        Trigger::Purging(nested) => with_simple!(&**nested, nested => windowed.trigger(PurgingTrigger::of(nested))),
        Trigger::Timeout { nested, timeout, reset, clear } => with_simple!(&**nested, nested => {
            let trigger = ProcessingTimeoutTrigger::of(nested, Millis(*timeout));
            windowed.trigger(trigger.reset_timer_on_new_record(*reset).should_clear_on_timeout(*clear))
        }),
        simple => with_simple!(simple, simple => windowed.trigger(simple)),
    }
}

fn evicted<S: KeySelector<(i64, i64), Key = i64>, W: Bounds>(windowed: Windowed<S, W>, evictor: Option<Evictor>) -> Windowed<S, W> {
    match evictor {
        None => windowed,
        Some(Evictor::Count { keep, after }) => windowed.evictor(CountEvictor::of(keep as u64).do_evict_after(after)),
        Some(Evictor::Time { keep, after }) => windowed.evictor(TimeEvictor::of(Millis(keep)).do_evict_after(after)),
        Some(Evictor::Delta { threshold, after }) => windowed.evictor(DeltaEvictor::of(threshold as f64, difference).do_evict_after(after)),
    }
}
