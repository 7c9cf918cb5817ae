//! Tests of columnar batches over all types of columns: cutting, bytes, scatter, key hashes.

use super::*;
use crate::batch::Scattered;
use crate::job_graph::KeyHasher;
use crate::types::Key;
use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{
    BinaryArray, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, FixedSizeBinaryArray, Float64Array,
    Int32Array, Int64Array, LargeBinaryArray, LargeListArray, LargeStringArray, ListArray, MapArray, NullArray, StringArray,
    StringViewArray, StructArray, TimestampMicrosecondArray, UInt8Array,
};
use arrow_schema::{DataType, Field};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Values for every supported layout, some of them null, made from the row number.
fn all_types(rows: usize) -> Vec<ArrayRef> {
    let n = || (0..rows as i64).map(|row| (row % 5 != 3).then_some(row * 7 - 20));
    let text = || n().map(|value| value.map(|value| "é".repeat(value.unsigned_abs() as usize % 9)));
    let bytes = || n().map(|value| value.map(|value| vec![value as u8; value.unsigned_abs() as usize % 20]));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let lists = || n().map(|value| value.map(|value| (0..value.unsigned_abs() as i32 % 4).map(move |at| (at != 1).then_some(at))));
    let inner: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists()));
    let field = |name: &str, of: &ArrayRef| Arc::new(Field::new(name, of.data_type().clone(), true));
    let nulls = (0..rows).map(|row| row % 4 != 1).collect::<Vec<_>>().into();
    let text_column: ArrayRef = Arc::new(StringArray::from_iter(text()));
    let structs = StructArray::new(
        vec![field("list", &inner), field("text", &text_column)].into(),
        vec![Arc::clone(&inner), Arc::clone(&text_column)],
        Some(nulls),
    );
    vec![
        ids,
        Arc::new(Int64Array::from_iter(n())),
        Arc::new(UInt8Array::from_iter(n().map(|value| value.map(|value| value as u8)))),
        Arc::new(Float64Array::from_iter(n().map(|value| value.map(|value| value as f64 / 4.0)))),
        Arc::new(BooleanArray::from_iter(n().map(|value| value.map(|value| value % 2 == 0)))),
        text_column,
        Arc::new(LargeStringArray::from_iter(text())),
        Arc::new(StringViewArray::from_iter(text())),
        Arc::new(BinaryArray::from_iter(bytes())),
        Arc::new(LargeBinaryArray::from_iter(bytes())),
        Arc::new(BinaryViewArray::from_iter(bytes())),
        Arc::new(Date32Array::from_iter(n().map(|value| value.map(|value| value as i32)))),
        Arc::new(TimestampMicrosecondArray::from_iter(n()).with_timezone("Europe/Warsaw")),
        Arc::new(Decimal128Array::from_iter(n().map(|value| value.map(i128::from))).with_precision_and_scale(20, 3).expect("fits")),
        Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(n().map(|value| value.map(i64::to_le_bytes)), 8).expect("8 bytes")),
        Arc::new(NullArray::new(rows)),
        inner,
        Arc::new(LargeListArray::from_iter_primitive::<Int64Type, _, _>(n().map(|value| value.map(|value| [Some(value), None])))),
        Arc::new(structs),
        Arc::new(maps(rows)),
    ]
}

/// Maps of different lengths, some of them null, some with values that are.
fn maps(rows: usize) -> MapArray {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..rows {
        for entry in 0..row % 4 {
            maps.keys().append_value(format!("{row}-{entry}"));
            maps.values().append_option((entry != 1).then_some(row as i64));
        }
        maps.append(row % 5 != 2).expect("as many keys as values");
    }
    maps.finish()
}

fn batch(rows: usize, marks: impl IntoIterator<Item = (u32, i64)>) -> Columns {
    let mut batch = Columns::new(all_types(rows)).expect("all are supported");
    batch.kinds = (0..rows).map(|row| [RowKind::Insert, RowKind::UpdateBefore, RowKind::UpdateAfter, RowKind::Delete][row % 4]).collect();
    batch.timestamps = (0..rows as i64).map(|row| if row % 3 == 0 { Timestamp::MIN } else { Timestamp(row * 10) }).collect();
    batch.hashes = (0..rows as u64).map(|row| row.key_hash()).collect();
    batch.marks = marks.into_iter().map(|(row, watermark)| Mark { row, watermark: Timestamp(watermark) }).collect();
    batch
}

