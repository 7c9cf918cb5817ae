//! Files in, files out.

use brisk::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

#[derive(Clone, Debug, PartialEq, PartialOrd, Record, Serialize, Deserialize)]
struct Reading {
    id: u64,
    #[serde(with = "brisk::formats::timestamp")]
    at: Timestamp,
    value: Option<f64>,
}

fn readings(count: u64) -> Vec<Reading> {
    let reading = |id| Reading { id, at: Timestamp(id as i64 * 1000), value: (id % 3 > 0).then_some(id as f64 / 2.0) };
    (0..count).map(reading).collect()
}

fn parts(folder: &Path) -> Vec<String> {
    let mut parts: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    parts.sort();
    parts.iter().map(|part| fs::read_to_string(part).unwrap()).collect()
}

#[test]
fn what_is_written_as_csv_is_read_back() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for parallelism in [1, 3] {
        let env = StreamEnvironment::get()?;
        env.set_parallelism(parallelism);
        let folder = dir.path().join(parallelism.to_string());
        env.from_parallel_collection(readings(10_000)).sink_to(FileSink::csv(&folder));
        let result = env.execute("write")?;
        assert_eq!(result.name, "write");
        assert_eq!(parts(&folder).len(), parallelism as usize);
        let mut read = env.read_csv::<Reading>(folder.join("part-*.csv")).collect()?;
        read.sort_by_key(|reading| reading.id);
        assert_eq!(read, readings(10_000));
    }
    Ok(())
}

#[test]
fn readers_share_one_text_file() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("numbers.txt");
    fs::write(&path, (0..300_000).map(|n| format!("{n}\n")).collect::<String>())?;
    for parallelism in [1, 2, 4] {
        let env = StreamEnvironment::get()?;
        env.set_parallelism(parallelism);
        let lines = env.read_text_file(&path).try_map(|line: String| Ok(line.parse::<u64>()?));
        let mut numbers = lines.collect()?;
        if parallelism > 1 {
            numbers.sort_unstable();
        }
        assert!(numbers.into_iter().eq(0..300_000), "parallelism {parallelism}");
    }
    Ok(())
}

#[test]
fn a_bad_row_fails_the_job_with_its_place() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("bad.csv");
    fs::write(&path, "id,at,value\n1,2013-01-01 00:00:00,\n2,2013-01-01 00:00:00,high\n")?;
    let env = StreamEnvironment::get()?;
    env.read_csv::<Reading>(&path).add_sink(|_| {});
    let error = env.execute("bad").expect_err("'high' is no number").to_string();
    for part in ["job 'bad'", "Csv File", "bad.csv', line 3, column 'value': \"high\": invalid float"] {
        assert!(error.contains(part), "'{part}' in: {error}");
    }
    Ok(())
}

#[test]
fn a_missing_file_fails_the_job_with_its_path() -> Result<()> {
    let env = StreamEnvironment::get()?;
    env.read_text_file("no/such/file.txt").add_sink(|_| {});
    let error = env.execute("missing").expect_err("there is no such file").to_string();
    assert!(error.contains("path 'no/such/file.txt': does not exist"), "{error}");
    Ok(())
}

#[test]
fn a_watched_folder_is_read_as_files_come() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let env = StreamEnvironment::get()?;
    let source = FileSource::text(dir.path()).monitor_continuously(millis(5));
    let mut lines = env.from_source(source, WatermarkStrategy::no_watermarks(), "Watched").execute_and_collect("watch")?;
    for name in ["a", "b", "c"] {
        fs::write(dir.path().join(format!(".{name}")), name)?;
        fs::rename(dir.path().join(format!(".{name}")), dir.path().join(name))?;
        assert_eq!(lines.next().transpose()?.as_deref(), Some(name));
    }
    let client = lines.client().expect("it runs");
    client.cancel();
    client.wait().expect_err("a cancelled job has no result");
    Ok(())
}
