//! State that expires (`table.exec.state.ttl`), against plain computations with a clock.

use super::{Case, Change, cells};
use brisk_base::options::Configuration;
use brisk_core::batch::Columns;
use brisk_table::{Cell, Table, cells as shown};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// How long state lives, in milliseconds.
const TTL: i64 = 10;

/// Key and value.
type Pair = (Option<i64>, Option<i64>);

/// What changes leave, also of rows that were taken back without having been there: that happens where state has expired.
#[derive(Default)]
struct Folded(Table);

impl Folded {
    fn add(&mut self, row: Vec<Cell>, times: i64) {
        *self.0.entry(row).or_default() += times;
    }

    fn finish(mut self) -> Table {
        self.0.retain(|_, times| *times != 0);
        self.0
    }
}

fn folded(batches: &[Columns]) -> Table {
    let mut all = Folded::default();
    for batch in batches {
        let columns: Vec<_> = batch.columns.iter().map(|column| shown(column).expect("can be shown")).collect();
        (0..batch.rows).for_each(|row| all.add(columns.iter().map(|column| column[row].clone()).collect(), batch.kind(row).sign()));
    }
    all.finish()
}

/// A value with the time at which it was written last.
struct Kept<V> {
    at: i64,
    value: V,
}

/// What has not expired of the state of a key.
fn live<K: Ord, V: Clone>(state: &BTreeMap<K, Kept<V>>, key: &K, now: i64) -> Option<V> {
    state.get(key).filter(|kept| now < kept.at + TTL).map(|kept| kept.value.clone())
}

fn options() -> Configuration {
    let mut config = Configuration::new();
    config.set_text("table.exec.state.ttl", "10 ms");
    config
}

/// Runs a query under a clock that moves on, and compares what is left of its changes.
fn check(case: &Case, steps: &[i64], query: &str, expected: impl Fn(&[Change], &[Change], &mut Folded)) {
    case.run(query, &options(), steps, |given, [left, right]| {
        let mut all = Folded::default();
        expected(left, right, &mut all);
        assert_eq!(folded(given), all.finish(), "{query}");
    });
}

/// The changes of both tables in the order in which they came, with the side.
fn in_order<'c>(left: &'c [Change], right: &'c [Change]) -> Vec<(usize, &'c Change)> {
    let mut all: Vec<_> = left.iter().map(|change| (0, change)).chain(right.iter().map(|change| (1, change))).collect();
    all.sort_by_key(|(_, change)| change.at);
    all
}

fn pair(change: &Change) -> Pair {
    (change.row.0, change.row.1)
}

fn steps() -> impl Strategy<Value = Vec<i64>> {
    proptest::collection::vec(prop_oneof![2 => 0i64..4, 1 => 5i64..12], 1..6)
}

