//! `brisk-sim`: runs the project's workloads in the simulator, many seeds each. `cargo xtask sim` calls it.

use brisk_base::world::World;
use brisk_base::{Error, Result};
use brisk_sim::planted::{self, Planted};
use brisk_sim::workloads::{ALL, Workload};
use std::process::ExitCode;

const USAGE: &str = "\
usage: brisk-sim [--seeds N] [--seed S] [--workload W] [--plant BUG]
  --seeds N     run N seeds of each workload (100; with --seed: 1)
  --seed S      begin with this seed (0)
  --workload W  run this workload only (all)
  --plant BUG   plant this bug in the engine; a workload passes if one of its seeds finds it
workloads:";

/// Failing seeds that are reported in full.
const REPORTED: usize = 3;

/// What to run.
struct Args {
    workloads: Vec<Workload>,
    first: u64,
    seeds: u64,
    planted: Option<Planted>,
}

fn main() -> ExitCode {
    let args = match parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print_usage();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let passes = |workload: &Workload| match args.planted {
        None => run(workload, args.first, args.seeds),
        Some(planted) => planted.during(|| finds(workload, args.first, args.seeds)),
    };
    let failed = args.workloads.iter().filter(|workload| !passes(workload)).count();
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The arguments; `None` if help was asked for.
fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Args>> {
    let (mut workloads, mut first, mut seeds, mut planted) = (ALL.to_vec(), None, None, None);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| Error::user(format!("{word} needs a value")));
        match word.as_str() {
            "--help" | "-h" => return Ok(None),
            "--seeds" => seeds = Some(number(&word, &value()?)?),
            "--seed" => first = Some(number(&word, &value()?)?),
            "--workload" => workloads = named(&value()?)?,
            "--plant" => planted = Some(bug(&value()?)?),
            _ => return Err(Error::user(format!("there is no option '{word}'; see --help"))),
        }
    }
    let seeds = seeds.unwrap_or(if first.is_some() { 1 } else { 100 });
    Ok(Some(Args { workloads, first: first.unwrap_or(0), seeds, planted }))
}

fn number(option: &str, text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::user(format!("{option} takes a number, not '{text}'")))
}

fn named(name: &str) -> Result<Vec<Workload>> {
    if name == "all" {
        return Ok(ALL.to_vec());
    }
    let names: Vec<_> = ALL.iter().map(|workload| workload.name).collect();
    let found = Workload::named(name).map(|workload| vec![workload]);
    found.ok_or_else(|| Error::user(format!("there is no workload '{name}'; there are {}", names.join(", "))))
}

fn bug(name: &str) -> Result<Planted> {
    let names: Vec<_> = planted::ALL.iter().map(|(name, _)| *name).collect();
    Planted::named(name).ok_or_else(|| Error::user(format!("there is no bug '{name}'; there are {}", names.join(", "))))
}

fn print_usage() {
    println!("{USAGE}");
    for workload in ALL {
        println!("  {:<12}{}", workload.name, workload.about);
    }
}

/// Runs all seeds of a workload and reports; true if all pass.
fn run(workload: &Workload, first: u64, seeds: u64) -> bool {
    let world = World::real();
    let (begin, mut steps, mut failing) = (world.mono(), 0, Vec::new());
    for seed in first..first.saturating_add(seeds) {
        match workload.run(seed) {
            Ok(taken) => steps += taken,
            Err(error) => {
                if failing.len() < REPORTED {
                    eprintln!("{}, seed {seed}: {error}", workload.name);
                    eprintln!("repeat it with: cargo xtask sim --workload {} --seed {seed}", workload.name);
                }
                failing.push(seed);
            }
        }
    }
    let seconds = world.mono().since(begin).as_secs_f64();
    let outcome = if failing.is_empty() { "all pass".to_owned() } else { format!("{} FAIL: {failing:?}", failing.len()) };
    println!("{}: {seeds} seeds, {steps} steps, {seconds:.1} s: {outcome}", workload.name);
    failing.is_empty()
}

/// Runs seeds of a workload until one fails, as it has to: true if one does.
fn finds(workload: &Workload, first: u64, seeds: u64) -> bool {
    let failing = (first..first.saturating_add(seeds)).find_map(|seed| Some((seed, workload.run(seed).err()?)));
    match failing {
        Some((seed, error)) => {
            let text = error.to_string();
            println!("{}: found by seed {seed}, the {}. tried: {}", workload.name, seed - first + 1, text.lines().next().unwrap_or(""));
            true
        }
        None => {
            println!("{}: NOT FOUND in {seeds} seeds", workload.name);
            false
        }
    }
}
