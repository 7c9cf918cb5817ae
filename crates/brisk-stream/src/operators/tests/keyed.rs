//! Operators on keyed streams against plain models: state, timers, rolling aggregation.

use crate::function::{KeyedCoProcessFunction, KeyedContext, KeyedProcessFunction, TimeDomain};
use crate::key_selector::{KeyBy, KeyByRef, KeySelector};
use crate::operators::driver::{Driver, feed, rows};
use crate::operators::{ByReduce, FlatMapWithState, InPlace, KeyedCoProcess, KeyedOperator, KeyedProcess, RollingOperator};
use brisk_base::{Error, Result, Timestamp};
use brisk_core::batch::{Rows, Step};
use brisk_core::function::{Collector, OutputTag};
use brisk_core::state::{StateDeclarations, ValueState};
use brisk_core::types::Key;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Counts per key; each record sets a timer 5 after its timestamp, and takes back the one 4 before it. Timers give `(key, -count)`.
pub(super) struct Counting {
    count: ValueState<i64>,
}

impl KeyedProcessFunction for Counting {
    type Key = i64;
    type In = i64;
    type Out = (i64, i64, i64);

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { count: state.value("count") }
    }

    fn process_element(&mut self, value: i64, ctx: &mut KeyedContext<'_, i64>, out: &mut Collector<Self::Out>) -> Result<()> {
        assert_eq!((*ctx.key(), ctx.time_domain()), (value % 3, None));
        let count = self.count.get(ctx)?.unwrap_or(0) + 1;
        self.count.put(ctx, count)?;
        ctx.timers().register_event_time(Timestamp(value + 5));
        ctx.timers().delete_event_time(Timestamp(value - 4));
        out.collect((*ctx.key(), count, ctx.current_watermark().0));
        Ok(())
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut KeyedContext<'_, i64>, out: &mut Collector<Self::Out>) -> Result<()> {
        assert_eq!((ctx.timestamp(), ctx.time_domain()), (Some(at), Some(TimeDomain::EventTime)));
        let count = self.count.get(ctx)?.ok_or_else(|| Error::bug("a timer without a count"))?;
        out.collect((*ctx.key(), -count, at.0));
        if at.0 % 4 == 0 {
            ctx.timers().register_event_time(at + brisk_base::Millis(1));
        }
        if at.0 % 5 == 0 {
            self.count.put(ctx, 0)?;
        }
        Ok(())
    }
}

/// What [`Counting`] must give.
pub(super) fn counting_model(values: &[i64], marks: &BTreeMap<u32, i64>) -> Vec<Step<(i64, i64, i64)>> {
    let (mut counts, mut watermark) = (BTreeMap::<i64, i64>::new(), i64::MIN);
    // By time, in the order in which they were set.
    let mut timers: Vec<(i64, i64)> = Vec::new();
    let set = |timers: &mut Vec<(i64, i64)>, timer: (i64, i64)| {
        if !timers.contains(&timer) {
            timers.push(timer);
            timers.sort_by_key(|(at, _)| *at);
        }
    };
    let mut steps: Vec<Step<(i64, i64, i64)>> = Vec::new();
    let ended = [(values.len() as u32, i64::MAX)];
    let events =
        (0..).zip(values).map(|(row, value)| (marks.get(&row).copied(), Some(*value))).chain(ended.map(|(_, at)| (Some(at), None)));
    for (mark, value) in events {
        if let Some(mark) = mark {
            watermark = mark;
            while let Some(&(at, key)) = timers.first().filter(|(at, _)| *at <= mark) {
                timers.remove(0);
                steps.push(Step::Row((key, -counts[&key], at), Timestamp(at), 0));
                if at % 4 == 0 {
                    set(&mut timers, (at + 1, key));
                }
                if at % 5 == 0 {
                    counts.insert(key, 0);
                }
            }
            match steps.last_mut() {
                Some(Step::Watermark(last)) => *last = Timestamp(mark),
                _ => steps.push(Step::Watermark(Timestamp(mark))),
            }
        }
        if let Some(value) = value {
            let key = value % 3;
            *counts.entry(key).or_default() += 1;
            set(&mut timers, (value + 5, key));
            timers.retain(|timer| *timer != (value - 4, key));
            steps.push(Step::Row((key, counts[&key], watermark), Timestamp(value), 0));
        }
    }
    steps
}

fn keyed<F, S>(selector: S) -> Driver
where
    F: KeyedProcessFunction,
    S: KeySelector<F::In, Key = F::Key>,
{
    Driver::new(&["side"], |cx| {
        KeyedOperator::<KeyedProcess<F, S>>::new(selector, cx, |state| KeyedProcess::new(F::declare(state))).expect("opens")
    })
}

