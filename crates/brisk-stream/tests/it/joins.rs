//! Joins: window joins, co-groups and interval joins against naive references, and the scenarios of Flink's documentation.

use crate::windows::reference::{Assigner, Reference, Spec, Trigger};
use crate::windows::{Event, Harness, environment};
use brisk_base::world::Rng;
use brisk_base::{Millis, Timestamp};
use brisk_core::batch::Rows;
use brisk_core::function::watermark::WatermarkStrategy;
use brisk_core::function::{Collector, OutputTag};
use brisk_core::types::Key;
use brisk_stream::join::{JoinContext, TaggedUnion};
use brisk_stream::window::{
    EventTimeSessionWindows, SlidingEventTimeWindows, TumblingEventTimeWindows, TumblingProcessingTimeWindows, WindowAssigner,
};
use brisk_stream::{DataStream, StreamEnvironment};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Key and value.
type Pair = (i64, i64);
type Either = TaggedUnion<Pair, Pair>;
/// Values of the first and of the second stream.
type Sides = Vec<Vec<i64>>;

/// A stream of pairs with event time.
fn pairs(env: &StreamEnvironment) -> DataStream<Pair> {
    let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|_: &Pair| Timestamp(0));
    env.from_elements([(0, 0)]).assign_timestamps_and_watermarks(strategy)
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Whether of the second stream, key, value, timestamp.
    Row(bool, i64, i64, i64),
    Watermark(i64),
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (any::<bool>(), 0i64..3, 0i64..100, 0i64..40).prop_map(|(second, key, value, timestamp)| Step::Row(second, key, value, timestamp)),
        1 => (1i64..10).prop_map(Step::Watermark),
    ];
    proptest::collection::vec(step, 0..60).prop_map(join_watermarks)
}

/// Makes one advance of those that follow each other, as batches do.
fn join_watermarks(steps: Vec<Step>) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        match (joined.last_mut(), step) {
            (Some(Step::Watermark(last)), Step::Watermark(by)) => *last += by,
            _ => joined.push(step),
        }
    }
    joined
}

/// Sorts what lies between two watermarks, and drops watermarks that are followed by another one at once.
fn normal<T: Clone + std::fmt::Debug>(events: Vec<Event<T>>) -> Vec<String> {
    let (mut normal, mut run): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for event in events {
        if matches!(event, Event::Row(..)) {
            run.push(format!("{event:?}"));
            continue;
        }
        if run.is_empty() && normal.last().is_some_and(|last| last.starts_with("Watermark")) {
            normal.pop();
        }
        run.sort_unstable();
        normal.append(&mut run);
        normal.push(format!("{event:?}"));
    }
    run.sort_unstable();
    normal.append(&mut run);
    normal
}

mod in_windows {
    use super::*;

    fn operator<A: WindowAssigner<Either> + Copy>(assigner: A, lateness: i64, pairwise: bool) -> Harness {
        let env = environment();
        let (first, second) = (pairs(&env), pairs(&env));
        let late = OutputTag::<Either>::new("late");
        if pairwise {
            let joined = first.join(&second).where_(|pair| pair.0).equal_to(|pair| pair.0).window(assigner);
            joined
                .allowed_lateness(Millis(lateness))
                .side_output_late_data(&late)
                .apply(|first, second| vec![vec![first.1], vec![second.1]]);
        } else {
            let grouped = first.co_group(&second).where_(|pair| pair.0).equal_to(|pair| pair.0).window(assigner);
            let grouped = grouped.allowed_lateness(Millis(lateness)).side_output_late_data(&late);
            grouped.apply(|first: Vec<Pair>, second: Vec<Pair>, out: &mut Collector<Sides>| {
                out.collect([first, second].map(|all| all.into_iter().map(|pair| pair.1).collect()).to_vec());
            });
        }
        Harness::of(&env, if pairwise { "Join" } else { "CoGroup" }).expect("a good graph")
    }

