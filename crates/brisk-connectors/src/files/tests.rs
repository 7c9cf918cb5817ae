//! Files read by several readers, and watched folders.

use super::*;
use crate::harness::SourceHarness;
use brisk_base::Result;
use brisk_base::time::seconds;
use brisk_core::types::Record;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::fs;
use std::io::Write;
use std::time::Duration;
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).unwrap());
    dir
}

/// Several members, as `cat` of packed files makes them.
fn gzip(text: &str) -> Vec<u8> {
    let mut packed = Vec::new();
    for member in text.as_bytes().chunks(30_000) {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(member).unwrap();
        packed.extend(encoder.finish().unwrap());
    }
    packed
}

fn read_all<T: Record>(source: FileSource<T>, parallelism: u32) -> Result<Vec<T>> {
    let mut harness = SourceHarness::new(source, parallelism)?;
    assert!(harness.run()?, "a bounded source ends");
    Ok((0..parallelism as usize).flat_map(|subtask| harness.take(subtask)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn readers_share_files_and_read_each_line_once(
        texts in proptest::collection::vec("([a-c]{0,9}\n){0,40}", 1..4),
        size in 1u64..50,
        parallelism in 1u32..5,
    ) {
        let dir = tempfile::tempdir().unwrap();
        for (number, text) in texts.iter().enumerate() {
            fs::write(dir.path().join(format!("{number}.txt")), text).unwrap();
        }
        let mut lines = read_all(FileSource::text(dir.path()).split_bytes(size), parallelism).unwrap();
        let mut expected: Vec<String> = texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
        if parallelism > 1 {
            lines.sort_unstable();
            expected.sort_unstable();
        }
        prop_assert_eq!(lines, expected);
    }
}

#[test]
fn csv_rows_become_records() {
    let dir = folder(&[("b.csv", "id,name\n2,bo\n"), ("a.csv", "name,id\nada,1\n")]);
    assert_eq!(read_all(FileSource::<(u32, String)>::csv(dir.path().join("b.csv")), 1).unwrap(), [(2, "bo".to_owned())]);

    #[derive(Clone, Debug, PartialEq, Record, serde::Deserialize)]
    struct Person {
        id: u32,
        name: String,
    }
    let people = read_all(FileSource::<Person>::csv(dir.path().join("*.csv")), 1).unwrap();
    assert_eq!(people, [Person { id: 1, name: "ada".into() }, Person { id: 2, name: "bo".into() }]);
}

#[test]
fn nothing_to_read_is_an_error_with_the_path() {
    let dir = folder(&[]);
    let error = read_all(FileSource::text(dir.path().join("*.txt")), 1).unwrap_err().to_string();
    assert!(error.contains("no file is found at") && error.contains("*.txt'"), "{error}");
}

#[test]
fn a_watched_folder_gives_new_files_as_they_come() {
    let dir = folder(&[("a", "1\n")]);
    let mut harness = SourceHarness::new(FileSource::text(dir.path()).monitor_continuously(seconds(1)), 1).unwrap();
    assert!(!harness.run().unwrap());
    assert_eq!(harness.take(0), ["1"]);
    fs::write(dir.path().join("b"), "2\n").unwrap();
    harness.advance(Duration::from_millis(999)).unwrap();
    assert!(!harness.run().unwrap());
    assert!(harness.take(0).is_empty());
    harness.advance(Duration::from_millis(1)).unwrap();
    assert!(!harness.run().unwrap());
    assert_eq!(harness.take(0), ["2"], "the old file is not read again");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn readers_go_on_from_a_checkpoint_in_the_middle_of_files(
        lines in proptest::collection::vec(0u32..20_000, 1..4),
        size in 1u64..200_000,
        polls in 0usize..12,
        before in 1u32..4,
        after in 1u32..4,
        packed in prop::array::uniform3(any::<bool>()),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for (number, count) in lines.iter().enumerate() {
            let all: Vec<String> = (0..*count).map(|line| format!("{number}-{line}")).collect();
            let text = all.iter().map(|line| format!("{line}\n")).collect::<String>();
            let (name, bytes) = if packed[number] { ("txt.gz", gzip(&text)) } else { ("txt", text.into_bytes()) };
            fs::write(dir.path().join(format!("{number}.{name}")), bytes).unwrap();
            expected.extend(all);
        }
        let source = || FileSource::text(dir.path()).split_bytes(size.max(10_000));
        let mut harness = SourceHarness::new(source(), before).unwrap();
        for poll in 0..polls {
            harness.poll(poll % before as usize).unwrap();
        }
        let mut read: Vec<String> = (0..before as usize).flat_map(|subtask| harness.take(subtask)).collect();
        let left = harness.checkpoint().unwrap();
        // What comes now is forgotten; files that come now were not there.
        harness.poll(0).unwrap();
        fs::write(dir.path().join("later.txt"), "later\n").unwrap();
        let mut restored = SourceHarness::restored(source(), after, &left).unwrap();
        prop_assert!(restored.run().unwrap() || restored.run().unwrap());
        read.extend((0..after as usize).flat_map(|subtask| restored.take(subtask)));
        read.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn a_packed_file_goes_on_in_its_middle() {
    let lines: Vec<String> = (0..50_000).map(|line| format!("line {line}")).collect();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("lines.gz"), gzip(&lines.iter().map(|line| format!("{line}\n")).collect::<String>())).unwrap();
    let source = || FileSource::text(dir.path());
    let mut harness = SourceHarness::new(source(), 1).unwrap();
    let (mut read, mut restarts) = (Vec::new(), 0);
    loop {
        let (before, mut polls) = (read.len(), 0);
        while read.len() == before && polls < 10 {
            harness.poll(0).unwrap();
            read.extend(harness.take(0));
            polls += 1;
        }
        let left = harness.checkpoint().unwrap();
        if read.len() == before {
            break;
        }
        // What it would have read next is read by its successor.
        harness.poll(0).unwrap();
        harness = SourceHarness::restored(source(), 1, &left).unwrap();
        restarts += 1;
    }
    assert!(restarts > 3, "it was read at once");
    assert_eq!(read, lines);
}

#[test]
fn a_watched_folder_is_watched_on_after_a_checkpoint() {
    let dir = folder(&[("a", "1\n")]);
    let source = || FileSource::text(dir.path()).monitor_continuously(seconds(1));
    let mut harness = SourceHarness::new(source(), 1).unwrap();
    harness.run().unwrap();
    assert_eq!(harness.take(0), ["1"]);
    let left = harness.checkpoint().unwrap();
    fs::write(dir.path().join("b"), "2\n").unwrap();
    let mut restored = SourceHarness::restored(source(), 1, &left).unwrap();
    restored.run().unwrap();
    assert_eq!(restored.take(0), ["2"], "a has been read");
}
