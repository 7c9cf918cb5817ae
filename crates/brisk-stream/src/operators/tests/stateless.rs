//! The stateless operators: what they emit never depends on how the stream is cut or how little time there is.

use crate::function::{FilterFn, FlatMapFn, MapFn, ProcessContext, ProcessFunction, TryMapFn};
use crate::operators::driver::{Driver, feed, rows, steps};
use crate::operators::*;
use brisk_base::options::Configuration;
use brisk_base::options::core_options::AUTO_WATERMARK_INTERVAL;
use brisk_base::{Error, Millis, Result, Timestamp};
use brisk_core::batch::{Mark, Rows, Step};
use brisk_core::element::StreamStatus;
use brisk_core::function::watermark::{WatermarkGenerator, WatermarkOutput, WatermarkStrategy};
use brisk_core::function::{Collector, OutputTag};
use brisk_core::operator::Progress;
use brisk_core::sink::SinkWriter;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Values with ascending marks before some rows.
fn marked_stream() -> impl Strategy<Value = (Vec<i64>, BTreeMap<u32, i64>)> {
    (proptest::collection::vec(0i64..100, 0..40), proptest::collection::btree_set(0u32..40, 0..8)).prop_map(|(values, at)| {
        let marks = at.into_iter().filter(|row| (*row as usize) < values.len()).map(|row| (row, i64::from(row) * 3)).collect();
        (values, marks)
    })
}

/// What a row-wise operator must give: each row's results with its timestamp, watermarks between them.
fn expected(values: &[i64], marks: &BTreeMap<u32, i64>, f: impl Fn(i64) -> Vec<i64>) -> Vec<Step<i64>> {
    let mut steps = Vec::new();
    for (row, value) in (0..).zip(values) {
        if let Some(watermark) = marks.get(&row) {
            if let Some(Step::Watermark(_)) = steps.last() {
                steps.pop();
            }
            steps.push(Step::Watermark(Timestamp(*watermark)));
        }
        steps.extend(f(*value).into_iter().map(|out| Step::Row(out, Timestamp(*value), 0)));
    }
    steps
}

proptest! {
    #[test]
    fn map_filter_and_flat_map_keep_timestamps_and_marks((values, marks) in marked_stream(), cut in 1usize..50, hurried: bool) {
        let mut map = Driver::new(&[], |_| MapOperator::new(MapFn::new(|x: i64| x * 2))).hurried(hurried);
        feed(&mut map, 0, &values, &marks, cut);
        prop_assert_eq!(map.steps::<i64>(0), expected(&values, &marks, |x| vec![x * 2]));

        let mut filter = Driver::new(&[], |_| FilterOperator::new(FilterFn::new(|x: &i64| x % 3 == 0))).hurried(hurried);
        feed(&mut filter, 0, &values, &marks, cut);
        prop_assert_eq!(filter.steps::<i64>(0), expected(&values, &marks, |x| if x % 3 == 0 { vec![x] } else { vec![] }));

        let repeat = |x: i64, out: &mut Collector<i64>| (0..x % 4).for_each(|i| out.collect(x + i));
        let mut flat_map = Driver::new(&[], |cx| FlatMapOperator::new(FlatMapFn::new(repeat), cx)).hurried(hurried);
        feed(&mut flat_map, 0, &values, &marks, cut);
        prop_assert_eq!(flat_map.steps::<i64>(0), expected(&values, &marks, |x| (0..x % 4).map(|i| x + i).collect()));
    }

    #[test]
    fn process_gives_main_and_side_outputs_the_same_watermarks((values, marks) in marked_stream(), cut in 1usize..50, hurried: bool) {
        let mut process = Driver::new(&["odd"], |cx| ProcessOperator::new(OddAside, cx)).hurried(hurried);
        feed(&mut process, 0, &values, &marks, cut);
        prop_assert_eq!(process.steps::<i64>(1), expected(&values, &marks, |x| if x % 2 == 1 { vec![x] } else { vec![] }));
        let mut watermark = i64::MIN;
        let mut even = Vec::new();
        for (row, value) in (0..).zip(&values) {
            watermark = marks.get(&row).copied().unwrap_or(watermark);
            if value % 2 == 0 { even.push((*value, watermark)) }
        }
        prop_assert_eq!(process.values::<(i64, i64)>(0), even);
    }

    #[test]
    fn timestamps_and_watermarks_do_not_depend_on_cuts(values in proptest::collection::vec(0i64..1000, 0..600), cut in 1usize..700, hurried: bool) {
        let strategy = WatermarkStrategy::bounded_out_of_orderness(Millis(5)).with_timestamp(|x: &i64| Timestamp(*x));
        let mut driver = Driver::new(&[], |_| TimestampsOperator::new(&strategy)).hurried(hurried);
        for chunk in values.chunks(cut) {
            let mut batch = Rows::from(chunk.to_vec());
            batch.marks = vec![Mark { row: 0, watermark: Timestamp(7_000) }];
            driver.batch(0, batch);
        }
        let mut highest = i64::MIN;
        let mut all = Vec::new();
        for value in &values {
            all.push(Step::Row(*value, Timestamp(*value), 0));
            if *value > highest {
                highest = *value;
                all.push(Step::Watermark(Timestamp(highest - 6)));
            }
        }
        prop_assert_eq!(driver.steps::<i64>(0), all);
    }
}

