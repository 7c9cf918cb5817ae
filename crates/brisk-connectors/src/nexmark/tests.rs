//! The stream against a golden extract of the specified one: 1000 events a second, bids of about 44 bytes.

use super::event::Stream;
use super::rows::{Kind, Rows};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef};
use brisk_base::Timestamp;

/// Rows of the specified stream: the first of each table, and the last.
const GOLDEN: &str = include_str!("golden.csv");

fn time(ms: i64) -> String {
    let text = Timestamp(ms).to_string();
    if text.contains('.') { text } else { format!("{text}.000") }
}

fn cell(column: &ArrayRef, row: usize) -> String {
    if let Some(texts) = column.as_string_opt::<i32>() {
        return texts.value(row).to_owned();
    }
    match column.as_primitive_opt::<Int64Type>() {
        Some(numbers) => numbers.value(row).to_string(),
        None => time(column.as_primitive::<TimestampMillisecondType>().value(row)),
    }
}

/// The rows of a block as the golden file has them, the columns that are not wanted empty.
fn rows(kind: Kind, block: std::ops::Range<u64>, wanted: Option<&[usize]>) -> Vec<String> {
    let mut rows = Rows::new(kind, Stream { rate: 1000, bid_bytes: 44, seed: 0 }, wanted);
    rows.add(&block);
    let (columns, len) = rows.finish();
    assert!(columns.iter().all(|column| column.is_empty() || column.len() == len));
    let cells = |row| columns.iter().map(move |column| if column.is_empty() { String::new() } else { cell(column, row) });
    (0..len).map(|row| cells(row).collect::<Vec<_>>().join(",")).collect()
}

const fn kind_of(n: u64) -> Kind {
    match n % 50 {
        0 => Kind::Person,
        1..4 => Kind::Auction,
        _ => Kind::Bid,
    }
}

#[test]
fn events_are_those_of_the_specification() {
    let mut seen = 0;
    for line in GOLDEN.lines() {
        let (n, expected) = line.split_once('|').expect("number of the event, row");
        let n = n.parse().expect("a number");
        assert_eq!(rows(kind_of(n), n..n + 1, None), [expected], "event {n}");
        seen += 1;
    }
    assert!(seen > 100);
}

#[test]
fn times_of_events_that_follow_each_other_are_those_of_each() {
    for rate in [1, 3, 7, 999, 1000, 1001, 100_000, 1_000_000_000] {
        let stream = Stream { rate, bid_bytes: 100, seed: 0 };
        for start in [0, 1, 49, 123_456_789, 1 << 40] {
            let expected: Vec<_> = (start..start + 100).map(|n| stream.time_of(n)).collect();
            assert_eq!(stream.times(start..start + 100).collect::<Vec<_>>(), expected, "{rate} {start}");
        }
    }
}

/// Wherever a block begins and ends, and whichever columns are wanted.
#[test]
fn a_block_has_the_events_of_each_kind_in_order() {
    for block in [0..500, 7..8, 3..53, 49..50, 50..50, 120..333] {
        for kind in Kind::ALL {
            let alone = |n: u64| rows(kind, n..n + 1, None);
            let expected: Vec<_> = block.clone().flat_map(alone).collect();
            assert_eq!(expected.len(), block.clone().filter(|n| kind_of(*n) == kind).count());
            assert_eq!(rows(kind, block.clone(), None), expected);
            // The texts have no commas.
            let third: Vec<_> = expected.iter().map(|row| row.split(',').nth(2).unwrap_or_default().to_owned()).collect();
            let chosen = rows(kind, block.clone(), Some(&[2]));
            assert_eq!(chosen.iter().map(|row| row.replace(',', "")).collect::<Vec<_>>(), third);
        }
    }
}
