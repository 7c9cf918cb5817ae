//! The aggregation against a plain computation, over random changelogs, cuts and backends.

use crate::driver::{Driver, shown};
use arrow_array::{ArrayRef, Float64Array, Int64Array, StringArray};
use brisk_base::Timestamp;
use brisk_core::batch::{AnyBatch, ColumnKeyHasher, Columns, Mark, RowKind};
use brisk_core::job_graph::KeyHasher;
use brisk_core::registry::OperatorRegistry;
use brisk_core::state::StateBackend;
use brisk_state::{HashMapStateBackend, mock};
use brisk_table::operators::group_aggregate::{Aggregate, GroupAggregate, GroupAggregateConfig, GroupKey, NAME};
use brisk_table::operators::{register_all, registered};
use brisk_table::{Cell, Table, fold_changelog};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One row of the input: kind, key, quantity, price in quarters.
type Row = (RowKind, Option<i64>, Option<i64>, Option<i64>);

fn columns(rows: &[Row], text_keys: bool) -> Columns {
    let keys: ArrayRef = if text_keys {
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1.map(|key| format!("k{key}")))))
    } else {
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.1)))
    };
    let quantities = Int64Array::from_iter(rows.iter().map(|row| row.2));
    let prices = Float64Array::from_iter(rows.iter().map(|row| row.3.map(|quarters| quarters as f64 / 4.0)));
    let batch = Columns::new(vec![Arc::new(quantities), keys, Arc::new(prices)]).expect("fit");
    batch.with_kinds(rows.iter().map(|row| row.0).collect()).expect("one each")
}

fn config(text_keys: bool, row_exact: bool) -> GroupAggregateConfig {
    let key = if text_keys { GroupKey::Row { columns: vec![1] } } else { GroupKey::Number { column: 1 } };
    let aggregates =
        vec![Aggregate::SumBigint { column: 0 }, Aggregate::SumDouble { column: 2 }, Aggregate::CountAll, Aggregate::Count { column: 0 }];
    let aggregates = aggregates.into_iter().map(Into::into).collect();
    GroupAggregateConfig { key, aggregates, row_exact, state_ttl: Duration::ZERO }
}

/// The result for an input, from sums of plain numbers.
fn expected(rows: &[Row], text_keys: bool) -> Table {
    let mut groups: BTreeMap<Option<i64>, [i64; 5]> = BTreeMap::new();
    for (kind, key, quantity, quarters) in rows {
        let (sign, group) = (kind.sign(), groups.entry(*key).or_default());
        group[0] += sign * quantity.unwrap_or(0);
        group[1] += sign * i64::from(quantity.is_some());
        group[2] += sign * quarters.unwrap_or(0);
        group[3] += sign * i64::from(quarters.is_some());
        group[4] += sign;
    }
    let row = |(key, [sum, values, quarters, prices, rows]): (Option<i64>, [i64; 5])| {
        let key = if text_keys { key.map_or(Cell::Null, |key| Cell::Text(format!("k{key}"))) } else { key.into() };
        let price = (prices > 0).then_some(quarters as f64 / 4.0);
        (vec![key, (values > 0).then_some(sum).into(), price.into(), rows.into(), values.into()], 1)
    };
    groups.into_iter().filter(|(_, group)| group[4] > 0).map(row).collect()
}

/// A valid changelog: rows are added, changed and taken back at random.
fn changelog() -> impl Strategy<Value = Vec<Row>> {
    let row =
        (proptest::option::weighted(0.9, 0i64..5), proptest::option::weighted(0.8, -3i64..9), proptest::option::weighted(0.8, 0i64..40));
    proptest::collection::vec((0u8..5, any::<prop::sample::Index>(), row), 0..60).prop_map(|steps| {
        let (mut live, mut rows) = (Vec::new(), Vec::new());
        for (step, index, (key, quantity, quarters)) in steps {
            let new = (key, quantity, quarters);
            let row = |kind, (key, quantity, quarters)| (kind, key, quantity, quarters);
            if live.is_empty() || step < 2 {
                live.push(new);
                rows.push(row(RowKind::Insert, new));
            } else if step == 2 {
                rows.push(row(RowKind::Delete, live.swap_remove(index.index(live.len()))));
            } else {
                let at = index.index(live.len());
                rows.push(row(RowKind::UpdateBefore, std::mem::replace(&mut live[at], new)));
                rows.push(row(RowKind::UpdateAfter, new));
            }
        }
        rows
    })
}

fn backends() -> Vec<(&'static str, Arc<dyn StateBackend>)> {
    let mut all: Vec<(&str, Arc<dyn StateBackend>)> = vec![("hashmap", Arc::new(HashMapStateBackend))];
    all.extend(mock::backends().into_iter().map(|(name, backend)| (name, Arc::from(backend))));
    all
}

fn driver(config: GroupAggregateConfig) -> Driver {
    Driver::new(&GroupAggregate::new(config).expect("a good configuration"))
}

