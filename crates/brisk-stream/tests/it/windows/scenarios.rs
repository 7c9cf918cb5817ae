//! What Flink's pages "Windows", "Process Function" and "Side Outputs" say, example by example.

use super::harness::{Event, Harness, environment};
use brisk_base::time::{hours, minutes};
use brisk_base::{Millis, Result, Timestamp};
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{AggregateFunction, Collector, OutputTag};
use brisk_core::state::{StateDeclarations, ValueState};
use brisk_core::types::Record;
use brisk_stream::window::{
    AssignerContext, CountEvictor, CountTrigger, EventTimeSessionWindows, EventTimeTrigger, GlobalWindows, NeverTrigger,
    ProcessWindowContext, ProcessWindowFunction, PurgingTrigger, SlidingEventTimeWindows, TimeWindow, Trigger, TriggerContext,
    TriggerResult, TumblingEventTimeWindows, TumblingProcessingTimeWindows, Window, WindowAssigner,
};
use brisk_stream::{DataStream, KeySelector, KeyedStream, StreamEnvironment};

/// Key and value.
type Reading = (String, i64);

fn reading(key: &str, value: i64) -> Reading {
    (key.to_owned(), value)
}

/// A stream with event time.
fn readings(env: &StreamEnvironment) -> DataStream<Reading> {
    let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|_: &Reading| Timestamp(0));
    env.from_elements([reading("", 0)]).assign_timestamps_and_watermarks(strategy)
}

fn keyed(env: &StreamEnvironment) -> KeyedStream<Reading, impl KeySelector<Reading, Key = String> + use<>> {
    readings(env).key_by_ref(|reading| &reading.0)
}

/// The window operator of what `build` adds to the keyed stream.
macro_rules! operator {
    ($keyed:ident => $build:expr) => {{
        let env = environment();
        let $keyed = keyed(&env);
        $build;
        Harness::of(&env, "Window").expect("a good graph")
    }};
}

/// Gives rows of key, value and timestamp.
fn give(harness: &mut Harness, rows: &[(&str, i64, i64)]) {
    rows.iter().for_each(|(key, value, timestamp)| harness.row(0, reading(key, *value), *timestamp).expect("a row"));
}

/// What came out since the last look, without watermarks, sorted.
fn out<T: Record + Ord>(harness: &mut Harness) -> Vec<T> {
    let mut rows = harness.rows(0);
    rows.sort();
    rows
}

/// The mean of the values: Flink's example of an aggregate.
struct Mean;

impl AggregateFunction for Mean {
    type In = Reading;
    type Acc = (i64, i64);
    type Out = i64;

    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (i64, i64), reading: Reading) -> Result<()> {
        (*sum, *count) = (*sum + reading.1, *count + 1);
        Ok(())
    }

    fn get_result(&self, (sum, count): &(i64, i64)) -> Result<i64> {
        Ok(sum / count)
    }

    fn merge(&self, into: &mut (i64, i64), from: (i64, i64)) -> Result<()> {
        *into = (into.0 + from.0, into.1 + from.1);
        Ok(())
    }
}

