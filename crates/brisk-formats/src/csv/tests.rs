//! Reading and writing csv, and what is said about rows that are wrong.

use super::*;
use crate::format::Position;
use brisk_base::{Error, Timestamp};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flight {
    id: u64,
    #[serde(with = "crate::timestamp")]
    at: Timestamp,
    delay: Option<i64>,
    plane: Option<String>,
}

fn flight(id: u64, at: &str, delay: Option<i64>, plane: Option<&str>) -> Flight {
    Flight { id, at: Timestamp::parse(at).unwrap(), delay, plane: plane.map(str::to_owned) }
}

/// A file with this text, that goes with its folder.
fn file(text: &str) -> (tempfile::TempDir, FileInput) {
    let dir = tempfile::tempdir().unwrap();
    let path: PathBuf = dir.path().join("flights.csv");
    std::fs::write(&path, text).unwrap();
    (dir, FileInput::new(path))
}

fn read_from<T: DeserializeOwned + 'static>(csv: &Csv, input: &FileInput, resume: Option<Position>) -> Result<Vec<(Position, T)>> {
    let mut reader: Box<dyn RecordReader<T>> = ReadFormat::open(csv, input, FileRange { resume, ..FileRange::ALL })?;
    let mut all = Vec::new();
    loop {
        let (position, mut batch) = (reader.position(), Vec::new());
        if !reader.read_batch(1, &mut batch)? {
            return Ok(all);
        }
        all.extend(batch.into_iter().map(|record| (position, record)));
    }
}

fn read<T: DeserializeOwned + 'static>(csv: &Csv, text: &str) -> Result<Vec<T>> {
    let (_dir, input) = file(text);
    Ok(read_from(csv, &input, None)?.into_iter().map(|(_, record)| record).collect())
}

fn error(text: &str) -> String {
    let error: Error = read::<Flight>(&Csv::new(), text).unwrap_err();
    error.to_string()
}

#[test]
fn columns_are_found_by_name_and_empty_fields_are_none() {
    let text = "plane,id,at,delay,more\n\"N1,\n\"\"x\"\"\",1,2013-01-01 10:15:00,-3,x\n,2,2013-01-01 10:16:00,,y\n";
    let expected = [flight(1, "2013-01-01 10:15:00", Some(-3), Some("N1,\n\"x\"")), flight(2, "2013-01-01 10:16:00", None, None)];
    assert_eq!(read::<Flight>(&Csv::new(), text).unwrap(), expected);
}

#[test]
fn other_dialects() {
    let csv = Csv::new().delimiter(b';').quote(b'\'').comment(b'#').without_header().trim();
    assert_eq!(read::<(i32, String)>(&csv, "#no\n 1 ;'a;b'\n").unwrap(), [(1, "a;b".to_owned())]);
}

#[test]
fn reading_goes_on_at_any_row() {
    let text = "id,at,delay,plane\n1,2013-01-01 10:15:00,,\"a\nb\"\n2,2013-01-01 10:15:00,,\n3,bad,,\n";
    let (_dir, input) = file(text);
    let mut reader: Box<dyn RecordReader<Flight>> = ReadFormat::open(&Csv::new(), &input, FileRange::ALL).unwrap();
    let mut out = Vec::new();
    reader.read_batch(1, &mut out).unwrap();
    let position = reader.position();
    assert_eq!(position, Position { offset: 18 + 29, lines: 3 });
    let error = read_from::<Flight>(&Csv::new(), &input, Some(position)).unwrap_err().to_string();
    assert!(error.contains("line 5"), "the second reader counts on: {error}");
    let mut reader: Box<dyn RecordReader<Flight>> =
        ReadFormat::open(&Csv::new(), &input, FileRange { resume: Some(position), ..FileRange::ALL }).unwrap();
    out.clear();
    reader.read_batch(1, &mut out).unwrap();
    assert_eq!(out[0].id, 2);
}

#[test]
fn errors_name_file_line_column_and_value() {
    let wrong_number = error("id,at,delay,plane\n1,2013-01-01 10:15:00,two,\n");
    assert!(wrong_number.contains("flights.csv', line 2, column 'delay': \"two\": invalid digit"), "{wrong_number}");
    let wrong_time = error("id,at,delay,plane\n1,yesterday,2,\n");
    assert!(wrong_time.contains("line 2") && wrong_time.contains("\"yesterday\" is no time"), "{wrong_time}");
    let no_column = error("at,delay,plane\n2013-01-01 10:15:00,1,\n");
    assert!(no_column.contains("missing field `id`") && no_column.contains("the columns are at, delay, plane"), "{no_column}");
    let short = error("id,at,delay,plane\n1,2013-01-01 10:15:00\n");
    assert!(short.contains("line 2: the row has 2 fields, but those before it have 4"), "{short}");
}

#[test]
fn what_is_written_is_read_back() {
    let flights = [flight(1, "2013-01-01 10:15:00.250", None, Some("a,\"b\"\n")), flight(2, "1969-12-31 23:59:59", Some(7), None)];
    let (_dir, input) = file("");
    let mut writer: Box<dyn RecordWriter<Flight>> = WriteFormat::open(&Csv::new(), Box::new(std::fs::File::create(input.path()).unwrap()));
    flights.iter().for_each(|flight| writer.write(flight).unwrap());
    writer.flush().unwrap();
    assert!(std::fs::read_to_string(input.path()).unwrap().starts_with("id,at,delay,plane\n1,2013-01-01 10:15:00.250,,\"a,"));
    let read: Vec<Flight> = read_from(&Csv::new(), &input, None).unwrap().into_iter().map(|(_, flight)| flight).collect();
    assert_eq!(read, flights);
}
