//! A harness shows what an operator does: records, watermarks, side outputs, errors.

use brisk_base::{Millis, Result, Timestamp};
use brisk_core::element::StreamStatus;
use brisk_core::function::Collector;
use brisk_core::state::StateDeclarations;
use brisk_stream::function::{Context, KeyedProcessFunction, TimerContext};
use brisk_testkit::{Event, OneInputHarness};

#[test]
fn records_keep_their_timestamps_and_watermarks_their_places() {
    let mut harness = OneInputHarness::of(|numbers| numbers.map(|n: i64| n * 2).filter(|n| n % 4 == 0)).unwrap();
    harness.elements([(1, 10), (2, 20)]).unwrap();
    harness.watermark(15).unwrap();
    harness.element(4, 30).unwrap();
    harness.status(StreamStatus::Idle).unwrap();
    let events = harness.events().unwrap();
    assert_eq!(
        events,
        [
            Event::Record(4, Timestamp(20)),
            Event::Watermark(Timestamp(15)),
            Event::Record(8, Timestamp(30)),
            Event::Status(StreamStatus::Idle)
        ]
    );
    harness.end_input().unwrap();
    assert_eq!(harness.events().unwrap(), [Event::Watermark(Timestamp::MAX)]);
}

#[test]
fn an_error_of_the_user_comes_back_with_its_place() {
    let mut harness = OneInputHarness::of(|texts| texts.try_map(|text: String| Ok(text.parse::<i64>()?))).unwrap();
    harness.element("7".to_owned(), 0).unwrap();
    let error = harness.element("x".to_owned(), 0).unwrap_err();
    assert_eq!(error.to_string(), "operator 'Map' (1/1): invalid digit found in string");
    assert_eq!(harness.output().unwrap(), [7]);
}

/// Sets a timer 10 ms later each time, up to 50 ms.
struct Ticks;

impl KeyedProcessFunction for Ticks {
    type Key = i64;
    type In = i64;
    type Out = i64;

    fn declare(_: &mut StateDeclarations) -> Self {
        Self
    }

    fn process_element(&mut self, _: i64, ctx: &mut Context<'_, Self>, _: &mut Collector<i64>) -> Result<()> {
        ctx.timers().register_processing_time(Timestamp(10));
        Ok(())
    }

    fn on_timer(&mut self, at: Timestamp, ctx: &mut TimerContext<'_, Self>, out: &mut Collector<i64>) -> Result<()> {
        out.collect(at.0);
        if at.0 < 50 {
            ctx.timers().register_processing_time(at + Millis(10));
        }
        Ok(())
    }
}

#[test]
fn timers_that_set_timers_fire_up_to_the_time_given() {
    let mut harness = OneInputHarness::of(|numbers| numbers.key_by(|n: &i64| *n).process::<Ticks>()).unwrap();
    harness.element(1, 0).unwrap();
    harness.processing_time(35).unwrap();
    assert_eq!(harness.output().unwrap(), [10, 20, 30]);
    harness.processing_time(100).unwrap();
    assert_eq!(harness.output().unwrap(), [40, 50]);
    assert!(harness.state_is_empty());
}

#[test]
fn nothing_goes_on_after_a_failure_or_the_end() {
    let mut harness = OneInputHarness::of(|texts| texts.try_map(|text: String| Ok(text.parse::<i64>()?))).unwrap();
    harness.element("x".to_owned(), 0).unwrap_err();
    let again = harness.element("7".to_owned(), 0).unwrap_err().to_string();
    assert!(again.starts_with("the pipeline has failed before: operator 'Map'"), "{again}");

    let mut harness = OneInputHarness::of(|numbers: brisk_stream::DataStream<i64>| numbers.map(|n| n + 1)).unwrap();
    harness.element(1, 0).unwrap();
    harness.end_input().unwrap();
    assert!(harness.element(2, 0).is_err());
    assert_eq!(harness.output().unwrap(), [2]);
}