#[test]
fn each_function_sees_the_elements_of_its_window() {
    let rows = [("a", 1, 0), ("a", 5, 3), ("b", 7, 4), ("a", 3, 9), ("a", 100, 10)];
    let check = |mut harness: Harness, expected: &[Reading]| {
        give(&mut harness, &rows);
        harness.watermark(9).expect("a watermark");
        assert_eq!(out::<Reading>(&mut harness), expected);
    };
    let windows = TumblingEventTimeWindows::of(Millis(10));
    let both = |a, b| [reading("a", a), reading("b", b)];
    check(operator!(keyed => keyed.window(windows).sum(|reading| &mut reading.1)), &both(9, 7));
    check(operator!(keyed => keyed.window(windows).min(|reading| &mut reading.1)), &both(1, 7));
    check(operator!(keyed => keyed.window(windows).max(|reading| &mut reading.1)), &both(5, 7));
    check(operator!(keyed => keyed.window(windows).min_by(|reading| -reading.1)), &both(5, 7));
    check(operator!(keyed => keyed.window(windows).max_by(|reading| -reading.1)), &both(1, 7));
    check(operator!(keyed => keyed.window(windows).reduce(|a, b| (a.0, a.1 * 10 + b.1))), &both(153, 7));
    check(operator!(keyed => keyed.window(windows).try_reduce(|a, b| Ok((a.0, a.1 - b.1)))), &both(-7, 7));
    let mean = |key: &String, _: &TimeWindow, mean: i64, out: &mut Collector<Reading>| out.collect(reading(key, mean));
    check(operator!(keyed => keyed.window(windows).aggregate(Mean, mean)), &both(3, 7));
    let count = |key: &String, _: &TimeWindow, all: Vec<Reading>, out: &mut Collector<Reading>| out.collect(reading(key, all.len() as i64));
    check(operator!(keyed => keyed.window(windows).apply(count)), &both(3, 1));
    // Reduce with a window function: the smallest reading and the start of its window, as in Flink's example.
    let smallest = operator!(keyed => keyed.window(windows).reduce_then(
        |a, b| if a.1 < b.1 { a } else { b },
        |key: &String, window: &TimeWindow, least: Reading, out: &mut Collector<Reading>| out.collect(reading(key, window.start().0 + least.1))
    ));
    check(smallest, &both(1, 7));
}

#[test]
fn an_aggregation_may_be_emitted_as_it_is() {
    let mut harness = operator!(keyed => keyed.window(TumblingEventTimeWindows::of(Millis(10))).aggregate_result(Mean));
    give(&mut harness, &[("a", 1, 0), ("a", 3, 3), ("b", 7, 4)]);
    harness.watermark(9).expect("a watermark");
    assert_eq!(out::<i64>(&mut harness), [2, 7]);
}

#[test]
fn results_carry_the_last_timestamp_of_their_window_and_come_before_its_watermark() {
    let mut harness = operator!(keyed => keyed.window(TumblingEventTimeWindows::of(Millis(5))).sum(|reading| &mut reading.1));
    give(&mut harness, &[("a", 1, 0), ("a", 2, 7)]);
    harness.watermark(20).expect("a watermark");
    let expected = [Event::Row(reading("a", 1), 4), Event::Row(reading("a", 2), 9), Event::Watermark(20)];
    assert_eq!(harness.take::<Reading>(0), expected);
}

/// Consecutive windowed operations: the results of windows of 5 fall into windows of 5 with the same ends.
#[test]
fn windows_over_the_results_of_windows() {
    let env = environment();
    let sums = keyed(&env).window(TumblingEventTimeWindows::of(Millis(5))).sum(|reading| &mut reading.1).name("sums");
    sums.window_all(TumblingEventTimeWindows::of(Millis(5))).max_by(|reading| reading.1).name("best");
    let (mut first, mut second) = (Harness::of(&env, "sums").expect("a graph"), Harness::of(&env, "best").expect("a graph"));
    give(&mut first, &[("a", 1, 0), ("b", 5, 1), ("a", 2, 4), ("a", 9, 5)]);
    first.watermark(9).expect("a watermark");
    for event in first.take::<Reading>(0) {
        match event {
            Event::Row(row, timestamp) => second.row(0, row, timestamp).expect("a row"),
            Event::Watermark(watermark) => second.watermark(watermark).expect("a watermark"),
        }
    }
    let expected = [Event::Row(reading("b", 5), 4), Event::Row(reading("a", 9), 9), Event::Watermark(9)];
    assert_eq!(second.take::<Reading>(0), expected);
}

