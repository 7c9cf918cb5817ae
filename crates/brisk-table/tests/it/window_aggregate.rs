//! Windows against a plain computation, over random rows and watermarks, cuts, backends and restores.

use crate::driver::{Driver, shown};
use crate::streams::backends;
use arrow_array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{AnyBatch, Columns, Mark};
use brisk_table::operators::group_aggregate::{Aggregate, AggregateCall};
use brisk_table::operators::row::ValueType;
use brisk_table::operators::window_aggregate::{WindowAggregate, WindowAggregateConfig};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Length of a window, and gap of a session.
const SIZE: i64 = 10;

/// A row with key, time and value, or a watermark.
#[derive(Clone, Debug)]
enum Step {
    Row(i64, i64, i64),
    Watermark(i64),
}

fn operator(merge: bool) -> WindowAggregate {
    let call = |aggregate| AggregateCall { retract: false, ..AggregateCall::from(aggregate) };
    let mut aggregates = vec![call(Aggregate::CountAll), call(Aggregate::SumBigint { column: 3 }), call(Aggregate::Max { column: 3 })];
    if !merge {
        aggregates.push(AggregateCall { distinct: true, ..call(Aggregate::Count { column: 3 }) });
    }
    WindowAggregate::new(WindowAggregateConfig {
        key_columns: vec![0],
        key_types: vec![ValueType::Bigint],
        start: 1,
        end: 2,
        clock: None,
        slices: None,
        merge,
        aggregates,
    })
}

/// The steps as one batch.
fn batch(steps: &[Step], merge: bool) -> Columns {
    let (mut rows, mut marks) = (Vec::new(), Vec::<Mark>::new());
    for step in steps {
        match step {
            Step::Row(key, time, value) => {
                let start = if merge { *time } else { time - time.rem_euclid(SIZE) };
                rows.push((*key, start, start + SIZE, *value));
            }
            Step::Watermark(watermark) => {
                let mark = Mark { row: rows.len() as u32, watermark: Timestamp(*watermark) };
                match marks.last_mut() {
                    Some(last) if last.watermark >= mark.watermark => {}
                    Some(last) if last.row == mark.row => *last = mark,
                    _ => marks.push(mark),
                }
            }
        }
    }
    let numbers =
        |number: fn(&(i64, i64, i64, i64)) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(number))) };
    let times = |time: fn(&(i64, i64, i64, i64)) -> i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(time)))
    };
    let columns = vec![numbers(|row| row.0), times(|row| row.1), times(|row| row.2), numbers(|row| row.3)];
    Columns { marks, ..Columns::new(columns).expect("fit") }
}

/// Windows by key, start and end with their values, as they are given: one after another, without the order among windows of one end.
fn expected(steps: &[Step], merge: bool) -> Vec<(i64, i64, i64, Vec<i64>)> {
    let (mut open, mut given, mut watermark) = (BTreeMap::<(i64, i64, i64), Vec<i64>>::new(), Vec::new(), i64::MIN);
    let ends = [Step::Watermark(i64::MAX)];
    for step in steps.iter().chain(&ends) {
        match step {
            Step::Row(key, time, value) => {
                let mut start = if merge { *time } else { time - time.rem_euclid(SIZE) };
                let mut end = start + SIZE;
                let mut values = vec![*value];
                let touched: Vec<_> = open
                    .keys()
                    .filter(|window| window.2 == *key && if merge { window.1 <= end && window.0 >= start } else { window.1 == start })
                    .copied()
                    .collect();
                for window in &touched {
                    (end, start) = (end.max(window.0), start.min(window.1));
                }
                if end - 1 <= watermark {
                    continue;
                }
                touched.iter().for_each(|window| values.extend(open.remove(window).unwrap_or_default()));
                open.insert((end, start, *key), values);
            }
            Step::Watermark(now) => {
                watermark = watermark.max(*now);
                while let Some(window) = open.first_entry().filter(|window| window.key().0 - 1 <= watermark) {
                    let ((end, start, key), mut values) = window.remove_entry();
                    values.sort_unstable();
                    given.push((key, start, end, values));
                }
            }
        }
    }
    given.sort();
    given
}

fn lines(steps: &[Step], merge: bool) -> Vec<String> {
    let line = |(key, start, end, values): (i64, i64, i64, Vec<i64>)| {
        let (sum, max) = (values.iter().sum::<i64>(), values.last().copied().unwrap_or_default());
        let mut distinct = values.clone();
        distinct.dedup();
        let distinct = if merge { String::new() } else { format!(", {}", distinct.len()) };
        format!("+I[{key}, {}, {}, {}, {sum}, {max}{distinct}]", Timestamp(start), Timestamp(end), values.len())
    };
    let mut lines: Vec<_> = expected(steps, merge).into_iter().map(line).collect();
    lines.sort();
    lines
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0i64..3, -15i64..30, 0i64..4, 0u8..4);
    proptest::collection::vec(step, 0..60).prop_map(|steps| {
        // Times and watermarks move on, and rows may lie behind.
        let step = |(at, (key, time, value, kind)): (usize, (i64, i64, i64, u8))| match kind {
            0 => Step::Watermark(at as i64 + time - 10),
            _ => Step::Row(key, at as i64 + time, value),
        };
        steps.into_iter().enumerate().map(step).collect()
    })
}

proptest! {
    #[test]
    fn windows_are_those_of_the_plain_computation(steps in steps(), cuts in proptest::collection::vec(1usize..20, 1..5), merge in any::<bool>()) {
        for backend in backends() {
            let factory = operator(merge);
            let mut driver = Driver::with_backend(&factory, backend);
            let mut rest: Box<dyn AnyBatch> = Box::new(batch(&steps, merge));
            for (number, cut) in cuts.iter().cycle().enumerate() {
                driver.batch(Columns::from_any(rest.split_front(*cut)).expect("columns")).expect("consumed");
                let snapshot = driver.snapshot(CheckpointId(number as u64 + 1));
                driver = driver.restored(snapshot, &factory);
                if rest.is_empty() {
                    break;
                }
            }
            driver.end();
            let mut given: Vec<_> = shown(driver.elements()).into_iter().filter(|line| line.starts_with('+')).collect();
            given.sort();
            prop_assert_eq!(given, lines(&steps, merge));
        }
    }
}
