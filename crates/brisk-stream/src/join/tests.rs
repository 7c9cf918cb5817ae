//! Joins go on from a checkpoint as if nothing had happened, also between two parts of a step.

use super::JoinContext;
use super::function::ProcessJoinFn;
use super::group_operator::{GroupOperator, Groups, Pairs};
use super::interval_operator::{IntervalJoinOperator, IntervalSettings};
use super::tagged_union::TaggedUnion;
use super::window_function::Closure;
use crate::key_selector::KeyBy;
use crate::operators::driver::Driver;
use brisk_base::world::Rng;
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::batch::{AnyBatch, Rows, Step};
use brisk_core::function::Collector;
use brisk_core::operator::{MAIN_PORT, Operator, OperatorContext, Rest, RuntimeContext};

/// Key and value.
type Pair = (i64, i64);

fn key(pair: &Pair) -> i64 {
    pair.0
}

fn interval_join(cx: &RuntimeContext) -> Box<dyn Operator> {
    let pairs = |left: &Pair, right: &Pair, _: &mut JoinContext<'_>, out: &mut Collector<Pair>| out.collect((left.1, right.1));
    let settings = IntervalSettings { lower: Millis(-5), upper: Millis(5), left_late: None, right_late: None };
    let function = ProcessJoinFn::<_, Pair, Pair, Pair, ()>::new(pairs);
    Box::new(IntervalJoinOperator::new((KeyBy(key), KeyBy(key)), settings, function, cx).expect("opens"))
}

/// Runs random rows on both sides, one row or pair per call. Gives all pairs, and the entries of state after each watermark.
fn run(seed: u64, mut restart: impl FnMut(Driver) -> Driver) -> (Vec<Pair>, Vec<usize>) {
    let mut driver = Driver::with_runtime(&[], |_| {}, interval_join).hurried(true);
    let mut rng = Rng::seeded(seed);
    let (mut time, mut entries) = (0, Vec::new());
    for number in 0..16 {
        let mut rows = Rows::default();
        for _ in 0..=rng.below(6) {
            let timestamp = Timestamp(time + rng.below(6) as i64);
            rows.push((rng.below(2) as i64, rng.below(1000) as i64), timestamp);
        }
        let mut rest: Option<Box<dyn AnyBatch>> = Some(Box::new(rows));
        while let Some(batch) = rest {
            driver = restart(driver);
            rest = driver.part(number % 2, batch);
        }
        time += rng.below(3) as i64;
        while driver.part_of_watermark(time) {
            driver = restart(driver);
        }
        entries.push(driver.state_entries());
    }
    (driver.values(0), entries)
}

#[test]
fn interval_joins() {
    for seed in 0..60 {
        let expected = run(seed, |driver| driver);
        assert!(expected.0.len() > 16, "there are pairs");
        let mut chance = Rng::seeded(seed + 1000);
        let actual = run(seed, |driver| if chance.below(2) == 0 { driver.restart(interval_join) } else { driver });
        assert_eq!(actual, expected, "seed {seed}");
    }
}

/// Stands for a window operator: each row is a window that fires at once, with as many records on both sides as the row says.
struct FiresAtOnce;

impl Operator for FiresAtOnce {
    fn process_batch(&mut self, _input: usize, batch: Box<dyn AnyBatch>, cx: &mut OperatorContext<'_>) -> Result<Rest> {
        let mut fired = Rows::default();
        for step in Rows::<TaggedUnion<i64, i64>>::from_any(batch)?.into_cursor() {
            match step {
                Step::Row(TaggedUnion::One(size) | TaggedUnion::Two(size), timestamp, _) => {
                    fired.push(Groups { first: (0..size).collect(), second: (0..size).map(|number| number * 10).collect() }, timestamp);
                }
                Step::Watermark(watermark) => fired.mark(watermark),
            }
        }
        if !fired.is_blank() {
            cx.emit(MAIN_PORT, Box::new(fired));
        }
        Ok(Rest::Consumed)
    }
}

fn group_join(_: &RuntimeContext) -> Box<dyn Operator> {
    let pairs = |first: &i64, second: &i64, out: &mut Collector<Pair>| out.collect((*first, *second));
    let function = Closure::<_, i64, i64, Pair, ()>::new(pairs);
    Box::new(GroupOperator::<i64, i64, _>::new(Box::new(FiresAtOnce), Pairs(function)))
}

#[test]
fn windows_that_have_fired_and_are_not_passed_on() {
    let mut rows = Rows::default();
    [2i64, 3, 1].into_iter().zip(1..).for_each(|(size, time)| rows.push(TaggedUnion::<i64, i64>::One(size), Timestamp(time * 10)));
    rows.marks = vec![brisk_core::batch::Mark { row: 1, watermark: Timestamp(15) }];
    let expected: Vec<(Pair, i64)> = [(2i64, 10), (3, 20), (1, 30)]
        .into_iter()
        .flat_map(|(size, time)| (0..size * size).map(move |step| ((step / size, step % size * 10), time)))
        .collect();
    for every in 1..5 {
        let mut driver = Driver::with_runtime(&[], |_| {}, group_join).hurried(true);
        let mut calls = 0;
        let mut rest = driver.part(0, rows.clone_batch());
        while let Some(batch) = rest {
            calls += 1;
            if calls % every == 0 {
                driver = driver.restart(group_join);
            }
            rest = driver.part(0, batch);
        }
        let found = driver.steps::<Pair>(0).into_iter().filter_map(|step| match step {
            Step::Row(pair, timestamp, _) => Some((pair, timestamp.0)),
            Step::Watermark(_) => None,
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "a restart every {every} calls");
    }
}