#[test]
fn windows_are_aligned_to_the_epoch_and_shifted_by_offsets() {
    let starts = |harness: &mut Harness| {
        harness.watermark(i64::MAX).expect("the end");
        out::<i64>(harness)
    };
    let start = |_: &String, window: &TimeWindow, _: Vec<Reading>, out: &mut Collector<i64>| out.collect(window.start().0);
    let (minute, hour) = (60_000, 3_600_000);
    // Hours: 1:05 falls into [1:00, 2:00). With 15 minutes: 1:05 into [0:15, 1:15).
    let mut harness = operator!(keyed => keyed.window(TumblingEventTimeWindows::of(hours(1))).apply(start));
    give(&mut harness, &[("a", 0, hour + 5 * minute)]);
    assert_eq!(starts(&mut harness), [hour]);
    let mut harness = operator!(keyed => keyed.window(TumblingEventTimeWindows::of(hours(1)).offset(minutes(15))).apply(start));
    give(&mut harness, &[("a", 0, hour + 5 * minute)]);
    assert_eq!(starts(&mut harness), [15 * minute]);
    // Days in China begin at 16:00 UTC.
    let mut harness = operator!(keyed => keyed.window(TumblingEventTimeWindows::of(hours(24)).offset(hours(-8))).apply(start));
    give(&mut harness, &[("a", 0, 15 * hour), ("a", 0, 16 * hour)]);
    assert_eq!(starts(&mut harness), [-8 * hour, 16 * hour]);
    // Two sliding windows hold each record.
    let mut harness = operator!(keyed => keyed.window(SlidingEventTimeWindows::of(minutes(10), minutes(5))).apply(start));
    give(&mut harness, &[("a", 0, 7 * minute)]);
    assert_eq!(starts(&mut harness), [0, 5 * minute]);
}

#[test]
fn sessions_end_after_a_gap() {
    let bounds = |_: &String, window: &TimeWindow, all: Vec<Reading>, out: &mut Collector<(i64, i64, i64)>| {
        out.collect((window.start().0, window.end().0, all.len() as i64));
    };
    let mut harness = operator!(keyed => keyed.window(EventTimeSessionWindows::with_gap(Millis(10))).apply(bounds));
    give(&mut harness, &[("a", 0, 0), ("a", 0, 30), ("a", 0, 8), ("a", 0, 35)]);
    harness.watermark(17).expect("a watermark");
    assert_eq!(out::<(i64, i64, i64)>(&mut harness), [(0, 18, 2)]);
    harness.watermark(44).expect("a watermark");
    assert_eq!(out::<(i64, i64, i64)>(&mut harness), [(30, 45, 2)]);
    // The gap of each record is its value.
    let dynamic = EventTimeSessionWindows::with_dynamic_gap(|reading: &Reading| Millis(reading.1));
    let mut harness = operator!(keyed => keyed.window(dynamic).apply(bounds));
    give(&mut harness, &[("a", 20, 0), ("a", 2, 15), ("a", 3, 40)]);
    harness.watermark(50).expect("a watermark");
    assert_eq!(out::<(i64, i64, i64)>(&mut harness), [(0, 20, 2), (40, 43, 1)]);
}

/// "Late firings might lead to merging of windows": a late record bridges two sessions.
#[test]
fn a_late_record_bridges_two_sessions() {
    let sessions = EventTimeSessionWindows::with_gap(Millis(10));
    let mut harness = operator!(keyed => keyed.window(sessions).allowed_lateness(Millis(100)).aggregate(Mean, |_: &String, window: &TimeWindow, mean, out| {
        out.collect((window.start().0, window.end().0, mean));
    }));
    give(&mut harness, &[("a", 1, 0), ("a", 3, 15)]);
    harness.watermark(50).expect("a watermark");
    assert_eq!(out::<(i64, i64, i64)>(&mut harness), [(0, 10, 1), (15, 25, 3)]);
    give(&mut harness, &[("a", 8, 8)]);
    assert_eq!(out::<(i64, i64, i64)>(&mut harness), [(0, 25, 4)]);
    harness.watermark(124).expect("a watermark");
    give(&mut harness, &[("a", 8, 8)]);
    assert_eq!(harness.take::<(i64, i64, i64)>(0), [Event::Watermark(50), Event::Watermark(124)].split_at(1).1.to_vec());
    assert_eq!(harness.counter("numLateRecordsDropped"), 1);
}