/// Cuts rows into pieces; the cuts come again when they are used up.
fn pieces<'a>(rows: &'a [Row], cuts: &'a [usize]) -> impl Iterator<Item = &'a [Row]> {
    let (mut rest, mut cuts) = (rows, cuts.iter().cycle());
    std::iter::from_fn(move || {
        let next = rest.split_at_checked(*cuts.next()?).unwrap_or((rest, &[]));
        rest = next.1;
        (!next.0.is_empty()).then_some(next.0)
    })
}

proptest! {
    #[test]
    fn output_folds_to_the_plain_sums_at_every_cut(
        rows in changelog(),
        cuts in proptest::collection::vec(1usize..20, 1..5),
        text_keys in any::<bool>(),
        row_exact in any::<bool>(),
        hashed in any::<bool>(),
    ) {
        for (name, backend) in backends() {
            let aggregate = GroupAggregate::new(config(text_keys, row_exact)).expect("a good configuration");
            let mut driver = Driver::with_backend(&aggregate, backend);
            let (mut output, mut seen) = (Vec::new(), 0);
            for piece in pieces(&rows, &cuts) {
                let mut batch = columns(piece, text_keys);
                if hashed {
                    let mut hashes = Vec::new();
                    ColumnKeyHasher { columns: vec![1] }.hash(&batch, &mut hashes).expect("can be a key");
                    batch.set_hashes(hashes);
                }
                driver.batch(batch).expect("consumed");
                seen += piece.len();
                output.extend(driver.batches());
                prop_assert_eq!(fold_changelog(&output).expect("valid"), expected(&rows[..seen], text_keys), "{}", name);
            }
            driver.end();
            prop_assert_eq!(shown(driver.elements()), ["watermark 9223372036854775807"]);
            prop_assert!(name != "delayed" || rows.is_empty() || driver.waited > 0, "the delayed backend makes the operator wait");
        }
    }

    #[test]
    fn the_aggregation_goes_on_from_a_checkpoint(
        rows in changelog(),
        cut in 1usize..20,
        text_keys in any::<bool>(),
        row_exact in any::<bool>(),
    ) {
        // A checkpoint of one backend is restored in the next.
        let backends: Vec<_> = backends().into_iter().filter(|(name, _)| *name != "delayed").map(|(_, backend)| backend).collect();
        let aggregate = GroupAggregate::new(config(text_keys, row_exact)).expect("a good configuration");
        let backend = |number: usize| Arc::clone(&backends[number % backends.len()]);
        let (mut driver, mut undisturbed) = (Driver::with_backend(&aggregate, backend(0)), driver(config(text_keys, row_exact)));
        for (number, piece) in rows.chunks(cut).enumerate() {
            driver.batch(columns(piece, text_keys)).expect("consumed");
            undisturbed.batch(columns(piece, text_keys)).expect("consumed");
            let left = driver.snapshot(brisk_base::ids::CheckpointId(number as u64 + 1));
            driver = driver.restored_in(backend(number + 1), left, &aggregate);
        }
        prop_assert_eq!(shown(driver.elements()), shown(undisturbed.elements()));
    }

    #[test]
    fn row_exact_output_does_not_depend_on_cuts(
        rows in changelog(),
        cuts in proptest::collection::vec(1usize..20, 1..5),
        marks in proptest::collection::btree_set(0u32..80, 0..10),
    ) {
        let outputs = [&cuts[..], &[1], &[1000]].map(|cuts| {
            let mut driver = driver(config(false, true));
            let mut batch: Box<dyn AnyBatch> = Box::new(Columns {
                marks: marks.iter().filter(|row| **row as usize <= rows.len()).map(|row| Mark { row: *row, watermark: Timestamp(i64::from(*row)) }).collect(),
                ..columns(&rows, false)
            });
            for cut in cuts.iter().cycle() {
                driver.batch(Columns::from_any(batch.split_front(*cut)).expect("columns")).expect("consumed");
                if batch.is_empty() {
                    break;
                }
            }
            shown(driver.elements())
        });
        prop_assert_eq!(&outputs[0], &outputs[2]);
        prop_assert_eq!(&outputs[1], &outputs[2]);
    }

    #[test]
    fn only_signs_count_not_their_order(changes in changelog(), swaps in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40)) {
        // So many rows come first that no count reaches zero in between, where a key is forgotten.
        let keys = [None, Some(0), Some(1), Some(2), Some(3), Some(4)];
        let first: Vec<Row> = (0..changes.len()).flat_map(|_| keys.map(|key| (RowKind::Insert, key, Some(1), Some(1)))).collect();
        let mut shuffled = changes.clone();
        if !shuffled.is_empty() {
            let len = shuffled.len();
            swaps.iter().for_each(|(one, two)| shuffled.swap(one.index(len), two.index(len)));
        }
        let mut driver = driver(config(false, false));
        for rows in [&first, &shuffled] {
            driver.batch(columns(rows, false)).expect("consumed");
        }
        let table = expected(&[first, changes].concat(), false);
        prop_assert_eq!(fold_changelog(&driver.batches()).expect("valid"), table);
    }
}