/// Gives even numbers with the watermark to the main output, odd ones to a side output.
#[derive(Clone)]
struct OddAside;

impl ProcessFunction for OddAside {
    type In = i64;
    type Out = (i64, i64);

    fn process_element(&mut self, value: i64, ctx: &mut ProcessContext<'_>, out: &mut Collector<(i64, i64)>) -> Result<()> {
        assert_eq!(ctx.timestamp(), Some(Timestamp(value)));
        if value % 2 == 0 {
            out.collect((value, ctx.current_watermark().0));
            return Ok(());
        }
        ctx.output(&OutputTag::new("unread"), value)?;
        ctx.output(&OutputTag::new("odd"), value)
    }
}

#[test]
fn a_batch_without_rows_becomes_a_watermark() {
    let mut map = Driver::new(&[], |_| MapOperator::new(MapFn::new(|x: i64| x)));
    map.batch(0, rows(&[], &[(0, 5)]));
    assert_eq!(map.steps::<i64>(0), steps(&[('w', 5)]));
}

#[test]
fn a_failing_function_fails_the_call() {
    let parse = |text: String| text.parse::<i64>().map_err(Error::from);
    let mut driver = Driver::new(&[], |_| MapOperator::new(TryMapFn::new(parse)));
    driver.batch(0, Rows::from(vec!["7".to_owned()]));
    assert_eq!(driver.values::<i64>(0), [7]);
    let error = driver.try_batch(0, Box::new(Rows::from(vec!["8".to_owned(), "x".to_owned()]))).expect_err("'x' is no number");
    assert!(error.to_string().contains("invalid digit"), "{error}");
}

#[test]
fn a_tag_with_two_types_is_refused() {
    #[derive(Clone)]
    struct TwoTypes;
    impl ProcessFunction for TwoTypes {
        type In = i64;
        type Out = i64;
        fn process_element(&mut self, value: i64, ctx: &mut ProcessContext<'_>, _out: &mut Collector<i64>) -> Result<()> {
            ctx.output(&OutputTag::new("tag"), value)?;
            ctx.output(&OutputTag::new("tag"), value.to_string())
        }
    }
    let mut driver = Driver::new(&["tag"], |cx| ProcessOperator::new(TwoTypes, cx));
    let error = driver.try_batch(0, Box::new(rows(&[1], &[]))).expect_err("two types");
    assert!(error.to_string().contains("'tag' is used with two types"), "{error}");
}

#[test]
fn only_the_last_watermark_passes_an_assigner_and_idleness_is_its_own() {
    let strategy = WatermarkStrategy::monotonous_timestamps().with_timestamp(|x: &i64| Timestamp(*x)).with_idleness(Millis(100));
    let mut driver = Driver::new(&[], |_| TimestampsOperator::new(&strategy));
    driver.watermark(5_000);
    driver.status(StreamStatus::Idle);
    driver.batch(0, rows(&[10], &[(1, 9_000)]));
    assert!(driver.statuses().is_empty());
    driver.time(99);
    assert!(driver.statuses().is_empty(), "not idle yet");
    driver.time(250);
    assert_eq!(driver.statuses(), [StreamStatus::Idle]);
    driver.batch(0, rows(&[20], &[]));
    assert_eq!(driver.statuses(), [StreamStatus::Active]);
    driver.end(1);
    assert_eq!(driver.steps::<i64>(0), steps(&[('r', 10), ('w', 9), ('r', 20), ('w', i64::MAX)]));
}

