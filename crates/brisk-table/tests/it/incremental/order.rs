//! Top-N, LIMIT and sorting against sorted vectors.

use super::{Case, Change, Row, cells, in_time, rows, table};
use brisk_core::batch::RowKind;
use brisk_table::{Cell, fold_changelog};
use proptest::prelude::*;

/// Rows as a query orders them: nulls are lowest; rows that are equal in the order are ordered by their columns.
fn ordered(mut rows: Vec<Row>, descending: bool) -> Vec<Row> {
    rows.sort();
    rows.sort_by(|one, two| if descending { two.1.cmp(&one.1) } else { one.1.cmp(&two.1) });
    rows
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn the_first_rows_of_all(case in Case::changing(40), limit in 0usize..5, skip in 0usize..3, descending in any::<bool>()) {
        let way = if descending { "DESC" } else { "ASC" };
        case.check(&format!("SELECT v, k, ts FROM a ORDER BY v {way}, k, ts LIMIT {limit} OFFSET {skip}"), |[changes, _]| {
            let first = ordered(rows(changes), descending).into_iter().skip(skip).take(limit);
            table(first.map(|row| vec![row.1.into(), row.0.into(), Cell::Timestamp(brisk_base::Timestamp(row.2))]))
        });
        case.check(&format!("SELECT v FROM a ORDER BY v {way} NULLS LAST LIMIT {limit}"), |[changes, _]| {
            let mut all = ordered(rows(changes), descending);
            all.sort_by_key(|row| row.1.is_none());
            table(all.into_iter().take(limit).map(|row| cells([row.1])))
        });
        case.check_with(&format!("SELECT k, v FROM a LIMIT {limit}"), |given, [changes, _]| {
            let (given, all) = (fold_changelog(given).expect("valid"), table(rows(changes).into_iter().map(|row| cells([row.0, row.1]))));
            assert_eq!(given.values().sum::<i64>(), all.values().sum::<i64>().min(limit as i64));
            assert!(given.iter().all(|(row, count)| all.get(row).is_some_and(|there| there >= count)));
        });
    }

    #[test]
    fn the_first_rows_of_each_key(case in Case::changing(40), limit in 1usize..4, descending in any::<bool>(), places in any::<bool>()) {
        let way = if descending { "DESC" } else { "ASC" };
        let place = if places { ", p" } else { "" };
        let ranked = format!("SELECT k, v, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v {way}) AS p FROM a");
        case.check(&format!("SELECT k, v{place} FROM ({ranked}) WHERE p <= {limit}"), |[changes, _]| {
            let all = ordered(rows(changes), descending);
            let mut keys: Vec<_> = all.iter().map(|row| row.0).collect();
            keys.sort();
            keys.dedup();
            table(keys.into_iter().flat_map(|key| {
                let of_key = all.iter().filter(move |row| row.0 == key).take(limit).enumerate();
                of_key.map(|(place, row)| {
                    let place = places.then_some(place as i64 + 1);
                    cells([row.0, row.1].into_iter().chain(place.map(Some)))
                })
            }))
        });
    }

    #[test]
    fn aggregates_are_ranked(case in Case::changing(40)) {
        case.check("SELECT k, SUM(v) AS s, COUNT(*) AS n FROM a GROUP BY k ORDER BY n DESC, k LIMIT 2", |[changes, _]| {
            let all = rows(changes);
            let mut groups: Vec<(i64, Option<i64>, Option<i64>)> = Vec::new();
            for key in [None, Some(0), Some(1), Some(2)] {
                let of_key: Vec<_> = all.iter().filter(|row| row.0 == key).collect();
                let values: Vec<_> = of_key.iter().filter_map(|row| row.1).collect();
                groups.push((-(of_key.len() as i64), key, (!values.is_empty()).then(|| values.iter().sum())));
            }
            groups.retain(|group| group.0 < 0);
            groups.sort();
            table(groups.into_iter().take(2).map(|(count, key, sum)| cells([key, sum, Some(-count)])))
        });
    }

    #[test]
    fn rows_are_sorted_by_time(case in Case::appending(40)) {
        case.check_with("SELECT ts, v FROM ta ORDER BY ts, v DESC", |given, [changes, _]| {
            assert!(given.iter().all(|batch| batch.kinds.iter().all(|kind| *kind == RowKind::Insert)));
            let mut expected = in_time(changes);
            expected.sort_by_key(|row| (row.2, std::cmp::Reverse(row.1)));
            let expected: Vec<_> = expected.iter().map(|row| vec![Cell::Timestamp(brisk_base::Timestamp(row.2)), row.1.into()]).collect();
            assert_eq!(shown(given), expected);
        });
    }
}

/// All rows in their order.
fn shown(batches: &[brisk_core::batch::Columns]) -> Vec<Vec<Cell>> {
    let of_batch = |batch: &brisk_core::batch::Columns| {
        let columns: Vec<_> = batch.columns.iter().map(|column| brisk_table::cells(column).expect("can be shown")).collect();
        (0..batch.rows).map(move |row| columns.iter().map(|column| column[row].clone()).collect()).collect::<Vec<_>>()
    };
    batches.iter().flat_map(of_batch).collect()
}

#[test]
fn values_are_rows() {
    let case = Case { tables: [vec![Change::new(RowKind::Insert, (Some(2), Some(1), 0))], Vec::new()], turns: vec![(0, 1, 2)], backend: 0 };
    case.check("SELECT a.v, t.x, t.y FROM a JOIN (VALUES (1, 'one'), (2, 'two'), (2, NULL)) AS t (x, y) ON t.x = a.k", |_| {
        table([vec![1.into(), 2.into(), "two".into()], vec![1.into(), 2.into(), Cell::Null]])
    });
    case.check("SELECT v FROM a UNION ALL SELECT 7", |_| table([cells([Some(1)]), cells([Some(7)])]));
}
