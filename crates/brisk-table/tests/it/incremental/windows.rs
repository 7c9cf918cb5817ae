//! Joins of windows against nested loops.

use super::{Case, Change, cells, table};
use brisk_table::Table;
use proptest::prelude::*;

/// A row in one of its windows: key, value, start of the window.
type Windowed = (Option<i64>, Option<i64>, i64);

/// Rows in those of their windows that were not over when they came.
fn in_windows(changes: &[Change], size: i64, slide: i64) -> Vec<Windowed> {
    let windows = |change: &Change| {
        let last = change.row.2.div_euclid(slide) * slide;
        let starts = (0..size / slide).map(move |step| last - step * slide);
        let (key, value, watermark) = (change.row.0, change.row.1, change.watermark);
        starts.filter(move |start| start + size - 1 > watermark).map(move |start| (key, value, start))
    };
    changes.iter().flat_map(windows).collect()
}

fn partners<'r>(row: &Windowed, others: &'r [Windowed], is_partner: impl Fn(&Windowed, &Windowed) -> bool) -> Vec<&'r Windowed> {
    others.iter().filter(|other| other.2 == row.2 && is_partner(row, other)).collect()
}

/// The window function over a table.
fn windows_of(name: &str, size: i64, slide: i64) -> String {
    let span = |millis: i64| format!("INTERVAL '0.{millis:03}' SECOND");
    match size == slide {
        true => format!("(SELECT * FROM TABLE(TUMBLE(TABLE {name}, DESCRIPTOR(ts), {})))", span(size)),
        false => format!("(SELECT * FROM TABLE(HOP(TABLE {name}, DESCRIPTOR(ts), {}, {})))", span(slide), span(size)),
    }
}

fn equal(one: Option<i64>, other: Option<i64>) -> bool {
    one.is_some() && one == other
}