/// One thing that a reader sees.
#[derive(Clone, PartialEq, Debug)]
enum Step {
    Row(i64, String, RowKind, Timestamp, u64),
    Watermark(Timestamp),
}

fn cell(column: &ArrayRef, row: usize) -> String {
    format!("{:?}", column.slice(row, 1))
}

fn steps(batch: &Columns) -> Vec<Step> {
    let ids = batch.columns[0].as_primitive::<Int64Type>();
    let row = |row: usize| {
        let cells: String = batch.columns.iter().map(|column| cell(column, row)).collect();
        Step::Row(ids.value(row), cells, batch.kind(row), batch.timestamp(row), batch.hashes[row])
    };
    let segment = |segment| match segment {
        Segment::Rows(rows) => rows.map(row).collect::<Vec<_>>(),
        Segment::Watermark(watermark) => vec![Step::Watermark(watermark)],
    };
    batch.segments().flat_map(segment).collect()
}

fn columns_of(batch: Box<dyn AnyBatch>) -> Columns {
    Columns::from_any(batch).expect("columns")
}

fn taken(scatter: &mut dyn Scatter, target: usize) -> Vec<Step> {
    match scatter.take(target) {
        Scattered::Batch(batch) => steps(&columns_of(batch)),
        Scattered::Watermark(watermark) => vec![Step::Watermark(watermark)],
        Scattered::Nothing => Vec::new(),
    }
}

fn encoded(batch: &Columns) -> Vec<u8> {
    let mut bytes = Vec::new();
    batch.encode(&mut bytes);
    bytes
}

#[test]
fn kinds_that_are_all_inserts_cost_nothing() {
    let columns = Columns::new(vec![Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef]).expect("fits");
    assert!(columns.clone().with_kinds(vec![RowKind::Insert; 2]).expect("two").kinds.is_empty());
    let error = columns.with_kinds(vec![RowKind::Delete]).expect_err("one kind for two rows");
    assert_eq!(error.message(), "1 row kinds for 2 rows");
}

#[test]
fn columns_that_do_not_fit_together_are_refused() {
    let (one, two): (ArrayRef, ArrayRef) = (Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![1, 2])));
    assert_eq!(Columns::new(vec![one, two]).expect_err("differ").message(), "column 1 has 2 rows, column 0 has 1");
    let dictionary: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter(["a", "b"]));
    let error = Columns::new(vec![Arc::clone(&dictionary)]).expect_err("dictionaries");
    assert!(error.to_string().starts_with("column 0: a column of type Dictionary(Int32, Utf8) cannot flow"), "{error}");
    let smuggled = Columns { rows: 2, columns: vec![dictionary], ..Columns::default() };
    let error = Columns::batch_type().decode(&encoded(&smuggled)).expect_err("refused when read");
    assert!(error.to_string().contains("Dictionary(Int32, Utf8) cannot flow"), "{error}");
}

#[test]
fn a_stream_has_one_schema() {
    let mut scatter = ColumnScatter::new(2, 10);
    let one = |array: ArrayRef| Box::new(Columns::new(vec![array]).expect("fits"));
    scatter.scatter(one(Arc::new(Int64Array::from(vec![1]))), &[0]).expect("first");
    let error = scatter.scatter(one(Arc::new(Int32Array::from(vec![1]))), &[0]).expect_err("another type");
    assert_eq!(error.message(), "a stream of columns [Int64] goes on with columns [Int32]: one stream has one schema");
}

/// The bytes of version 1. If this fails, the layout has changed: give it a new version and read the old one, too.
#[test]
fn golden_bytes_never_change() {
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![Some(1), None])), Arc::new(StringArray::from(vec!["ab", "c"]))];
    let mut batch = Columns::new(columns).expect("fits").with_kinds(vec![RowKind::Insert, RowKind::Delete]).expect("two");
    batch.timestamps = vec![Timestamp(5), Timestamp::MIN];
    batch.mark(Timestamp(9));
    let golden: &[&[u8]] = &[
        &[1, 5, 2, 0, 0, 0],                                            // version, timestamps and kinds, rows
        &[5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128],            // timestamps
        &[0, 3],                                                        // kinds
        &[1, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0],              // one mark
        &[2],                                                           // columns
        &[5, 1, 0b01, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],  // int64, nulls, values
        &[13, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, b'a', b'b', b'c'], // utf8, no nulls, offsets, text
    ];
    assert_eq!(encoded(&batch), golden.concat());
}