proptest! {
    #[test]
    fn state_and_event_time_timers_follow_the_model(
        values in proptest::collection::vec(0i64..60, 0..40),
        at in proptest::collection::btree_set(0u32..40, 0..10),
        cut in 1usize..50,
        hurried: bool,
    ) {
        let marks: BTreeMap<u32, i64> = at.into_iter().filter(|row| (*row as usize) < values.len()).map(|row| (row, i64::from(row) * 2)).collect();
        let mut driver = keyed::<Counting, _>(KeyBy(|value: &i64| value % 3)).hurried(hurried);
        feed(&mut driver, 0, &values, &marks, cut);
        driver.end(1);
        prop_assert_eq!(driver.steps::<(i64, i64, i64)>(0), counting_model(&values, &marks));
    }

    #[test]
    fn rolling_aggregation_follows_the_model(records in proptest::collection::vec((0u8..5, -20i64..20), 0..300), cut in 1usize..300, hurried: bool, hashed: bool) {
        let records: Vec<(String, i64)> = records.into_iter().map(|(key, number)| (key.to_string(), number)).collect();
        let sum = |into: &mut (String, i64), value: &mut (String, i64)| into.1 += value.1;
        let lowest = |into: &mut (String, i64), value: &mut (String, i64)| if value.1 < into.1 { std::mem::swap(into, value) };
        let mut drivers = [
            rolling(InPlace(sum)),
            rolling(InPlace(lowest)),
            rolling(ByReduce::new(|a: (String, i64), b: (String, i64)| Ok((a.0, a.1 + b.1)))),
        ].map(|driver| driver.hurried(hurried));
        let mut sums = BTreeMap::<String, i64>::new();
        let mut minima = BTreeMap::<String, i64>::new();
        let mut expected: [Vec<(String, i64)>; 3] = Default::default();
        for (key, number) in &records {
            let sum = sums.entry(key.clone()).or_default();
            *sum += number;
            let minimum = minima.entry(key.clone()).or_insert(*number);
            *minimum = (*minimum).min(*number);
            expected[0].push((key.clone(), *sum));
            expected[1].push((key.clone(), *minimum));
            expected[2].push((key.clone(), *sum));
        }
        for (driver, expected) in drivers.iter_mut().zip(expected) {
            for chunk in records.chunks(cut) {
                let mut batch = Rows::from(chunk.to_vec());
                if hashed {
                    batch.hashes = chunk.iter().map(|record| record.0.key_hash()).collect();
                }
                batch.mark(Timestamp(cut as i64));
                driver.batch(0, batch);
            }
            prop_assert_eq!(driver.values::<(String, i64)>(0), expected);
        }
    }
}

fn word(record: &(String, i64)) -> &String {
    &record.0
}

fn rolling<R: super::super::rolling::Rolling<(String, i64)> + 'static>(rolling: R) -> Driver {
    Driver::new(&[], |cx| RollingOperator::new(KeyByRef(word), rolling, cx).expect("opens"))
}

#[test]
fn a_failing_reduce_fails_the_call() {
    let refuse = |_: (String, i64), _: (String, i64)| -> Result<(String, i64)> { Err(Error::user("no")) };
    let mut driver = rolling(ByReduce::new(refuse));
    driver.batch(0, Rows::from(vec![("a".to_owned(), 1i64)]));
    driver.try_batch(0, Box::new(Rows::from(vec![("a".to_owned(), 1i64)]))).expect_err("the second is reduced");
}

/// Repeats each value after 100 ms of processing time, twice, and gives the time on a side output.
struct Echo;

impl KeyedProcessFunction for Echo {
    type Key = i64;
    type In = i64;
    type Out = i64;

    fn declare(_state: &mut StateDeclarations) -> Self {
        Self
    }

    fn process_element(&mut self, _value: i64, ctx: &mut KeyedContext<'_, i64>, _out: &mut Collector<i64>) -> Result<()> {
        let now = ctx.current_processing_time();
        ctx.timers().register_processing_time(now + brisk_base::Millis(100));
        ctx.timers().register_processing_time(now + brisk_base::Millis(150));
        ctx.timers().delete_processing_time(now + brisk_base::Millis(150));
        Ok(())
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut KeyedContext<'_, i64>, out: &mut Collector<i64>) -> Result<()> {
        assert_eq!(ctx.time_domain(), Some(TimeDomain::ProcessingTime));
        out.collect(*ctx.key());
        ctx.output(&OutputTag::new("side"), at.0)?;
        if at.0 < 200 {
            ctx.timers().register_processing_time(at + brisk_base::Millis(100));
        }
        Ok(())
    }
}

