//! The scenarios of Flink's documentation, "Joining": an orange and a green stream, each record named by its timestamp.

use brisk_base::{ErrorKind, Millis, Result, Timestamp};
use brisk_core::function::{Collector, OutputTag};
use brisk_core::types::Record;
use brisk_stream::DataStream;
use brisk_stream::join::{CoGroupFunction, FlatJoinFunction, JoinContext, JoinFunction, ProcessJoinFunction, TaggedUnion};
use brisk_stream::window::{
    CountTrigger, EventTimeSessionWindows, PurgingTrigger, SlidingEventTimeWindows, TumblingEventTimeWindows,
    TumblingProcessingTimeWindows, WindowAssigner,
};
use brisk_testkit::TwoInputHarness;

type Harness<O> = TwoInputHarness<i64, i64, O>;

/// Feeds each record at its timestamp, and ends the streams.
fn run<O: Record>(harness: &mut Harness<O>, orange: &[i64], green: &[i64]) -> Vec<(O, i64)> {
    orange.iter().for_each(|at| harness.element1(*at, *at).expect("no failure"));
    green.iter().for_each(|at| harness.element2(*at, *at).expect("no failure"));
    harness.end_input1().expect("no failure");
    harness.end_input2().expect("no failure");
    assert!(harness.state_is_empty());
    results(harness)
}

fn results<O: Record>(harness: &mut Harness<O>) -> Vec<(O, i64)> {
    let results = harness.output_with_timestamps().expect("runs");
    results.into_iter().map(|(value, timestamp)| (value, timestamp.0)).collect()
}

fn window_join(assigner: impl WindowAssigner<TaggedUnion<i64, i64>>) -> Harness<String> {
    let join = |orange: DataStream<i64>, green| {
        let windows = orange.join(&green).where_(|_| 0i64).equal_to(|_| 0).window(assigner);
        windows.apply(|orange, green| format!("{orange},{green}"))
    };
    TwoInputHarness::of(join).expect("a right graph")
}

/// Timestamps and pairs, pairs of one window in order.
fn pairs(results: Vec<(String, i64)>) -> Vec<(i64, Vec<String>)> {
    let mut windows: Vec<(i64, Vec<String>)> = Vec::new();
    for (pair, at) in results {
        match windows.last_mut() {
            Some((last, pairs)) if *last == at => pairs.push(pair),
            _ => windows.push((at, vec![pair])),
        }
    }
    windows.iter_mut().for_each(|(_, pairs)| pairs.sort_unstable());
    windows
}

fn window(at: i64, pairs: &[&str]) -> (i64, Vec<String>) {
    (at, pairs.iter().map(|pair| (*pair).to_owned()).collect())
}

/// Windows of 2 ms. In the window [6,7] there is nothing green, so nothing comes.
#[test]
fn tumbling_window_join() {
    let found = run(&mut window_join(TumblingEventTimeWindows::of(Millis(2))), &[0, 1, 2, 3, 4, 5, 6, 7], &[0, 1, 3, 4]);
    let expected = [window(1, &["0,0", "0,1", "1,0", "1,1"]), window(3, &["2,3", "3,3"]), window(5, &["4,4", "5,4"])];
    assert_eq!(pairs(found), expected);
}

/// Windows of 2 ms that slide by 1 ms. Orange 2 meets green 3 in the window [2,3], and nothing in [1,2].
#[test]
fn sliding_window_join() {
    let found = run(&mut window_join(SlidingEventTimeWindows::of(Millis(2), Millis(1))), &[0, 1, 2, 3, 4], &[0, 3, 4]);
    let expected = [
        window(0, &["0,0"]),
        window(1, &["0,0", "1,0"]),
        window(3, &["2,3", "3,3"]),
        window(4, &["3,3", "3,4", "4,3", "4,4"]),
        window(5, &["4,4"]),
    ];
    assert_eq!(pairs(found), expected);
}

