//! The claims about the speed and the memory of SQL: Nexmark beside Flink, in one run.
//!
//! The queries run once before the peer and once behind it; of each side the best warm run counts, as the peer's own figures are taken. One
//! run of the peer serves all claims of a backend that are asked for together: it takes about a quarter of an hour.

use super::proof::Proof;
use crate::bench::Run;
use crate::bench::nexmark::{Nexmark, QUERIES};
use crate::bench::peer;
use anyhow::{Context, Result, bail, ensure};
use std::sync::Mutex;

/// Queries whose state is large, which are measured on rocksdb too.
const ON_DISK: [&str; 6] = ["q4", "q5", "q7", "q9", "q18", "q20"];
/// Events of each of those: as the peer's own figures were taken.
const EVENTS_ON_DISK: u64 = 1_000_000;
const PARALLELISM: u64 = 2;

/// What a query took, ours beside the peer's.
#[derive(Clone, Debug)]
struct Compared {
    query: String,
    /// Events per CPU-second over the peer's.
    rate: f64,
    /// Peak resident memory over the peer's.
    memory: f64,
}

/// The geometric mean over all queries and the least of them.
pub(super) fn all_queries(proof: &mut Proof) -> Result<String> {
    let compared = in_memory(proof)?;
    reaches(&compared, 6.0, 2.0)
}

/// The geometric mean over the queries with large state, on disk.
pub(super) fn on_disk(proof: &mut Proof) -> Result<String> {
    let compared = measure(proof, "rocksdb", &ON_DISK, Some(EVENTS_ON_DISK))?;
    reaches(&compared, 3.0, 3.0)
}

/// Memory of each query.
pub(super) fn memory(proof: &mut Proof) -> Result<String> {
    let compared = in_memory(proof)?;
    let most = compared.iter().max_by(|one, other| one.memory.total_cmp(&other.memory)).context("nothing was measured")?;
    let figure = format!("at most {:.2} of the peer's ({})", most.memory, most.query);
    ensure!(most.memory <= 0.5, "{figure}, may be at most 0.5");
    Ok(format!("{figure}; {} queries", compared.len()))
}

/// All queries in memory, measured once.
fn in_memory(proof: &mut Proof) -> Result<Vec<Compared>> {
    static MEASURED: Mutex<Option<Vec<Compared>>> = Mutex::new(None);
    let mut measured = MEASURED.lock().map_err(|_| anyhow::anyhow!("the measurement has panicked"))?;
    if let Some(known) = &*measured {
        return Ok(known.clone());
    }
    let names = QUERIES.map(|(name, _)| name);
    let compared = measure(proof, "hashmap", &names, None)?;
    *measured = Some(compared.clone());
    Ok(compared)
}

fn measure(proof: &mut Proof, backend: &str, queries: &[&str], events: Option<u64>) -> Result<Vec<Compared>> {
    let peer = proof.peer()?;
    let events_given = events.map(|events| format!(" --records {events}")).unwrap_or_default();
    proof.note(format!("cargo xtask bench nexmark {} --backend {backend}{events_given} --reps 1 --peer DIR", queries.join(" ")));
    let nexmark = Nexmark::build(backend, PARALLELISM)?;
    let cases = nexmark.select(queries, events)?;
    let runs = nexmark.measure(&cases, 1, Some(&peer), &mut |_| {})?;
    queries.iter().map(|query| compared(query, &runs)).collect()
}

/// The best runs of a query.
fn compared(query: &str, runs: &[Run]) -> Result<Compared> {
    let is_theirs = |run: &&Run| run.case.engine.starts_with(peer::ENGINE);
    let of_query = || runs.iter().filter(|run| run.case.name == query);
    let best = |runs: Vec<&Run>| -> Result<(f64, f64)> {
        let rate = runs.iter().map(|run| run.rate()).max_by(f64::total_cmp);
        let memory = runs.iter().map(|run| run.peak_rss_mb).min_by(f64::total_cmp);
        rate.zip(memory).with_context(|| format!("a run of {query} is missing"))
    };
    let (rate, memory) = best(of_query().filter(|run| !is_theirs(run)).collect())?;
    let (peer_rate, peer_memory) = best(of_query().filter(is_theirs).collect())?;
    Ok(Compared { query: query.to_owned(), rate: rate / peer_rate, memory: memory / peer_memory })
}

/// A geometric mean and a least ratio that have to be reached.
fn reaches(compared: &[Compared], mean: f64, least: f64) -> Result<String> {
    ensure!(!compared.is_empty(), "nothing was measured");
    let reached = (compared.iter().map(|query| query.rate.ln()).sum::<f64>() / compared.len() as f64).exp();
    let shown: Vec<_> = compared.iter().map(|query| format!("{} {:.1}x", query.query, query.rate)).collect();
    let figure = format!("{reached:.2}x in the geometric mean ({})", shown.join(", "));
    let short: Vec<_> = compared.iter().filter(|query| !matches!(query.rate.partial_cmp(&least), Some(order) if order.is_ge())).collect();
    if reached >= mean && short.is_empty() {
        return Ok(figure);
    }
    bail!("{figure}; needs {mean}x, and no query below {least}x")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Case;
    use serde_json::Map;

    fn run(engine: &str, cpu_s: f64, peak_rss_mb: f64) -> Run {
        let case = Case { name: "q1".to_owned(), engine: engine.to_owned(), parallelism: 2, records: 100 };
        Run { case, wall_s: 1.0, cpu_s, peak_rss_mb, extra: Map::new() }
    }

    #[test]
    fn the_best_runs_of_both_sides_are_compared() {
        let runs = [run("brisk", 4.0, 90.0), run("brisk", 2.0, 100.0), run("flink", 8.0, 300.0)];
        let compared = compared("q1", &runs).unwrap();
        assert_eq!((compared.rate, compared.memory), (4.0, 0.3));
        assert!(super::compared("q2", &runs).is_err() && super::compared("q1", &runs[..2]).is_err());
    }

    #[test]
    fn mean_and_least_have_to_be_reached() {
        let of =
            |rates: &[f64]| -> Vec<_> { rates.iter().map(|rate| Compared { query: "q".to_owned(), rate: *rate, memory: 0.1 }).collect() };
        assert!(reaches(&of(&[3.0, 12.0]), 5.99, 2.0).is_ok());
        assert!(reaches(&of(&[3.0, 12.0]), 6.1, 2.0).is_err(), "the mean is missed");
        assert!(reaches(&of(&[1.9, 100.0]), 6.0, 2.0).is_err(), "one is missed");
        assert!(reaches(&of(&[f64::NAN]), 6.0, 2.0).is_err() && reaches(&[], 6.0, 2.0).is_err());
    }
}
