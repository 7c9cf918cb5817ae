//! The first departures of the flight data that ships with the examples.

use brisk_base::{Error, Result, ResultExt, Timestamp};
use flate2::read::GzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::OnceLock;

/// Where the data is, seen from this package.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/data/flights/departures.csv.gz");

/// How many departures are read.
const ROWS: usize = 6_000;

/// Id, scheduled time in milliseconds, delay in minutes, airport, tail number.
pub(super) type Departure = (u64, i64, i64, String, Option<String>);

/// The first departures, in the order in which they left.
pub(super) fn departures() -> Result<&'static [Departure]> {
    static READ: OnceLock<Result<Vec<Departure>, String>> = OnceLock::new();
    READ.get_or_init(|| read().map_err(|error| error.to_string())).as_deref().map_err(|text| Error::user(text.clone()))
}

fn read() -> Result<Vec<Departure>> {
    let file = File::open(FILE).context(|| format!("file '{FILE}'"))?;
    let lines = BufReader::new(GzDecoder::new(file)).lines().skip(1).take(ROWS);
    lines.map(|line| parse(&line?)).collect()
}

fn parse(line: &str) -> Result<Departure> {
    let fields: Vec<_> = line.split(',').collect();
    let parsed = || {
        let [id, scheduled, _, delay, _, _, _, tail, origin, ..] = fields[..] else { return None };
        let tail = Some(tail.to_owned()).filter(|tail| !tail.is_empty());
        Some((id.parse().ok()?, Timestamp::parse(scheduled)?.millis(), delay.parse().ok()?, origin.to_owned(), tail))
    };
    parsed().ok_or_else(|| Error::corrupt(format!("cannot read the departure '{line}'")))
}