/// Gives what changes in the result of a key.
fn replaced(all: &mut Folded, before: Option<Vec<Cell>>, after: Option<Vec<Cell>>) {
    before.into_iter().for_each(|row| all.add(row, -1));
    after.into_iter().for_each(|row| all.add(row, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn groups_begin_anew(case in Case::changing(40), steps in steps()) {
        check(&case, &steps, "SELECT k, COUNT(*), SUM(v) FROM a GROUP BY k", |changes, _, all| {
            // Rows, values that are not null and their sum.
            let mut groups: BTreeMap<Option<i64>, Kept<[i64; 3]>> = BTreeMap::new();
            let row = |key: Option<i64>, [rows, values, sum]: [i64; 3]| {
                (rows > 0).then(|| cells([key, Some(rows), (values > 0).then_some(sum)]))
            };
            for change in changes {
                let (key, value) = pair(change);
                let before = live(&groups, &key, change.now).unwrap_or_default();
                let sign = change.kind.sign();
                if before[0] + sign < 0 {
                    continue;
                }
                let mut after = [before[0] + sign, before[1] + sign * i64::from(value.is_some()), before[2] + sign * value.unwrap_or(0)];
                if after[0] == 0 {
                    after = [0; 3];
                }
                groups.insert(key, Kept { at: change.now, value: after });
                replaced(all, row(key, before), row(key, after));
            }
        });
    }

    #[test]
    fn values_that_count_once_are_forgotten(case in Case::appending(40), steps in steps()) {
        check(&case, &steps, "SELECT k, COUNT(DISTINCT v) FROM ta GROUP BY k", |changes, _, all| {
            let (mut groups, mut values) = (BTreeMap::new(), BTreeMap::new());
            for change in changes {
                let (key, value) = pair(change);
                let before: Option<i64> = live(&groups, &key, change.now);
                let is_new = value.is_some() && live::<_, ()>(&values, &(key, value), change.now).is_none();
                let after = before.unwrap_or(0) + i64::from(is_new);
                groups.insert(key, Kept { at: change.now, value: after });
                values.insert((key, value), Kept { at: change.now, value: () });
                replaced(all, before.map(|count| cells([key, Some(count)])), Some(cells([key, Some(after)])));
            }
        });
    }

    #[test]
    fn rows_of_joins_have_no_partners_any_more(case in Case::changing(30), steps in steps(), keep in any::<bool>()) {
        let kind = if keep { "LEFT" } else { "INNER" };
        check(&case, &steps, &format!("SELECT a.k, a.v, b.k, b.v FROM a {kind} JOIN b ON a.k = b.k"), |left, right, all| {
            // How often a row is there, and how many partners it has.
            let mut sides: [BTreeMap<Pair, Kept<(i64, i64)>>; 2] = Default::default();
            for (side, change) in in_order(left, right) {
                let (row, sign, now) = (pair(change), change.kind.sign(), change.now);
                let others: Vec<Pair> = sides[1 - side].keys().filter(|other| other.0.is_some() && other.0 == row.0).copied().collect();
                let mut partners = 0;
                for other in others {
                    let Some((times, had)) = live(&sides[1 - side], &other, now) else { continue };
                    partners += times;
                    let joined = if side == 0 { [row, other] } else { [other, row] };
                    all.add(cells(joined.into_iter().flat_map(|(key, value)| [key, value])), sign * times);
                    if side == 1 && keep {
                        sides[0].insert(other, Kept { at: now, value: (times, had + sign) });
                        let alone = i64::from(had + sign <= 0) - i64::from(had <= 0);
                        all.add(cells([other.0, other.1, None, None]), alone * times);
                    }
                }
                if side == 0 && keep && partners == 0 {
                    all.add(cells([row.0, row.1, None, None]), sign);
                }
                if row.0.is_none() {
                    continue;
                }
                let times = live(&sides[side], &row, now).map_or(0, |(times, _)| times) + sign;
                match times > 0 {
                    true => drop(sides[side].insert(row, Kept { at: now, value: (times, if side == 0 { partners } else { 0 }) })),
                    false => drop(sides[side].remove(&row)),
                }
            }
        });
    }

    #[test]
    fn frames_without_a_beginning_begin_anew(case in Case::appending(40), steps in steps()) {
        let over = "OVER (PARTITION BY k ORDER BY pt ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)";
        check(&case, &steps, &format!("SELECT k, v, COUNT(*) {over}, SUM(v) {over} FROM tp"), |changes, _, all| {
            let mut groups: BTreeMap<Option<i64>, Kept<(i64, Option<i64>)>> = BTreeMap::new();
            for change in changes {
                let (key, value) = pair(change);
                let (count, sum) = live(&groups, &key, change.now).unwrap_or_default();
                let after = (count + 1, value.map(|value| sum.unwrap_or(0) + value).or(sum));
                groups.insert(key, Kept { at: change.now, value: after });
                all.add(cells([key, value, Some(after.0), after.1]), 1);
            }
        });
    }

    #[test]
    fn the_first_row_comes_again(case in Case::appending(40), steps in steps()) {
        let numbered = "SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS n FROM ta";
        check(&case, &steps, &format!("SELECT k, v FROM ({numbered}) WHERE n <= 1"), |changes, _, all| {
            let mut first = BTreeMap::new();
            for change in changes {
                let (key, value) = pair(change);
                let before: Option<Option<i64>> = live(&first, &key, change.now);
                // What does not become the first does not let it live on.
                if before.is_none_or(|before| before < value) {
                    first.insert(key, Kept { at: change.now, value });
                    replaced(all, before.map(|value| cells([key, value])), Some(cells([key, value])));
                }
            }
        });
    }

    #[test]
    fn rows_of_a_top_n_over_updates_are_left_out(case in Case::changing(30), steps in steps()) {
        let numbered = "SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY v DESC) AS n FROM (SELECT k, v FROM a)";
        check(&case, &steps, &format!("SELECT k, v FROM ({numbered}) WHERE n <= 1"), |changes, _, all| {
            let mut rows: BTreeMap<Pair, Kept<i64>> = BTreeMap::new();
            for change in changes {
                let (row, now) = (pair(change), change.now);
                let first = |rows: &BTreeMap<Pair, Kept<i64>>| {
                    rows.keys().filter(|other| other.0 == row.0 && live(rows, other, now).is_some()).max().map(|row| cells([row.0, row.1]))
                };
                let before = first(&rows);
                let times = live(&rows, &row, now).unwrap_or(0) + change.kind.sign();
                match times > 0 {
                    true => drop(rows.insert(row, Kept { at: now, value: times })),
                    false => drop(rows.remove(&row)),
                }
                replaced(all, before, first(&rows));
            }
        });
    }

    #[test]
    fn rows_in_both_tables_are_forgotten(case in Case::changing(30), steps in steps()) {
        check(&case, &steps, "SELECT k, v FROM a INTERSECT SELECT k, v FROM b", |left, right, all| {
            let mut counts: BTreeMap<Pair, Kept<[i64; 2]>> = BTreeMap::new();
            for (side, change) in in_order(left, right) {
                let row = pair(change);
                let before = live(&counts, &row, change.now).unwrap_or_default();
                let mut after = before;
                after[side] = (after[side] + change.kind.sign()).max(0);
                counts.insert(row, Kept { at: change.now, value: after });
                let shown = |times: [i64; 2]| (times[0] > 0 && times[1] > 0).then(|| cells([row.0, row.1]));
                replaced(all, shown(before), shown(after));
            }
        });
    }
}
