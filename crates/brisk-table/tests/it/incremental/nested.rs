//! Arrays, maps and rows: in state, as keys, and as rows of their own (UNNEST, LATERAL TABLE).

use super::{Case, Row, cells, rows, table};
use brisk_table::Cell;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn elements_become_rows(case in Case::changing(30), outer in any::<bool>()) {
        let join = if outer { "LEFT JOIN" } else { "CROSS JOIN" };
        let on = if outer { "ON TRUE" } else { "" };
        let elements = "ARRAY_REMOVE(ARRAY[v, k, v], 1)";
        case.check(&format!("SELECT v, x, n FROM a {join} UNNEST({elements}) WITH ORDINALITY AS t (x, n) {on}"), |[changes, _]| {
            table(rows(changes).into_iter().flat_map(|(key, value, _)| {
                let elements = [value, key, value].into_iter().filter(|element| *element != Some(1)).zip(1..);
                let mut all: Vec<_> = elements.map(|(element, number)| cells([value, element, Some(number)])).collect();
                if all.is_empty() && outer {
                    all.push(cells([value, None, None]));
                }
                all
            }))
        });
    }

    #[test]
    fn rows_and_maps_become_columns(case in Case::changing(30)) {
        case.check("SELECT a.k, t.x, t.y FROM a, UNNEST(ARRAY[ROW(v, k), ROW(k, 7)]) AS t (x, y) WHERE a.k > 0", |[changes, _]| {
            let kept = rows(changes).into_iter().filter(|row| row.0 > Some(0));
            table(kept.flat_map(|(key, value, _)| [cells([key, value, key]), cells([key, key, Some(7)])]))
        });
        case.check("SELECT x, SUM(y) FROM a CROSS JOIN UNNEST(MAP['k', k, 'v', v]) AS t (x, y) GROUP BY x", |[changes, _]| {
            let all = rows(changes);
            let sum = |of: fn(&Row) -> Option<i64>| -> Cell {
                let values: Vec<i64> = all.iter().filter_map(of).collect();
                (!values.is_empty()).then(|| values.iter().sum::<i64>()).into()
            };
            let sums = [vec!["k".into(), sum(|row| row.0)], vec!["v".into(), sum(|row| row.1)]];
            table(sums.into_iter().filter(|_| !all.is_empty()))
        });
    }

    #[test]
    fn they_are_keys_of_groups(case in Case::changing(40)) {
        case.check("SELECT x, r, COUNT(*) FROM (SELECT ARRAY[k, v] AS x, ROW(v, 'a') AS r FROM a) GROUP BY x, r", |[changes, _]| {
            let mut counts = std::collections::BTreeMap::new();
            rows(changes).into_iter().for_each(|(key, value, _)| *counts.entry((key, value)).or_insert(0_i64) += 1);
            table(counts.into_iter().map(|((key, value), count)| {
                vec![Cell::Array(cells([key, value])), Cell::Row(vec![value.into(), "a".into()]), count.into()]
            }))
        });
    }

    #[test]
    fn they_lie_in_the_state_of_joins(case in Case::changing(25)) {
        let left = "(SELECT k, ARRAY[ROW(v, MAP['k', k])] AS x FROM a) AS l";
        case.check(&format!("SELECT l.x, l.x[1]['EXPR$1']['k'], b.v FROM {left} LEFT JOIN b ON l.k = b.k AND l.x[1]['EXPR$0'] <= b.v"), |[left, right]| {
            let (left, right) = (rows(left), rows(right));
            table(left.into_iter().flat_map(|row| {
                let is_partner = |other: &&Row| {
                    row.0.is_some() && row.0 == other.0 && row.1.zip(other.1).is_some_and(|(one, other)| one <= other)
                };
                let mut partners: Vec<_> = right.iter().filter(is_partner).map(|other| other.1).collect();
                if partners.is_empty() {
                    partners.push(None);
                }
                let nested = Cell::Array(vec![Cell::Row(vec![row.1.into(), Cell::Map(vec![("k".into(), row.0.into())])])]);
                partners.into_iter().map(move |value| vec![nested.clone(), row.0.into(), value.into()]).collect::<Vec<_>>()
            }))
        });
    }

    #[test]
    fn the_greatest_of_them_are_found(case in Case::changing(40)) {
        case.check("SELECT k, MAX(ARRAY[v]), MIN(ROW(v)) FROM a WHERE v IS NOT NULL GROUP BY k", |[changes, _]| {
            let mut groups: std::collections::BTreeMap<_, Vec<i64>> = Default::default();
            rows(changes).into_iter().for_each(|(key, value, _)| groups.entry(key).or_default().extend(value));
            table(groups.into_iter().filter(|(_, values)| !values.is_empty()).map(|(key, values)| {
                let (least, most) = (values.iter().min().copied(), values.iter().max().copied());
                vec![key.into(), Cell::Array(cells([most])), Cell::Row(cells([least]))]
            }))
        });
    }
}