    /// The reference of windows, its values saying which stream they are of.
    fn expected(spec: &Spec, steps: &[Step], pairwise: bool) -> (Vec<Event<Sides>>, Vec<i64>) {
        let mut model = Reference::new(spec.clone(), 0);
        let mut watermark = 0;
        let mut events = Vec::new();
        for step in steps {
            match *step {
                Step::Row(second, key, value, timestamp) => model.element(key, value * 2 + i64::from(second), timestamp),
                Step::Watermark(by) => {
                    watermark += by;
                    model.advance_watermark(watermark);
                }
            }
            for (_, _, end, values) in model.fired.drain(..) {
                let of = |second: i64| values.iter().filter(|value| **value % 2 == second).map(|value| value / 2).collect::<Vec<_>>();
                let (first, second) = (of(0), of(1));
                if pairwise {
                    let pairs = first.iter().flat_map(|a| second.iter().map(|b| vec![vec![*a], vec![*b]]));
                    events.extend(pairs.map(|pair| Event::Row(pair, end - 1)));
                } else {
                    events.push(Event::Row(vec![first, second], end - 1));
                }
            }
            if let Step::Watermark(_) = step {
                events.push(Event::Watermark(watermark));
            }
        }
        (events, model.late.into_iter().map(|late| late.1 / 2).collect())
    }

    fn check<A: WindowAssigner<Either> + Copy>(product: A, assigner: Assigner, lateness: i64, pairwise: bool, steps: &[Step], seed: u64) {
        let mut rng = Rng::seeded(seed);
        let mut harness = operator(product, lateness, pairwise).with_small_budgets(rng.next_u64());
        let mut batch = Rows::default();
        let mut watermark = 0;
        for step in steps {
            match *step {
                Step::Row(second, key, value, timestamp) => {
                    let record = if second { Either::Two((key, value)) } else { Either::One((key, value)) };
                    batch.push(record, Timestamp(timestamp));
                }
                Step::Watermark(by) => {
                    watermark += by;
                    batch.mark(Timestamp(watermark));
                }
            }
            if rng.one_in(3) {
                harness.batch(0, std::mem::take(&mut batch)).expect("a batch");
            }
        }
        harness.batch(0, batch).expect("a batch");
        let spec = Spec { assigner, trigger: Trigger::EventTime, evictor: None, lateness };
        let (events, late) = expected(&spec, steps, pairwise);
        assert_eq!(normal(harness.take::<Sides>(0)), normal(events), "{spec:?} {steps:?}");
        let actual: Vec<Either> = harness.rows(1);
        let value = |late| {
            let (Either::One(pair) | Either::Two(pair)) = late;
            pair.1
        };
        let actual: Vec<i64> = actual.into_iter().map(value).collect();
        assert_eq!(actual, late);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agree_with_the_reference(steps in any_steps(), pairwise: bool, lateness in prop_oneof![Just(0i64), Just(4)], seed: u64) {
            check(TumblingEventTimeWindows::of(Millis(8)), Assigner::Tumbling { size: 8, offset: 0 }, lateness, pairwise, &steps, seed);
            let sliding = Assigner::Sliding { size: 6, slide: 3, offset: 0 };
            check(SlidingEventTimeWindows::of(Millis(6), Millis(3)), sliding, lateness, pairwise, &steps, seed);
            check(EventTimeSessionWindows::with_gap(Millis(3)), Assigner::Session { gap: 3 }, lateness, pairwise, &steps, seed);
        }
    }

    /// Flink's pictures of tumbling, sliding and session window joins: an orange and a green stream without keys.
    #[test]
    fn the_pictures_of_the_documentation() {
        // Sorted: in which order the pairs of a window come is not promised.
        let run = |orange: &[i64], green: &[i64], harness: &mut Harness| -> Vec<String> {
            for (timestamp, record) in
                orange.iter().map(|t| (*t, Either::One((0, *t)))).chain(green.iter().map(|t| (*t, Either::Two((0, *t)))))
            {
                harness.row(0, record, timestamp).expect("a row");
            }
            harness.watermark(i64::MAX).expect("the end");
            let rows: Vec<Sides> = harness.rows(0);
            let mut pairs: Vec<String> = rows.into_iter().map(|row| format!("{},{}", row[0][0], row[1][0])).collect();
            pairs.sort_unstable();
            pairs
        };
        let mut tumbling = operator(TumblingEventTimeWindows::of(Millis(2)), 0, true);
        let expected = ["0,0", "0,1", "1,0", "1,1", "2,3", "3,3", "4,4", "5,4"];
        assert_eq!(run(&[0, 1, 2, 3, 4, 5, 6, 7], &[0, 1, 3, 4], &mut tumbling), expected);
        let mut sliding = operator(SlidingEventTimeWindows::of(Millis(2), Millis(1)), 0, true);
        let expected = ["0,0", "0,0", "1,0", "2,3", "3,3", "3,3", "3,4", "4,3", "4,4", "4,4"];
        assert_eq!(run(&[0, 1, 2, 3, 4], &[0, 3, 4], &mut sliding), expected);
        let mut session = operator(EventTimeSessionWindows::with_gap(Millis(2)), 0, true);
        assert_eq!(run(&[1, 2, 5, 6, 15], &[0, 4, 10, 11, 12], &mut session), ["1,0", "1,4", "2,0", "2,4", "5,0", "5,4", "6,0", "6,4"]);
    }