#[test]
fn a_missing_key_column_is_named() {
    let batch = Columns::new(vec![Arc::new(Int64Array::from(vec![1])) as ArrayRef]).expect("fits");
    let error = ColumnKeyHasher { columns: vec![0, 2] }.hash(&batch, &mut Vec::new()).expect_err("no such column");
    assert_eq!(error.message(), "key column 2 is missing: the batch has 1 columns");
}

#[test]
fn batches_never_exceed_the_limit_of_rows() {
    let mut scatter = ColumnScatter::new(2, Columns::MAX_ROWS);
    let mut full = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..3000));
        scatter.scatter(Box::new(Columns::new(vec![ids]).expect("fits")), &[1; 3000]).expect("one type");
        scatter.drain_full(&mut full);
        for target in full.drain(..) {
            let Scattered::Batch(batch) = scatter.take(target as usize) else { panic!("reported full") };
            sizes.push(batch.len());
        }
    }
    assert_eq!(sizes, [3000, 3000, 3000]);
    assert_eq!((scatter.rows(0), scatter.rows(1)), (0, 3000));
}

#[test]
fn large_values_fill_a_batch_by_bytes() {
    let mut scatter = ColumnScatter::new(1, Columns::MAX_ROWS);
    let big: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(300_000)]));
    let mut full = Vec::new();
    for _ in 0..4 {
        assert!(full.is_empty());
        scatter.scatter(Box::new(Columns::new(vec![Arc::clone(&big)]).expect("fits")), &[0]).expect("one type");
        scatter.drain_full(&mut full);
    }
    assert_eq!(full, [0], "1.2 MB");
}