/// Lateness: within it a late record fires the window again, with all of its elements; after it, it goes to the side output.
#[test]
fn late_records_fire_again_until_they_are_too_late() {
    let late = OutputTag::new("late");
    let windows = TumblingEventTimeWindows::of(Millis(10));
    let build_fast =
        operator!(keyed => keyed.window(windows).allowed_lateness(Millis(5)).side_output_late_data(&late).sum(|reading| &mut reading.1));
    let build_general = operator!(keyed => keyed.window(windows).trigger(EventTimeTrigger).allowed_lateness(Millis(5)).side_output_late_data(&late).sum(|reading| &mut reading.1));
    for mut harness in [build_fast, build_general] {
        give(&mut harness, &[("a", 1, 0), ("b", 1, 0)]);
        harness.watermark(9).expect("a watermark");
        assert_eq!(out::<Reading>(&mut harness), [reading("a", 1), reading("b", 1)]);
        give(&mut harness, &[("a", 2, 5), ("a", 3, 6), ("c", 7, 1)]);
        assert_eq!(out::<Reading>(&mut harness), [reading("a", 3), reading("a", 6), reading("c", 7)]);
        harness.watermark(14).expect("a watermark");
        give(&mut harness, &[("a", 4, 9), ("a", 5, 10)]);
        assert_eq!(harness.rows::<Reading>(1), [reading("a", 4)]);
        assert!(harness.rows::<Reading>(0).is_empty());
        assert_eq!(harness.counter("numLateRecordsDropped"), 0);
        harness.watermark(i64::MAX).expect("the end");
        assert_eq!(out::<Reading>(&mut harness), [reading("a", 5)]);
    }
}

#[test]
fn too_late_records_are_counted_where_nobody_takes_them() {
    let mut harness = operator!(keyed => keyed.window(TumblingEventTimeWindows::of(Millis(10))).sum(|reading| &mut reading.1));
    harness.watermark(9).expect("a watermark");
    give(&mut harness, &[("a", 1, 0), ("a", 1, 9), ("a", 1, 10)]);
    assert_eq!(harness.counter("numLateRecordsDropped"), 2);
}

#[test]
fn windows_of_processing_time_fire_by_the_clock() {
    let mut harness = operator!(keyed => keyed.window(TumblingProcessingTimeWindows::of(Millis(10))).sum(|reading| &mut reading.1));
    harness.advance(3).expect("time");
    give(&mut harness, &[("a", 1, 77), ("a", 2, 5)]);
    harness.advance(8).expect("time");
    give(&mut harness, &[("a", 4, 6)]);
    assert!(harness.rows::<Reading>(0).is_empty());
    harness.advance(9).expect("time");
    assert_eq!(harness.take::<Reading>(0), [Event::Row(reading("a", 7), 9)]);
    assert!(!harness.has_processing_timer());
}

#[test]
fn count_windows_hold_so_many_elements() {
    let values = |_: &String, _: &_, all: Vec<Reading>, out: &mut Collector<Vec<i64>>| out.collect(all.iter().map(|one| one.1).collect());
    let rows: Vec<(&str, i64, i64)> = (1..=7).map(|n| ("a", n, 0)).chain([("b", 0, 0)]).collect();
    let mut harness = operator!(keyed => keyed.count_window(3).apply(values));
    give(&mut harness, &rows);
    harness.watermark(i64::MAX).expect("the end");
    assert_eq!(harness.rows::<Vec<i64>>(0), [vec![1, 2, 3], vec![4, 5, 6]]);
    let mut harness = operator!(keyed => keyed.count_window_sliding(3, 2).apply(values));
    give(&mut harness, &rows);
    assert_eq!(harness.rows::<Vec<i64>>(0), [vec![1, 2], vec![2, 3, 4], vec![4, 5, 6]]);
}