    /// More pairs than fit one output batch: the operator returns in between and goes on where it stopped, whatever made the window fire.
    #[test]
    fn a_window_with_very_many_pairs_comes_out_in_pieces() {
        let side = |record: fn(Pair) -> Either| (0..200).map(move |value| record((0, value)));
        let rows = || {
            let mut rows = Rows::default();
            side(Either::One).chain(side(Either::Two)).for_each(|record| rows.push(record, Timestamp(5)));
            rows
        };
        let check = |harness: &mut Harness, what: &str| {
            let largest = harness.largest_batch();
            assert!(largest <= Rows::<Sides>::FULL, "{largest} rows at once by {what}");
            let pairs: BTreeSet<Sides> = harness.rows(0).into_iter().collect();
            assert_eq!(pairs.len(), 40_000, "by {what}");
            assert_eq!(harness.state_entries(), 0, "by {what}");
        };
        let mut harness = operator(TumblingEventTimeWindows::of(Millis(8)), 0, true);
        harness.batch(0, rows()).expect("a batch");
        harness.watermark(7).expect("a watermark");
        check(&mut harness, "a watermark");

        let mut marked = rows();
        marked.mark(Timestamp(7));
        harness = operator(TumblingEventTimeWindows::of(Millis(8)), 0, true);
        harness.batch(0, marked).expect("a batch");
        check(&mut harness, "a mark");

        harness = operator(TumblingProcessingTimeWindows::of(Millis(8)), 0, true);
        harness.batch(0, rows()).expect("a batch");
        harness.advance(7).expect("a timer");
        assert!(!harness.has_processing_timer());
        check(&mut harness, "a timer");
    }
}

mod by_interval {
    use super::*;

    /// One pair that was found: key, left and right value.
    type Found = (i64, i64, i64);

