//! `cargo xtask accept`: proves the project's claims one by one, so that each can be repeated by one command.
//!
//! A claim is a [`Point`] with a proof, registered in the file of its name. A proof runs real programs and reads their figures; a
//! program that is not there, a filter that selects no test and a figure that was not taken are failures. Full runs write
//! `docs/acceptance/NAME.md`; short ones, which CI runs on every change, leave the checkout as it is.

mod cluster;
mod departures;
mod flink_client;
mod foundation;
mod killing;
mod local_cluster;
mod namespaces;
mod proof;
mod record;
mod recovery_times;
mod sql;
mod sql_recovery;
mod sql_speed;
mod state;
mod storm;

use crate::args::Args;
use crate::process::now;
use crate::repo;
use anyhow::{Result, bail};
use proof::Proof;
use record::{Record, Row};
use std::fs;

/// One claim.
pub(crate) struct Point {
    /// Number of the claim, such as `4.2`.
    id: &'static str,
    /// The claim in a sentence.
    claim: &'static str,
    /// Whether a short run proves it too (with less work), or leaves it out.
    short: bool,
    /// Runs programs; the figure of a proof that holds, or the error that shows it does not.
    proof: fn(&mut Proof) -> Result<String>,
}

/// All names with their points.
fn registry() -> Vec<(&'static str, &'static [Point])> {
    vec![("foundation", foundation::POINTS), ("state", state::POINTS), ("sql", sql::POINTS), ("cluster", cluster::POINTS)]
}

pub(crate) fn command(raw: Vec<String>) -> Result<()> {
    let args = Args::parse(raw, &["short"], &["point", "peer"])?;
    let mut failed = Vec::new();
    for (name, points) in chosen(&args.names)? {
        let points: Vec<_> = points.iter().filter(|point| args.text("point").is_none_or(|wanted| belongs(point.id, wanted))).collect();
        if points.is_empty() {
            bail!("'{name}' has no point {}", args.text("point").unwrap_or_default());
        }
        failed.extend(run(name, &points, args.has("short"), args.text("peer"))?);
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("not proved: {}", failed.join(", "))
}

fn chosen(names: &[String]) -> Result<Vec<(&'static str, &'static [Point])>> {
    let mut registry = registry();
    if let Some(unknown) = names.iter().find(|name| !registry.iter().any(|(known, _)| known == name)) {
        let known: Vec<_> = registry.iter().map(|(name, _)| *name).collect();
        bail!("there is nothing named '{unknown}' to accept; there are: {}", known.join(", "));
    }
    registry.retain(|(name, _)| names.is_empty() || names.iter().any(|n| n == name));
    Ok(registry)
}

/// Whether point `id` is `wanted` or one of its parts: 4.1 belongs to 4.
fn belongs(id: &str, wanted: &str) -> bool {
    id.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Runs some points of a name, and returns those that failed.
fn run(name: &str, points: &[&Point], short: bool, peer: Option<&str>) -> Result<Vec<String>> {
    let page = repo::root().join(format!("docs/acceptance/{name}.md"));
    let mut record = Record::parse(&fs::read_to_string(&page).unwrap_or_default());
    let mut failed = Vec::new();
    let started = now();
    for point in points.iter().filter(|point| point.short || !short) {
        let row = prove(name, point, short, peer);
        if !row.passed {
            failed.push(format!("{name} {}", point.id));
        }
        if !short {
            record.set(row);
            fs::create_dir_all(page.parent().unwrap_or(&page))?;
            fs::write(&page, record.render(name))?;
        }
    }
    eprintln!("{name}: {} in {:.0} s", if failed.is_empty() { "all hold" } else { "NOT all hold" }, started.elapsed().as_secs_f64());
    Ok(failed)
}

fn prove(name: &str, point: &Point, short: bool, peer: Option<&str>) -> Row {
    eprintln!("-- {name} {}: {}", point.id, point.claim);
    let begun = now();
    let mut proof = Proof::new(short, peer);
    let result = (point.proof)(&mut proof);
    let seconds = begun.elapsed().as_secs_f64();
    let (passed, figure) = match result {
        Ok(figure) => (true, figure),
        Err(error) => (false, format!("{error:#}")),
    };
    eprintln!("-- {name} {}: {} in {seconds:.1} s: {figure}", point.id, if passed { "PASS" } else { "FAIL" });
    Row { id: point.id.to_string(), claim: point.claim.to_string(), commands: proof.into_commands(), figure, passed, seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_chosen_by_its_number_or_its_parents() {
        assert!(belongs("4.1", "4") && belongs("4.1", "4.1") && belongs("4", "4"));
        assert!(!belongs("4.10", "4.1") && !belongs("41", "4"));
    }

    #[test]
    fn ids_are_unique_and_in_order_of_the_issue() {
        for (name, points) in registry() {
            let mut ids: Vec<_> = points.iter().map(|p| p.id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), points.len(), "{name}");
            assert!(points.iter().any(|p| p.short), "{name} has nothing for CI");
        }
    }

    #[test]
    fn a_failing_proof_fails_the_point() {
        let point = Point { id: "1", claim: "never holds", short: true, proof: |_| bail!("measured 3, needs 4") };
        let row = prove("test", &point, true, None);
        assert!(!row.passed);
        assert_eq!(row.figure, "measured 3, needs 4");
    }
}
