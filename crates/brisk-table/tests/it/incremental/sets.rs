//! Set operations against counting.

use super::{Case, Change, cells, rows, table};
use brisk_table::{Cell, Table};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// How often each row of numbers is in either table.
fn counted(tables: [&[Change]; 2]) -> BTreeMap<Vec<Option<i64>>, [i64; 2]> {
    let mut counts: BTreeMap<_, [i64; 2]> = BTreeMap::new();
    for (side, changes) in tables.into_iter().enumerate() {
        rows(changes).into_iter().for_each(|row| counts.entry(vec![row.0, row.1]).or_default()[side] += 1);
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn set_operations(case in Case::changing(30), operation in 0usize..6) {
        type Times = fn(i64, i64) -> i64;
        let operations: [(&str, Times); 6] = [
            ("UNION", |left, right| (left + right).min(1)),
            ("UNION ALL", |left, right| left + right),
            ("INTERSECT", |left, right| left.min(right).min(1)),
            ("INTERSECT ALL", |left, right| left.min(right)),
            ("EXCEPT", |left, right| i64::from(left > 0 && right == 0)),
            ("EXCEPT ALL", |left, right| (left - right).max(0)),
        ];
        let (name, times) = operations[operation];
        case.check(&format!("SELECT k, v FROM a {name} SELECT k, v FROM b"), |tables| {
            let counts = counted(tables).into_iter().map(|(row, [left, right])| (cells(row), times(left, right)));
            counts.filter(|(_, count)| *count != 0).collect::<Table>()
        });
    }

    #[test]
    fn types_of_both_sides_become_one(case in Case::changing(10)) {
        case.check("SELECT v, CAST(k AS INT) FROM a INTERSECT SELECT v, k FROM b", |tables| {
            let both = counted(tables).into_iter().filter(|(_, [left, right])| *left > 0 && *right > 0);
            table(both.map(|(row, _)| cells([row[1], row[0]])).collect::<Vec<Vec<Cell>>>())
        });
    }

    #[test]
    fn distinct_rows(case in Case::changing(30)) {
        case.check("SELECT DISTINCT v FROM a", |[changes, _]| {
            let mut values: Vec<_> = rows(changes).into_iter().map(|row| row.1).collect();
            values.sort();
            values.dedup();
            table(values.into_iter().map(|value| cells([value])))
        });
    }
}