#[test]
fn a_final_mark_passes_an_assigner() {
    let strategy = WatermarkStrategy::no_watermarks();
    let mut driver = Driver::new(&[], |_| TimestampsOperator::<i64>::new(&strategy)).hurried(true);
    let values: Vec<i64> = (0..600).collect();
    driver.batch(0, rows(&values, &[(3, 5), (600, i64::MAX)]));
    let found = driver.steps::<i64>(0);
    assert_eq!(found.len(), 601);
    assert_eq!(found.last(), Some(&Step::Watermark(Timestamp::MAX)));
}

/// Emits the highest value seen, but only when asked.
struct Periodic(i64);

impl WatermarkGenerator<i64> for Periodic {
    fn on_event(&mut self, event: &i64, _timestamp: Timestamp, _output: &mut WatermarkOutput<'_>) {
        self.0 = self.0.max(*event);
    }

    fn on_periodic_emit(&mut self, output: &mut WatermarkOutput<'_>) {
        output.emit(Timestamp(self.0));
    }

    fn is_periodic(&self) -> bool {
        true
    }
}

#[test]
fn periodic_generators_are_asked_at_the_interval() {
    let strategy = WatermarkStrategy::for_generator(|| Box::new(Periodic(0)));
    let mut config = Configuration::new();
    config.set(&AUTO_WATERMARK_INTERVAL, Duration::from_millis(50));
    let mut driver = Driver::with_config(&[], config, |_| TimestampsOperator::new(&strategy));
    driver.batch(0, rows(&[3, 8], &[]));
    driver.time(49);
    assert_eq!(driver.steps::<i64>(0), steps(&[('r', 3), ('r', 8)]));
    driver.time(50);
    driver.time(170);
    assert_eq!(driver.steps::<i64>(0), steps(&[('w', 8)]), "once, as it does not advance again");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, what: String) {
        self.0.lock().expect("not poisoned").push(what);
    }
}

impl SinkWriter<i64> for Log {
    fn write(&mut self, value: i64, timestamp: Timestamp) -> Result<()> {
        self.add(format!("{value}@{}", timestamp.0));
        Ok(())
    }

    fn write_watermark(&mut self, watermark: Timestamp) -> Result<()> {
        self.add(format!("w{}", watermark.0));
        Ok(())
    }

    fn flush(&mut self, end_of_input: bool) -> Result<()> {
        self.add(format!("flush {end_of_input}"));
        Ok(())
    }
}

#[test]
fn sinks_get_every_row_once_and_are_flushed_at_the_end() {
    for hurried in [false, true] {
        let log = Log::default();
        let mut driver = Driver::new(&[], |_| SinkOperator::new(Box::new(log.clone()), None)).hurried(hurried);
        let values: Vec<i64> = (0..500).collect();
        driver.batch(0, rows(&values, &[(500, 77)]));
        driver.end(1);
        let log = log.0.lock().expect("not poisoned");
        let expected =
            values.iter().map(|v| format!("{v}@{v}")).chain(["w77".to_owned(), format!("w{}", i64::MAX), "flush true".to_owned()]);
        assert!(log.iter().eq(&expected.collect::<Vec<_>>()), "hurried {hurried}: {log:?}");
    }
}

#[test]
fn collecting_waits_for_the_reader_and_wakes() {
    let handoff = Handoff::new();
    let mut driver = Driver::new(&[], |cx| CollectOperator::new(Arc::clone(&handoff), cx));
    let mut given = 0;
    let blocked = loop {
        let Some(rest) = driver.try_batch(0, Box::new(rows(&[given], &[]))).expect("no failure") else {
            given += 1;
            continue;
        };
        break rest;
    };
    assert!(given > 0 && driver.has_pending());
    assert_eq!(driver.poll(), Progress::Waiting);
    assert_eq!(handoff.take(Duration::ZERO), Some(vec![0i64]));
    assert!(driver.woken.0.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(driver.poll(), Progress::Done);
    assert!(driver.try_batch(0, blocked).expect("no failure").is_none());
    handoff.abandon();
    (0..200).for_each(|value| driver.batch(0, rows(&[value], &[])));
    assert_eq!(handoff.take(Duration::ZERO), None);
}
