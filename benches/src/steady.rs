//! Steady memory: windows and sessions over a stream that goes on and on, with new keys all the time. What the process holds in the last
//! quarter of the run is compared with the second quarter.

use crate::digest_sink::DigestSink;
use crate::{Benchmark, Outcome, Spec, engine, no_engine, nothing_to_prepare};
use anyhow::{Context as _, Result, anyhow};
use brisk::prelude::*;
use brisk::stream::window::{EventTimeSessionWindows, TumblingEventTimeWindows};
use std::time::Duration;

/// Ten minutes.
pub(crate) const BENCHMARK: Benchmark =
    Benchmark { name: "steady", records: RATE as u64 * 600, engines: &[("brisk", 2)], prepare: nothing_to_prepare, run };

/// Records per second; event time runs six times as fast as the clock, so that ten minutes hold an hour.
const RATE: u32 = 100_000;

fn run(spec: &Spec) -> Result<Outcome> {
    match spec.engine.as_str() {
        "brisk" => by_engine(spec),
        _ => Err(no_engine(spec)),
    }
}

/// Event time of record `n`: 6 ms per 100 records.
fn timestamp(n: u64) -> Timestamp {
    Timestamp((n * 6 / 100).cast_signed())
}

/// Users come for a while and never again: 1,000 at a time, a new one every 500 records.
fn user(n: u64) -> u64 {
    n / 500 + crate::digest::mix(n) % 1000
}

fn by_engine(spec: &Spec) -> Result<Outcome> {
    let env = engine::environment(spec)?;
    let source = DataGeneratorSource::new(|n| (n, user(n))).count(spec.records).per_second(f64::from(RATE));
    let strategy = WatermarkStrategy::bounded_out_of_orderness(seconds(5)).with_timestamp(|(n, _): &(u64, u64)| timestamp(*n));
    let users = env.from_source(source, strategy, "visits").key_by(|(_, user)| *user);
    let (windows, _) = DigestSink::new(|(n, _): &(u64, u64), _| *n);
    users.window(TumblingEventTimeWindows::of(seconds(10))).reduce(|a, b| (a.0 + b.0, a.1)).sink_to(windows);
    let (sessions, _) = DigestSink::new(|(n, _): &(u64, u64), _| *n);
    users.window(EventTimeSessionWindows::with_gap(seconds(30))).reduce(|a, b| (a.0 + b.0, a.1)).sink_to(sessions);
    let client = env.execute_async("steady").map_err(|error| anyhow!("{error}"))?;
    let (mut resident, mut entries) = (Vec::new(), Vec::new());
    loop {
        match client.wait_for(Duration::from_millis(500)) {
            Some(Ok(_)) => break,
            Some(Err(error)) => return Err(anyhow!("{error}")),
            None => {
                resident.push(resident_kb()?);
                entries.push(client.progress().state_entries);
            }
        }
    }
    let mut outcome = Outcome::new(spec.records, 0);
    outcome.extra.insert("rss_growth".to_string(), growth(&resident).into());
    outcome.extra.insert("state_growth".to_string(), growth(&entries).into());
    outcome.extra.insert("state_entries".to_string(), entries.iter().copied().max().unwrap_or(0).into());
    Ok(outcome)
}

/// The highest figure of the last quarter over the highest of the second.
fn growth(samples: &[u64]) -> f64 {
    let quarter = samples.len() / 4;
    let highest = |part: &[u64]| part.iter().copied().max().unwrap_or(0).max(1) as f64;
    highest(&samples[3 * quarter..]) / highest(&samples[quarter..2 * quarter])
}

/// Resident memory of this process.
fn resident_kb() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS in /proc/self/status")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_compares_the_last_quarter_with_the_second() {
        assert!((growth(&[9, 9, 2, 4, 1, 1, 2, 6]) - 1.5).abs() < 1e-9);
    }

    #[test]
    fn users_end() {
        let last = (0..1_000_000).filter(|n| user(*n) == 700).max();
        assert!(last.is_some_and(|last| last < 500 * 702));
    }
}