const SAME: &str = "l.window_start = r.window_start AND l.window_end = r.window_end";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn pairs_of_a_window(
        case in Case::appending(40), kind in 0usize..4, hop in any::<bool>(), with_key in any::<bool>(), with_condition in any::<bool>(),
    ) {
        let (name, keep) = [("INNER", [false, false]), ("LEFT", [true, false]), ("RIGHT", [false, true]), ("FULL", [true, true])][kind];
        let (size, slide) = if hop { (10, 5) } else { (10, 10) };
        let [left, right] = ["ta", "tb"].map(|table| windows_of(table, size, slide));
        let key = if with_key { " AND l.k = r.k" } else { "" };
        let condition = if with_condition { " AND l.v < r.v" } else { "" };
        let query = format!("SELECT l.k, l.v, r.k, r.v FROM {left} l {name} JOIN {right} r ON {SAME}{key}{condition}");
        let less = |left: &Windowed, right: &Windowed| left.1.zip(right.1).is_some_and(|(left, right)| left < right);
        let is_partner = |left: &Windowed, right: &Windowed| (!with_key || equal(left.0, right.0)) && (!with_condition || less(left, right));
        case.check(&query, |tables| {
            let [left, right] = tables.map(|changes| in_windows(changes, size, slide));
            let mut all = Vec::new();
            for row in &left {
                let partners = partners(row, &right, is_partner);
                all.extend(partners.iter().map(|other| cells([row.0, row.1, other.0, other.1])));
                if keep[0] && partners.is_empty() {
                    all.push(cells([row.0, row.1, None, None]));
                }
            }
            for row in right.iter().filter(|_| keep[1]) {
                if partners(row, &left, |right, left| is_partner(left, right)).is_empty() {
                    all.push(cells([None, None, row.0, row.1]));
                }
            }
            table(all)
        });
    }

    #[test]
    fn rows_that_exist_in_the_same_window(case in Case::appending(40), negated in any::<bool>(), with_condition in any::<bool>()) {
        let not = if negated { "NOT " } else { "" };
        let condition = if with_condition { " AND r.v > l.v" } else { "" };
        let [left, right] = ["ta", "tb"].map(|table| windows_of(table, 10, 10));
        let query = format!(
            "SELECT l.k, l.v FROM {left} l WHERE {not}EXISTS (SELECT 1 FROM {right} r WHERE l.k = r.k AND {SAME}{condition})"
        );
        case.check(&query, |tables| {
            let [left, right] = tables.map(|changes| in_windows(changes, 10, 10));
            let greater = |row: &Windowed, other: &Windowed| row.1.is_some() && other.1 > row.1;
            let exists = |row: &Windowed| {
                !partners(row, &right, |row, other| equal(row.0, other.0) && (!with_condition || greater(row, other))).is_empty()
            };
            table(left.iter().filter(|row| exists(row) != negated).map(|row| cells([row.0, row.1])).collect::<Vec<_>>())
        });
    }

    /// Of windows that lie over each other, which are made of slices: a row that is late for some counts in the others.
    #[test]
    fn aggregates_of_windows_that_lie_over_each_other(case in Case::appending(40), cumulate in any::<bool>(), with_key in any::<bool>()) {
        let name = if cumulate { "CUMULATE" } else { "HOP" };
        let key = if with_key { "k, " } else { "" };
        let windows = format!("TABLE({name}(TABLE ta, DESCRIPTOR(ts), INTERVAL '0.005' SECOND, INTERVAL '0.015' SECOND))");
        let query = format!("SELECT {key}COUNT(*), SUM(v), MAX(v), AVG(v) FROM {windows} GROUP BY {key}window_start, window_end");
        case.check(&query, |[changes, _]| {
            let mut greatest = i64::MIN;
            let mut groups: std::collections::BTreeMap<_, Vec<Option<i64>>> = Default::default();
            for change in changes {
                let (key, value, time) = change.row;
                let watermark = greatest.saturating_sub(super::DELAY);
                let last = time.div_euclid(5) * 5;
                let whole = time.div_euclid(15) * 15;
                let windows: Vec<_> = match cumulate {
                    true => (last + 5..=whole + 15).step_by(5).map(|end| (whole, end)).collect(),
                    false => (0..3).map(|step| (last - step * 5, last - step * 5 + 15)).collect(),
                };
                for window in windows.into_iter().filter(|(_, end)| end - 1 > watermark) {
                    groups.entry((with_key.then_some(key), window)).or_default().push(value);
                }
                greatest = greatest.max(time);
            }
            table(groups.into_iter().map(|((key, _), values)| {
                let there: Vec<i64> = values.iter().flatten().copied().collect();
                let sum = (!there.is_empty()).then(|| there.iter().sum::<i64>());
                let results = [Some(values.len() as i64), sum, there.iter().max().copied(), sum.map(|sum| sum / there.len() as i64)];
                cells(key.into_iter().chain(results))
            }))
        });
    }

    #[test]
    fn results_of_windows_are_joined(case in Case::appending(40)) {
        let counts = |name: &str| {
            let windows = windows_of(name, 10, 10);
            format!("(SELECT k, COUNT(*) AS n, window_start, window_end FROM {windows} GROUP BY k, window_start, window_end)")
        };
        let query = format!("SELECT l.k, l.n, r.n FROM {} l JOIN {} r ON l.k = r.k AND {SAME}", counts("ta"), counts("tb"));
        // An aggregation drops what its own table says is late.
        let counted = |changes: &[Change]| -> Table {
            let mut greatest = i64::MIN;
            let mut counts = Table::new();
            for change in changes {
                let start = change.row.2.div_euclid(10) * 10;
                if start + 9 > greatest.saturating_sub(super::DELAY) {
                    *counts.entry(cells([change.row.0, Some(start)])).or_default() += 1;
                }
                greatest = greatest.max(change.row.2);
            }
            counts
        };
        case.check(&query, |[left, right]| {
            let (left, right) = (counted(left), counted(right));
            let both = left.iter().filter_map(|(window, count)| Some((window[0].clone(), *count, *right.get(window)?)));
            table(both.filter(|(key, ..)| *key != brisk_table::Cell::Null).map(|(key, left, right)| vec![key, left.into(), right.into()]))
        });
    }
}
