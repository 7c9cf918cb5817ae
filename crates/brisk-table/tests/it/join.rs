//! The join against two nested loops, over random changelogs, cuts, backends and restores.

use crate::driver::{Driver, shown};
use crate::streams::{Change, backends, changelog, columns, text};
use brisk_base::Timestamp;
use brisk_base::ids::CheckpointId;
use brisk_core::batch::{Columns, Mark, RowKind};
use brisk_table::operators::join::{Join, JoinKind, JoinSide};
use brisk_table::operators::row::ValueType;
use brisk_table::{Cell, Table, fold_changelog};
use proptest::prelude::*;
use std::time::Duration;

fn join() -> Join {
    let side = || JoinSide {
        key: vec![0],
        types: vec![ValueType::Bigint, ValueType::Bigint, ValueType::Text],
        one_row: false,
        appends: false,
        state_ttl: Duration::ZERO,
    };
    Join { sides: [side(), side()], kind: JoinKind::INNER, condition: None, nulls_are_equal: false }
}

/// Every pair of rows with equal keys, so often as both are there.
fn expected(sides: [&[Change]; 2]) -> Table {
    let mut table = Table::new();
    for left in sides[0] {
        for right in sides[1].iter().filter(|right| right.1 == left.1 && right.1.is_some()) {
            let cells = |row: &Change| [row.1.into(), row.2.into(), Cell::Text(text(row))];
            let row = cells(left).into_iter().chain(cells(right)).collect();
            *table.entry(row).or_default() += left.0.sign() * right.0.sign();
        }
    }
    table.retain(|_, count| *count != 0);
    table
}

proptest! {
    #[test]
    fn it_folds_to_all_pairs_whatever_comes_first(
        left in changelog(30),
        right in changelog(30),
        turns in proptest::collection::vec((0usize..2, 1usize..8), 1..6),
    ) {
        let backends = backends();
        let mut driver = Driver::with_backend(&join(), backends[0].clone());
        let mut rest = [&left[..], &right[..]];
        let mut output = Vec::new();
        for (number, (input, size)) in turns.iter().cycle().enumerate() {
            let input = if rest[*input].is_empty() { 1 - input } else { *input };
            let (now, later) = rest[input].split_at((*size).min(rest[input].len()));
            if now.is_empty() {
                break;
            }
            rest[input] = later;
            driver.batch_to(input, columns(now)).expect("consumed");
            output.extend(driver.batches());
            let done = [&left[..left.len() - rest[0].len()], &right[..right.len() - rest[1].len()]];
            prop_assert_eq!(fold_changelog(&output).expect("valid"), expected(done));
            let snapshot = driver.snapshot(CheckpointId(number as u64 + 1));
            driver = driver.restored(snapshot, &join());
        }
    }
}

#[test]
fn watermarks_stay_between_the_rows() {
    let mut driver = Driver::new(&join());
    let rows = |rows: &[(Option<i64>, i64)]| columns(&rows.iter().map(|row| (RowKind::Insert, row.0, row.1)).collect::<Vec<_>>());
    driver.batch_to(0, rows(&[(Some(1), 5), (None, 6)])).expect("consumed");
    let marks = vec![Mark { row: 1, watermark: Timestamp(7) }, Mark { row: 3, watermark: Timestamp(9) }];
    driver.batch_to(1, Columns { marks, ..rows(&[(Some(1), 1), (None, 6), (Some(1), 2)]) }).expect("consumed");
    let expected = ["+I[1, 5, Some(1)/5, 1, 1, Some(1)/1]", "watermark 7", "+I[1, 5, Some(1)/5, 1, 2, Some(1)/2]", "watermark 9"];
    assert_eq!(shown(driver.elements()), expected);
}
