//! A restored harness goes on where the other one was: state, timers, watermarks, clocks.

use brisk_base::{Millis, Result, Timestamp};
use brisk_core::function::Collector;
use brisk_core::state::{StateDeclarations, ValueState};
use brisk_stream::function::{
    AsyncOptions, BroadcastContext, BroadcastProcessFunction, Context, KeyedCoProcessFunction, KeyedContext, KeyedProcessFunction,
    MapStateDescriptor, ReadOnlyContext, TimerContext,
};
use brisk_testkit::{Event, KeyedOneInputHarness, KeyedTwoInputHarness, OneInputHarness, TwoInputHarness};
use std::future::{pending, ready};

/// Counts per key; gives the count when event time is 10 ms, and when processing time is 5 ms further.
struct Counts {
    count: ValueState<i64>,
}

impl KeyedProcessFunction for Counts {
    type Key = i64;
    type In = i64;
    type Out = (i64, i64);

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { count: state.value("count") }
    }

    fn process_element(&mut self, _: i64, ctx: &mut Context<'_, Self>, _: &mut Collector<Self::Out>) -> Result<()> {
        let count = self.count.get(ctx)?.unwrap_or(0) + 1;
        self.count.put(ctx, count)?;
        let (event, now) = (ctx.timestamp().unwrap_or_default() + Millis(10), ctx.current_processing_time() + Millis(5));
        ctx.timers().register_event_time(event);
        ctx.timers().register_processing_time(now);
        Ok(())
    }

    fn on_timer(&mut self, _: Timestamp, ctx: &mut TimerContext<'_, Self>, out: &mut Collector<Self::Out>) -> Result<()> {
        let count = self.count.get(ctx)?.unwrap_or(0);
        out.collect((*ctx.key(), count));
        Ok(())
    }
}

#[test]
fn one_input() {
    let windows = || OneInputHarness::of(|numbers| numbers.map(|n: i64| n + 1).key_by(|n| n % 2).reduce(|a, b| a + b)).unwrap();
    let mut harness = windows();
    harness.elements([(0, 0), (1, 0), (2, 0)]).unwrap();
    assert_eq!(harness.output().unwrap(), [1, 2, 4]);
    harness.watermark(7).unwrap();
    let snapshot = harness.snapshot().unwrap();
    harness.element(100, 0).unwrap();
    let mut again = windows().restored(&snapshot);
    assert_eq!(again.state_entries().unwrap(), 2);
    assert_eq!(again.events().unwrap(), [Event::Watermark(Timestamp(7))], "it is told again");
    again.elements([(0, 0), (1, 0)]).unwrap();
    assert_eq!(again.output().unwrap(), [5, 4], "what came behind the snapshot is not there");
    let second = again.snapshot().unwrap();
    assert_eq!((snapshot.checkpoint().0, second.checkpoint().0), (1, 2));
    again.checkpoint_complete().unwrap();
}

#[test]
fn keyed() {
    let counts = || KeyedOneInputHarness::of::<Counts, _>(|n: &i64| *n).unwrap();
    let mut harness = counts();
    harness.processing_time(100).unwrap();
    harness.elements([(7, 1), (8, 2), (7, 3)]).unwrap();
    harness.watermark(11).unwrap();
    assert_eq!(harness.output().unwrap(), [(7, 2)]);
    let snapshot = harness.snapshot().unwrap();
    let mut again = counts().restored(&snapshot);
    assert_eq!((again.now().unwrap(), again.output().unwrap()), (Timestamp(100), vec![]));
    assert_eq!(again.state_entries().unwrap(), harness.state_entries().unwrap());
    again.watermark(13).unwrap();
    assert_eq!(again.output().unwrap(), [(8, 1), (7, 2)]);
    again.processing_time(105).unwrap();
    let mut fired = again.output().unwrap();
    fired.sort_unstable();
    assert_eq!(fired, [(7, 2), (8, 1)]);
}

/// Adds up both sides of a key.
struct Sums {
    sum: ValueState<i64>,
}