#[test]
fn global_windows_need_a_trigger() {
    let mut harness = operator!(keyed => keyed.window(GlobalWindows::create()).sum(|reading| &mut reading.1));
    give(&mut harness, &[("a", 1, 0), ("a", 1, 0)]);
    harness.watermark(i64::MAX).expect("the end");
    assert_eq!(harness.take::<Reading>(0), [Event::Watermark(i64::MAX)]);
}

/// Fire keeps the contents of a window, purging drops them.
#[test]
fn purging_triggers_begin_again() {
    let windows = TumblingEventTimeWindows::of(Millis(10));
    let mut keeping = operator!(keyed => keyed.window(windows).trigger(CountTrigger::of(2)).sum(|reading| &mut reading.1));
    let mut purging =
        operator!(keyed => keyed.window(windows).trigger(PurgingTrigger::of(CountTrigger::of(2))).sum(|reading| &mut reading.1));
    let rows: Vec<(&str, i64, i64)> = (0..4).map(|n| ("a", 1, n)).collect();
    give(&mut keeping, &rows);
    give(&mut purging, &rows);
    assert_eq!(keeping.rows::<Reading>(0), [reading("a", 2), reading("a", 4)]);
    assert_eq!(purging.rows::<Reading>(0), [reading("a", 2), reading("a", 2)]);
}

/// An evictor with an incremental function: all elements are kept, and the function is applied to those that are left.
#[test]
fn evictors_come_before_incremental_functions() {
    let windows = TumblingEventTimeWindows::of(Millis(10));
    let mut harness = operator!(keyed => keyed.window(windows).evictor(CountEvictor::of(2)).aggregate_result(Mean));
    give(&mut harness, &[("a", 100, 0), ("a", 1, 1), ("a", 3, 2)]);
    harness.watermark(9).expect("a watermark");
    assert_eq!(harness.rows::<i64>(0), [2]);
}

/// How often a window and a key have fired, in state of the window and of the key, with a side output.
struct Firings {
    of_window: ValueState<u64>,
    of_key: ValueState<u64>,
    late: OutputTag<Reading>,
}

impl ProcessWindowFunction for Firings {
    type Key = String;
    type Window = TimeWindow;
    type In = Vec<Reading>;
    type Out = (i64, u64, u64);

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { of_window: state.value("of window"), of_key: state.value("of key"), late: OutputTag::new("late") }
    }

    fn process(
        &mut self,
        key: &String,
        window: &TimeWindow,
        readings: Vec<Reading>,
        ctx: &mut ProcessWindowContext<'_, String, TimeWindow>,
        out: &mut Collector<Self::Out>,
    ) -> Result<()> {
        let of_window = self.of_window.get(&mut ctx.window_state())?.unwrap_or(0) + 1;
        let of_key = self.of_key.get(&mut ctx.global_state())?.unwrap_or(0) + 1;
        self.of_window.put(&mut ctx.window_state(), of_window)?;
        self.of_key.put(&mut ctx.global_state(), of_key)?;
        ctx.output(&self.late, reading(key, readings.len() as i64))?;
        out.collect((window.start().0, of_window, of_key));
        Ok(())
    }

    fn clear(&mut self, ctx: &mut ProcessWindowContext<'_, String, TimeWindow>) -> Result<()> {
        self.of_window.clear(&mut ctx.window_state())
    }
}

