//! OVER aggregates against a look at all rows in front of each.

use super::{Case, Row, cells, in_time, table};
use proptest::prelude::*;

/// The rows of each row's frame, among those of its key in the order of time.
fn frames(rows: &[Row], is_in: impl Fn(&[Row], usize, usize) -> bool) -> Vec<(Row, Vec<Row>)> {
    let mut all = Vec::new();
    for key in [None, Some(0), Some(1), Some(2)] {
        let mut of_key: Vec<Row> = rows.iter().filter(|row| row.0 == key).copied().collect();
        of_key.sort_by_key(|row| row.2);
        for at in 0..of_key.len() {
            let frame = (0..of_key.len()).filter(|other| is_in(&of_key, at, *other)).map(|other| of_key[other]).collect();
            all.push((of_key[at], frame));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn aggregates_over_rows_in_front(case in Case::appending(50), kind in 0usize..5, size in 0i64..6) {
        let frame = match kind {
            0 => "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW".to_owned(),
            1 => "RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW".to_owned(),
            2 => format!("ROWS BETWEEN {size} PRECEDING AND CURRENT ROW"),
            3 => format!("RANGE BETWEEN INTERVAL '0.00{size}' SECOND PRECEDING AND CURRENT ROW"),
            // What is meant where nothing is said.
            _ => String::new(),
        };
        let over = "PARTITION BY k ORDER BY ts";
        let functions = ["SUM(v)", "COUNT(*)", "MIN(v)", "MAX(v)", "COUNT(DISTINCT v)", "SUM(v) FILTER (WHERE v > 1)"];
        let shown = functions.map(|function| format!("{function} OVER ({over} {frame})")).join(", ");
        case.check(&format!("SELECT k, v, {shown} FROM ta"), |[changes, _]| {
            let is_in = |rows: &[Row], at: usize, other: usize| match kind {
                0 => other <= at,
                2 => other <= at && other as i64 >= at as i64 - size,
                3 => rows[other].2 <= rows[at].2 && rows[other].2 >= rows[at].2 - size,
                _ => rows[other].2 <= rows[at].2,
            };
            table(frames(&in_time(changes), is_in).into_iter().map(|(row, frame)| {
                let mut values: Vec<i64> = frame.iter().filter_map(|row| row.1).collect();
                let sum = |values: &[i64]| (!values.is_empty()).then(|| values.iter().sum::<i64>());
                let all = sum(&values);
                values.sort_unstable();
                let great = sum(&values.iter().filter(|value| **value > 1).copied().collect::<Vec<_>>());
                let (least, most) = (values.first().copied(), values.last().copied());
                values.dedup();
                cells([row.0, row.1, all, Some(frame.len() as i64), least, most, Some(values.len() as i64), great])
            }))
        });
    }

    #[test]
    fn rows_are_numbered_and_first_values_kept(case in Case::appending(40)) {
        let over = "OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)";
        case.check(&format!("SELECT k, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts), LAST_VALUE(v) {over}, FIRST_VALUE(v) {over} FROM ta"), |[changes, _]| {
            table(frames(&in_time(changes), |_, at, other| other <= at).into_iter().map(|(row, frame)| {
                let values: Vec<i64> = frame.iter().filter_map(|row| row.1).collect();
                cells([row.0, row.1, Some(frame.len() as i64), values.last().copied(), values.first().copied()])
            }))
        });
    }

    #[test]
    fn first_and_last_values_of_frames_that_rows_leave(case in Case::appending(40), size in 0i64..4) {
        let over = format!("OVER (PARTITION BY k ORDER BY ts ROWS BETWEEN {size} PRECEDING AND CURRENT ROW)");
        case.check(&format!("SELECT k, v, FIRST_VALUE(v) {over}, LAST_VALUE(v) {over}, CARDINALITY(ARRAY_AGG(v) {over}) FROM ta"), |[changes, _]| {
            let is_in = |_: &[Row], at: usize, other: usize| other <= at && other as i64 >= at as i64 - size;
            table(frames(&in_time(changes), is_in).into_iter().map(|(row, frame)| {
                let values: Vec<i64> = frame.iter().filter_map(|row| row.1).collect();
                cells([row.0, row.1, values.first().copied(), values.last().copied(), Some(frame.len() as i64)])
            }))
        });
    }

    #[test]
    fn rows_in_front_by_the_clock(case in Case::appending(40), kind in 0usize..3, size in 0i64..4) {
        let frame = match kind {
            0 => "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW".to_owned(),
            1 => format!("ROWS BETWEEN {size} PRECEDING AND CURRENT ROW"),
            // Longer than the test.
            _ => "RANGE BETWEEN INTERVAL '9' HOUR PRECEDING AND CURRENT ROW".to_owned(),
        };
        let over = format!("OVER (PARTITION BY k ORDER BY pt {frame})");
        case.check(&format!("SELECT k, v, COUNT(*) {over}, MAX(v) {over} FROM tp"), |[changes, _]| {
            // The order is the one in which rows came.
            let rows: Vec<Row> = changes.iter().map(|change| (change.row.0, change.row.1, change.at as i64)).collect();
            let is_in = |_: &[Row], at: usize, other: usize| other <= at && (kind != 1 || other as i64 >= at as i64 - size);
            table(frames(&rows, is_in).into_iter().map(|(row, frame)| {
                let most = frame.iter().filter_map(|row| row.1).max();
                cells([row.0, row.1, Some(frame.len() as i64), most])
            }))
        });
    }
}