/// Sessions with a gap of 1 ms, made of both streams. In the third one there is nothing green.
#[test]
fn session_window_join() {
    let found = run(&mut window_join(EventTimeSessionWindows::with_gap(Millis(1))), &[1, 2, 5, 6, 8, 9], &[0, 4, 5]);
    assert_eq!(pairs(found), [window(2, &["1,0", "2,0"]), window(6, &["5,4", "5,5", "6,4", "6,5"])]);
}

/// "A window with [5, 10) as its boundaries would result in the joined elements having 9 as their timestamp."
#[test]
fn results_of_window_joins_carry_the_last_timestamp_of_the_window() {
    let found = run(&mut window_join(TumblingEventTimeWindows::of(Millis(5))), &[5], &[8]);
    assert_eq!(found, [("5,8".to_owned(), 9)]);
}

/// Lower bound -2, upper bound +1; both belong to the interval.
fn interval_join(change: fn(Bounds) -> Bounds) -> Harness<String> {
    let Bounds { lower_exclusive, upper_exclusive } = change(Bounds::default());
    let join = |orange: DataStream<i64>, green: DataStream<i64>| {
        let mut join = orange.key_by(|_| 0i64).interval_join(&green.key_by(|_| 0)).between(Millis(-2), Millis(1));
        if lower_exclusive {
            join = join.lower_bound_exclusive();
        }
        if upper_exclusive {
            join = join.upper_bound_exclusive();
        }
        join.process_fn(|orange, green, _: &mut JoinContext<'_>, out: &mut Collector<String>| out.collect(format!("{orange},{green}")))
    };
    TwoInputHarness::of(join).expect("a right graph")
}

#[derive(Default)]
struct Bounds {
    lower_exclusive: bool,
    upper_exclusive: bool,
}

const ORANGE: [i64; 6] = [0, 2, 3, 4, 5, 7];
const GREEN: [i64; 4] = [0, 1, 6, 7];

fn sorted(results: Vec<(String, i64)>) -> Vec<String> {
    let mut pairs: Vec<String> = results.into_iter().map(|(pair, _)| pair).collect();
    pairs.sort_unstable();
    pairs
}

#[test]
fn interval_join_between_minus_2_and_plus_1() {
    let found = run(&mut interval_join(|bounds| bounds), &ORANGE, &GREEN);
    assert_eq!(sorted(found), ["0,0", "0,1", "2,0", "2,1", "3,1", "5,6", "7,6", "7,7"]);
}

#[test]
fn interval_join_with_exclusive_bounds() {
    let found = run(&mut interval_join(|bounds| Bounds { lower_exclusive: true, ..bounds }), &ORANGE, &GREEN);
    assert_eq!(sorted(found), ["0,0", "0,1", "2,1", "5,6", "7,6", "7,7"]);
    let found = run(&mut interval_join(|bounds| Bounds { upper_exclusive: true, ..bounds }), &ORANGE, &GREEN);
    assert_eq!(sorted(found), ["0,0", "2,0", "2,1", "3,1", "7,6", "7,7"]);
}

/// Both timestamps can be asked for; the greater one is the pair's.
#[derive(Clone)]
struct Timestamps;

impl ProcessJoinFunction for Timestamps {
    type In1 = i64;
    type In2 = i64;
    type Out = (Timestamp, Timestamp, Timestamp);

    fn process_element(&mut self, _: &i64, _: &i64, ctx: &mut JoinContext<'_>, out: &mut Collector<Self::Out>) -> Result<()> {
        out.collect((ctx.left_timestamp(), ctx.right_timestamp(), ctx.timestamp()));
        ctx.output(&OutputTag::new("side"), ctx.current_watermark())
    }
}

#[test]
fn pairs_of_interval_joins_carry_the_greater_timestamp() {
    let side = OutputTag::<Timestamp>::new("side");
    let join = |orange: DataStream<i64>, green: DataStream<i64>| {
        orange.key_by(|_| 0i64).interval_join(&green.key_by(|_| 0)).between(Millis(-5), Millis(5)).process(Timestamps)
    };
    let mut harness = TwoInputHarness::of(join).expect("a right graph").with_side_output(&side);
    harness.watermark1(1).expect("no failure");
    harness.watermark2(1).expect("no failure");
    let found = run(&mut harness, &[3, 9], &[7]);
    let pair = |left, right, pair| ((Timestamp(left), Timestamp(right), Timestamp(pair)), pair);
    assert_eq!(found, [pair(3, 7, 7), pair(9, 7, 9)]);
    assert_eq!(harness.side_output(&side).expect("watched"), [Timestamp(1), Timestamp(1)]);
}

/// A record behind the watermark joins nothing, even where a partner is still there; one at the watermark is not late.
#[test]
fn late_records_of_interval_joins_go_to_side_outputs() {
    let (left, right) = (OutputTag::new("late orange"), OutputTag::new("late green"));
    let join = |orange: DataStream<i64>, green: DataStream<i64>| {
        let join = orange.key_by(|_| 0i64).interval_join(&green.key_by(|_| 0)).between(Millis(-10), Millis(10));
        let join = join.side_output_left_late_data(&left).side_output_right_late_data(&right);
        join.process_fn(|left: &i64, right: &i64, _: &mut JoinContext<'_>, out: &mut Collector<i64>| out.collect(left * 100 + right))
    };
    let mut harness = TwoInputHarness::of(join).expect("a right graph").with_side_output(&left).with_side_output(&right);
    for at in [8, 9] {
        harness.element1(at, at).expect("no failure");
        harness.element2(at, at).expect("no failure");
    }
    assert_eq!(harness.output().expect("runs"), [808, 908, 809, 909]);
    harness.watermark1(9).expect("no failure");
    harness.watermark2(9).expect("no failure");
    for at in [8, 9] {
        harness.element1(at, at).expect("no failure");
        harness.element2(at, at).expect("no failure");
    }
    assert_eq!(harness.side_output(&left).expect("watched"), [8]);
    assert_eq!(harness.side_output(&right).expect("watched"), [8]);
    assert_eq!(harness.output().expect("runs"), [908, 909, 809, 909, 909]);
}

/// What a co-group sees of a window: both sides, of which one may be empty.
#[derive(Clone)]
struct Both;

impl CoGroupFunction for Both {
    type In1 = i64;
    type In2 = i64;
    type Out = (Vec<i64>, Vec<i64>);

    fn co_group(&mut self, first: Vec<i64>, second: Vec<i64>, out: &mut Collector<Self::Out>) -> Result<()> {
        out.collect((first, second));
        Ok(())
    }
}

#[test]
fn co_groups_see_windows_of_one_side_too() {
    let group = |orange: DataStream<i64>, green| {
        let windows = orange.co_group(&green).where_(|_| 0i64).equal_to(|_| 0).window(TumblingEventTimeWindows::of(Millis(2)));
        windows.apply_with(Both)
    };
    let mut harness = TwoInputHarness::of(group).expect("a right graph");
    let found = run(&mut harness, &[1, 0, 5], &[0, 2]);
    assert_eq!(found, [((vec![1, 0], vec![0]), 1), ((vec![], vec![2]), 3), ((vec![5], vec![]), 5)]);
}

/// Makes a sum of each pair.
#[derive(Clone)]
struct Sum;

impl JoinFunction for Sum {
    type In1 = i64;
    type In2 = i64;
    type Out = i64;

    fn join(&mut self, first: &i64, second: &i64) -> Result<i64> {
        Ok(first + second)
    }
}

/// Makes a record of each pair whose sum is even; refuses negative numbers.
#[derive(Clone)]
struct EvenSum;

impl FlatJoinFunction for EvenSum {
    type In1 = i64;
    type In2 = i64;
    type Out = i64;

    fn join(&mut self, first: &i64, second: &i64, out: &mut Collector<i64>) -> Result<()> {
        if *first < 0 {
            return Err(brisk_base::Error::user(format!("{first} is negative")));
        }
        if (first + second) % 2 == 0 {
            out.collect(first + second);
        }
        Ok(())
    }
}

#[test]
fn join_functions_and_flat_join_functions() {
    let windows = || TumblingEventTimeWindows::of(Millis(10));
    let join = |orange: DataStream<i64>, green| orange.join(&green).where_(|_| 0i64).equal_to(|_| 0).window(windows()).apply_with(Sum);
    let found = run(&mut TwoInputHarness::of(join).expect("a right graph"), &[1, 2], &[3, 4]);
    assert_eq!(found, [(4, 9), (5, 9), (5, 9), (6, 9)]);
    let join =
        |orange: DataStream<i64>, green| orange.join(&green).where_(|_| 0i64).equal_to(|_| 0).window(windows()).flat_apply_with(EvenSum);
    let mut harness = TwoInputHarness::of(join).expect("a right graph");
    assert_eq!(run(&mut harness, &[1, 2], &[3, 4]), [(4, 9), (6, 9)]);
    let mut harness = TwoInputHarness::of(join).expect("a right graph");
    harness.elements1([(-1, 1)]).expect("no failure");
    harness.elements2([(1, 1)]).expect("no failure");
    harness.end_input1().expect("nothing fires yet");
    let error = harness.end_input2().expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::User);
    assert_eq!(error.to_string(), "operator 'Join(TumblingEventTimeWindows)' (1/1): -1 is negative");
}

/// A late record makes its window fire again, with all that it holds.
#[test]
fn window_joins_with_allowed_lateness_fire_again() {
    let join = |orange: DataStream<i64>, green| {
        let windows = orange.join(&green).where_(|_| 0i64).equal_to(|_| 0).window(TumblingEventTimeWindows::of(Millis(2)));
        windows.allowed_lateness(Millis(2)).apply(|orange, green| format!("{orange},{green}"))
    };
    let mut harness = TwoInputHarness::of(join).expect("a right graph");
    harness.element1(0, 0).expect("no failure");
    harness.element2(1, 1).expect("no failure");
    harness.watermark1(2).expect("no failure");
    harness.watermark2(2).expect("no failure");
    assert_eq!(results(&mut harness), [("0,1".to_owned(), 1)]);
    harness.element1(1, 1).expect("no failure");
    assert_eq!(results(&mut harness), [("0,1".to_owned(), 1), ("1,1".to_owned(), 1)]);
    harness.watermark1(3).expect("no failure");
    harness.watermark2(3).expect("no failure");
    harness.element1(0, 0).expect("no failure");
    assert_eq!(results(&mut harness), []);
    assert!(harness.state_is_empty());
}

#[test]
fn window_joins_of_processing_time_need_no_timestamps() {
    let join = |orange: DataStream<i64>, green: DataStream<i64>| {
        let windows = orange.join(&green).where_(|n| n % 2).equal_to(|n| n % 2).window(TumblingProcessingTimeWindows::of(Millis(10)));
        windows.apply(|orange, green| format!("{orange},{green}"))
    };
    let mut harness = TwoInputHarness::of(join).expect("a right graph");
    harness.elements1([(1, Timestamp::MIN), (2, Timestamp::MIN)]).expect("no failure");
    harness.elements2([(3, Timestamp::MIN), (4, Timestamp::MIN)]).expect("no failure");
    harness.processing_time(9).expect("no failure");
    assert_eq!(results(&mut harness), [("1,3".to_owned(), 9), ("2,4".to_owned(), 9)]);
    assert!(harness.state_is_empty());
}

/// Triggers count the records of both streams.
#[test]
fn window_joins_with_triggers() {
    let join = |orange: DataStream<i64>, green| {
        let windows = orange.join(&green).where_(|_| 0i64).equal_to(|_| 0).window(TumblingEventTimeWindows::of(Millis(100)));
        windows.trigger(PurgingTrigger::of(CountTrigger::of(3))).apply(|orange, green| format!("{orange},{green}"))
    };
    let found = run(&mut TwoInputHarness::of(join).expect("a right graph"), &[1, 2], &[3, 4, 5, 6]);
    assert_eq!(found, [("1,3".to_owned(), 99), ("2,3".to_owned(), 99)]);
}