#[test]
fn process_functions_have_state_per_window_and_per_key() {
    let windows = TumblingEventTimeWindows::of(Millis(10));
    let mut harness = operator!(keyed => keyed.window(windows).allowed_lateness(Millis(20)).process::<Firings>());
    give(&mut harness, &[("a", 1, 0), ("a", 1, 10)]);
    harness.watermark(19).expect("a watermark");
    give(&mut harness, &[("a", 1, 1), ("a", 1, 2)]);
    assert_eq!(harness.rows::<(i64, u64, u64)>(0), [(0, 1, 1), (10, 1, 2), (0, 2, 3), (0, 3, 4)]);
    let expected = [(1, 9), (1, 19), (2, 9), (3, 9)].map(|(count, at)| Event::Row(reading("a", count), at));
    let rows: Vec<_> = harness.take::<Reading>(1).into_iter().filter(|event| matches!(event, Event::Row(..))).collect();
    assert_eq!(rows, expected);
}

#[test]
fn merging_windows_have_no_state_of_their_own() {
    let mut harness = operator!(keyed => keyed.window(EventTimeSessionWindows::with_gap(Millis(10))).process::<Firings>());
    give(&mut harness, &[("a", 1, 0)]);
    let error = harness.watermark(9).expect_err("refused").to_string();
    assert!(error.contains("per-window state") && error.contains("global_state()"), "{error}");
}

/// Windows over all records: one subtask, whatever the parallelism.
#[test]
fn windows_over_all_records_are_not_parallel() {
    let env = environment();
    env.set_parallelism(4);
    let all = readings(&env).window_all(TumblingEventTimeWindows::of(Millis(10)));
    all.apply(|window: &TimeWindow, all: Vec<Reading>, out: &mut Collector<(i64, i64)>| out.collect((window.end().0, all.len() as i64)));
    let graph = env.stream_graph("test").expect("a good graph");
    let node = graph.nodes.last().expect("the window");
    assert!(node.parallelism == Some(1) && node.fixed_parallelism);
    let mut harness = Harness::of(&env, "Window").expect("a good graph");
    give(&mut harness, &[("a", 1, 0), ("b", 1, 1), ("b", 1, 10)]);
    harness.watermark(9).expect("a watermark");
    assert_eq!(harness.rows::<(i64, i64)>(0), [(10, 2)]);
    let counted = environment();
    readings(&counted).count_window_all(2).sum(|reading| &mut reading.1);
    let mut harness = Harness::of(&counted, "Window").expect("a good graph");
    give(&mut harness, &[("a", 1, 0), ("b", 2, 1), ("b", 3, 10)]);
    assert_eq!(harness.rows::<Reading>(0), [reading("a", 3)]);
}

/// Windows that begin at the multiples of ten and hold the values of their ten only.
#[derive(Clone)]
struct Tens;

impl WindowAssigner<Reading> for Tens {
    type Window = TimeWindow;
    type DefaultTrigger = NeverTrigger;

    fn assign_windows(&mut self, element: &Reading, _: Timestamp, _: AssignerContext, windows: &mut Vec<TimeWindow>) -> Result<()> {
        windows.push(TimeWindow::starting_at(Timestamp(element.1 / 10 * 10), Millis(10)));
        Ok(())
    }

    fn default_trigger(&self) -> NeverTrigger {
        NeverTrigger
    }

    fn is_event_time(&self) -> bool {
        true
    }
}

/// Fires when the sum of a window reaches a limit.
#[derive(Clone)]
struct Reaches(i64);

impl<W: Window> Trigger<Reading, W> for Reaches {
    type State = i64;

    fn on_element(
        &mut self,
        element: &Reading,
        _timestamp: Timestamp,
        _window: &W,
        sum: &mut Option<i64>,
        _cx: &mut TriggerContext<'_>,
    ) -> Result<TriggerResult> {
        let reached = sum.unwrap_or(0) + element.1;
        *sum = Some(reached).filter(|sum| *sum < self.0);
        Ok(if sum.is_none() { TriggerResult::FireAndPurge } else { TriggerResult::Continue })
    }
}

