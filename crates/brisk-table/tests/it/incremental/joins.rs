//! Joins of all kinds against nested loops.

use super::{Case, Change, Row, cells, rows, table};
use brisk_core::batch::RowKind;
use brisk_table::Table;
use proptest::prelude::*;

/// Pairs of two tables, and rows without a partner where they are kept.
fn pairs(left: &[Row], right: &[Row], keep: [bool; 2], partner: impl Fn(&Row, &Row) -> bool) -> Table {
    let pair = |left: Option<&Row>, right: Option<&Row>| {
        let columns = |row: Option<&Row>| [row.and_then(|row| row.0), row.and_then(|row| row.1)];
        cells([columns(left), columns(right)].concat())
    };
    let mut all = Vec::new();
    for row in left {
        let before = all.len();
        all.extend(right.iter().filter(|other| partner(row, other)).map(|other| pair(Some(row), Some(other))));
        if keep[0] && all.len() == before {
            all.push(pair(Some(row), None));
        }
    }
    let alone = |other: &&Row| !left.iter().any(|row| partner(row, other));
    all.extend(right.iter().filter(|_| keep[1]).filter(alone).map(|other| pair(None, Some(other))));
    table(all)
}

fn equal(one: Option<i64>, other: Option<i64>) -> bool {
    one.is_some() && one == other
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn outer_joins((case, [a, b]) in Case::either(25), kind in 0usize..4, with_condition in any::<bool>()) {
        let (name, keep) = [("INNER", [false, false]), ("LEFT", [true, false]), ("RIGHT", [false, true]), ("FULL", [true, true])][kind];
        let condition = if with_condition { " AND a.v < b.v" } else { "" };
        let query = format!("SELECT a.k, a.v, b.k, b.v FROM {a} a {name} JOIN {b} b ON a.k = b.k{condition}");
        let less = |left: &Row, right: &Row| left.1.zip(right.1).is_some_and(|(left, right)| left < right);
        case.check(&query, |[left, right]| {
            pairs(&rows(left), &rows(right), keep, |left, right| equal(left.0, right.0) && (!with_condition || less(left, right)))
        });
    }

    #[test]
    fn joins_without_equal_keys((case, [a, b]) in Case::either(15), kind in 0usize..3) {
        let (name, keep) = [("INNER", [false, false]), ("LEFT", [true, false]), ("FULL", [true, true])][kind];
        let query = format!("SELECT a.k, a.v, b.k, b.v FROM {a} a {name} JOIN {b} b ON a.v < b.v");
        case.check(&query, |[left, right]| {
            pairs(&rows(left), &rows(right), keep, |left, right| left.1.zip(right.1).is_some_and(|(left, right)| left < right))
        });
        case.check(&format!("SELECT a.k, a.v, b.k, b.v FROM {a} a LEFT JOIN {b} b ON a.k IS NOT DISTINCT FROM b.k"), |[left, right]| {
            pairs(&rows(left), &rows(right), [true, false], |left, right| left.0 == right.0)
        });
    }

    #[test]
    fn joins_of_results_with_one_row_per_key(case in Case::changing(25), kind in 0usize..4, both in any::<bool>()) {
        let (name, keep) = [("INNER", [false, false]), ("LEFT", [true, false]), ("RIGHT", [false, true]), ("FULL", [true, true])][kind];
        let sums = |table: &str| format!("(SELECT k, SUM(v) AS v FROM {table} GROUP BY k)");
        let right = if both { sums("b") } else { "b".to_owned() };
        let query = format!("SELECT l.k, l.v, r.k, r.v FROM {} l {name} JOIN {right} r ON l.k = r.k", sums("a"));
        let summed = |changes: &[Change]| -> Vec<Row> {
            let mut sums = std::collections::BTreeMap::<Option<i64>, Option<i64>>::new();
            for (key, value, _) in rows(changes) {
                let sum = sums.entry(key).or_default();
                *sum = value.map(|value| sum.unwrap_or(0) + value).or(*sum);
            }
            sums.into_iter().map(|(key, sum)| (key, sum, 0)).collect()
        };
        case.check(&query, |[left, right]| {
            let right = if both { summed(right) } else { rows(right) };
            pairs(&summed(left), &right, keep, |left, right| equal(left.0, right.0))
        });
    }

    #[test]
    fn rows_that_exist_elsewhere((case, [a, b]) in Case::either(25), negated in any::<bool>()) {
        let not = if negated { "NOT " } else { "" };
        let kept = |left: Vec<Row>, keep: &dyn Fn(&Row) -> bool| {
            table(left.iter().filter(|row| keep(row)).map(|row| cells([row.0, row.1])).collect::<Vec<_>>())
        };
        case.check(&format!("SELECT k, v FROM {a} a WHERE {not}EXISTS (SELECT 1 FROM {b} b WHERE b.k = a.k AND b.v > a.v)"), |[left, right]| {
            let right = rows(right);
            let exists = |row: &Row| right.iter().any(|other| equal(row.0, other.0) && row.1.is_some() && other.1 > row.1);
            kept(rows(left), &|row| exists(row) != negated)
        });
        // Three-valued: what is not certain is not kept.
        case.check(&format!("SELECT k, v FROM {a} a WHERE k {not}IN (SELECT v FROM {b})"), |[left, right]| {
            let right = rows(right);
            kept(rows(left), &|row| {
                let found = right.iter().any(|other| equal(row.0, other.1));
                let unknown = right.iter().any(|other| row.0.is_none() || other.1.is_none());
                if negated { !found && !unknown } else { found }
            })
        });
        case.check(&format!("SELECT k, v FROM {a} a WHERE k {not}IN (SELECT v FROM {b} b WHERE b.k = a.v)"), |[left, right]| {
            let right = rows(right);
            kept(rows(left), &|row| {
                let of_row: Vec<&Row> = right.iter().filter(|other| equal(row.1, other.0)).collect();
                let found = of_row.iter().any(|other| equal(row.0, other.1));
                let unknown = of_row.iter().any(|other| row.0.is_none() || other.1.is_none());
                if negated { !found && !unknown } else { found }
            })
        });
    }

    #[test]
    fn subqueries_within_or_and_for_values(case in Case::changing(20)) {
        case.check("SELECT k, v FROM a WHERE v = 1 OR k IN (SELECT v FROM b)", |[left, right]| {
            let right = rows(right);
            let kept = rows(left).into_iter().filter(|row| row.1 == Some(1) || right.iter().any(|other| equal(row.0, other.1)));
            table(kept.map(|row| cells([row.0, row.1])))
        });
        case.check("SELECT k, v, (SELECT COUNT(*) FROM b WHERE b.k = a.k) FROM a WHERE v > (SELECT MIN(v) FROM b)", |[left, right]| {
            let right = rows(right);
            let least = right.iter().filter_map(|row| row.1).min();
            let kept = rows(left).into_iter().filter(|row| row.1.zip(least).is_some_and(|(value, least)| value > least));
            let count = |row: &Row| right.iter().filter(|other| equal(row.0, other.0)).count() as i64;
            table(kept.map(|row| cells([row.0, row.1, Some(count(&row))])))
        });
    }

    #[test]
    fn interval_joins(case in Case::appending(40), kind in 0usize..4, lower in -9i64..6, length in -2i64..9, with_condition in any::<bool>()) {
        let (name, keep) = [("INNER", [false, false]), ("LEFT", [true, false]), ("RIGHT", [false, true]), ("FULL", [true, true])][kind];
        let upper = lower + length;
        let span = |millis: i64| {
            let sign = if millis < 0 { '-' } else { '+' };
            format!("{sign} INTERVAL '{:.3}' SECOND", millis.abs() as f64 / 1000.0)
        };
        let condition = if with_condition { " AND ta.v < tb.v" } else { "" };
        let within = if length % 2 == 0 {
            format!("ta.ts BETWEEN tb.ts {} AND tb.ts {}", span(lower), span(upper))
        } else {
            format!("tb.ts {} <= ta.ts AND tb.ts {} > ta.ts", span(lower), span(upper + 1))
        };
        let query = format!("SELECT ta.k, ta.v, tb.k, tb.v FROM ta {name} JOIN tb ON ta.k = tb.k AND {within}{condition}");
        let less = |left: &Row, right: &Row| left.1.zip(right.1).is_some_and(|(left, right)| left < right);
        case.check(&query, |[left, right]| {
            // Each row with its number, so that a pair is found again by its rows.
            let partner = |one: &Change, other: &Change| {
                let difference = one.row.2 - other.row.2;
                // The first of them was still kept when the second came.
                let kept = if one.at < other.at { one.row.2 - lower > other.watermark } else { other.row.2 + upper > one.watermark };
                equal(one.row.0, other.row.0) && (lower..=upper).contains(&difference) && kept && (!with_condition || less(&one.row, &other.row))
            };
            numbered_pairs(left, right, keep, partner)
        });
    }

    #[test]
    fn versions_at_a_time(case in Case::with_versions(40), keep in any::<bool>(), condition in 0usize..3) {
        let name = if keep { "LEFT" } else { "INNER" };
        let (with_condition, of_version) = (condition == 1, condition == 2);
        let condition = ["", " AND ta.v < x.v", " AND x.v > 1"][condition];
        let query = format!("SELECT ta.k, ta.v, x.k, x.v FROM ta {name} JOIN tv FOR SYSTEM_TIME AS OF ta.ts AS x ON x.k = ta.k{condition}");
        let less = |left: &Row, right: &Row| left.1.zip(right.1).is_some_and(|(left, right)| left < right);
        case.check(&query, |[left, right]| {
            let version = |row: &Row| {
                let of_key = right.iter().filter(|change| change.kind != RowKind::UpdateBefore && equal(row.0, change.row.0));
                let last = of_key.filter(|change| change.row.2 <= row.2).max_by_key(|change| (change.row.2, change.at));
                let there = last.filter(|change| change.kind != RowKind::Delete).map(|change| change.row);
                there.filter(|version| (!with_condition || less(row, version)) && (!of_version || version.1 > Some(1)))
            };
            let joined = left.iter().map(|change| (change.row, version(&change.row))).filter(|(_, version)| keep || version.is_some());
            table(joined.map(|(row, version)| cells([row.0, row.1, version.and_then(|row| row.0), version.and_then(|row| row.1)])))
        });
    }

    #[test]
    fn versions_by_the_clock(case in Case::with_versions(40), keep in any::<bool>(), condition in any::<bool>()) {
        let (name, more) = (if keep { "LEFT" } else { "INNER" }, if condition { " AND tp.v < x.v" } else { "" });
        let query = format!("SELECT tp.k, tp.v, x.k, x.v FROM tp {name} JOIN tv FOR SYSTEM_TIME AS OF tp.pt AS x ON x.k = tp.k{more}");
        case.check(&query, |[left, right]| {
            // The version that was there when the row came.
            let version = |one: &Change| {
                let of_key = right.iter().filter(|change| change.kind != RowKind::UpdateBefore && equal(one.row.0, change.row.0));
                let last = of_key.filter(|change| change.at < one.at).max_by_key(|change| change.at);
                let there = last.filter(|change| change.kind != RowKind::Delete).map(|change| change.row);
                there.filter(|version| !condition || one.row.1.zip(version.1).is_some_and(|(left, right)| left < right))
            };
            let joined = left.iter().map(|change| (change.row, version(change))).filter(|(_, version)| keep || version.is_some());
            table(joined.map(|(row, version)| cells([row.0, row.1, version.and_then(|row| row.0), version.and_then(|row| row.1)])))
        });
    }

    #[test]
    fn versions_of_a_view_with_the_latest_row_of_each_key(case in Case::punctual(40), keep in any::<bool>()) {
        let name = if keep { "LEFT" } else { "INNER" };
        let query = format!("SELECT ta.k, ta.v, x.k, x.v FROM ta {name} JOIN last_b FOR SYSTEM_TIME AS OF ta.ts AS x ON x.k = ta.k");
        case.check(&query, |[left, right]| {
            // A row that is older than the latest one of its key when it comes is no version.
            let mut versions: Vec<Row> = Vec::new();
            for change in right {
                if versions.iter().filter(|version| version.0 == change.row.0).all(|version| version.2 < change.row.2) {
                    versions.push(change.row);
                }
            }
            let version = |row: &Row| {
                versions.iter().filter(|version| equal(row.0, version.0) && version.2 <= row.2).max_by_key(|version| version.2)
            };
            let joined = left.iter().map(|change| (change.row, version(&change.row))).filter(|(_, version)| keep || version.is_some());
            table(joined.map(|(row, version)| cells([row.0, row.1, version.and_then(|row| row.0), version.and_then(|row| row.1)])))
        });
    }
}

/// Pairs of changes, and those without a partner where they are kept.
fn numbered_pairs(left: &[Change], right: &[Change], keep: [bool; 2], partner: impl Fn(&Change, &Change) -> bool) -> Table {
    let numbered = |changes: &[Change]| (0..changes.len() as i64).map(|at| (Some(at), None, 0)).collect::<Vec<Row>>();
    let at = |row: &Row| row.0.unwrap_or(0) as usize;
    let numbers = pairs(&numbered(left), &numbered(right), keep, |one, other| partner(&left[at(one)], &right[at(other)]));
    let row = |cell: &brisk_table::Cell, changes: &[Change]| match cell {
        brisk_table::Cell::Integer(at) => [changes[*at as usize].row.0, changes[*at as usize].row.1],
        _ => [None, None],
    };
    table(numbers.into_keys().map(|pair| cells([row(&pair[0], left), row(&pair[2], right)].concat())))
}
