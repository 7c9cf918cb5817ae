//! Aggregate functions and grouping sets against plain computations.

use super::{Case, Row, rows, table};
use brisk_table::{Cell, Table};
use proptest::prelude::*;

/// Rows by what a function says of them, in the order of the groups.
fn grouped(rows: &[Row], group: impl Fn(&Row) -> Vec<Option<i64>>) -> Vec<(Vec<Option<i64>>, Vec<Row>)> {
    let mut groups: std::collections::BTreeMap<Vec<Option<i64>>, Vec<Row>> = Default::default();
    rows.iter().for_each(|row| groups.entry(group(row)).or_default().push(*row));
    groups.into_iter().collect()
}

fn variance(values: &[i64], sample: bool) -> Option<f64> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<i64>() as f64 / count;
    let divisor = count - f64::from(u8::from(sample));
    (divisor > 0.0).then(|| values.iter().map(|value| (*value as f64 - mean).powi(2)).sum::<f64>() / divisor)
}

/// As a number that is the same whichever way it was computed.
fn rounded(value: Option<f64>) -> Cell {
    value.map(|value| (value * 1e6).round() as i64).into()
}

fn each_key(all: &[Row], cells: impl Fn(&[i64]) -> Vec<Cell>) -> Table {
    table(grouped(all, |row| vec![row.0]).into_iter().map(|(key, rows)| {
        let values: Vec<i64> = rows.iter().filter_map(|row| row.1).collect();
        std::iter::once(key[0].into()).chain(cells(&values)).collect()
    }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn measures_of_how_far_values_are_apart(case in Case::changing(40), distinct in any::<bool>()) {
        let d = if distinct { "DISTINCT " } else { "" };
        let functions = ["VAR_POP", "VAR_SAMP", "VARIANCE", "STDDEV_POP", "STDDEV_SAMP", "STDDEV"];
        let shown = functions.map(|name| format!("CAST(CEIL({name}({d}CAST(v AS DOUBLE)) * 1000000 - 0.5) AS BIGINT)")).join(", ");
        case.check(&format!("SELECT k, {shown} FROM a GROUP BY k"), |[changes, _]| each_key(&rows(changes), |values| {
            let mut values = values.to_vec();
            if distinct {
                values.sort_unstable();
                values.dedup();
            }
            let [pop, samp] = [false, true].map(|sample| variance(&values, sample));
            [pop, samp, samp, pop.map(f64::sqrt), samp.map(f64::sqrt), samp.map(f64::sqrt)].map(rounded).to_vec()
        }));
        case.check(&format!("SELECT k, VAR_POP({d}v), STDDEV_SAMP({d}v) FROM a GROUP BY k"), |[changes, _]| each_key(&rows(changes), |values| {
            let mut values = values.to_vec();
            if distinct {
                values.sort_unstable();
                values.dedup();
            }
            let (count, sum, squares) = (values.len() as i64, values.iter().sum::<i64>(), values.iter().map(|value| value * value).sum::<i64>());
            let whole = |divisor: i64| (divisor > 0).then(|| (squares - sum * sum / count) / divisor);
            vec![whole(count).into(), whole(count - 1).map(|variance| (variance as f64).sqrt() as i64).into()]
        }));
    }

    /// One set of values for all filters, whether rows are only added or taken back.
    #[test]
    fn distinct_values_with_filters((case, [a, _]) in Case::either(40)) {
        let early = "ts < TIMESTAMP '1970-01-01 00:00:00.001'";
        let query = format!(
            "SELECT k, COUNT(DISTINCT v), COUNT(DISTINCT v) FILTER (WHERE {early}), SUM(DISTINCT v) FILTER (WHERE NOT {early}), \
            COUNT(DISTINCT ts), COUNT(*) FILTER (WHERE {early}), COUNT(DISTINCT v) FILTER (WHERE v < 0) FROM {a} GROUP BY k"
        );
        case.check(&query, |[changes, _]| {
            let groups = grouped(&rows(changes), |row| vec![row.0]);
            table(groups.into_iter().map(|(key, rows)| {
                let distinct = |filter: &dyn Fn(&Row) -> bool, value: &dyn Fn(&Row) -> Option<i64>| -> std::collections::BTreeSet<i64> {
                    rows.iter().filter(|row| filter(row)).filter_map(value).collect()
                };
                let late = distinct(&|row| row.2 >= 1, &|row| row.1);
                let cells: [Cell; 7] = [
                    key[0].into(),
                    (distinct(&|_| true, &|row| row.1).len() as i64).into(),
                    (distinct(&|row| row.2 < 1, &|row| row.1).len() as i64).into(),
                    (!late.is_empty()).then(|| late.iter().sum::<i64>()).into(),
                    (distinct(&|_| true, &|row| Some(row.2)).len() as i64).into(),
                    (rows.iter().filter(|row| row.2 < 1).count() as i64).into(),
                    Cell::from(0_i64),
                ];
                cells.to_vec()
            }))
        });
    }

    #[test]
    fn texts_in_a_list(case in Case::changing(40)) {
        // Equal texts make the order of those that remain the same whichever of them is taken back.
        case.check("SELECT k, LISTAGG(CASE v WHEN 1 THEN 'x' END, '-'), LISTAGG(DISTINCT CASE v WHEN 1 THEN 'x' END) FROM a GROUP BY k", |[changes, _]| {
            each_key(&rows(changes), |values| {
                let times = values.iter().filter(|value| **value == 1).count();
                let text = (times > 0).then(|| vec!["x"; times].join("-"));
                vec![text.as_deref().into(), (times > 0).then_some("x").into()]
            })
        });
    }

    #[test]
    fn first_and_last(case in Case::appending(40)) {
        case.check("SELECT k, FIRST_VALUE(v), LAST_VALUE(v), LISTAGG(CAST(v AS STRING), '/'), LAST_VALUE(v) FILTER (WHERE v < 2) FROM ta GROUP BY k", |[changes, _]| {
            let all: Vec<Row> = changes.iter().map(|change| change.row).collect();
            each_key(&all, |values| {
                let list = (!values.is_empty()).then(|| values.iter().map(ToString::to_string).collect::<Vec<_>>().join("/"));
                let small = values.iter().rfind(|value| **value < 2).copied();
                vec![values.first().copied().into(), values.last().copied().into(), list.as_deref().into(), small.into()]
            })
        });
    }

    #[test]
    fn values_in_the_order_in_which_they_came(case in Case::changing(40)) {
        let functions = "FIRST_VALUE(v), LAST_VALUE(v), ARRAY_AGG(v), ARRAY_AGG(v) IGNORE NULLS, ARRAY_AGG(DISTINCT v), LISTAGG(CAST(v AS STRING))";
        case.check(&format!("SELECT k, {functions}, LAST_VALUE(v) FILTER (WHERE v < 2) FROM a GROUP BY k"), |[changes, _]| {
            let groups = grouped(&changes.iter().map(|change| change.row).collect::<Vec<_>>(), |row| vec![row.0]);
            table(groups.into_iter().filter_map(|(key, _)| {
                let (mut all, mut once): (Vec<Option<i64>>, Vec<Option<i64>>) = Default::default();
                for change in changes.iter().filter(|change| change.row.0 == key[0]) {
                    let value = change.row.1;
                    if change.kind.sign() > 0 {
                        all.push(value);
                        once.extend((!once.contains(&value)).then_some(value));
                    } else {
                        // Of equal values the first is taken back.
                        all.remove(all.iter().position(|known| *known == value).expect("it is there"));
                        once.retain(|known| *known != value || all.contains(known));
                    }
                }
                let array = |values: &[Option<i64>]| match values {
                    [] => Cell::Null,
                    values => Cell::Array(values.iter().map(|value| Cell::from(*value)).collect()),
                };
                let values: Vec<i64> = all.iter().filter_map(|value| *value).collect();
                let valid: Vec<Option<i64>> = values.iter().copied().map(Some).collect();
                let list = (!values.is_empty()).then(|| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
                let small = values.iter().rfind(|value| **value < 2).copied();
                let ends = [values.first().copied().into(), values.last().copied().into()];
                let rest = [array(&all), array(&valid), array(&once), list.as_deref().into(), small.into()];
                (!all.is_empty()).then(|| std::iter::once(key[0].into()).chain(ends).chain(rest).collect())
            }))
        });
    }

    #[test]
    fn grouping_sets(case in Case::changing(30), kind in 0usize..3) {
        let (sets, chosen): (&str, &[[bool; 2]]) = [
            ("GROUPING SETS ((k), (v), ())", &[[true, false], [false, true], [false, false]][..]),
            ("ROLLUP (k, v)", &[[true, true], [true, false], [false, false]][..]),
            ("CUBE (k, v)", &[[true, true], [true, false], [false, true], [false, false]][..]),
        ][kind];
        case.check(&format!("SELECT k, v, COUNT(*), SUM(v), COUNT(DISTINCT k) FROM a GROUP BY {sets}"), |[changes, _]| {
            let all = rows(changes);
            let of_set = |[by_key, by_value]: &[bool; 2]| {
                let (by_key, by_value) = (*by_key, *by_value);
                grouped(&all, move |row| vec![row.0.filter(|_| by_key), row.1.filter(|_| by_value)])
            };
            table(chosen.iter().flat_map(of_set).map(|(group, rows)| {
                let values: Vec<i64> = rows.iter().filter_map(|row| row.1).collect();
                let mut keys: Vec<i64> = rows.iter().filter_map(|row| row.0).collect();
                keys.sort_unstable();
                keys.dedup();
                let sum = (!values.is_empty()).then(|| values.iter().sum::<i64>());
                vec![group[0].into(), group[1].into(), (rows.len() as i64).into(), sum.into(), (keys.len() as i64).into()]
            }))
        });
    }
}