#[test]
fn assigners_and_triggers_of_ones_own() {
    let mut harness = operator!(keyed => keyed.window(Tens).trigger(Reaches(40)).sum(|reading| &mut reading.1));
    give(&mut harness, &[("a", 12, 0), ("a", 25, 0), ("a", 18, 0), ("a", 27, 0), ("b", 19, 0), ("a", 15, 0)]);
    assert_eq!(harness.rows::<Reading>(0), [reading("a", 52), reading("a", 45)]);
}

/// Mistakes that are found when the graph is built, with the remedy.
#[test]
fn mistakes_are_named_with_their_remedy() {
    let check = |build: &dyn Fn(&StreamEnvironment), parts: &[&str]| {
        let env = environment();
        build(&env);
        let error = env.stream_graph("test").expect_err("a mistake").to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "'{error}' does not contain '{part}'"));
    };
    let windows = TumblingEventTimeWindows::of(Millis(10));
    check(
        &|env| drop(env.from_elements([reading("", 0)]).key_by_ref(|one| &one.0).window(windows).sum(|one| &mut one.1)),
        &["TumblingEventTimeWindows", "call assign_timestamps_and_watermarks before window"],
    );
    check(
        &|env| drop(keyed(env).window(EventTimeSessionWindows::with_gap(Millis(5))).trigger(NeverTrigger).sum(|one| &mut one.1)),
        &["EventTimeSessionWindows", "NeverTrigger", "merg"],
    );
    check(&|env| drop(keyed(env).window(windows).allowed_lateness(Millis(-1)).sum(|one| &mut one.1)), &["lateness", "-1 ms"]);
    check(&|env| drop(keyed(env).window(TumblingEventTimeWindows::of(Millis(0))).sum(|one| &mut one.1)), &["size", "positive"]);
    check(&|env| drop(keyed(env).window(windows.offset(Millis(10))).sum(|one| &mut one.1)), &["offset", "10 ms"]);
    check(&|env| drop(keyed(env).window(EventTimeSessionWindows::with_gap(Millis(0))).sum(|one| &mut one.1)), &["gap", "positive"]);
    check(&|env| drop(keyed(env).count_window(0).sum(|one| &mut one.1)), &["CountTrigger", "at least 1"]);
}

/// A record without a timestamp in a window of event time fails the task with the remedy, not silently.
#[test]
fn records_without_timestamps_are_refused() {
    let windows = TumblingEventTimeWindows::of(Millis(10));
    let fast = operator!(keyed => keyed.window(windows).sum(|reading| &mut reading.1));
    let general = operator!(keyed => keyed.window(windows).trigger(CountTrigger::of(1)).sum(|reading| &mut reading.1));
    for mut harness in [fast, general] {
        let error = harness.row(0, reading("a", 1), i64::MIN).expect_err("refused").to_string();
        assert!(error.contains("without a timestamp") && error.contains("with_timestamp"), "{error}");
    }
}

/// More results than fit one batch come out in several calls, in order, the watermark after them.
#[test]
fn very_many_results_come_out_in_pieces() {
    let windows = TumblingEventTimeWindows::of(Millis(10));
    let fast = operator!(keyed => keyed.window(windows).sum(|reading| &mut reading.1));
    let late = operator!(keyed => keyed.window(windows).allowed_lateness(Millis(1)).sum(|reading| &mut reading.1));
    let general = operator!(keyed => keyed.window(windows).trigger(EventTimeTrigger).sum(|reading| &mut reading.1));
    for mut harness in [fast, late, general] {
        (0..10_000).for_each(|key| harness.row(0, reading(&key.to_string(), 1), 5).expect("a row"));
        harness.watermark(9).expect("a watermark");
        assert!(harness.largest_batch() <= brisk_core::batch::Rows::<Reading>::FULL, "{} rows", harness.largest_batch());
        let events = harness.take::<Reading>(0);
        assert_eq!((events.len(), events.last()), (10_001, Some(&Event::Watermark(9))));
    }
}