impl KeyedCoProcessFunction for Sums {
    type Key = i64;
    type In1 = (i64, i64);
    type In2 = i64;
    type Out = i64;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { sum: state.value("sum") }
    }

    fn process_element1(&mut self, (_, number): (i64, i64), ctx: &mut KeyedContext<'_, i64>, _: &mut Collector<i64>) -> Result<()> {
        let sum = self.sum.get(ctx)?.unwrap_or(0) + number;
        self.sum.put(ctx, sum)
    }

    fn process_element2(&mut self, _: i64, ctx: &mut KeyedContext<'_, i64>, out: &mut Collector<i64>) -> Result<()> {
        out.collect(self.sum.get(ctx)?.unwrap_or(0));
        Ok(())
    }
}

#[test]
fn two_inputs() {
    let sums = || KeyedTwoInputHarness::of::<Sums, _>(|pair: &(i64, i64)| pair.0, |key: &i64| *key).unwrap();
    let mut harness = sums();
    harness.elements1([((1, 10), 0), ((2, 20), 0), ((1, 5), 0)]).unwrap();
    harness.watermark1(30).unwrap();
    harness.watermark2(20).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let mut again = sums().restored(&snapshot);
    assert_eq!(again.events().unwrap(), [Event::Watermark(Timestamp(20))]);
    again.elements2([(1, 0), (2, 0)]).unwrap();
    assert_eq!(again.output().unwrap(), [15, 20]);
    again.watermark2(40).unwrap();
    assert_eq!(again.events().unwrap(), [Event::Watermark(Timestamp(30))], "the first input stands where it stood");
    harness.end_input1().unwrap();
    let error = harness.snapshot().err().expect("the input has ended").to_string();
    assert!(error.contains("take it before end_input"), "{error}");
}

/// Passes on what is not above a broadcast limit.
#[derive(Clone)]
struct UpTo;

fn limit() -> MapStateDescriptor<u8, i64> {
    MapStateDescriptor::new("limit")
}

impl BroadcastProcessFunction for UpTo {
    type In = i64;
    type BroadcastIn = i64;
    type Out = i64;

    fn process_element(&mut self, value: i64, ctx: &mut ReadOnlyContext<'_>, out: &mut Collector<i64>) -> Result<()> {
        if ctx.broadcast_state(&limit())?.get(&0).is_some_and(|limit| value <= *limit) {
            out.collect(value);
        }
        Ok(())
    }

    fn process_broadcast_element(&mut self, value: i64, ctx: &mut BroadcastContext<'_>, _: &mut Collector<i64>) -> Result<()> {
        ctx.broadcast_state(&limit())?.put(0, value);
        Ok(())
    }
}

#[test]
fn broadcast() {
    let up_to =
        || TwoInputHarness::of(|numbers, limits| numbers.connect_broadcast(&limits.broadcast_state(&limit())).process(UpTo)).unwrap();
    let mut harness = up_to();
    harness.element2(5, 0).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let mut again = up_to().restored(&snapshot);
    again.elements1([(4, 0), (6, 0)]).unwrap();
    assert_eq!(again.output().unwrap(), [4]);
}

#[test]
fn requests_under_way_are_made_again() {
    let asked = |answers: bool| {
        let ask = move |n: i64| async move { if answers { ready(Ok(n * 10)).await } else { pending().await } };
        OneInputHarness::of(|numbers| numbers.map_async_ordered(ask, AsyncOptions::default().capacity(2))).unwrap()
    };
    let mut harness = asked(false);
    harness.elements([(1, 0), (2, 0), (3, 0)]).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let mut again = asked(true).restored(&snapshot);
    assert_eq!(again.output().unwrap(), [10, 20, 30], "also the record that there was no room for");
}

#[test]
fn another_pipeline_is_refused() {
    let mut harness = KeyedOneInputHarness::of::<Counts, _>(|n: &i64| *n).unwrap();
    harness.element(1, 0).unwrap();
    let snapshot = harness.snapshot().unwrap();
    let mut other = OneInputHarness::of(|numbers| numbers.map(|n: i64| n)).unwrap().restored(&snapshot);
    let error = other.element(1, 0).unwrap_err().to_string();
    assert!(error.contains("that the pipeline does not have"), "{error}");
}
