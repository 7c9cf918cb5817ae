//! Windows of processing time, under a clock that the test moves.

use crate::driver::{Driver, Hand, runtime, shown};
use arrow_array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::Columns;
use brisk_core::operator::Operator;
use brisk_table::operators::group_aggregate::{Aggregate, AggregateCall};
use brisk_table::operators::row::ValueType;
use brisk_table::operators::window_aggregate::{WindowAggregate, WindowAggregateConfig};
use brisk_table::operators::window_table::WindowKind;
use std::sync::Arc;

fn operator(kind: WindowKind) -> WindowAggregate {
    let count = AggregateCall { aggregate: Aggregate::CountAll, filter: None, distinct: false, retract: false, result: ValueType::Bigint };
    WindowAggregate::new(WindowAggregateConfig {
        key_columns: vec![0],
        key_types: vec![ValueType::Bigint],
        start: 1,
        end: 2,
        clock: Some(kind),
        slices: None,
        merge: matches!(kind, WindowKind::Session { .. }),
        aggregates: vec![count],
    })
}

/// Rows of these keys; their windows are not known yet.
fn rows(keys: &[i64]) -> Columns {
    let key: ArrayRef = Arc::new(Int64Array::from(keys.to_vec()));
    let null: ArrayRef = Arc::new(TimestampMillisecondArray::new_null(keys.len()));
    Columns::new(vec![key, Arc::clone(&null), null]).expect("fit")
}

/// An operator and its clock.
struct Run {
    clock: Arc<Hand>,
    driver: Driver,
}

impl Run {
    fn of(kind: WindowKind) -> Self {
        let clock = Arc::new(Hand::default());
        let mut runtime = runtime();
        runtime.world = clock.world();
        Self { driver: Driver::in_runtime(runtime, &operator(kind)), clock }
    }

    /// Moves the clock, and fires what is due.
    fn at(&mut self, now: i64) -> &mut Self {
        self.clock.set(now);
        let fire = |operator: &mut dyn Operator, cx: &mut brisk_core::operator::OperatorContext<'_>| {
            let due = operator.next_processing_time().is_some_and(|due| due.0 <= now);
            if due { operator.on_processing_time(Timestamp(now), cx).map(drop) } else { Ok(()) }
        };
        self.driver.call(fire).expect("fires");
        self
    }

    fn rows(&mut self, keys: &[i64]) -> &mut Self {
        self.driver.batch(rows(keys)).expect("consumed");
        self
    }

    fn given(&mut self) -> Vec<String> {
        let mut lines: Vec<_> = shown(self.driver.elements()).into_iter().filter(|line| line.starts_with('+')).collect();
        lines.sort();
        lines
    }
}

fn window(key: i64, start: i64, end: i64, count: i64) -> String {
    format!("+I[{key}, {}, {}, {count}]", Timestamp(start), Timestamp(end))
}

#[test]
fn a_window_is_given_when_the_clock_has_reached_its_end() {
    let mut run = Run::of(WindowKind::Tumble { size: 10, offset: 0 });
    assert!(run.at(3).rows(&[1, 2, 1]).at(9).rows(&[1]).given().is_empty());
    assert_eq!(run.at(10).given(), [window(1, 0, 10, 3), window(2, 0, 10, 1)]);
    // What comes after the end lies in the next window, although no timer has run.
    run.at(15).rows(&[5]);
    run.clock.set(27);
    assert_eq!(run.rows(&[5]).given(), [window(5, 10, 20, 1)]);
    // Open at the end of the input: dropped, as in Flink.
    run.driver.end();
    assert!(run.given().is_empty());
}

#[test]
fn a_row_lies_in_each_window_of_its_time() {
    let mut run = Run::of(WindowKind::Hop { slide: 5, size: 10, offset: 0 });
    run.at(12).rows(&[1]);
    assert_eq!(run.at(15).given(), [window(1, 5, 15, 1)]);
    assert_eq!(run.at(20).given(), [window(1, 10, 20, 1)]);
    let mut run = Run::of(WindowKind::Session { gap: 10 });
    run.at(0).rows(&[1]).at(7).rows(&[1]).at(16).rows(&[2]);
    assert_eq!(run.at(17).given(), [window(1, 0, 17, 2)]);
    assert_eq!(run.at(40).given(), [window(2, 16, 26, 1)]);
}

#[test]
fn a_clock_that_is_set_back_does_not_open_a_window_again() {
    let mut run = Run::of(WindowKind::Tumble { size: 10, offset: 0 });
    run.at(8).rows(&[1]);
    assert_eq!(run.at(10).given(), [window(1, 0, 10, 1)]);
    run.at(6).rows(&[1]);
    assert_eq!(run.at(20).given(), [window(1, 10, 20, 1)]);
}

#[test]
fn windows_that_ended_while_the_job_was_down_are_given_after_it() {
    let kind = WindowKind::Tumble { size: 10, offset: 0 };
    let mut run = Run::of(kind);
    run.at(3).rows(&[1, 1]);
    let left = run.driver.snapshot(CheckpointId(1));
    let Run { clock, driver } = run;
    let mut run = Run { driver: driver.restored(left, &operator(kind)), clock };
    assert_eq!(run.at(100).given(), [window(1, 0, 10, 2)]);
}
