//! Compares the results on the repository's data with those that other programs have computed.

use crate::arguments::DATA;
use crate::job::Results;
use crate::weather;
use brisk::formats::{Csv, FileInput, FileRange, ReadFormat, RecordReader};
use brisk::prelude::*;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::path::PathBuf;

/// Fails at the first difference.
pub(crate) fn check(results: &Results) -> Result<()> {
    same("hourly_by_origin.csv", &results.hours)?;
    same("hourly_lateness_60min.csv", &results.hours_in_time)?;
    same("late_60min.csv", &results.late)?;
    same("sessions_by_plane.csv.gz", &results.sessions)?;
    if results.weather.is_empty() {
        return Ok(());
    }
    let expected = weather::computed_plainly(&read("departures.csv.gz")?, &read("weather.csv.gz")?);
    compare("delays by weather", &expected.into_iter().collect::<Vec<_>>(), &results.weather, |(condition, _)| *condition)
}

/// Compares with a file of expected results; the order does not matter.
fn same<T: DeserializeOwned + Clone + Ord + Debug + 'static>(file: &str, results: &[T]) -> Result<()> {
    compare(file, &read(&format!("expected/{file}"))?, results, T::clone)
}

fn compare<T: Clone + PartialEq + Debug, K: Ord>(what: &str, expected: &[T], results: &[T], key: impl Fn(&T) -> K) -> Result<()> {
    let (mut expected, mut results) = (expected.to_vec(), results.to_vec());
    expected.sort_by_key(&key);
    results.sort_by_key(&key);
    let difference = expected.iter().zip(&results).find(|(expected, result)| expected != result);
    match difference {
        Some((expected, result)) => Err(Error::bug(format!("{what}: expected {expected:?}, got {result:?}"))),
        None if expected.len() != results.len() => {
            Err(Error::bug(format!("{what}: expected {} rows, got {}", expected.len(), results.len())))
        }
        None => Ok(()),
    }
}

/// All rows of a csv file.
fn read<T: DeserializeOwned + 'static>(file: &str) -> Result<Vec<T>> {
    let input = FileInput::new(PathBuf::from(DATA).join(file));
    let mut reader: Box<dyn RecordReader<T>> = Csv::new().open(&input, FileRange::ALL)?;
    let mut rows = Vec::new();
    while reader.read_batch(usize::MAX, &mut rows)? {}
    Ok(rows)
}