#[test]
fn processing_time_timers_fire_in_order_and_are_dropped_at_the_end() {
    let mut driver = keyed::<Echo, _>(KeyBy(|value: &i64| *value));
    driver.batch(0, rows(&[7, 8, 7], &[]));
    driver.time(99);
    assert!(driver.values::<i64>(0).is_empty());
    driver.time(250);
    let mut values = driver.values::<i64>(0);
    values[..2].sort_unstable();
    values[2..].sort_unstable();
    assert_eq!(values, [7, 8, 7, 8]);
    assert_eq!(driver.values::<i64>(1), [100, 100, 200, 200]);
    driver.batch(0, rows(&[9], &[]));
    driver.end(1);
    assert!(driver.values::<i64>(0).is_empty());
}

/// Joins the last name of each key with its numbers.
struct Named {
    name: ValueState<String>,
}

impl KeyedCoProcessFunction for Named {
    type Key = i64;
    type In1 = i64;
    type In2 = (i64, String);
    type Out = String;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { name: state.value("name") }
    }

    fn process_element1(&mut self, value: i64, ctx: &mut KeyedContext<'_, i64>, out: &mut Collector<String>) -> Result<()> {
        let name = self.name.get(ctx)?.unwrap_or_else(|| "nobody".to_owned());
        out.collect(format!("{name} has {value}"));
        Ok(())
    }

    fn process_element2(&mut self, value: (i64, String), ctx: &mut KeyedContext<'_, i64>, _out: &mut Collector<String>) -> Result<()> {
        ctx.timers().register_event_time(Timestamp(10));
        self.name.put(ctx, value.1)
    }

    fn on_timer(&mut self, _at: Timestamp, ctx: &mut KeyedContext<'_, i64>, out: &mut Collector<String>) -> Result<()> {
        let name = self.name.take(ctx)?;
        out.collect(format!("{name:?} left"));
        Ok(())
    }
}

#[test]
fn both_sides_share_state_and_timers_of_a_key() {
    let selectors = (KeyBy(|value: &i64| value % 10), KeyBy(|named: &(i64, String)| named.0));
    let mut driver = Driver::new(&[], |cx| {
        KeyedOperator::<KeyedCoProcess<Named, _, _>>::new(selectors, cx, |state| KeyedCoProcess::new(Named::declare(state))).expect("opens")
    });
    driver.batch(0, rows(&[11], &[]));
    driver.batch(1, Rows::from(vec![(1i64, "Ada".to_owned()), (2, "Bob".to_owned())]));
    driver.batch(0, rows(&[21, 33], &[]));
    assert_eq!(driver.state_entries(), 4, "two names and two timers");
    driver.watermark(10);
    assert_eq!(driver.state_entries(), 0);
    driver.batch(0, rows(&[31], &[]));
    let left = [r#"Some("Ada") left"#, r#"Some("Bob") left"#];
    let mut found = driver.values::<String>(0);
    found[3..5].sort_unstable();
    assert_eq!(found, ["nobody has 11", "Ada has 21", "nobody has 33", left[0], left[1], "nobody has 31"]);
}

#[test]
fn closures_are_given_the_state_of_the_key() {
    let nth = |value: i64, seen: &mut Option<i64>, out: &mut Collector<(i64, i64)>| -> Result<()> {
        let count = seen.unwrap_or(0) + 1;
        *seen = (count < 2).then_some(count);
        out.collect((value, count));
        Ok(())
    };
    let selector = KeyBy(|value: &i64| value % 2);
    let logic = |state: &mut StateDeclarations| FlatMapWithState::<_, i64, i64, _, _>::new(nth, state);
    let mut driver = Driver::new(&[], |cx| KeyedOperator::new(selector, cx, logic).expect("opens"));
    driver.batch(0, rows(&[1, 3, 2, 5, 4, 7], &[]));
    assert_eq!(driver.values::<(i64, i64)>(0), [(1, 1), (3, 2), (2, 1), (5, 1), (4, 2), (7, 2)]);
}

#[test]
fn state_declared_twice_is_found_when_the_task_opens() {
    struct Twice;
    impl KeyedProcessFunction for Twice {
        type Key = i64;
        type In = i64;
        type Out = i64;
        fn declare(state: &mut StateDeclarations) -> Self {
            let _: (ValueState<i64>, ValueState<i64>) = (state.value("x"), state.value("x"));
            Self
        }
        fn process_element(&mut self, _value: i64, _ctx: &mut KeyedContext<'_, i64>, _out: &mut Collector<i64>) -> Result<()> {
            Ok(())
        }
    }
    Driver::new(&[], |cx| {
        let selector = KeyBy(|value: &i64| *value);
        let error = KeyedOperator::<KeyedProcess<Twice, _>>::new(selector.clone(), cx, |state| KeyedProcess::new(Twice::declare(state)));
        assert!(error.err().is_some_and(|error| error.to_string().contains("'x' is declared twice")));
        KeyedOperator::<KeyedProcess<Echo, _>>::new(selector, cx, |state| KeyedProcess::new(Echo::declare(state))).expect("opens")
    });
}
