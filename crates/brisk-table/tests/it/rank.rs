//! Top-N against sorting, over random rows, cuts, backends and restores.

use crate::driver::{Driver, shown};
use crate::streams::{Change, backends, columns, text};
use brisk_base::ids::CheckpointId;
use brisk_core::batch::RowKind;
use brisk_table::operators::rank::{Order, Rank};
use brisk_table::operators::row::ValueType;
use brisk_table::{Cell, Table, fold_changelog};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

fn rank(limit: usize, descending: bool, with_place: bool) -> Rank {
    let types = vec![ValueType::Bigint, ValueType::Bigint, ValueType::Text];
    let order = vec![Order { column: 1, descending, nulls_first: !descending }];
    Rank { key: vec![0], order, types, limit, with_place, retract: false, row_exact: false, state_ttl: Duration::ZERO }
}

fn expected(rows: &[Change], rank: &Rank) -> Table {
    let mut keys: BTreeMap<Option<i64>, Vec<&Change>> = BTreeMap::new();
    rows.iter().for_each(|row| keys.entry(row.1).or_default().push(row));
    let mut table = Table::new();
    for mut rows in keys.into_values() {
        rows.sort_by_key(|row| if rank.order[0].descending { -row.2 } else { row.2 });
        for (place, row) in rows.into_iter().take(rank.limit).enumerate() {
            let place = rank.with_place.then_some(place as i64 + 1).into();
            *table.entry(vec![row.1.into(), row.2.into(), Cell::Text(text(row)), place]).or_default() += 1;
        }
    }
    table
}

proptest! {
    #[test]
    fn it_folds_to_the_first_rows_of_each_key(
        rows in proptest::collection::vec((proptest::option::weighted(0.9, 0i64..4), 0i64..9), 0..60),
        cut in 1usize..20,
        limit in 1usize..5,
        descending in any::<bool>(),
        with_place in any::<bool>(),
    ) {
        let rows: Vec<Change> = rows.into_iter().map(|(key, value)| (RowKind::Insert, key, value)).collect();
        let rank = rank(limit, descending, with_place);
        for backend in backends() {
            let (mut driver, mut output, mut seen) = (Driver::with_backend(&rank, backend), Vec::new(), 0);
            for piece in rows.chunks(cut) {
                driver.batch(columns(piece)).expect("consumed");
                output.extend(driver.batches());
                seen += piece.len();
                prop_assert_eq!(fold_changelog(&output).expect("valid"), expected(&rows[..seen], &rank));
                let snapshot = driver.snapshot(CheckpointId(seen as u64));
                driver = driver.restored(snapshot, &rank);
            }
        }
    }
}

#[test]
fn rows_that_are_equal_keep_their_order_and_places_move() {
    let mut driver = Driver::new(&rank(2, true, true));
    for value in [5, 5, 7] {
        driver.batch(columns(&[(RowKind::Insert, Some(1), value)])).expect("consumed");
    }
    let expected = ["+I[1, 5, Some(1)/5, 1]", "+I[1, 5, Some(1)/5, 2]", "-U[1, 5, Some(1)/5, 1]", "+U[1, 7, Some(1)/7, 1]"];
    assert_eq!(shown(driver.elements()), expected);
}