    fn operator(lower: i64, upper: i64, exclusive: (bool, bool)) -> Harness {
        let env = environment();
        let (left, right) = (pairs(&env).key_by(|pair| pair.0), pairs(&env).key_by(|pair| pair.0));
        let mut joined = left.interval_join(&right).between(Millis(lower), Millis(upper));
        if exclusive.0 {
            joined = joined.lower_bound_exclusive();
        }
        if exclusive.1 {
            joined = joined.upper_bound_exclusive();
        }
        let late = OutputTag::<Pair>::new("late");
        joined.side_output_left_late_data(&late).side_output_right_late_data(&late).process_fn(
            |left: &Pair, right: &Pair, ctx: &mut JoinContext<'_>, out: &mut Collector<Found>| {
                assert_eq!(ctx.timestamp(), ctx.left_timestamp().max(ctx.right_timestamp()));
                out.collect((left.0, left.1, right.1));
            },
        );
        Harness::of(&env, "Interval Join").expect("a good graph")
    }

    /// Compares each record with all records of the other stream that are still there.
    fn expected(lower: i64, upper: i64, steps: &[Step]) -> (Vec<Event<Found>>, Vec<Pair>) {
        let mut kept: Vec<(bool, i64, i64, i64)> = Vec::new();
        let (mut watermark, mut advanced) = (i64::MIN, 0);
        let (mut events, mut late) = (Vec::new(), Vec::new());
        for step in steps {
            match *step {
                Step::Row(second, key, value, timestamp) if timestamp < watermark => late.push((second, key, value)),
                Step::Row(second, key, value, timestamp) => {
                    for (other, other_key, other_value, other_timestamp) in &kept {
                        let (left, right) = if second { (*other_timestamp, timestamp) } else { (timestamp, *other_timestamp) };
                        if *other != second && *other_key == key && (lower..=upper).contains(&(right - left)) {
                            let found = if second { (key, *other_value, value) } else { (key, value, *other_value) };
                            events.push(Event::Row(found, left.max(right)));
                        }
                    }
                    kept.push((second, key, value, timestamp));
                }
                Step::Watermark(by) => {
                    advanced += by;
                    watermark = advanced;
                    let ahead = |second: bool| if second { -lower } else { upper };
                    kept.retain(|record| record.3 + ahead(record.0).max(0) > watermark);
                    events.push(Event::Watermark(watermark));
                }
            }
        }
        (events, late.into_iter().map(|late| (late.1, late.2)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_the_reference(
            steps in any_steps(), lower in -12i64..8, width in 0i64..12, exclusive: (bool, bool), hashed: bool, seed: u64,
        ) {
            let upper = lower + width;
            let mut rng = Rng::seeded(seed);
            let mut harness = operator(lower, upper, exclusive).with_small_budgets(rng.next_u64());
            let mut batch = Rows::default();
            let (mut input, mut watermark) = (0, 0);
            let flush = |batch: &mut Rows<Pair>, harness: &mut Harness, input: usize| {
                if hashed {
                    batch.hashes = batch.values.iter().map(|pair| pair.0.key_hash()).collect();
                }
                harness.batch(input, std::mem::take(batch)).expect("a batch");
            };
            for step in &steps {
                match *step {
                    Step::Row(second, key, value, timestamp) => {
                        if input != usize::from(second) || rng.one_in(5) {
                            flush(&mut batch, &mut harness, input);
                            input = usize::from(second);
                        }
                        batch.push((key, value), Timestamp(timestamp));
                    }
                    Step::Watermark(by) => {
                        watermark += by;
                        if rng.one_in(2) {
                            batch.mark(Timestamp(watermark));
                        } else {
                            flush(&mut batch, &mut harness, input);
                            harness.watermark(watermark).expect("a watermark");
                        }
                    }
                }
            }
            flush(&mut batch, &mut harness, input);
            let (events, late) = expected(lower + i64::from(exclusive.0), upper - i64::from(exclusive.1), &steps);
            prop_assert_eq!(normal(harness.take::<Found>(0)), normal(events));
            prop_assert_eq!(harness.rows::<Pair>(1), late);
        }
    }

    /// Flink's picture of the interval join: orange interval-joined with green between -2 and +1.
    #[test]
    fn the_picture_of_the_documentation() {
        let mut harness = operator(-2, 1, (false, false));
        for orange in [0, 2, 3, 4, 5, 7] {
            harness.row::<Pair>(0, (0, orange), orange).expect("a row");
        }
        for green in [0, 1, 6, 7] {
            harness.row::<Pair>(1, (0, green), green).expect("a row");
        }
        let mut found: Vec<(i64, i64)> = harness.rows::<Found>(0).into_iter().map(|(_, left, right)| (left, right)).collect();
        found.sort_unstable();
        assert_eq!(found, [(0, 0), (0, 1), (2, 0), (2, 1), (3, 1), (5, 6), (7, 6), (7, 7)]);
    }

    /// More partners than fit one output batch: the operator returns in between and goes on where it stopped.
    #[test]
    fn a_record_with_very_many_partners_comes_out_in_pieces() {
        let mut harness = operator(0, 0, (false, false));
        let mut rows = Rows::<Pair>::default();
        (0..10_000).for_each(|value| rows.push((0, value), Timestamp(5)));
        harness.batch(0, rows).expect("left");
        harness.row::<Pair>(1, (0, -1), 5).expect("right");
        assert!(harness.largest_batch() <= Rows::<Found>::FULL, "{} rows at once", harness.largest_batch());
        assert_eq!(harness.rows::<Found>(0).len(), 10_000);
    }
}

/// Late records without a side output are counted; records without a timestamp fail the job, and the message says which side's.
#[test]
fn records_that_interval_joins_cannot_take() {
    let env = environment();
    let (left, right) = (pairs(&env).key_by(|pair| pair.0), pairs(&env).key_by(|pair| pair.0));
    let joined = left.interval_join(&right).between(Millis(-5), Millis(5));
    joined.process_fn(|_, _, _: &mut JoinContext<'_>, out: &mut Collector<i64>| out.collect(1));
    let mut harness = Harness::of(&env, "Interval Join").expect("a right graph");
    harness.row(0, (0i64, 0i64), 12).expect("in time");
    harness.watermark(10).expect("a watermark");
    harness.row(0, (0i64, 0i64), 9).expect("late");
    harness.row(1, (0i64, 0i64), 9).expect("late");
    harness.row(1, (0i64, 0i64), 10).expect("in time");
    assert_eq!((harness.rows::<i64>(0).len(), harness.counter("numLateRecordsDropped")), (1, 2));
    let error = harness.row(1, (0i64, 0i64), i64::MIN).expect_err("no timestamp").to_string();
    assert!(error.contains("right") && error.contains("assign_timestamps_and_watermarks"), "{error}");
}

/// Settings are those of the operator with the state; what comes before it is as parallel as the streams.
#[test]
fn joins_are_one_operator_to_their_users() {
    let env = environment();
    let (first, second) = (pairs(&env).set_parallelism(2), pairs(&env).set_parallelism(3));
    let windows = || TumblingEventTimeWindows::of(Millis(5));
    first.join(&second).where_(|a| a.0).equal_to(|b| b.0).window(windows()).apply(|a, b| a.1 + b.1).uid("pairs").set_parallelism(4);
    first
        .co_group(&second)
        .where_ref(|a| &a.0)
        .equal_to_ref(|b| &b.0)
        .window(windows())
        .apply(|_: Vec<Pair>, _: Vec<Pair>, _: &mut Collector<i64>| {});
    let (left, right) = (first.key_by_ref(|a| &a.0), second.key_by_ref(|b| &b.0));
    let joined = left.interval_join(&right).between(Millis(0), Millis(1));
    joined.process_fn(|_, _, _: &mut JoinContext<'_>, _: &mut Collector<i64>| {}).name("near").uid("near");
    let graph = env.stream_graph("test").expect("no mistake");
    let found = |name: &str| graph.nodes.iter().filter(|node| node.name == name).collect::<Vec<_>>();
    let tags: Vec<_> = found("Tag").into_iter().map(|node| node.parallelism).collect();
    assert_eq!(tags, [Some(2), Some(3), Some(2), Some(3)]);
    let join = found("Join(TumblingEventTimeWindows)")[0];
    assert_eq!((join.uid.as_deref(), join.parallelism, join.keyed, join.inputs), (Some("pairs"), Some(4), true, 1));
    assert_eq!(found("CoGroup(TumblingEventTimeWindows)").len(), 1);
    let near = found("near")[0];
    assert_eq!((near.uid.as_deref(), near.keyed, near.inputs), (Some("near"), true, 2));
}

/// Mistakes that are found when the graph is built.
#[test]
fn mistakes_are_named_with_their_remedy() {
    let without_time = |env: &StreamEnvironment| env.from_elements([(0i64, 0i64)]);
    let check = |build: &dyn Fn(&StreamEnvironment), parts: &[&str]| {
        let env = environment();
        build(&env);
        let error = env.stream_graph("test").expect_err("a mistake").to_string();
        parts.iter().for_each(|part| assert!(error.contains(part), "'{error}' does not contain '{part}'"));
    };
    check(
        &|env| {
            let (left, right) = (pairs(env).key_by(|pair| pair.0), without_time(env).key_by(|pair| pair.0));
            left.interval_join(&right)
                .between(Millis(0), Millis(1))
                .process_fn(|_: &Pair, _: &Pair, _: &mut JoinContext<'_>, _: &mut Collector<i64>| {});
        },
        &["interval_join", "right stream", "assign_timestamps_and_watermarks"],
    );
    check(
        &|env| {
            let (left, right) = (pairs(env).key_by(|pair| pair.0), pairs(env).key_by(|pair| pair.0));
            left.interval_join(&right)
                .between(Millis(2), Millis(1))
                .process_fn(|_: &Pair, _: &Pair, _: &mut JoinContext<'_>, _: &mut Collector<i64>| {});
        },
        &["interval_join", "lower bound"],
    );
    check(
        &|env| {
            let joined = pairs(env).join(&without_time(env)).where_(|pair| pair.0).equal_to(|pair| pair.0);
            joined.window(TumblingEventTimeWindows::of(Millis(5))).apply(|a, b| a.1 + b.1);
        },
        &["join", "second", "assign_timestamps_and_watermarks"],
    );
}