proptest! {
    #[test]
    fn key_hashes_are_those_of_typed_keys(keys in proptest::collection::vec((any::<Option<i64>>(), any::<String>()), 0..20)) {
        let ids = Int64Array::from_iter(keys.iter().map(|key| key.0));
        let names = StringArray::from_iter_values(keys.iter().map(|key| &key.1));
        let batch = Columns::new(vec![Arc::new(ids), Arc::new(names)]).expect("fits");
        let mut hashes = vec![1, 2];
        ColumnKeyHasher { columns: vec![1, 0] }.hash(&batch, &mut hashes).expect("hashes");
        prop_assert_eq!(hashes, keys.iter().map(|(id, name)| (name.clone(), *id).key_hash()).collect::<Vec<_>>());
    }

    #[test]
    fn cutting_changes_nothing(rows in 0usize..40, cut in 0usize..40, at in proptest::collection::btree_set(0u32..40, 0..6)) {
        let marks: Vec<_> = at.iter().filter(|row| **row as usize <= rows).map(|row| (*row, i64::from(*row) + 100)).collect();
        let whole = steps(&batch(rows, marks.clone()));
        let mut back = batch(rows, marks);
        let front = columns_of(back.split_front(cut));
        prop_assert_eq!(steps(&front).into_iter().chain(steps(&back)).collect::<Vec<_>>(), whole);
    }

    #[test]
    fn bytes_round_trip_also_of_slices(rows in 0usize..40, cut in 0usize..40, at in proptest::collection::btree_set(0u32..40, 0..6)) {
        let marks: Vec<_> = at.iter().filter(|row| **row as usize <= rows).map(|row| (*row, i64::from(*row) + 100)).collect();
        let mut back = batch(rows, marks);
        for part in [columns_of(back.split_front(cut)), back] {
            let bytes = encoded(&part);
            let read = columns_of(Columns::batch_type().decode(&bytes).expect("own bytes"));
            prop_assert_eq!(steps(&read), steps(&part));
            prop_assert_eq!(&read.columns, &part.columns);
            prop_assert_eq!(encoded(&read), bytes, "equal batches have equal bytes");
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_another_batch(rows in 0usize..12, cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let bytes = encoded(&batch(rows, [(0, 1)]));
        prop_assert!(Columns::batch_type().decode(&bytes[..cut.index(bytes.len())]).is_err(), "cut short");
        let mut damaged = bytes.clone();
        damaged[at.index(bytes.len())] = byte;
        if let Ok(read) = Columns::batch_type().decode(&damaged) {
            let read = columns_of(read);
            let _ = (format!("{read:?}"), encoded(&read));
        }
    }

    #[test]
    fn rows_are_taken_in_the_order_asked_for(rows in 1usize..30, picks in proptest::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        let picks: Vec<u32> = picks.iter().map(|pick| pick.index(rows) as u32).collect();
        for column in all_types(rows) {
            let taken = take_rows(&column, &picks).expect("supported");
            prop_assert_eq!(taken.data_type(), column.data_type());
            let expected: Vec<_> = picks.iter().map(|row| cell(&column, *row as usize)).collect();
            prop_assert_eq!((0..picks.len()).map(|row| cell(&taken, row)).collect::<Vec<_>>(), expected);
        }
    }

    /// Each target sees its rows whole and in order, and before each row the newest watermark of the whole stream.
    #[test]
    fn targets_see_their_rows_under_the_right_watermark(
        targets in proptest::collection::vec(0u32..4, 0..60),
        cut in 1usize..20,
        full_at in 1usize..30,
        at in proptest::collection::btree_set(0u32..60, 0..20),
    ) {
        let whole = batch(targets.len(), []);
        let expected = steps(&whole);
        let mut scatter = ColumnScatter::new(4, full_at);
        let mut seen: Vec<Vec<Step>> = vec![Vec::new(); 4];
        let mut full = Vec::new();
        for (chunk, part) in targets.chunks(cut).enumerate() {
            let start = chunk * cut;
            let mut rows = whole.slice(start..start + part.len());
            rows.marks = marks_within(&at, start, part.len());
            scatter.scatter(Box::new(rows), part).expect("one schema");
            scatter.drain_full(&mut full);
            for target in full.drain(..) {
                let mut more = taken(&mut scatter, target as usize);
                prop_assert!(more.iter().filter(|step| matches!(step, Step::Row(..))).count() >= full_at);
                seen[target as usize].append(&mut more);
            }
        }
        for (target, seen) in seen.iter_mut().enumerate() {
            seen.append(&mut taken(&mut scatter, target));
            let mut watermark = Timestamp::MIN;
            let mut rows = Vec::new();
            for step in seen.iter() {
                match step {
                    Step::Watermark(next) => { prop_assert!(*next > watermark); watermark = *next; }
                    Step::Row(row, ..) => {
                        let newest = at.iter().filter(|mark| i64::from(**mark) <= *row).max().map_or(Timestamp::MIN, |mark| Timestamp(i64::from(*mark)));
                        prop_assert_eq!(watermark, newest);
                        rows.push(step.clone());
                    }
                }
            }
            let own = (0..targets.len()).filter(|row| targets[*row] as usize == target).map(|row| expected[row].clone());
            prop_assert_eq!(rows, own.collect::<Vec<_>>());
        }
        prop_assert!(scatter.is_empty());
    }
}

/// Marks at the rows of `at` that lie in a part of the stream; the watermark is the row.
fn marks_within(at: &BTreeSet<u32>, start: usize, rows: usize) -> Vec<Mark> {
    let within = at.range(start as u32..(start + rows) as u32);
    within.map(|row| Mark { row: row - start as u32, watermark: Timestamp(i64::from(*row)) }).collect()
}

#[test]
fn an_empty_struct_keeps_its_rows() {
    let empty: ArrayRef = Arc::new(StructArray::new_empty_fields(3, None));
    assert_eq!(take_rows(&empty, &[2, 0]).expect("supported").len(), 2);
    let batch = Columns::new(vec![empty]).expect("supported");
    let read = columns_of(Columns::batch_type().decode(&encoded(&batch)).expect("own bytes"));
    assert_eq!((read.rows, read.columns[0].data_type()), (3, &DataType::Struct(Vec::<Field>::new().into())));
}
