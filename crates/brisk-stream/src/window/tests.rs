//! The window operators give the same results whatever state backend they have.

use super::aligned::AlignedWindowOperator;
use super::assigner::{EventTimeSessionWindows, SlidingEventTimeWindows, TumblingEventTimeWindows, WindowAssigner};
use super::contents::{Evicted, Folded, Listed};
use super::erased::{Assign, ErasedTrigger, trigger_factory};
use super::evictor::CountEvictor;
use super::fold::InPlace;
use super::function::{PassThrough, WindowFn};
use super::operator::{WindowOperator, WindowSettings};
use super::session_operator::SessionOperator;
use super::time_window::TimeWindow;
use super::trigger::{ContinuousEventTimeTrigger, CountTrigger, Trigger};
use crate::key_selector::KeyBy;
use crate::keyed_state::test_backend;
use crate::operators::driver::Driver;
use brisk_base::world::Rng;
use brisk_base::{Millis, Timestamp};
use brisk_core::batch::{Rows, Step};
use brisk_core::function::{Collector, OutputTag};
use brisk_core::operator::RuntimeContext;
use brisk_core::state::StateDeclarations;
use brisk_state::mock;

/// Key and value.
type Pair = (i64, i64);

/// The operators under test.
const OPERATORS: [&str; 7] = ["tumbling", "sliding", "aligned with lateness", "sessions", "session lists", "triggered", "evicted sessions"];

fn settings(lateness: i64) -> WindowSettings<Pair> {
    WindowSettings { allowed_lateness: Millis(lateness), late: Some(OutputTag::new("late")) }
}

fn key(pair: &Pair) -> i64 {
    pair.0
}

fn add(sum: &mut Pair, pair: Pair) {
    sum.1 += pair.1;
}

fn gather(key: &i64, _window: &TimeWindow, pairs: Vec<Pair>, out: &mut Collector<Pair>) {
    out.collect((*key, pairs.iter().fold(0, |all: i64, pair| all.wrapping_mul(31) + pair.1)));
}

fn trigger<G: Trigger<Pair, TimeWindow>>(trigger: G) -> Box<dyn ErasedTrigger<Pair, i64, TimeWindow>> {
    trigger_factory(trigger)()
}

fn sessions() -> Box<dyn Assign<Pair, TimeWindow>> {
    Box::new(EventTimeSessionWindows::with_gap(Millis(4)))
}

fn operator(name: &str) -> Driver {
    let state = |cx: &RuntimeContext| StateDeclarations::new(cx.place());
    let folded = || Folded::new(InPlace::new(add), PassThrough::new());
    let aligned = |assigner: Option<super::AlignedWindows<TimeWindow>>, lateness| {
        let windows = assigner.expect("aligned");
        Driver::new(&["late"], |cx| {
            let (fold, function) = (InPlace::new(add), PassThrough::new());
            AlignedWindowOperator::new(KeyBy(key), windows, fold, function, settings(lateness), state(cx), cx).expect("opens")
        })
    };
    let tumbling = TumblingEventTimeWindows::of(Millis(10));
    match name {
        "tumbling" => aligned(WindowAssigner::<Pair>::aligned(&tumbling), 0),
        "sliding" => aligned(WindowAssigner::<Pair>::aligned(&SlidingEventTimeWindows::of(Millis(10), Millis(4))), 0),
        "aligned with lateness" => aligned(WindowAssigner::<Pair>::aligned(&tumbling), 6),
        "sessions" => {
            Driver::new(&["late"], |cx| SessionOperator::new(KeyBy(key), sessions(), folded(), settings(0), state(cx), cx).expect("opens"))
        }
        "session lists" => Driver::new(&["late"], |cx| {
            SessionOperator::new(KeyBy(key), sessions(), Listed::new(WindowFn::new(gather)), settings(5), state(cx), cx).expect("opens")
        }),
        "triggered" => Driver::new(&["late"], |cx| {
            let trigger = trigger(ContinuousEventTimeTrigger::of(Millis(3)));
            WindowOperator::new(KeyBy(key), sessions(), trigger, folded(), settings(2), state(cx), cx).expect("opens")
        }),
        _ => Driver::new(&["late"], |cx| {
            let contents = Evicted::new(Box::new(CountEvictor::of(2)), WindowFn::new(gather));
            WindowOperator::new(KeyBy(key), sessions(), trigger(CountTrigger::of(2)), contents, settings(2), state(cx), cx).expect("opens")
        }),
    }
}

/// Runs random rows and watermarks; gives results and late records, those between two watermarks sorted.
fn run(mut driver: Driver, seed: u64) -> (Vec<String>, Vec<Pair>) {
    let mut rng = Rng::seeded(seed);
    let (mut time, mut watermark) = (0, 0);
    let mut results = Vec::new();
    for _ in 0..12 {
        let mut rows = Rows::default();
        for _ in 0..rng.below(12) {
            time += rng.below(3) as i64;
            rows.push((rng.below(3) as i64, rng.below(10) as i64), Timestamp((time - rng.below(12) as i64).max(0)));
        }
        driver.batch(0, rows);
        watermark += rng.below(6) as i64;
        driver.watermark(watermark);
        let mut steps: Vec<String> = driver.steps::<Pair>(0).iter().map(|step: &Step<Pair>| format!("{step:?}")).collect();
        steps.sort();
        results.extend(steps);
    }
    driver.watermark(i64::MAX);
    let mut rest: Vec<String> = driver.steps::<Pair>(0).iter().map(|step| format!("{step:?}")).collect();
    rest.sort();
    results.extend(rest);
    (results, driver.values(1))
}

#[test]
fn results_do_not_depend_on_the_state_backend() {
    for name in OPERATORS {
        for seed in 0..20 {
            let expected = run(operator(name), seed);
            for (backend_name, backend) in mock::backends() {
                // Nothing asks for prefetching yet, without which this store shows nothing.
                if backend_name != "delayed" {
                    let actual = run(test_backend::with(backend, || operator(name)).hurried(seed % 2 == 0), seed);
                    assert_eq!(actual, expected, "{name} over the store '{backend_name}', seed {seed}");
                }
            }
        }
    }
}
