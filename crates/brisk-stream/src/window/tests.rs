//! The window operators give the same results whatever state backend they have, and wherever they are restored from a checkpoint.

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
use brisk_core::batch::{AnyBatch, Rows, Step};
use brisk_core::function::{Collector, OutputTag};
use brisk_core::operator::{Operator, RuntimeContext};
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

fn make(name: &str, cx: &RuntimeContext) -> Box<dyn Operator> {
    let state = StateDeclarations::new(cx.place());
    let folded = || Folded::new(InPlace::new(add), PassThrough::new());
    let aligned = |assigner: Option<super::AlignedWindows<TimeWindow>>, lateness, state| -> Box<dyn Operator> {
        let (fold, function) = (InPlace::new(add), PassThrough::new());
        let windows = assigner.expect("aligned");
        Box::new(AlignedWindowOperator::new(KeyBy(key), windows, fold, function, settings(lateness), state, cx).expect("opens"))
    };
    let tumbling = TumblingEventTimeWindows::of(Millis(10));
    let sliding = SlidingEventTimeWindows::of(Millis(10), Millis(4));
    match name {
        "tumbling" => aligned(WindowAssigner::<Pair>::aligned(&tumbling), 0, state),
        "sliding" => aligned(WindowAssigner::<Pair>::aligned(&sliding), 0, state),
        "aligned with lateness" => aligned(WindowAssigner::<Pair>::aligned(&tumbling), 6, state),
        "sessions" => Box::new(SessionOperator::new(KeyBy(key), sessions(), folded(), settings(0), state, cx).expect("opens")),
        "session lists" => {
            let contents = Listed::new(WindowFn::new(gather));
            Box::new(SessionOperator::new(KeyBy(key), sessions(), contents, settings(5), state, cx).expect("opens"))
        }
        "triggered" => {
            let trigger = trigger(ContinuousEventTimeTrigger::of(Millis(3)));
            Box::new(WindowOperator::new(KeyBy(key), sessions(), trigger, folded(), settings(2), state, cx).expect("opens"))
        }
        _ => {
            let contents = Evicted::new(Box::new(CountEvictor::of(2)), WindowFn::new(gather));
            let trigger = trigger(CountTrigger::of(2));
            Box::new(WindowOperator::new(KeyBy(key), sessions(), trigger, contents, settings(2), state, cx).expect("opens"))
        }
    }
}

fn operator(name: &str) -> Driver {
    Driver::with_runtime(&["late"], |_| {}, |cx| make(name, cx))
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

/// What one round gave: results sorted, late records, and entries of state behind it.
type Round = (Vec<String>, Vec<Pair>, usize);

fn round(driver: &mut Driver) -> Round {
    let steps = driver.steps::<Pair>(0);
    let mut results: Vec<String> = steps.iter().filter(|step| matches!(step, Step::Row(..))).map(|step| format!("{step:?}")).collect();
    results.sort();
    (results, driver.values(1), driver.state_entries())
}

/// Runs random rows and watermarks, one row per call; `restart` is called between any two calls.
fn run_in_parts(name: &str, seed: u64, mut restart: impl FnMut(Driver) -> Driver) -> Vec<Round> {
    let mut driver = operator(name).hurried(true);
    let mut rng = Rng::seeded(seed);
    let (mut time, mut watermark) = (0, 0);
    let mut rounds = Vec::new();
    for last in [false, false, false, false, false, false, false, false, true] {
        let mut rows = Rows::default();
        for _ in 0..rng.below(12) {
            time += rng.below(3) as i64;
            rows.push((rng.below(3) as i64, rng.below(10) as i64), Timestamp((time - rng.below(12) as i64).max(0)));
        }
        let mut rest: Option<Box<dyn AnyBatch>> = if rows.is_blank() { None } else { Some(Box::new(rows)) };
        while let Some(batch) = rest {
            driver = restart(driver);
            rest = driver.part(0, batch);
        }
        watermark = if last { i64::MAX } else { watermark + 1 + rng.below(7) as i64 };
        while driver.part_of_watermark(watermark) {
            driver = restart(driver);
        }
        rounds.push(round(&mut driver));
    }
    rounds
}

#[test]
fn operators_go_on_from_a_checkpoint_as_if_nothing_had_happened() {
    for name in OPERATORS {
        for seed in 0..40 {
            let results = |restart: fn(Driver, &str) -> Driver| {
                let mut chance = Rng::seeded(seed + 1000);
                run_in_parts(name, seed, |driver| if chance.below(3) == 0 { restart(driver, name) } else { driver })
            };
            let expected = results(|driver, _| driver);
            let actual = results(|driver, name| driver.restart(|cx| make(name, cx)));
            assert_eq!(actual, expected, "{name}, seed {seed}");
        }
    }
}

#[test]
fn a_checkpoint_of_one_backend_is_restored_in_any_other() {
    for name in OPERATORS {
        for seed in 0..10 {
            let results = |rounds: Vec<Round>| rounds.into_iter().map(|(results, late, _)| (results, late)).collect::<Vec<_>>();
            let expected = results(run_in_parts(name, seed, |driver| driver));
            let mut calls = 0;
            let actual = run_in_parts(name, seed, |mut driver| {
                calls += 1;
                if calls % 5 != 0 {
                    return driver;
                }
                let snapshot = driver.snapshot();
                let mut backends = mock::backends().into_iter().filter(|(name, _)| *name != "delayed");
                match backends.nth(calls / 5 % 3) {
                    Some((_, backend)) => test_backend::with(backend, || driver.restored(snapshot, |cx| make(name, cx))),
                    None => driver.restored(snapshot, |cx| make(name, cx)),
                }
            });
            assert_eq!(results(actual), expected, "{name}, seed {seed}");
        }
    }
}