#[test]
fn row_exact_changes_are_those_of_flink() {
    use RowKind::{Delete, Insert, UpdateAfter, UpdateBefore};
    let rows = [
        (Insert, Some(1), Some(10), Some(2)),
        (Insert, Some(1), None, None),
        (Insert, Some(2), Some(7), None),
        (UpdateBefore, Some(1), Some(10), Some(2)),
        (UpdateAfter, Some(1), Some(30), Some(2)),
        (Delete, Some(2), Some(7), None),
    ];
    let mut driver = driver(config(false, true));
    driver.batch(columns(&rows, false)).expect("consumed");
    let expected = [
        "+I[1, 10, 0.5, 1, 1]",
        "-U[1, 10, 0.5, 1, 1]",
        "+U[1, 10, 0.5, 2, 1]",
        "+I[2, 7, null, 1, 1]",
        "-U[1, 10, 0.5, 2, 1]",
        "+U[1, null, null, 1, 0]",
        "-U[1, null, null, 1, 0]",
        "+U[1, 30, 0.5, 2, 1]",
        "-D[2, 7, null, 1, 1]",
    ];
    assert_eq!(shown(driver.elements()), expected);
}

#[test]
fn the_net_change_of_a_batch_leaves_out_what_cancels() {
    use RowKind::{Delete, Insert};
    let mut driver = driver(config(false, false));
    let net = |driver: &mut Driver, rows: &[Row]| {
        driver.batch(Columns { marks: vec![Mark { row: 1, watermark: Timestamp(5) }], ..columns(rows, false) }).expect("consumed");
        shown(driver.elements())
    };
    let first = [(Insert, Some(1), Some(1), None), (Insert, Some(2), Some(2), None), (Insert, Some(1), Some(3), None)];
    assert_eq!(net(&mut driver, &first), ["+I[1, 4, null, 2, 2]", "+I[2, 2, null, 1, 1]", "watermark 5"]);
    let nothing =
        [(Delete, Some(1), Some(1), None), (Insert, Some(1), Some(1), None), (Insert, Some(9), None, None), (Delete, Some(9), None, None)];
    assert_eq!(net(&mut driver, &nothing), ["watermark 5"]);
    let gone = [(Delete, Some(2), Some(2), None), (Insert, Some(1), Some(5), None)];
    assert_eq!(net(&mut driver, &gone), ["-D[2, 2, null, 1, 1]", "-U[1, 4, null, 2, 2]", "+U[1, 9, null, 3, 3]", "watermark 5"]);
}

#[test]
fn a_row_taken_back_before_it_is_added_is_a_debt() {
    use RowKind::{Delete, Insert};
    for row_exact in [false, true] {
        let mut driver = driver(config(false, row_exact));
        for rows in [[(Delete, Some(1), Some(5), None)], [(Insert, Some(1), Some(7), None)], [(Insert, Some(1), Some(5), None)]] {
            driver.batch(columns(&rows, false)).expect("consumed");
        }
        assert_eq!(shown(driver.elements()), ["+I[1, 5, null, 1, 1]"], "the debt and the first row cancel");
    }
}

#[test]
fn large_outputs_are_cut() {
    let rows: Vec<Row> = (0..4096).map(|at| (RowKind::Insert, Some(at % 3), Some(at), Some(1))).collect();
    let mut driver = driver(config(false, true));
    driver.batch(columns(&rows, false)).expect("consumed");
    let sizes: Vec<_> = driver.batches().iter().map(|batch| batch.rows).collect();
    assert_eq!(sizes, [4096, 2 * 4093 + 3 - 4096]);
}

#[test]
fn columns_of_the_wrong_type_are_named() {
    let mut driver = driver(config(false, false));
    let batch = Columns::new(vec![Arc::new(Float64Array::from(vec![1.0])) as ArrayRef, Arc::new(Int64Array::from(vec![1]))]).expect("fit");
    let error = driver.batch(batch).expect_err("a sum of integers");
    assert_eq!(error.message(), "column 0 is Float64, but its sum takes Int64: cast it in front of the aggregation");
}

#[test]
fn it_is_found_by_name() {
    let mut registry = OperatorRegistry::default();
    register_all(&mut registry);
    let factory = registry.resolve(&registered(NAME, &config(false, false))).expect("registered");
    let mut driver = Driver::new(factory.as_ref());
    driver.batch(columns(&[(RowKind::Insert, None, Some(1), None)], false)).expect("consumed");
    assert_eq!(shown(driver.elements()), ["+I[null, 1, null, 1, 1]"]);
    let broken = brisk_core::operator::OperatorSpec::Registered { name: NAME.to_owned(), config: vec![9] };
    let error = registry.resolve(&broken).err().expect("no configuration");
    assert!(error.to_string().starts_with("configuration of the registered operator 'group-aggregate': damaged record"), "{error}");
}
